# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""What backends say where something is missing; heads of plans; dialects; cuda-python old and new."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest

from nvidia_tao_deploy.engine.tensorrt import cuda, dialect, plan_file
from nvidia_tao_deploy.engine.tensorrt.backend import TensorRTBackend, TensorRTRTXBackend
from nvidia_tao_deploy.engine.tensorrt.dialect import TENSORRT, TENSORRT_RTX, Dialect

HEAD_8_5 = bytes.fromhex(
    "70747274 00000000 e8000000 00000000 d5141200 00000000 02800100 08028001"
    "00050280 01000302 80010001 12800100 10800100 07800100 09000000 07800100"
)
"""First 64 bytes of a plan that TensorRT 8.5.3.1 built on an H200; the file had 1,185,005 bytes."""


def test_head_of_a_tensorrt_8_5_plan():
    assert plan_file.header(HEAD_8_5) == plan_file.Header(1_185_005, "8.5.3.1")
    assert TensorRTBackend().recognises(HEAD_8_5)
    assert not TensorRTRTXBackend().recognises(HEAD_8_5)


def test_heads_that_are_not_understood_are_left_to_tensorrt():
    assert plan_file.header(b"ptrt" + b"\x07" * 80) == plan_file.Header(84, None)


@pytest.mark.parametrize("head", [b"", b"ptrt", HEAD_8_5[:63], b"\x08\x08\x12" + bytes(80)])
def test_no_head(head):
    assert plan_file.header(head) is None


def test_importing_the_backends_imports_nothing_heavy():
    code = (
        "import sys, nvidia_tao_deploy.engine.tensorrt.backend as b; b.TensorRTBackend().recognises(b'x' * 32); "
        "print([m for m in ('numpy', 'onnx', 'tensorrt', 'tensorrt_rtx_bindings', 'cuda') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def without(monkeypatch, *names: str) -> None:
    for name in names:
        monkeypatch.setitem(sys.modules, name, None)


@pytest.fixture
def fresh_cuda():
    cuda.runtime.cache_clear()
    yield
    cuda.runtime.cache_clear()


def test_wheel_missing(monkeypatch):
    without(monkeypatch, "tensorrt", "tensorrt_rtx", "tensorrt_rtx_bindings")
    assert "the Python package tensorrt does not import" in TensorRTBackend().unavailable()
    assert "pip install 'nvidia-tao-deploy[gpu]'" in TensorRTBackend().unavailable()
    assert "pip install tensorrt-rtx" in TensorRTRTXBackend().unavailable()


def test_tensorrt_too_old(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorrt", SimpleNamespace(__version__="8.4.3.1"))
    assert TensorRTBackend().unavailable() == "TensorRT 8.4.3.1 is too old; 8.5 or later is needed"


def test_cuda_python_missing(monkeypatch, fresh_cuda):
    monkeypatch.setitem(sys.modules, "tensorrt", SimpleNamespace(__version__="10.9.0"))
    without(monkeypatch, "cuda", "cuda.bindings", "cuda.cudart")
    assert "the Python package cuda-python does not import" in TensorRTBackend().unavailable()


@pytest.mark.parametrize("new", [True, False])
def test_cuda_python_old_and_new(monkeypatch, fresh_cuda, new):
    api = SimpleNamespace(cudaGetDeviceCount=lambda: (0, 2))
    without(monkeypatch, "cuda", "cuda.bindings", "cuda.cudart")
    if new:
        monkeypatch.setitem(sys.modules, "cuda", SimpleNamespace())
        monkeypatch.setitem(sys.modules, "cuda.bindings", SimpleNamespace(runtime=api))
    else:
        monkeypatch.setitem(sys.modules, "cuda", SimpleNamespace(cudart=api))
    assert cuda.runtime() is api
    assert cuda.unavailable() is None


@pytest.mark.parametrize(
    ("count", "expected"),
    [((0, 0), "no GPU is visible"), ((35, None), "no usable NVIDIA driver or GPU .*insufficient"), (None, "libcuda")],
)
def test_driver_or_gpu_missing(monkeypatch, count, expected):
    import re

    def ask():
        if count is None:
            raise RuntimeError("Failed to dlopen libcuda.so.1")
        return count

    api = SimpleNamespace(cudaGetDeviceCount=ask, cudaGetErrorString=lambda error: (0, b"driver is insufficient"))
    monkeypatch.setattr(cuda, "runtime", lambda: api)
    assert re.search(expected, cuda.unavailable())


def flags(*names: str) -> SimpleNamespace:
    return SimpleNamespace(**{name: index for index, name in enumerate(names)})


VERSIONS = {
    "8.5.3.1": (TENSORRT, ("FP16", "INT8", "TF32"), ("EXPLICIT_BATCH", "EXPLICIT_PRECISION")),
    "8.6.1": (TENSORRT, ("FP16", "INT8", "TF32"), ("EXPLICIT_BATCH", "EXPLICIT_PRECISION")),
    "10.9.0.34": (TENSORRT, ("FP16", "INT8", "TF32", "BF16"), ("EXPLICIT_BATCH", "STRONGLY_TYPED")),
    "11.1.0": (TENSORRT, ("TF32",), ("STRONGLY_TYPED",)),
    "1.7.1.116": (TENSORRT_RTX, ("TF32",), ("STRONGLY_TYPED",)),
}
"""What the modules of these versions have (8.5.3 and RTX 1.7 read off the modules, the others off their headers)."""


@pytest.fixture
def speak():
    def make(version: str) -> Dialect:
        product, builder, network = VERSIONS[version]
        module = SimpleNamespace(
            __version__=version, BuilderFlag=flags(*builder), NetworkDefinitionCreationFlag=flags(*network)
        )
        return Dialect(module, product)

    return make


@pytest.mark.parametrize(
    ("version", "explicit", "network_flags", "shares", "bf16"),
    [
        ("8.5.3.1", False, 1, False, False),
        ("8.6.1", False, 1, False, False),
        ("10.9.0.34", False, 1, True, True),
        ("11.1.0", True, 1, True, False),
        ("1.7.1.116", True, 1, True, False),
    ],
)
def test_dialects(speak, version, explicit, network_flags, shares, bf16):
    found = speak(version)
    assert found.explicit_only is explicit
    assert found.shares_profiles is shares
    assert found.has_flag("BF16") is bf16
    assert ".".join(map(str, found.number)) == version
    asked = []
    found.create_network(SimpleNamespace(create_network=asked.append), found.explicit_only)
    assert asked == [network_flags]


@pytest.mark.parametrize("version", VERSIONS)
def test_what_parsers_read(speak, version):
    """Those of TensorRT 8 read operator sets up to 17 and no weights stored as INT8."""
    older = version.startswith("8.")
    assert speak(version).has_old_parser is older
    assert speak(version).reads_int8_weights is not older
    assert ("LayerNormalization" in speak(version).unknown_ops) is version.startswith("8.5")


def test_parser_errors_of_tensorrt_8_name_the_node(speak):
    error = SimpleNamespace(node=lambda: 1, desc=lambda: "No importer\nregistered for op")
    parser = SimpleNamespace(num_errors=1, get_error=lambda index: error)
    nodes = [SimpleNamespace(name="a", op_type="Relu"), SimpleNamespace(name="", output=["out"], op_type="Magic")]
    assert speak("8.5.3.1").parser_errors(parser, nodes) == ["Magic 'out': No importer registered for op"]
    assert speak("8.5.3.1").refused_ops(parser, nodes) == {"Magic"}


def test_an_error_about_no_node_refuses_no_operator(speak):
    error = SimpleNamespace(node=lambda: -1, desc=lambda: "out of memory")
    parser = SimpleNamespace(num_errors=1, get_error=lambda index: error)
    assert speak("8.5.3.1").refused_ops(parser, [SimpleNamespace(name="a", op_type="Relu")]) == set()
    assert speak("8.5.3.1").parser_errors(parser, []) == ["out of memory"]


def test_contexts_with_memory_of_ours(speak):
    given = []
    context = SimpleNamespace(set_device_memory=lambda pointer, size: given.append((pointer, size)))
    module = speak("10.9.0.34")
    module.trt.ExecutionContextAllocationStrategy = SimpleNamespace(USER_MANAGED="user")
    engine = SimpleNamespace(create_execution_context=lambda strategy: context if strategy == "user" else None)
    assert module.create_context(engine, 7, 9) is context
    assert given == [(7, 9)]


def test_scratch_size_of_old_and_new(speak):
    found = speak("10.9.0.34")
    assert found.scratch_size(SimpleNamespace(device_memory_size=5)) == 5
    assert found.scratch_size(SimpleNamespace(device_memory_size_v2=6)) == 6
    assert found.scratch_size(SimpleNamespace(device_memory_size_v2=0)) == 0


def test_broken_wheel(monkeypatch):
    def refuse(name: str):
        raise OSError("libnvinfer.so.8: cannot open shared object file")

    monkeypatch.setattr(dialect.importlib, "import_module", refuse)
    assert "libnvinfer.so.8" in TensorRTBackend().unavailable()
