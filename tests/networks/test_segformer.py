# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""segformer from the command line, on models that tell classes by how red a pixel is."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from nvidia_tao_deploy.engine.contract import TensorInfo
from nvidia_tao_deploy.network import Sample
from nvidia_tao_deploy.networks import segformer
from nvidia_tao_deploy.networks.segformer import NETWORKS, Spec
from nvidia_tao_deploy.signature import Binding
from nvidia_tao_deploy.spec.compose import compose
from tests.makers import ROOT, Ran, run_here, score_module, status_lines, write_yaml

NETWORK = NETWORKS["segformer"]
EXAMPLES = ROOT / "examples"
SIZE = (32, 48)  # height, width of the pictures; the network's is 16 x 16
PALETTE = [
    {"seg_class": "road", "label_id": 7, "mapping_class": "road", "rgb": [0, 0, 255]},
    {"seg_class": "sky", "label_id": 0, "mapping_class": "sky", "rgb": [10, 20, 30]},
    {"seg_class": "car", "label_id": 200, "mapping_class": "car", "rgb": [250, 0, 0]},
    {"seg_class": "lorry", "label_id": 3, "mapping_class": "car", "rgb": [0, 250, 0]},
]
"""Classes by rising label: sky 0, road 1, car/lorry 2."""
NAMES = ["sky", "road", "car/lorry"]
LABELS = np.array([0, 7, 200])


def segmenter(path: Path, classes: int = 3, parts: int = 1, argmax: bool = False, size: int | str = 16) -> Path:
    """Class k where red is k / (classes - 1) of 255; maps of a `parts`th of the input's size; with `argmax` one channel
    of class numbers."""
    levels = np.linspace(-1, 1, classes)
    weights = np.zeros((classes, 3, 1, 1), np.float32)
    weights[:, 0, 0, 0] = 2 * levels
    stored = [numpy_helper.from_array(weights, "w"), numpy_helper.from_array((-(levels**2)).astype(np.float32), "b")]
    nodes = [
        helper.make_node("AveragePool", ["input"], ["small"], kernel_shape=[parts] * 2, strides=[parts] * 2),
        helper.make_node("Conv", ["small", "w", "b"], ["scores"]),
        helper.make_node("ArgMax", ["scores"], ["output"], axis=1, keepdims=1)
        if argmax
        else helper.make_node("Identity", ["scores"], ["output"]),
    ]
    small = size // parts if isinstance(size, int) else None
    kind = TensorProto.INT64 if argmax else TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "segmenter",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 3, size, size])],
        [helper.make_tensor_value_info("output", kind, ["batch", 1 if argmax else classes, small, small])],
        stored,
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(proto, full_check=True)
    onnx.save(proto, str(path))
    return path


def blocks(seed: int, classes: int = 3, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Class maps of 4 x 4 cells of 8 x 12 pixels: 4 x 4 pixels each at the network's size."""
    coarse = np.random.default_rng(seed).integers(0, classes, (4, 4), np.uint8)
    return coarse.repeat(size[0] // 4, axis=0).repeat(size[1] // 4, axis=1)


class Streets:
    """A data set, a model and a spec."""

    def __init__(self, folder: Path, classes: int = 3, **model: Any) -> None:
        self.folder, self.classes = folder, classes
        file = str(segmenter(folder / "model.onnx", classes, **model))
        self.segment: dict[str, Any] = {"root_dir": str(folder / "data"), "palette": PALETTE, "label_transform": "none"}
        self.spec: dict[str, Any] = {
            "results_dir": str(folder / "results"),
            "dataset": {"segment": self.segment},
            "gen_trt_engine": {"onnx_file": file, "trt_engine": str(folder / "x.engine")},
            "evaluate": {"trt_engine": file},
            "inference": {"trt_engine": file},
        }

    def add(self, name: str, classes: np.ndarray, mask: np.ndarray | None = None) -> None:
        """A picture that the model sees as `classes` (H,W), for both splits, and its mask."""
        picture = np.zeros((*classes.shape, 3), np.uint8)
        picture[..., 0] = np.rint(classes * (255.0 / (self.classes - 1)))
        stored = LABELS[classes].astype(np.uint8) if mask is None else mask
        for split in ("val", "test"):
            for part, file, pixels in (("images", name, picture), ("masks", f"{Path(name).stem}.png", stored)):
                target = self.folder / "data" / part / split / file
                target.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(target, **({"quality": 100} if target.suffix == ".jpg" else {}))

    def run(self, subtask: str, *overrides: str) -> Ran:
        return run_here("segformer", subtask, "-e", write_yaml(self.folder / "spec.yaml", self.spec), *overrides)

    @property
    def results(self) -> dict[str, Any]:
        return json.loads((self.folder / "results/trt_evaluate/results.json").read_text())

    def labels(self, name: str) -> np.ndarray:
        return np.asarray(Image.open(self.folder / "results/trt_inference/mask_labels" / name))


@pytest.fixture
def streets(tmp_path: Path) -> Streets:
    made = Streets(tmp_path)
    for index in range(3):
        made.add(f"{index}.png", blocks(index))
    return made


def inner(found: np.ndarray) -> np.ndarray:
    """The middle of every cell: stretching blurs the borders."""
    return found[4::8, 6::12]


def test_evaluate(streets: Streets) -> None:
    ran = streets.run("evaluate", "evaluate.map_size=network")
    assert ran.code == 0, ran.text
    results = streets.results
    assert results["classes"] == NAMES and results["num_samples"] == 3
    assert sum(map(sum, results["confusion_matrix"])) == 3 * 16 * 16
    counts = [int(sum((blocks(index)[::2, ::3] == number).sum() for index in range(3))) for number in range(3)]
    assert [sum(row) for row in results["confusion_matrix"]] == counts
    assert results["acc"] > 0.8 and results["miou"] > 0.6
    assert status_lines(streets.folder / "results/trt_evaluate")[-1]["kpi"]["miou"] == results["miou"]
    assert "car/lorry" in ran.out


def test_the_confusion_matrix_is_that_of_the_maps_written(streets: Streets) -> None:
    assert streets.run("evaluate").code == 0 and streets.run("inference").code == 0
    truth = np.stack([blocks(index) for index in range(3)])
    found = np.stack([streets.labels(f"{index}.png") for index in range(3)])
    table = [[int(((truth == i) & (found == j)).sum()) for j in range(3)] for i in range(3)]
    assert streets.results["confusion_matrix"] == table


@pytest.mark.parametrize("model", [{}, {"parts": 4}, {"argmax": True}, {"parts": 4, "argmax": True}], ids=str)
@pytest.mark.parametrize("map_size", ["original", "network"])
def test_inference(tmp_path: Path, model: dict[str, Any], map_size: str) -> None:
    """Maps of a quarter of the size and class numbers, as older exports give, too."""
    streets = Streets(tmp_path, **model)
    streets.add("a.png", blocks(1))
    streets.add("b.jpg", blocks(2))
    ran = streets.run("inference", f"inference.map_size={map_size}", "dataset.segment.batch_size=2")
    assert ran.code == 0, ran.text
    folder = tmp_path / "results/trt_inference"
    assert {path.name for path in (folder / "mask_labels").iterdir()} == {"a.png", "b.png"}
    assert {path.name for path in (folder / "vis_overlay").iterdir()} == {"a.png", "b.jpg"}
    for name, seed in (("a.png", 1), ("b.png", 2)):
        found = streets.labels(name)
        assert found.dtype == np.uint8 and found.shape == (SIZE if map_size == "original" else (16, 16))
        middle = inner(found) if map_size == "original" else found[2::4, 2::4]
        assert np.array_equal(middle, inner(blocks(seed)))


def test_overlays_have_the_colours_of_the_palette(streets: Streets) -> None:
    assert streets.run("inference").code == 0
    shown = np.asarray(Image.open(streets.folder / "results/trt_inference/vis_overlay/0.png")).astype(float)
    picture = np.asarray(Image.open(streets.folder / "data/images/test/0.png")).astype(float)
    colours = np.array([[10, 20, 30], [0, 0, 255], [250, 0, 0]])[streets.labels("0.png")]
    assert np.abs(shown - (picture + colours) / 2).max() <= 0.5


def test_masks_in_colour(streets: Streets) -> None:
    """The trainer matches colours; TAO Deploy makes them grey."""
    assert streets.run("evaluate").code == 0
    expected = streets.results["confusion_matrix"]
    colours = np.array([[10, 20, 30], [0, 0, 255], [0, 250, 0]], np.uint8)  # lorries count as cars
    for index in range(3):
        streets.add(f"{index}.png", blocks(index), colours[blocks(index)])
    assert streets.run("evaluate").code == 0
    assert streets.results["confusion_matrix"] == expected


@pytest.mark.parametrize("rgb", [[1, 1, 1], [255, 255, 255]])
def test_black_and_white_masks_and_the_default_palette(tmp_path: Path, rgb: list[int]) -> None:
    streets = Streets(tmp_path, classes=2)
    del streets.segment["label_transform"]
    first, second = segformer.DEFAULT_PALETTE
    streets.segment["palette"] = [first, {**second, "rgb": rgb}]
    streets.add("a.png", blocks(1, 2), blocks(1, 2) * 255)
    ran = streets.run("evaluate", "evaluate.map_size=network")
    assert ran.code == 0, ran.text
    assert streets.results["classes"] == ["foreground", "background"] and streets.results["acc"] > 0.8
    assert streets.run("inference").code == 0
    shown = np.asarray(Image.open(tmp_path / "results/trt_inference/vis_overlay/a.png"))
    assert shown.max() == 255  # white over the red picture, not 1


def test_255_does_not_count(streets: Streets) -> None:
    mask = LABELS[blocks(0)].astype(np.uint8)
    mask[:8] = 255
    streets.add("0.png", blocks(0), mask)
    ran = streets.run("evaluate")
    assert ran.code == 0, ran.text
    assert streets.results["ignored_pixels"] == 8 * SIZE[1]


def test_the_engine_that_is_built(streets: Streets) -> None:
    ran = streets.run("gen_trt_engine", "gen_trt_engine.verify=true", "gen_trt_engine.tensorrt.data_type=FP16")
    assert ran.code == 0, ran.text
    ran = streets.run("inference", f"inference.trt_engine={streets.folder / 'x.engine'}")
    assert ran.code == 0, ran.text
    assert np.array_equal(inner(streets.labels("2.png")), inner(blocks(2)))


def test_int8_is_calibrated_with_the_network_s_own_preprocessing(streets: Streets) -> None:
    """TAO Deploy pads the pictures and feeds 0..255."""
    cache = streets.folder / "x.cache"
    ran = streets.run(
        "gen_trt_engine",
        "gen_trt_engine.tensorrt.data_type=INT8",
        "gen_trt_engine.tensorrt.calibration.cal_algorithm=minmax",
        f"gen_trt_engine.tensorrt.calibration.cal_image_dir=[{streets.folder / 'data/images'}]",
        f"gen_trt_engine.tensorrt.calibration.cal_cache_file={cache}",
        "gen_trt_engine.tensorrt.calibration.cal_batches=6",
    )
    assert ran.code == 0, ran.text
    scale = np.array([int(line.split(": ")[1], 16) for line in cache.read_text().splitlines() if "input" in line])
    assert scale.astype(np.uint32).view(np.float32) * 127 == pytest.approx(1, abs=1e-3)  # pixels are -1..1


def test_open_sizes_come_from_the_spec(tmp_path: Path) -> None:
    streets = Streets(tmp_path, size="side")
    streets.add("a.png", blocks(1))
    ran = streets.run("inference", "dataset.segment.img_size=32", "inference.map_size=network")
    assert ran.code == 0, ran.text
    assert streets.labels("a.png").shape == (32, 32)


def test_preprocessing(tmp_path: Path) -> None:
    """Pillow's bilinear stretch, (x - 255 mean) / (255 std), RGB."""
    noise = np.random.default_rng(0).integers(0, 256, (37, 61, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    spec = compose(Spec, None, ["dataset.segment.augmentation.mean=[0.4,0.5,0.6]"], ()).spec
    binding = Binding({"input": TensorInfo(name="in", shape=(-1, 3, 20, 24), dtype="float32")}, {})
    batch, frame = NETWORK.prepare(spec, binding, "inference").single(Sample("a.png", tmp_path / "a.png"))
    resized = np.asarray(Image.fromarray(noise).resize((24, 20), Image.Resampling.BILINEAR)).astype(np.float64)
    expected = (resized - 255 * np.array([0.4, 0.5, 0.6])) / (255 * 0.5)
    np.testing.assert_allclose(batch["in"][0], expected.transpose(2, 0, 1), atol=1e-5)
    assert frame.size == (37, 61)


@pytest.mark.parametrize(
    ("palette", "message"),
    [
        ("classes.yaml", "palette: 'classes.yaml': expected a list"),
        ([PALETTE[0]], "palette: 1 rows; expected one for each class, two or more"),
        (["road", "sky"], r"palette\[0\]: 'road': expected {seg_class"),
        ([{"label_id": 1}], r"palette\[0\].seg_class is not set"),
        ([{"seg_class": "a", "label_id": -1}], r"palette\[0\].label_id: '-1': expected the value of 'a' in masks"),
        ([{"seg_class": "a", "label_id": "x"}], r"palette\[0\].label_id: 'x'"),
        ([{**PALETTE[0], "rgb": [1, 2]}], r"palette\[0\].rgb: '\[1, 2\]': expected \[red, green, blue\]"),
        ([{**PALETTE[0], "rgb": [1, 2, 300]}], r"palette\[0\].rgb"),
        ([PALETTE[0], PALETTE[0]], "palette: name road stands there more than once"),
        ([PALETTE[0], {**PALETTE[1], "label_id": 7}], "palette: label_id 7 stands there more than once"),
        ([PALETTE[0], PALETTE[3]], "palette: 'lorry' maps to 'car', of which there is no row; rows: road, lorry"),
        (PALETTE[:2], r"palette makes 2 classes \(sky, road\), but the model's output has 3"),
    ],
)
def test_palettes_that_cannot_be(streets: Streets, palette: Any, message: str) -> None:
    streets.segment["palette"] = palette
    for subtask in ("evaluate", "inference"):
        ran = streets.run(subtask)
        assert ran.code == 2, ran.text
        assert re.search(message, ran.text.replace("\n", " ")), ran.text


def test_norm_with_other_labels(streets: Streets) -> None:
    ran = streets.run("evaluate", "dataset.segment.label_transform=norm")
    assert ran.code == 2 and "has label_id 7, 0, 200, 3" in ran.text and "label_transform=none" in ran.text


def test_a_class_that_the_palette_lacks(tmp_path: Path) -> None:
    streets = Streets(tmp_path, classes=4, argmax=True)
    streets.add("a.png", blocks(1, 4), np.zeros(SIZE, np.uint8))
    ran = streets.run("inference")
    assert ran.code == 5 and "the model gives class 3; there are 3, from 0" in ran.text


def test_values_of_masks_that_no_row_has(streets: Streets) -> None:
    mask = LABELS[blocks(0)].astype(np.uint8)
    mask[0, 0] = 9
    streets.add("0.png", blocks(0), mask)
    ran = streets.run("evaluate")
    assert ran.code == 3 and streets.results["num_samples"] == 2, ran.text
    assert "0.png: the mask holds 9; expected label_id of dataset.segment.palette (0, 3, 7, 200)" in ran.text


def test_a_picture_without_a_mask(streets: Streets) -> None:
    (streets.folder / "data/masks/val/1.png").unlink()
    ran = streets.run("evaluate")
    assert ran.code == 3 and streets.results["num_samples"] == 2, ran.text
    assert "masks/val/1.png: no such mask" in ran.text


def test_masks_of_another_size(streets: Streets) -> None:
    for index in range(3):
        streets.add(f"{index}.png", blocks(index), LABELS[blocks(index)].astype(np.uint8)[::2, ::2])
    ran = streets.run("evaluate")
    assert ran.code == 3 and "the mask is 24 x 16, its picture 48 x 32" in ran.text
    assert "evaluate.map_size=network" in ran.text
    assert streets.run("evaluate", "evaluate.map_size=network").code == 0


@pytest.mark.parametrize(
    ("overrides", "code", "message"),
    [
        (["dataset.segment.root_dir="], 2, "dataset.segment.root_dir"),
        (["dataset.segment.root_dir=/nowhere"], 3, "/nowhere/images/val"),
        (["dataset.segment.validation_split=other"], 3, "images/other"),
        (["dataset.segment.masks_dir=/nowhere"], 3, "/nowhere (dataset.segment.masks_dir): no such folder"),
        (["dataset.segment.augmentation.std=[1,0,1]"], 2, "dataset.segment.augmentation.std"),
        (["dataset.segment.label_transform=half"], 2, "label_transform"),
        (["evaluate.map_size=half"], 2, "map_size"),
    ],
)
def test_what_is_missing_or_wrong(streets: Streets, overrides: list[str], code: int, message: str) -> None:
    ran = streets.run("evaluate", *overrides)
    assert ran.code == code, ran.text
    assert message in ran.text


def test_masks_of_other_names(streets: Streets) -> None:
    for path in (streets.folder / "data/masks/val").iterdir():
        path.rename(path.with_name(f"mask_{path.name}"))
    ran = streets.run("evaluate")
    assert ran.code == 3 and "no picture of" in ran.text and "masks/val/0.png, for one" in ran.text


@pytest.mark.parametrize("release", ["5.5", "6.25"])
@pytest.mark.parametrize("name", ["export", "infer"])
def test_users_sample_specs(
    sample_specs: Callable[[str, str], Path], release: str, name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """TAO Deploy 7.3 refuses these."""
    caplog.set_level("INFO")
    path = sample_specs(release, "segformer") / f"{name}.yaml"
    spec = compose(Spec, path, ["results_dir=/r"], NETWORK.migrations).spec
    assert list(spec.dataset.segment.augmentation.mean) == [127.5] * 3
    assert spec.dataset.segment.label_transform == "norm"
    assert segformer.table(spec).names == ("foreground", "background")
    assert "dataset.palette: key of an older release, read as dataset.segment.palette" in caplog.text
    streets = Streets(tmp_path, classes=2)
    streets.add("a.png", blocks(1, 2), blocks(1, 2) * 255)
    folders = [
        f"dataset.test_dataset.{key}_dir={tmp_path}/data/{part}/val"
        for key, part in (("img", "images"), ("ann", "masks"))
    ]
    model = tmp_path / "model.onnx"
    for subtask in ("evaluate", "inference"):
        ran = run_here(
            "segformer", subtask, "-e", path, *folders, f"{subtask}.trt_engine={model}", f"results_dir={tmp_path}/r"
        )
        assert ran.code == 0, ran.text
    assert (tmp_path / "r/trt_inference/mask_labels/a.png").is_file()
    results = json.loads((tmp_path / "r/trt_evaluate/results.json").read_text())
    assert results["acc"] > 0.8


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example's model and a small data set, as `prepare.py` makes them."""
    folder = tmp_path_factory.mktemp("work") / "demo"
    prepare = [sys.executable, str(EXAMPLES / "prepare.py"), str(folder), "--only", "segmentation", "--small"]
    subprocess.run(prepare, check=True, capture_output=True)
    return folder


@pytest.mark.parametrize("precision", ["FP32", "FP16", "INT8"])
def test_the_example(demo: Path, precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against a computation apart from the package."""
    monkeypatch.chdir(demo.parent)  # the spec's paths start with demo/
    spec = EXAMPLES / "specs/segformer.yaml"
    more = {"gen_trt_engine": [f"gen_trt_engine.tensorrt.data_type={precision}"]}
    for subtask in ("gen_trt_engine", "evaluate", "inference"):
        ran = run_here("segformer", subtask, "-e", spec, *more.get(subtask, []))
        assert ran.code == 0, ran.text
    results = demo / "results/segformer"
    figures = json.loads((results / "trt_evaluate/results.json").read_text(encoding="utf-8"))
    want = score_module().segmentation_confusion(demo)
    differing = np.abs(np.array(figures["confusion_matrix"]) - want).sum()
    assert differing <= {"FP32": 0, "FP16": 1e-3, "INT8": 0.05}[precision] * want.sum()
    assert figures["classes"][0] == "background" and len(figures["classes"]) == 6
    assert figures["miou"] > 0.5
    assert len(list((results / "trt_inference/vis_overlay").glob("*.jpg"))) == 12
