# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""The networks' three subtasks with TensorRT, in FP32 and FP16, against their accuracy with ONNX Runtime.

Runs the commands that users type, on the example models and the specs in examples/specs. The models and pictures are
those of `python examples/prepare.py demo` (TAO_DEPLOY_DEMO names another folder), cut down as `demo.py` says. One
network alone: `-k rtdetr`. Figures of all pictures are in benchmarks/README.md.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.gpu import demo

ROOT = Path(__file__).resolve().parents[2]
DEMO = Path(os.environ.get("TAO_DEPLOY_DEMO") or ROOT / "demo").resolve()
FIGURES = {
    "classification_pyt": "top_k_accuracy",
    "classification_tf1": "top_1_accuracy",
    "classification_tf2": "top_k_accuracy",
    "lprnet": "Accuracy",
    "multitask_classification": "category",
    "deformable_detr": "AP",
    "dino": "AP",
    "rtdetr": "AP",
    "ocdnet": "F-measure",
    "ocrnet": "Accuracy",
    "optical_inspection": "total_accuracy",
    "visual_changenet": "miou",
}
"""Network and the key of its figure in results.json (0 to 1, unless in PERCENT)."""
PERCENT = ("total_accuracy",)
TABLES = "demo/data/fashion_mnist_tables"
TEXT_SPECS = {
    "classification_tf1": (
        "gen_trt_engine.onnx_file=demo/models/fashion_mnist_tf1.onnx", f"evaluate.classmap={TABLES}/classmap.json",
        "inference.image_dir=demo/data/fashion_mnist/images",
    ),
    "lprnet": ("gen_trt_engine.onnx_file=demo/models/lprnet/lprnet.onnx",),
    "multitask_classification": (
        "gen_trt_engine.onnx_file=demo/models/fashion_mnist_tasks.onnx", "eval_config.batch_size=32",
        f"gen_trt_engine.class_map={TABLES}/class_mapping.json",
    ),
}  # fmt: skip
"""Networks whose specs are protobuf text, and what else is said on the command line (as keys, for brevity)."""
TOLERANCES = {"FP32": 0.002, "FP16": 0.01}
BATCH = 4
"""The engines' largest batch, and the one they are tuned for: larger ones take longer to time."""


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """The folder that the commands run in; the specs' paths begin with demo/."""
    assert (DEMO / "models").is_dir(), f"{DEMO} holds no models: run python examples/prepare.py {DEMO}"
    folder = tmp_path_factory.mktemp("home")
    demo.limited(DEMO, folder)
    return folder


def run(home: Path, network: str, subtask: str, results: Path, *overrides: str) -> Path:
    """Run one command in `home`; the folder of its results."""
    command = [sys.executable, "-m", "nvidia_tao_deploy", network, subtask]
    spec = f"{network}.{'txt' if network in TEXT_SPECS else 'yaml'}"
    command += ["-e", str(ROOT / "examples" / "specs" / spec), f"results_dir={results}"]
    command += [*TEXT_SPECS.get(network, ()), f"gen_trt_engine.timing_cache={demo.timing_cache(home)}", *overrides]
    command += [f"gen_trt_engine.tensorrt.{point}_batch_size={BATCH}" for point in ("opt", "max")]
    if network in TEXT_SPECS:  # their engine is named on the command line alone
        command += [text.replace("gen_trt_engine.trt_engine", f"{subtask}.trt_engine") for text in overrides
                    if text.startswith("gen_trt_engine.trt_engine=") and subtask != "gen_trt_engine"]  # fmt: skip
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {"TAO_DEPLOY_THREADS": demo.THREADS, **os.environ, "PYTHONPATH": path}
    done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return (
        results
        / {"gen_trt_engine": "gen_trt_engine", "evaluate": "trt_evaluate", "inference": "trt_inference"}[subtask]
    )


def figure(network: str, folder: Path) -> float:
    key = FIGURES[network]
    value = float(json.loads((folder / "results.json").read_text(encoding="utf-8"))[key])
    return value / 100 if key in PERCENT else value


@pytest.fixture(scope="module", params=FIGURES)
def network(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def reference(home, network, tmp_path_factory) -> float:
    """The network's figure with ONNX Runtime in FP32."""
    results = tmp_path_factory.mktemp(f"{network}-onnxruntime")
    onnx_itself = "evaluate.trt_engine=${gen_trt_engine.onnx_file}"
    return figure(network, run(home, network, "evaluate", results, onnx_itself))


@pytest.mark.parametrize("precision", TOLERANCES)
def test_same_accuracy_as_onnx_runtime(home, network, reference, precision, tmp_path, record_property):
    engine = f"gen_trt_engine.trt_engine={tmp_path / 'model.engine'}"
    run(home, network, "gen_trt_engine", tmp_path, engine, "gen_trt_engine.backend=tensorrt",
        f"gen_trt_engine.tensorrt.data_type={precision}")  # fmt: skip
    facts = json.loads((tmp_path / "model.engine.json").read_text(encoding="utf-8"))
    assert (facts["backend"], facts["precision"]) == ("tensorrt", precision.lower())
    found = figure(network, run(home, network, "evaluate", tmp_path, engine))
    record_property("figure", found)
    print(f"{network} {precision}: {FIGURES[network]} {found:.4f}, ONNX Runtime FP32 {reference:.4f}")
    assert found == pytest.approx(reference, abs=TOLERANCES[precision])
    written = run(home, network, "inference", tmp_path, engine)
    assert sum(1 for path in written.rglob("*") if path.is_file()) > 2
