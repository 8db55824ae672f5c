# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Slots, padding, staging, graphs and refusals, on a stand-in for CUDA (tests/gpu has the real thing)."""

from __future__ import annotations

import gc
import logging
import threading
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pytest

from nvidia_tao_deploy.engine.tensorrt import cuda, runtime
from nvidia_tao_deploy.engine.tensorrt.dialect import TENSORRT, Dialect
from nvidia_tao_deploy.errors import EngineError
from tests.engine.tensorrt import standin

PLAN = b"ptrt" + bytes(100)
RANDOM = np.random.default_rng(3)


def rows(count: int) -> np.ndarray:
    return RANDOM.normal(size=(count, standin.ROW)).astype(np.float32)


@pytest.fixture
def gpu(monkeypatch):
    fake = standin.Cuda()
    monkeypatch.setattr(cuda, "runtime", lambda: fake)
    return fake


@pytest.fixture(params=["8.5.3.1", "10.9.0"])
def version(request):
    return request.param


@pytest.fixture
def load(gpu, version):
    def make(
        profile: tuple[int, int, int] | None = (2, 4, 8), blob: bytes = PLAN, constant: bool = False
    ) -> runtime.TensorRTEngine:
        trt = standin.tensorrt(gpu, version, profile, constant)
        return runtime.TensorRTEngine(Dialect(trt, TENSORRT), blob, Path("model.engine"))

    return make


def check(found: dict[str, np.ndarray], x: np.ndarray) -> None:
    np.testing.assert_array_equal(found["y"], 2 * x)
    np.testing.assert_array_equal(found["count"], np.count_nonzero(x, axis=1))


def test_tensors(load):
    with load() as engine:
        assert [str(info) for info in engine.inputs] == ["x float32[?x6]"]
        assert engine.inputs[0].maximum == (8, 6)
        assert [str(info) for info in engine.outputs] == ["y float32[?x6]", "count int32[?]"]


def test_outputs_that_nobody_asks_for_are_not_copied(load, gpu):
    with load() as engine:
        engine.fetch_only({"count"})
        x = rows(3)
        found = engine.infer({"x": x})
        assert list(found) == ["count"]
        np.testing.assert_array_equal(found["count"], np.count_nonzero(x, axis=1))


def test_every_batch_size(load):
    with load() as engine:
        for count in [1, 2, 3, 4, 5, 6, 7, 8] * 4:
            x = rows(count)
            check(engine.infer({"x": x}), x)


def test_fixed_batch_is_padded_with_zeros_and_trimmed(load, gpu):
    with load(profile=None) as engine:
        for count in (4, 2, 1, 4):
            x = rows(count)
            check(engine.infer({"x": x}), x)
        at = engine._slots[2].inputs["x"].pointer  # the slot of the third batch, which had one row
        np.testing.assert_array_equal(standin._array(at, (4, standin.ROW), np.float32)[1:], 0)
        with pytest.raises(EngineError, match="axis 0 has size 5; the engine was built for 4 to 4"):
            engine.infer({"x": rows(5)})


@pytest.mark.parametrize("profile", [(2, 4, 8), None])
def test_constant_beside_the_batch_is_fed_as_it_is(load, profile):
    with load(profile, constant=True) as engine:
        for count in (4, 1, 3, 4, 2):
            x, constant = rows(count), rows(1)
            found = engine.infer({"x": x, "constant": constant})
            np.testing.assert_array_equal(found["y"], 2 * x + constant)
            np.testing.assert_array_equal(found["count"], np.count_nonzero(x, axis=1))
        with pytest.raises(EngineError, match=r"expected constant float32\[1x6\], found float32\[2x6\]"):
            engine.infer({"x": rows(2), "constant": rows(2)})
        with pytest.raises(EngineError, match="at least 1, in all inputs with a batch: x"):
            engine.infer({"x": rows(0), "constant": rows(1)})


def test_results_stay_until_depth_more_batches(load):
    with load() as engine:
        batches = [rows(4) for _ in range(12)]
        waiting = []
        for index, x in enumerate(batches):
            waiting.append((engine.submit({"x": x}), x))
            if index >= engine.depth - 1:
                future, expected = waiting.pop(0)
                check(future.result(), expected)
        for future, expected in waiting:
            check(future.result(), expected)


def test_results_nobody_asked_for_do_not_block(load):
    with load() as engine:
        for _ in range(10):
            last = rows(3)
            future = engine.submit({"x": last})
        check(future.result(), last)


def test_no_more_than_depth_batches_are_queued(load):
    with load() as engine:
        first = engine.submit({"x": rows(4)})
        for _ in range(engine.depth - 1):
            engine.submit({"x": rows(4)})
        assert not Future.done(first)  # the state alone, without asking the GPU
        engine.submit({"x": rows(4)})
        assert Future.done(first)


def test_feeds_in_our_buffers_are_not_copied_on_the_host(load, gpu):
    with load() as engine:
        feeds = engine.buffers({"x": (4, standin.ROW)})
        feeds["x"][...] = rows(4)
        for _ in range(5):
            check(engine.infer(feeds), feeds["x"])
        assert not any(slot.staging for slot in engine._slots)
        part = feeds["x"][:3]
        before = gpu.copied_in
        check(engine.infer({"x": part}), part)
        assert gpu.copied_in - before == part.nbytes
        assert not any(slot.staging for slot in engine._slots)


def test_ordinary_feeds_may_change_at_once(load):
    with load() as engine:
        x = rows(4)
        future, expected = engine.submit({"x": x}), x.copy()
        x[...] = 0
        check(future.result(), expected)


def test_feeds_with_gaps(load):
    with load() as engine:
        wide = rows(8)
        check(engine.infer({"x": wide[::2]}), wide[::2])


class OnGpu:
    def __init__(self, gpu: standin.Cuda, x: np.ndarray, **more: object) -> None:
        _, self.pointer = gpu.cudaMalloc(x.nbytes)
        standin._array(self.pointer, x.shape, np.float32)[...] = x
        self.__cuda_array_interface__ = {
            "shape": x.shape, "typestr": "<f4", "data": (self.pointer, False), "version": 3, **more,
        }  # fmt: skip


def test_arrays_on_the_gpu_are_not_copied(load, gpu):
    with load() as engine:
        x = rows(4)
        on_gpu = OnGpu(gpu, x)
        for _ in range(6):
            check(engine.infer({"x": on_gpu}), x)
        assert gpu.copied_in == 0
        (shaped,) = engine._shaped.values()
        assert all(key[0] == on_gpu.pointer for key in shaped.graphs)


def test_arrays_on_the_gpu_are_padded(load, gpu):
    with load(profile=None) as engine:
        x = rows(3)
        check(engine.infer({"x": OnGpu(gpu, x)}), x)


def test_work_of_the_producer_stream_is_waited_for(load, gpu):
    with load() as engine:
        x = rows(4)
        on_gpu = OnGpu(gpu, np.zeros_like(x))
        producer = standin.Stream()
        producer.add(lambda: standin._array(on_gpu.pointer, x.shape, np.float32).__setitem__(..., x))
        on_gpu.__cuda_array_interface__["stream"] = producer
        check(engine.infer({"x": on_gpu}), x)


def test_graphs_are_replayed_after_the_first_batch(load, gpu):
    with load() as engine:
        for _ in range(9):
            x = rows(4)
            check(engine.infer({"x": x}), x)
        (shaped,) = engine._shaped.values()
        assert len(shaped.graphs) == engine.depth
        assert gpu.launches == 8


def test_without_graphs_when_capture_fails(load, gpu, caplog):
    gpu.captures = False
    with caplog.at_level(logging.INFO), load() as engine:
        for _ in range(9):
            x = rows(4)
            check(engine.infer({"x": x}), x)
    assert gpu.launches == 0
    assert "running without CUDA graphs" in caplog.text


def test_contexts_are_bounded(load, version, monkeypatch):
    monkeypatch.setattr(runtime, "SHAPES_KEPT", 3)
    with load() as engine:
        for count in [2, 3, 4, 5, 6, 7, 8] * 3:
            x = rows(count)
            check(engine.infer({"x": x}), x)
        assert len(engine._shaped) == (1 if version.startswith("8") else 3)
        if version.startswith("8"):
            assert engine._engine.contexts == 1


def test_memory_is_given_back(load, gpu):
    with load() as engine:
        feeds = engine.buffers({"x": (8, standin.ROW)})
        kept = engine.submit(feeds).result()["y"]
        engine.infer({"x": rows(8)})
        assert gpu.blocks
    assert not gpu.blocks
    assert not gpu.streams
    np.testing.assert_array_equal(kept, 0)  # page-locked memory lives as long as its arrays
    del engine, feeds, kept
    gc.collect()
    assert not gpu.pinned


def test_close_waits_for_what_runs_and_may_come_twice(load):
    engine = load()
    x = rows(4)
    future = engine.submit({"x": x})
    engine.close()
    engine.close()
    check(future.result(), x)
    with pytest.raises(EngineError, match=r"model\.engine: the engine is closed"):
        engine.submit({"x": x})


def test_failure_while_loading_leaves_nothing(gpu, version):
    trt = standin.tensorrt(gpu, version)
    trt.engine.get_tensor_format = lambda name: standin.SimpleNamespace(name="CHW32")
    with pytest.raises(EngineError, match=r"tensor 'x' has a vectorised layout \(CHW32\)"):
        runtime.TensorRTEngine(Dialect(trt, TENSORRT), PLAN, Path("model.engine"))
    assert not gpu.blocks
    assert not gpu.streams


def test_failure_while_running(load):
    with load() as engine:
        engine._engine.fails = True
        with pytest.raises(EngineError, match="cannot run the batch: out of luck"):
            engine.submit({"x": rows(4)})
        engine._engine.fails = False
        x = rows(4)
        check(engine.infer({"x": x}), x)


def test_gpu_failure_reaches_the_caller(load, gpu, monkeypatch):
    with load() as engine:
        future = engine.submit({"x": rows(4)})
        monkeypatch.setattr(gpu, "cudaEventSynchronize", lambda event: (standin.Error.INVALID,))
        with pytest.raises(EngineError, match=r"model\.engine: cudaEventSynchronize: invalid"):
            future.result()


def test_future(load):
    with load() as engine:
        future = engine.submit({"x": rows(4)})
        assert not future.cancel()
        assert not future.done()
        assert future.result(timeout=5)["y"].shape == (4, 6)
        assert future.done()
        called = threading.Event()
        engine.submit({"x": rows(4)}).add_done_callback(lambda _: called.set())
        assert called.wait(5)


@pytest.mark.parametrize(
    ("feeds", "message"),
    [
        ({}, "input 'x' is not fed"),
        ({"x": np.zeros((2, 5), np.float32)}, r"expected x float32\[\?x6\], found float32\[2x5\]"),
        ({"x": np.zeros((2, 6), np.int32)}, r"found int32\[2x6\]"),
        ({"x": np.zeros((0, 6), np.float32)}, "at least 1"),
        ({"x": np.zeros((9, 6), np.float32)}, "axis 0 has size 9; the engine was built for 2 to 8"),
        ({"x": np.zeros((2, 6), np.float32), "z": np.zeros(1)}, "no input named z"),
    ],
)
def test_wrong_feeds(load, feeds, message):
    with load() as engine, pytest.raises(EngineError, match=message):
        engine.submit(feeds)


def test_array_on_the_gpu_with_gaps(load, gpu):
    with load() as engine, pytest.raises(EngineError, match="must be C-contiguous"):
        engine.submit({"x": OnGpu(gpu, rows(4), strides=(48, 4))})


def test_buffers_for_an_unknown_input(load):
    with load() as engine, pytest.raises(EngineError, match="no input named z; inputs: x"):
        engine.buffers({"z": (1,)})


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("getPluginCreator could not find plugin: Foo version: 1", "uses a plugin that is not here"),
        ("The engine plan file is not compatible with this version of TensorRT", "built by another TensorRT version"),
        ("The engine plan file is generated on an incompatible device", "built for another kind of GPU"),
        ("Serialization assertion sizeRead == size failed.", "damaged or incomplete"),
    ],
)
def test_refusals_in_words(gpu, version, said, expected):
    trt = standin.tensorrt(gpu, version)
    trt.refusal = said
    with pytest.raises(EngineError, match=expected) as caught:
        runtime.TensorRTEngine(Dialect(trt, TENSORRT), PLAN, Path("model.engine"))
    assert said in caught.value.message
    assert "gen_trt_engine" in caught.value.hint


def test_gpu_that_is_not_there(gpu, version):
    with pytest.raises(EngineError, match=r"GPU 3 cannot be used: cudaSetDevice: invalid; 1 visible"):
        runtime.TensorRTEngine(Dialect(standin.tensorrt(gpu, version), TENSORRT), PLAN, Path("model.engine"), device=3)


def test_short_plan_never_reaches_tensorrt(gpu, version):
    with pytest.raises(EngineError, match="truncated: 20 bytes"):
        runtime.TensorRTEngine(Dialect(standin.tensorrt(gpu, version), TENSORRT), PLAN[:20], Path("model.engine"))
