# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""`gen_trt_engine`: an ONNX model becomes an engine file, with what it was made from beside it."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nvidia_tao_deploy import logs
from nvidia_tao_deploy.engine import metadata
from nvidia_tao_deploy.engine.backends import choose
from nvidia_tao_deploy.engine.contract import DYNAMIC, BuildPlan, Built, LayerPrecision, Profile
from nvidia_tao_deploy.errors import BuildError, SpecError, TaoDeployError
from nvidia_tao_deploy.files import check_writable, write_together
from nvidia_tao_deploy.graph import layers
from nvidia_tao_deploy.network import Table
from nvidia_tao_deploy.spec.compose import require
from nvidia_tao_deploy.spec.workspace import workspace_mb
from nvidia_tao_deploy.tasks.auto_layers import find
from nvidia_tao_deploy.tasks.calibrating import calibration, record
from nvidia_tao_deploy.tasks.context import Context
from nvidia_tao_deploy.tasks.report import path_of as report_path
from nvidia_tao_deploy.tasks.report import report
from nvidia_tao_deploy.tasks.verify import verify

if TYPE_CHECKING:
    from nvidia_tao_deploy.graph.model import Model
    from nvidia_tao_deploy.spec.common import GenTrtEngineSection

logger = logging.getLogger(__name__)
LONG_BUILD = 60.0
"""Seconds from which on a build is told of the timing cache."""


def run(context: Context) -> None:
    """Build gen_trt_engine.onnx_file into gen_trt_engine.trt_engine; an old file stays until the new is complete."""
    section = context.spec.gen_trt_engine
    source = Path(require(context.spec, "gen_trt_engine.onnx_file"))
    target = Path(require(context.spec, "gen_trt_engine.trt_engine"))
    _check_target(source, target, section.report)
    _check_apart(section, target)
    layer_rules = layers.parse(section.tensorrt.layers_precision)
    backend = choose(section.backend)
    backend.use_libraries(tuple(map(Path, section.plugins)))
    if section.timing_cache and backend.timing_cache:
        check_writable(Path(section.timing_cache), "gen_trt_engine.timing_cache")

    from nvidia_tao_deploy.graph import model as graph
    from nvidia_tao_deploy.graph import pooling

    model = graph.load(source)
    context.network.fit(context.spec, model.inputs)
    context.network.signature(context.spec).bind(model.inputs, model.outputs, source, BuildError)
    if section.batch_size != -1 and not _bounds_count(section, model):
        model = graph.fix_batch(model, section.batch_size)
    model = dataclasses.replace(model, proto=pooling.standard(model.proto))
    logger.info("%s", model.describe())
    _check_reference(context, model)
    plan = make_plan(context, model, layer_rules)
    if section.tensorrt.auto_layers_precision.enabled:
        plan = dataclasses.replace(plan, layers_precision=(*plan.layers_precision, *find(context, model, plan)))
    logger.info("Building for %s in %s ...", backend.name, plan.precision.upper())
    start = time.monotonic()
    built = backend.build(model.proto, plan)
    seconds = time.monotonic() - start - built.details.get("waited_seconds", 0.0)
    facts = metadata.facts(context.network.name, backend.name, model, plan, built, seconds)
    facts["calibration"] = record(plan)
    files: dict[Path, bytes | str] = {target: built.blob, metadata.path_of(target): ""}
    if section.verify:
        facts["verify"] = verify(context, model, backend, built, target)
    if section.report:
        files[report_path(target)] = report(context, model, backend, built, plan, target)
    files[metadata.path_of(target)] = metadata.text(facts)
    write_together(files)
    if not section.report:
        report_path(target).unlink(missing_ok=True)  # that of an engine that is no more
    logs.show_table(_summary(target, facts, built, plan))
    if seconds >= LONG_BUILD and backend.timing_cache and not section.timing_cache:
        logger.info(
            "gen_trt_engine.timing_cache=FILE keeps what was timed: the next build takes a fraction of the time"
        )


def make_plan(context: Context, model: Model, layers: tuple[LayerPrecision, ...]) -> BuildPlan:
    """The build plan that the spec asks for.

    Raises:
        SpecError: bounds are missing or out of order.
    """
    from nvidia_tao_deploy.graph.model import profiles

    section = context.spec.gen_trt_engine
    wanted = section.tensorrt
    batch = (wanted.min_batch_size, wanted.opt_batch_size, wanted.max_batch_size)
    return BuildPlan(
        precision=wanted.data_type.lower(),
        profiles=profiles(model.inputs, batch, _axes(context, model)),
        workspace_mb=workspace_mb(wanted.workspace_size),
        timing_cache=Path(section.timing_cache) if section.timing_cache else None,
        layers_precision=layers,
        tactic_sources=tuple(wanted.tactic_sources) if wanted.tactic_sources is not None else None,
        tf32=wanted.tf32,
        verbose=section.verbose,
        device=section.gpu_id,
        strict=wanted.strict_type_constraints,
        calibration=calibration(context, model),
    )


def _axes(context: Context, model: Model) -> dict[str, dict[int, tuple[int, int, int]]]:
    """Bounds of open axes by the model's input names, from bounds by the signature's symbols ("H", "W", ...)."""
    bounds = context.network.axes(context.spec)
    defaults = _default_bounds(context)
    signature = context.network.signature(context.spec)
    bound = signature.bind(model.inputs, model.outputs, model.source, BuildError, told=True)
    axes: dict[str, dict[int, tuple[int, int, int]]] = {}
    fixed: dict[tuple[int, str], list[str]] = {}
    for tensor in signature.inputs:
        info = bound.inputs[tensor.name]
        axes[info.name] = {}
        for axis, symbol in enumerate(tensor.shape):
            if not isinstance(symbol, str) or symbol not in bounds:
                continue
            low, _, high = axes[info.name][axis] = bounds[symbol]
            fits = info.shape[axis] == DYNAMIC or low <= info.shape[axis] <= high
            if not fits and bounds[symbol] != defaults.get(symbol):
                given = f"{low}" if low == high else f"{low} to {high}"
                fixed.setdefault((info.shape[axis], given), []).append(f"{symbol} of input '{info.name}'")
    for (size, given), places in fixed.items():
        logger.warning(
            "%s: %s %s fixed to %d in the model; the spec's %s has no effect",
            model.source, ", ".join(places), "is" if len(places) == 1 else "are", size, given,
        )  # fmt: skip
    return axes


def _default_bounds(context: Context) -> Mapping[str, tuple[int, int, int]]:
    """What a spec that says nothing about sizes gives: nobody asked for those."""
    try:
        return context.network.axes(context.network.schema())
    except TaoDeployError:
        return {}


def _bounds_count(section: GenTrtEngineSection, model: Model) -> bool:
    """Whether an open batch takes the bounds of `tensorrt`, although `batch_size` is set: TAO Deploy accepts that key
    and builds for the bounds all the same, so here it counts only where a spec says nothing of bounds."""
    keys = section.tensorrt
    bounds = (keys.min_batch_size, keys.opt_batch_size, keys.max_batch_size)
    if section.batch_size < 1 or model.batch != DYNAMIC or bounds in ((1, 1, 1), (section.batch_size,) * 3):
        return False
    logger.warning(
        "gen_trt_engine.batch_size: %d has no effect beside tensorrt.{min,opt,max}_batch_size (%d, %d, %d). Set these "
        "to %d, too, for an engine of that batch size only.",
        section.batch_size, *bounds, section.batch_size,
    )  # fmt: skip
    return True


def _check_reference(context: Context, model: Model) -> None:
    """What compares with the FP32 model needs ONNX Runtime to run that: find out before a long build."""
    section = context.spec.gen_trt_engine
    asked = {"verify": section.verify, "tensorrt.auto_layers_precision": section.tensorrt.auto_layers_precision.enabled}
    keys = " and ".join(f"gen_trt_engine.{key}" for key, wanted in asked.items() if wanted)
    if not keys:
        return
    from nvidia_tao_deploy.graph import plugins

    unknown = plugins.unknown(model.proto)
    if unknown:
        raise SpecError(
            f"{keys}: there is no FP32 model to compare with: ONNX Runtime has no {', '.join(unknown)}",
            hint="Leave it off for models with plugins of your own; evaluate tells the engine's accuracy.",
        )


def _check_target(source: Path, target: Path, with_report: bool) -> None:
    """Find out before a long build that the result could not be written, or would replace the model."""
    if source.exists() and target.exists() and source.samefile(target):
        raise SpecError(f"gen_trt_engine.trt_engine: {target} is the ONNX model itself; it would be replaced.")
    for path in (target, metadata.path_of(target), *((report_path(target),) if with_report else ())):
        check_writable(path, "gen_trt_engine.trt_engine")


def _check_apart(section: Any, target: Path) -> None:
    """What the build reads and writes besides must not be the engine: it would be replaced."""
    keys = {
        "timing_cache": section.timing_cache,
        **{
            f"tensorrt.calibration.{key}": getattr(section.tensorrt.calibration, key)
            for key in ("cal_cache_file", "cal_data_file", "cal_json_file")
        },
    }
    written = {path.resolve() for path in (target, metadata.path_of(target), report_path(target))}
    for key, file in keys.items():
        if file and Path(file).resolve() in written:
            raise SpecError(
                f"gen_trt_engine.{key}: {file} belongs to gen_trt_engine.trt_engine; one would replace the other.",
                hint="Give each a file of its own.",
            )


def _bounds(profile: Profile) -> str:
    return " | ".join("x".join(map(str, sizes)) for sizes in (profile.minimum, profile.optimum, profile.maximum))


def _summary(target: Path, facts: dict[str, Any], built: Built, plan: BuildPlan) -> Table:
    rows = [
        ("engine", str(target)),
        ("size", f"{len(built.blob) / 1e6:.2f} MB"),
        ("backend", facts["backend"]),
        ("precision", facts["precision"]),
        ("build time", f"{facts['build_seconds']:.1f} s"),
        *((f"profile of {name} (min | opt | max)", _bounds(profile)) for name, profile in plan.profiles.items()),
    ]
    return Table("gen_trt_engine", ("what", "value"), tuple(rows))
