# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Handing predictions to writers: written on worker threads, recorded in sample order."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from nvidia_tao_deploy.network import Frame, Writer
from nvidia_tao_deploy.pipeline.reading import worker_count
from nvidia_tao_deploy.pipeline.run import Pipeline

logger = logging.getLogger(__name__)


class Ordered:
    """Writes on the worker threads, records in sample order, with a bounded number of samples waiting."""

    def __init__(self, running: Pipeline, writers: Sequence[Writer]) -> None:
        self._running, self._writers = running, writers
        self._waiting: deque[tuple[Frame, Future[list[Any]]]] = deque()
        self._limit = 4 * worker_count()

    def add(self, frame: Frame, prediction: Any) -> None:
        if not self._writers:
            return
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


def finish(writers: Sequence[Writer]) -> None:
    """End all writers and say what they wrote."""
    for writer in writers:
        for path in writer.finish():
            logger.info("Written: %s", path)
