# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""DecodeBbox3DPlugin: boxes of PointPillars' anchors (Lang et al., CVPR 2019; box coding of SECOND).

Anchor a (of 2 per class: two headings) of a cell lies at x0 + column * (x1 - x0) / (W - 1), likewise y, with its
bottom at anchor_bottom_height. The plugin writes boxes in the order in which its threads come by; here they are in
the order of cells, then of anchors. Rows beyond the count are zero.
"""

from __future__ import annotations

import math

import numpy as np
import onnx
from onnx import TensorProto

from nvidia_tao_deploy.graph.editing import GraphWriter
from nvidia_tao_deploy.graph.plugins._tensors import Node, as_float, at_least, chain, count_up, full, give

OPS = ("DecodeBbox3DPlugin",)
OPSET = 11
REPLACEMENT = "arithmetic, CumSum, ScatterND"
FLOAT32 = True
COLUMNS = 9
"""x, y, z, dx, dy, dz, heading, class, score"""


def rewrite(node: onnx.NodeProto, write: GraphWriter) -> None:
    """Inputs: class logits [N, H, W, A * K], box offsets [N, H, W, A * 7], heading logits [N, H, W, A * 2], A = 2 * K.
    Outputs: boxes [N, H * W * A, 9], their number int32 [N]."""
    facts = Node(node, (3,), 2)
    logits, offsets, headings = (as_float(write, name) for name in facts.inputs)
    shape = facts.inputs[0]
    facts.rank(write, shape, (4,))
    height, width = (facts.static(write, shape, axis, "the size of the map") for axis in (1, 2))
    bottoms = facts.array("anchor_bottom_height")
    classes, per_cell = len(bottoms), 2 * len(bottoms)
    total = height * width * per_cell
    score, label = _best_class(write, write.reshape(logits, [-1, classes]), total)  # [N, total, 1] each
    anchors = _anchors(facts, bottoms, height, width)
    boxes = _boxes(
        facts, write, write.reshape(offsets, [-1, total, 7]), write.reshape(headings, [-1, total, 2]), anchors
    )
    rows = write.op("Concat", *boxes, label, score, axis=2)
    keep = at_least(write, score, write.constant(facts.number("score_thresh"), np.float32))
    packed, number = _packed(write, rows, write.reshape(keep, [-1, total]), write.size(shape, 0), total)
    give(write, packed, facts.outputs[0])
    give(write, number, facts.outputs[1], TensorProto.INT32)


def _anchors(facts: Node, bottoms: np.ndarray, height: int, width: int) -> np.ndarray:
    """x, y, z, dx, dy, dz, heading of every anchor, float32 [H * W * A, 7]."""
    shapes = facts.array("anchors", 8 * len(bottoms)).reshape(-1, 4)
    x0, y0, _, x1, y1, _ = facts.array("point_cloud_range", 6)
    across = x0 + np.arange(width, dtype=np.float32) * (x1 - x0) / np.float32(width - 1)
    down = y0 + np.arange(height, dtype=np.float32) * (y1 - y0) / np.float32(height - 1)
    table = np.zeros((height, width, len(shapes), 7), np.float32)
    table[..., 0], table[..., 1] = across[None, :, None], down[:, None, None]
    table[..., 2] = shapes[:, 2] / np.float32(2) + np.repeat(bottoms, 2)
    table[..., 3:] = shapes
    return table.reshape(-1, 7)


def _best_class(write: GraphWriter, logits: str, total: int) -> tuple[str, str]:
    top, label = write.ops("TopK", 2, write.op("Sigmoid", logits), write.constant([1]), axis=1)
    label = write.op("Cast", label, to=TensorProto.FLOAT)
    return write.reshape(top, [-1, total, 1]), write.reshape(label, [-1, total, 1])


def _boxes(facts: Node, write: GraphWriter, offsets: str, headings: str, anchors: np.ndarray) -> list[str]:
    """Place, size and heading: [N, total, 3], [N, total, 3], [N, total, 1]."""
    place, size, turn = anchors[:, :3], anchors[:, 3:6], anchors[:, 6:]
    diagonal = np.sqrt(size[:, :1] ** 2 + size[:, 1:2] ** 2)
    scale = np.concatenate([diagonal, diagonal, size[:, 2:]], axis=1)
    moved = write.op("Mul", write.slice(offsets, 2, 0, 3), write.constant(scale[None], np.float32))
    moved = write.op("Add", moved, write.constant(place[None], np.float32))
    grown = write.op("Exp", write.slice(offsets, 2, 3, 6))
    grown = write.op("Mul", grown, write.constant(size[None], np.float32))
    turned = write.op("Add", write.slice(offsets, 2, 6, 7), write.constant(turn[None], np.float32))
    first = write.op("Greater", write.slice(headings, 2, 0, 1), write.slice(headings, 2, 1, 2))
    half = write.op("Cast", write.op("Not", first), to=TensorProto.FLOAT)
    offset = facts.number("dir_offset")
    period = float(np.float32(2 * math.pi) / np.float32(facts.integer("num_dir_bins")))
    angle = chain(write, "Sub", turned, offset)
    turns = write.op("Floor", chain(write, "Add", chain(write, "Div", angle, period), facts.number("dir_limit_offset")))
    angle = chain(write, "Add", write.op("Sub", angle, chain(write, "Mul", turns, period)), offset)
    return [moved, grown, write.op("Add", angle, chain(write, "Mul", half, period))]


def _packed(write: GraphWriter, rows: str, keep: str, batch: int | str, total: int) -> tuple[str, str]:
    """The rows [N, total, 9] to keep [N, total] moved to the front, zeros behind, and their number [N]."""
    kept = write.op("Cast", keep, to=TensorProto.FLOAT)
    place = chain(write, "Sub", write.op("CumSum", kept, write.constant(1)), 1.0)
    place = write.op("Where", keep, write.op("Cast", place, to=TensorProto.INT64), write.constant(total))
    first = write.op("Mul", count_up(write, batch), write.constant(total + 1))  # one more row takes the others
    index = write.reshape(write.op("Add", place, first), [-1, 1])
    empty = write.reshape(full(write, 0.0, np.float32, batch, total + 1, COLUMNS), [-1, COLUMNS])
    filled = write.op("ScatterND", empty, index, write.reshape(rows, [-1, COLUMNS]))
    table = write.slice(write.reshape(filled, [-1, total + 1, COLUMNS]), 1, 0, total)
    return table, write.reshape(write.reduce("ReduceSum", kept, 1), [-1])
