# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Which layers of a weakly typed network compute, and store, in which precision."""

from __future__ import annotations

import logging
from typing import Any

from nvidia_tao_deploy.engine.contract import BuildPlan
from nvidia_tao_deploy.engine.tensorrt.dialect import Dialect
from nvidia_tao_deploy.errors import BuildError
from nvidia_tao_deploy.graph import layers
from nvidia_tao_deploy.graph.gates import Gates

logger = logging.getLogger(__name__)

REDUCED = frozenset({"fp16", "bf16", "int8"})
"""Precisions that the builder uses only when it is allowed to."""


def apply(dialect: Dialect, network: Any, config: Any, plan: BuildPlan, gates: Gates | None = None) -> set[str]:
    """Apply `layers_precision`, and keep gates out of INT8; returns the reduced precisions that this needs.

    Args:
        dialect, network, config: TensorRT's.
        plan: with the rules.
        gates: of the model, where TensorRT's calibrator gives every value a range: the builder would store any of them
            as INT8 that saves time. Rules of the plan come first: '*:int8' leaves all to the builder.

    Raises:
        BuildError: a rule fits no layer, or this TensorRT lacks its precision.
    """
    if not plan.layers_precision and not (gates and gates.inside):
        return set()
    all_layers = [network.get_layer(index) for index in range(network.num_layers)]
    asked = layers.match(plan.layers_precision, [layer.name for layer in all_layers])
    for dtype in set(asked.values()):
        if dialect.data_type(dtype) is None:
            raise BuildError(f"{layers.KEY}: {dialect} has no {dtype.upper()}")
    dialect.set_flag(config, "PREFER_PRECISION_CONSTRAINTS")
    used = _set_asked(dialect, all_layers, asked, plan)
    if gates is not None:
        used |= _keep_gates(dialect, all_layers, asked, "fp32" if plan.strict else "fp16", gates)
    return used & REDUCED


def _set_asked(dialect: Dialect, all_layers: list[Any], asked: dict[str, str], plan: BuildPlan) -> set[str]:
    if not plan.layers_precision:
        return set()
    default = "fp32" if plan.precision == "fp32" else ""  # FP32 with exceptions: the rest must not drift
    count = 0
    for layer in all_layers:
        dtype = asked.get(layer.name, default)
        if dtype and _computes_floats(dialect, layer):
            layer.precision = dialect.data_type(dtype)
            _set_outputs(layer, layer.precision)
            count += layer.name in asked
    logger.info("layers_precision: %d layers set", count)
    return set(asked.values())


def _keep_gates(dialect: Dialect, all_layers: list[Any], asked: dict[str, str], dtype: str, gates: Gates) -> set[str]:
    """Gates compute in `dtype`, and what enters them is stored in it."""
    data_type = dialect.data_type(dtype)
    count = 0
    for layer in all_layers:
        known = layer.name in gates.inside or layer.name in gates.sources
        if not known or layer.name in asked or not _computes_floats(dialect, layer):
            continue
        if layer.name in gates.inside:
            layer.precision = data_type
            count += 1
        if layer.name not in gates.ends:
            _set_outputs(layer, data_type)
    if count:
        logger.info(
            "INT8: %d layers of activation functions such as swish, hard-swish and GELU are %s; "
            "layers_precision: ['*:int8'] leaves them to TensorRT", count, dtype.upper(),
        )  # fmt: skip
    return {dtype} if count else set()


def _set_outputs(layer: Any, data_type: Any) -> None:
    for index in range(layer.num_outputs):
        if not layer.get_output(index).is_network_output:  # those keep the type that the model states
            layer.set_output_type(index, data_type)


def _computes_floats(dialect: Dialect, layer: Any) -> bool:
    """Layers that hold constants, sizes, integers or truth values have no precision to choose; nor have Q/DQ nodes,
    whose types are what says INT8."""
    kinds, types = dialect.trt.LayerType, dialect.trt.DataType
    without = (kinds.CONSTANT, kinds.SHAPE, kinds.QUANTIZE, kinds.DEQUANTIZE)
    if layer.type in without or layer.num_outputs == 0:
        return False
    tensors = [layer.get_output(index) for index in range(layer.num_outputs)]
    tensors += [layer.get_input(index) for index in range(layer.num_inputs)]
    tensors = [tensor for tensor in tensors if tensor is not None]
    whole = {types.INT32, types.BOOL, getattr(types, "INT64", None), getattr(types, "UINT8", None)}
    return not any(tensor.is_shape_tensor for tensor in tensors) and all(
        layer.get_output(index).dtype not in whole for index in range(layer.num_outputs)
    )
