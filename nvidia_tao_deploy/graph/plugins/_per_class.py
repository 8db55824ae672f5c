# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""What BatchedNMS and NMS (SSD) have in common: the best of each class, suppressed class by class, merged.

Per picture and class other than the background: scores > threshold, the topK best, suppression of overlaps > limit;
then all classes together, best first, keepTopK of them. Equal scores: the lower class, then the lower box, comes first,
as the plugins' stable sort has it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from nvidia_tao_deploy.graph.editing import GraphWriter, Size
from nvidia_tao_deploy.graph.plugins._suppression import Overlap, pick
from nvidia_tao_deploy.graph.plugins._tensors import LOWEST, Node, best, take_rows


@dataclass(frozen=True, slots=True)
class Detections:
    """Results, best first, with the plugins' fillers beyond the count.

    Attributes:
        number: float32 [batch, 1].
        boxes: float32 [batch, keep, 4], not clipped, zeros beyond.
        scores: float32 [batch, keep], zeros beyond.
        labels: float32 [batch, keep], -1 beyond.
        keep: the size of those axes.
    """

    number: str
    boxes: str
    scores: str
    labels: str
    keep: int


def detect(
    facts: Node,
    write: GraphWriter,
    boxes: str,
    scores: str,
    *,
    batch: Size,
    count: int,
    classes: int,
    shared: bool,
    threshold: str,
    overlap: Overlap,
) -> Detections:
    """Choose among boxes.

    Args:
        boxes: float32 corners, [batch, count, 4] when shared by all classes, else [batch, count, classes, 4].
        scores: float32 [batch, count, classes].
        threshold: name of the attribute with the least score.
    """
    keep, limit = facts.integer("keepTopK"), facts.integer("topK")
    if not 0 < keep <= limit:
        raise facts.error(
            f"keepTopK {keep} with topK {limit}: TensorRT's plugin returns nothing then",
            hint="Export the model with keepTopK between 1 and topK.",
        )
    rows = min(limit, count)
    by_class = write.op("Transpose", scores, perm=[0, 2, 1])
    top, index = best(write, write.reshape(by_class, [-1, count]), rows, count)  # [batch * classes, rows]
    enough = write.op("Greater", top, write.constant(facts.number(threshold), np.float32))
    top = write.reshape(write.op("Where", enough, top, write.constant(LOWEST, np.float32)), [-1, classes, rows])
    background = facts.integer("backgroundLabelId", -1)
    if 0 <= background < classes:
        ceiling = np.where(np.arange(classes) == background, LOWEST, -LOWEST)[None, :, None]
        top = write.op("Min", top, write.constant(ceiling, np.float32))
    index = write.reshape(index, [-1, classes, rows])
    if not shared:
        numbers = write.constant(np.arange(classes)[None, :, None])
        index = write.op("Add", write.op("Mul", index, write.constant(classes)), numbers)
    index = write.reshape(index, [-1, classes * rows])
    table = count if shared else count * classes
    rects = take_rows(write, boxes, index, batch, table, 4, classes * rows)
    kept = pick(
        write,
        write.reshape(top, [-1, classes * rows]),
        rects,
        batch=batch,
        groups=classes,
        rows=rows,
        count=keep,
        overlap=overlap,
    )
    label = write.op("Cast", write.op("Div", kept.place, write.constant(rows)), to=TensorProto.FLOAT)
    return Detections(
        number=kept.number(write),
        boxes=kept.take_boxes(write, rects, batch, classes * rows, keep),
        scores=kept.fill(write, kept.score, 0.0),
        labels=kept.fill(write, label, -1.0),
        keep=keep,
    )


def caffe_overlap(threshold: float, normalised: bool, caffe: bool = True) -> Overlap:
    """Overlap as Caffe's SSD defines it: pixels count one more than their distance unless coordinates are 0..1."""
    if normalised:
        return Overlap(threshold)
    return Overlap(threshold, size_offset=1.0, cut_offset=1.0 if caffe else 0.0, apart="zero")
