# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""classification_pyt on the trained Fashion-MNIST model, against a computation of its own with Pillow and numpy."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from examples.fashion_mnist import data
from nvidia_tao_deploy.engine.contract import TensorInfo
from nvidia_tao_deploy.errors import SpecError
from nvidia_tao_deploy.metrics.classification import TopK
from nvidia_tao_deploy.networks import classification_pyt as network
from nvidia_tao_deploy.signature import Binding
from nvidia_tao_deploy.spec.compose import compose
from nvidia_tao_deploy.transforms.resize import PillowStretch
from tests.makers import MEAN, STD, Ran, run_command, strict_json, write_yaml

PER_CLASS = 50
SIDE = 112


@dataclass
class Job:
    """A spec on 500 test pictures, and what it must give."""

    root: Path
    spec: Path
    pictures: list[Path]
    truths: np.ndarray
    logits: np.ndarray

    @property
    def accuracy(self) -> float:
        return float((self.logits.argmax(axis=1) == self.truths).mean())

    def run(self, subtask: str, *overrides: str) -> Ran:
        return run_command("classification_pyt", subtask, "-e", self.spec, *overrides)


def prepared(path: Path) -> np.ndarray:
    """The contract's preprocessing in Pillow and float64: cover SIDE + 32 bicubically, cut the middle, normalise."""
    image = Image.open(path).convert("RGB")
    ratio = max((SIDE + 32) / image.width, (SIDE + 32) / image.height)
    image = image.resize((int(image.width * ratio), int(image.height * ratio)), Image.Resampling.BICUBIC)
    left, top = round(image.width / 2) - round(SIDE / 2), round(image.height / 2) - round(SIDE / 2)
    pixels = np.asarray(image.crop((left, top, left + SIDE, top + SIDE)), np.float64)
    return ((pixels / 255 - MEAN) / STD).transpose(2, 0, 1).astype(np.float32)


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    root = tmp_path_factory.mktemp("fashion")
    data.unpack(root / "images", PER_CLASS)
    pictures = sorted((root / "images").rglob("*.png"))
    session = onnxruntime.InferenceSession(str(data.MODEL))
    name = session.get_inputs()[0].name
    logits = [session.run(None, {name: prepared(path)[None]})[0][0] for path in pictures]
    truths = np.array([data.CLASSES.index(path.parent.name) for path in pictures])
    tree = {
        "results_dir": str(root / "results"),
        "dataset": {
            "root_dir": str(root), "batch_size": 64, "test_dataset": {"images_dir": str(root / "images")},
            "augmentation": {"mean": list(MEAN), "std": list(STD)},
        },
        "model": {"head": {"topk": [1, 3]}},
        "gen_trt_engine": {
            "onnx_file": str(data.MODEL), "trt_engine": str(root / "fp32.engine"),
            "tensorrt": {"data_type": "fp32", "min_batch_size": 1, "opt_batch_size": 32, "max_batch_size": 64},
        },
        "evaluate": {"trt_engine": str(root / "fp32.engine")},
        "inference": {"trt_engine": str(root / "fp32.engine")},
    }  # fmt: skip
    made = Job(root, write_yaml(root / "spec.yaml", tree), pictures, truths, np.stack(logits))
    assert made.accuracy > 0.88  # the model is a trained one
    assert made.run("gen_trt_engine").code == 0
    return made


def test_evaluate(job: Job) -> None:
    ran = job.run("evaluate")
    assert ran.code == 0, ran.text
    results = strict_json((job.root / "results" / "trt_evaluate" / "results.json").read_text())
    assert results["num_samples"] == 10 * PER_CLASS
    assert results["top_k_accuracy"] == pytest.approx(job.accuracy, abs=0.002)
    ranks = (job.logits > job.logits[np.arange(len(job.truths)), job.truths][:, None]).sum(axis=1)
    assert results["top_3_accuracy"] == pytest.approx((ranks < 3).mean(), abs=0.002)


def test_inference(job: Job) -> None:
    ran = job.run("inference")
    assert ran.code == 0, ran.text
    with (job.root / "results" / "trt_inference" / "result.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert [row[0] for row in rows] == [str(path) for path in job.pictures]
    powers = np.exp(job.logits - job.logits.max(axis=1, keepdims=True))
    chances = (powers / powers.sum(axis=1, keepdims=True)).max(axis=1)
    expected = [data.CLASSES[index] for index in job.logits.argmax(axis=1)]
    assert np.mean([row[1] == name for row, name in zip(rows, expected, strict=True)]) >= 0.998
    assert np.abs(np.array([float(row[2]) for row in rows]) - chances).max() < 0.01


def test_fp16(job: Job) -> None:
    half = f"{job.root}/fp16.engine"
    assert (
        job.run("gen_trt_engine", "gen_trt_engine.tensorrt.data_type=FP16", f"gen_trt_engine.trt_engine={half}").code
        == 0
    )
    assert Path(half).stat().st_size < 0.6 * (job.root / "fp32.engine").stat().st_size
    folder = f"evaluate.results_dir={job.root}/half"
    ran = job.run("evaluate", f"evaluate.trt_engine={half}", folder)
    assert ran.code == 0, ran.text
    results = strict_json((job.root / "half" / "results.json").read_text())
    assert results["top_k_accuracy"] == pytest.approx(job.accuracy, abs=0.01)


def test_the_onnx_model_itself_gives_the_reference(job: Job) -> None:
    ran = job.run("evaluate", f"evaluate.trt_engine={data.MODEL}", f"evaluate.results_dir={job.root}/onnx")
    assert ran.code == 0, ran.text
    results = strict_json((job.root / "onnx" / "results.json").read_text())
    assert results["top_k_accuracy"] == pytest.approx(job.accuracy, abs=0.002)


def spec_of(*overrides: str) -> network.Spec:
    found = compose(network.Spec, None, overrides).spec
    assert isinstance(found, network.Spec)
    return found


def binding_of(*shape: int, classes: int = 10) -> Binding:
    return Binding(
        {"input": TensorInfo("data_in", "float32", shape)}, {"output": TensorInfo("out", "float32", (-1, classes))}
    )


def test_preparation_follows_the_model_and_the_spec() -> None:
    made = network.prepare(spec_of(), binding_of(-1, 3, 224, 192), "evaluate")
    assert made.shapes == {"data_in": (3, 224, 192)} and not made.reader.exif
    made = network.prepare(spec_of("dataset.img_size=96"), binding_of(-1, -1, -1, -1), "inference")
    assert made.shapes == {"data_in": (3, 96, 96)}
    overrides = ("dataset.augmentation.exif_orientation=true", "dataset.augmentation.resize=training")
    made = network.prepare(spec_of(*overrides), binding_of(-1, 1, 32, 32), "evaluate")
    assert made.reader.exif and made.reader.mode == "L" and made.resize == PillowStretch("bilinear")


@pytest.mark.parametrize(
    ("overrides", "size"),
    [((), 8), (("dataset.batch_size=3",), 3), (("dataset.batch_size=3", "evaluate.batch_size=5"), 5)],
)
def test_batch_size(overrides: tuple[str, ...], size: int) -> None:
    assert network.batch_size(spec_of(*overrides), "evaluate") == size


def test_topk_beyond_the_classes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (4, 4)).save(tmp_path / name / "x.png")
    images = f"dataset.test_dataset.images_dir={tmp_path}"
    evaluation = network.evaluation(spec_of(images, "model.head.topk=[5,2]"), binding_of(-1, 3, 8, 8, classes=2))
    assert isinstance(evaluation.metric, TopK) and evaluation.metric.topk == (2,)
    with pytest.raises(SpecError, match="the model has only 2 classes"):
        network.evaluation(spec_of(images, "model.head.topk=[5]"), binding_of(-1, 3, 8, 8, classes=2))


@pytest.mark.parametrize("release", ["5.5", "6.25"])
@pytest.mark.parametrize("subtask", ["gen_trt_engine", "evaluate", "inference"])
def test_sample_specs_of_users_run_unchanged(
    job: Job, tmp_path: Path, sample_specs: Callable[[str, str], Path], release: str, subtask: str
) -> None:
    """Their ??? are filled in by overrides, under the names that the release had."""
    spec = sample_specs(release, "classification_pyt") / f"{subtask}.yaml"
    images, classes = job.root / "images", job.root / "classes.txt"
    overrides = {
        "gen_trt_engine": [f"gen_trt_engine.onnx_file={data.MODEL}", f"gen_trt_engine.trt_engine={tmp_path}/x.engine"],
        "5.5": [f"dataset.data.test.data_prefix={images}", f"dataset.data.test.classes={classes}"],
        "6.25": [f"dataset.test_dataset.images_dir={images}"],
    }
    more = overrides["gen_trt_engine"] if subtask == "gen_trt_engine" else overrides[release]
    more = more if subtask == "gen_trt_engine" else [*more, f"{subtask}.trt_engine={job.root}/fp32.engine"]
    ran = run_command("classification_pyt", subtask, "-e", spec, f"results_dir={tmp_path}", *more)
    assert ran.code == 0, ran.text
    assert "no such key" not in ran.text
    if subtask == "evaluate":
        found = strict_json((tmp_path / "trt_evaluate" / "results.json").read_text())
        assert found["top_k_accuracy"] == pytest.approx(job.accuracy, abs=0.002)


@pytest.mark.parametrize("release", ["5.5", "6.25"])
@pytest.mark.parametrize("subtask", ["gen_trt_engine", "evaluate", "inference"])
def test_sample_specs_left_at_question_marks(
    tmp_path: Path, sample_specs: Callable[[str, str], Path], release: str, subtask: str
) -> None:
    spec = sample_specs(release, "classification_pyt") / f"{subtask}.yaml"
    ran = run_command("classification_pyt", subtask, "-e", spec, f"results_dir={tmp_path}")
    assert ran.code == 2 and " is not set." in ran.err and "on the command line: " in ran.err
    ran = run_command("classification_pyt", subtask, "-e", spec, cwd=tmp_path)
    assert ran.code == 2 and "nor results_dir is set" in ran.err
