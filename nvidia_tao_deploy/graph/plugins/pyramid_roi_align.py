# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""PyramidROIAlign_TRT: regions of interest from four pyramid levels, the mean of several bilinear samples per bin.

Attributes: roi_coords_absolute (pixels, not 0..1), roi_coords_swap (y before x), roi_coords_plusone (areas count whole
pixels), fpn_scale with image_size (a region of that side in pixels is read from the third level),
roi_coords_transform (-1 corners aligned, 0 none, 1 samples in the middle, 2 pixel centres at one half), legacy (the
conventions of the first version). sampling_ratio is the number of samples per bin and axis; with 0 it is
ceil(side / pooled_size) for each region: a loop takes as many turns as the largest region needs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto

from nvidia_tao_deploy.graph.editing import GraphWriter
from nvidia_tao_deploy.graph.plugins._pyramid import OPSET, Level, Pyramid, level_of, pyramid, sample
from nvidia_tao_deploy.graph.plugins._tensors import Node, State, as_float, chain, clamp, give, loop

__all__ = ["FLOAT32", "OPS", "OPSET", "REPLACEMENT", "rewrite"]
OPS = ("PyramidROIAlign_TRT",)
REPLACEMENT = "Gather, bilinear weights, sampling loop"
FLOAT32 = True
ALIGNED = -1
OFFSETS = {ALIGNED: (0.0, 0.0), 0: (0.0, 0.0), 1: (0.0, 0.5), 2: (0.5, 0.5)}
"""roi_coords_transform -> what is taken off a region's corner, where in its part of a bin a sample lies."""
LEGACY_SIZE = 1024


@dataclass(frozen=True, slots=True)
class Axis:
    """Bins along one axis: edge of the first, size of one, samples per bin, each float32 [N, R, 1]."""

    start: str
    step: str
    ratio: str


def rewrite(node: onnx.NodeProto, write: GraphWriter) -> None:
    """Inputs: rois [N, R, 4], four maps [N, C, h, w], finest first. Output [N, R, C, pooled_size, pooled_size]."""
    facts = Node(node, (5,), 1)
    rois, *maps = facts.inputs
    facts.rank(write, rois, (3,))
    legacy = facts.flag("legacy", False)
    transform = ALIGNED if legacy else facts.integer("roi_coords_transform", 2)
    if transform not in OFFSETS:
        raise facts.error(f"roi_coords_transform {transform}; expected one of {sorted(OFFSETS)}")
    pooled, wished = facts.integer("pooled_size", 7), 1 if legacy else facts.integer("sampling_ratio", 0)
    source = pyramid(facts, write, maps)
    low, high, area = _regions(facts, write, as_float(write, rois), legacy)
    level = level_of(write, source, area, _first_area(facts, legacy))
    down, across = (
        _axis(write, low[index], high[index], size, transform, pooled, wished)
        for index, size in ((0, level.height), (1, level.width))
    )
    total = _samples(write, source, level, down, across, pooled, OFFSETS[transform][1], wished)
    count = write.op("Unsqueeze", write.op("Mul", down.ratio, across.ratio), write.constant([3, 4]))
    give(write, write.op("Transpose", write.op("Div", total, count), perm=[0, 1, 4, 2, 3]), node.output[0])


def _image_size(facts: Node) -> tuple[int, int]:
    if not facts.has("image_size"):
        return LEGACY_SIZE, LEGACY_SIZE
    height, width = facts.array("image_size", 2)
    return int(height), int(width)


def _first_area(facts: Node, legacy: bool) -> float:
    if legacy:
        return float(np.float32(224 * 224 * 2 / (LEGACY_SIZE * LEGACY_SIZE)) / np.float32(16))
    height, width = _image_size(facts)
    scale = np.sqrt(np.float32(facts.integer("fpn_scale", 224)) ** 2 / np.float32(height * width))
    return float(scale * scale / np.float32(4))


def _regions(facts: Node, write: GraphWriter, rois: str, legacy: bool) -> tuple[list[str], list[str], str]:
    """(y, x) of the low and of the high corners in 0..1, and areas; each [N, R, 1]."""
    height, width = _image_size(facts)
    order = (0, 1) if legacy or facts.flag("roi_coords_swap", False) else (1, 0)
    absolute = not legacy and facts.flag("roi_coords_absolute", True)
    low: list[str] = []
    high: list[str] = []
    for position, size in zip(order, (height, width), strict=True):
        one, other = (write.slice(rois, 2, position + step, position + step + 1) for step in (0, 2))
        for corners, op_type in ((low, "Min"), (high, "Max")):
            corner = clamp(write, write.op(op_type, one, other), 0.0, float(size) if absolute else 1.0)
            corners.append(chain(write, "Div", corner, float(size)) if absolute else corner)
    sides = [write.op("Sub", end, start) for start, end in zip(low, high, strict=True)]
    if not legacy and facts.flag("roi_coords_plusone", False):
        sides = [chain(write, "Add", side, 1.0 / size) for side, size in zip(sides, (height, width), strict=True)]
    return low, high, write.op("Mul", *sides)


def _axis(write: GraphWriter, low: str, high: str, size: str, transform: int, pooled: int, wished: int) -> Axis:
    length = write.op("Cast", size, to=TensorProto.FLOAT)
    if transform == ALIGNED:
        length = chain(write, "Sub", length, 1.0)
    start, end = (chain(write, "Sub", write.op("Mul", corner, length), OFFSETS[transform][0]) for corner in (low, high))
    extent = write.op("Sub", end, start)
    step = chain(write, "Div", extent, float(max(pooled - 1, 1) if transform == ALIGNED else pooled))
    if wished:
        ratio = chain(write, "Add", chain(write, "Mul", extent, 0.0), float(wished))
    else:
        ratio = write.op("Ceil", chain(write, "Div", extent, float(pooled)))
        ratio = write.op("Max", ratio, write.constant(1.0, np.float32))
    return Axis(start, step, ratio)


def _samples(
    write: GraphWriter, source: Pyramid, level: Level, down: Axis, across: Axis, pooled: int, middle: float, wished: int
) -> str:
    """Sums of the samples of each bin [N, R, pooled, pooled, C]."""

    def places(body: GraphWriter, axis: Axis, number: str) -> str:
        inner = body.op("Div", body.op("Mul", axis.step, chain(body, "Add", number, middle)), axis.ratio)
        bins = body.op("Mul", axis.step, body.constant(np.arange(pooled), np.float32))
        return body.op("Add", body.op("Add", axis.start, bins), inner)

    def one(body: GraphWriter, row: str, column: str) -> str:
        return sample(body, source, level, places(body, down, row), places(body, across, column))

    if wished == 1:
        zero = write.constant(0.0, np.float32)
        return one(write, zero, zero)
    most = [_largest(write, axis.ratio) for axis in (down, across)]

    def step(body: GraphWriter, turn: str, now: list[str]) -> tuple[None, list[str]]:
        whole = body.op("Div", turn, most[1])
        rest = body.op("Sub", turn, body.op("Mul", whole, most[1]))
        row, column = (body.op("Cast", number, to=TensorProto.FLOAT) for number in (whole, rest))
        wanted = body.op("And", body.op("Less", row, down.ratio), body.op("Less", column, across.ratio))
        wanted = body.op("Unsqueeze", wanted, body.constant([3, 4]))
        part = body.op("Where", wanted, one(body, row, column), body.constant(0.0, np.float32))
        return None, [body.op("Add", now[0], part)]

    zero = write.constant(0.0, np.float32)
    start = chain(write, "Mul", one(write, zero, zero), 0.0)
    state = State(start, TensorProto.FLOAT, (None, None, pooled, pooled, source.channels))
    return loop(write, write.op("Mul", *most), [state], step)[0]


def _largest(write: GraphWriter, ratio: str) -> str:
    """Largest of [N, R, 1] as an int64 scalar."""
    flat = write.reduce("ReduceMax", write.reshape(ratio, [1, -1]), 1)
    return write.op("Cast", write.op("Reshape", flat, write.constant([], np.int64)), to=TensorProto.INT64)
