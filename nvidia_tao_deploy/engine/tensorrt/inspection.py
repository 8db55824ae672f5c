# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""What a plan consists of: layers by the engine inspector, their times by TensorRT's profiler."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nvidia_tao_deploy.engine.contract import LayerFacts
from nvidia_tao_deploy.engine.tensorrt import cuda, log
from nvidia_tao_deploy.engine.tensorrt.dialect import Dialect
from nvidia_tao_deploy.errors import EngineError

ROUNDS = 20
"""Runs that layer times are averaged over, after as many for warming up."""

_TYPES = (
    ("Int8", "int8"), ("FP8", "fp8"), ("E4M3", "fp8"), ("BFloat16", "bf16"), ("BF16", "bf16"), ("FP16", "fp16"),
    ("Half", "fp16"), ("FP32", "fp32"), ("Float", "fp32"), ("Int64", "int64"), ("Int32", "int32"), ("Bool", "bool"),
)  # fmt: skip
_PRODUCT = re.compile("conv|gemm|matrix|fully", re.IGNORECASE)
"""In the kinds of layers that multiply by weights, as TensorRT's versions call them."""


def layers(
    dialect: Dialect, blob: bytes, source: Path, feeds: Mapping[str, np.ndarray], device: int
) -> list[LayerFacts]:
    """Layers in order of execution, with the mean time of each for a batch of `feeds`.

    Raises EngineError when the plan cannot be loaded or run.
    """
    logger, records = log.record(dialect.trt)
    memory: list[cuda.DeviceBuffer] = []
    try:
        cuda.set_device(device)
        dialect.plugin_names(logger)  # registers them
        engine = dialect.trt.Runtime(logger).deserialize_cuda_engine(blob)
        if engine is None:
            raise EngineError(f"{source}: TensorRT cannot load it: {records.told()}")
        context = engine.create_execution_context()
        times = _times(dialect, engine, context, feeds, memory)
        inspector = engine.create_engine_inspector()
        inspector.execution_context = context
        text = inspector.get_engine_information(dialect.trt.LayerInformationFormat.JSON)
    except cuda.CudaError as error:
        raise EngineError(f"{source}: {error}") from None
    finally:
        for buffer in memory:
            buffer.free()
    described = json.loads(text).get("Layers", [])
    return [_facts(layer if isinstance(layer, dict) else {"Name": str(layer)}, times) for layer in described]


def _times(dialect: Dialect, engine: Any, context: Any, feeds: Mapping[str, np.ndarray], memory: list[Any]) -> Any:
    """Layer name -> milliseconds, mean of `ROUNDS` runs."""
    base = dialect.trt.IProfiler

    class Profiler(base):  # type: ignore[misc, valid-type]
        def __init__(self) -> None:
            base.__init__(self)
            self.total: dict[str, float] = {}

        def report_layer_time(self, layer_name: str, ms: float) -> None:
            self.total[layer_name] = self.total.get(layer_name, 0.0) + ms

    for name, array in feeds.items():
        if not context.set_input_shape(name, array.shape):
            raise EngineError(f"TensorRT refuses shape {array.shape} of {name}")
    inputs, outputs = dialect.tensor_names(engine)
    for name in [*inputs, *outputs]:
        shape = tuple(context.get_tensor_shape(name))
        buffer = cuda.DeviceBuffer()
        memory.append(buffer)
        width = 8  # bytes: the widest type there is
        buffer.reserve(max(int(np.prod([abs(size) for size in shape], dtype=np.int64)) * width, width))
        if name in feeds:
            array = np.ascontiguousarray(feeds[name])
            kind = cuda.runtime().cudaMemcpyKind.cudaMemcpyHostToDevice
            cuda.call("cudaMemcpy", buffer.pointer, array.ctypes.data, array.nbytes, kind)
        context.set_tensor_address(name, buffer.pointer)
    queue = cuda.stream()
    profiler = Profiler()
    try:
        for measured in (False, True):
            if measured:
                context.profiler = profiler
            for _ in range(ROUNDS):
                if not context.execute_async_v3(int(queue)):
                    raise EngineError("TensorRT cannot run a batch while it is profiled")
                cuda.call("cudaStreamSynchronize", queue)
    finally:
        cuda.call("cudaStreamDestroy", queue)
    return {name: total / ROUNDS for name, total in profiler.total.items()}


def _facts(layer: Mapping[str, Any], times: Mapping[str, float]) -> LayerFacts:
    outputs = layer.get("Outputs") or [{}]
    return LayerFacts(
        name=str(layer.get("Name", "?")),
        kind=str(layer.get("LayerType", "")),
        precision=_precision(layer),
        format=_format(outputs[0]),
        milliseconds=times.get(str(layer.get("Name", "?"))),
    )


def _precision(layer: Mapping[str, Any]) -> str:
    """What a layer computes in: for convolutions and matrix products the type that they read (a kernel that multiplies
    INT8 may write FP32), for all others that of their first output."""
    tensors = [*(layer.get("Inputs") or [])[:1]] if _PRODUCT.search(str(layer.get("LayerType", ""))) else []
    found = (_type(tensor) for tensor in [*tensors, *(layer.get("Outputs") or [])[:1]])
    return next(filter(None, found), "")


def _type(tensor: Mapping[str, Any]) -> str:
    return precision_of(_format(tensor), str(tensor.get("Datatype", "")))


def _format(tensor: Mapping[str, Any]) -> str:
    return str(tensor.get("Format/Datatype", tensor.get("Format", "")))


def precision_of(text: str, datatype: str = "") -> str:
    """ "int8" and so on from the inspector's words such as "Row major linear FP16 format"; "" when it tells none."""
    words = f"{datatype} {text}"
    for word, name in _TYPES:
        if re.search(rf"(?<![A-Za-z0-9]){word}(?![A-Za-z0-9])", words, re.IGNORECASE):
            return name
    return ""
