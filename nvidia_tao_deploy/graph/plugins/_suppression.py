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
        return write.reduce("ReduceSum", write.op("Cast", self.valid, to=TensorProto.FLOAT), 1)

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
    first = write.op("Mul", count_up(write, batch), write.constant(groups)) if batch != 1 else ""
    turn = _Turn(_tables(write, boxes, rows, overlap, labels), first, groups, rows, count, overlap)
    states = [
        State(write.reshape(scores, [-1, rows]), TensorProto.FLOAT, (None, rows)),
        State(full(write, 0, np.int64, batch, count), TensorProto.INT64, (None, count)),
        State(full(write, LOWEST, np.float32, batch, count), TensorProto.FLOAT, (None, count)),
    ]
    if groups > 1:
        heads = write.reduce("ReduceMax", write.reshape(scores, [-1, groups, rows]), 2, keep=False)
        states.append(State(heads, TensorProto.FLOAT, (None, groups)))
    final = loop(write, count, states, turn.step)
    score = with_all_read(write, final[2], [final[0], *final[3:]], TensorProto.FLOAT)
    score = write.reshape(score, [-1, count])
    valid = write.op("Greater", score, write.constant(FLOOR, np.float32))
    return Picks(write.reshape(final[1], [-1, count]), score, valid)


@dataclass(frozen=True, slots=True)
class Table:
    """A fact about boxes, twice: rows [batch * groups, n, rows] and one by one [batch * groups * rows, n, 1]."""

    rows: str
    cells: str


@dataclass(frozen=True, slots=True)
class _Turn:
    """What one turn of the loop needs from outside.

    Attributes:
        tables: of the boxes.
        first: number of each picture's first group, int64 [batch, 1]; "" for one picture.
    """

    tables: list[Table]
    first: str
    groups: int
    rows: int
    count: int
    overlap: Overlap

    def step(self, body: GraphWriter, turn: str, now: list[str]) -> tuple[str, list[str]]:
        """States: scores of what is left [batch * groups, rows], places and scores of what was kept [batch, count] and,
        with several groups, the best score left in each [batch, groups]."""
        left, place, score, *heads = now
        group, number = self._best_group(body, heads)
        index = body.reshape(number, [-1]) if group else ""
        row, *own = [
            body.op("Gather", table, index, axis=0) if group else table
            for table in (left, *(table.rows for table in self.tables))
        ]
        top, position = body.ops("TopK", 2, row, body.constant([1]), axis=1)  # [batch, 1]
        cell = body.op("Add", body.op("Mul", number, body.constant(self.rows)), position) if number else position
        chosen = [body.op("Gather", table.cells, body.reshape(cell, [-1]), axis=0) for table in self.tables]
        gone = _suppressed(body, list(zip(own, chosen, strict=True)), position, self.rows, self.overlap)
        rest = body.op("Where", gone, body.constant(LOWEST, np.float32), row)
        if group:
            position = body.op("Add", body.op("Mul", group, body.constant(self.rows)), position)
        slot = body.op("Equal", body.constant(np.arange(self.count)[None]), turn)
        after = [
            body.op("ScatterND", left, number, rest) if group else rest,
            body.op("Where", slot, position, place),
            body.op("Where", slot, top, score),
        ]
        if group:
            here = body.op("Equal", body.constant(np.arange(self.groups)[None]), group)
            after.append(body.op("Where", here, body.reduce("ReduceMax", rest, 1), heads[0]))
        found = body.op("Greater", body.op("ReduceMax", top, keepdims=0), body.constant(FLOOR, np.float32))
        return found, after

    def _best_group(self, body: GraphWriter, heads: list[str]) -> tuple[str, str]:
        """The group with the best score left, counted within the picture ("" for one group) and over all pictures (""
        for one group of one picture); int64 [batch, 1]."""
        if not heads:
            return "", self.first
        _, group = body.ops("TopK", 2, heads[0], body.constant([1]), axis=1)
        return group, body.op("Add", group, self.first) if self.first else group


def _tables(write: GraphWriter, boxes: str, rows: int, overlap: Overlap, labels: str | None) -> list[Table]:
    """Low corners (n = 2), high corners (2), areas (1) and perhaps labels (1) of the boxes."""
    flat = write.reshape(boxes, [-1, 4])
    one, other = write.slice(flat, 1, 0, 2), write.slice(flat, 1, 2, 4)
    low, high = write.op("Min", one, other), write.op("Max", one, other)
    size = write.op("Sub", high, low)
    if overlap.size_offset:
        size = write.op("Add", size, write.constant(overlap.size_offset, np.float32))
    area = write.op("Mul", write.slice(size, 1, 0, 1), write.slice(size, 1, 1, 2))
    tables = []
    for table, width in ((low, 2), (high, 2), (area, 1), *([(labels, 1)] if labels else [])):
        by_row = write.op("Transpose", write.reshape(table, [-1, rows, width]), perm=[0, 2, 1])
        tables.append(Table(by_row, write.reshape(table, [-1, width, 1])))
    return tables


def _suppressed(write: GraphWriter, facts: list[tuple[str, str]], position: str, rows: int, overlap: Overlap) -> str:
    """Which boxes of a row the one at `position` [batch, 1] removes, itself included: bool [batch, rows].

    `facts` are those of `_tables`: of the row [batch, n, rows] and of the one box [batch, n, 1].
    """
    low, high, areas, *labels = facts
    cut = write.op("Sub", write.op("Min", *high), write.op("Max", *low))  # [batch, 2, rows]
    if overlap.apart == "zero":
        apart = write.op("Less", write.reduce("ReduceMin", cut, 1), write.constant(0.0, np.float32))
        cut = write.op("Where", apart, write.constant(0.0, np.float32), cut)
    if overlap.cut_offset:
        cut = write.op("Add", cut, write.constant(overlap.cut_offset, np.float32))
    common = write.reduce("ReduceProd", write.op("Relu", cut), 1)  # [batch, 1, rows]
    union = write.op("Sub", write.op("Add", *areas), common)
    ratio = write.op("Div", common, write.op("Max", union, write.constant(SMALLEST, np.float32)))
    threshold = write.constant(overlap.threshold, np.float32)
    over = at_least(write, ratio, threshold) if overlap.inclusive else write.op("Greater", ratio, threshold)
    for own, other in labels:
        over = write.op("And", over, write.op("Equal", own, other))
    itself = write.op("Equal", write.constant(np.arange(rows)[None]), position)
    return write.op("Or", write.reshape(over, [-1, rows]), itself)
