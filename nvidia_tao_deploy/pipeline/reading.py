# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Samples -> rows of a batch, in worker threads: what running an engine and calibrating one share."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nvidia_tao_deploy import environment
from nvidia_tao_deploy.errors import DataError
from nvidia_tao_deploy.network import Frame, Prepare, Sample

if TYPE_CHECKING:
    import numpy as np

WORKERS_VARIABLE = "TAO_DEPLOY_WORKERS"


@dataclass(frozen=True, slots=True)
class Failure:
    """A sample that could not be used, and why."""

    sample: Sample
    message: str


@dataclass(slots=True)
class Reading:
    """Rows that are being read: samples, the arrays they go to, and afterwards what is known of each."""

    samples: Sequence[Sample]
    buffers: dict[str, np.ndarray]
    parts: list[Future[list[Frame | Failure]]] = field(default_factory=list)
    results: list[Frame | Failure] = field(default_factory=list)

    def is_read(self) -> bool:
        return all(part.done() for part in self.parts)

    def wait(self) -> None:
        """Until every row is read; `results` then has one entry per sample, in order."""
        self.results = [result for part in self.parts for result in part.result()]


def worker_count() -> int:
    """Threads that read and preprocess: TAO_DEPLOY_WORKERS, else one per core that this process may use."""
    return environment.count(WORKERS_VARIABLE) or len(os.sched_getaffinity(0))


class Reader:
    """Reads samples into batches.

    Args:
        prepare: preprocessing; DataErrors it raises become `Failure`s, as do samples with a `fault`; anything else is
            raised by `Reading.wait`.
        workers: reading threads; 0 for `worker_count()`.
    """

    def __init__(self, prepare: Prepare, workers: int = 0) -> None:
        self.pool = ThreadPoolExecutor(workers or worker_count(), thread_name_prefix="prepare")
        self._workers = workers or worker_count()
        self._prepare = prepare

    def close(self) -> None:
        """Wait for what is being read, drop the rest."""
        self.pool.shutdown(wait=True, cancel_futures=True)

    def start(self, samples: Sequence[Sample], buffers: dict[str, np.ndarray]) -> Reading:
        """Read samples into the first rows of `buffers` (which `prepare.shapes` describes)."""
        reading = Reading(samples, buffers)
        step = max(1, -(-len(samples) // (2 * self._workers)))  # a few parts per worker: less hand-over, even load
        for first in range(0, len(samples), step):
            part = range(first, min(first + step, len(samples)))
            reading.parts.append(self.pool.submit(self._read_rows, samples, buffers, part))
        return reading

    def start_single(self, sample: Sample) -> Reading:
        """Read one sample in its own shape, for a `prepare` whose `shapes` is None; its arrays are then `buffers`."""
        reading = Reading([sample], {})
        reading.parts.append(self.pool.submit(self._read_single, sample, reading.buffers))
        return reading

    def read_row(self, sample: Sample, buffers: Mapping[str, np.ndarray], index: int) -> Frame | Failure:
        """Read one sample now, into row `index`."""
        if sample.fault:
            return Failure(sample, sample.fault)
        try:
            return self._prepare(sample, {name: buffer[index] for name, buffer in buffers.items()})
        except DataError as error:
            return Failure(sample, error.message)

    def _read_rows(
        self, samples: Sequence[Sample], buffers: Mapping[str, np.ndarray], part: range
    ) -> list[Frame | Failure]:
        return [self.read_row(samples[index], buffers, index) for index in part]

    def _read_single(self, sample: Sample, buffers: dict[str, np.ndarray]) -> list[Frame | Failure]:
        if sample.fault:
            return [Failure(sample, sample.fault)]
        try:
            arrays, frame = self._prepare.single(sample)
        except DataError as error:
            return [Failure(sample, error.message)]
        buffers.update(arrays)
        return [frame]
