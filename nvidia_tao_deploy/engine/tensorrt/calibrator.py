# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""TensorRT's own INT8 calibration (8.5 to 10.x), fed with our batches."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from nvidia_tao_deploy.engine.calibration import cache, obtain
from nvidia_tao_deploy.engine.contract import DYNAMIC, Calibration
from nvidia_tao_deploy.engine.tensorrt import cuda
from nvidia_tao_deploy.errors import BuildError

if TYPE_CHECKING:
    from nvidia_tao_deploy.engine.tensorrt.dialect import Dialect

logger = logging.getLogger(__name__)
CLASSES = {"entropy": "IInt8EntropyCalibrator2", "minmax": "IInt8MinMaxCalibrator"}


def available(dialect: Dialect) -> bool:
    """Whether this TensorRT calibrates (11 and RTX do not)."""
    return all(hasattr(dialect.trt, name) for name in CLASSES.values())


class Feeder:
    """What the calibrator asks for, apart from TensorRT's base class.

    TensorRT calls from C++, where a Python exception would be lost or end the process: the first one is kept in `error`
    and ends calibration, and `finish` raises it.

    Args:
        calibration: where batches come from; unused when `known` is given.
        known: ranges to use in place of calibration.
        first_line: of the cache that TensorRT is given.
    """

    def __init__(self, calibration: Calibration | None, known: obtain.Ranges | None, first_line: str) -> None:
        self.batch_size = calibration.batch_size if calibration is not None else 1
        self.error: BaseException | None = None
        self.written: bytes | None = None
        self.missing = known.missing if known is not None else ()
        self.source = known.source if known is not None else obtain.describe(obtain.with_data(calibration))
        self._calibration = calibration
        self._known = cache.format_text(known.amax, first_line).encode() if known is not None else None
        self._batches: Any = None
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._device: dict[str, cuda.DeviceBuffer] = {}
        self._first: Mapping[str, np.ndarray] | None = None

    @property
    def calibrates(self) -> bool:
        """Whether batches will be read."""
        return self._known is None

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each input's batches, from the first batch; empty when none is read. Raises DataError."""
        if self.calibrates and self._first is None:
            self._first = self._next()
            self._shapes = {name: array.shape for name, array in (self._first or {}).items()}
        return self._shapes

    def cached(self) -> bytes | None:
        """The cache that spares calibration."""
        return self._known

    def batch(self, names: list[str]) -> list[int] | None:
        """Device addresses of the next batch, by the order of `names`; None at the end."""
        try:
            feeds, self._first = (self._first, None) if self._first is not None else (self._next(), None)
            return None if feeds is None else [self._to_device(name, feeds[name]) for name in names]
        except BaseException as error:
            self.error = error
            return None

    def _next(self) -> Mapping[str, np.ndarray] | None:
        if self._batches is None:
            self._batches = obtain.with_data(self._calibration).batches()  # type: ignore[misc]
        feeds: Mapping[str, np.ndarray] | None = next(self._batches, None)
        return feeds

    def _to_device(self, name: str, array: np.ndarray) -> int:
        if array.shape != self._shapes[name]:
            raise BuildError(
                f"calibration: input '{name}' has the shape {array.shape} after {self._shapes[name]}; TensorRT "
                "calibrates with one shape",
                hint="Fix the size of the network's input in the spec.",
            )
        data = np.ascontiguousarray(array)
        buffer = self._device.setdefault(name, cuda.DeviceBuffer())
        buffer.reserve(data.nbytes)
        kind = cuda.runtime().cudaMemcpyKind.cudaMemcpyHostToDevice
        cuda.call("cudaMemcpy", buffer.pointer, data.ctypes.data, data.nbytes, kind)
        return buffer.pointer

    def finish(self, made_by: str) -> None:
        """Free memory and keep the cache that TensorRT made. Raises what went wrong while it was fed."""
        for buffer in self._device.values():
            buffer.free()
        self._device.clear()
        if self._batches is not None:
            self._batches.close()
        if self.error is not None:
            raise self.error
        if self.calibrates and self.written and self._calibration is not None:
            obtain.store(self._calibration, self.written, made_by)


def make(dialect: Dialect, feeder: Feeder, algorithm: str) -> Any:
    """An object of TensorRT's calibrator class that asks `feeder`."""
    base = getattr(dialect.trt, CLASSES[algorithm])

    class Calibrator(base):  # type: ignore[misc, valid-type]
        def __init__(self) -> None:
            base.__init__(self)

        def get_batch_size(self) -> int:
            return feeder.batch_size

        def get_batch(self, names: list[str]) -> list[int] | None:
            return feeder.batch(names)

        def read_calibration_cache(self) -> bytes | None:
            return feeder.cached()

        def write_calibration_cache(self, content: Any) -> None:
            feeder.written = bytes(content)

    return Calibrator()


def prepare(dialect: Dialect, calibration: Calibration | None, known: obtain.Ranges | None) -> tuple[Feeder, Any]:
    """The feeder and TensorRT's calibrator for it; keep both until the build is over."""
    algorithm = calibration.algorithm if calibration is not None else "entropy"
    if algorithm not in CLASSES:
        algorithm = "entropy"  # ranges are known then, and only the first line of the cache tells the classes apart
    first_line = cache.header(algorithm, cache.version_code(dialect.number))
    feeder = Feeder(calibration, known, first_line)
    return feeder, make(dialect, feeder, algorithm)


def add_profile(builder: Any, network: Any, config: Any, feeder: Feeder) -> None:
    """Tell TensorRT the shapes of the calibration batches, for a network with open axes."""
    shapes = feeder.shapes()
    inputs = [network.get_input(index) for index in range(network.num_inputs)]
    if not shapes or all(DYNAMIC not in tuple(tensor.shape) for tensor in inputs):
        return
    profile = builder.create_optimization_profile()
    for tensor in inputs:
        shape = shapes[tensor.name]
        profile.set_shape(tensor.name, shape, shape, shape)
    if not config.set_calibration_profile(profile):
        raise BuildError(f"TensorRT refuses the calibration batches' shapes: {shapes}")
