# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""VoxelGeneratorPlugin: points of a cloud gathered in pillars, with the features that PointPillars takes.

A point inside point_cloud_range belongs to cell (floor((x - x0) / sx), floor((y - y0) / sy)). Each cell that has
points is a pillar of up to max_num_points_per_voxel points. Features of a point: its own values, its distance from
the mean of the pillar's points, its distance from the pillar's centre; zeros where there is no point. The plugin
numbers pillars, and chooses among too many points or pillars, in the order in which its threads come by; here pillars
are numbered row by row, and the first points and pillars win (on ONNX Runtime; a GPU may choose other points, as the
plugin does).

Points find their place without sorting (TensorRT sorts 3840 values at most): every turn of a loop, all points that
have none yet write their number into their cell, and the one that is found there takes the turn's number as its
place.

With five values per point the plugin writes the last feature to a wrong place; this module writes it to its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto

from nvidia_tao_deploy.graph.editing import GraphWriter, Size
from nvidia_tao_deploy.graph.plugins._tensors import (
    Node,
    State,
    as_float,
    at_least,
    chain,
    count_up,
    full,
    give,
    loop,
    sizes,
    take,
    with_all_read,
)

OPS = ("VoxelGeneratorPlugin",)
OPSET = 13
REPLACEMENT = "CumSum, ScatterElements loop, ScatterND"
FLOAT32 = True


@dataclass(frozen=True, slots=True)
class Cloud:
    """Sizes: points P, values per point, pillars V, points per pillar T, cells down and across."""

    points: int
    values: int
    pillars: int
    places: int
    down: int
    across: int
    batch: Size

    @property
    def cells(self) -> int:
        """Number of cells, which is also the number of the cell that takes points outside."""
        return self.down * self.across

    @property
    def columns(self) -> int:
        """Width of tables by cell: TensorRT scatters no more values than the table has columns."""
        return max(self.cells + 1, self.points, self.pillars + 1)


def rewrite(node: onnx.NodeProto, write: GraphWriter) -> None:
    """Inputs: points [N, P, F] (x, y, z, ...), their number int32 [N]. Outputs: features [N, V, T, F + 6], coordinates
    int32 [N, V, 4] (0, 0, row, column), number of pillars int32 [N]."""
    facts = Node(node, (2,), 3)
    facts.rank(write, facts.inputs[0], (3,))
    points = as_float(write, facts.inputs[0])
    limits, size = facts.array("point_cloud_range", 6), facts.array("voxel_size", 3)
    count, values = (facts.static(write, facts.inputs[0], axis, "the number of points") for axis in (1, 2))
    grid = np.round((limits[3:5] - limits[:2]) / size[:2]).astype(int)
    cloud = Cloud(
        points=count,
        values=values,
        pillars=facts.integer("max_voxels"),
        places=facts.integer("max_num_points_per_voxel"),
        down=int(grid[1]),
        across=int(grid[0]),
        batch=write.size(facts.inputs[0], 0),
    )
    if facts.integer("voxel_feature_num", values + 6) != values + 6:
        raise facts.error(
            f"voxel_feature_num {facts.integer('voxel_feature_num')}; points of {values} values make {values + 6}"
        )
    points = _reversed(write, points, cloud)
    cell = _cells(write, points, facts.inputs[1], limits, size, cloud)  # [N, P]
    place = _places(write, cell, cloud)  # [N, P], -1 where there is no room
    pillar, coordinates, number = _pillars(write, cell, cloud)
    voxels, real = _voxels(write, points, place, take(write, pillar, cell), cloud)
    features = _features(write, voxels, real, coordinates, limits, size)
    give(write, features, facts.outputs[0])
    give(write, _coordinates(write, coordinates, cloud), facts.outputs[1], TensorProto.INT32)
    give(write, number, facts.outputs[2], TensorProto.INT32)


def _reversed(write: GraphWriter, points: str, cloud: Cloud) -> str:
    """Last point first: of several that write to one cell ONNX Runtime keeps the last, which is then the first."""
    return write.op("Gather", points, write.constant(np.arange(cloud.points)[::-1].copy()), axis=1)


def _cells(write: GraphWriter, points: str, number: str, limits: np.ndarray, size: np.ndarray, cloud: Cloud) -> str:
    """Each point's cell, int64; `cloud.cells` for points outside and beyond the number."""
    place = write.slice(points, 2, 0, 3)
    inside = write.op(
        "And",
        at_least(write, place, write.constant(limits[:3], np.float32)),
        write.op("Less", place, write.constant(limits[3:], np.float32)),
    )
    inside = write.reduce("ReduceMin", write.op("Cast", inside, to=TensorProto.FLOAT), 2, keep=False)
    index = write.op("Sub", write.slice(place, 2, 0, 2), write.constant(limits[:2], np.float32))
    index = write.op("Floor", write.op("Div", index, write.constant(size[:2], np.float32)))
    index = write.op("Cast", index, to=TensorProto.INT64)
    column, row = (write.reshape(write.slice(index, 2, axis, axis + 1), [-1, cloud.points]) for axis in (0, 1))
    cell = write.op("Add", write.op("Mul", row, write.constant(cloud.across)), column)
    limit = write.op("Cast", write.reshape(number, [-1, 1]), to=TensorProto.INT64)
    real = write.op("Less", write.constant(np.arange(cloud.points)[None, ::-1].copy()), limit)
    real = write.op("And", real, write.op("Greater", inside, write.constant(0.5, np.float32)))
    # rounding in (x - x0) / sx may lead one cell too far
    column_fits = write.op("Less", column, write.constant(cloud.across))
    real = write.op("And", real, write.op("And", column_fits, write.op("Less", row, write.constant(cloud.down))))
    return write.op("Where", real, cell, write.constant(cloud.cells))


def _places(write: GraphWriter, cell: str, cloud: Cloud) -> str:
    """Each point's place in its cell, int64 [N, P]; -1 for those outside and those beyond the room."""
    numbers = write.op("Expand", write.constant(np.arange(cloud.points)[None]), sizes(write, cloud.batch, cloud.points))
    nobody = full(write, -1, np.int64, cloud.batch, cloud.columns)
    outside = write.constant(cloud.cells)

    def step(body: GraphWriter, turn: str, now: list[str]) -> tuple[str, list[str]]:
        waiting, place = now
        owner = body.op("ScatterElements", nobody, waiting, numbers, axis=1)
        won = body.op("Equal", body.op("GatherElements", owner, waiting, axis=1), numbers)
        won = body.op("And", won, body.op("Less", waiting, outside))
        left = body.op("Where", won, outside, waiting)
        some = body.op("Cast", body.op("Less", left, outside), to=TensorProto.FLOAT)
        more = body.op("Greater", body.op("ReduceMax", some, keepdims=0), body.constant(0.5, np.float32))
        return more, [left, body.op("Where", won, turn, place)]

    start = full(write, -1, np.int64, cloud.batch, cloud.points)
    shape = (None, cloud.points)
    states = [State(cell, TensorProto.INT64, shape), State(start, TensorProto.INT64, shape)]
    left, place = loop(write, cloud.places, states, step)
    return with_all_read(write, place, [left], TensorProto.INT64)


def _pillars(write: GraphWriter, cell: str, cloud: Cloud) -> tuple[str, str, str]:
    """Number of each cell's pillar [N, columns] (V for those without), cell of each pillar [N, V] (-1 for none), and
    how many pillars there are, float32 [N]."""
    ones = full(write, 1.0, np.float32, cloud.batch, cloud.points)
    used = write.op("ScatterElements", full(write, 0.0, np.float32, cloud.batch, cloud.columns), cell, ones, axis=1)
    here = write.op("Mul", used, write.constant(np.arange(cloud.columns)[None] < cloud.cells, np.float32))
    number = chain(write, "Sub", write.op("CumSum", here, write.constant(1)), 1.0)
    room = write.op("Less", number, write.constant(float(cloud.pillars), np.float32))
    valid = write.op("And", room, write.op("Greater", here, write.constant(0.5, np.float32)))
    pillar = write.op("Where", valid, write.op("Cast", number, to=TensorProto.INT64), write.constant(cloud.pillars))
    cells = write.op("Expand", write.constant(np.arange(cloud.columns)[None]), sizes(write, cloud.batch, 1))
    empty = full(write, -1, np.int64, cloud.batch, cloud.columns)
    owner = write.slice(write.op("ScatterElements", empty, pillar, cells, axis=1), 1, 0, cloud.pillars)
    total = write.reshape(write.reduce("ReduceSum", here, 1), [-1])
    total = write.op("Min", total, write.constant(float(cloud.pillars), np.float32))
    return pillar, owner, total


def _voxels(write: GraphWriter, points: str, place: str, pillar: str, cloud: Cloud) -> tuple[str, str]:
    """The points in their pillars [N, V, T, F], zeros elsewhere, and where there are points: float32 [N, V, T, 1]."""
    slots = cloud.pillars * cloud.places
    slot = write.op("Add", write.op("Mul", pillar, write.constant(cloud.places)), place)
    fits = write.op(
        "And",
        write.op("Greater", place, write.constant(-1)),
        write.op("Less", pillar, write.constant(cloud.pillars)),
    )
    slot = write.op("Where", fits, slot, write.constant(slots))  # one more slot takes the others
    first = write.op("Mul", count_up(write, cloud.batch), write.constant(slots + 1))
    index = write.reshape(write.op("Add", slot, first), [-1, 1])
    marked = write.op("Concat", points, full(write, 1.0, np.float32, cloud.batch, cloud.points, 1), axis=2)
    width = cloud.values + 1
    empty = write.reshape(full(write, 0.0, np.float32, cloud.batch, slots + 1, width), [-1, width])
    filled = write.op("ScatterND", empty, index, write.reshape(marked, [-1, width]))
    table = write.slice(write.reshape(filled, [-1, slots + 1, width]), 1, 0, slots)
    table = write.reshape(table, [-1, cloud.pillars, cloud.places, width])
    return write.slice(table, 3, 0, cloud.values), write.slice(table, 3, cloud.values, width)


def _features(write: GraphWriter, voxels: str, real: str, cells: str, limits: np.ndarray, size: np.ndarray) -> str:
    """[N, V, T, F + 6]"""
    across = int(np.round((limits[3] - limits[0]) / size[0]))
    place = write.slice(voxels, 3, 0, 3)
    number = write.op("Max", write.reduce("ReduceSum", real, 2), write.constant(1.0, np.float32))
    mean = write.op("Div", write.reduce("ReduceSum", place, 2), number)  # [N, V, 1, 3]
    row, column = _row_and_column(write, cells, across)
    height = chain(write, "Mul", column, 0.0)
    whole = [write.op("Unsqueeze", part, write.constant([2, 3])) for part in (column, row, height)]
    step = write.constant(size, np.float32)
    corner = write.op("Mul", write.op("Concat", *whole, axis=3), step)
    centre = write.op("Add", corner, write.constant(size / np.float32(2), np.float32))
    centre = write.op("Add", centre, write.constant(limits[:3], np.float32))
    parts = [write.op("Mul", write.op("Sub", place, base), real) for base in (mean, centre)]
    return write.op("Concat", voxels, *parts, axis=3)


def _row_and_column(write: GraphWriter, cells: str, across: int) -> tuple[str, str]:
    """Row and column of cells as float32; 0 for none."""
    cell = write.op("Relu", write.op("Cast", cells, to=TensorProto.FLOAT))
    row = write.op("Floor", chain(write, "Div", chain(write, "Add", cell, 0.5), float(across)))
    return row, write.op("Sub", cell, chain(write, "Mul", row, float(across)))


def _coordinates(write: GraphWriter, cells: str, cloud: Cloud) -> str:
    row, column = (
        write.op("Unsqueeze", part, write.constant([2])) for part in _row_and_column(write, cells, cloud.across)
    )
    zero = chain(write, "Mul", row, 0.0)
    return write.op("Concat", zero, zero, row, column, axis=2)
