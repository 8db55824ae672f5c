# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Running a network on real samples while its engine is being built: for verification, reports and precision search."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nvidia_tao_deploy.engine import backends
from nvidia_tao_deploy.engine.contract import BuildPlan
from nvidia_tao_deploy.errors import BuildError, DataError, EngineError, NotANumberError, SpecError
from nvidia_tao_deploy.network import Decode, Frame, Metric, Sample
from nvidia_tao_deploy.pipeline.calibration import order
from nvidia_tao_deploy.pipeline.run import Pipeline, fitting_batch_size
from nvidia_tao_deploy.signature import Binding
from nvidia_tao_deploy.tasks import calibrating
from nvidia_tao_deploy.tasks.context import Context

if TYPE_CHECKING:
    import numpy as np

    from nvidia_tao_deploy.engine.contract import Backend, Engine
    from nvidia_tao_deploy.graph.model import Model

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Trial:
    """What there is to run on.

    Attributes:
        samples: real samples, chosen by the documented rule.
        source: where they come from, for messages.
        subtask: whose preprocessing is used: evaluate or inference where the spec has their data, else gen_trt_engine.
        decode: raw outputs -> predictions; None where the spec does not say enough to decode.
        metric: a new metric for labelled samples; None without labels.
    """

    samples: Sequence[Sample]
    source: str
    subtask: str
    decode: Decode | None
    metric: Metric | None


@dataclass(frozen=True, slots=True)
class _Job:
    subtask: str
    samples: Sequence[Sample]
    decode: Decode
    metric: Metric | None


def plan(context: Context, model: Model, count: int, labelled: bool = False) -> Trial:
    """Choose samples: the calibration pictures where there are any, else those of evaluate, else of inference.

    Of the seeded order of the data (see `pipeline.calibration.order`) the last `count` are taken, so pictures that
    calibration used, which are the first, come in only where there are too few others.

    Args:
        labelled: take evaluate's samples, which have labels, whatever else there is.

    Raises:
        DataError: there is no sample to run on; says which keys would give some.
    """
    from nvidia_tao_deploy.graph.classes import classes_of, ends_in_probability

    signature = context.network.signature(context.spec)
    binding = signature.bind(model.inputs, model.outputs, model.source, EngineError, told=True)
    binding = binding.with_classes(lambda output: classes_of(model.proto, output))
    binding = binding.with_probabilities(lambda output: ends_in_probability(model.proto, output))
    job, reasons = _job(context, binding)
    keys = context.spec.gen_trt_engine.tensorrt.calibration
    if labelled and (job is None or job.metric is None):
        raise DataError(f"no labelled samples: {reasons.get('evaluate', 'the network has no evaluate')}")
    samples: Sequence[Sample] = []
    if keys.cal_image_dir and not labelled:
        samples, source = calibrating.samples(context), f"{calibrating.SECTION}.cal_image_dir"
    elif job is not None:
        samples, source = job.samples, f"the data of {job.subtask}"
    if not samples:
        told, more = "", ""
        if context.network.evaluation or context.network.inference:
            reason = "; ".join(f"{subtask}: {reason}" for subtask, reason in reasons.items())
            told, more = f" ({reason or 'the data sets are empty'})", ", or the keys of evaluate's or inference's data"
        raise DataError(
            f"there are no samples to run on: {calibrating.SECTION}.cal_image_dir is not set{told}",
            hint=f"Set {calibrating.SECTION}.cal_image_dir=[FOLDER]{more}.",
        )
    chosen = order(samples, keys.cal_seed)[-count:]
    if job is None:
        return Trial(chosen, source, "gen_trt_engine", None, None)
    return Trial(chosen, source, job.subtask, job.decode, job.metric)


def _job(context: Context, binding: Binding) -> tuple[_Job | None, dict[str, str]]:
    """What evaluate or inference would run over, and why not where the spec does not say enough."""
    reasons: dict[str, str] = {}
    for subtask in ("evaluate", "inference"):
        make = getattr(context.network, "evaluation" if subtask == "evaluate" else "inference")
        if make is None:
            continue
        try:
            if subtask == "evaluate":
                evaluation = make(context.spec, binding)
                if evaluation.reference:  # its raw outputs are judged; comparing them takes a whole gallery
                    reasons[subtask] = f"evaluate first needs its {evaluation.reference.name} from this engine"
                    return _Job(subtask, evaluation.samples, evaluation.reference.decode, None), reasons
                return _Job(subtask, evaluation.samples, evaluation.decode, evaluation.metric), reasons
            with tempfile.TemporaryDirectory(prefix="tao_deploy_") as folder:
                inference = make(context.spec, binding, Path(folder))
            decode = inference.reference.decode if inference.reference else inference.decode
            return _Job(subtask, inference.samples, decode, None), reasons
        except (SpecError, DataError) as error:
            reasons[subtask] = error.message
    return None, reasons


class Recording:
    """A decoder that also keeps each sample's raw outputs: predictions become (outputs by name, prediction or None)."""

    def __init__(self, decode: Decode | None) -> None:
        self._decode = decode

    def __call__(self, outputs: Mapping[str, np.ndarray], frames: Sequence[Frame]) -> list[Any]:
        predictions: Sequence[Any] = self._decode(outputs, frames) if self._decode else [None] * len(frames)
        rows = [{name: array[index].copy() for name, array in outputs.items()} for index in range(len(frames))]
        return list(zip(rows, predictions, strict=True))


@contextmanager
def loaded(backend: Backend, blob: bytes, target: Path, device: int) -> Iterator[Engine]:
    """An engine that is not yet a file; messages name `target`. Raises EngineError when it cannot run here."""
    with tempfile.TemporaryDirectory(prefix="tao_deploy_") as folder:
        path = Path(folder) / target.name
        path.write_bytes(blob)
        try:
            with backend.load(blob, path, device) as engine:
                yield engine
        except NotANumberError:
            raise
        except EngineError as error:
            raise EngineError(error.message.replace(str(path), str(target)), error.hint) from error


@contextmanager
def reference(model: Model) -> Iterator[Engine]:
    """The FP32 ONNX model on the backend that is the reference."""
    backend = backends.get(backends.REFERENCE)
    built = backend.build(model.proto, BuildPlan())
    with loaded(backend, built.blob, model.source, 0) as engine:
        yield engine


@contextmanager
def expecting_numbers(model: Model) -> Iterator[None]:
    """Around a run of the FP32 model: NaN there is the model's fault (BuildError), not the engine's."""
    try:
        yield
    except NotANumberError as error:
        raise BuildError(
            f"{model.source}: the FP32 model itself gives {error.found}: output '{error.output}' for {error.sample}",
            hint="Check the preprocessing keys; if they are right, the model is broken and must be exported again.",
        ) from error


@contextmanager
def running(context: Context, trial: Trial, engine: Engine, source: object, batch: int = 0) -> Iterator[Pipeline]:
    """A pipeline whose predictions are `Recording`'s pairs."""
    signature = context.network.signature(context.spec)
    binding = signature.bind(engine.inputs, engine.outputs, source, EngineError, told=True)
    prepare = context.network.prepare(context.spec, binding, trial.subtask, False)
    size, _ = fitting_batch_size(engine, batch or context.spec.gen_trt_engine.tensorrt.opt_batch_size)
    with Pipeline(engine, binding, prepare, Recording(trial.decode), size) as pipeline:
        yield pipeline
