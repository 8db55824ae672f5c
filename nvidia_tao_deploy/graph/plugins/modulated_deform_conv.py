# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""ModulatedDeformConv2d: deformable convolution, version 2 (Zhu et al., CVPR 2019, equation 1), as sampling and Conv.

Each tap of the kernel reads the picture bilinearly (zeros outside) at its own offset and scales what it read; what is
left is a 1x1 convolution over taps and channels. DeformConv of operator set 19 says the same in one node, but
TensorRT RTX does not know it; GridSample and Conv run everywhere.
"""

from __future__ import annotations

import numpy as np
import onnx

from nvidia_tao_deploy.graph.editing import GraphWriter
from nvidia_tao_deploy.graph.plugins._tensors import Node, as_float, chain, give, kind_of

OPS = ("ModulatedDeformConv2d",)
OPSET = 16
REPLACEMENT = "GridSample, Conv"


def rewrite(node: onnx.NodeProto, write: GraphWriter) -> None:
    """Inputs: x [N, C, h, w], offset [N, G * taps * 2, oh, ow] (dy, dx), mask [N, G * taps, oh, ow], weight
    [M, C / group, kh, kw], perhaps bias [M]. Output [N, M, oh, ow]."""
    facts = Node(node, (4, 5), 1)
    picture, offset, mask, weight = facts.inputs[:4]
    facts.rank(write, picture, (4,))
    channels, height, width = (facts.static(write, picture, axis, "the size of its input") for axis in (1, 2, 3))
    out_high, out_wide = (facts.static(write, offset, axis, "the size of the offsets") for axis in (2, 3))
    filters, _, *kernel = (facts.static(write, weight, axis, "the kernel's size") for axis in range(4))
    groups, taps = facts.integer("deformable_group", 1), kernel[0] * kernel[1]
    declared = write.reader.shape(offset)
    if declared is not None and declared[1] != 2 * groups * taps:
        raise facts.error(f"offsets have {declared[1]} channels; {2 * groups * taps} expected for its kernel")
    grid = _grid(facts, write, as_float(write, offset), kernel, (height, width), (out_high, out_wide), groups)
    mode = "linear" if write.reader.opset >= 20 else "bilinear"
    parts = write.reshape(as_float(write, picture), [-1, channels // groups, height, width])  # [N * G, C / G, h, w]
    samples = write.op("GridSample", parts, grid, mode=mode, padding_mode="zeros", align_corners=0)
    shape = [-1, channels // groups, taps, out_high * out_wide]
    scale = write.reshape(as_float(write, mask), [-1, 1, taps, out_high * out_wide])
    columns = write.op("Mul", write.reshape(samples, shape), scale)
    columns = write.reshape(columns, [-1, channels * taps, out_high, out_wide])
    kernels = write.reshape(as_float(write, weight), [filters, -1, 1, 1])
    bias = [as_float(write, facts.inputs[4])] if len(facts.inputs) == 5 else []
    result = write.op("Conv", columns, kernels, *bias, kernel_shape=[1, 1], group=facts.integer("group", 1))
    give(write, result, node.output[0], kind_of(write, picture))


def _pair(facts: Node, name: str) -> tuple[int, int]:
    down, across = facts.array(name, 2)
    if down != across:
        raise facts.error(f"{name} {int(down)}, {int(across)}: the plugin takes the same for both axes only")
    return int(down), int(across)


def _grid(
    facts: Node,
    write: GraphWriter,
    offset: str,
    kernel: list[int],
    size: tuple[int, int],
    out: tuple[int, int],
    groups: int,
) -> str:
    """Sampling positions in GridSample's coordinates, float32 [N * groups, taps, oh * ow, 2] (x, y)."""
    stride, padding, dilation = (_pair(facts, name) for name in ("stride", "padding", "dilation"))
    taps, cells = kernel[0] * kernel[1], out[0] * out[1]
    tap = np.stack(np.meshgrid(*(np.arange(side) for side in kernel), indexing="ij"), -1).reshape(taps, 1, 2)
    cell = np.stack(np.meshgrid(*(np.arange(side) for side in out), indexing="ij"), -1).reshape(1, cells, 2)
    base = (cell * stride - np.array(padding) + tap * dilation).astype(np.float32)  # (y, x), [taps, cells, 2]
    moves = write.reshape(offset, [-1, taps, 2, cells])  # [N * G, taps, (dy, dx), cells]
    moves = write.op("Transpose", moves, perm=[0, 1, 3, 2])
    place = write.op("Add", moves, write.constant(base[None], np.float32))
    scale = write.constant(2.0 / np.asarray(size, np.float32), np.float32)
    place = chain(write, "Sub", write.op("Mul", chain(write, "Add", place, 0.5), scale), 1.0)
    return write.op("Gather", place, write.constant([1, 0]), axis=3)
