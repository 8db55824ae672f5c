# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""These tests run where TensorRT and a GPU are: `python -m pytest tests/gpu`. Elsewhere they fail, and say why.

With several GPUs, `-n 4` or more (pytest-xdist) deals the tests out to them; builds on one GPU take turns.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

import tests.gpu.relocated  # noqa: F401
from nvidia_tao_deploy.engine.contract import BuildPlan, Profile
from nvidia_tao_deploy.engine.tensorrt.backend import TensorRTBackend
from nvidia_tao_deploy.graph import plugins
from tests.gpu.devices import take_one_gpu

take_one_gpu()


@pytest.fixture(scope="session")
def backend() -> TensorRTBackend:
    """TensorRT; its absence is a failure, not a skip."""
    backend = TensorRTBackend()
    assert backend.unavailable() is None, backend.unavailable()
    return backend


@pytest.fixture(scope="session")
def plan() -> Callable[..., BuildPlan]:
    """A build plan with a profile for every input of a model with an open batch axis."""

    def make(model: onnx.ModelProto, batch: tuple[int, int, int] = (1, 4, 8), **options: Any) -> BuildPlan:
        profiles = {}
        for value in model.graph.input:
            dims = [dim.dim_value or -1 for dim in value.type.tensor_type.shape.dim]
            if dims[0] == -1:
                profiles[value.name] = Profile(*((size, *dims[1:]) for size in batch))
        return BuildPlan(profiles=profiles, **options)

    return make


@pytest.fixture(scope="session")
def engine(backend: TensorRTBackend, plan: Callable[..., BuildPlan]) -> Callable[..., Any]:
    """Build a model and load the engine."""

    def make(model: onnx.ModelProto, batch: tuple[int, int, int] = (1, 4, 8), **options: Any) -> Any:
        return backend.load(backend.build(model, plan(model, batch, **options)).blob, Path("test.engine"))

    return make


@pytest.fixture(scope="session")
def reference() -> Callable[..., dict[str, np.ndarray]]:
    """What ONNX Runtime computes in FP32 on the CPU."""

    def run(model: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        standard, _ = plugins.rewrite(model)
        session = onnxruntime.InferenceSession(standard.SerializeToString(), providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(names, feeds), strict=True))

    return run
