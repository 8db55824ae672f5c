# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""INT8 and FP8 on the explicit route: a float32 graph becomes a Q/DQ graph (ONNX Runtime, TensorRT RTX, TensorRT)."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from typing import Any

import onnx

from nvidia_tao_deploy.engine.calibration import obtain, overflow
from nvidia_tao_deploy.engine.contract import BuildPlan, LayerPrecision
from nvidia_tao_deploy.errors import BuildError
from nvidia_tao_deploy.graph import layers, own_ranges, plugins, quantise
from nvidia_tao_deploy.graph.model import is_quantised

logger = logging.getLogger(__name__)


def quantised(
    model: onnx.ModelProto,
    plan: BuildPlan,
    float_weights: bool,
    measured: onnx.ModelProto | None = None,
    fp16_rest: bool = False,
) -> tuple[onnx.ModelProto, dict[str, Any]]:
    """The model with Q/DQ pairs when the plan asks for INT8 or FP8, and facts for the engine's json.

    A model that carries Q/DQ nodes already is returned as it is: its own ranges count.

    Args:
        model: float32; plugin nodes may stay in it when `measured` is given.
        plan: precision, layers_precision and calibration count.
        float_weights: see `graph.quantise.quantise`.
        measured: the model that is run to find ranges, its plugin nodes replaced first; default `model`.
        fp16_rest: what is not quantised becomes FP16: nodes whose values do not fit are named in "beyond_fp16".

    Raises:
        SpecError, DataError, BuildError: no ranges, or a graph that cannot be quantised.
    """
    if plan.precision not in quantise.FORMATS:
        return model, {}
    name = plan.precision.upper()
    # before calibration: wrong names
    layers.match(plan.layers_precision, [layers.label(node) for node in model.graph.node])
    if is_quantised(model):
        logger.info("The model carries Q/DQ nodes: its own ranges count, no calibration is run")
        return model, {"ranges": "the model's own Q/DQ nodes"}
    quantise.needed(model, quantise.FORMATS[plan.precision])  # before calibration: there may be nothing to quantise
    standard = runnable(measured) if measured is not None else model
    found = obtain.ranges(standard, plan.calibration, everything=fp16_rest)
    result, report = quantise.quantise(
        model, found.amax, quantise.FORMATS[plan.precision], plan.layers_precision, float_weights
    )
    logger.info("%s: %d nodes quantised, %d left as they were", name, len(report.quantised), len(report.kept))
    for layer, why in list(report.kept.items())[:20]:
        logger.info("%s: '%s' is not quantised: %s", name, layer, why)
    return result, {
        "ranges": found.source,
        "quantised_nodes": len(report.quantised),
        "not_quantised": report.kept,
        **({"beyond_fp16": [rule.pattern for rule in overflow.rules(model, found.amax)]} if fp16_rest else {}),
        **({"tensors_without_range": list(found.missing)} if found.missing else {}),
    }


def with_own_ranges(model: onnx.ModelProto, plan: BuildPlan) -> tuple[onnx.ModelProto, BuildPlan]:
    """A model that carries Q/DQ nodes, and the plan, with the layers that `layers_precision` keeps in floating point
    taken out of their pairs. Raises BuildError where that leaves nothing for INT8 or FP8."""
    model, rules = own_ranges.released(model, plan.layers_precision)
    if plan.precision in quantise.FORMATS and not is_quantised(model):
        raise BuildError(
            f"{layers.KEY} takes every layer out of the model's own Q/DQ pairs: nothing is left to be "
            f"{plan.precision.upper()}",
            hint="Use gen_trt_engine.tensorrt.data_type=FP16 or FP32, or name fewer layers.",
        )
    return model, dataclasses.replace(plan, layers_precision=rules)


def runnable(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with its plugins replaced, so that ONNX Runtime can find ranges. Raises BuildError."""
    own = plugins.unknown(model)
    if own:
        raise BuildError(
            f"calibration on ONNX Runtime is not possible: it has no {', '.join(own)}",
            hint="TensorRT 8.5 to 10 calibrate by themselves: cal_route=calibrator, cal_algorithm=minmax or entropy.",
        )
    return plugins.standard(model)


def rest(plan: BuildPlan, precision: str, beyond_fp16: Sequence[str] = ()) -> BuildPlan:
    """The plan for what is not quantised: floats in `precision`, with the layer rules that are about floats and nodes
    that FP16 cannot hold in FP32."""
    if plan.precision not in quantise.FORMATS:
        return plan
    rules = tuple(rule for rule in plan.layers_precision if rule.dtype not in quantise.FORMATS)
    kept = tuple(LayerPrecision(name, "fp32", optional=True) for name in beyond_fp16)
    return dataclasses.replace(plan, precision=precision, layers_precision=(*rules, *kept))
