# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""gen_trt_engine.report: what is measured, and what is written."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from nvidia_tao_deploy.engine.contract import BuildPlan, Profile, TensorInfo
from nvidia_tao_deploy.engine.tensorrt.inspection import _facts, precision_of
from nvidia_tao_deploy.errors import EngineError
from nvidia_tao_deploy.tasks import report
from tests.conftest import ColourJob
from tests.makers import strict_json

REPORT = "gen_trt_engine.report=true"


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "SECONDS", 0.05)


def test_report_file(colours: ColourJob) -> None:
    ran = colours.run("gen_trt_engine", REPORT, "gen_trt_engine.tensorrt.opt_batch_size=2")
    assert ran.code == 0 and "Latency of one batch" in ran.text and "Slowest" in ran.text
    columns = next(line for line in ran.text.splitlines() if "┃ layer" in line)
    assert [word.strip() for word in columns.strip("┃").split("┃")] == [
        "layer", "kind", "precision", "format", "ms", "%",
    ]  # fmt: skip
    found = strict_json((colours.root / "tiny.engine.report.json").read_text())
    assert found["engine_bytes"] == colours.engine.stat().st_size
    model = onnx.load(str(colours.model))
    assert found["weight_bytes"] == sum(len(tensor.raw_data) for tensor in model.graph.initializer)
    assert [(item["point"], item["shapes"]["input"][0]) for item in found["latency_ms"]] == [
        ("minimum", 1), ("optimum", 2), ("maximum", 4),
    ]  # fmt: skip
    for item in found["latency_ms"]:
        assert 0 < item["p50"] <= item["p95"] <= item["p99"] and item["runs"] >= report.LEAST_RUNS
        assert item["per_second"] == pytest.approx(1000 * item["shapes"]["input"][0] / item["p50"])
    kinds = {layer["kind"] for layer in found["layers"]}
    assert "GlobalAveragePool" in kinds and all(layer["milliseconds"] >= 0 for layer in found["layers"])
    assert {layer["precision"] for layer in found["layers"]} == {"fp32"}


def test_a_new_engine_has_no_report_of_the_old_one(colours: ColourJob) -> None:
    assert colours.run("gen_trt_engine", REPORT).code == 0
    beside = colours.root / "tiny.engine.report.json"
    assert colours.run("gen_trt_engine", "gen_trt_engine.onnx_file=/nowhere").code == 4
    assert beside.exists()  # it still describes the engine that is there
    assert colours.run("gen_trt_engine").code == 0
    assert colours.engine.exists() and not beside.exists()


def test_fixed_shapes_have_one_point(colours: ColourJob) -> None:
    bound = "gen_trt_engine.tensorrt.max_batch_size=1"
    assert colours.run("gen_trt_engine", REPORT, "gen_trt_engine.batch_size=2", bound).code == 0
    found = strict_json((colours.root / "tiny.engine.report.json").read_text())
    assert [item["point"] for item in found["latency_ms"]] == ["static"]


def test_points_of_a_profile() -> None:
    class Engine:
        inputs = (TensorInfo("a", "float32", (-1, 3)), TensorInfo("b", "float32", (7,)))

    plan = BuildPlan(profiles={"a": Profile((1, 3), (4, 3), (4, 3))})
    points = report.profile_points(Engine(), plan)  # type: ignore[arg-type]
    assert points == [("minimum", {"a": (1, 3), "b": (7,)}), ("optimum", {"a": (4, 3), "b": (7,)})]


def test_engine_that_cannot_run_here_is_reported_without_times(
    colours: ColourJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nvidia_tao_deploy.engine.onnxruntime.backend import OnnxRuntimeBackend

    def refuse(*_: object) -> None:
        raise EngineError("no GPU here")

    monkeypatch.setattr(OnnxRuntimeBackend, "load", refuse)
    ran = colours.run("gen_trt_engine", REPORT)
    assert ran.code == 0 and "the engine cannot be run here, so there are no times: no GPU here" in ran.text
    found = strict_json((colours.root / "tiny.engine.report.json").read_text())
    assert found["latency_ms"] == [] and found["layers"] == [] and found["engine_bytes"] > 0


def test_without_data_latency_is_measured_on_zeros(colours: ColourJob) -> None:
    ran = colours.run("gen_trt_engine", REPORT, "dataset.test_dataset.images_dir=''")
    assert ran.code == 0 and "latency is measured on zeros: there are no samples" in ran.text


def test_percentiles_are_of_single_batches() -> None:
    class Slow:
        calls = 0

        def submit(self, feeds: dict) -> object:
            Slow.calls += 1

            class Done:
                def result(self) -> None:
                    return None

            return Done()

    found = report.measure(Slow(), "static", {"x": np.zeros((8, 1))}, 0.05)  # type: ignore[arg-type]
    assert Slow.calls == found["runs"] + report.WARM_UP and found["shapes"] == {"x": [8, 1]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Row major linear FP32", "fp32"),
        ("Thirty-two wide channel vectorized row major Int8 format", "int8"),
        ("Channel major FP16 format where channel % 8 == 0", "fp16"),
        ("N/A due to dynamic shapes", ""),
        ("Row major Int32 format", "int32"),
        ("BFloat16", "bf16"),
    ],
)
def test_precision_in_tensorrts_words(text: str, expected: str) -> None:
    assert precision_of(text) == expected


FLOAT32, INT8 = "Thirty-two wide channel vectorized row major FP32 format", "Thirty-two wide channel vectorized Int8"


@pytest.mark.parametrize(
    ("kind", "reads", "writes", "expected"),
    [
        ("CaskConvolution", INT8, FLOAT32, "int8"),  # seen in TensorRT 8.5: the next layer is not quantised
        ("CaskConvolution", FLOAT32, FLOAT32, "fp32"),
        ("MatrixMultiply", INT8, FLOAT32, "int8"),
        ("Reformat", FLOAT32, INT8, "int8"),
        ("Reformat", INT8, FLOAT32, "fp32"),
        ("CaskConvolution", None, INT8, "int8"),
        ("CaskConvolution", "N/A due to dynamic shapes", INT8, "int8"),
        ("NoOp", None, None, ""),
    ],
)
def test_what_a_layer_computes_in(kind: str, reads: str | None, writes: str | None, expected: str) -> None:
    ends = {
        key: [{"Name": key, "Format/Datatype": text}] if text else []
        for key, text in (("Inputs", reads), ("Outputs", writes))
    }
    facts = _facts({"Name": "a", "LayerType": kind, **ends}, {"a": 0.5})
    assert (facts.precision, facts.format, facts.milliseconds) == (expected, writes or "", 0.5)
