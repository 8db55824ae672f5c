# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""The example detector through all three commands, against ONNX Runtime, plain numpy and pycocotools."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from nvidia_tao_deploy.cli import main

ROOT = Path(__file__).resolve().parents[2]
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
pytestmark = pytest.mark.usefixtures("logging_as_before")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example's models and 40 of its pictures."""
    folder = tmp_path_factory.mktemp("demo")
    prepare = [sys.executable, str(ROOT / "examples" / "prepare.py"), str(folder), "--only", "detector", "--small"]
    subprocess.run(prepare, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def expected(demo: Path) -> list[float]:
    """The twelve figures, computed one picture at a time without any of our code."""
    session = onnxruntime.InferenceSession(demo / "models" / "detector_gridsample.onnx")
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(demo / "data" / "detector" / "annotations.json"))
    rows = []
    for image in truth.dataset["images"]:
        picture = np.asarray(Image.open(demo / "data" / "detector" / "images" / image["file_name"]).convert("RGB"))
        size = session.get_inputs()[0].shape[2:]
        resized = cv2.resize(picture.astype(np.float32), size[::-1], interpolation=cv2.INTER_LINEAR)
        tensor = ((resized / 255 - MEAN) / STD).transpose(2, 0, 1)[None].astype(np.float32)
        logits, boxes = (output[0].astype(float) for output in session.run(None, {"inputs": tensor}))
        scores = 1 / (1 + np.exp(-logits))
        for index in np.argsort(-scores, axis=None, kind="stable")[:300]:
            query, label = divmod(int(index), scores.shape[1])
            centre, half = boxes[query, :2], boxes[query, 2:] / 2
            limits = np.array(picture.shape[1::-1])
            low, high = (np.clip(corner * limits, 0, limits) for corner in (centre - half, centre + half))
            box = [*low, *(high - low)]
            score = float(scores[query, label])
            rows.append({"image_id": image["id"], "category_id": label, "bbox": box, "score": score})
    with contextlib.redirect_stdout(io.StringIO()):
        judge = COCOeval(truth, truth.loadRes(rows), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return judge.stats.tolist()


@pytest.mark.parametrize(
    ("network", "model", "annotations"),
    [
        ("dino", "detector_gridsample", "annotations"),
        ("deformable_detr", "detector_plugin", "annotations"),
        ("rtdetr", "rtdetr_plugin", "annotations_from_0"),
    ],
)
def test_three_commands_reach_the_independent_figures(
    network: str, model: str, annotations: str, demo: Path, expected: list[float], tmp_path: Path
) -> None:
    data, engine = demo / "data" / "detector", tmp_path / "model.engine"
    arguments = [
        "-e",
        str(ROOT / "examples" / "specs" / f"{network}.yaml"),
        f"results_dir={tmp_path}",
        f"gen_trt_engine.onnx_file={demo}/models/{model}.onnx",
        f"gen_trt_engine.trt_engine={engine}",
        "gen_trt_engine.backend=onnxruntime",
        f"dataset.test_data_sources.image_dir={data}/images",
        f"dataset.test_data_sources.json_file={data}/{annotations}.json",
        f"dataset.infer_data_sources.image_dir={data}/images",
        f"dataset.infer_data_sources.classmap={data}/classmap.txt",
        "model.num_select=300",
        "dataset.batch_size=7",
    ]
    for subtask in ("gen_trt_engine", "evaluate", "inference"):
        assert main(network, [subtask, *arguments]) == 0
    results = json.loads((tmp_path / "trt_evaluate" / "results.json").read_text())
    assert expected[0] > 0.5, "the detector finds things"
    np.testing.assert_allclose(list(results.values()), expected, atol=2e-4)
    labels = sorted((tmp_path / "trt_inference" / "labels").glob("*.txt"))
    assert len(labels) == len(list((data / "images").iterdir())) == 40
    classes = set((data / "classmap.txt").read_text().split())
    assert {line.split()[0] for path in labels for line in path.read_text().splitlines()} <= classes
