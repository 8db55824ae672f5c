# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Handing predictions to writers: written on worker threads, recorded in sample order."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from nvidia_tao_deploy.network import Frame, Writer
from nvidia_tao_deploy.pipeline.reading import worker_count
from nvidia_tao_deploy.pipeline.run import Pipeline
from nvidia_tao_deploy.status import State
from nvidia_tao_deploy.tasks import earlier
from nvidia_tao_deploy.tasks.context import EXPERIMENT, Context

logger = logging.getLogger(__name__)
WAITING_BYTES = 2 << 30
"""Pictures that wait for writers hold at most about so much memory, however many cores there are."""


class Ordered:
    """Writes on the worker threads, records in sample order, with a bounded number of samples, and of bytes in their
    pictures, waiting."""

    def __init__(self, running: Pipeline, writers: Sequence[Writer]) -> None:
        self._running, self._writers = running, writers
        self._waiting: deque[tuple[Frame, Future[list[Any]]]] = deque()
        self._limit, self._bytes = 4 * worker_count(), 0

    def add(self, frame: Frame, prediction: Any) -> None:
        if not self._writers:
            return
        self._waiting.append((frame, self._running.submit(self._write, frame, prediction)))
        self._bytes += _size(frame)
        while len(self._waiting) > self._limit or (self._bytes > WAITING_BYTES and self._waiting):
            self._record()

    def drain(self) -> None:
        while self._waiting:
            self._record()

    def _write(self, frame: Frame, prediction: Any) -> list[Any]:
        return [writer.write(frame, prediction) for writer in self._writers]

    def _record(self) -> None:
        frame, future = self._waiting.popleft()
        self._bytes -= _size(frame)
        for writer, result in zip(self._writers, future.result(), strict=True):
            writer.record(frame, result)


def _size(frame: Frame) -> int:
    """Bytes of the picture that a frame keeps for its writers."""
    return 0 if frame.picture is None else frame.picture.nbytes


def finish(context: Context, writers: Sequence[Writer]) -> None:
    """End all writers and say what they wrote, and what lies beside it that this run did not write."""
    for writer in writers:
        for path in writer.finish():
            logger.info("Written: %s", path)
            if path.is_dir() and path != context.folder:
                _warn_of_others(context, path)


def _warn_of_others(context: Context, folder: Path) -> None:
    """Files cannot be deleted here: nothing tells those of an earlier run from a user's own."""
    old = earlier.count(folder, context.folder / EXPERIMENT)
    if old:
        text = f"{folder}: {old} file{'s are' if old > 1 else ' is'} older than this run and no result of it"
        logger.warning("%s; delete the folder before a run to have the results of one only", text)
        context.status.write(State.RUNNING, text, older_files=old)
