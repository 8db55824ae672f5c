# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""What `evaluate` and `inference` share: from an engine file and a spec to a running pipeline."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nvidia_tao_deploy import logs, signals
from nvidia_tao_deploy.engine import metadata
from nvidia_tao_deploy.engine.backends import load_engine
from nvidia_tao_deploy.errors import DataError, EngineError, SpecError
from nvidia_tao_deploy.network import Decode, Evaluation, Frame, Inference, Sample
from nvidia_tao_deploy.pipeline.reading import Failure
from nvidia_tao_deploy.pipeline.run import Pipeline, fitting_batch_size
from nvidia_tao_deploy.render.captions import FONT_VARIABLE, checked_font
from nvidia_tao_deploy.spec.compose import require
from nvidia_tao_deploy.status import State
from nvidia_tao_deploy.tasks.context import Context

if TYPE_CHECKING:
    from nvidia_tao_deploy.engine.contract import Engine
    from nvidia_tao_deploy.signature import Binding

logger = logging.getLogger(__name__)
SHOWN_FAILURES = 20


@dataclass(frozen=True, slots=True)
class Opened:
    """A loaded engine and its tensors by the signature's names."""

    engine: Engine
    binding: Binding
    batch_size: int


@contextmanager
def opened_engine(context: Context) -> Iterator[Opened]:
    """Load <subtask>.trt_engine and check that it is this network's.

    Raises:
        SpecError: no engine is named, or a GPU index is wrong.
        EngineError: the file cannot be used.
    """
    checked_font(os.environ.get(FONT_VARIABLE, ""), FONT_VARIABLE)  # not when everything has run
    key = f"{context.subtask}.trt_engine"
    path = Path(require(context.spec, key))
    libraries = tuple(map(Path, context.spec.gen_trt_engine.plugins))
    with load_engine(path, _device(context), key, libraries) as engine:
        doubt = metadata.mismatch(path, context.network.name) or _outdated(context, path)
        if doubt:
            logger.warning("%s", doubt)
        signature = context.network.signature(context.spec)
        binding = signature.bind(engine.inputs, engine.outputs, path, EngineError)
        binding = binding.with_classes(lambda output: metadata.class_count(path, output))
        binding = binding.with_probabilities(lambda output: metadata.is_probability(path, output))
        engine.fetch_only({info.name for info in binding.outputs.values()})
        wanted = context.network.batch_size(context.spec, context.subtask)
        if wanted < 1:
            raise SpecError(
                f"The batch size must be at least 1; found {wanted}.",
                hint=f"Set {context.subtask}.batch_size, or batch_size in the section of the data set.",
            )
        size, remark = fitting_batch_size(engine, wanted)
        if remark:
            logger.warning("%s: %s", path, remark)
        yield Opened(engine, binding, size)


def _outdated(context: Context, engine: Path) -> str | None:
    """Only where the spec says which model the engine is made from."""
    section = context.spec.gen_trt_engine
    if not section.onnx_file or not section.trt_engine or Path(section.trt_engine) != engine:
        return None
    return metadata.outdated(engine, Path(section.onnx_file))


def _device(context: Context) -> int:
    section = getattr(context.spec, context.subtask)
    ids = section.gpu_ids
    if not ids or any(index < 0 for index in ids):
        raise SpecError(f"{context.subtask}.gpu_ids: {ids}: expected the index of one visible GPU, such as [0]")
    if len(ids) > 1:
        logger.warning("%s.gpu_ids: %s: one GPU is used, number %d", context.subtask, ids, max(ids))
    elif section.num_gpus > 1:
        logger.warning("%s.num_gpus: %d: one GPU is used, number %d", context.subtask, section.num_gpus, ids[0])
    return int(max(ids))  # of several the highest, as TAO Deploy does


@contextmanager
def pipeline(context: Context, opened: Opened, decode: Decode, keep_picture: bool = False) -> Iterator[Pipeline]:
    """The pipeline of a subtask; reports failures and speed when it is done."""
    prepare = context.network.prepare(context.spec, opened.binding, context.subtask, keep_picture)
    with Pipeline(opened.engine, opened.binding, prepare, decode, opened.batch_size) as running:
        yield running


def run_reference(context: Context, opened: Opened, job: Evaluation | Inference) -> list[Failure]:
    """Run the samples that the job compares with, unless what an earlier run kept of them still holds.

    Returns those that could not be used. Raises DataError when too few could.
    """
    reference = job.reference
    if reference is None or reference.collector.restore():
        return []
    with pipeline(context, opened, reference.decode) as running:
        for frame, prediction in results(context, running, reference.samples, reference.name):
            reference.collector.add(frame, prediction)
    try:
        reference.collector.finish(complete=not running.failures)
    except DataError:
        _name(context, running.failures, f"{len(running.failures)} samples of the {reference.name} could not be used")
        raise
    return running.failures


def results(
    context: Context, running: Pipeline, samples: Sequence[Sample], name: str = ""
) -> Iterator[tuple[Frame, Any]]:
    """(frame, prediction) of every readable sample, in order, with a progress bar; the rate goes to log and status.

    Args:
        name: of what is run, for messages; the subtask by default.

    Raises:
        DataError: there is nothing to run on.
    """
    name = name or context.subtask
    if not samples:
        raise DataError(f"{name}: the data set is empty.")
    start, failed = time.monotonic(), 0
    with logs.progress(name, len(samples)) as bar:
        for batch in running.run(samples):
            signals.check()
            yield from batch
            bar.advance(len(batch) + len(running.failures) - failed)
            failed = len(running.failures)
    seconds = max(time.monotonic() - start, 1e-9)
    rate = len(samples) / seconds
    text = f"{len(samples)} samples in {seconds:.1f} s, {rate:.1f}/s"
    logger.info("%s: %s", name, text)
    context.status.write(State.RUNNING, text, samples=len(samples), seconds=round(seconds, 3), rate=round(rate, 2))


def report_failures(
    context: Context, job: Evaluation | Inference, of_reference: Sequence[Failure], of_job: Sequence[Failure]
) -> None:
    """Name what could not be used of the samples, and of those they are compared with, in the log and in status.json.

    Raises:
        DataError: when there are failures: everything else is done and written by then, and the exit code says so.
    """
    if not of_reference and not of_job:
        return
    counts, used = [], len(job.samples) - len(of_job)
    if of_reference and job.reference:
        counts.append(f"{len(of_reference)} of {len(job.reference.samples)} samples of the {job.reference.name}")
    if of_job:
        counts.append(f"{len(of_job)} of {len(job.samples)} samples")
    text = f"{' and '.join(counts)} could not be used"
    _name(context, [*of_reference, *of_job], text)
    rest = f"the results are of the other {used}" if of_job else "the results are without them"
    raise DataError(f"{text}; {rest if used else 'there is no result'}.", hint="The list is above and in status.json.")


def _name(context: Context, failures: Sequence[Failure], text: str) -> None:
    """Each failure with its reason; the first ones in the log, all in status.json."""
    for failure in failures[:SHOWN_FAILURES]:
        logger.error("%s", failure.message)
    if len(failures) > SHOWN_FAILURES:
        logger.error("... and %d more, all in %s", len(failures) - SHOWN_FAILURES, context.status.path)
    context.status.write(
        State.RUNNING,
        text,
        failed_samples=[{"name": failure.sample.name, "reason": failure.message} for failure in failures],
    )
