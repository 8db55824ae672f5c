# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""MultiscaleDeformableAttnPlugin_TRT as GridSample.

Multi-scale deformable attention (Zhu et al., "Deformable DETR", ICLR 2021, equation 3): for query q and head m,

    out[n, q, m, :] = sum over levels l and points p of  A[n, q, m, l, p] * V_l[n, m] at (x * w_l - 0.5, y * h_l - 0.5)

read bilinearly with zeros outside the map, which is GridSample(bilinear, zeros, align_corners=0) at 2 * location - 1.
"""

from __future__ import annotations

import numpy as np
import onnx

from nvidia_tao_deploy.errors import BuildError
from nvidia_tao_deploy.graph.editing import GraphWriter

OPS = ("MultiscaleDeformableAttnPlugin_TRT",)
OPSET = 16
REPLACEMENT = "GridSample"


def rewrite(node: onnx.NodeProto, write: GraphWriter) -> None:
    """Inputs: value [N, S, M, D], spatial_shapes [L, 2] (h, w), level_start_index [L], sampling_locations
    [N, Lq, M, L, P, 2] (x, y in 0..1), attention_weights [N, Lq, M, L, P]. Output [N, Lq, M, D]."""
    value, _, _, locations, weights = _operands(node)
    levels = _levels(node, write)
    heads, depth = write.size(value, 2), write.size(value, 3)
    queries, points = write.size(locations, 1), write.size(locations, 4)
    maps = write.op("Transpose", value, perm=[0, 2, 3, 1])  # [N, M, D, S]
    grids = _grids(locations, write)  # [N, M, L, Lq, P, 2]
    samples = []
    for level, (start, height, width) in enumerate(levels):
        rows = write.slice(maps, 3, start, start + height * width)
        picture = write.reshape(rows, [-1, depth, height, width])  # [N*M, D, h, w]
        grid = write.reshape(write.slice(grids, 2, level, level + 1), [-1, queries, points, 2])
        samples.append(_sample(picture, grid, write))  # [N*M, D, Lq, P]
    sampled = write.op("Concat", *samples, axis=3) if len(samples) > 1 else samples[0]
    by_head = write.op("Transpose", weights, perm=[0, 2, 1, 3, 4])  # [N, M, Lq, L, P]
    flat = write.reshape(by_head, [-1, 1, queries, _product(len(levels), points, write)])
    summed = write.op("ReduceSum", write.op("Mul", sampled, flat), write.constant([3]), keepdims=0)  # [N*M, D, Lq]
    split = write.reshape(summed, [-1, heads, depth, queries])
    out = write.op("Transpose", split, perm=[0, 3, 1, 2])
    write.rename(out, node.output[0])


def _operands(node: onnx.NodeProto) -> list[str]:
    if len(node.input) != 5 or len(node.output) != 1:
        raise BuildError(
            f"{node.op_type} '{node.name}': {len(node.input)} inputs and {len(node.output)} outputs; expected 5 and 1"
        )
    return list(node.input)


def _levels(node: onnx.NodeProto, write: GraphWriter) -> list[tuple[int, int, int]]:
    """(first row, height, width) of each level; they must not depend on the model's inputs."""
    shapes = write.reader.constant(node.input[1])
    starts = write.reader.constant(node.input[2])
    if shapes is None or starts is None:
        raise BuildError(
            f"{node.op_type} '{node.name}': spatial_shapes and level_start_index depend on the model's input",
            hint="Export the model with a fixed height and width.",
        )
    if shapes.ndim != 2 or shapes.shape[1] != 2 or starts.shape != (len(shapes),):
        raise BuildError(
            f"{node.op_type} '{node.name}': spatial_shapes {list(shapes.shape)} and level_start_index "
            f"{list(starts.shape)}; expected [levels, 2] and [levels]"
        )
    rows = write.reader.shape(node.input[0])
    last = int(max(start + height * width for start, (height, width) in zip(starts, shapes, strict=True)))
    if rows is not None and 0 <= rows[1] < last:
        raise BuildError(f"{node.op_type} '{node.name}': the levels need {last} rows of value; it has {rows[1]}")
    return [(int(start), int(height), int(width)) for start, (height, width) in zip(starts, shapes, strict=True)]


def _grids(locations: str, write: GraphWriter) -> str:
    kind = write.reader.elem_types.get(locations, onnx.TensorProto.FLOAT)
    dtype = np.float16 if kind == onnx.TensorProto.FLOAT16 else np.float32
    doubled = write.op("Mul", locations, write.constant(2.0, dtype))
    grids = write.op("Sub", doubled, write.constant(1.0, dtype))
    return write.op("Transpose", grids, perm=[0, 2, 3, 1, 4, 5])


def _sample(picture: str, grid: str, write: GraphWriter) -> str:
    mode = "linear" if write.reader.opset >= 20 else "bilinear"  # the same, renamed
    return write.op("GridSample", picture, grid, mode=mode, padding_mode="zeros", align_corners=0)


def _product(levels: int, points: int | str, write: GraphWriter) -> int | str:
    return levels * points if isinstance(points, int) else write.op("Mul", points, write.constant([levels]))
