# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Feeding TensorRT's calibrator: order, errors and the cache, with memory of our own in place of the GPU's."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest

from nvidia_tao_deploy.engine.calibration import cache, explicit, obtain
from nvidia_tao_deploy.engine.contract import BuildPlan, Calibration
from nvidia_tao_deploy.engine.tensorrt import build, calibrator, cuda
from nvidia_tao_deploy.engine.tensorrt.dialect import TENSORRT, Dialect
from nvidia_tao_deploy.errors import BuildError, DataError, SpecError, TaoDeployError

MADE = b"TRT-8503-EntropyCalibration2\nx: 3f800000\n"


class HostBuffer:
    """Host memory behind DeviceBuffer's surface."""

    freed = 0

    def __init__(self) -> None:
        self.pointer = 0

    def reserve(self, size: int) -> bool:
        if not self.pointer:
            self.memory = ctypes.create_string_buffer(size)
            self.pointer = ctypes.addressof(self.memory)
        return True

    def free(self) -> None:
        HostBuffer.freed += 1


@pytest.fixture(autouse=True)
def host_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def call(name: str, target: int, source: int, size: int, kind: object) -> None:
        assert name == "cudaMemcpy"
        ctypes.memmove(target, source, size)

    monkeypatch.setattr(cuda, "DeviceBuffer", HostBuffer)
    monkeypatch.setattr(cuda, "call", call)
    monkeypatch.setattr(
        cuda, "runtime", lambda: SimpleNamespace(cudaMemcpyKind=SimpleNamespace(cudaMemcpyHostToDevice=1))
    )


def calibration(batches: list[Any], cache_file: Path | None = None, **options: Any) -> Calibration:
    def feed() -> Iterator[Any]:
        for batch in batches:
            if isinstance(batch, Exception):
                raise batch
            yield batch

    return Calibration(feed, len(batches), 2, cache_file=cache_file, **options)


def batch(value: float, rows: int = 2) -> dict[str, np.ndarray]:
    return {"x": np.full((rows, 3), value, np.float32), "y": np.full((rows, 1), -value, np.float32)}


def read(pointer: int, count: int) -> list[float]:
    return np.ctypeslib.as_array((ctypes.c_float * count).from_address(pointer)).tolist()


def test_batches_come_in_order_and_inputs_as_asked(tmp_path: Path) -> None:
    path = tmp_path / "cal.cache"
    feeder = calibrator.Feeder(calibration([batch(1), batch(2)], path), None, "unused")
    assert feeder.shapes() == {"x": (2, 3), "y": (2, 1)} and feeder.cached() is None and feeder.batch_size == 2
    for value in (1.0, 2.0):
        y, x = feeder.batch(["y", "x"]) or (0, 0)
        assert read(x, 6) == [value] * 6 and read(y, 2) == [-value] * 2
    assert feeder.batch(["x", "y"]) is None
    feeder.written = MADE
    before = HostBuffer.freed
    feeder.finish("TensorRT 8.5.3.1")
    assert path.read_bytes() == MADE and HostBuffer.freed == before + 2
    assert (cache.read_facts(path) or {})["calibrated_by"] == "TensorRT 8.5.3.1"


@pytest.mark.parametrize(
    ("last", "message"),
    [
        (DataError("picture 3 cannot be read"), "picture 3"),
        (batch(2, rows=1), r"input 'x' has the shape \(1, 3\) after \(2, 3\)"),
    ],
)
def test_what_goes_wrong_is_raised_afterwards_and_no_cache_is_kept(last: Any, message: str, tmp_path: Path) -> None:
    feeder = calibrator.Feeder(calibration([batch(1), last], tmp_path / "cal.cache"), None, "unused")
    feeder.shapes()
    assert feeder.batch(["x", "y"]) is not None
    assert feeder.batch(["x", "y"]) is None  # TensorRT takes this for the end and writes a cache of too little
    feeder.written = MADE
    with pytest.raises((DataError, BuildError), match=message):
        feeder.finish("TensorRT")
    assert list(tmp_path.iterdir()) == []


def test_known_ranges_are_handed_over_under_the_running_version(tmp_path: Path) -> None:
    known = obtain.Ranges({"x": 127.0}, "cache FILE")
    feeder = calibrator.Feeder(None, known, cache.header("entropy", cache.version_code((8, 6, 1))))
    assert feeder.cached() == b"TRT-8601-EntropyCalibration2\nx: 3f800000\n"
    assert feeder.shapes() == {} and not feeder.calibrates and feeder.source == "cache FILE"
    feeder.written = MADE
    feeder.finish("TensorRT")  # nothing to keep


def dialect(*names: str, **members: Any) -> Dialect:
    """TensorRT with these classes only."""
    return Dialect(SimpleNamespace(__version__="8.5.3.1", **dict.fromkeys(names, object), **members), TENSORRT)


BOTH = ("IInt8EntropyCalibrator2", "IInt8MinMaxCalibrator")


@pytest.mark.parametrize(("route", "expected"), [("auto", True), ("calibrator", True), ("qdq", False)])
def test_route(route: str, expected: bool) -> None:
    plan = BuildPlan("int8", calibration=calibration([], route=route))
    assert build._by_calibrator(dialect(*BOTH), plan) is expected
    if route == "calibrator":
        with pytest.raises(BuildError, match=r"cal_route=calibrator: TensorRT 8.5.3.1 has no calibrator"):
            build._by_calibrator(dialect(), plan)
    else:
        assert build._by_calibrator(dialect(), plan) is False


def test_int8_without_anything_to_calibrate_with() -> None:
    from tests.graph import models

    with pytest.raises(SpecError, match="neither calibration data nor a cache"):
        build._calibrator(dialect(*BOTH), models.classifier(), BuildPlan("int8"))


def test_cache_of_another_network_does_not_reach_tensorrt(tmp_path: Path) -> None:
    from tests.graph import models

    path = tmp_path / "cal.cache"
    path.write_bytes(MADE)
    plan = BuildPlan("int8", calibration=calibration([], path))
    with pytest.raises(BuildError, match="it is of another network"):
        build._calibrator(dialect(*BOTH), models.classifier(), plan)


def test_cache_of_a_model_that_is_float16(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    from tests.graph import models

    path = tmp_path / "cal.cache"
    path.write_text(cache.format_text(dict.fromkeys(("input", "c1", "n1"), 1.0), cache.header("entropy")))
    with caplog.at_level("INFO"):
        build._calibrator(
            dialect(*BOTH), models.half(models.classifier()), BuildPlan("int8", calibration=calibration([], path))
        )
    assert "used as it is (3 tensors)" in caplog.text


def test_a_cache_needs_no_range_of_a_mask_with_infinities(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    from tests.graph import models

    w = models.Weights()
    nodes = [
        models.helper.make_node("Add", ["x", w.given("mask", [0.0, -np.inf], np.float32)], ["masked"], name="/mask"),
        models.helper.make_node("Softmax", ["masked"], ["attention"], name="/softmax"),
        models.helper.make_node("MatMul", ["attention", w.normal("w", 2, 3)], ["y"], name="/product"),
    ]
    ends = [models.value("x", models.FLOAT, "batch", 2)], [models.value("y", models.FLOAT, "batch", 3)]
    path = tmp_path / "cal.cache"
    path.write_text(cache.format_text(dict.fromkeys(("x", "attention", "y"), 1.0), cache.header("entropy")))
    with caplog.at_level("INFO"):
        build._calibrator(
            dialect(*BOTH),
            models.model(nodes, *ends, w.tensors),
            BuildPlan("int8", calibration=calibration([], path), strict=True),
        )
    assert "used as it is (3 tensors)" in caplog.text and "no range for" not in caplog.text


def test_cache_is_compared_with_the_tensors_behind_a_plugin_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from tests.graph import models

    proto = models.attention()
    nodes = [
        models.helper.make_node("Relu", ["output"], ["last"], name="/relu"),
        *(onnx.NodeProto.FromString(node.SerializeToString()) for node in proto.graph.node),
    ]
    del proto.graph.node[:]
    proto.graph.node.extend([*nodes[1:], nodes[0]])
    proto.graph.output[0].name = "last"
    path = tmp_path / "cal.cache"
    names = ("value", "locations", "weights", "sampled", "output", "last")
    path.write_text(cache.format_text(dict.fromkeys(names, 1.0), cache.header("entropy")))
    with caplog.at_level("INFO"):
        build._calibrator(dialect(*BOTH), proto, BuildPlan("int8", calibration=calibration([], path)))
    assert "used as it is (6 tensors)" in caplog.text
    assert "no range for" not in caplog.text and "not in the model" not in caplog.text
    assert "plugin replaced" not in caplog.text  # only where it is measured, not in the engine


@pytest.mark.parametrize(
    ("strict", "factor", "kept"), [(False, 1e4, {"/up", "/down"}), (False, 2.0, set()), (True, 1e4, set())]
)
@pytest.mark.parametrize("cached", [False, True])
def test_what_fp16_cannot_hold_is_fp32_beside_int8(
    tmp_path: Path, strict: bool, factor: float, kept: set[str], cached: bool
) -> None:
    """The builder may take FP16 for what is not INT8, unless types are strict."""
    from tests.graph import models

    path = tmp_path / "cal.cache"
    if cached:
        largest = {"x": 100.0, "a_out": 100.0, "up_out": 100 * factor, "down_out": 100.0, "y": 100.0}
        path.write_text(cache.format_text(largest, cache.header("entropy")))
        made = calibration([AssertionError("a cache that is used as it is needs no pictures")], path)
    else:
        made = calibration([{"x": np.full((2, 8), 100, np.float32)}])
    plan = BuildPlan("int8", calibration=made, strict=strict)
    _, _, found = build._calibrator(dialect(*BOTH), models.products(factor), plan)
    assert {(rule.pattern, rule.dtype) for rule in found.layers_precision} == {(name, "fp32") for name in kept}


@pytest.mark.parametrize(
    ("precision", "capability", "hint"),
    [("bf16", "7.5", "Use FP16 or FP32."), ("fp8", "8.6", "Use INT8, FP16 or FP32.")],
)
def test_a_gpu_that_lacks_the_precision(
    precision: str, capability: str, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, facts = BuildPlan(precision), ["Some GPU", capability]
    monkeypatch.setattr(cuda, "device_facts", lambda device: facts)
    message = rf"Some GPU \(compute capability {capability}\) has no {precision.upper()}"
    with pytest.raises(BuildError, match=message) as caught:
        build._check_hardware(dialect(), None, plan, with_gpu=True)
    assert caught.value.hint == hint
    build._check_hardware(dialect(), None, plan, with_gpu=False)
    facts[1] = "9.0"
    build._check_hardware(dialect(), None, plan, with_gpu=True)


def test_fp8_is_refused_with_the_reason() -> None:
    kinds = SimpleNamespace(EXPLICIT_BATCH=0)
    flags = SimpleNamespace(FP16=1)
    old = dialect(NetworkDefinitionCreationFlag=kinds, DataType=SimpleNamespace(), BuilderFlag=flags)
    with pytest.raises(BuildError, match=r"data_type=FP8: TensorRT 8.5.3.1 has no FP8 \(TensorRT 10"):
        build._check_precision(old, BuildPlan("fp8"), False)


@pytest.mark.parametrize("algorithm", ["entropy", "minmax", "percentile"])
def test_unwritable_cache_is_said_before_a_batch_is_read(algorithm: str) -> None:
    from tests.graph import models

    unread = calibration([AssertionError("read")], Path("/proc/none/cal.cache"), algorithm=algorithm)
    with pytest.raises(TaoDeployError, match=r"cal_cache_file: /proc/none/cal\.cache: cannot be written"):
        build._calibrator(dialect(*BOTH), models.classifier(), BuildPlan("int8", calibration=unread))


def test_ranges_of_training_reach_tensorrt_tensor_by_tensor(tmp_path: Path) -> None:
    from tests.graph import models

    proto = models.classifier()
    trained = {"input": 2.54, "p1": 127.0, "elsewhere": 1.0}
    plan = BuildPlan("int8", calibration=Calibration(ranges=trained, cache_file=tmp_path / "cal.cache"))
    feeder, _, _ = build._calibrator(dialect(*BOTH), proto, plan)
    lines = (feeder.cached() or b"").decode().splitlines()
    # 0.02 is 3ca3d70a and 1 is 3f800000 as IEEE-754 singles
    assert lines[0] == "TRT-8503-EntropyCalibration2" and lines[1:3] == ["input: 3ca3d70a", "p1: 3f800000"]
    assert (tmp_path / "cal.cache").read_text().splitlines() == lines
    assert {"c1", "f", "logits"} < set(feeder.missing) and not {"input", "p1"} & set(feeder.missing)
    assert not feeder.calibrates


class Recorder:
    """A builder's configuration that remembers its flags."""

    def __init__(self) -> None:
        self.flags: set[str] = set()

    def set_flag(self, flag: str) -> None:
        self.flags.add(flag)


@pytest.mark.parametrize(
    ("precision", "expected"),
    [("int8", {"FP16", "INT8"}), ("fp32", {"INT8"}), ("fp16", {"FP16", "INT8"})],
)
def test_model_with_its_own_ranges_gets_the_flag_and_no_calibrator(
    precision: str, expected: set[str], caplog: pytest.LogCaptureFixture
) -> None:
    from tests.graph import models

    flags = SimpleNamespace(FP16="FP16", INT8="INT8")
    old = dialect(*BOTH, BuilderFlag=flags)
    config, plan = Recorder(), BuildPlan(precision)
    with caplog.at_level("INFO"):
        build._check_precision(old, plan, quantised=True)
    assert "no calibration is run" in caplog.text if precision == "int8" else "carries Q/DQ nodes" in caplog.text
    build._set_precision(old, None, config, models.quantised(), plan, quantised=True)
    assert config.flags == expected
    kept, facts = explicit.quantised(models.quantised(), BuildPlan("int8"), float_weights=True)
    assert kept == models.quantised() and facts == {"ranges": "the model's own Q/DQ nodes"}
