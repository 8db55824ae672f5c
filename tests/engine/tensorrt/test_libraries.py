# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""gen_trt_engine.plugins: libraries of the user's own, and what models with their operators can still do."""

from __future__ import annotations

import _ctypes
import ctypes
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from nvidia_tao_deploy.engine.calibration import cache, explicit
from nvidia_tao_deploy.engine.contract import BuildPlan, Calibration
from nvidia_tao_deploy.engine.onnxruntime.backend import OnnxRuntimeBackend
from nvidia_tao_deploy.engine.tensorrt import build, libraries, log
from nvidia_tao_deploy.engine.tensorrt.backend import TensorRTRTXBackend
from nvidia_tao_deploy.engine.tensorrt.dialect import TENSORRT, Dialect
from nvidia_tao_deploy.errors import BuildError, SpecError
from nvidia_tao_deploy.graph import plugins

BUILT_IN = ["EfficientNMS_TRT"]
NO_PLUGINS = Path(_ctypes.__file__)
"""A library that is here and loads."""


class Registry:
    """TensorRT's: libraries add to it as they are loaded, or when they are handed to it."""

    def __init__(self) -> None:
        self.names = list(BUILT_IN)
        self.handed: list[str] = []

    @property
    def plugin_creator_list(self) -> list[SimpleNamespace]:
        return [SimpleNamespace(name=name) for name in self.names]

    def load_library(self, path: str) -> None:
        self.handed.append(path)
        self.names.append("HandedOver")


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    monkeypatch.setattr(log, "record", lambda trt, verbose=False: (None, SimpleNamespace(errors=[], told=str)))
    monkeypatch.setattr(libraries, "_loaded", set())
    return Registry()


@pytest.fixture
def dialect(registry: Registry) -> Dialect:
    return Dialect(SimpleNamespace(__version__="8.6.1", get_plugin_registry=lambda: registry), TENSORRT)


def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registers: Any, **exported: Any) -> tuple[Path, list[str]]:
    """A file that counts as a library, what happens when it is loaded, and what it exports; how often it was."""
    path, opened = tmp_path / "libmine.so", []
    path.write_bytes(b"\x7fELF")

    def load(name: str, mode: int) -> SimpleNamespace:
        assert mode == ctypes.RTLD_GLOBAL
        opened.append(name)
        registers()
        return SimpleNamespace(**exported)

    monkeypatch.setattr(libraries.ctypes, "CDLL", load)
    return path, opened


def test_a_library_that_registers_its_plugins(dialect, registry, tmp_path, monkeypatch, caplog):
    path, opened = library(tmp_path, monkeypatch, lambda: registry.names.append("Mine"), getCreators=None)
    with caplog.at_level(logging.INFO):
        libraries.load(dialect, [path])
        libraries.load(dialect, [path])  # evaluate after a build in the same process
    assert caplog.messages == [f"{path}: plugins Mine"]
    assert opened == [str(path)] and registry.handed == []
    assert dialect.plugin_names(None) == {"EfficientNMS_TRT", "Mine"}


def test_a_library_that_tensorrt_registers(dialect, registry, tmp_path, monkeypatch, caplog):
    path, _ = library(tmp_path, monkeypatch, lambda: None, getCreators=None)
    with caplog.at_level(logging.INFO):
        libraries.load(dialect, [path])
    assert registry.handed == [str(path)] and caplog.messages == [f"{path}: plugins HandedOver"]


def test_a_library_without_plugins(dialect, registry, tmp_path, monkeypatch, caplog):
    path, _ = library(tmp_path, monkeypatch, lambda: None)
    libraries.load(dialect, [path])
    assert caplog.messages == [f"gen_trt_engine.plugins: {path}: registers no plugin that was not there before"]
    assert registry.handed == []


def test_a_library_that_is_not_there(dialect, tmp_path):
    with pytest.raises(SpecError, match=r"gen_trt_engine\.plugins: \S+/none\.so: no such file"):
        libraries.load(dialect, [tmp_path / "none.so"])


def test_a_file_that_is_no_library(dialect, tmp_path):
    path = tmp_path / "text.so"
    path.write_text("not a library")
    message = r"gen_trt_engine\.plugins: \S+/text\.so: cannot be loaded: .*(ELF|too short)"
    with pytest.raises(SpecError, match=message) as caught:
        libraries.load(dialect, [path])
    assert str(caught.value.hint).startswith(f"`ldd {path}` lists what it needs; it must be built for this machine")


@pytest.mark.rtx
def test_tensorrt_rtx_has_a_registry_too(monkeypatch, caplog):
    monkeypatch.setattr(libraries, "_loaded", set())
    TensorRTRTXBackend().use_libraries([NO_PLUGINS])
    assert caplog.messages == [f"gen_trt_engine.plugins: {NO_PLUGINS}: registers no plugin that was not there before"]


def test_onnx_runtime_says_that_it_ignores_them(caplog):
    OnnxRuntimeBackend().use_libraries([])
    assert caplog.messages == []
    OnnxRuntimeBackend().use_libraries([Path("libmine.so")])
    assert caplog.messages == ["gen_trt_engine.plugins has no effect: ONNX Runtime runs no TensorRT plugins"]


def model() -> onnx.ModelProto:
    """A product, an operator of the user's own, and another product."""
    weights = helper.make_tensor("w", TensorProto.FLOAT, (4, 4), np.eye(4, dtype=np.float32).ravel())
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"], name="/first"),
        helper.make_node("MyNorm", ["a"], ["b"], name="/mine"),
        helper.make_node("MatMul", ["b", "w"], ["y"], name="/last"),
    ]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, (2, 4)) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "own", values[:1], values[1:], [weights])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def with_calibrators() -> Dialect:
    from nvidia_tao_deploy.engine.tensorrt import calibrator

    kinds = {name: type(name, (), {"__init__": lambda self: None}) for name in calibrator.CLASSES.values()}
    return Dialect(SimpleNamespace(__version__="8.5.3.1", **kinds), TENSORRT)


def fed(**options: Any) -> Calibration:
    return Calibration(lambda: iter([{"x": np.ones((2, 4), np.float32)}]), 1, 2, **options)


def test_an_operator_of_ones_own_stays_where_a_library_brings_it():
    assert plugins.unknown(model()) == ["MyNorm"]
    kept, rewrites = plugins.rewrite(model(), native=frozenset({"MyNorm"}))
    assert [node.op_type for node in kept.graph.node] == ["MatMul", "MyNorm", "MatMul"] and rewrites == []
    with pytest.raises(BuildError, match=r"MyNorm \(node '/mine'\)") as caught:
        plugins.rewrite(model())
    assert "gen_trt_engine.plugins=[LIBRARY.so]" in caught.value.hint


def test_fp16_is_not_measured(caplog):
    plan = BuildPlan("fp16", calibration=fed())
    with caplog.at_level(logging.INFO):
        assert build._without_overflow(model(), plan) is plan
    assert caplog.messages == ["FP16: values are not measured beforehand: ONNX Runtime has no MyNorm"]


@pytest.mark.parametrize("algorithm", ["minmax", "entropy"])
def test_tensorrt_calibrates(algorithm):
    plan = BuildPlan("int8", calibration=fed(algorithm=algorithm))
    feeder, _, found = build._calibrator(with_calibrators(), model(), plan)
    assert feeder.calibrates and found is plan


def test_a_cache_serves(tmp_path):
    path = tmp_path / "cal.cache"
    path.write_text(cache.format_text(dict.fromkeys("xaby", 1.0), cache.header("entropy")))
    plan = BuildPlan("int8", calibration=Calibration(cache_file=path))
    feeder, _, _ = build._calibrator(with_calibrators(), model(), plan)
    assert not feeder.calibrates


def test_onnx_runtime_cannot_calibrate():
    message = "calibration on ONNX Runtime is not possible: it has no MyNorm"
    with pytest.raises(BuildError, match=message) as caught:
        build._calibrator(with_calibrators(), model(), BuildPlan("int8", calibration=fed(algorithm="percentile")))
    assert "cal_route=calibrator" in caught.value.hint
    with pytest.raises(BuildError, match=message):
        explicit.quantised(model(), BuildPlan("int8", calibration=fed()), float_weights=True, measured=model())
