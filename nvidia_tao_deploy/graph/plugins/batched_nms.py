# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""BatchedNMSDynamic_TRT and BatchedNMS_TRT: suppression class by class (YOLO v3, v4).

Semantics: _per_class.py. scoreBits is a shortcut for sorting FP16 scores inexactly; there is nothing to replace.
"""

from __future__ import annotations

import onnx
from onnx import TensorProto

from nvidia_tao_deploy.graph.editing import GraphWriter
from nvidia_tao_deploy.graph.plugins._per_class import caffe_overlap, detect
from nvidia_tao_deploy.graph.plugins._tensors import Node, as_float, clamp, give, kind_of

OPS = ("BatchedNMSDynamic_TRT", "BatchedNMS_TRT")
OPSET = 11
REPLACEMENT = "TopK, suppression loop"
FLOAT32 = True


def rewrite(node: onnx.NodeProto, write: GraphWriter) -> None:
    """Inputs: corners [N, P, 1 or classes, 4], scores [N, P, classes] (or [N, P, classes, 1]). Outputs: count int32
    [N, 1] (BatchedNMS_TRT: [N]), boxes [N, keepTopK, 4], scores and classes [N, keepTopK], both floats."""
    facts = Node(node, (2,), 4)
    boxes, scores = facts.inputs
    facts.rank(write, boxes, (4,))
    facts.rank(write, scores, (3, 4))
    kind = kind_of(write, boxes)
    batch = write.size(scores, 0)
    count = facts.static(write, scores, 1, "the number of boxes")
    classes = facts.static(write, scores, 2, "the number of classes")
    if facts.integer("numClasses", classes) != classes:
        raise facts.error(f"numClasses {facts.integer('numClasses')}, but the scores are of {classes} classes")
    shared = facts.flag("shareLocation", True)
    if facts.static(write, boxes, 2, "the number of boxes") != (1 if shared else classes):
        raise facts.error(f"shareLocation {int(shared)} does not fit boxes of shape {write.reader.shape(boxes)}")
    found = detect(
        facts,
        write,
        as_float(write, boxes),
        write.reshape(as_float(write, scores), [-1, count, classes]),
        batch=batch,
        count=count,
        classes=classes,
        shared=shared,
        threshold="scoreThreshold",
        overlap=caffe_overlap(
            facts.number("iouThreshold"), facts.flag("isNormalized", True), facts.flag("caffeSemantics", True)
        ),
    )
    number, rects, values, labels = facts.outputs
    one_axis = len(write.reader.shape(number) or (0, 0)) == 1
    give(write, write.reshape(found.number, [-1]) if one_axis else found.number, number, TensorProto.INT32)
    clip = facts.flag("clipBoxes", True)
    give(write, clamp(write, found.boxes, 0.0, 1.0) if clip else found.boxes, rects, kind)
    give(write, found.scores, values, kind)
    give(write, found.labels, labels, kind)
