# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""ProposalDynamic: regions of interest of Faster R-CNN's region proposal network.

Anchor a at cell (row, column): size s = anchor_sizes[a // ratios], ratio r = sqrt(anchor_ratios[a % ratios]) (the
plugin takes the square root), width s * r, height s / r, centre at (cell + 0.5) * rpn_stride. Boxes are clipped to
the picture; those with a side <= roi_min_size come last. The best pre_nms_top_n are looked at; overlaps count pixels
(side = distance + 1). Rois are [y1, x1, y2, x2] divided by (height - 1, width - 1); missing ones are zero.
"""

from __future__ import annotations

import numpy as np
import onnx

from nvidia_tao_deploy.graph.editing import GraphWriter
from nvidia_tao_deploy.graph.plugins._suppression import Overlap, pick
from nvidia_tao_deploy.graph.plugins._tensors import Node, as_float, best, chain, full, give, take_rows

OPS = ("ProposalDynamic",)
OPSET = 11
REPLACEMENT = "TopK, suppression loop"
FLOAT32 = True
SMALL = -1.0e37
"""Score of boxes that are too small: behind all others, but still candidates, as in the plugin."""


def rewrite(node: onnx.NodeProto, write: GraphWriter) -> None:
    """Inputs: scores [N, A, h, w], offsets [N, 4 * A, h, w] (x, y, w, h). Output [N, post_nms_top_n, 4, 1]."""
    facts = Node(node, (2,), 1)
    scores, offsets = facts.inputs
    facts.rank(write, scores, (4,))
    count, height, width = (facts.static(write, scores, axis, f"axis {axis} of the scores") for axis in (1, 2, 3))
    anchors = _anchors(facts, height, width)
    if len(anchors) != count:
        raise facts.error(f"scores of {count} anchors, but anchor_sizes and anchor_ratios make {len(anchors)}")
    batch = write.size(scores, 0)
    total = count * height * width
    boxes, small = _boxes(facts, write, as_float(write, offsets), anchors)  # [N, 4, total], [N, total]
    flat = write.reshape(as_float(write, scores), [-1, total])
    flat = write.op("Where", small, write.constant(SMALL, np.float32), flat)
    rows = min(facts.integer("pre_nms_top_n"), total)
    keep = facts.integer("post_nms_top_n")
    _, index = best(write, flat, rows, total)
    rects = take_rows(write, write.op("Transpose", boxes, perm=[0, 2, 1]), index, batch, total, 4, rows)
    rank = write.op(
        "Add", full(write, 0.0, np.float32, batch, 1), write.constant(np.arange(rows, 0, -1)[None], np.float32)
    )
    overlap = Overlap(facts.number("nms_iou_threshold"), size_offset=1.0, cut_offset=1.0)
    kept = pick(write, rank, rects, batch=batch, groups=1, rows=rows, count=keep, overlap=overlap)
    chosen = kept.take_boxes(write, rects, batch, rows, keep)
    chosen = write.op("Gather", chosen, write.constant([1, 0, 3, 2]), axis=2)
    scale = np.array([facts.integer("input_height") - 1, facts.integer("input_width") - 1] * 2, np.float32)
    give(
        write,
        write.reshape(write.op("Div", chosen, write.constant(scale, np.float32)), [-1, keep, 4, 1]),
        node.output[0],
    )


def _anchors(facts: Node, height: int, width: int) -> np.ndarray:
    """(centre x, centre y, width, height) of each anchor: float32 [A, 4, h * w]."""
    stride = np.float32(facts.integer("rpn_stride"))
    across, down = (
        (np.arange(width, dtype=np.float32) + 0.5) * stride,
        (np.arange(height, dtype=np.float32) + 0.5) * stride,
    )
    x, y = np.meshgrid(across, down)
    ratios = np.sqrt(facts.array("anchor_ratios"))
    shapes = [(size * ratio, size / ratio) for size in facts.array("anchor_sizes") for ratio in ratios]
    return np.stack(
        [np.stack([x.ravel(), y.ravel(), np.full(x.size, wide), np.full(x.size, high)]) for wide, high in shapes]
    ).astype(np.float32)


def _boxes(facts: Node, write: GraphWriter, offsets: str, anchors: np.ndarray) -> tuple[str, str]:
    """x1, y1, x2, y2 inside the picture [N, 4, A * h * w], and which are too small [N, A * h * w]."""
    count, _, cells = anchors.shape
    parts = write.reshape(offsets, [-1, count, 4, cells])
    place, size = write.constant(anchors[None, :, :2], np.float32), write.constant(anchors[None, :, 2:], np.float32)
    centre = write.op("Add", place, write.op("Mul", size, write.slice(parts, 2, 0, 2)))
    side = write.op("Mul", write.op("Exp", write.slice(parts, 2, 2, 4)), size)
    low = write.op("Sub", centre, chain(write, "Mul", side, 0.5))
    high = write.op("Add", side, low)
    edge = np.array([facts.integer("input_width") - 1, facts.integer("input_height") - 1], np.float32)
    limit = write.constant(edge[None, None, :, None], np.float32)
    low, high = (write.op("Min", write.op("Relu", corner), limit) for corner in (low, high))
    extent = write.op("Sub", high, low)
    least = write.constant(facts.number("roi_min_size"), np.float32)
    small = write.op("Not", write.op("Greater", extent, least))  # [N, A, 2, cells]
    either = write.op("Or", write.slice(small, 2, 0, 1), write.slice(small, 2, 1, 2))
    corners = write.op("Transpose", write.op("Concat", low, high, axis=2), perm=[0, 2, 1, 3])
    return write.reshape(corners, [-1, 4, count * cells]), write.reshape(either, [-1, count * cells])
