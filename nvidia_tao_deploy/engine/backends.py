# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Which backend builds, and which one runs a given file."""

from __future__ import annotations

import importlib
import logging
import os
from collections.abc import Sequence
from pathlib import Path

from nvidia_tao_deploy.engine.contract import Backend, Engine
from nvidia_tao_deploy.errors import EngineError, SpecError
from nvidia_tao_deploy.files import reason

logger = logging.getLogger(__name__)

BACKENDS = {
    "onnxruntime": ("nvidia_tao_deploy.engine.onnxruntime.backend", "OnnxRuntimeBackend"),
    "tensorrt": ("nvidia_tao_deploy.engine.tensorrt.backend", "TensorRTBackend"),
    "tensorrt_rtx": ("nvidia_tao_deploy.engine.tensorrt.backend", "TensorRTRTXBackend"),
}
REFERENCE = "onnxruntime"
"""The backend whose FP32 results others are compared with: it is everywhere."""
VARIABLE = "TAO_DEPLOY_BACKEND"
HEAD_BYTES = 64


def get(name: str) -> Backend:
    """The backend of this name (a key of BACKENDS); imports nothing heavy until it is used."""
    module, attribute = BACKENDS[name]
    return getattr(importlib.import_module(module), attribute)()


def choose(wanted: str) -> Backend:
    """The backend to build with.

    Args:
        wanted: `gen_trt_engine.backend`; "auto" leaves it to the variable TAO_DEPLOY_BACKEND, and that to what is here:
            TensorRT where it and a GPU work, otherwise ONNX Runtime with one warning that says why.

    Raises:
        SpecError: the backend asked for by name cannot be used here, or the variable names none.
    """
    source = "gen_trt_engine.backend"
    if wanted == "auto":
        source, wanted = VARIABLE, os.environ.get(VARIABLE, "").strip().lower() or "auto"
    if wanted != "auto":
        if wanted not in BACKENDS:
            raise SpecError(f"{source}: unknown backend '{wanted}'; known: auto, {', '.join(BACKENDS)}")
        backend = get(wanted)
        problem = backend.unavailable()
        if problem:
            raise SpecError(
                f"{source}={wanted}, but this backend cannot be used here: {problem}",
                hint="gen_trt_engine.backend=onnxruntime checks the spec, the data and the accuracy without a GPU.",
            )
        return backend
    tensorrt = get("tensorrt")
    problem = tensorrt.unavailable()
    if problem is None:
        return tensorrt
    logger.warning("Building for ONNX Runtime instead of TensorRT: %s", problem)
    return get("onnxruntime")


def load_engine(path: Path, device: int = 0, key: str = "trt_engine", libraries: Sequence[Path] = ()) -> Engine:
    """Open an engine file of any backend; its content says which.

    Args:
        path: TensorRT plan, TensorRT RTX plan, or ONNX model.
        device: GPU, counted among the visible ones.
        key: spec key that named the file, for messages.
        libraries: shared libraries with plugins of the user's own.

    Raises:
        SpecError: a library is missing or cannot be loaded.
        EngineError: the file is missing, empty, of no known kind, or its backend refuses it.
    """
    way_out = "Build it with gen_trt_engine, or name an .onnx file to run that."
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except FileNotFoundError as error:
        raise EngineError(f"{key}: {path}: no such file.", hint=way_out) from error
    except OSError as error:
        raise EngineError(f"{key}: {path}: cannot be read: {reason(error)}.", hint=way_out) from error
    if not head:
        raise EngineError(f"{key}: {path}: the file is empty.", hint="Build it again with gen_trt_engine.")
    for name in BACKENDS:
        backend = get(name)
        if not backend.recognises(head):
            continue
        problem = backend.unavailable()
        if problem:
            raise EngineError(f"{key}: {path} is a file for {name}, which cannot be used here: {problem}")
        logger.info("%s: running with %s", path, name)
        backend.use_libraries(libraries)
        return backend.load(path.read_bytes(), path, device)
    raise EngineError(f"{key}: {path}: neither a TensorRT engine nor an ONNX model.", hint=way_out)
