# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Operands that nodes compute from constants alone, as constants, where parsers want them to be there at once.

Exporters that do not optimise (`torch.onnx.export(optimize=False)`) leave a Reshape around the axes of a ReduceMean, or
an Expand and a CastLike in front of a convolution's bias. TensorRT folds all else that is computed from constants.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import numpy_helper

from nvidia_tao_deploy.engine.contract import DYNAMIC
from nvidia_tao_deploy.graph.editing import GraphReader, constant_value
from nvidia_tao_deploy.graph.model import is_standard
from nvidia_tao_deploy.graph.order import read_by

FOLDED = frozenset(
    {
        "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Identity", "Expand", "Tile", "Concat", "Slice", "Gather",
        "Cast", "CastLike", "Shape", "Size", "ConstantOfShape", "Range", "Add", "Sub", "Mul", "Div", "Neg", "Where",
        "Equal",
    }
)  # fmt: skip
"""Operators that arrange constants or count with them. Others, on whole weights, are left to the backend."""

REDUCTIONS = frozenset(
    f"Reduce{kind}" for kind in ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare")
)
AT_ONCE: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(REDUCTIONS, (1,)),
    "BatchNormalization": (1, 2, 3, 4), "Conv": (2,), "ConvTranspose": (2,), "CumSum": (1,),
    "InstanceNormalization": (1, 2), "Split": (1,), "Squeeze": (1,), "TopK": (1,), "Unsqueeze": (1,),
}  # fmt: skip
"""Operator -> positions of the operands that some version's parser takes as constants only (axes), or else on a way of
its own that fails for less usual models (biases)."""

LARGEST = 1 << 16
"""Elements; a larger result, such as one value expanded to a picture, is not worth its place in the file."""


def fold(model: onnx.ModelProto) -> tuple[onnx.ModelProto, list[str]]:
    """The model with such operands (`AT_ONCE`) stored, and the names of the nodes that nobody needs any more.

    The model is returned as it came where there are none. Nodes in bodies of If and Loop are left as they are, and so
    are those that compute an output of the model.
    """
    computed = {node.output[0] for node in model.graph.node if _arranges(node)}
    at_once = computed.intersection(_read_at_once(model))
    if not at_once:
        return model, []
    try:
        reader = GraphReader(model)
    except onnx.shape_inference.InferenceError:  # the parser says what is wrong with the model
        return model, []
    still = _computed(model, reader)
    values = {
        name: value
        for name in at_once & still
        if (value := reader.constant(name)) is not None and value.size <= LARGEST
    }
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
            needed.update(read_by(node))
    return result, gone


def _read_at_once(model: onnx.ModelProto) -> Iterator[str]:
    for node in model.graph.node:
        for position in AT_ONCE.get(node.op_type, ()):
            if position < len(node.input) and is_standard(node):
                yield node.input[position]


def _arranges(node: onnx.NodeProto) -> bool:
    return node.op_type in FOLDED and is_standard(node)


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
