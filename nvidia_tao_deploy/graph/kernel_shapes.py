# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""`kernel_shape` of convolutions, which ONNX lets exporters leave out."""

from __future__ import annotations

import onnx
from onnx import helper

from nvidia_tao_deploy.graph.editing import constant_value
from nvidia_tao_deploy.graph.model import all_nodes, is_standard

_KEY = "kernel_shape"
_KEEP_SHAPE = frozenset({"QuantizeLinear", "DequantizeLinear", "Identity", "Cast"})
"""What may stand between stored weights and a convolution."""


def stated(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with `kernel_shape` at every Conv and ConvTranspose of stored weights.

    TensorRT's older parsers (seen with 8.5) do not work it out where the weights stand behind Q/DQ nodes, or where the
    bias is computed. The same object where nothing is missing. Nothing is inferred, so that a model that is not valid
    comes to the parser, which says what is wrong with it.
    """
    if not any(_lacks(node) for node in all_nodes(model.graph)):
        return model
    result = onnx.ModelProto()
    result.CopyFrom(model)
    makers = {name: node for node in all_nodes(result.graph) for name in node.output}
    shapes = {tensor.name: tuple(tensor.dims) for tensor in result.graph.initializer}
    for node in all_nodes(result.graph):
        shape = _shape(node.input[1], shapes, makers) if _lacks(node) else ()
        if len(shape) > 2:
            node.attribute.append(helper.make_attribute(_KEY, shape[2:]))
    return result


def _shape(name: str, shapes: dict[str, tuple[int, ...]], makers: dict[str, onnx.NodeProto]) -> tuple[int, ...]:
    """Of stored weights, or of what keeps their shape; () of anything else."""
    node = makers.get(name)
    while node is not None and node.op_type in _KEEP_SHAPE:
        name = node.input[0]
        node = makers.get(name)
    stored = constant_value(node) if node is not None else None
    return tuple(stored.dims) if stored is not None else shapes.get(name, ())


def _lacks(node: onnx.NodeProto) -> bool:
    return (
        node.op_type in ("Conv", "ConvTranspose")
        and is_standard(node)
        and len(node.input) > 1
        and not any(item.name == _KEY for item in node.attribute)
    )
