# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""NMSDynamic_TRT and NMS_TRT: SSD's box decoding and suppression class by class (SSD, RetinaNet, Faster R-CNN).

Box decoding (codeType), with prior p, variances v (1 where varianceEncodedInTarget) and prediction d:

    0 CORNER       corner = p + v * d
    1 CENTER_SIZE  centre = p_centre + v * d * p_size, size = p_size * exp(v * d)
    2 CORNER_SIZE  corner = p + v * d * p_size
    3 TF_CENTER    as 1, always with variances, the prediction in the order y, x, h, w

Suppression: _per_class.py. The second output is an integer count whose bits stand in a float tensor: it comes out of
a table of such floats. scoreBits is a shortcut for sorting FP16 scores inexactly; there is nothing to replace.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto

from nvidia_tao_deploy.graph.editing import GraphWriter
from nvidia_tao_deploy.graph.plugins._per_class import Detections, caffe_overlap, detect
from nvidia_tao_deploy.graph.plugins._tensors import (
    Node,
    as_float,
    chain,
    clamp,
    count_up,
    give,
    kind_of,
    sizes,
)

OPS = ("NMSDynamic_TRT", "NMS_TRT")
OPSET = 11
REPLACEMENT = "TopK, suppression loop"
FLOAT32 = True
CORNER, CENTER_SIZE, CORNER_SIZE, TF_CENTER = range(4)


def rewrite(node: onnx.NodeProto, write: GraphWriter) -> None:
    """Inputs, in the order that inputOrder = positions of (loc, conf, prior) says: loc [N, P * L * 4, 1, 1], conf
    [N, P * classes, 1, 1], prior [N or 1, 2, P * 4, 1] (corners, variances). Outputs: rows [N, 1, keepTopK, 7] of
    (picture, label, score, x1, y1, x2, y2) and the count's bits [N, 1, 1, 1]."""
    facts = Node(node, (3,), 2)
    order = [int(value) for value in facts.array("inputOrder", 3)]
    if sorted(order) != [0, 1, 2]:
        raise facts.error(f"inputOrder {order}; expected a permutation of 0, 1, 2")
    loc, conf, prior = (facts.inputs[index] for index in order)
    classes = facts.integer("numClasses")
    count = facts.static(write, conf, 1, "the number of scores") // classes
    shared = facts.flag("shareLocation")
    batch = write.size(conf, 0)
    boxes = _decoded(facts, write, loc, prior, count, 1 if shared else classes)
    scores = write.reshape(as_float(write, conf), [-1, count, classes])
    if facts.flag("confSigmoid", False):
        scores = write.op("Sigmoid", scores)
    found = detect(
        facts,
        write,
        boxes,
        scores,
        batch=batch,
        count=count,
        classes=classes,
        shared=shared,
        threshold="confidenceThreshold",
        overlap=caffe_overlap(facts.number("nmsThreshold"), facts.flag("isNormalized", True)),
    )
    kind = kind_of(write, conf)
    give(write, _rows(write, found, batch), facts.outputs[0], kind)
    _give_count(facts, write, found, kind)


def _decoded(facts: Node, write: GraphWriter, loc: str, prior: str, count: int, per_prior: int) -> str:
    """Corners [N, P, L, 4] of all boxes."""
    coding = facts.integer("codeType")
    if coding not in (CORNER, CENTER_SIZE, CORNER_SIZE, TF_CENTER):
        raise facts.error(f"codeType {coding}; expected 0 to 3")
    parts = write.reshape(as_float(write, prior), [-1, 2, count, 1, 4])
    if facts.op == "NMS_TRT" and facts.flag("isBatchAgnostic", True):  # the other operator ignores it
        parts = write.slice(parts, 0, 0, 1)
    corners = write.reshape(write.slice(parts, 1, 0, 1), [-1, count, 1, 4])
    offsets = write.reshape(as_float(write, loc), [-1, count, per_prior, 4])
    if coding == TF_CENTER:
        offsets = write.op("Gather", offsets, write.constant([1, 0, 3, 2]), axis=3)
    if coding == TF_CENTER or not facts.flag("varianceEncodedInTarget"):
        variances = write.reshape(write.slice(parts, 1, 1, 2), [-1, count, 1, 4])
        offsets = write.op("Mul", offsets, variances)
    if coding == CORNER:
        return write.op("Add", corners, offsets)
    low, high = write.slice(corners, 3, 0, 2), write.slice(corners, 3, 2, 4)
    size = write.op("Sub", high, low)
    if coding == CORNER_SIZE:
        return write.op("Add", corners, write.op("Mul", offsets, write.op("Concat", size, size, axis=3)))
    middle = chain(write, "Mul", write.op("Add", low, high), 0.5)
    centre = write.op("Add", write.op("Mul", write.slice(offsets, 3, 0, 2), size), middle)
    half = chain(write, "Mul", write.op("Mul", write.op("Exp", write.slice(offsets, 3, 2, 4)), size), 0.5)
    return write.op("Concat", write.op("Sub", centre, half), write.op("Add", centre, half), axis=3)


def _rows(write: GraphWriter, found: Detections, batch: int | str) -> str:
    """[N, 1, keepTopK, 7]"""
    keep = found.keep
    picture = write.op("Cast", write.reshape(count_up(write, batch), [-1, 1, 1]), to=TensorProto.FLOAT)
    picture = write.op("Expand", picture, sizes(write, 1, keep, 1))
    label, score = (write.reshape(column, [-1, keep, 1]) for column in (found.labels, found.scores))
    table = write.op("Concat", picture, label, score, clamp(write, found.boxes, 0.0, 1.0), axis=2)
    return write.reshape(table, [-1, 1, keep, 7])


def _give_count(facts: Node, write: GraphWriter, found: Detections, kind: int) -> None:
    index = write.op("Cast", write.reshape(found.number, [-1, 1, 1, 1]), to=TensorProto.INT64)
    declared = write.reader.elem_types.get(facts.outputs[1], TensorProto.FLOAT)
    if declared == TensorProto.INT32:  # a model that says what it is
        give(write, index, facts.outputs[1], TensorProto.INT32)
        return
    if kind != TensorProto.FLOAT:
        raise facts.error("the count's bits fit a float32 tensor only; its scores are of another type")
    table = write.constant(np.arange(found.keep + 1, dtype=np.int32).view(np.float32), np.float32)
    if facts.outputs[1]:
        write.rename(write.op("Gather", table, index, axis=0), facts.outputs[1])
