# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""PillarScatterPlugin: features of pillars written into the picture from above (PointPillars)."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto

from nvidia_tao_deploy.graph.editing import GraphWriter
from nvidia_tao_deploy.graph.plugins._tensors import Node, as_float, count_up, full, give, kind_of

OPS = ("PillarScatterPlugin",)
OPSET = 11
REPLACEMENT = "ScatterND"
FLOAT32 = True


def rewrite(node: onnx.NodeProto, write: GraphWriter) -> None:
    """Inputs: features [N, V, C], coordinates int32 [N, V, 4] (0, 0, row, column), count int32 [N].
    Output [N, C, H, W]: zero where there is no pillar."""
    facts = Node(node, (3,), 1)
    features, coordinates, number = facts.inputs
    height, width = (int(value) for value in facts.array("dense_shape", 2))
    facts.rank(write, features, (3,))
    pillars, channels = (facts.static(write, features, axis, "the number of pillars") for axis in (1, 2))
    batch, cells = write.size(features, 0), height * width
    places = write.op("Cast", write.reshape(coordinates, [-1, pillars, 4]), to=TensorProto.INT64)
    row, column = (write.reshape(write.slice(places, 2, axis, axis + 1), [-1, pillars]) for axis in (2, 3))
    cell = write.op("Add", write.op("Mul", row, write.constant(width)), column)
    limit = write.op("Cast", write.reshape(number, [-1, 1]), to=TensorProto.INT64)
    real = write.op("Less", write.constant(np.arange(pillars)[None]), limit)
    cell = write.op("Where", real, cell, write.constant(cells))  # one more cell takes what is no pillar
    first = write.op("Mul", count_up(write, batch), write.constant(cells + 1))
    index = write.reshape(write.op("Add", cell, first), [-1, 1])
    rows = [cells + 1, channels]
    empty = write.reshape(full(write, 0.0, np.float32, batch, *rows), [-1, channels])
    filled = write.op("ScatterND", empty, index, write.reshape(as_float(write, features), [-1, channels]))
    table = write.slice(write.reshape(filled, [-1, *rows]), 1, 0, cells)
    picture = write.reshape(write.op("Transpose", table, perm=[0, 2, 1]), [-1, channels, height, width])
    give(write, picture, node.output[0], kind_of(write, features))
