# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""The TensorRT backend against ONNX Runtime and against definitions written in numpy."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from nvidia_tao_deploy.engine.contract import LayerPrecision
from nvidia_tao_deploy.engine.tensorrt import cuda, dialect, plan_file
from nvidia_tao_deploy.errors import BuildError, EngineError, SpecError
from nvidia_tao_deploy.graph import plugins
from tests.graph import models

SEED = np.random.default_rng(7)


def pictures(count: int) -> np.ndarray:
    return SEED.normal(size=(count, 3, 32, 32)).astype(np.float32)


@pytest.fixture(scope="module")
def classifier(engine):
    with engine(models.classifier(), tf32=False) as loaded:
        yield loaded


@pytest.fixture(scope="module")
def plan_blob(backend, plan) -> bytes:
    model = models.classifier()
    return backend.build(model, plan(model)).blob


def test_fp32_agrees_with_onnx_runtime(classifier, reference):
    for count in (1, 3, 4, 8):
        feeds = {"input": pictures(count)}
        found = classifier.infer(feeds)["probabilities"]
        assert found.shape == (count, 10)
        np.testing.assert_allclose(found, reference(models.classifier(), feeds)["probabilities"], atol=1e-5)


def test_fp16_agrees_and_is_fp16(backend, plan, reference):
    """The precision of each layer is asked for: left to itself, TensorRT may time FP32 kernels as the faster ones."""
    model = models.classifier()
    rules = (LayerPrecision("/stem/*", "fp16"), LayerPrecision("/body/*", "fp16"))
    built = backend.build(model, plan(model, precision="fp16", layers_precision=rules))
    assert built.details["precision"] == "fp16"
    assert built.details["compute_capability"].count(".") == 1
    feeds = {"input": pictures(8)}
    with backend.load(built.blob, Path("fp16.engine")) as loaded:
        found = loaded.infer(feeds)["probabilities"]
    expected = reference(model, feeds)["probabilities"]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=5e-3)
    layers = backend.layers(built.blob, Path("fp16.engine"), feeds)
    convolutions = [layer for layer in layers if "conv" in layer.name and layer.kind != "Reformat"]
    assert convolutions and all(layer.precision == "fp16" for layer in convolutions), layers
    assert np.abs(found - expected).max() > 1e-6, "as exact as FP32"


def test_layers_precision_keeps_layers_in_fp32(engine, reference):
    feeds = {"input": pictures(8)}
    expected = reference(models.classifier(), feeds)["probabilities"]
    rules = (LayerPrecision("*", "fp32"),)
    with engine(models.classifier(), precision="fp16", layers_precision=rules, tf32=False) as loaded:
        np.testing.assert_allclose(loaded.infer(feeds)["probabilities"], expected, atol=1e-5)


def test_layers_precision_that_fits_nothing(backend, plan):
    model = models.classifier()
    with pytest.raises(BuildError, match="no layer is named '/body/konv'") as caught:
        backend.build(model, plan(model, precision="fp16", layers_precision=(LayerPrecision("/body/konv", "fp32"),)))
    assert "/body/conv" in caught.value.hint


def test_information_about_tensors(classifier):
    (info,) = classifier.inputs
    assert (info.name, info.dtype, info.shape) == ("input", "float32", (-1, 3, 32, 32))
    assert (info.minimum[0], info.optimum[0], info.maximum[0]) == (1, 4, 8)
    assert str(classifier.outputs[0]) == "probabilities float32[?x10]"


def test_batches_in_flight_come_back_in_order_and_right(classifier, reference):
    batches = [pictures(4) for _ in range(12)]
    ring = [classifier.buffers({"input": (4, 3, 32, 32)}) for _ in range(classifier.depth)]
    waiting, found = [], []
    for index, batch in enumerate(batches):
        if len(waiting) == classifier.depth:
            found.append(waiting.pop(0).result()["probabilities"].copy())
        feeds = ring[index % classifier.depth]
        feeds["input"][...] = batch
        waiting.append(classifier.submit(feeds))
    found += [future.result()["probabilities"].copy() for future in waiting]
    expected = reference(models.classifier(), {"input": np.concatenate(batches)})["probabilities"]
    np.testing.assert_allclose(np.concatenate(found), expected, atol=1e-5)


def test_futures_behave_as_futures_do(classifier):
    called = threading.Event()
    batch = classifier.submit({"input": pictures(4)})
    batch.add_done_callback(lambda _: called.set())
    assert called.wait(10)
    assert batch.done()
    assert not batch.cancel()
    assert batch.exception() is None
    assert classifier.submit({"input": pictures(4)}).result(timeout=10)["probabilities"].shape == (4, 10)


def test_cuda_graphs_are_captured_and_replayed(engine, reference):
    with engine(models.classifier(), tf32=False) as loaded:
        for _ in range(3 * loaded.depth):
            feeds = {"input": pictures(5)}
            found = loaded.infer(feeds)["probabilities"]
            np.testing.assert_allclose(found, reference(models.classifier(), feeds)["probabilities"], atol=1e-5)
        (shaped,) = loaded._shaped.values()
        assert len(shaped.graphs) == loaded.depth
        assert all(graph is not None for graph in shaped.graphs.values())


def test_runs_without_graphs_when_capture_fails(engine, reference, monkeypatch, caplog):
    def fail(stream):
        real(stream)
        raise cuda.CudaError("cudaStreamEndCapture: operation not permitted")

    real = cuda.end_capture
    monkeypatch.setattr(cuda, "end_capture", fail)
    with caplog.at_level(logging.INFO), engine(models.classifier(), tf32=False) as loaded:
        for _ in range(2 * loaded.depth):
            feeds = {"input": pictures(2)}
            found = loaded.infer(feeds)["probabilities"]
            np.testing.assert_allclose(found, reference(models.classifier(), feeds)["probabilities"], atol=1e-5)
        (shaped,) = loaded._shaped.values()
        assert set(shaped.graphs.values()) == {None}
    assert "running without CUDA graphs" in caplog.text


def test_many_batch_sizes(classifier, reference):
    for count in [1, 2, 3, 4, 5, 6, 7, 8] * 3:
        feeds = {"input": pictures(count)}
        expected = reference(models.classifier(), feeds)["probabilities"]
        np.testing.assert_allclose(classifier.infer(feeds)["probabilities"], expected, atol=1e-5)


def test_more_shapes_than_are_kept(engine, reference):
    with engine(models.classifier(), (1, 8, 16), tf32=False) as loaded:
        for count in list(range(1, 17)) * 2:
            feeds = {"input": pictures(count)}
            expected = reference(models.classifier(), feeds)["probabilities"]
            np.testing.assert_allclose(loaded.infer(feeds)["probabilities"], expected, atol=1e-5)


def test_batch_below_the_smallest_is_padded(engine, reference):
    with engine(models.classifier(), (4, 4, 8), tf32=False) as loaded:
        feeds = {"input": pictures(2)}
        found = loaded.infer(feeds)["probabilities"]
        assert found.shape == (2, 10)
        np.testing.assert_allclose(found, reference(models.classifier(), feeds)["probabilities"], atol=1e-5)


def test_fixed_batch_is_padded_and_trimmed(engine, reference):
    with engine(models.classifier(batch=4), tf32=False) as loaded:
        for count in (4, 1, 3):
            feeds = {"input": pictures(count)}
            found = loaded.infer(feeds)["probabilities"]
            assert found.shape == (count, 10)
            np.testing.assert_allclose(found, reference(models.classifier(), feeds)["probabilities"], atol=1e-5)
        with pytest.raises(EngineError, match="axis 0 has size 5; the engine was built for 4 to 4"):
            loaded.infer({"input": pictures(5)})


@pytest.mark.parametrize(
    ("feeds", "message"),
    [
        ({}, "input 'input' is not fed"),
        (
            {"input": np.zeros((1, 3, 31, 32), np.float32)},
            r"expected input float32\[\?x3x32x32\], found float32\[1x3x31x",
        ),
        ({"input": np.zeros((1, 3, 32, 32), np.float64)}, r"found float64\[1x3x32x32\]"),
        ({"input": np.zeros((0, 3, 32, 32), np.float32)}, "at least 1"),
        ({"input": np.zeros((9, 3, 32, 32), np.float32)}, "axis 0 has size 9; the engine was built for 1 to 8"),
        ({"input": np.zeros((1, 3, 32, 32), np.float32), "x": np.zeros(1)}, "no input named x"),
    ],
)
def test_wrong_feeds(classifier, feeds, message):
    with pytest.raises(EngineError, match=message):
        classifier.submit(feeds)


def test_feeds_with_gaps_are_staged(classifier, reference):
    wide = SEED.normal(size=(3, 3, 32, 64)).astype(np.float32)
    feeds = {"input": wide[..., ::2]}
    expected = reference(models.classifier(), {"input": feeds["input"].copy()})["probabilities"]
    np.testing.assert_allclose(classifier.infer(feeds)["probabilities"], expected, atol=1e-5)


class OnGpu:
    """Device memory with the interface that PyCUDA, CuPy and Torch arrays have."""

    def __init__(self, array: np.ndarray, **more: object) -> None:
        self.buffer = cuda.DeviceBuffer()
        self.buffer.reserve(array.nbytes)
        kind = cuda.runtime().cudaMemcpyKind.cudaMemcpyHostToDevice
        cuda.call("cudaMemcpy", self.buffer.pointer, array.ctypes.data, array.nbytes, kind)
        self.__cuda_array_interface__ = {
            "shape": array.shape,
            "typestr": array.dtype.str,
            "data": (self.buffer.pointer, False),
            "version": 3,
            **more,
        }


@pytest.mark.parametrize("more", [{}, {"stream": None}, {"stream": 1}])
def test_arrays_on_the_gpu_are_used_in_place(classifier, reference, more):
    array = pictures(4)
    on_gpu = OnGpu(array, **more)
    expected = reference(models.classifier(), {"input": array})["probabilities"]
    for _ in range(2 * classifier.depth):
        np.testing.assert_allclose(classifier.infer({"input": on_gpu})["probabilities"], expected, atol=1e-5)


def test_array_on_the_gpu_smaller_than_a_fixed_batch(engine, reference):
    array = pictures(2)
    with engine(models.classifier(batch=4), tf32=False) as loaded:
        found = loaded.infer({"input": OnGpu(array)})["probabilities"]
    np.testing.assert_allclose(found, reference(models.classifier(), {"input": array})["probabilities"], atol=1e-5)


def test_array_on_the_gpu_with_gaps_is_refused(classifier):
    with pytest.raises(EngineError, match="must be C-contiguous"):
        classifier.infer({"input": OnGpu(pictures(4), strides=(1, 2, 3, 4))})


def test_outputs_keep_their_types(engine):
    array = np.linspace(-3, 3, 32, dtype=np.float32).reshape(4, 8)
    with engine(models.many_types()) as loaded:
        found = loaded.infer({"input": array})
    assert {name: str(item.dtype) for name, item in found.items()} == {
        "half": "float16", "whole": "int32", "flag": "bool", "byte": "uint8",
    }  # fmt: skip
    np.testing.assert_allclose(found["half"], 2 * array, rtol=1e-3)
    np.testing.assert_array_equal(found["whole"], np.trunc(2 * array))
    np.testing.assert_array_equal(found["flag"], array > 0)
    np.testing.assert_array_equal(found["byte"], np.abs(2 * array).astype(np.uint8))


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-5), ("fp16", 1e-2)])
def test_deformable_attention_plugin_agrees_with_its_definition(engine, precision, tolerance):
    feeds = models.attention_feeds(3)
    with engine(models.attention(), precision=precision) as loaded:
        found = loaded.infer(feeds)["output"]
    np.testing.assert_allclose(found, models.attention_expected(feeds), atol=tolerance)


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-5), ("fp16", 1e-2)])
def test_deformable_attention_rewritten_agrees_with_the_plugin(engine, precision, tolerance):
    feeds = models.attention_feeds(3, seed=5)
    rewritten, done = plugins.rewrite(models.attention())
    assert done
    with engine(models.attention(), precision="fp32") as plugin, engine(rewritten, precision=precision) as standard:
        expected = plugin.infer(feeds)["output"]
        np.testing.assert_allclose(standard.infer(feeds)["output"], expected, atol=tolerance)


def test_quantised_model_is_built_with_int8(backend, plan, reference):
    model = models.quantised()
    built = backend.build(model, plan(model, precision="int8"))
    assert built.details["quantised_model"]
    feeds = {"input": SEED.normal(size=(4, 3, 16, 16)).astype(np.float32)}
    with backend.load(built.blob, Path("int8.engine")) as loaded:
        found = loaded.infer(feeds)["output"]
    np.testing.assert_allclose(found, reference(model, feeds)["output"], atol=2e-3)


def test_awkward_model(engine, reference):
    model = models.awkward(with_if=False, with_mask=False)  # those need cuBLAS in TensorRT 8.5
    feeds = {"x": SEED.uniform(0, 255, (2, 3, 16, 16)).astype(np.float32)}
    expected = reference(model, feeds)
    for precision, tolerance in (("fp32", 1e-3), ("fp16", 1e-2)):
        with engine(model, precision=precision) as loaded:
            found = loaded.infer(feeds)
        np.testing.assert_allclose(found["y"], expected["y"], atol=tolerance)
        np.testing.assert_allclose(found["top"], expected["top"], atol=tolerance)


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-4), ("fp16", 1e-2)])
def test_model_of_a_newer_operator_set(engine, reference, precision, tolerance):
    """TensorRT 8.5 reads sets up to 17, has no Gelu, and would take a mean over all axes without a word."""
    model = models.newer()
    feeds = {"input": SEED.normal(size=(4, 3, 16, 16)).astype(np.float32)}
    with engine(model, precision=precision) as loaded:
        found = loaded.infer(feeds)["output"]
    np.testing.assert_allclose(found, reference(model, feeds)["output"], atol=tolerance)


def test_bf16_is_refused_where_tensorrt_has_none(backend, plan):
    if dialect.load(dialect.TENSORRT).has_flag("BF16"):
        pytest.skip("this TensorRT has BF16")
    model = models.classifier()
    with pytest.raises(BuildError, match=r"data_type=BF16: TensorRT 8\.\S+ has no BF16"):
        backend.build(model, plan(model, precision="bf16"))


def test_unknown_tactic_source(backend, plan):
    model = models.classifier()
    with pytest.raises(SpecError, match="no source 'CUBLASS'") as caught:
        backend.build(model, plan(model, tactic_sources=("cublass",)))
    assert "CUBLAS" in caught.value.hint


def test_open_axis_without_profile(backend):
    from nvidia_tao_deploy.engine.contract import BuildPlan

    with pytest.raises(BuildError, match="open axes and no optimisation profile"):
        backend.build(models.classifier(), BuildPlan())


def test_timing_cache_is_written_used_and_merged(backend, plan, tmp_path, caplog):
    cache = tmp_path / "cache" / "timing.cache"
    first, second = models.classifier(), models.attention()
    assert not backend.build(first, plan(first, timing_cache=cache)).details["timing_cache"]["used"]
    alone = cache.stat().st_size
    details = backend.build(second, plan(second, timing_cache=cache)).details["timing_cache"]
    assert details["used"]
    assert cache.stat().st_size > alone
    assert sorted(path.name for path in cache.parent.iterdir()) == ["timing.cache", "timing.cache.lock"]


def test_damaged_timing_cache_is_replaced(backend, plan, tmp_path, caplog):
    cache = tmp_path / "timing.cache"
    cache.write_bytes(b"not a timing cache" * 10)
    model = models.classifier()
    with caplog.at_level(logging.WARNING):
        details = backend.build(model, plan(model, timing_cache=cache)).details["timing_cache"]
    assert not details["used"]
    assert "starting a new one" in caplog.text
    assert not cache.read_bytes().startswith(b"not a timing cache")


LOAD = """
import sys
import threading
from pathlib import Path
from nvidia_tao_deploy.engine.tensorrt.backend import TensorRTBackend
from nvidia_tao_deploy.errors import EngineError
try:
    TensorRTBackend().load(Path(sys.argv[1]).read_bytes(), Path(sys.argv[1]))
except EngineError as error:
    print(error.message, "|", error.hint)
else:
    print("loaded")
"""


def damaged(blob: bytes) -> dict[str, bytes]:
    half = len(blob) // 2
    return {
        "truncated": blob[:half],
        "head only": blob[:40],
        "garbage behind the head": blob[:64] + b"\x5a" * (len(blob) - 64),
        "flipped": blob[:half] + bytes(255 - byte for byte in blob[half : half + 64]) + blob[half + 64 :],
    }


@pytest.mark.parametrize("kind", ["truncated", "head only", "garbage behind the head"])
def test_damaged_plans_are_refused(plan_blob, tmp_path, kind):
    """In a process of its own: TensorRT may crash, and then this test must fail, not vanish."""
    path = tmp_path / "damaged.engine"
    path.write_bytes(damaged(plan_blob)[kind])
    result = subprocess.run([sys.executable, "-c", LOAD, str(path)], capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, f"{result.returncode}: {result.stderr[-2000:]}"
    expected = "refuses the engine: the file is damaged" if kind.startswith("garbage") else "truncated"
    assert expected in result.stdout, result.stdout
    assert "Build it again" in result.stdout


def test_plan_of_another_version_is_refused(backend, plan_blob):
    head = plan_file.header(plan_blob)
    assert head is not None
    assert head.total_bytes == len(plan_blob)
    assert head.version == dialect.load(dialect.TENSORRT).version
    older = plan_blob.replace(b"\x02\x80\x01\x00\x05", b"\x02\x80\x01\x00\x04", 1)
    with pytest.raises(EngineError, match=r"built by TensorRT 8\.4\.3\.1; here is 8\.5\.3\.1"):
        backend.load(older, Path("old.engine"))


def test_plan_is_recognised(backend, plan_blob):
    assert backend.recognises(plan_blob[:32]), plan_blob[:32]


def test_close_twice_and_results_outlive_the_engine(engine):
    loaded = engine(models.classifier())
    buffers = loaded.buffers({"input": (2, 3, 32, 32)})
    future = loaded.submit(buffers)
    loaded.close()
    loaded.close()
    assert np.isfinite(future.result()["probabilities"]).all()
    buffers["input"][...] = 1.0
    with pytest.raises(EngineError, match="closed"):
        loaded.submit(buffers)


def test_memory_is_given_back(backend, plan_blob):
    def used() -> int:
        free, total = cuda.call("cudaMemGetInfo")
        return total - free

    with backend.load(plan_blob, Path("warm.engine")) as loaded:
        loaded.infer({"input": pictures(8)})
    before = used()
    for _ in range(5):
        with backend.load(plan_blob, Path("again.engine")) as loaded:
            for _ in range(2 * loaded.depth):
                loaded.infer({"input": pictures(8)})
    assert used() - before < 8 << 20


def test_gpu_that_is_not_there(backend, plan_blob):
    with pytest.raises(EngineError, match=r"GPU 99 cannot be used: .* visible"):
        backend.load(plan_blob, Path("x.engine"), device=99)


def test_fashion_mnist_example(backend, engine, reference):
    from nvidia_tao_deploy.graph import model as graph_model

    path = Path(__file__).parents[2] / "examples" / "fashion_mnist" / "fashion_mnist.onnx"
    loaded_model = graph_model.load(path)
    shape = loaded_model.inputs[0].shape[1:]
    feeds = {loaded_model.inputs[0].name: SEED.random((8, *shape), dtype=np.float32)}
    expected = reference(loaded_model.proto, feeds)
    for precision, tolerance in (("fp32", 2e-2), ("fp16", 5e-2)):
        with engine(loaded_model.proto, precision=precision) as loaded:
            for name, found in loaded.infer(feeds).items():
                np.testing.assert_allclose(found, expected[name], atol=tolerance * np.abs(expected[name]).max())
