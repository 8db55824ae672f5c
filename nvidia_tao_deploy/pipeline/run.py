# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""The one loop over data: worker threads read ahead, the engine works on batches in flight, results come out in order.

Memory is bounded by a fixed ring of batch buffers, whatever the size of the data set.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nvidia_tao_deploy.errors import DataError, EngineError
from nvidia_tao_deploy.network import Decode, Frame, Prepare, Sample

if TYPE_CHECKING:
    import numpy as np

    from nvidia_tao_deploy.engine.contract import Engine
    from nvidia_tao_deploy.signature import Binding

WORKERS_VARIABLE = "TAO_DEPLOY_WORKERS"
READ_AHEAD = 2
"""Batches that are being read while the engine holds `depth` others."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A sample that could not be used, and why."""

    sample: Sample
    message: str


@dataclass(slots=True)
class _Batch:
    """One batch on its way: its samples, its buffers, and what is known of each row so far."""

    samples: Sequence[Sample]
    buffers: dict[str, np.ndarray]
    reading: list[Future[list[Frame | Failure]]] = field(default_factory=list)
    results: list[Frame | Failure] = field(default_factory=list)
    outputs: Future[Mapping[str, np.ndarray]] | None = None

    def is_read(self) -> bool:
        return all(part.done() for part in self.reading)

    def finished(self) -> bool:
        return self.outputs is None or self.outputs.done()

    def wait(self) -> None:
        """Until every row is read."""
        self.results = [result for part in self.reading for result in part.result()]


def worker_count() -> int:
    """Threads that read and preprocess: TAO_DEPLOY_WORKERS, else one per core that this process may use."""
    asked = os.environ.get(WORKERS_VARIABLE, "")
    return max(1, int(asked)) if asked.isdigit() else len(os.sched_getaffinity(0))


class Pipeline:
    """Runs samples through prepare, engine and decode.

    Args:
        engine: a loaded engine.
        binding: its tensors by the signature's names.
        prepare: preprocessing; DataErrors it raises become `failures`, anything else stops the run.
        decode: raw outputs -> predictions.
        batch_size: rows of a full batch; must suit the engine (see `fitting_batch_size`).
        workers: reading threads; their pool is also open to `submit`.

    Use as a context manager; `run` yields in sample order.
    """

    def __init__(
        self, engine: Engine, binding: Binding, prepare: Prepare, decode: Decode, batch_size: int, workers: int = 0
    ) -> None:
        self.failures: list[Failure] = []
        self._engine, self._binding, self._prepare, self._decode = engine, binding, prepare, decode
        self._batch_size = 1 if prepare.shapes is None else batch_size
        self._workers = workers or worker_count()
        self._pool = ThreadPoolExecutor(self._workers, thread_name_prefix="prepare")
        self._static = {info.name for info in engine.inputs if info.shape and info.shape[0] > 0}
        self._free: deque[dict[str, np.ndarray]] = deque()
        if prepare.shapes is not None:
            full = {name: (self._batch_size, *shape) for name, shape in prepare.shapes.items()}
            self._free.extend(engine.buffers(full) for _ in range(engine.depth + READ_AHEAD))

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(self, *exc: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def submit(self, work: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Run other work (writing results) on the reading threads."""
        return self._pool.submit(work, *arguments)

    def run(self, samples: Sequence[Sample]) -> Iterator[list[tuple[Frame, Any]]]:
        """Yields, batch by batch and in order, (frame, prediction) of every sample that could be read."""
        starts = iter(range(0, len(samples), self._batch_size))
        reading: deque[_Batch] = deque()
        running: deque[_Batch] = deque()
        for _ in range(READ_AHEAD):
            self._start_next(samples, starts, reading)
        while reading or running:
            idle = running and running[0].finished() and not (reading and reading[0].is_read())
            if reading and len(running) < self._engine.depth and not idle:
                batch = reading.popleft()
                batch.wait()
                self._launch(batch)
                running.append(batch)
                self._start_next(samples, starts, reading)
            else:
                yield self._collect(running.popleft())

    def _start_next(self, samples: Sequence[Sample], starts: Iterator[int], reading: deque[_Batch]) -> None:
        start = next(starts, None)
        if start is None:
            return
        rows = samples[start : start + self._batch_size]
        if self._prepare.shapes is None:
            batch = _Batch(rows, {})
            batch.reading.append(self._pool.submit(self._read_single, rows[0], batch.buffers))
        else:
            batch = _Batch(rows, self._free.popleft())
            step = max(1, -(-len(rows) // (2 * self._workers)))  # a few parts per worker: less hand-over, even load
            for first in range(0, len(rows), step):
                part = range(first, min(first + step, len(rows)))
                batch.reading.append(self._pool.submit(self._read_rows, rows, batch.buffers, part))
        reading.append(batch)

    def _read_rows(self, samples: Sequence[Sample], buffers: dict[str, np.ndarray], part: range) -> list[Any]:
        results: list[Frame | Failure] = []
        for index in part:
            try:
                rows = {name: buffer[index] for name, buffer in buffers.items()}
                results.append(self._prepare(samples[index], rows))
            except DataError as error:
                results.append(Failure(samples[index], error.message))
        return results

    def _read_single(self, sample: Sample, buffers: dict[str, np.ndarray]) -> list[Any]:
        try:
            arrays, frame = self._prepare.single(sample)
        except DataError as error:
            return [Failure(sample, error.message)]
        buffers.update(arrays)
        return [frame]

    def _launch(self, batch: _Batch) -> None:
        if all(isinstance(result, Failure) for result in batch.results):
            return
        count = len(batch.samples)
        feeds = {
            name: buffer if name in self._static else buffer[:count] for name, buffer in batch.buffers.items()
        }  # rows that failed keep old data: they are computed and thrown away, which is cheaper than moving rows
        batch.outputs = self._engine.submit(feeds)

    def _collect(self, batch: _Batch) -> list[tuple[Frame, Any]]:
        frames = [result for result in batch.results if isinstance(result, Frame)]
        self.failures.extend(result for result in batch.results if isinstance(result, Failure))
        predictions: Sequence[Any] = []
        if batch.outputs is not None:
            raw = batch.outputs.result()
            good = [index for index, result in enumerate(batch.results) if isinstance(result, Frame)]
            rows: Any = slice(len(batch.samples)) if len(good) == len(batch.samples) else good
            named = {name: raw[info.name][rows] for name, info in self._binding.outputs.items()}
            predictions = self._decode(named, frames)
        if self._prepare.shapes is not None:
            self._free.append(batch.buffers)
        return list(zip(frames, predictions, strict=True))


def fitting_batch_size(engine: Engine, wanted: int) -> tuple[int, str | None]:
    """The batch size to run with, and a remark when it is not the one asked for.

    A static engine runs its own batch size; one with a profile runs at most the profile's maximum.
    Raises EngineError when inputs disagree.
    """
    sizes = {info.shape[0] for info in engine.inputs if info.shape}
    static = {size for size in sizes if size > 0}
    if len(static) > 1:
        raise EngineError(f"The engine's inputs have different batch sizes: {sorted(static)}")
    if static:
        size = static.pop()
        return size, None if size == wanted else f"the engine has a fixed batch size of {size}; {wanted} was asked for"
    limits = [info.maximum[0] for info in engine.inputs if info.maximum]
    if limits and wanted > min(limits):
        return min(limits), f"the engine takes at most {min(limits)} pictures per batch; {wanted} were asked for"
    return wanted, None
