# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""The one loop over data: worker threads read ahead, the engine works on batches in flight, results come out in order.

Memory is bounded by a fixed ring of batch buffers, whatever the size of the data set.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nvidia_tao_deploy.errors import EngineError, NotANumberError
from nvidia_tao_deploy.network import Decode, Frame, Prepare, Sample
from nvidia_tao_deploy.pipeline.reading import Failure, Reader, Reading

if TYPE_CHECKING:
    import numpy as np

    from nvidia_tao_deploy.engine.contract import Engine, TensorInfo
    from nvidia_tao_deploy.signature import Binding

READ_AHEAD = 2
"""Batches that are being read while the engine holds `depth` others."""


@dataclass(slots=True)
class _Batch:
    """One batch on its way."""

    reading: Reading
    outputs: Future[Mapping[str, np.ndarray]] | None = None

    def finished(self) -> bool:
        return self.outputs is None or self.outputs.done()


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
        self._reader = Reader(prepare, workers)
        self._least = {info.name: _least_rows(info) for info in engine.inputs}
        self._types = {info.name: info.dtype for info in engine.inputs}
        self._free: deque[dict[str, np.ndarray]] = deque()
        if prepare.shapes is not None:
            full = {name: (self._batch_size, *shape) for name, shape in prepare.shapes.items()}
            self._free.extend(engine.buffers(full) for _ in range(engine.depth + READ_AHEAD))

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(self, *exc: object) -> None:
        self._reader.close()

    def submit(self, work: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Run other work (writing results) on the reading threads."""
        return self._reader.pool.submit(work, *arguments)

    def run(self, samples: Sequence[Sample]) -> Iterator[list[tuple[Frame, Any]]]:
        """Yields, batch by batch and in order, (frame, prediction) of every sample that could be read."""
        starts = iter(range(0, len(samples), self._batch_size))
        reading: deque[_Batch] = deque()
        running: deque[_Batch] = deque()
        for _ in range(READ_AHEAD):
            self._start_next(samples, starts, reading)
        while reading or running:
            idle = running and running[0].finished() and not (reading and reading[0].reading.is_read())
            if reading and len(running) < self._engine.depth and not idle:
                batch = reading.popleft()
                batch.reading.wait()
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
            reading.append(_Batch(self._reader.start_single(rows[0])))
        else:
            reading.append(_Batch(self._reader.start(rows, self._free.popleft())))

    def _launch(self, batch: _Batch) -> None:
        if all(isinstance(result, Failure) for result in batch.reading.results):
            return
        # Rows that failed, and those that fill up a last batch, keep old data: they are computed and thrown away.
        count = len(batch.reading.samples)
        feeds = {
            name: _rows(self._typed(name, buffer), max(count, self._least.get(name, 1)))
            for name, buffer in batch.reading.buffers.items()
        }
        batch.outputs = self._engine.submit(feeds)

    def _typed(self, name: str, buffer: np.ndarray) -> np.ndarray:
        """A single sample is prepared in float32, whatever the engine takes; buffers of the engine are of its type."""
        wanted = self._types.get(name)
        return buffer.astype(wanted) if wanted == "float16" and buffer.dtype != wanted else buffer

    def _collect(self, batch: _Batch) -> list[tuple[Frame, Any]]:
        frames = [result for result in batch.reading.results if isinstance(result, Frame)]
        self.failures.extend(result for result in batch.reading.results if isinstance(result, Failure))
        predictions: Sequence[Any] = []
        if batch.outputs is not None:
            raw = batch.outputs.result()
            good = [index for index, result in enumerate(batch.reading.results) if isinstance(result, Frame)]
            rows: Any = slice(len(batch.reading.samples)) if len(good) == len(batch.reading.samples) else good
            named = {name: raw[info.name][rows] for name, info in self._binding.outputs.items()}
            self._refuse_nan(named, frames)
            predictions = self._decode(named, frames)
        if self._prepare.shapes is not None:
            self._free.append(batch.reading.buffers)
        return list(zip(frames, predictions, strict=True))

    def _refuse_nan(self, outputs: Mapping[str, np.ndarray], frames: Sequence[Frame]) -> None:
        """NaN is no prediction: it would score as a hit here and as a miss there, and nobody would know why."""
        import numpy as np

        for name, values in outputs.items():
            if values.dtype.kind == "f" and values.size and np.isnan(values.min()):
                bad = int(np.isnan(values.reshape(len(values), -1)).any(axis=1).argmax())
                raise NotANumberError(name, frames[bad].sample.path)


def _least_rows(info: TensorInfo) -> int:
    """The smallest batch that an input takes: all of a fixed batch, or the minimum of the profile."""
    if not info.shape:
        return 1
    return info.shape[0] if info.shape[0] > 0 else (info.minimum or (1,))[0]


def _rows(buffer: np.ndarray, count: int) -> np.ndarray:
    """The first `count` rows; a shorter buffer (a single sample) is filled up by repeating its last row."""
    if len(buffer) >= count:
        return buffer[:count]
    import numpy as np

    return np.concatenate([buffer, np.repeat(buffer[-1:], count - len(buffer), axis=0)])


def fitting_batch_size(engine: Engine, wanted: int) -> tuple[int, str | None]:
    """The batch size to run with, and a remark when it is not the one asked for.

    A static engine runs its own batch size; one with a profile stays within the profile.
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
    least = max((info.minimum[0] for info in engine.inputs if info.minimum), default=1)
    if wanted < least:
        return least, f"the engine takes at least {least} pictures per batch; {wanted} were asked for"
    return wanted, None
