# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""INT8, FP16 and reports with TensorRT on a GPU: accuracy of both INT8 routes, caches both ways, timing cache.

The pictures of Fashion-MNIST and of the detector come with the repository. The text models are fetched by
examples/prepare.py where there is a registry; elsewhere TAO_DEPLOY_DEMO names a folder that it filled. The table of all
figures is printed at the end and written to $OUT/int8.json when OUT is set.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nvidia_tao_deploy.cli import main
from nvidia_tao_deploy.engine.calibration import cache
from tests.gpu import demo as examples

ROOT = Path(__file__).resolve().parents[2]
FIGURES = {"classification_pyt": "top_1_accuracy", "deformable_detr": "AP", "ocrnet": "Accuracy"}
CALIBRATION = "gen_trt_engine.tensorrt.calibration."
ROUTES = {
    "fp16": ("gen_trt_engine.tensorrt.data_type=FP16",),
    "calibrator minmax": ("gen_trt_engine.tensorrt.data_type=INT8", f"{CALIBRATION}cal_algorithm=minmax"),
    "qdq minmax": (
        "gen_trt_engine.tensorrt.data_type=INT8", f"{CALIBRATION}cal_algorithm=minmax", f"{CALIBRATION}cal_route=qdq",
    ),
    "calibrator entropy": ("gen_trt_engine.tensorrt.data_type=INT8", f"{CALIBRATION}cal_algorithm=entropy"),
    "qdq entropy": (
        "gen_trt_engine.tensorrt.data_type=INT8", f"{CALIBRATION}cal_algorithm=entropy", f"{CALIBRATION}cal_route=qdq",
    ),
}  # fmt: skip

ALLOWED = {"classification_pyt": 0.005, "deformable_detr": 0.01, "ocrnet": 0.01}
FP16_ALLOWED = {"classification_pyt": 0.001, "deformable_detr": 0.005, "ocrnet": 0.01}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory, backend: object) -> Iterator[Path]:
    """A folder in which the specs' relative paths are right; the current folder while this file runs."""
    folder = tmp_path_factory.mktemp("int8")
    given = os.environ.get("TAO_DEPLOY_DEMO")
    if given:
        (folder / "demo").symlink_to(Path(given).resolve())
    else:
        prepare = [sys.executable, str(ROOT / "examples/prepare.py"), str(folder / "demo")]
        subprocess.run([*prepare, "--only", "fashion_mnist,detector"], check=True)
    before = Path.cwd()
    os.chdir(folder)
    os.environ.setdefault("TAO_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("TAO_DEPLOY_THREADS", examples.THREADS)
    yield folder
    os.chdir(before)


@pytest.fixture(scope="module")
def table() -> Iterator[list[dict[str, Any]]]:
    """Rows of the table that is printed at the end."""
    rows: list[dict[str, Any]] = []
    yield rows
    print("\n" + "network".ljust(20) + "precision".ljust(22) + "figure    engine MB  p50 ms  build s")
    for row in rows:
        print(
            f"{row['network']:<20}{row['precision']:<22}{row['accuracy']:.4f}    {row['engine_bytes'] / 1e6:9.2f}"
            f"  {row['p50_ms']:6.3f}  {row['build_seconds']:7.1f}"
        )
    if os.environ.get("OUT"):
        Path(os.environ["OUT"], "int8.json").write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


def run(network: str, subtask: str, *overrides: str) -> int:
    return main(network, [subtask, "-e", str(ROOT / "examples" / "specs" / f"{network}.yaml"), *overrides])


def build(network: str, name: str, *overrides: str, backend: str = "tensorrt") -> Path:
    """An engine in results/<network>/<name>; timings are shared, so that only the first build of a kind is slow."""
    folder = Path("results", network, name.replace(" ", "_")).absolute()
    engine = folder / "model.engine"
    code = run(
        network, "gen_trt_engine", f"gen_trt_engine.trt_engine={engine}", f"gen_trt_engine.backend={backend}",
        f"results_dir={folder}", f"{CALIBRATION}cal_cache_file={folder / 'calibration.cache'}",
        f"gen_trt_engine.timing_cache={examples.timing_cache(Path.cwd())}", *examples.overrides(), *overrides,
    )  # fmt: skip
    assert code == 0
    return engine


def accuracy(network: str, engine: Path | str) -> float:
    folder = Path("results", network, "scored").absolute()
    assert run(network, "evaluate", f"evaluate.trt_engine={engine}", f"results_dir={folder}") == 0
    lines = (folder / "trt_evaluate" / "status.json").read_text(encoding="utf-8").splitlines()
    return float([json.loads(line)["kpi"] for line in lines if json.loads(line).get("kpi")][-1][FIGURES[network]])


def facts(engine: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(engine.with_name(f"{engine.name}.json").read_text(encoding="utf-8"))
    return found


def row(network: str, precision: str, engine: Path, value: float) -> dict[str, Any]:
    report = json.loads(engine.with_name(f"{engine.name}.report.json").read_text(encoding="utf-8"))
    found = {
        "network": network,
        "precision": precision,
        "accuracy": value,
        "engine_bytes": report["engine_bytes"],
        "p50_ms": report["latency_ms"][-1]["p50"],
        "build_seconds": facts(engine)["build_seconds"],
    }
    examples.note(Path.cwd(), **found)
    return found


class References(dict[str, float]):
    """Accuracy of the FP32 engines, by network; each is built and evaluated when it is asked for, once."""

    def __init__(self, table: list[dict[str, Any]]) -> None:
        super().__init__()
        self._table = table

    def __missing__(self, network: str) -> float:
        engine = build(network, "fp32", "gen_trt_engine.report=true")
        value = self[network] = accuracy(network, engine)
        self._table.append(row(network, "fp32", engine, value))
        return value


@pytest.fixture(scope="module")
def fp32(demo: Path, table: list[dict[str, Any]]) -> References:
    return References(table)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("network", FIGURES)
def test_accuracy(network: str, route: str, fp32: References, table: list[dict[str, Any]]) -> None:
    if network == "ocrnet" and not Path("demo/models/ocrnet").is_dir():
        pytest.skip("the text models are not here: set TAO_DEPLOY_DEMO")
    engine = build(network, route, *ROUTES[route], "gen_trt_engine.report=true")
    value = accuracy(network, engine)
    table.append(row(network, route, engine, value))
    allowed = (FP16_ALLOWED if route == "fp16" else ALLOWED)[network]
    if (network, route) == ("ocrnet", "calibrator entropy"):
        return  # TensorRT's own entropy search; the figure is in the table
    assert value >= fp32[network] - allowed


def test_cache_of_the_cpu_serves_tensorrt(demo: Path, fp32: References, table: list[dict[str, Any]]) -> None:
    int8 = "gen_trt_engine.tensorrt.data_type=INT8"
    on_cpu = build("classification_pyt", "cpu", int8, backend="onnxruntime")
    made = on_cpu.with_name("calibration.cache")
    before = made.read_bytes()
    engine = build(
        "classification_pyt", "cpu cache", int8, f"{CALIBRATION}cal_cache_file={made}",
        f"{CALIBRATION}cal_image_dir=[]", "gen_trt_engine.report=true",
    )  # fmt: skip
    assert facts(engine)["details"]["ranges"] == f"cache {made}" and made.read_bytes() == before
    value = accuracy("classification_pyt", engine)
    table.append(row("classification_pyt", "cache of the CPU", engine, value))
    assert abs(value - fp32["classification_pyt"]) <= 0.005
    layers = json.loads(engine.with_name("model.engine.report.json").read_text(encoding="utf-8"))["layers"]
    assert any(layer["precision"] == "int8" for layer in layers), layers


def test_cache_of_tensorrt_serves_the_explicit_route(demo: Path, fp32: References) -> None:
    int8 = "gen_trt_engine.tensorrt.data_type=INT8"
    made = build("classification_pyt", "trt", int8, f"{CALIBRATION}cal_algorithm=minmax").with_name("calibration.cache")
    text = made.read_bytes()
    assert text.startswith(b"TRT-8503-MinMaxCalibration\n"), text[:60]
    found = cache.read(made).amax
    assert {"input", "output", "/features/features.2/MaxPool_output_0"} <= set(found)
    explicit = build(
        "classification_pyt", "trt cache", int8, f"{CALIBRATION}cal_cache_file={made}",
        f"{CALIBRATION}cal_image_dir=[]", backend="onnxruntime",
    )  # fmt: skip
    assert facts(explicit)["details"]["quantised_nodes"] == 7
    assert abs(accuracy("classification_pyt", explicit) - fp32["classification_pyt"]) <= 0.005


def test_ranges_agree_with_tensorrts(demo: Path, fp32: References) -> None:
    minmax = ("gen_trt_engine.tensorrt.data_type=INT8", f"{CALIBRATION}cal_algorithm=minmax")
    theirs = cache.read(build("classification_pyt", "trt", *minmax).with_name("calibration.cache")).amax
    ours = build("classification_pyt", "ours", *minmax, backend="onnxruntime").with_name("calibration.cache")
    shared = {name: amax for name, amax in cache.read(ours).amax.items() if name in theirs}
    assert shared
    for name, amax in shared.items():  # the same pictures through two FP32 implementations
        assert theirs[name] == pytest.approx(amax, rel=0.02), name


def test_verify_and_report(demo: Path, fp32: References) -> None:
    engine = build(
        "classification_pyt", "checked", "gen_trt_engine.tensorrt.data_type=INT8", "gen_trt_engine.verify=true",
        "gen_trt_engine.verify_samples=512", "gen_trt_engine.report=true",
    )  # fmt: skip
    assert facts(engine)["verify"]["samples"] == 512 and facts(engine)["verify"]["agreement"] > 0.97
    report = json.loads(engine.with_name("model.engine.report.json").read_text(encoding="utf-8"))
    assert [item["point"] for item in report["latency_ms"]] == ["minimum", "optimum"]
    timed = [layer for layer in report["layers"] if layer["milliseconds"]]
    assert len(timed) >= len(report["layers"]) / 2 and sum(layer["milliseconds"] for layer in timed) > 0


def test_layers_kept_out_of_int8(demo: Path, fp32: References) -> None:
    for route in ("calibrator", "qdq"):
        engine = build(
            "classification_pyt", f"kept {route}", "gen_trt_engine.tensorrt.data_type=INT8",
            f"{CALIBRATION}cal_route={route}", "gen_trt_engine.report=true",
            "gen_trt_engine.tensorrt.layers_precision=['/features/*Conv:fp32']",
        )  # fmt: skip
        layers = json.loads(engine.with_name("model.engine.report.json").read_text(encoding="utf-8"))["layers"]
        convolutions = [layer for layer in layers if "Conv" in layer["name"] and layer["kind"] != "Reformat"]
        assert convolutions and all(layer["precision"] != "int8" for layer in convolutions), convolutions


def test_identical_rebuild_is_three_times_faster(demo: Path) -> None:
    timings = Path("fresh-timing.cache").absolute()
    seconds = []
    for name in ("first", "second"):
        engine = build("classification_pyt", name, "gen_trt_engine.tensorrt.data_type=FP16",
                       f"{CALIBRATION}cal_image_dir=[]", f"gen_trt_engine.timing_cache={timings}")  # fmt: skip
        seconds.append(facts(engine)["build_seconds"])
    examples.note(Path.cwd(), build_seconds=seconds[0], identical_rebuild_seconds=seconds[1])
    print(f"\nbuild {seconds[0]:.1f} s, identical rebuild with its timing cache {seconds[1]:.1f} s")
    assert seconds[0] >= 3 * seconds[1]
