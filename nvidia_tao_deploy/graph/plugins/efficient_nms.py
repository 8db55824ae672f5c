# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""EfficientNMS_TRT: decoding, score activation and suppression of all classes in one list (EfficientDet).

Semantics (public documentation and source of the plugin, TensorRT 8.5 to 10):

* candidates are all (anchor, class) pairs with score >= score_threshold, background_class left out; the 5000 best of
  each picture are looked at, best first;
* one is dropped when its overlap with a kept one of the same class (of any class with class_agnostic) is >=
  iou_threshold; the first max_output_boxes are the result, the rest of the outputs is zero;
* with score_activation the scores are logits: the threshold is compared as a logit, the result passed through a
  sigmoid;
* with anchors the boxes are offsets to them: box_coding 0 adds corners, 1 scales and shifts centre and size.

score_bits is a shortcut for sorting FP16 scores inexactly; there is nothing to replace.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto

from nvidia_tao_deploy.graph.editing import GraphWriter, Size
from nvidia_tao_deploy.graph.plugins._suppression import Overlap, pick
from nvidia_tao_deploy.graph.plugins._tensors import (
    LOWEST,
    Node,
    as_float,
    at_least,
    best,
    chain,
    give,
    kind_of,
    take_rows,
)

OPS = ("EfficientNMS_TRT",)
OPSET = 11
REPLACEMENT = "TopK, suppression loop"
FLOAT32 = True
CANDIDATES = 5000
"""How many of the best candidates of a picture the plugin looks at."""


def rewrite(node: onnx.NodeProto, write: GraphWriter) -> None:
    """Inputs: boxes [N, A, 4] (or [N, A, 1, 4], [N, A, K, 4]), scores [N, A, K] (or [N, A, K, 1]), perhaps anchors
    [1 or N, A, 4]. Outputs: count int32 [N, 1], corners [N, D, 4], scores [N, D], classes int32 [N, D]."""
    facts = Node(node, (2, 3), 4)
    boxes, scores = facts.inputs[:2]
    facts.rank(write, scores, (3, 4))
    kind = kind_of(write, boxes)
    batch = write.size(scores, 0)
    anchors = facts.static(write, scores, 1, "the number of anchors")
    classes = facts.static(write, scores, 2, "the number of classes")
    top, anchor, label, element = _candidates(facts, write, as_float(write, scores), anchors, classes)
    rows = min(CANDIDATES, anchors * classes)
    shared = facts.rank(write, boxes, (3, 4)) == 3 or facts.static(write, boxes, 2, "the number of boxes") == 1
    per_anchor = 1 if shared else classes
    index = anchor if shared else element
    rects = take_rows(write, as_float(write, boxes), index, batch, anchors * per_anchor, 4, rows)
    corners = _decoded(facts, write, rects, anchor, batch, anchors, rows)
    limit = facts.integer("max_output_boxes", 100)
    label_float = write.op("Cast", label, to=TensorProto.FLOAT)
    kept = pick(
        write,
        top,
        corners,
        batch=batch,
        groups=1,
        rows=rows,
        count=limit,
        overlap=Overlap(facts.number("iou_threshold", 0.5), inclusive=True),
        labels=None if facts.flag("class_agnostic", False) else label_float,
    )
    count, box, score, kind_of_object = facts.outputs
    give(write, kept.number(write), count, TensorProto.INT32)
    give(write, kept.take_boxes(write, corners, batch, rows, limit), box, kind)
    final = write.op("Sigmoid", kept.score) if facts.flag("score_activation", False) else kept.score
    give(write, kept.fill(write, final, 0.0), score, kind)
    give(write, kept.take(write, label_float, 0.0), kind_of_object, TensorProto.INT32)


def _candidates(facts: Node, write: GraphWriter, scores: str, anchors: int, classes: int) -> tuple[str, str, str, str]:
    """Scores of the best candidates (LOWEST below the threshold), their anchors, classes and both as one number."""
    background = facts.integer("background_class", -1)
    if 0 <= background < classes:
        ceiling = np.where(np.arange(classes) == background, LOWEST, -LOWEST)[None, None]
        scores = write.reshape(scores, [-1, anchors, classes])
        scores = write.op("Min", scores, write.constant(ceiling, np.float32))
    top, element = best(write, write.reshape(scores, [-1, anchors * classes]), CANDIDATES, anchors * classes)
    threshold = np.float32(facts.number("score_threshold", 0.25))
    if facts.flag("score_activation", False):
        threshold = np.log(threshold / (np.float32(1) - threshold)) if threshold > 0 else np.float32(-32768)
    enough = at_least(write, top, write.constant(threshold, np.float32))
    top = write.op("Where", enough, top, write.constant(LOWEST, np.float32))
    anchor = write.op("Div", element, write.constant(classes))
    label = write.op("Sub", element, write.op("Mul", anchor, write.constant(classes)))
    return top, anchor, label, element


def _decoded(facts: Node, write: GraphWriter, boxes: str, anchor: str, batch: Size, anchors: int, rows: int) -> str:
    """Corners of the candidates' boxes [N, rows, 4]."""
    coding = facts.integer("box_coding", 0)
    if coding not in (0, 1):
        raise facts.error(f"box_coding {coding}; expected 0 (corners) or 1 (centre and size)")
    if len(facts.inputs) == 3:
        table = as_float(write, facts.inputs[2])
        if write.size(facts.inputs[2], 0) == 1:
            base = write.op("Gather", write.reshape(table, [-1, 4]), anchor, axis=0)
        else:
            base = take_rows(write, table, anchor, batch, anchors, 4, rows)
        if coding == 0:
            return write.op("Add", _in_order(write, boxes), _in_order(write, base))
        place, size = _halves(write, boxes)
        base_place, base_size = _halves(write, base)
        place = write.op("Add", write.op("Mul", place, base_size), base_place)
        size = write.op("Mul", base_size, write.op("Exp", size))
    elif coding == 0:
        return boxes
    else:
        place, size = _halves(write, boxes)
    half = chain(write, "Mul", size, 0.5)
    return write.op("Concat", write.op("Sub", place, half), write.op("Add", place, half), axis=2)


def _halves(write: GraphWriter, boxes: str) -> tuple[str, str]:
    return write.slice(boxes, 2, 0, 2), write.slice(boxes, 2, 2, 4)


def _in_order(write: GraphWriter, boxes: str) -> str:
    one, other = _halves(write, boxes)
    return write.op("Concat", write.op("Min", one, other), write.op("Max", one, other), axis=2)
