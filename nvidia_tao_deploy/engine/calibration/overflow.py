# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""FP16 ends at 65504: which nodes of a model go near that on real data, and are therefore kept in FP32."""

from __future__ import annotations

import dataclasses
import itertools
import logging
from collections.abc import Mapping

import onnx

from nvidia_tao_deploy.engine.contract import BuildPlan, LayerPrecision
from nvidia_tao_deploy.errors import DataError
from nvidia_tao_deploy.graph.layers import label
from nvidia_tao_deploy.graph.precision import HALF_MAX
from nvidia_tao_deploy.graph.quantise import activations

logger = logging.getLogger(__name__)

MARGIN = 0.5
"""Part of FP16's range that measured values may fill: other pictures may give larger ones."""

BATCHES = 4
"""Calibration batches that are looked at."""


def plan_for(model: onnx.ModelProto, plan: BuildPlan, amax: Mapping[str, float] | None = None) -> BuildPlan:
    """The plan with FP32 rules for nodes that make or take values beyond FP16's range.

    Without `amax` the first calibration batches are measured; where there are none, or none that can be used, the plan
    is returned as it is: FP16 can do without. The user's own rules come first.

    Args:
        model: float32, without plugins.
        plan: one whose engine computes in FP16, at least where it is not INT8.
        amax: largest magnitude by activation, if known.

    Raises:
        BuildError: the FP32 model itself gives NaN or infinities.
    """
    if amax is None:
        if plan.calibration is None or plan.calibration.batches is None:
            return plan
        from nvidia_tao_deploy.engine.calibration.ranges import observe

        batches = itertools.islice(plan.calibration.batches(), BATCHES)
        try:
            amax = observe(model, activations(model), batches, "minmax", what="FP16 overflow check")
        except DataError as error:
            logger.warning("FP16: overflow is not looked for: %s", error.message)
            return plan
    return dataclasses.replace(plan, layers_precision=(*plan.layers_precision, *rules(model, amax)))


def rules(model: onnx.ModelProto, amax: Mapping[str, float]) -> tuple[LayerPrecision, ...]:
    """FP32 rules for nodes that make or take values near FP16's limit or beyond, with a warning; () for none.

    Args:
        model: float32, without plugins.
        amax: largest magnitude by activation. Ranges of calibration will do: they are cut off by little.
    """
    large = {name for name, value in amax.items() if value > MARGIN * HALF_MAX}
    nodes = [label(node) for node in model.graph.node if large & {*node.input, *node.output}]
    if not nodes:
        return ()
    worst = max(large, key=lambda name: amax[name])
    logger.warning(
        "FP16: %d nodes are kept in FP32: their values come near FP16's limit of %g on the calibration pictures "
        "(largest: %.3g in '%s')", len(nodes), HALF_MAX, amax[worst], worst,
    )  # fmt: skip
    return tuple(LayerPrecision(name, "fp32", optional=True) for name in nodes)
