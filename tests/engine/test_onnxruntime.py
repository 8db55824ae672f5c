# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime as a backend: engines that run, refuse wrong feeds, and stop when they are told to."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from nvidia_tao_deploy.engine.backends import load_engine
from nvidia_tao_deploy.engine.contract import BuildPlan, LayerPrecision
from nvidia_tao_deploy.engine.onnxruntime.backend import OnnxRuntimeBackend
from nvidia_tao_deploy.errors import BuildError, EngineError, SpecError
from tests.graph import models
from tests.makers import tiny_model

INPUT = np.random.default_rng(0).normal(size=(5, 3, 16, 16)).astype(np.float32)


def reference(path: Path, value: np.ndarray = INPUT) -> np.ndarray:
    return np.asarray(onnxruntime.InferenceSession(str(path)).run(None, {"input": value})[0])


def test_results_equal_a_bare_session(tmp_path: Path) -> None:
    path = tiny_model(tmp_path / "m.onnx")
    with load_engine(path) as engine:
        assert [str(info) for info in engine.inputs] == ["input float32[?x3x16x16]"]
        assert [str(info) for info in engine.outputs] == ["output float32[?x3]"]
        assert engine.depth >= 2
        assert np.array_equal(engine.infer({"input": INPUT})["output"], reference(path))
        futures = [engine.submit({"input": INPUT[index : index + 1]}) for index in range(5)]
        rows = [future.result()["output"] for future in futures]
    assert np.allclose(np.concatenate(rows), reference(path), atol=1e-5)


def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    """Linux takes any bytes for a name; so do files from other systems, and UTF-8 ones in the locale C."""
    path = tiny_model(tmp_path / "m.onnx").rename(tmp_path / os.fsdecode(b"caf\xe9.engine"))
    with OnnxRuntimeBackend().load(path.read_bytes(), path) as engine:
        assert [info.name for info in engine.inputs] == ["input"]


def test_only_the_outputs_asked_for(tmp_path: Path) -> None:
    model = onnx.load(tiny_model(tmp_path / "m.onnx"))
    model.graph.output.append(helper.make_tensor_value_info("flat", TensorProto.FLOAT, ["batch", 3]))
    onnx.save(model, tmp_path / "two.onnx")
    with load_engine(tmp_path / "two.onnx") as engine:
        assert set(engine.infer({"input": INPUT})) == {"output", "flat"}
        engine.fetch_only({"flat"})
        assert set(engine.infer({"input": INPUT})) == {"flat"}


def test_buffers(tmp_path: Path) -> None:
    with load_engine(tiny_model(tmp_path / "m.onnx")) as engine:
        buffer = engine.buffers({"input": (2, 3, 16, 16)})["input"]
        assert buffer.shape == (2, 3, 16, 16) and buffer.dtype == np.float32 and buffer.flags.c_contiguous


@pytest.mark.parametrize(
    ("feeds", "message"),
    [
        ({}, "input 'input' is not fed; fed: none"),
        ({"x": INPUT}, "input 'input' is not fed; fed: x"),
        ({"input": INPUT, "x": INPUT}, "no input named x"),
        ({"input": INPUT[:, :2]}, "expected input float32[?x3x16x16], found float32[5x2x16x16]"),
        ({"input": INPUT[0]}, "expected input float32[?x3x16x16], found float32[3x16x16]"),
        ({"input": INPUT.astype(np.float64)}, "found float64[5x3x16x16]"),
    ],
)
def test_wrong_feeds(tmp_path: Path, feeds: dict[str, np.ndarray], message: str) -> None:
    with load_engine(tiny_model(tmp_path / "m.onnx")) as engine, pytest.raises(EngineError) as caught:
        engine.submit(feeds)
    assert message in caught.value.message and "m.onnx" in caught.value.message


def test_fp16_build(tmp_path: Path) -> None:
    path = tiny_model(tmp_path / "m.onnx")
    built = OnnxRuntimeBackend().build(onnx.load(str(path)), BuildPlan(precision="fp16"))
    (tmp_path / "half.engine").write_bytes(built.blob)
    weights = {tensor.data_type for tensor in onnx.load_from_string(built.blob).graph.initializer}
    assert TensorProto.FLOAT16 in weights
    with load_engine(tmp_path / "half.engine") as engine:
        difference = np.abs(engine.infer({"input": INPUT})["output"].astype(np.float32) - reference(path))
    assert difference.max() < 0.05
    assert built.details["onnxruntime"] == onnxruntime.__version__


def test_layers_leave_a_models_own_pairs(tmp_path: Path) -> None:
    """The layer computes with floats; the others and their ranges stay."""
    model = models.quantised()
    x = np.random.default_rng(0).normal(size=(2, 3, 16, 16)).astype(np.float32)
    weight = next(numpy_helper.to_array(tensor) for tensor in model.graph.initializer if tensor.name == "w")
    exact = np.maximum(convolved(x, weight), 0).mean(axis=(2, 3))
    rules = (LayerPrecision("/conv", "fp32"),)
    built = OnnxRuntimeBackend().build(model, BuildPlan(precision="fp32", layers_precision=rules))
    (tmp_path / "m.engine").write_bytes(built.blob)
    with load_engine(tmp_path / "m.engine") as engine:
        np.testing.assert_allclose(engine.infer({"input": x})["output"], exact, atol=1e-5)
    with pytest.raises(BuildError, match="nothing is left to be INT8"):
        OnnxRuntimeBackend().build(model, BuildPlan(precision="int8", layers_precision=rules))
    wrong = (LayerPrecision("/convv", "fp32"),)
    with pytest.raises(BuildError, match="no layer is named '/convv'"):
        OnnxRuntimeBackend().build(model, BuildPlan(precision="int8", layers_precision=wrong))


def convolved(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """3 x 3, with a border of zeros."""
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    return np.einsum("bchwij,ocij->bohw", windows, weight)


def slow_model(path: Path, layers: int) -> Path:
    """A chain of matrix products: seconds of work per batch."""
    weight = np.eye(768, dtype=np.float32)
    nodes = [helper.make_node("MatMul", [f"v{index}", "w"], [f"v{index + 1}"]) for index in range(layers)]
    graph = helper.make_graph(
        nodes, "slow",
        [helper.make_tensor_value_info("v0", TensorProto.FLOAT, ["batch", 768])],
        [helper.make_tensor_value_info(f"v{layers}", TensorProto.FLOAT, ["batch", 768])],
        [numpy_helper.from_array(weight, "w")],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path


def test_bf16_is_refused_with_the_way_out() -> None:
    """A convolution in BF16: ONNX Runtime has no kernel for CPUs, and its own message does not say what to do."""
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"])],
        "conv",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["B", 1, 4, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["B", 1, 4, 4])],
        [numpy_helper.from_array(np.ones((1, 1, 1, 1), np.float32), "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    with pytest.raises(BuildError, match="ONNX Runtime refuses the model") as caught:
        OnnxRuntimeBackend().build(model, BuildPlan(precision="bf16"))
    assert "use FP32 or FP16 here" in str(caught.value.hint)


def test_closing_stops_what_runs(tmp_path: Path) -> None:
    """Ctrl-C must not wait for a long batch."""
    engine = load_engine(slow_model(tmp_path / "slow.onnx", 1500))
    before = threading.active_count()
    futures = [engine.submit({"v0": np.ones((768, 768), np.float32)}) for _ in range(2)]
    time.sleep(0.3)
    assert not futures[0].done()
    start = time.monotonic()
    engine.close()
    engine.close()
    assert time.monotonic() - start < 2
    assert threading.active_count() <= before
    assert futures[1].cancelled() or futures[1].exception() is not None


def test_threads_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tiny_model(tmp_path / "m.onnx")
    monkeypatch.setenv("TAO_DEPLOY_THREADS", "1")
    with load_engine(path) as engine:
        assert np.array_equal(engine.infer({"input": INPUT})["output"], reference(path))
    monkeypatch.setenv("TAO_DEPLOY_THREADS", "-1")
    with pytest.raises(SpecError, match="TAO_DEPLOY_THREADS='-1': expected a number of at least 1"):
        load_engine(path)


PLAIN_LOAD = """
import sys
from pathlib import Path
from nvidia_tao_deploy.engine.backends import load_engine
with load_engine(Path(sys.argv[1])) as engine:
    print(engine.inputs[0].name, *sorted({"onnx", "google.protobuf"} & set(sys.modules)))
"""


def test_a_model_without_plugins_is_loaded_without_onnx(tmp_path: Path) -> None:
    """It takes 80 ms to import, more than anything else that evaluating a small model needs."""
    path = tiny_model(tmp_path / "model.onnx")
    done = subprocess.run([sys.executable, "-c", PLAIN_LOAD, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["input"]


def plugin_model(in_function: bool = False) -> onnx.ModelProto:
    """input -> twice as large by a TensorRT plugin, in a function or not -> + 1, a constant."""
    plugin = helper.make_node("ResizeNearest_TRT", ["x"], ["larger"], scale=2.0, plugin_version="1")
    value, opset = helper.make_tensor_value_info, helper.make_opsetid
    call = helper.make_node("Enlarge", ["x"], ["larger"], domain="own") if in_function else plugin
    graph = helper.make_graph(
        [call, helper.make_node("Add", ["larger", "one"], ["y"])],
        "plugin",
        [value("x", TensorProto.FLOAT, [1, 3, 4, 4])],
        [value("y", TensorProto.FLOAT, [1, 3, 8, 8])],
        [numpy_helper.from_array(np.ones((1, 3, 8, 8), np.float32), "one")],
    )
    body = helper.make_function("own", "Enlarge", ["x"], ["larger"], [plugin], [opset("", 17)])
    functions = [body] if in_function else []
    return helper.make_model(graph, opset_imports=[opset("", 17), opset("own", 1)], functions=functions, ir_version=8)


@pytest.mark.parametrize("in_function", [False, True])
@pytest.mark.parametrize("external", [False, True])
def test_a_plugin_in_the_users_own_model(in_function: bool, external: bool, tmp_path: Path) -> None:
    """Wherever it stands, and wherever the weights are."""
    path = tmp_path / "model.onnx"
    options = {"save_as_external_data": True, "location": "weights.bin", "size_threshold": 0} if external else {}
    onnx.save(plugin_model(in_function), path, **options)
    x = np.random.default_rng(0).normal(size=(1, 3, 4, 4)).astype(np.float32)
    with load_engine(path) as engine:
        found = engine.infer({"x": x})["y"]
    np.testing.assert_allclose(found, x.repeat(2, axis=2).repeat(2, axis=3) + 1, atol=1e-6)


def test_float_weights_between_pairs_stay_float(tmp_path: Path) -> None:
    """Channels of very different size: one scale for all of them would leave nothing of the small one."""
    weights = np.stack([np.full((3, 1, 1), size, np.float32) for size in (1000.0, 0.5)])
    constants = {"w": weights, "sx": np.float32(1 / 127), "sy": np.float32(0.25), "zero": np.int8(0)}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "sx", "zero"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "sx", "zero"], ["xd"]),
        helper.make_node("Conv", ["xd", "w"], ["c"]),
        helper.make_node("QuantizeLinear", ["c", "sy", "zero"], ["cq"]),
        helper.make_node("DequantizeLinear", ["cq", "sy", "zero"], ["cd"]),
        helper.make_node("Mul", ["cd", "cd"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2, 8, 8])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )  # fmt: skip
    path = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    value = np.full((1, 3, 8, 8), 0.9, np.float32)
    with load_engine(path) as engine:
        found = engine.infer({"x": value})["y"]
    np.testing.assert_allclose(found[0, 1], 1.25**2, rtol=0, atol=1e-6)  # 3 x 0.5 x 0.9 is 1.35, in steps of 0.25
