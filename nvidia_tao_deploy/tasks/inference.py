# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""`inference`: an engine's predictions on pictures, written in the forms that the network declares."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from nvidia_tao_deploy.network import Frame, Writer
from nvidia_tao_deploy.pipeline.reading import worker_count
from nvidia_tao_deploy.pipeline.run import Pipeline
from nvidia_tao_deploy.tasks.context import Context
from nvidia_tao_deploy.tasks.running import opened_engine, pipeline, report_failures, results

logger = logging.getLogger(__name__)


def run(context: Context) -> None:
    """Predict with <inference.trt_engine>; one picture that cannot be read does not stop the others."""
    assert context.network.inference is not None
    with opened_engine(context) as opened:
        job = context.network.inference(context.spec, opened.binding, context.folder)
        keep = any(writer.keeps_picture for writer in job.writers)
        with pipeline(context, opened, job.decode, keep) as running:
            ordered = _Ordered(running, job.writers)
            for frame, prediction in results(context, running, job.samples):
                ordered.add(frame, prediction)
            ordered.drain()
    for writer in job.writers:
        for path in writer.finish():
            logger.info("Written: %s", path)
    report_failures(context, running.failures, len(job.samples))


class _Ordered:
    """Writes on the worker threads, records in sample order, with a bounded number of samples waiting."""

    def __init__(self, running: Pipeline, writers: Sequence[Writer]) -> None:
        self._running, self._writers = running, writers
        self._waiting: deque[tuple[Frame, Future[list[Any]]]] = deque()
        self._limit = 4 * worker_count()

    def add(self, frame: Frame, prediction: Any) -> None:
        self._waiting.append((frame, self._running.submit(self._write, frame, prediction)))
        while len(self._waiting) > self._limit:
            self._record()

    def drain(self) -> None:
        while self._waiting:
            self._record()

    def _write(self, frame: Frame, prediction: Any) -> list[Any]:
        return [writer.write(frame, prediction) for writer in self._writers]

    def _record(self) -> None:
        frame, future = self._waiting.popleft()
        for writer, result in zip(self._writers, future.result(), strict=True):
            writer.record(frame, result)
