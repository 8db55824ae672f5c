# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""The toys that compare two pictures: their tensors, and all commands against a computation apart from the package."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from sklearn.metrics import accuracy_score, recall_score

from tests.makers import ROOT, run_here, score_module

EXAMPLES = ROOT / "examples"
SPECS = {
    "optical_inspection": ("optical_inspection", "optical_inspection", []),
    "change_classify_euclidean": ("visual_changenet", "visual_changenet_classify", []),
    "change_classify_learnable": (
        "visual_changenet", "visual_changenet_classify",
        ["model.classify.difference_module=learnable", "model.classify.eval_margin=0.5"],
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models and a small data set, as `prepare.py` makes them."""
    folder = tmp_path_factory.mktemp("work") / "demo"
    prepare = [sys.executable, str(EXAMPLES / "prepare.py"), str(folder), "--only", "pairs", "--small"]
    subprocess.run(prepare, check=True, capture_output=True)
    return folder


def run(demo: Path, network: str, spec: str, subtask: str, *overrides: object) -> None:
    ran = run_here(network, subtask, "-e", EXAMPLES / f"specs/{spec}.yaml", *overrides)
    assert ran.code == 0, ran.text


@pytest.mark.parametrize("precision", ["FP32", "FP16"])
@pytest.mark.parametrize("name", list(SPECS))
def test_inspection(demo: Path, name: str, precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(demo.parent)  # the specs' paths start with demo/
    network, spec, more = SPECS[name]
    build = [f"gen_trt_engine.onnx_file=demo/models/{name}.onnx", f"gen_trt_engine.tensorrt.data_type={precision}"]
    for subtask in ("gen_trt_engine", "evaluate", "inference"):
        run(demo, network, spec, subtask, *(build if subtask == "gen_trt_engine" else []), *more)
    scores, defect = score_module().inspection_scores(demo, name)
    results = demo / "results" / spec
    lines = (results / "trt_inference/inference.csv").read_text(encoding="utf-8").splitlines()
    found = [float(line.rsplit(",", 1)[1]) for line in lines[1:]]
    np.testing.assert_allclose(found, scores, atol=1e-4 if precision == "FP32" else 0.03)
    figures = json.loads((results / "trt_evaluate/results.json").read_text(encoding="utf-8"))
    called = np.array(found) > figures["margin"]
    assert figures["total_accuracy"] == pytest.approx(100 * accuracy_score(defect, called))
    assert figures["defect_accuracy"] == pytest.approx(100 * recall_score(defect, called))
    assert figures["total_accuracy"] > 85


@pytest.mark.parametrize("precision", ["FP32", "FP16"])
def test_change(demo: Path, precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(demo.parent)
    network = "visual_changenet"
    run(demo, network, network, "gen_trt_engine", f"gen_trt_engine.tensorrt.data_type={precision}")
    run(demo, network, network, "evaluate")
    run(demo, network, network, "inference")
    figures = json.loads((demo / "results/visual_changenet/trt_evaluate/results.json").read_text(encoding="utf-8"))
    want = score_module().change_confusion(demo)
    differing = np.abs(np.array(figures["confusion_matrix"]) - want).sum()
    assert differing <= (0 if precision == "FP32" else 2e-4 * want.sum())
    assert figures["miou"] > 0.9
    pictures = sorted((demo / "results/visual_changenet/trt_inference/combined_visualisation").glob("*.jpg"))
    assert [path.name for path in pictures] == [f"scene_{index:03}.jpg.jpg" for index in range(12)]


def shapes(name: str) -> dict[str, list[int | str]]:
    path = EXAMPLES / f"pairs/{name}.onnx"
    assert path.stat().st_size < 300_000
    model = onnx.load(path)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 17)]
    return {
        value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    }


def test_tensors() -> None:
    view: list[int | str] = ["batch", 3, 192, 64]
    pair = {"input_1": view, "input_2": view}
    assert shapes("optical_inspection") == {**pair, "output_1": ["batch", 5], "output_2": ["batch", 5]}
    assert shapes("change_classify_euclidean") == {**pair, "output": ["batch"]}
    assert shapes("change_classify_learnable") == {**pair, "output": ["batch", 2]}
    picture: list[int | str] = ["batch", 3, 96, 96]
    sides = {"output0": 6, "output1": 6, "output2": 12, "output3": 24, "output_final": 96}
    outputs = {name: ["batch", 2, side, side] for name, side in sides.items()}
    assert shapes("change_segment") == {"input0": picture, "input1": picture, **outputs}


def test_data_follow_from_their_seed(demo: Path, tmp_path: Path) -> None:
    prepare = [sys.executable, str(EXAMPLES / "prepare.py"), str(tmp_path), "--only", "pairs", "--small"]
    subprocess.run(prepare, check=True, capture_output=True)
    for name in ("data/inspection", "data/change"):
        first = {file.relative_to(demo): file.read_bytes() for file in (demo / name).rglob("*") if file.is_file()}
        second = {
            file.relative_to(tmp_path): file.read_bytes() for file in (tmp_path / name).rglob("*") if file.is_file()
        }
        assert first == second and len(first) > 30
