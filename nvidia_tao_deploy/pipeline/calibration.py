# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""The pictures that INT8 is calibrated with: which ones, and as batches made by the network's own preprocessing."""

from __future__ import annotations

import hashlib
import logging
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from nvidia_tao_deploy import logs
from nvidia_tao_deploy.errors import DataError
from nvidia_tao_deploy.files import add_content
from nvidia_tao_deploy.network import Prepare, Sample
from nvidia_tao_deploy.pipeline.reading import Failure, Reader, Reading

if TYPE_CHECKING:
    import numpy as np

logger = logging.getLogger(__name__)
SHOWN_FAILURES = 10
"""Pictures that cannot be read and are named; there may be thousands where a folder is wrong."""
READ_AHEAD = 2
"""Batches that are being read while one is used."""


def order(samples: Sequence[Sample], seed: int) -> list[Sample]:
    """All samples in the order of the SHA-256 of "<seed>:<name>".

    The order is the same on every machine and in every Python, does not follow folders or classes, and changes little
    when samples come or go.
    """
    return sorted(samples, key=lambda sample: hashlib.sha256(_bytes(f"{seed}:{sample.name}")).digest())


def content_digest(samples: Sequence[Sample], used: Sequence[Sample] = ()) -> str:
    """SHA-256 over the names and file sizes of samples, whatever their order, and over what the files of those that are
    `used` hold: pictures of kinds that are not compressed have the same size whatever they show."""
    digest = hashlib.sha256()
    for sample in sorted(samples, key=lambda sample: sample.name):
        sizes = "+".join(str(file.stat().st_size if file.is_file() else 0) for file in sample.files())
        digest.update(_bytes(f"{sample.name}\0{sizes}\n"))
    for file in sorted({file for sample in used for file in sample.files() if file.is_file()}):
        with suppress(OSError):  # reading it as a picture will tell
            add_content(digest, file)
    return digest.hexdigest()


def _bytes(text: str) -> bytes:
    """UTF-8; of a file name that is none, its own bytes."""
    return text.encode(errors="surrogateescape")


def _enough(samples: int, batch_size: int) -> str:
    if samples < batch_size:
        return "Give more pictures, or a smaller cal_batch_size."
    return f"Give more pictures, or cal_batches={samples // batch_size}."


class CalibrationFeed:
    """Batches for calibration. Each iteration starts over and yields the same.

    Args:
        samples: all that there are.
        prepare: the network's preprocessing.
        batch_size: rows of every batch; 1 where `prepare.shapes` is None.
        batches: number of batches.
        seed: decides which samples are taken: the first `batch_size * batches` of `order`. One that cannot be read is
            replaced, with a warning (for the first ten), by the next of the order that nobody uses yet.
        key: spec key of the data, for messages.

    Raises:
        DataError: there are fewer samples than asked for.
    """

    def __init__(
        self, samples: Sequence[Sample], prepare: Prepare, batch_size: int, batches: int, seed: int, key: str = ""
    ) -> None:
        self.batch_size = 1 if prepare.shapes is None else batch_size
        self.batches = batches
        self._prepare, self._key = prepare, key
        self._wanted = self.batch_size * batches
        if len(samples) < self._wanted:
            found = f"{len(samples)} picture{'' if len(samples) == 1 else 's'}"
            raise DataError(
                f"{key}: {found}; cal_batch_size {self.batch_size} x cal_batches {batches} needs {self._wanted}.",
                hint=_enough(len(samples), self.batch_size),
            )
        ordered = order(samples, seed)
        self._chosen, self._spare = ordered[: self._wanted], ordered[self._wanted :]
        self._facts = {"pictures": len(samples), "used": self._wanted, "seed": seed}
        self._samples, self._replaced = samples, 0

    def __len__(self) -> int:
        return self.batches

    def facts(self) -> dict[str, Any]:
        """What decides the batches, for the json beside the cache: the data, and statistics of the first sample as it
        is prepared (which show when the preprocessing changed).

        Raises:
            DataError: no sample can be read.
        """
        return {
            "data": {**self._facts, "sha256": content_digest(self._samples, self._chosen)},
            "preprocessing": self._statistics(),
        }

    def _statistics(self) -> dict[str, Any]:
        message, reader = "", Reader(self._prepare, 1)
        try:
            for sample in (*self._chosen, *self._spare):
                reading = reader.start_single(sample)
                reading.wait()
                found = reading.results[0]
                if not isinstance(found, Failure):
                    return {name: _describe(array) for name, array in reading.buffers.items()}
                message = message or found.message
        finally:
            reader.close()
        raise DataError(
            f"{self._key}: none of the {len(self._samples)} pictures can be read; the first: {message}",
            hint=f"Name folders with pictures like those that the network is for in {self._key}.",
        )

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        """Batches by the engine's input names; an array is valid until the next batch is asked for.

        Raises:
            DataError: too few samples can be read.
        """
        spare, self._replaced = deque(self._spare), 0
        reader = Reader(self._prepare)
        try:
            with logs.progress("calibration", self._wanted) as bar:
                for reading in self._read(reader):
                    self._replace_failures(reader, reading, spare)
                    yield reading.buffers
                    bar.advance(len(reading.samples))
        finally:
            reader.close()
            if self._replaced > SHOWN_FAILURES:
                logger.warning("... and %d more that cannot be read", self._replaced - SHOWN_FAILURES)

    def _read(self, reader: Reader) -> Iterator[Reading]:
        starts = iter(range(0, self._wanted, self.batch_size))
        under_way: deque[Reading] = deque()
        while True:
            while len(under_way) <= READ_AHEAD and (start := next(starts, None)) is not None:
                under_way.append(self._start(reader, start))
            if not under_way:
                return
            reading = under_way.popleft()
            reading.wait()
            yield reading

    def _start(self, reader: Reader, start: int) -> Reading:
        import numpy as np

        shapes = self._prepare.shapes
        if shapes is None:
            return reader.start_single(self._chosen[start])
        buffers = {name: np.zeros((self.batch_size, *shape), np.float32) for name, shape in shapes.items()}
        return reader.start(self._chosen[start : start + self.batch_size], buffers)

    def _replace_failures(self, reader: Reader, reading: Reading, spare: deque[Sample]) -> None:
        for index, result in enumerate(reading.results):
            while isinstance(result, Failure):
                if not spare:
                    raise DataError(
                        f"{result.message} Calibration needs {self._wanted} pictures, and no other is left to take "
                        "its place.",
                        hint="Give more pictures, or a smaller cal_batches.",
                    )
                self._replaced += 1
                if self._replaced <= SHOWN_FAILURES:
                    logger.warning("%s Calibrating with %s in its place.", result.message, spare[0].name)
                result = self._read_in_place(reader, reading, spare.popleft(), index)

    def _read_in_place(self, reader: Reader, reading: Reading, sample: Sample, index: int) -> Any:
        if self._prepare.shapes is not None:
            return reader.read_row(sample, reading.buffers, index)
        other = reader.start_single(sample)
        other.wait()
        reading.buffers.update(other.buffers)
        return other.results[0]


def _describe(array: np.ndarray) -> dict[str, Any]:
    """Shape without the batch, and mean and standard deviation per channel (axis 1) where there are few."""
    import numpy as np

    values = array.astype(np.float64)
    axes: Any = tuple(axis for axis in range(values.ndim) if axis != 1) if values.ndim > 2 else None
    if axes is not None and values.shape[1] > 16:
        axes = None
    return {
        "shape": list(array.shape[1:]),
        "mean": np.round(values.mean(axis=axes), 4).tolist(),
        "std": np.round(values.std(axis=axes), 4).tolist(),
    }
