# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Running a TensorRT engine: three batches in flight, replayed CUDA graphs, page-locked copies.

Three streams (copy in, compute, copy out) are ordered by events, so the copies of one batch run beside the computing of
another. Computing is serial, hence all execution contexts share one scratch memory. There is a context per input shape
(TensorRT before 10: one for all, which changes its shapes) and a captured CUDA graph per shape and slot; what cannot be
captured is enqueued the plain way.

Whoever asks for a result waits for the GPU in its own thread. One thread that waits for all would cost speed: CUDA
calls of two threads get in each other's way. What is reached is measured by benchmarks/gpu_engine.py.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from nvidia_tao_deploy.engine.contract import DYNAMIC, TensorInfo
from nvidia_tao_deploy.engine.feeds import batched, check_feeds, check_rows
from nvidia_tao_deploy.engine.tensorrt import cuda, log, plan_file
from nvidia_tao_deploy.engine.tensorrt.dialect import Dialect
from nvidia_tao_deploy.errors import EngineError

logger = logging.getLogger(__name__)

DEPTH = 3
"""Batches in flight: one is copied in, one computes, one is copied out."""
SHAPES_KEPT = 8
"""Execution contexts kept; a pipeline needs two (full batches, and the last one)."""
GRAPHS_KEPT = 32
"""Captured graphs per shape; inputs that lie in the caller's device memory have an address each."""
REBUILD = "Build it again here with gen_trt_engine."

Shapes = dict[str, tuple[int, ...]]


class Batch(Future[Mapping[str, np.ndarray]]):
    """A batch in flight. It is done when someone asks for it and the GPU has finished.

    `result`, `exception`, `done` and `add_done_callback` work as in every Future; `concurrent.futures.wait` does not
    notice the end of a batch that nobody asks for.
    """

    def __init__(self, event: Any, outputs: Mapping[str, np.ndarray], source: Path) -> None:
        super().__init__()
        self._event = event
        self._outputs = outputs
        self._source = source
        self._finishing = threading.Lock()
        self.set_running_or_notify_cancel()  # what is queued on a GPU cannot be taken back

    def result(self, timeout: float | None = None) -> Mapping[str, np.ndarray]:
        self._finish(timeout)
        return super().result(0)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        self._finish(timeout)
        return super().exception(0)

    def done(self) -> bool:
        with contextlib.suppress(FutureTimeout):
            self._finish(0)
        return super().done()

    def add_done_callback(self, fn: Callable[[Future[Mapping[str, np.ndarray]]], object]) -> None:
        super().add_done_callback(fn)
        if not super().done():
            threading.Thread(target=self.exception, name="tensorrt", daemon=True).start()

    def _finish(self, timeout: float | None) -> None:
        """Wait for the GPU; raises TimeoutError of concurrent.futures."""
        with self._finishing:
            if super().done():
                return
            try:
                if timeout is None:
                    cuda.call("cudaEventSynchronize", self._event)
                else:
                    _poll(self._event, timeout)
            except cuda.CudaError as error:
                self.set_exception(EngineError(f"{self._source}: {error}"))
            else:
                self.set_result(self._outputs)


def _poll(event: Any, timeout: float) -> None:
    end = time.monotonic() + timeout
    while not cuda.reached(event):
        if time.monotonic() >= end:
            raise FutureTimeout
        time.sleep(0.0005)


@dataclass(slots=True)
class _Slot:
    """Memory of one batch in flight."""

    inputs: dict[str, cuda.DeviceBuffer] = field(default_factory=dict)
    outputs: dict[str, cuda.DeviceBuffer] = field(default_factory=dict)
    staging: dict[str, np.ndarray] = field(default_factory=dict)
    results: dict[str, np.ndarray] = field(default_factory=dict)
    copied_in: Any = None
    computed: Any = None
    done: Any = None
    batch: Batch | None = None


@dataclass(slots=True)
class _Shaped:
    """What belongs to one combination of input shapes."""

    context: Any
    shapes: Shapes
    outputs: Shapes
    warm: bool = False
    graphs: dict[tuple[int, ...], Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _DeviceArray:
    """A caller's array in device memory, as `__cuda_array_interface__` describes it."""

    shape: tuple[int, ...]
    dtype: str
    pointer: int
    stream: int | None
    owner: Any


class TensorRTEngine:
    """A loaded plan; see `engine.contract.Engine`.

    Feeds are numpy arrays (best from `buffers`) or objects with `__cuda_array_interface__`, which are read where they
    are. A batch may be smaller than the engine's smallest: it is padded with zeros, and the outputs are trimmed. Inputs
    with a fixed axis 0 beside others with an open one are constants: they are fed as they are, whatever the batch.
    """

    depth = DEPTH

    def __init__(self, dialect: Dialect, blob: bytes, source: Path, device: int = 0) -> None:
        self._closed = False
        self._source = source
        self._device = device
        self._dialect = dialect
        self._slots: list[_Slot] = []
        self._shaped: OrderedDict[tuple[Any, ...], _Shaped] = OrderedDict()
        self._streams: list[Any] = []
        self._scratch = cuda.DeviceBuffer()
        self._engine: Any = None
        self._runtime: Any = None
        self._lock = threading.Lock()
        self._count = 0
        try:
            self._open(blob)
        except cuda.CudaError as error:
            self.close()
            raise EngineError(f"{source}: {error}") from None
        except BaseException:
            self.close()
            raise

    def _open(self, blob: bytes) -> None:
        cuda.set_device(self._device)
        self._logger, records = log.record(self._dialect.trt)
        self._runtime, self._engine = _deserialise(self._dialect, self._logger, records, blob, self._source)
        self.inputs, self.outputs = describe(self._dialect, self._engine, self._source)
        self._fetched = [info.name for info in self.outputs]
        self._batched = batched(self.inputs)
        self._batch_open = tuple(
            replace(info, shape=(DYNAMIC, *info.shape[1:])) if info.name in self._batched else info
            for info in self.inputs
        )
        self._dtypes = {info.name: numpy_dtype(info.dtype) for info in (*self.inputs, *self.outputs)}
        self._scratch.reserve(max(self._dialect.scratch_size(self._engine), 1))
        self._streams = [cuda.stream() for _ in range(4)]
        self._copy_in, self._compute, self._copy_out, self._capture_stream = self._streams
        for _ in range(self.depth):
            slot = _Slot(copied_in=cuda.event(), computed=cuda.event(), done=cuda.event())
            slot.inputs = {info.name: cuda.DeviceBuffer() for info in self.inputs}
            slot.outputs = {info.name: cuda.DeviceBuffer() for info in self.outputs}
            self._slots.append(slot)

    # the contract

    def fetch_only(self, outputs: Collection[str]) -> None:
        self._fetched = [info.name for info in self.outputs if info.name in outputs]

    def buffers(self, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
        """Page-locked arrays of zeros; they stay valid after `close`."""
        known = {info.name for info in self.inputs}
        unknown = set(shapes) - known
        if unknown:
            raise EngineError(
                f"{self._source}: no input named {', '.join(sorted(unknown))}; inputs: {', '.join(sorted(known))}"
            )
        cuda.set_device(self._device)
        return {name: cuda.pinned(shape, self._dtypes[name]) for name, shape in shapes.items()}

    def submit(self, feeds: Mapping[str, Any]) -> Future[Mapping[str, np.ndarray]]:
        """Queue one batch; waits while all `depth` slots are busy. See the contract for how long results live."""
        if self._closed:
            raise EngineError(f"{self._source}: the engine is closed")
        feeds = {name: _device_array(value) or np.asarray(value) for name, value in feeds.items()}
        check_feeds(self._batch_open, feeds, self._source)
        rows, shapes = self._shapes(feeds)
        with self._lock:
            try:
                return self._enqueue(feeds, rows, shapes)
            except cuda.CudaError as error:
                raise EngineError(f"{self._source}: {error}") from None

    def infer(self, feeds: Mapping[str, Any]) -> dict[str, np.ndarray]:
        return {name: value.copy() for name, value in self.submit(feeds).result().items()}

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._drain()
        with contextlib.suppress(cuda.CudaError):  # after a fault the GPU frees it all with the process
            self._free()
        self._engine = self._runtime = None

    def __enter__(self) -> TensorRTEngine:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # shapes

    def _shapes(self, feeds: Mapping[str, Any]) -> tuple[int, Shapes]:
        """(rows that count, shapes to compute with) of a batch. Raises EngineError outside the engine's profile."""
        rows = check_rows(self._batched, feeds, self._source)
        shapes = {}
        for info in self.inputs:
            shape = tuple(feeds[info.name].shape)
            low = info.minimum or info.shape
            high = info.maximum or info.shape
            padded = (max(rows, low[0]), *shape[1:]) if info.name in self._batched else shape
            for axis, size in enumerate(padded):
                if not low[axis] <= size <= high[axis]:
                    raise EngineError(
                        f"{self._source}: input {info.name}: axis {axis} has size {size}; "
                        f"the engine was built for {low[axis]} to {high[axis]}",
                        hint="Use a smaller batch, or build the engine for this size." if axis == 0 else None,
                    )
            shapes[info.name] = padded
        return rows, shapes

    def _prepare(self, shapes: Shapes) -> _Shaped:
        """The context for these shapes; made at first use."""
        key = tuple(shapes.items())
        shaped = self._shaped.get(key)
        if shaped is not None:
            self._shaped.move_to_end(key)
            return shaped
        context = self._context()
        for name, shape in shapes.items():
            if not context.set_input_shape(name, shape):
                raise EngineError(f"{self._source}: TensorRT refuses shape {shape} of {name}: {self._told()}")
        outputs = {info.name: tuple(context.get_tensor_shape(info.name)) for info in self.outputs}
        for name, shape in outputs.items():
            if any(size < 0 for size in shape):
                raise EngineError(
                    f"{self._source}: the shape of output '{name}' {shape} depends on the data; "
                    "such outputs are not supported",
                    hint="Export the model with a fixed number of detections.",
                )
        shaped = self._shaped[key] = _Shaped(context, shapes, outputs)
        return shaped

    def _context(self) -> Any:
        """A context without shapes: a new one, or the least used one, whose graphs then are void."""
        shared = self._dialect.shares_profiles
        while len(self._shaped) >= (SHAPES_KEPT if shared else 1):
            self._drain()
            dropped = self._shaped.popitem(last=False)[1]
            _free_graphs(dropped)
            if not shared:
                return dropped.context
        context = self._dialect.create_context(self._engine, self._scratch.pointer, self._scratch.size)
        if context is None:
            raise EngineError(f"{self._source}: no execution context: {self._told()}")
        return context

    def _told(self, start: int = 0) -> str:
        return self._logger.records.told(start)

    # one batch

    def _enqueue(self, feeds: Mapping[str, Any], rows: int, shapes: Shapes) -> Future[Mapping[str, np.ndarray]]:
        cuda.set_device(self._device)
        slot = self._slots[self._count % self.depth]
        if slot.batch is not None:
            slot.batch.exception()  # waits until the slot's last batch is out
        shaped = self._prepare(shapes)
        self._reserve(slot, shaped)
        addresses = [self._feed(slot, info, feeds[info.name], shapes[info.name]) for info in self.inputs]
        cuda.call("cudaEventRecord", slot.copied_in, self._copy_in)
        cuda.call("cudaStreamWaitEvent", self._compute, slot.copied_in, 0)
        self._launch(shaped, [*addresses, *(slot.outputs[info.name].pointer for info in self.outputs)])
        cuda.call("cudaEventRecord", slot.computed, self._compute)
        cuda.call("cudaStreamWaitEvent", self._copy_out, slot.computed, 0)
        results = {name: self._fetch(slot, shaped, name, rows, shapes) for name in self._fetched}
        cuda.call("cudaEventRecord", slot.done, self._copy_out)
        slot.batch = Batch(slot.done, results, self._source)
        self._count += 1
        return slot.batch

    def _reserve(self, slot: _Slot, shaped: _Shaped) -> None:
        """Memory for these shapes. Graphs are kept by address, so those of an address given up are not used again."""
        for buffers, shapes in ((slot.inputs, shaped.shapes), (slot.outputs, shaped.outputs)):
            for name, shape in shapes.items():
                buffers[name].reserve(max(_size(shape, self._dtypes[name]), 1))
        for name in self._fetched:
            size = _size(shaped.outputs[name], self._dtypes[name])
            if name not in slot.results or slot.results[name].nbytes < size:
                slot.results[name] = cuda.pinned((size,), np.dtype(np.uint8))

    def _feed(self, slot: _Slot, info: TensorInfo, array: Any, shape: tuple[int, ...]) -> int:
        """Bring one input to the device; its address there."""
        if isinstance(array, _DeviceArray):
            return self._feed_device(slot, info, array, shape)
        if not cuda.is_pinned(array):
            array = self._stage(slot, info.name, array)
        target = slot.inputs[info.name].pointer
        cuda.copy_in(target, array.ctypes.data, array.nbytes, self._copy_in)
        self._pad(target, array.nbytes, _size(shape, self._dtypes[info.name]))
        return target

    def _feed_device(self, slot: _Slot, info: TensorInfo, array: _DeviceArray, shape: tuple[int, ...]) -> int:
        if array.stream is not None:  # its producer may still be at work there
            cuda.call("cudaEventRecord", slot.copied_in, array.stream)
            cuda.call("cudaStreamWaitEvent", self._copy_in, slot.copied_in, 0)
        if array.shape == shape:
            return array.pointer
        size = _size(array.shape, self._dtypes[info.name])
        target = slot.inputs[info.name].pointer
        kind = cuda.runtime().cudaMemcpyKind.cudaMemcpyDeviceToDevice
        cuda.call("cudaMemcpyAsync", target, array.pointer, size, kind, self._copy_in)
        self._pad(target, size, _size(shape, self._dtypes[info.name]))
        return target

    def _pad(self, target: int, used: int, size: int) -> None:
        if used < size:
            cuda.call("cudaMemsetAsync", target + used, 0, size - used, self._copy_in)

    def _stage(self, slot: _Slot, name: str, array: np.ndarray) -> np.ndarray:
        """A page-locked copy, so that the copy to the device does not hold up the caller."""
        held = slot.staging.get(name)
        if held is None or held.nbytes < array.nbytes:
            held = slot.staging[name] = cuda.pinned((array.nbytes,), np.dtype(np.uint8))
        staged = held[: array.nbytes].view(array.dtype).reshape(array.shape)
        np.copyto(staged, array)
        return staged

    def _fetch(self, slot: _Slot, shaped: _Shaped, name: str, rows: int, shapes: Shapes) -> np.ndarray:
        """Queue the copy of an output's rows; the array that they will be in."""
        shape, dtype = shaped.outputs[name], self._dtypes[name]
        computed = next(shapes[name][0] for name in self._batched)
        if shape and shape[0] == computed:
            shape = (rows, *shape[1:])
        size = _size(shape, dtype)
        held = slot.results[name]
        if size:
            cuda.copy_out(held.ctypes.data, slot.outputs[name].pointer, size, self._copy_out)
        return held[:size].view(dtype).reshape(shape)

    # computing

    def _launch(self, shaped: _Shaped, addresses: list[int]) -> None:
        key = tuple(addresses)
        if key not in shaped.graphs and shaped.warm:
            if len(shaped.graphs) >= GRAPHS_KEPT:
                self._drain()
                _free_graphs(shaped)
            shaped.graphs[key] = self._capture(shaped, addresses)
        graph = shaped.graphs.get(key)
        if graph is not None:
            cuda.call("cudaGraphLaunch", graph, self._compute)
            return
        self._execute(shaped, addresses, self._compute)
        shaped.warm = True

    def _execute(self, shaped: _Shaped, addresses: Sequence[int], stream: Any) -> None:
        for info, address in zip((*self.inputs, *self.outputs), addresses, strict=True):
            shaped.context.set_tensor_address(info.name, address)
        before = len(self._logger.records.errors)
        if not shaped.context.execute_async_v3(int(stream)):
            raise EngineError(f"{self._source}: TensorRT cannot run the batch: {self._told(before)}")

    def _capture(self, shaped: _Shaped, addresses: Sequence[int]) -> Any | None:
        """An executable graph of one batch's computing; None when something in the engine cannot be captured."""
        cuda.begin_capture(self._capture_stream)
        failure: Exception | None = None
        try:
            self._execute(shaped, addresses, self._capture_stream)
        except EngineError as error:
            failure = error
        try:
            graph = cuda.end_capture(self._capture_stream)
        except cuda.CudaError as error:
            graph, failure = None, failure or error
        if failure is None:
            return graph
        cuda.clear_error()
        logger.info("%s: running without CUDA graphs (%s)", self._source, failure)
        return None

    # clearing up

    def _drain(self) -> None:
        """Wait until nothing is running."""
        for slot in self._slots:
            if slot.batch is not None:
                slot.batch.exception()

    def _free(self) -> None:
        cuda.set_device(self._device)
        for shaped in self._shaped.values():
            _free_graphs(shaped)
        self._shaped.clear()
        for slot in self._slots:
            for buffer in (*slot.inputs.values(), *slot.outputs.values()):
                buffer.free()
            for event in (slot.copied_in, slot.computed, slot.done):
                cuda.call("cudaEventDestroy", event)
        self._slots.clear()
        self._scratch.free()
        for stream in self._streams:
            cuda.call("cudaStreamDestroy", stream)
        self._streams.clear()


def describe(dialect: Dialect, engine: Any, source: Path) -> tuple[tuple[TensorInfo, ...], tuple[TensorInfo, ...]]:
    """An engine's inputs and outputs. Raises EngineError for tensors that cannot be fed from host arrays."""
    inputs, outputs = dialect.tensor_names(engine)
    return (
        tuple(_tensor_info(dialect, engine, name, source, True) for name in inputs),
        tuple(_tensor_info(dialect, engine, name, source, False) for name in outputs),
    )


def _tensor_info(dialect: Dialect, engine: Any, name: str, source: Path, is_input: bool) -> TensorInfo:
    try:
        dtype = dialect.numpy_name(engine.get_tensor_dtype(name))
    except KeyError as error:
        raise EngineError(
            f"{source}: tensor '{name}' has type {error.args[0]}, which numpy arrays cannot hold"
        ) from None
    if not dialect.on_device(engine, name):
        raise EngineError(f"{source}: tensor '{name}' is a shape, read on the host; such engines are not supported")
    if not dialect.is_linear(engine, name):
        raise EngineError(
            f"{source}: tensor '{name}' has a vectorised layout ({engine.get_tensor_format(name).name})",
            hint="Build the engine with linear input and output formats.",
        )
    info = TensorInfo(name, dtype, tuple(engine.get_tensor_shape(name)))
    if not is_input or DYNAMIC not in info.shape:
        return info
    low, best, high = (tuple(shape) for shape in engine.get_tensor_profile_shape(name, 0))
    return replace(info, minimum=low, optimum=best, maximum=high)


def numpy_dtype(name: str) -> np.dtype[Any]:
    """The numpy type of a name; bfloat16 and float8 come from ml_dtypes."""
    if name in ("bfloat16", "float8_e4m3fn"):
        import ml_dtypes

        return np.dtype(getattr(ml_dtypes, name))
    return np.dtype(name)


def _deserialise(dialect: Dialect, logger_: Any, records: log.LogRecords, blob: bytes, source: Path) -> tuple[Any, Any]:
    _check_head(dialect, blob, source)
    dialect.plugin_names(logger_)  # registers the plugins
    try:
        runtime = dialect.trt.Runtime(logger_)
    except Exception as error:
        raise EngineError(f"{source}: {dialect} cannot start: {records.told()} ({error})") from None
    try:
        engine = runtime.deserialize_cuda_engine(blob)
    except Exception as error:
        raise EngineError(f"{source}: {dialect} cannot load the engine: {error}") from None
    if engine is None:
        raise _refusal(dialect, records, source)
    return runtime, engine


def _check_head(dialect: Dialect, blob: bytes, source: Path) -> None:
    """What can be said without TensorRT, which answers some damage by crashing."""
    header = plan_file.header(blob)
    if header is None or header.total_bytes > len(blob):
        whole = f" of {header.total_bytes}" if header else ""
        raise EngineError(f"{source}: the engine file is truncated: {len(blob)}{whole} bytes", hint=REBUILD)
    if header.version is not None and header.version != dialect.version:
        raise EngineError(
            f"{source}: built by {dialect.product} {header.version}; here is {dialect.version}", hint=REBUILD
        )


def _refusal(dialect: Dialect, records: log.LogRecords, source: Path) -> EngineError:
    """TensorRT's refusal in a user's words."""
    told = records.told()
    lower = " ".join(records.errors).lower()
    if "plugin" in lower:
        what = "it uses a plugin that is not here"
    elif "version" in lower or ("compatible" in lower and "device" not in lower):
        what = f"it was built by another TensorRT version; here is {dialect.version}"
    elif "device" in lower or "compute" in lower or "platform" in lower:
        what = "it was built for another kind of GPU"
    else:
        what = "the file is damaged or incomplete"
    return EngineError(f"{source}: {dialect.product} refuses the engine: {what} ({told})", hint=REBUILD)


def _device_array(value: Any) -> _DeviceArray | None:
    """A description of an array in device memory; None for anything else. Raises EngineError when it has gaps."""
    interface = getattr(value, "__cuda_array_interface__", None)
    if interface is None:
        return None
    dtype, shape = np.dtype(interface["typestr"]), tuple(interface["shape"])
    strides = interface.get("strides")
    if strides is not None and tuple(strides) != _strides(shape, dtype.itemsize):
        raise EngineError(f"an array in GPU memory must be C-contiguous; found shape {shape}, strides {strides}")
    return _DeviceArray(shape, str(dtype), int(interface["data"][0]), interface.get("stream"), value)


def _strides(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    strides: list[int] = []
    for size in reversed(shape):
        strides.append(itemsize)
        itemsize *= size
    return tuple(reversed(strides))


def _size(shape: Sequence[int], dtype: np.dtype[Any]) -> int:
    size = dtype.itemsize
    for length in shape:
        size *= length
    return size


def _free_graphs(shaped: _Shaped) -> None:
    for graph in shaped.graphs.values():
        if graph is not None:
            cuda.call("cudaGraphExecDestroy", graph)
    shaped.graphs.clear()
