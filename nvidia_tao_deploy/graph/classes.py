# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""What a model's outputs do not show by themselves: how many classes an arg max chose among, whether a score is a
probability already."""

from __future__ import annotations

from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from nvidia_tao_deploy.errors import BuildError
from nvidia_tao_deploy.graph.model import infer_shapes, inlined

ONNX_TAG = b"\x08"
"""First byte of an ONNX file: the tag of ir_version."""
SHAPE_KEEPING = frozenset({"Softmax", "LogSoftmax", "Identity", "Cast", "QuantizeLinear", "DequantizeLinear"})
"""What may lie between the last layer and the choice, or around its weights."""
AROUND_SOFTMAX = frozenset({"Flatten", "Reshape"})
"""What onnx's version converter puts around a Softmax of operator set 12 and older; the last axis stays."""


VALUE_KEEPING = frozenset(
    {
        "Cast", "Clip", "DequantizeLinear", "Flatten", "Gather", "Identity", "QuantizeLinear", "Reshape", "Slice",
        "Split", "Squeeze", "Unsqueeze",
    }
)  # fmt: skip
"""What may follow a score without making something else of it."""
PROBABILITIES = frozenset({"Sigmoid", "Softmax", "HardSigmoid"})
LOGITS = frozenset({"Gemm", "MatMul", "Add", "Conv", "BatchNormalization", "GlobalAveragePool", "ReduceMean"})
"""Operators that end a network whose scores may be any numbers."""


def class_count(path: Path, output: str) -> int | None:
    """Number of classes behind an output of class ids, by the shape of what its ArgMax (or TopK) looks at.

    Args:
        path: an engine file.
        output: name of the output.

    Returns None where it cannot be told: no ONNX file (a TensorRT engine), another way to choose, or an unknown shape.
    """
    model = _model_in(path)
    return classes_of(model, output) if model else None


def is_probability(path: Path, output: str) -> bool | None:
    """Whether an output of an engine file comes from a sigmoid or softmax (False: from a layer without either); None
    where it cannot be told: a TensorRT engine, or a model that ends in something else."""
    model = _model_in(path)
    return ends_in_probability(model, output) if model else None


def ends_in_probability(model: onnx.ModelProto, output: str) -> bool | None:
    """The same for a model that is loaded."""
    makers = _makers(model.graph)
    while (node := makers.get(output)) is not None and node.op_type in VALUE_KEEPING:
        output = node.input[0]
    if node is None or node.op_type not in PROBABILITIES | LOGITS:
        return None
    return node.op_type in PROBABILITIES


def _model_in(path: Path) -> onnx.ModelProto | None:
    """The model in an engine file; None where it is of another kind or broken."""
    with path.open("rb") as file:
        if file.read(1) != ONNX_TAG:
            return None
    try:
        return inlined(onnx.load(str(path)), path)
    except (DecodeError, OSError, ValueError, RuntimeError, BuildError):
        return None


def classes_of(model: onnx.ModelProto, output: str) -> int | None:
    """The same for a model that is loaded."""
    try:
        inferred = infer_shapes(model)
    except (ValueError, RuntimeError, onnx.shape_inference.InferenceError):
        return None
    node = _chooser(inferred.graph, output)
    if node is None:
        return None
    return _axis_size(inferred.graph, node) or _last_layer_width(inferred.graph, node.input[0])


def _chooser(graph: onnx.GraphProto, output: str) -> onnx.NodeProto | None:
    """The nearest ArgMax or TopK upstream of a tensor."""
    makers = _makers(graph)
    waiting, seen = [output], set()
    for name in waiting:
        node = makers.get(name)
        if node is None or name in seen:
            continue
        if node.op_type in ("ArgMax", "TopK"):
            return node
        seen.add(name)
        waiting.extend(node.input)
    return None


def _axis_size(graph: onnx.GraphProto, node: onnx.NodeProto) -> int | None:
    """What shape inference found for the axis that is chosen from."""
    default = 0 if node.op_type == "ArgMax" else -1
    axis = next((item.i for item in node.attribute if item.name == "axis"), default)
    for value in [*graph.value_info, *graph.input]:
        if value.name == node.input[0]:
            sizes = value.type.tensor_type.shape.dim
            return int(sizes[axis].dim_value) or None if -len(sizes) <= axis < len(sizes) else None
    return None


def _last_layer_width(graph: onnx.GraphProto, name: str) -> int | None:
    """Where shapes are unknown: columns of the last layer's weights or bias, through softmax and the like."""
    makers = _makers(graph)
    constants = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            constants.update((node.output[0], tuple(item.t.dims)) for item in node.attribute if item.name == "value")
        elif node.op_type in SHAPE_KEEPING and node.input[0] in constants:
            constants[node.output[0]] = constants[node.input[0]]
    while (node := makers.get(name)) is not None:
        weights = [constants[item] for item in node.input if constants.get(item)]
        if node.op_type in ("MatMul", "Add") and weights:
            return weights[0][-1]
        if node.op_type not in SHAPE_KEEPING | AROUND_SOFTMAX:
            return None
        name = node.input[0]
    return None


def _makers(graph: onnx.GraphProto) -> dict[str, onnx.NodeProto]:
    """Which node makes each value."""
    return {name: node for node in graph.node for name in node.output}
