# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Greedy non-maximum suppression as a loop over what is kept, for every backend.

Turn i takes the best candidate that is left and removes what overlaps it. That is the textbook procedure (sort by
score, keep a box unless a kept one of its group overlaps it too much), but the work goes with the number of boxes that
are kept, not with that of candidates, and every turn is a few operations on whole rows. ONNX's own NonMaxSuppression
is not used: TensorRT RTX has no implementation of it, it knows one kind of overlap only (the plugins have five), and
with many classes this loop is faster (benchmarks/plugin_rewrites.py).

Candidates stand in groups (classes, pyramid levels), and only boxes of one group suppress each other, so a turn
touches one group: K boxes, not G * K.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from nvidia_tao_deploy.graph.editing import GraphWriter, Size
from nvidia_tao_deploy.graph.plugins._tensors import (
    FLOOR,
    LOWEST,
    State,
    at_least,
    count_up,
    full,
    loop,
    reduce,
    sizes,
    take,
    take_rows,
    with_all_read,
)

SMALLEST = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True, slots=True)
class Overlap:
    """When one box suppresses another: intersection over union above a threshold.

    Attributes:
        threshold: the limit.
        inclusive: an overlap equal to the threshold suppresses too.
        size_offset: added to width and height for a box's area: 1 where coordinates are whole pixels.
        cut_offset: the same for the intersection.
        apart: what width and height of the intersection are before `cut_offset` where the boxes do not touch:
            "signed" the negative gap (the result is held at 0), "zero" 0 on both axes, as in Caffe's SSD.
    """

    threshold: float
    inclusive: bool = False
    size_offset: float = 0.0
    cut_offset: float = 0.0
    apart: str = "signed"


@dataclass(frozen=True, slots=True)
class Picks:
    """What was kept, best first.

    Attributes:
        place: int64 [batch, count], group * K + position in the group; 0 where nothing was left.
        score: float32 [batch, count]; LOWEST where nothing was left.
        valid: bool [batch, count].
    """

    place: str
    score: str
    valid: str

    def number(self, write: GraphWriter) -> str:
        """How many were kept, float32 [batch, 1]."""
        return reduce(write, "ReduceSum", write.op("Cast", self.valid, to=TensorProto.FLOAT), 1)

    def take(self, write: GraphWriter, values: str, filler: float) -> str:
        """values [batch, G * K] of what was kept, and `filler` beyond: [batch, count]."""
        return self.fill(write, take(write, values, self.place), filler)

    def take_boxes(self, write: GraphWriter, boxes: str, batch: Size, rows: int, count: int) -> str:
        """boxes [batch, G * K, 4] of what was kept, and zeros beyond: [batch, count, 4]."""
        kept = take_rows(write, boxes, self.place, batch, rows, 4, count)
        return write.op("Where", write.reshape(self.valid, [-1, count, 1]), kept, write.constant(0.0, np.float32))

    def fill(self, write: GraphWriter, values: str, filler: float) -> str:
        """values [batch, count] where something was kept, and `filler` beyond."""
        return write.op("Where", self.valid, values, write.constant(filler, np.float32))


def pick(
    write: GraphWriter,
    scores: str,
    boxes: str,
    *,
    batch: Size,
    groups: int,
    rows: int,
    count: int,
    overlap: Overlap,
    labels: str | None = None,
) -> Picks:
    """Keep up to `count` boxes of each picture.

    Args:
        scores: float32 [batch, groups * rows]; LOWEST where there is no candidate. Equal scores: the first wins.
        boxes: float32 [batch, groups * rows, 4], two opposite corners (x, y, x, y or y, x, y, x).
        groups, rows: only boxes of the same group suppress each other.
        labels: float32 [batch, rows], for one group: only boxes with equal labels suppress each other.
    """
    table = _table(write, boxes, groups, rows, overlap, labels)  # [batch * groups, width, rows]
    width = 6 if labels else 5
    alive = write.reshape(scores, [-1, rows])
    heads, first_row = None, ""
    if groups > 1:
        heads = reduce(write, "ReduceMax", write.reshape(scores, [-1, groups, rows]), 2, keep=False)
        if batch != 1:
            first_row = write.op("Mul", count_up(write, batch), write.constant(groups))
    states = [
        State(alive, TensorProto.FLOAT, (None, rows)),
        State(full(write, 0, np.int64, batch, count), TensorProto.INT64, (None, count)),
        State(full(write, LOWEST, np.float32, batch, count), TensorProto.FLOAT, (None, count)),
    ]
    if heads is not None:
        states.append(State(heads, TensorProto.FLOAT, (None, groups)))
    slots = write.constant(np.arange(count)[None])

    def step(body: GraphWriter, turn: str, now: list[str]) -> tuple[str, list[str]]:
        left, place, score = now[:3]
        if heads is None:
            row, own = left, table
        else:
            _, group = body.ops("TopK", 2, now[3], body.constant([1]), axis=1)  # [batch, 1]
            number = group if batch == 1 else body.op("Add", group, first_row)
            index = body.reshape(number, [-1])
            row, own = body.op("Gather", left, index, axis=0), body.op("Gather", table, index, axis=0)
        top, position = body.ops("TopK", 2, row, body.constant([1]), axis=1)  # [batch, 1]
        gone = _suppressed(body, own, position, rows, width, overlap)
        rest = body.op("Where", gone, body.constant(LOWEST, np.float32), row)
        slot = body.op("Equal", slots, turn)
        absolute = position
        results = []
        if heads is None:
            results.append(rest)
        else:
            absolute = body.op("Add", body.op("Mul", group, body.constant(rows)), position)
            results.append(body.op("ScatterND", left, number, rest))
        results.append(body.op("Where", slot, absolute, place))
        results.append(body.op("Where", slot, top, score))
        if heads is not None:
            here = body.op("Equal", body.constant(np.arange(groups)[None]), group)
            results.append(body.op("Where", here, reduce(body, "ReduceMax", rest, 1), now[3]))
        best = body.op("ReduceMax", top, keepdims=0)
        return body.op("Greater", best, body.constant(FLOOR, np.float32)), results

    final = loop(write, count, states, step)
    score = with_all_read(write, final[2], [final[0], *final[3:]], TensorProto.FLOAT)
    score = write.reshape(score, [-1, count])
    valid = write.op("Greater", score, write.constant(FLOOR, np.float32))
    return Picks(write.reshape(final[1], [-1, count]), score, valid)


def _table(write: GraphWriter, boxes: str, groups: int, rows: int, overlap: Overlap, labels: str | None) -> str:
    """Low corners, high corners, areas and perhaps labels of the boxes: [batch * groups, 5 or 6, rows]."""
    columns = write.op("Transpose", write.reshape(boxes, [-1, rows, 4]), perm=[0, 2, 1])
    one, other = write.slice(columns, 1, 0, 2), write.slice(columns, 1, 2, 4)
    low, high = write.op("Min", one, other), write.op("Max", one, other)
    size = write.op("Sub", high, low)
    if overlap.size_offset:
        size = write.op("Add", size, write.constant(overlap.size_offset, np.float32))
    area = write.op("Mul", write.slice(size, 1, 0, 1), write.slice(size, 1, 1, 2))
    parts = [low, high, area]
    if labels is not None:
        parts.append(write.reshape(labels, [-1, 1, rows]))
    return write.op("Concat", *parts, axis=1)


def _suppressed(write: GraphWriter, table: str, position: str, rows: int, width: int, overlap: Overlap) -> str:
    """Which boxes of a row the one at `position` [batch, 1] removes, itself included: bool [batch, rows]."""
    index = write.op("Tile", write.reshape(position, [-1, 1, 1]), sizes(write, 1, width, 1))
    chosen = write.op("GatherElements", table, index, axis=2)  # [batch, width, 1]

    def part(start: int, stop: int) -> tuple[str, str]:
        return write.slice(table, 1, start, stop), write.slice(chosen, 1, start, stop)

    cut = write.op("Sub", write.op("Min", *part(2, 4)), write.op("Max", *part(0, 2)))  # [batch, 2, rows]
    if overlap.apart == "zero":
        apart = write.op("Less", reduce(write, "ReduceMin", cut, 1), write.constant(0.0, np.float32))
        cut = write.op("Where", apart, write.constant(0.0, np.float32), cut)
    if overlap.cut_offset:
        cut = write.op("Add", cut, write.constant(overlap.cut_offset, np.float32))
    cut = write.op("Relu", cut)
    common = write.op("Mul", write.slice(cut, 1, 0, 1), write.slice(cut, 1, 1, 2))  # [batch, 1, rows]
    union = write.op("Sub", write.op("Add", *part(4, 5)), common)
    ratio = write.op("Div", common, write.op("Max", union, write.constant(SMALLEST, np.float32)))
    threshold = write.constant(overlap.threshold, np.float32)
    over = at_least(write, ratio, threshold) if overlap.inclusive else write.op("Greater", ratio, threshold)
    if width == 6:
        over = write.op("And", over, write.op("Equal", *part(5, 6)))
    itself = write.op("Equal", write.constant(np.arange(rows)[None]), position)
    return write.op("Or", write.reshape(over, [-1, rows]), itself)
