# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""The networks' subtasks with TensorRT, in FP32, FP16 and INT8, against their accuracy with ONNX Runtime in FP32.

Runs the commands that users type, on the example models and the specs in examples/specs. The models and pictures are
those of `python examples/prepare.py demo` (TAO_DEPLOY_DEMO names another folder), cut down as `demo.py` says. One
example alone: `-k rtdetr`. Figures of all pictures are in benchmarks/README.md.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.gpu import demo

ROOT = Path(__file__).resolve().parents[2]
DEMO = Path(os.environ.get("TAO_DEPLOY_DEMO") or ROOT / "demo").resolve()
TABLES = "demo/data/fashion_mnist_tables"


@dataclass(frozen=True, slots=True)
class Example:
    """One spec of examples/specs, and the figure of results.json that is compared (0 to 1, or percent)."""

    figure: str
    scale: float = 1.0
    """Divides the figure."""
    network: str = ""
    """The command, when the spec is not named like it."""
    text: bool = False
    """The spec is protobuf text: engine and model are named on the command line alone."""
    keys: tuple[str, ...] = ()
    """Overrides of every subtask."""
    calibration: str = ""
    """Folder of calibration pictures, where the spec names none."""
    batches: int = 12
    """Calibration batches, of 4 pictures each."""
    int8: tuple[str, ...] = ()
    """Overrides of an INT8 build."""


EXAMPLES = {
    "classification_pyt": Example("top_k_accuracy"),
    "classification_tf1": Example("top_1_accuracy", text=True, calibration="demo/data/fashion_mnist/images", keys=(
        "gen_trt_engine.onnx_file=demo/models/fashion_mnist_tf1.onnx", f"evaluate.classmap={TABLES}/classmap.json",
        "inference.image_dir=demo/data/fashion_mnist/images",
    )),
    "classification_tf2": Example("top_k_accuracy"),
    "lprnet": Example("Accuracy", text=True, calibration="demo/data/lprnet/image", keys=(
        "gen_trt_engine.onnx_file=demo/models/lprnet/lprnet.onnx",
    ), int8=(  # see docs/networks/lprnet.md
        "gen_trt_engine.tensorrt.calibration.cal_algorithm=percentile",
        "gen_trt_engine.tensorrt.layers_precision="
        "[Conv_1:fp16,Conv_3:fp16,Conv_5:fp16,Conv_8:fp16,Conv_11:fp16,Conv_27:fp16]",
    )),
    "multitask_classification": Example("category", text=True, calibration="demo/data/fashion_mnist/images", keys=(
        "gen_trt_engine.onnx_file=demo/models/fashion_mnist_tasks.onnx", "eval_config.batch_size=32",
        f"gen_trt_engine.class_map={TABLES}/class_mapping.json",
    )),
    "ml_recog": Example("recall_at_1"),
    "deformable_detr": Example("AP"),
    "dino": Example("AP"),
    "rtdetr": Example("AP"),
    "ocdnet": Example("F-measure", batches=5),
    "ocrnet": Example("Accuracy"),
    "optical_inspection": Example("total_accuracy", scale=100),
    "segformer": Example("miou"),
    "visual_changenet": Example("miou"),
    "visual_changenet_classify": Example("total_accuracy", scale=100, network="visual_changenet"),
}  # fmt: skip
TOLERANCES = {"FP32": 0.002, "FP16": 0.01, "INT8": 0.03}
"""Allowed difference to ONNX Runtime's FP32; INT8's strict limits are test_int8's, on all pictures."""
CALIBRATION = "gen_trt_engine.tensorrt.calibration."
BATCH = 32
"""Largest batch of the engines whose spec says nothing of it, and the one they are tuned for."""
FOLDERS = {"gen_trt_engine": "gen_trt_engine", "evaluate": "trt_evaluate", "inference": "trt_inference"}


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """The folder that the commands run in; the specs' paths begin with demo/."""
    assert (DEMO / "models").is_dir(), f"{DEMO} holds no models: run python examples/prepare.py {DEMO}"
    folder = tmp_path_factory.mktemp("home")
    demo.limited(DEMO, folder)
    return folder


def command(home: Path, network: str, *arguments: str) -> str:
    """Run one command in `home`; what it printed."""
    line = [sys.executable, "-m", "nvidia_tao_deploy", network, *arguments]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {"TAO_DEPLOY_THREADS": demo.THREADS, **os.environ, "PYTHONPATH": path}
    done = subprocess.run(line, cwd=home, env=environment, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, f"{' '.join(line)}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def run(home: Path, name: str, subtask: str, results: Path, engine: str, *overrides: str) -> Path:
    """One subtask of an example with this engine; the folder of its results."""
    example = EXAMPLES[name]
    spec = ROOT / "examples" / "specs" / f"{name}.{'txt' if example.text else 'yaml'}"
    keys = [*example.keys, f"gen_trt_engine.timing_cache={demo.timing_cache(home)}", *demo.overrides(), *overrides]
    keys += [f"results_dir={results}", f"gen_trt_engine.trt_engine={engine}"]
    if example.text:
        keys += [f"gen_trt_engine.tensorrt.{point}_batch_size={BATCH}" for point in ("opt", "max")]
    if example.text and subtask != "gen_trt_engine":
        keys.append(f"{subtask}.trt_engine={engine}")
    command(home, example.network or name, subtask, "-e", str(spec), *keys)
    return results / FOLDERS[subtask]


def figure(name: str, folder: Path) -> float:
    found = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    return float(found[EXAMPLES[name].figure]) / EXAMPLES[name].scale


@pytest.fixture(scope="module", params=EXAMPLES)
def name(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def reference(home, name, tmp_path_factory) -> float:
    """The example's figure with ONNX Runtime in FP32."""
    results = tmp_path_factory.mktemp(f"{name}-onnxruntime")
    return figure(name, run(home, name, "evaluate", results, "${gen_trt_engine.onnx_file}"))


@pytest.mark.parametrize("precision", TOLERANCES)
def test_same_accuracy_as_onnx_runtime(home, name, reference, precision, tmp_path):
    engine = str(tmp_path / "model.engine")
    options = ["gen_trt_engine.backend=tensorrt", f"gen_trt_engine.tensorrt.data_type={precision}"]
    if precision == "INT8":
        cache = tmp_path / "calibration.cache"
        options += [f"{CALIBRATION}cal_algorithm=minmax", f"{CALIBRATION}cal_cache_file={cache}"]
        options += [f"{CALIBRATION}cal_batch_size=4", f"{CALIBRATION}cal_batches={EXAMPLES[name].batches}"]
        options += EXAMPLES[name].int8
        if EXAMPLES[name].calibration:
            options.append(f"{CALIBRATION}cal_image_dir=[{EXAMPLES[name].calibration}]")
    run(home, name, "gen_trt_engine", tmp_path, engine, *options)
    facts = json.loads((tmp_path / "model.engine.json").read_text(encoding="utf-8"))
    assert (facts["backend"], facts["precision"]) == ("tensorrt", precision.lower())
    found = figure(name, run(home, name, "evaluate", tmp_path, engine))
    demo.note(home, example=name, precision=precision, figure=EXAMPLES[name].figure, value=found, onnxruntime=reference,
              bytes=Path(engine).stat().st_size, build_seconds=facts["build_seconds"])  # fmt: skip
    print(f"{name} {precision}: {EXAMPLES[name].figure} {found:.4f}, ONNX Runtime FP32 {reference:.4f}")
    if precision == "INT8":  # may do better: noise brings back what a model dropped
        assert found >= reference - TOLERANCES[precision]
    else:
        assert found == pytest.approx(reference, abs=TOLERANCES[precision] + 1e-9)
    written = run(home, name, "inference", tmp_path, engine)
    assert sum(1 for path in written.rglob("*") if path.is_file()) > 2


@pytest.mark.parametrize("precision", TOLERANCES)
@pytest.mark.parametrize("network", ["nvdinov2", "mae"])
def test_backbones_compute_what_onnx_runtime_does(home, network, precision, tmp_path):
    engine = tmp_path / "model.engine"
    keys = [f"results_dir={tmp_path}", f"gen_trt_engine.trt_engine={engine}", "gen_trt_engine.backend=tensorrt"]
    keys += [f"gen_trt_engine.tensorrt.data_type={precision}", f"{CALIBRATION}cal_cache_file={tmp_path / 'c.cache'}"]
    keys += [f"gen_trt_engine.timing_cache={demo.timing_cache(home)}", *demo.overrides(), "gen_trt_engine.verify=true"]
    spec = str(ROOT / "examples" / "specs" / f"{network}.yaml")
    command(home, "model_agnostic", "gen_trt_engine", "--model_name", network, "-e", spec, *keys)
    facts = json.loads((tmp_path / "model.engine.json").read_text(encoding="utf-8"))
    outputs = facts["verify"]["outputs"]
    demo.note(home, example=network, precision=precision, verify=outputs, bytes=engine.stat().st_size,
              build_seconds=facts["build_seconds"])  # fmt: skip
    print(f"{network} {precision}: {outputs}")
    assert facts["verify"]["samples"] == 64
