# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""A CUDA runtime and a TensorRT module in host memory, for what machines without a GPU can check of the runtime.

Streams are queues that run when someone waits, so that a missing wait, or memory reused too early, gives wrong numbers.
The "engine" computes y = 2 * x and count = number of elements that are not zero in each row; where it has a second
input, a constant with one row, y = 2 * x + constant.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from enum import IntEnum
from types import SimpleNamespace
from typing import Any

import numpy as np

ROW = 6


class Stream:
    """Work in order; `run` does what has been queued, waiting for events of other streams first."""

    def __init__(self) -> None:
        self.work: list[Callable[[], None]] = []
        self.recording: list[Callable[[], None]] | None = None

    def __int__(self) -> int:
        return id(self)

    def add(self, work: Callable[[], None]) -> None:
        (self.work if self.recording is None else self.recording).append(work)

    def run(self, until: Callable[[], bool] = lambda: False) -> None:
        while self.work and not until():
            self.work.pop(0)()


class Event:
    """Knows the last record: reached once the stream has come that far."""

    def __init__(self) -> None:
        self.stream: Stream | None = None
        self.reached = True

    def record(self, stream: Stream) -> None:
        mark = object()
        self.stream, self.reached, self.mark = stream, False, mark

        def reach() -> None:
            if self.mark is mark:
                self.reached = True

        stream.add(reach)

    def wait(self) -> None:
        if self.stream is not None:
            self.stream.run(lambda: self.reached)


class Error(IntEnum):
    OK = 0
    INVALID = 1
    CAPTURE = 900
    NOT_READY = 600


class Cuda:
    """The functions that `engine.tensorrt.cuda` calls, with its conventions (error first)."""

    cudaMemcpyKind = IntEnum("cudaMemcpyKind", {"cudaMemcpyHostToDevice": 1, "cudaMemcpyDeviceToHost": 2,
                                                "cudaMemcpyDeviceToDevice": 3})  # fmt: skip
    cudaMemoryType = IntEnum("cudaMemoryType", {"cudaMemoryTypeUnregistered": 0, "cudaMemoryTypeHost": 1})

    def __init__(self) -> None:
        self.blocks: dict[int, Any] = {}
        self.pinned: dict[int, Any] = {}
        self.streams: dict[int, Stream] = {}
        self.captures = True
        self.launches = 0
        self.copied_in = 0

    @staticmethod
    def cudaStreamCaptureMode(mode: int) -> int:
        return mode

    def cudaGetErrorString(self, error: Error) -> tuple[Error, bytes]:
        return Error.OK, Error(error).name.lower().encode()

    def cudaGetDeviceCount(self) -> tuple[Error, int]:
        return Error.OK, 1

    def cudaSetDevice(self, device: int) -> tuple[Error]:
        return (Error.OK if device == 0 else Error.INVALID,)

    def cudaMalloc(self, size: int) -> tuple[Error, int]:
        block = (ctypes.c_uint8 * size)(*([0xA5] * min(size, 64)))
        self.blocks[ctypes.addressof(block)] = block
        return Error.OK, ctypes.addressof(block)

    def cudaFree(self, pointer: int) -> tuple[Error]:
        del self.blocks[pointer]
        return (Error.OK,)

    def cudaHostAlloc(self, size: int, flags: int) -> tuple[Error, int]:
        block = (ctypes.c_uint8 * size)()
        self.pinned[ctypes.addressof(block)] = block
        return Error.OK, ctypes.addressof(block)

    def cudaFreeHost(self, pointer: int) -> tuple[Error]:
        del self.pinned[pointer]
        return (Error.OK,)

    def cudaPointerGetAttributes(self, pointer: int) -> tuple[Error, Any]:
        held = any(start <= pointer < start + len(block) for start, block in self.pinned.items())
        return Error.OK, SimpleNamespace(type=self.cudaMemoryType(int(held)))

    def cudaStreamCreateWithFlags(self, flags: int) -> tuple[Error, Stream]:
        stream = Stream()
        self.streams[int(stream)] = stream
        return Error.OK, stream

    def cudaStreamDestroy(self, stream: Stream) -> tuple[Error]:
        del self.streams[int(stream)]
        return (Error.OK,)

    def cudaEventCreateWithFlags(self, flags: int) -> tuple[Error, Event]:
        return Error.OK, Event()

    def cudaEventDestroy(self, event: Event) -> tuple[Error]:
        return (Error.OK,)

    def cudaEventRecord(self, event: Event, stream: Stream) -> tuple[Error]:
        event.record(stream)
        return (Error.OK,)

    def cudaStreamWaitEvent(self, stream: Stream, event: Event, flags: int) -> tuple[Error]:
        mark, other = event.mark, event.stream
        stream.add(lambda: other.run(lambda: event.mark is mark and event.reached) if other else None)
        return (Error.OK,)

    def cudaEventSynchronize(self, event: Event) -> tuple[Error]:
        event.wait()
        return (Error.OK,)

    def cudaEventQuery(self, event: Event) -> tuple[Error]:
        if event.reached:
            return (Error.OK,)
        event.wait()  # "a little later"
        return (Error.NOT_READY,)

    def cudaMemcpyAsync(self, target: int, source: int, size: int, kind: int, stream: Stream) -> tuple[Error]:
        self.copied_in += size if int(kind) == 1 else 0
        stream.add(lambda: ctypes.memmove(target, source, size) and None)
        return (Error.OK,)

    def cudaMemsetAsync(self, target: int, value: int, size: int, stream: Stream) -> tuple[Error]:
        stream.add(lambda: ctypes.memset(target, value, size) and None)
        return (Error.OK,)

    def cudaStreamBeginCapture(self, stream: Stream, mode: int) -> tuple[Error]:
        stream.recording = []
        return (Error.OK,)

    def cudaStreamEndCapture(self, stream: Stream) -> tuple[Error, Any]:
        graph, stream.recording = stream.recording, None
        return (Error.OK, graph) if self.captures else (Error.CAPTURE, None)

    def cudaGraphInstantiateWithFlags(self, graph: Any, flags: int) -> tuple[Error, Any]:
        return Error.OK, list(graph)

    def cudaGraphDestroy(self, graph: Any) -> tuple[Error]:
        return (Error.OK,)

    def cudaGraphExecDestroy(self, graph: Any) -> tuple[Error]:
        graph.clear()  # a graph that is launched after this computes nothing
        return (Error.OK,)

    def cudaGraphLaunch(self, graph: Any, stream: Stream) -> tuple[Error]:
        self.launches += 1
        for work in graph:
            stream.add(work)
        return (Error.OK,)

    def cudaGetLastError(self) -> tuple[Error]:
        return (Error.OK,)


class Context:
    """Computes at the addresses and shapes that it has when it is asked to."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.shape, self.addresses = engine, None, {}
        self.device_memory = 0

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        if name == "constant":
            return shape == (1, ROW)
        self.shape = shape
        return True

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self.shape if name == "y" else self.shape[:1]

    def set_tensor_address(self, name: str, address: int) -> None:
        self.addresses[name] = address

    def execute_async_v3(self, stream: int) -> bool:
        if self.engine.fails:
            self.engine.logger.records.add("ERROR", "out of luck")
            return False
        shape, at = self.shape, dict(self.addresses)

        def compute() -> None:
            x = _array(at["x"], shape, np.float32)
            constant = _array(at["constant"], (1, ROW), np.float32) if "constant" in at else 0
            _array(at["y"], shape, np.float32)[...] = 2 * x + constant
            _array(at["count"], shape[:1], np.int32)[...] = np.count_nonzero(x, axis=1)

        self.engine.cuda.streams[stream].add(compute)
        return True


def _array(address: int, shape: tuple[int, ...], dtype: type) -> np.ndarray:
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return np.frombuffer((ctypes.c_uint8 * size).from_address(address), dtype).reshape(shape)


class Engine:
    """x float32 [?, 6] (and perhaps constant float32 [1, 6]) -> y float32 [?, 6], count int32 [?]."""

    device_memory_size = 64

    def __init__(self, cuda: Cuda, trt: Any, profile: tuple[int, int, int] | None, constant: bool) -> None:
        self.cuda, self.trt, self.profile = cuda, trt, profile
        self.names = (*(("constant",) if constant else ()), "x", "y", "count")
        self.num_io_tensors = len(self.names)
        self.fails, self.contexts, self.logger = False, 0, None
        self.batch = -1 if profile else 4

    def get_tensor_name(self, index: int) -> str:
        return self.names[index]

    def get_tensor_mode(self, name: str) -> str:
        return "in" if name in ("x", "constant") else "out"

    def get_tensor_dtype(self, name: str) -> Any:
        return SimpleNamespace(name="INT32" if name == "count" else "FLOAT")

    def get_tensor_location(self, name: str) -> str:
        return "device"

    def get_tensor_format(self, name: str) -> str:
        return "linear"

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        if name == "constant":
            return (1, ROW)
        return (self.batch,) if name == "count" else (self.batch, ROW)

    def get_tensor_profile_shape(self, name: str, index: int) -> list[tuple[int, int]]:
        return [(size, ROW) for size in self.profile or ()]

    def create_execution_context_without_device_memory(self) -> Context:
        self.contexts += 1
        return Context(self)


def tensorrt(
    cuda: Cuda, version: str = "8.5.3.1", profile: tuple[int, int, int] | None = (2, 4, 8), constant: bool = False
) -> Any:
    """The part of the module `tensorrt` that loading needs; `.engine` is the engine that any plan gives."""
    module = SimpleNamespace(
        __version__=version,
        ILogger=object,
        TensorIOMode=SimpleNamespace(INPUT="in"),
        TensorFormat=SimpleNamespace(LINEAR="linear"),
        TensorLocation=SimpleNamespace(DEVICE="device"),
        get_plugin_registry=lambda: SimpleNamespace(plugin_creator_list=[]),
    )
    module = Hashable(vars(module))
    module.engine = Engine(cuda, module, profile, constant)

    class Runtime:
        def __init__(self, logger: Any) -> None:
            self.logger = module.engine.logger = logger

        def deserialize_cuda_engine(self, blob: bytes) -> Engine | None:
            said = getattr(module, "refusal", None)
            if said:
                self.logger.records.add("ERROR", said)
            return None if said else module.engine

    module.Runtime = Runtime
    return module


class Hashable(SimpleNamespace):
    """Modules are hashable; SimpleNamespace is not."""

    def __init__(self, content: dict[str, Any]) -> None:
        super().__init__(**content)

    __hash__ = object.__hash__
