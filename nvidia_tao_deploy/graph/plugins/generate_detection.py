# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""GenerateDetection_TRT: the final detections of Mask R-CNN.

Each region gets its best class other than the background (0), and that class's box. Those with score >= score_threshold
are suppressed class by class (overlap > iou_threshold); the keep_topk best with score > 0.01 are the result, the rest
rows of zeros with class -1.

The plugin sorts by one number per region, (classes - class - 1) * 2.5 + score + 1 in float32, and reads the score back
from it, so scores come out rounded (to 1.5e-5 with 91 classes). That is reproduced, as are the ties it makes.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto

from nvidia_tao_deploy.graph.editing import GraphWriter
from nvidia_tao_deploy.graph.plugins._mask_rcnn import decoded
from nvidia_tao_deploy.graph.plugins._suppression import Overlap, pick
from nvidia_tao_deploy.graph.plugins._tensors import (
    LOWEST,
    Node,
    as_float,
    at_least,
    best,
    chain,
    clamp,
    give,
    take_rows,
)

OPS = ("GenerateDetection_TRT",)
OPSET = 11
REPLACEMENT = "ArgMax, TopK, suppression loop"
FLOAT32 = True
ONE_PICTURE = True
WEIGHTS = (10.0, 10.0, 5.0, 5.0)
LEAST_SCORE = 0.01
CLASS_STEP = 2.5
THREADS = 256
"""Equal scores come in the order in which this many threads of the plugin hold them."""


def rewrite(node: onnx.NodeProto, write: GraphWriter) -> None:
    """Inputs: deltas [N, R, 4 * classes, 1, 1], scores [N, R, classes, 1, 1], rois [N, R, 4] in pixels.
    Output [N, keep_topk, 6]: y1, x1, y2, x2, class, score."""
    facts = Node(node, (3,), 1)
    deltas, scores, rois = facts.inputs
    classes, keep = facts.integer("num_classes"), facts.integer("keep_topk")
    count = facts.static(write, rois, 1, "the number of regions")
    if classes < 2:
        raise facts.error(f"num_classes {classes}; expected at least 2, the background included")
    batch = write.size(rois, 0)
    _, height, width = (int(value) for value in facts.array("image_size", 3))
    score, label = _best_class(write, as_float(write, scores), count, classes)  # [N, R] each
    index = write.op("Add", write.constant(np.arange(count)[None] * classes), label)
    chosen = take_rows(write, as_float(write, deltas), index, batch, count * classes, 4, count)
    boxes = decoded(write, as_float(write, rois), chosen, WEIGHTS, height, width)
    key = _keys(facts, write, score, label, classes)
    key, order = best(write, key, count, count)  # by class, then by score
    score, label = _read_back(write, key, classes)
    boxes = take_rows(write, boxes, order, batch, count, 4, count)
    places = np.arange(count)
    held = places[np.lexsort((places // THREADS, places % THREADS))]
    score, label = (write.op("Gather", values, write.constant(held), axis=1) for values in (score, label))
    boxes = write.op("Gather", boxes, write.constant(held), axis=1)
    enough = write.op("Greater", score, write.constant(LEAST_SCORE, np.float32))
    score = write.op("Where", enough, score, write.constant(LOWEST, np.float32))
    overlap = Overlap(facts.number("iou_threshold"))
    kept = pick(write, score, boxes, batch=batch, groups=1, rows=count, count=keep, overlap=overlap, labels=label)
    columns = [kept.take(write, label, -1.0), kept.fill(write, kept.score, 0.0)]
    parts = [
        kept.take_boxes(write, boxes, batch, count, keep),
        *(write.reshape(part, [-1, keep, 1]) for part in columns),
    ]
    give(write, write.op("Concat", *parts, axis=2), node.output[0])


def _best_class(write: GraphWriter, scores: str, count: int, classes: int) -> tuple[str, str]:
    """Score and number of each region's best class other than 0."""
    foreground = write.slice(write.reshape(scores, [-1, classes]), 1, 1, classes)
    top, place = write.ops("TopK", 2, foreground, write.constant([1]), axis=1)
    label = write.op("Add", place, write.constant(1))
    return write.reshape(top, [-1, count]), write.reshape(label, [-1, count])


def _keys(facts: Node, write: GraphWriter, score: str, label: str, classes: int) -> str:
    """The plugin's sort key; LOWEST for what is no candidate."""
    rank = chain(write, "Mul", write.op("Cast", label, to=TensorProto.FLOAT), -1.0)
    key = chain(write, "Mul", chain(write, "Add", rank, float(classes - 1)), CLASS_STEP)
    key = chain(write, "Add", write.op("Add", key, score), 1.0)
    enough = write.op(
        "And",
        at_least(write, score, write.constant(facts.number("score_threshold"), np.float32)),
        write.op("Greater", score, write.constant(0.0, np.float32)),
    )
    return write.op("Where", enough, key, write.constant(LOWEST, np.float32))


def _read_back(write: GraphWriter, key: str, classes: int) -> tuple[str, str]:
    """Score and class (float32) from a key; score 0 where there was no candidate."""
    key = write.op("Relu", key)
    step = write.op("Floor", chain(write, "Div", key, CLASS_STEP))
    score = chain(write, "Sub", write.op("Sub", key, chain(write, "Mul", step, CLASS_STEP)), 1.0)
    label = chain(write, "Add", chain(write, "Mul", step, -1.0), float(classes - 1))
    return clamp(write, score, 0.0, 1.0), label
