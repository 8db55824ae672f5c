# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""The part of the CUDA runtime that engines need, over NVIDIA's cuda-python 11.8 to 13."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

INSTALL = "pip install 'nvidia-tao-deploy[gpu]'"
STREAM_NON_BLOCKING = 1
EVENT_BLOCKING_SYNC = 1
EVENT_DISABLE_TIMING = 2
CAPTURE_THREAD_LOCAL = 1
_ERROR_NOT_READY = 600


class CudaError(RuntimeError):
    """A CUDA call failed; the text names the call and CUDA's reason."""


@cache
def runtime() -> Any:
    """The module with the runtime API. Raises ImportError when cuda-python is missing."""
    try:
        from cuda.bindings import runtime as module  # cuda-python 12.8 and later
    except ImportError:
        from cuda import cudart as module  # cuda-python 11.8 to 12.6
    return module


def call(function: str, *arguments: Any) -> Any:
    """Call a runtime function; returns its results without the error code. Raises CudaError."""
    api = runtime()
    error, *results = getattr(api, function)(*arguments)
    if int(error):
        raise CudaError(f"{function}: {_reason(error)}")
    return results[0] if len(results) == 1 else tuple(results)


def _reason(error: Any) -> str:
    _, text = runtime().cudaGetErrorString(error)
    return text.decode() if isinstance(text, bytes) else str(text)


def unavailable() -> str | None:
    """None when cuda-python, a driver and a GPU are here; otherwise what is missing, in one sentence."""
    try:
        runtime()
    except ImportError as error:
        return f"the Python package cuda-python does not import ({error}); {INSTALL}"
    try:
        count = call("cudaGetDeviceCount")
    except (CudaError, RuntimeError) as error:  # without libcuda.so.1, cuda-python raises RuntimeError itself
        return f"no usable NVIDIA driver or GPU ({error}); install a driver, or start the container with --gpus all"
    return None if count else "no GPU is visible; check nvidia-smi and CUDA_VISIBLE_DEVICES"


def set_device(device: int) -> None:
    """Make a GPU current for the calling thread. Raises CudaError that names the number of GPUs."""
    try:
        call("cudaSetDevice", device)
    except CudaError as error:
        raise CudaError(f"GPU {device} cannot be used: {error}; {call('cudaGetDeviceCount')} visible") from None


def device_facts(device: int) -> tuple[str, str]:
    """(name, compute capability such as "9.0") of a GPU."""
    name = call("cudaGetDeviceProperties", device).name
    api = runtime()
    kind = api.cudaDeviceAttr
    major = call("cudaDeviceGetAttribute", kind.cudaDevAttrComputeCapabilityMajor, device)
    minor = call("cudaDeviceGetAttribute", kind.cudaDevAttrComputeCapabilityMinor, device)
    text = name.decode(errors="replace") if isinstance(name, bytes) else str(name)
    return text.strip("\0 "), f"{major}.{minor}"


def device_id(device: int) -> str:
    """UUID of a GPU (or of a part of one, under MIG) in hexadecimal; the same whichever GPUs are visible."""
    uuid: Any = call("cudaGetDeviceProperties", device).uuid.bytes
    return bytes(uuid).hex()


class DeviceBuffer:
    """Device memory that grows when asked for more; its content does not survive growing."""

    def __init__(self) -> None:
        self.pointer = 0
        self.size = 0

    def reserve(self, size: int) -> None:
        """Make room for `size` bytes."""
        if size > self.size:
            self.free()
            self.pointer = int(call("cudaMalloc", size))
            self.size = size

    def free(self) -> None:
        pointer, self.pointer, self.size = self.pointer, 0, 0
        if pointer:
            call("cudaFree", pointer)


def pinned(shape: Sequence[int], dtype: np.dtype[Any]) -> np.ndarray:
    """A page-locked array of zeros. Its memory is freed with the last array that lies in it, engine or no engine."""
    import numpy as np

    count = int(np.prod(shape, dtype=np.int64))
    size = max(count * dtype.itemsize, 1)
    pointer = int(call("cudaHostAlloc", size, 0))
    memory = (ctypes.c_uint8 * size).from_address(pointer)
    weakref.finalize(memory, runtime().cudaFreeHost, pointer).atexit = False  # numpy arrays keep `memory`
    ctypes.memset(pointer, 0, size)
    return np.frombuffer(memoryview(memory).cast("B"), dtype=dtype, count=count).reshape(shape)


def is_pinned(array: np.ndarray) -> bool:
    """Whether CUDA can copy from the array asynchronously: contiguous and page-locked, whoever allocated it."""
    if not array.flags.c_contiguous:
        return False
    api = runtime()
    error, facts = api.cudaPointerGetAttributes(array.ctypes.data)
    return not int(error) and facts.type == api.cudaMemoryType.cudaMemoryTypeHost


def copy_in(target: int, source: int, size: int, stream: Any) -> None:
    """Queue a copy from page-locked host memory to the device."""
    call("cudaMemcpyAsync", target, source, size, runtime().cudaMemcpyKind.cudaMemcpyHostToDevice, stream)


def copy_out(target: int, source: int, size: int, stream: Any) -> None:
    """Queue a copy from the device to page-locked host memory."""
    call("cudaMemcpyAsync", target, source, size, runtime().cudaMemcpyKind.cudaMemcpyDeviceToHost, stream)


def stream() -> Any:
    """A stream that does not wait for the legacy default stream."""
    return call("cudaStreamCreateWithFlags", STREAM_NON_BLOCKING)


def event() -> Any:
    """An event to order streams by, or to wait for without burning a CPU core."""
    return call("cudaEventCreateWithFlags", EVENT_BLOCKING_SYNC | EVENT_DISABLE_TIMING)


def reached(mark: Any) -> bool:
    """Whether everything before an event has finished. Raises CudaError when the GPU has failed."""
    (error,) = runtime().cudaEventQuery(mark)
    if int(error) == _ERROR_NOT_READY:
        return False
    if int(error):
        raise CudaError(f"cudaEventQuery: {_reason(error)}")
    return True


def begin_capture(queue: Any) -> None:
    """Start recording what is queued on a stream by this thread."""
    call("cudaStreamBeginCapture", queue, runtime().cudaStreamCaptureMode(CAPTURE_THREAD_LOCAL))


def end_capture(queue: Any) -> Any:
    """Stop recording; the executable graph. Raises CudaError when something in it cannot be recorded."""
    graph = call("cudaStreamEndCapture", queue)
    try:
        return call("cudaGraphInstantiateWithFlags", graph, 0)
    finally:
        call("cudaGraphDestroy", graph)


def clear_error() -> None:
    """Forget the last error that does not stick (a failed capture leaves one)."""
    runtime().cudaGetLastError()
