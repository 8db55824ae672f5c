# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Sampling regions of interest from a feature pyramid, each from the level that suits its size.

All levels stand in one table of positions, so that a region's level is nothing but an offset, and the four neighbours
of a sample are four lookups.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from nvidia_tao_deploy.graph.editing import GraphWriter, Size
from nvidia_tao_deploy.graph.plugins._tensors import Node, as_float, chain, count_up

OPSET = 13


@dataclass(frozen=True, slots=True)
class Pyramid:
    """Feature maps as one table.

    Attributes:
        rows: float32 [batch * positions, channels], picture by picture, level by level.
        positions: rows per picture.
        channels: size of a row.
        heights, widths, offsets: of each level; an offset counts rows.
        batch: number of pictures.
    """

    rows: str
    positions: int
    channels: int
    heights: list[int]
    widths: list[int]
    offsets: list[int]
    batch: Size


@dataclass(frozen=True, slots=True)
class Level:
    """The level of each region: number, height, width, offset, each int64 [batch, R, 1]."""

    number: str
    height: str
    width: str
    offset: str


def pyramid(facts: Node, write: GraphWriter, maps: list[str]) -> Pyramid:
    """Make the table of maps [batch, channels, height, width], finest first."""
    for name in maps:
        facts.rank(write, name, (4,))
    heights, widths = ([facts.static(write, name, axis, "the size of a map") for name in maps] for axis in (2, 3))
    channels = facts.static(write, maps[0], 1, "the number of channels")
    areas = [height * width for height, width in zip(heights, widths, strict=True)]
    tables = [
        write.reshape(as_float(write, name), [-1, channels, area]) for name, area in zip(maps, areas, strict=True)
    ]
    table = write.op("Transpose", write.op("Concat", *tables, axis=2), perm=[0, 2, 1])
    offsets = [sum(areas[:level]) for level in range(len(areas))]
    rows = write.reshape(table, [-1, channels])
    return Pyramid(rows, sum(areas), channels, heights, widths, offsets, write.size(maps[0], 0))


def level_of(write: GraphWriter, source: Pyramid, area: str, threshold: float) -> Level:
    """The first level for areas [batch, R, 1] up to the threshold, the next for up to four times that, and so on (Lin
    et al., "Feature Pyramid Networks for Object Detection", CVPR 2017, equation 1, written for areas)."""
    steps = np.float32(threshold) * np.float32(4) ** np.arange(len(source.heights) - 1, dtype=np.float32)
    above = write.op("Greater", area, write.constant(steps[None, None], np.float32))
    total = write.op("ReduceSum", write.op("Cast", above, to=TensorProto.FLOAT), write.constant([2]), keepdims=1)
    number = write.op("Cast", total, to=TensorProto.INT64)
    return Level(number, *(of_level(write, number, table) for table in (source.heights, source.widths, source.offsets)))


def of_level(write: GraphWriter, number: str, values: list[int] | list[float]) -> str:
    """The value for each region's level: int64 or float32, like the values."""
    dtype = np.int64 if all(isinstance(value, int) for value in values) else np.float32
    return write.op("Gather", write.constant(values, dtype), number, axis=0)


def sample(write: GraphWriter, source: Pyramid, level: Level, down: str, across: str) -> str:
    """Bilinear samples at rows `down` [batch, R, p] and columns `across` [batch, R, q], in pixels of the region's
    level and held inside it: [batch, R, p, q, channels]."""
    top, bottom, fall = _neighbours(write, down, level.height, 3)
    left, right, run = _neighbours(write, across, level.width, 2)
    picture = write.op(
        "Mul", write.reshape(count_up(write, source.batch), [-1, 1, 1]), write.constant(source.positions)
    )
    base = write.op("Unsqueeze", write.op("Add", level.offset, picture), write.constant([3]))
    width = write.op("Unsqueeze", level.width, write.constant([3]))
    rise, rest = (chain(write, "Sub", chain(write, "Mul", share, -1.0), -1.0) for share in (fall, run))

    def line(row: str) -> str:
        start = write.op("Add", base, write.op("Mul", row, width))
        one, other = (
            write.op("Gather", source.rows, write.op("Add", start, column), axis=0) for column in (left, right)
        )
        return write.op("Add", write.op("Mul", one, rest), write.op("Mul", other, run))

    return write.op("Add", write.op("Mul", line(top), rise), write.op("Mul", line(bottom), fall))


def _neighbours(write: GraphWriter, place: str, size: str, axis: int) -> tuple[str, str, str]:
    """Whole positions before and after, int64, with a further axis at `axis`; the second one's share, with two."""
    last = chain(write, "Sub", write.op("Cast", size, to=TensorProto.FLOAT), 1.0)
    zero = write.constant(0.0, np.float32)
    place = write.op("Where", write.op("Greater", place, zero), place, zero)  # 0 for NaN as well: it is no position
    place = write.op("Min", place, last)
    before = write.op("Floor", place)
    after = write.op("Min", chain(write, "Add", before, 1.0), last)
    share = write.op("Sub", place, before)
    before, after, share = (write.op("Unsqueeze", value, write.constant([axis])) for value in (before, after, share))
    whole = [write.op("Cast", value, to=TensorProto.INT64) for value in (before, after)]
    return whole[0], whole[1], write.op("Unsqueeze", share, write.constant([4]))
