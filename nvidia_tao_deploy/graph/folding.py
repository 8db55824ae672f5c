# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""What nodes compute from constants alone, as constants: parsers want axes, sizes and indices to be there at once.

Exporters that do not optimise (`torch.onnx.export(optimize=False)`) leave a Reshape around the axes of a ReduceMean, or
an Expand and a CastLike in front of a convolution's bias.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnx
from onnx import numpy_helper

from nvidia_tao_deploy.engine.contract import DYNAMIC
from nvidia_tao_deploy.graph.editing import GraphReader, constant_value

FOLDED = frozenset(
    {
        "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Identity", "Expand", "Tile", "Concat", "Slice", "Gather",
        "Cast", "CastLike", "Shape", "Size", "ConstantOfShape", "Range", "Add", "Sub", "Mul", "Div", "Neg", "Where",
        "Equal",
    }
)  # fmt: skip
"""Operators that arrange constants or count with them. Others, on whole weights, are left to the backend."""

LARGEST = 1 << 16
"""Elements; a larger result, such as one value expanded to a picture, is not worth its place in the file."""


def fold(model: onnx.ModelProto) -> tuple[onnx.ModelProto, list[str]]:
    """The model with constants in place of the nodes that compute them, and the names of the nodes that are gone.

    The model is returned as it came where there are none. Nodes in bodies of If and Loop are left as they are, and so
    are those that compute an output of the model.
    """
    if not any(_arranges(node) for node in model.graph.node):
        return model, []
    reader = GraphReader(model)
    still = _computed(model, reader)
    wanted = _used(node for node in model.graph.node if not still & set(node.output)) & still
    values = {name: value for name in wanted if (value := reader.constant(name)) is not None and value.size <= LARGEST}
    if not values:
        return model, []
    result = onnx.ModelProto()
    result.CopyFrom(model)
    result.graph.initializer.extend(numpy_helper.from_array(np.asarray(values[name]), name) for name in sorted(values))
    needed = {value.name for value in model.graph.output}
    gone = []
    for index in reversed(range(len(model.graph.node))):  # a node stands in front of those that read it
        node = model.graph.node[index]
        if not still.isdisjoint(node.output) and (node.output[0] in values or node.output[0] not in needed):
            gone.append(node.name)
            del result.graph.node[index]
        else:
            needed |= _used([node])
    return result, gone


def _arranges(node: onnx.NodeProto) -> bool:
    return node.op_type in FOLDED and node.domain in ("", "ai.onnx")


def _computed(model: onnx.ModelProto, reader: GraphReader) -> set[str]:
    """Small values that nodes compute from constants alone, or from sizes that are fixed."""
    replaceable = {value.name for value in model.graph.input}
    constants = reader.initialisers.keys() - replaceable
    results = {value.name for value in model.graph.output}
    still: set[str] = set()
    for node in model.graph.node:
        if constant_value(node) is not None:
            constants.add(node.output[0])
            continue
        if not _arranges(node) or node.output[0] in results:
            continue
        if np.prod(reader.shape(node.output[0]) or (1,), dtype=np.int64) > LARGEST:
            continue
        if node.op_type in ("Shape", "Size"):
            fixed = DYNAMIC not in (reader.shape(node.input[0]) or (DYNAMIC,))
        else:
            operands = node.input[:1] if node.op_type == "CastLike" else filter(None, node.input)
            fixed = all(name in constants or name in still for name in operands)
        if fixed:
            still.add(node.output[0])
    return still


def _used(nodes: Iterable[onnx.NodeProto]) -> set[str]:
    """Names that nodes read, their bodies (If, Loop) included."""
    names: set[str] = set()
    for node in nodes:
        names.update(node.input)
        for attribute in node.attribute:
            for body in [attribute.g] if attribute.HasField("g") else attribute.graphs:
                names |= _used(body.node) | {value.name for value in body.output}
    return names
