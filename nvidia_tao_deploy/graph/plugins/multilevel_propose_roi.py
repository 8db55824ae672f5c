# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""MultilevelProposeROI_TRT: regions of interest of Mask R-CNN's region proposal network, over five pyramid levels.

Anchors are made here as in the plugin: level l has stride 2^l (l = 2 .. 6), centres at stride / 2 + i * stride inside
the picture, side 8 * stride, shapes (width, height) of (1, 1), (1.4, 0.7), (0.7, 1.4). In each level the best
prenms_topk with score >= fg_threshold are suppressed (overlap > iou_threshold); the keep_topk best of all levels are
the result, zeros beyond. The plugin compares score + 1 in float32, so scores below 6e-8 are dropped and close ones
tie: the better level position comes first.
"""

from __future__ import annotations

import numpy as np
import onnx

from nvidia_tao_deploy.engine.contract import DYNAMIC
from nvidia_tao_deploy.graph.editing import GraphWriter, Size
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
    full,
    give,
    take_rows,
)

OPS = ("MultilevelProposeROI_TRT",)
OPSET = 11
REPLACEMENT = "TopK, suppression loop"
FLOAT32 = True
ONE_PICTURE = True
LEVELS = range(2, 7)
SHAPES = ((1.0, 1.0), (1.4, 0.7), (0.7, 1.4))
ANCHOR_SCALE = 8


def rewrite(node: onnx.NodeProto, write: GraphWriter) -> None:
    """Inputs: for each level deltas [N, n, 4, 1] and foreground scores [N, n, 1, 1]. Output [N, keep_topk, 4] of
    y1, x1, y2, x2 in pixels."""
    facts = Node(node, (2 * len(LEVELS),), 1)
    keep, rows = facts.integer("keep_topk"), facts.integer("prenms_topk")
    _, height, width = (int(value) for value in facts.array("image_size", 3))
    batch = write.size(facts.inputs[0], 0)
    anchors = [level_anchors(level, height, width) for level in LEVELS]
    rows = min(rows, max(len(table) for table in anchors))
    scores, boxes = [], []
    for number, table in enumerate(anchors):
        deltas, values = facts.inputs[2 * number : 2 * number + 2]
        top, rects = _level(facts, write, deltas, values, table, batch, rows)
        boxes.append(decoded(write, rects[0], rects[1], (1.0, 1.0, 1.0, 1.0), height, width))
        scores.append(top)
        missing = rows - min(rows, len(table))
        if missing:
            scores[-1] = write.op("Concat", top, full(write, LOWEST, np.float32, batch, missing), axis=1)
            boxes[-1] = write.op("Concat", boxes[-1], full(write, 0.0, np.float32, batch, missing, 4), axis=1)
    score, rects_of_all = write.op("Concat", *scores, axis=1), write.op("Concat", *boxes, axis=1)
    kept = pick(
        write,
        score,
        rects_of_all,
        batch=batch,
        groups=len(LEVELS),
        rows=rows,
        count=keep,
        overlap=Overlap(facts.number("iou_threshold")),
    )
    give(write, kept.take_boxes(write, rects_of_all, batch, len(LEVELS) * rows, keep), node.output[0])


def level_anchors(level: int, height: int, width: int) -> np.ndarray:
    """Anchors y1, x1, y2, x2 of a level, float32 [n, 4], row by row, the shapes of a position together."""
    stride = 2**level
    down = np.arange(stride // 2, height, stride, dtype=np.float32)
    across = np.arange(stride // 2, width, stride, dtype=np.float32)
    y, x = np.meshgrid(down, across, indexing="ij")
    sides = np.float32(ANCHOR_SCALE * stride) * np.asarray(SHAPES, np.float32)
    half_w, half_h = sides[:, 0] / np.float32(2), sides[:, 1] / np.float32(2)
    y, x = y[..., None], x[..., None]
    return np.stack([y - half_h, x - half_w, y + half_h, x + half_w], axis=-1).reshape(-1, 4)


def _level(
    facts: Node, write: GraphWriter, deltas: str, scores: str, anchors: np.ndarray, batch: Size, rows: int
) -> tuple[str, tuple[str, str]]:
    """The best of a level: scores [N, k] (LOWEST where too low), their anchors and deltas [N, k, 4]."""
    count = len(anchors)
    known = write.reader.shape(scores)
    if known is not None and known[1] not in (DYNAMIC, count):
        raise facts.error(f"'{scores}' has {known[1]} scores; image_size makes {count} anchors")
    top, index = best(write, write.reshape(as_float(write, scores), [-1, count]), rows, count)
    enough = at_least(write, top, write.constant(facts.number("fg_threshold"), np.float32))
    rounded = clamp(write, chain(write, "Sub", chain(write, "Add", top, 1.0), 1.0), 0.0, 1.0)
    enough = write.op("And", enough, write.op("Greater", rounded, write.constant(0.0, np.float32)))
    value = write.op("Where", enough, rounded, write.constant(LOWEST, np.float32))
    table = write.constant(anchors, np.float32)
    chosen = take_rows(write, as_float(write, deltas), index, batch, count, 4, min(rows, count))
    return value, (write.op("Gather", table, index, axis=0), chosen)
