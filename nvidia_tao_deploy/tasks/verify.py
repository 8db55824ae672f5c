# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""`gen_trt_engine.verify`: does the engine that was just built say what the FP32 model says?"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nvidia_tao_deploy import logs
from nvidia_tao_deploy.errors import BuildError, DataError, EngineError, NotANumberError
from nvidia_tao_deploy.network import Table
from nvidia_tao_deploy.tasks import trial
from nvidia_tao_deploy.tasks.comparing import Comparison
from nvidia_tao_deploy.tasks.context import Context

if TYPE_CHECKING:
    from nvidia_tao_deploy.engine.contract import Backend, Built
    from nvidia_tao_deploy.graph.model import Model
    from nvidia_tao_deploy.pipeline.run import Pipeline

logger = logging.getLogger(__name__)
KEEP_LAYERS = "gen_trt_engine.tensorrt.auto_layers_precision.enabled=true finds the layers to keep in FP16 or FP32"


def verify(context: Context, model: Model, backend: Backend, built: Built, target: Path) -> dict[str, Any]:
    """Run engine and FP32 model on real samples, print how they differ, and return the figures.

    Judged is, where predictions can be decoded, their agreement; otherwise the cosine of each float output.

    Raises:
        BuildError: they differ by more than the spec allows, values are NaN or infinite, or the engine cannot run here.
        DataError: there is nothing to run on.
    """
    section = context.spec.gen_trt_engine
    plan = trial.plan(context, model, section.verify_samples)
    comparison = Comparison()
    try:
        with (
            trial.reference(model) as exact,
            trial.loaded(backend, built.blob, target, section.gpu_id) as engine,
            trial.running(context, plan, exact, model.source) as left,
            trial.running(context, plan, engine, target) as right,
        ):
            compare(plan, model, left, right, comparison)
    except NotANumberError as error:
        raise BuildError(
            f"gen_trt_engine.verify: the engine is not kept: its output '{error.output}' is {error.found} for "
            f"{error.sample}, for which the FP32 model gives numbers",
            hint=KEEP_LAYERS,
        ) from error
    except EngineError as error:
        raise BuildError(
            f"gen_trt_engine.verify: the new engine cannot be run here, so it is not kept: {error.message}",
            hint="gen_trt_engine.verify=false builds without running.",
        ) from error
    logs.show_table(_table(comparison, plan))
    _judge(context, comparison)
    return {**comparison.as_json(), "samples_from": plan.source}


def compare(plan: trial.Trial, model: Model, left: Pipeline, right: Pipeline, comparison: Comparison) -> None:
    """Run both pipelines (`left` the FP32 model's) over the samples in step.

    Raises:
        DataError: no sample can be read.
        BuildError: the FP32 model gives NaN.
        NotANumberError: the engine gives NaN.
    """
    with logs.progress("verify", len(plan.samples)) as bar:
        for (_, want), (_, have) in zip(_exact(left, plan, model), _each(right, plan), strict=True):
            comparison.update(want, have)
            bar.advance(1)
    for failure in right.failures:
        logger.warning("%s It is left out.", failure.message)
    if comparison.samples == 0:
        raise DataError(f"verify: none of the {len(plan.samples)} samples of {plan.source} can be read")


def _exact(pipeline: Pipeline, plan: trial.Trial, model: Model) -> Iterator[tuple[Any, Any]]:
    with trial.expecting_numbers(model):
        yield from _each(pipeline, plan)


def _each(pipeline: Pipeline, plan: trial.Trial) -> Iterator[tuple[Any, Any]]:
    for batch in pipeline.run(plan.samples):
        yield from batch


def _table(comparison: Comparison, plan: trial.Trial) -> Table:
    rows: list[tuple[Any, ...]] = [
        (name, item.largest, item.mean, item.cosine, 100 * item.equal / max(item.count, 1))
        for name, item in comparison.outputs.items()
    ]
    title = f"Engine against the FP32 model on {comparison.samples} samples ({plan.source})"
    if comparison.agreement is not None:
        title += f": predictions agree {100 * comparison.agreement:.2f} %"
    return Table(title, ("output", "max error", "mean error", "cosine", "equal %"), tuple(rows))


def _judge(context: Context, comparison: Comparison) -> None:
    section = context.spec.gen_trt_engine
    faults = [
        f"output '{name}' has {item.lost} NaN or infinite values where the FP32 model has numbers"
        for name, item in comparison.outputs.items()
        if item.lost
    ]
    agreement = comparison.agreement
    if agreement is not None:
        if agreement < section.verify_agreement:
            faults.append(
                f"predictions agree {100 * agreement:.2f} %, less than "
                f"gen_trt_engine.verify_agreement={section.verify_agreement:g}"
            )
    else:
        faults += [
            f"output '{name}': cosine {item.cosine:.5f}, less than "
            f"gen_trt_engine.verify_cosine={section.verify_cosine:g}"
            for name, item in comparison.outputs.items()
            if item.cosine < section.verify_cosine and not item.whole
        ]
    if faults:
        raise BuildError(
            f"gen_trt_engine.verify: the engine is not kept: {'; '.join(faults)}",
            hint=f"{KEEP_LAYERS}; more calibration pictures, or cal_algorithm=minmax, may help INT8.",
        )
    logger.info("verify: the engine says what the FP32 model says, within the tolerance")
