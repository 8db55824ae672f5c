# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""MultilevelCropAndResize_TRT: regions of interest of Mask R-CNN, from five pyramid levels.

Corners are in pixels of the network's picture. Levels have strides 4 to 64; the first is for areas up to 224^2 / 4.
Each bin has one bilinear sample in its middle. For a region that is empty or leaves the picture the plugin writes
nothing (undefined memory); here the result is zero.
"""

from __future__ import annotations

import numpy as np
import onnx

from nvidia_tao_deploy.graph.editing import GraphWriter
from nvidia_tao_deploy.graph.plugins._pyramid import OPSET, level_of, of_level, pyramid, sample
from nvidia_tao_deploy.graph.plugins._tensors import Node, as_float, chain, give, kind_of

__all__ = ["FLOAT32", "OPS", "OPSET", "REPLACEMENT", "rewrite"]
OPS = ("MultilevelCropAndResize_TRT",)
REPLACEMENT = "Gather, bilinear weights"
FLOAT32 = True
FIRST_AREA = 224 * 224 / 4


def rewrite(node: onnx.NodeProto, write: GraphWriter) -> None:
    """Inputs: rois [N, R, 4] (y1, x1, y2, x2), five maps [N, C, h, w]. Output [N, R, C, pooled_size, pooled_size]."""
    facts = Node(node, (6,), 1)
    rois, *maps = facts.inputs
    facts.rank(write, rois, (3,))
    pooled = facts.integer("pooled_size")
    _, height, width = (int(value) for value in facts.array("image_size", 3))
    source = pyramid(facts, write, maps)
    table = as_float(write, rois)
    corners = [write.slice(table, 2, index, index + 1) for index in range(4)]  # [N, R, 1] each
    sides = [write.op("Sub", corners[index + 2], corners[index]) for index in (0, 1)]
    level = level_of(write, source, write.op("Mul", *sides), FIRST_AREA)
    stride = of_level(write, level.number, [2.0 ** (2 + index) for index in range(len(maps))])
    places = [_middles(write, corners[index], corners[index + 2], stride, pooled) for index in (0, 1)]
    samples = write.op("Transpose", sample(write, source, level, *places), perm=[0, 1, 4, 2, 3])
    invalid = write.op("Less", write.op("Min", *corners[:2]), write.constant(0.0, np.float32))
    for side in sides:
        invalid = write.op("Or", invalid, write.op("Not", write.op("Greater", side, write.constant(0.0, np.float32))))
    for corner, limit in ((corners[2], height), (corners[3], width)):
        invalid = write.op("Or", invalid, write.op("Greater", corner, write.constant(float(limit), np.float32)))
    invalid = write.op("Unsqueeze", invalid, write.constant([3, 4]))
    result = write.op("Where", invalid, write.constant(0.0, np.float32), samples)
    give(write, result, node.output[0], kind_of(write, maps[0]))


def _middles(write: GraphWriter, low: str, high: str, stride: str, pooled: int) -> str:
    """Middles of the bins between two corners, in pixels of the level: [N, R, pooled].

    The plugin multiplies by the reciprocal of the number of bins and rounds start + step * bin once. A plain product
    and sum in float32 round twice: far from the origin the middle is then off by a unit in the last place (1.5e-5
    pixels beyond 128), and the sample by that times the slope of the map.
    """
    start, end = write.op("Div", low, stride), write.op("Div", high, stride)
    step = chain(write, "Mul", write.op("Sub", end, start), float(np.float32(1) / np.float32(pooled)))
    return _sum_rounded_once(write, start, step, write.constant(np.arange(pooled) + 0.5, np.float32))


def _sum_rounded_once(write: GraphWriter, start: str, step: str, factor: str) -> str:
    """start + step * factor, in float32 with one rounding, for factors of few bits.

    Knuth, "The Art of Computer Programming", volume 2, 4.2.2, theorem B: the sum of two numbers and what it lost.
    """
    coarse = chain(write, "Div", write.op("Floor", chain(write, "Mul", step, 32.0)), 32.0)
    product = write.op("Mul", coarse, factor)  # exact: few bits times few bits
    rest = write.op("Mul", write.op("Sub", step, coarse), factor)
    total = write.op("Add", start, product)
    added = write.op("Sub", total, start)
    lost = write.op("Sub", start, write.op("Sub", total, added))
    lost = write.op("Add", lost, write.op("Sub", product, added))
    return write.op("Add", total, write.op("Add", lost, rest))
