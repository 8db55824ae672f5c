# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Which layers of a weakly typed network compute, and store, in which precision."""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Any

import onnx

from nvidia_tao_deploy.engine.contract import BuildPlan, LayerPrecision
from nvidia_tao_deploy.engine.tensorrt.dialect import Dialect
from nvidia_tao_deploy.errors import BuildError
from nvidia_tao_deploy.graph import layers
from nvidia_tao_deploy.graph.gates import Gates
from nvidia_tao_deploy.graph.model import all_nodes

logger = logging.getLogger(__name__)

REDUCED = frozenset({"fp16", "bf16", "int8"})
"""Precisions that the builder uses only when it is allowed to."""
_PRODUCTS = frozenset({"CONVOLUTION", "DECONVOLUTION", "FULLY_CONNECTED", "MATRIX_MULTIPLY"})
_STEPS = frozenset({"ACTIVATION", "ELEMENTWISE", "SCALE", "SHUFFLE", "UNARY"})
"""Kinds of layers that the parser puts behind a product, or makes an activation function of."""
_STATED = frozenset({"CAST", "CONSTANT", "DEQUANTIZE", "FILL", "QUANTIZE", "SHAPE"})
"""Kinds of layers whose types the model states; TensorRT refuses a cast whose output is to have another type."""


def apply(
    dialect: Dialect, network: Any, config: Any, model: onnx.ModelProto, plan: BuildPlan, gates: Gates | None = None
) -> tuple[set[str], int]:
    """Apply `layers_precision`, and keep gates out of INT8.

    Args:
        dialect, network, config: TensorRT's.
        model: what the parser made the network of.
        plan: with the rules.
        gates: of the model, where TensorRT's calibrator gives every value a range: the builder would store any of them
            as INT8 that saves time. Rules of the plan come first.

    Returns:
        The reduced precisions that this needs, and how many layers of gates are told not to compute in INT8.

    Raises:
        BuildError: a rule fits no layer, or this TensorRT lacks its precision.
    """
    if not plan.layers_precision and not (gates and gates.inside):
        return set(), 0
    all_layers = [network.get_layer(index) for index in range(network.num_layers)]
    parts = _parts_of_values(all_layers, model)
    asked = _asked(plan.layers_precision, all_layers, parts)
    for dtype in set(asked.values()):
        if dialect.data_type(dtype) is None:
            raise BuildError(f"{layers.KEY}: {dialect} has no {dtype.upper()}")
    dialect.set_flag(config, "PREFER_PRECISION_CONSTRAINTS")
    used = _set_asked(dialect, all_layers, asked, plan)
    count = 0
    if gates is not None:
        needed, count = _keep_gates(dialect, parts, asked, "fp32" if plan.strict else "fp16", gates)
        used |= needed
    return used & REDUCED, count


def _asked(rules: tuple[LayerPrecision, ...], all_layers: list[Any], parts: dict[str, list[Any]]) -> dict[str, str]:
    """Layer name -> dtype. What a rule says of one layer of a node holds for the others, to which the parser gave names
    of its own, where no rule fits those; a plain '*' comes last here as well."""
    names = [layer.name for layer in all_layers]
    asked = layers.match([rule for rule in rules if rule.pattern != layers.EVERYTHING], names)
    shared: dict[str, str] = {}
    for of_one_node in parts.values():
        said = [asked[layer.name] for layer in of_one_node if layer.name in asked]
        if said:
            shared.update(dict.fromkeys((layer.name for layer in of_one_node), said[0]))
    return {**layers.match(rules, names), **shared, **asked}


def _set_asked(dialect: Dialect, all_layers: list[Any], asked: dict[str, str], plan: BuildPlan) -> set[str]:
    if not plan.layers_precision:
        return set()
    default = "fp32" if plan.precision == "fp32" else ""  # FP32 with exceptions: the rest must not drift
    count = 0
    quantised = {name for layer in all_layers if layer.type.name == "DEQUANTIZE" for name in _outputs(layer)}
    for layer in all_layers:
        dtype = asked.get(layer.name, default)
        if not quantised.isdisjoint(_inputs(layer)):  # Q/DQ pairs that are left say INT8: the graph followed the rules
            continue
        if dtype and _computes_floats(dialect, layer):
            layer.precision = dialect.data_type(dtype)
            _set_outputs(layer, layer.precision)
            count += layer.name in asked
    logger.info("layers_precision: %d layers set", count)
    return set(asked.values())


def _keep_gates(
    dialect: Dialect, parts: dict[str, list[Any]], asked: dict[str, str], dtype: str, gates: Gates
) -> tuple[set[str], int]:
    """Gates compute in `dtype`, and what enters them is stored in it, but for layers of which a rule says something."""
    data_type = dialect.data_type(dtype)
    used: set[str] = set()
    count = 0
    for value in gates.inside | gates.sources:
        for position, layer in enumerate(parts.get(value, ())):
            if layer.name in asked or not _computes_floats(dialect, layer):
                continue
            used.add(dtype)
            if value in gates.inside:
                layer.precision = data_type
                count += 1
            if value not in gates.ends or position > 0:  # the first one gives the value
                _set_outputs(layer, data_type)
    if count:
        logger.info(
            "INT8: TensorRT is told to compute %d layers of activation functions such as swish, hard-swish and GELU in "
            "%s; rules of layers_precision come first", count, dtype.upper(),
        )  # fmt: skip
    return used, count


def _parts_of_values(all_layers: list[Any], model: onnx.ModelProto) -> dict[str, list[Any]]:
    """Value that a node of the model gives -> the layers that the parser made of the node to compute it."""
    makers = _makers(all_layers)
    nodes = list(all_nodes(model.graph))
    values = {name for node in nodes for name in (*node.input, *node.output)}
    return {name: _parts(name, makers, values) for node in nodes for name in node.output if name in makers}


def _makers(all_layers: list[Any]) -> dict[str, Any]:
    """Value -> the layer that gives it. What is made of constants alone does not count."""
    makers: dict[str, Any] = {}
    constants: set[str] = set()
    for layer in all_layers:
        inputs = _inputs(layer)
        outputs = _outputs(layer)
        if layer.type.name == "CONSTANT" or (inputs and constants.issuperset(inputs)):
            constants.update(outputs)
        else:
            makers.update(dict.fromkeys(outputs, layer))
    return makers


def _parts(value: str, makers: dict[str, Any], values: Collection[str], first: bool = True) -> list[Any]:
    """The layers that the parser made of a node, the one that gives its `value` first: a Gemm is a product and a sum.

    Between them lie tensors that are no `values` of the model.
    """
    layer = makers.get(value)
    if layer is None:
        return []
    if layer.type.name not in _STEPS:
        return [layer] if first or layer.type.name in _PRODUCTS else []
    inner = [name for name in _inputs(layer) if name not in values]
    return [layer, *(part for name in inner for part in _parts(name, makers, values, first=False))]


def _inputs(layer: Any) -> list[str]:
    tensors = [layer.get_input(index) for index in range(layer.num_inputs)]
    return [tensor.name for tensor in tensors if tensor is not None]


def _outputs(layer: Any) -> list[str]:
    return [layer.get_output(index).name for index in range(layer.num_outputs)]


def _set_outputs(layer: Any, data_type: Any) -> None:
    for index in range(layer.num_outputs):
        if not layer.get_output(index).is_network_output:  # those keep the type that the model states
            layer.set_output_type(index, data_type)


def _computes_floats(dialect: Dialect, layer: Any) -> bool:
    """Layers that hold constants, sizes, integers or truth values have no precision to choose; nor have Q/DQ nodes,
    whose types are what says INT8, and casts."""
    types = dialect.trt.DataType
    if layer.type.name in _STATED or layer.num_outputs == 0:
        return False
    tensors = [layer.get_output(index) for index in range(layer.num_outputs)]
    tensors += [layer.get_input(index) for index in range(layer.num_inputs)]
    tensors = [tensor for tensor in tensors if tensor is not None]
    whole = {types.INT32, types.BOOL, getattr(types, "INT64", None), getattr(types, "UINT8", None)}
    return not any(tensor.is_shape_tensor for tensor in tensors) and all(
        layer.get_output(index).dtype not in whole for index in range(layer.num_outputs)
    )
