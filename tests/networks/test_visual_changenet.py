# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""visual_changenet from the command line, on models whose answers are known (see `pairs`)."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nvidia_tao_deploy.networks.visual_changenet import NETWORKS, Spec
from nvidia_tao_deploy.spec.compose import compose
from tests.makers import Ran, picture, run_here, status_lines, write_yaml
from tests.networks.pairs import classifier, segmenter

NETWORK = NETWORKS["visual_changenet"]
SIZE = (32, 48)  # height, width of the pictures; the network's is 16 x 16


class Scenes:
    """Pairs of pictures whose red differs by a known amount per pixel, masks, lists, a model and a spec."""

    def __init__(self, folder: Path, classes: int = 2, ending: str = ".png", **model: Any) -> None:
        self.folder, self.classes, self.ending = folder, classes, ending
        segmenter(folder / "model.onnx", classes=classes, **model)
        self.names: list[str] = []
        model_file = str(folder / "model.onnx")
        self.spec: dict[str, Any] = {
            "task": "segment",
            "results_dir": str(folder / "results"),
            "dataset": {"segment": {"root_dir": str(folder / "data"), "num_classes": classes, "batch_size": 3}},
            "gen_trt_engine": {"onnx_file": model_file, "trt_engine": str(folder / "x.engine")},
            "evaluate": {"trt_engine": model_file},
            "inference": {"trt_engine": model_file},
        }
        if classes > 2:
            self.spec["dataset"]["segment"]["label_transform"] = "none"
        (folder / "data/list").mkdir(parents=True)

    def add(self, name: str, classes: np.ndarray, mask: np.ndarray | None = None) -> None:
        """A pair that the model sees as `classes` (H,W), and its mask (`classes` unless another is given)."""
        before = np.zeros((*classes.shape, 3), np.uint8)
        after = before.copy()
        before[..., 1], after[..., 1] = 80, 160
        after[..., 0] = np.rint(classes * (255.0 / (self.classes - 1)))
        stored = (classes if mask is None else mask).astype(np.uint8) * (255 if self.classes == 2 else 1)
        stem = name.rsplit(".", 1)[0]
        for path, pixels in ((f"A/{name}", before), (f"B/{name}", after), (f"label/{stem}.png", stored)):
            target = self.folder / "data" / path
            target.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(target, **({"quality": 100} if name.endswith("jpg") else {}))
        self.names.append(name)

    def run(self, subtask: str, *overrides: str) -> Ran:
        (self.folder / "data/list/test.txt").write_text("".join(f"{name}\n" for name in self.names), encoding="utf-8")
        return run_here("visual_changenet", subtask, "-e", write_yaml(self.folder / "spec.yaml", self.spec), *overrides)

    @property
    def results(self) -> dict[str, Any]:
        return json.loads((self.folder / "results/trt_evaluate/results.json").read_text())

    def map(self, name: str, task: str = "inference") -> np.ndarray:
        return np.asarray(Image.open(self.folder / f"results/trt_{task}/class_maps/{name}.png"))


def blocks(seed: int, classes: int = 2, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Class maps of 8 x 8 cells of 4 x 6 pixels: they survive the way to 16 x 16 pixels and back."""
    coarse = np.random.default_rng(seed).integers(0, classes, (8, 8), np.uint8)
    return coarse.repeat(size[0] // 8, axis=0).repeat(size[1] // 8, axis=1)


def mostly(found: np.ndarray, want: np.ndarray) -> bool:
    """Equal in the middle of every cell (bilinear reduction blurs the borders)."""
    return np.array_equal(found[2::4, 3::6], want[2::4, 3::6])


@pytest.fixture
def scenes(tmp_path: Path) -> Scenes:
    made = Scenes(tmp_path)
    for index in range(5):
        made.add(f"{index}.png", blocks(index))
    return made


@pytest.mark.parametrize("batch", [1, 2, 4, 8, -1])
def test_every_batch_size_and_the_tail(scenes: Scenes, batch: int) -> None:
    """TAO Deploy wants equal batch sizes in two places, cannot take its own default, and drops the tail."""
    ran = scenes.run("inference", f"inference.batch_size={batch}")
    assert ran.code == 0, ran.text
    for index in range(5):
        found = scenes.map(str(index))
        assert found.shape == SIZE and mostly(found, blocks(index))
    ran = scenes.run("evaluate", f"evaluate.batch_size={batch}", "evaluate.save_pictures=false")
    assert ran.code == 0, ran.text
    assert scenes.results["num_samples"] == 5
    assert sum(map(sum, scenes.results["confusion_matrix"])) == 5 * SIZE[0] * SIZE[1]


def test_minus_one_everywhere(scenes: Scenes) -> None:
    scenes.spec["dataset"]["segment"]["batch_size"] = -1
    assert scenes.run("inference").code == 0


def test_evaluate_and_what_it_writes(scenes: Scenes) -> None:
    ran = scenes.run("evaluate")
    assert ran.code == 0, ran.text
    folder = scenes.folder / "results/trt_evaluate"
    results = scenes.results
    truth = np.stack([blocks(index) for index in range(5)])
    found = np.stack([scenes.map(str(index), "evaluate") for index in range(5)])
    table = [[int(((truth == i) & (found == j)).sum()) for j in range(2)] for i in range(2)]
    assert results["confusion_matrix"] == table
    iou = [table[i][i] / (sum(table[i]) + table[0][i] + table[1][i] - table[i][i]) for i in range(2)]
    assert results["miou"] == pytest.approx(np.mean(iou), abs=1e-6)
    assert {"acc", "mf1", "mprecision", "mrecall", "iou_1", "F1_0", "precision_1", "recall_0"} <= set(results)
    assert status_lines(folder)[-1]["kpi"]["miou"] == results["miou"]
    assert "unchanged" in ran.out and "miou" in ran.out
    row = Image.open(folder / "combined_visualisation/0.png.jpg")
    assert row.size == (4 * SIZE[1] + 3 * 10, SIZE[0])
    assert (folder / "0.png.jpg").is_file()
    assert Image.open(folder / "confusion_matrix.png").format == "PNG"


def test_scoring_at_the_network_s_size(scenes: Scenes) -> None:
    """At 16 x 16 each cell is 2 x 2 pixels on both sides: every pixel agrees, and masks keep their two values."""
    ran = scenes.run("evaluate", "evaluate.map_size=network")
    assert ran.code == 0, ran.text
    assert sum(map(sum, scenes.results["confusion_matrix"])) == 5 * 16 * 16
    assert scenes.results["miou"] == pytest.approx(1, abs=1e-6)
    assert scenes.map("0", "evaluate").shape == (16, 16)


def test_masks_of_any_size_at_the_network_s_size(scenes: Scenes) -> None:
    small = blocks(9, size=(8, 8))
    scenes.add("9.png", blocks(9), small)
    ran = scenes.run("evaluate")
    assert ran.code == 3
    assert "label/9.png: the mask is 8 x 8, its picture 48 x 32" in ran.err
    assert "evaluate.map_size=network" in ran.err
    assert scenes.results["num_samples"] == 5
    assert scenes.run("evaluate", "evaluate.map_size=network").code == 0
    assert scenes.results["miou"] == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("precision", ["FP32", "FP16"])
def test_three_subtasks(scenes: Scenes, precision: str) -> None:
    ran = scenes.run("gen_trt_engine", f"gen_trt_engine.tensorrt.data_type={precision}")
    assert ran.code == 0, ran.text
    assert "1x3x16x16 | 1x3x16x16 | 8x3x16x16" in ran.out  # largest batch 8 by default
    engine = scenes.folder / "x.engine"
    assert scenes.run("evaluate", f"evaluate.trt_engine={engine}", "evaluate.map_size=network").code == 0
    assert scenes.results["miou"] == pytest.approx(1, abs=1e-6)


def test_verify_judges_maps(scenes: Scenes) -> None:
    ran = scenes.run("gen_trt_engine", "gen_trt_engine.verify=true", "gen_trt_engine.tensorrt.data_type=FP16")
    assert ran.code == 0, ran.text
    assert "predictions agree" in ran.out


def test_many_classes_in_colours_that_do_not_change(tmp_path: Path) -> None:
    scenes = Scenes(tmp_path, classes=5)
    for index in range(3):
        scenes.add(f"{index}.png", blocks(index, 5))
    assert scenes.run("evaluate", "evaluate.map_size=network").code == 0
    assert scenes.results["miou"] == pytest.approx(1, abs=1e-6)
    assert scenes.run("inference").code == 0
    first = (tmp_path / "results/trt_inference/0.png.jpg").read_bytes()
    assert scenes.run("inference").code == 0
    assert (tmp_path / "results/trt_inference/0.png.jpg").read_bytes() == first


def test_landscd_has_its_colours(tmp_path: Path) -> None:
    scenes = Scenes(tmp_path, classes=10)
    scenes.add("a.png", np.full(SIZE, 4, np.uint8))
    scenes.spec["dataset"]["segment"]["data_name"] = "LandSCD"
    assert scenes.run("inference").code == 0
    pixels = np.asarray(Image.open(tmp_path / "results/trt_inference/a.png.jpg")).reshape(-1, 3)
    np.testing.assert_allclose(pixels.mean(axis=0), (218, 112, 214), atol=3)


def test_masks_in_colour_by_the_map(tmp_path: Path) -> None:
    scenes = Scenes(tmp_path, classes=3)
    classes = blocks(1, 3)
    scenes.add("a.png", classes)
    colours = {0: [0, 0, 0], 1: [255, 0, 0], 2: [0, 0, 255]}
    Image.fromarray(np.array(list(colours.values()), np.uint8)[classes]).save(tmp_path / "data/label/a.png")
    ran = scenes.run("evaluate")
    assert ran.code == 3 and "a mask in colour ((0, 0, 255), (255, 0, 0))" in ran.err.replace("(0, 0, 0), ", "")
    scenes.spec["dataset"]["segment"]["color_map"] = colours
    assert scenes.run("evaluate", "evaluate.map_size=network").code == 0
    assert scenes.results["miou"] == pytest.approx(1, abs=1e-6)


def test_one_line_names_with_blanks_and_folders(tmp_path: Path) -> None:
    scenes = Scenes(tmp_path)
    scenes.add("north side/a 1.jpg", blocks(0))
    ran = scenes.run("evaluate")
    assert ran.code == 0, ran.text
    folder = tmp_path / "results/trt_evaluate"
    assert (folder / "combined_visualisation/north side/a 1.jpg.jpg").is_file()
    assert (folder / "north side/a 1.jpg.jpg").is_file()
    assert (folder / "class_maps/north side/a 1.png").is_file()


def test_previews_show_the_pictures_whatever_the_normalisation(tmp_path: Path) -> None:
    """TAO Deploy undoes 0.5 and 0.5 always."""
    scenes = Scenes(tmp_path, mean=0.2, std=0.3)
    scenes.add("a.png", blocks(0))
    scenes.spec["dataset"]["segment"]["augmentation"] = {"mean": [0.2, 0.3, 0.4], "std": [0.3, 0.3, 0.3]}
    assert scenes.run("inference").code == 0
    assert mostly(scenes.map("a"), blocks(0))
    row = np.asarray(Image.open(tmp_path / "results/trt_inference/combined_visualisation/a.png.jpg"))
    np.testing.assert_allclose(row[:, : SIZE[1]].reshape(-1, 3).mean(axis=0), (0, 80, 0), atol=3)


@pytest.mark.parametrize("mode", ["L", "RGBA", "P"])
def test_other_kinds_of_pictures(tmp_path: Path, mode: str) -> None:
    scenes = Scenes(tmp_path)
    scenes.add("a.png", np.ones(SIZE, np.uint8))
    for part, value in (("A", 0), ("B", 255)):
        Image.new("L", (SIZE[1], SIZE[0]), value).convert(mode).save(tmp_path / f"data/{part}/a.png")
    assert scenes.run("inference").code == 0
    assert (scenes.map("a") == 1).all()


@pytest.mark.parametrize(("final", "maps"), [("output_final", 0), ("output_final", 2), ("6789", 4), ("6789", 0)])
def test_the_last_output_counts_whatever_stands_before_it(tmp_path: Path, final: str, maps: int) -> None:
    scenes = Scenes(tmp_path, final=final, maps=maps)
    scenes.add("a.png", blocks(3))
    assert scenes.run("inference").code == 0
    assert mostly(scenes.map("a"), blocks(3))


def test_open_height_and_width(tmp_path: Path) -> None:
    scenes = Scenes(tmp_path, spatial="s")
    scenes.add("a.png", blocks(3))
    scenes.spec["dataset"]["segment"]["img_size"] = 32
    ran = scenes.run("gen_trt_engine")
    assert ran.code == 0 and "1x3x32x32 | 1x3x32x32 | 8x3x32x32" in ran.out
    assert scenes.run("inference", f"inference.trt_engine={tmp_path / 'x.engine'}").code == 0
    assert mostly(scenes.map("a"), blocks(3))


def test_a_size_that_the_model_fixes_is_said_once(tmp_path: Path) -> None:
    scenes = Scenes(tmp_path)
    scenes.add("a.png", blocks(3))
    scenes.spec["dataset"]["segment"]["img_size"] = 48
    ran = scenes.run("gen_trt_engine")
    assert ran.code == 0 and ran.text.count("the spec's 48 has no effect") == 1
    assert "H of input 'input0', W of input 'input0', H of input 'input1', W of input 'input1' are fixed to" in ran.text


def test_a_size_that_nobody_asked_for_is_not_said(tmp_path: Path) -> None:
    scenes = Scenes(tmp_path)
    scenes.add("a.png", blocks(3))
    scenes.spec["dataset"]["segment"].pop("img_size", None)
    ran = scenes.run("gen_trt_engine")
    assert ran.code == 0 and "has no effect" not in ran.text


def test_black_and_white_masks_read_as_class_numbers_are_noticed(scenes: Scenes) -> None:
    ran = scenes.run("evaluate", "dataset.segment.label_transform=none")
    assert ran.code == 0 and "[WARNING] No pixel of the masks is of class changed" in ran.out
    assert "For masks of 0 and 255 set dataset.segment.label_transform=norm." in ran.out
    assert "No pixel of the masks" not in scenes.run("evaluate").out


def test_pairs_that_cannot_be_used_do_not_stop_the_others(scenes: Scenes) -> None:
    data = scenes.folder / "data"
    (data / "B/0.png").unlink()
    (data / "A/1.png").write_bytes((data / "A/1.png").read_bytes()[:40])
    Image.fromarray(np.full(SIZE, 7, np.uint8)).save(data / "label/2.png")
    (data / "label/3.png").unlink()
    scenes.names.append("listed.png")
    ran = scenes.run("evaluate")
    assert ran.code == 3
    for text in (
        "B/0.png: no such picture; the other one of the pair is there",
        "A/1.png: ",
        "label/2.png: the mask holds 7; expected 0 and 255 (label_transform: norm).",
        "label/3.png: no such mask.",
        "A/listed.png: no such picture.",
        "5 of 6 samples could not be used; the results are of the other 1.",
    ):
        assert text in ran.err
    assert scenes.results["num_samples"] == 1
    ran = scenes.run("inference")
    assert ran.code == 3 and "3 of 6 samples" in ran.err
    assert sorted(path.stem for path in (scenes.folder / "results/trt_inference/class_maps").iterdir()) == [
        "2",
        "3",
        "4",
    ]


@pytest.mark.parametrize(
    ("override", "code", "message"),
    [
        ("dataset.segment.num_classes=3", 2, "num_classes is 3, but the model's output has 2"),
        ("dataset.segment.root_dir=null", 2, "dataset.segment.root_dir is not set"),
        ("dataset.segment.root_dir=/none", 3, "dataset.segment.root_dir: /none: no such folder"),
        ("dataset.segment.test_split=val", 3, "val.txt: no such file"),
        ("dataset.segment.annotation_folder_name=masks", 3, "annotation_folder_name: "),
        ("dataset.segment.label_transform=other", 2, "'other' is not allowed; expected one of norm, none"),
        ("dataset.segment.color_map={0: [0,0,0]}", 2, "color_map: no colour for class 1"),
        ("evaluate.map_size=half", 2, "'half' is not allowed; expected one of original, network"),
        ("task=detect", 2, "'detect' is not allowed; expected one of segment, classify"),
        ("task=classify", 2, "task is classify, but the model's output is a map: output0 float32[?x2x1x1]."),
    ],
)
def test_bad_input(scenes: Scenes, override: str, code: int, message: str) -> None:
    ran = scenes.run("evaluate", override)
    assert (ran.code, message in ran.err) == (code, True), ran.text


def test_norm_with_many_classes_is_a_contradiction(tmp_path: Path) -> None:
    scenes = Scenes(tmp_path, classes=3)
    scenes.add("a.png", blocks(0, 3))
    ran = scenes.run("evaluate", "dataset.segment.label_transform=norm")
    assert ran.code == 2
    assert "label_transform is norm (masks of 0 and 255), but there are 3 classes" in ran.err


def test_int8_takes_both_pictures(scenes: Scenes) -> None:
    section = "gen_trt_engine.tensorrt"
    calibration = [
        f"{section}.data_type=INT8",
        f"{section}.calibration.cal_image_dir=[{scenes.folder / 'data'}]",
        f"{section}.calibration.cal_batches=5",
        f"{section}.calibration.cal_cache_file={scenes.folder / 'cal.cache'}",
        f"{section}.calibration.cal_algorithm=minmax",
    ]
    ran = scenes.run("gen_trt_engine", *calibration)
    assert ran.code == 0, ran.text
    cache = (scenes.folder / "cal.cache").read_text()
    assert "input0:" in cache and "input1:" in cache
    ran = scenes.run("evaluate", f"evaluate.trt_engine={scenes.folder / 'x.engine'}", "evaluate.map_size=network")
    assert ran.code == 0, ran.text
    assert scenes.results["miou"] > 0.95
    ran = scenes.run("gen_trt_engine", *calibration, "gen_trt_engine.verify=true")  # calibration pairs have no mask
    assert ran.code == 0 and "predictions agree" in ran.out, ran.text
    ran = scenes.run(
        "gen_trt_engine", *calibration, f"{section}.calibration.cal_image_dir=[{scenes.folder / 'data/A'}]"
    )
    assert ran.code == 3
    assert "Name folders that are laid out as dataset.segment.root_dir is." in ran.err


class Units:
    """classify: units of known red per light, golden pictures, a csv, a model and a spec without `task`."""

    def __init__(self, folder: Path, module: str = "euclidean", golden: int = 1, width: int = 0) -> None:
        self.folder, self.golden = folder, golden
        classifier(folder / "model.onnx", (4, 6), 2, module, golden, width)
        self.lines: list[tuple[str, str, str, str]] = []
        model = str(folder / "model.onnx")
        pairs = {"csv_path": str(folder / "pairs.csv"), "images_dir": str(folder / "images")}
        self.spec: dict[str, Any] = {
            "results_dir": str(folder / "results"),
            "model": {"classify": {"eval_margin": 0.5, "difference_module": module}},
            "dataset": {
                "classify": {
                    "test_dataset": pairs, "infer_dataset": dict(pairs), "image_ext": ".png", "batch_size": 2,
                    "num_input": 2, "input_map": {"Low": 0, "White": 1}, "image_width": 6, "image_height": 4,
                    "num_golden": golden,
                }
            },
            "gen_trt_engine": {"onnx_file": model, "trt_engine": str(folder / "x.engine")},
            "evaluate": {"trt_engine": model},
            "inference": {"trt_engine": model},
        }  # fmt: skip

    def add(self, name: str, unit: tuple[int, int], golden: list[tuple[int, int]], label: str) -> None:
        for light, red in zip(("Low", "White"), unit, strict=True):
            picture(self.folder / f"images/units/{name}_{light}.png", (red, 0, 0), (9, 9))
        folder = "golden" if self.golden == 1 else f"golden/{name}"
        for index, reds in enumerate(golden):
            for light, red in zip(("Low", "White"), reds, strict=True):
                stem = name if self.golden == 1 else f"g{index}"
                picture(self.folder / f"images/{folder}/{stem}_{light}.png", (red, 0, 0), (9, 9))
        self.lines.append(("units", folder, name, label))

    def run(self, subtask: str, *overrides: str) -> Ran:
        with (self.folder / "pairs.csv").open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(("input_path", "golden_path", "object_name", "label"))
            rows.writerows(self.lines)
        return run_here("visual_changenet", subtask, "-e", write_yaml(self.folder / "spec.yaml", self.spec), *overrides)

    def scores(self, subtask: str) -> list[str]:
        with (self.folder / f"results/trt_{subtask}/{subtask}.csv").open(encoding="utf-8", newline="") as file:
            return [row["output_score"] for row in csv.DictReader(file)]


@pytest.mark.parametrize(("module", "width"), [("euclidean", 0), ("euclidean", 1), ("learnable", 0)])
@pytest.mark.parametrize("precision", ["FP32", "FP16"])
def test_classify(tmp_path: Path, module: str, width: int, precision: str) -> None:
    units = Units(tmp_path, module, width=width)
    units.add("7", (0, 0), [(0, 0)], "PASS")
    units.add("8", (0, 204), [(0, 0)], "MISSING")
    units.add("9", (51, 0), [(0, 0)], "WRONG")
    assert units.run("gen_trt_engine", f"gen_trt_engine.tensorrt.data_type={precision}").code == 0
    distances = np.array([0, 0.8, 0.2])
    want = distances if module == "euclidean" else 1 / (1 + np.exp(-(40 * distances - 10)))
    for subtask in ("evaluate", "inference"):
        ran = units.run(subtask, f"{subtask}.trt_engine={tmp_path / 'x.engine'}")
        assert ran.code == 0, ran.text
        assert "task is not set; taken to be classify, because only dataset.classify is given" in ran.text
        cells = units.scores(subtask)
        assert not any("[" in cell for cell in cells)  # TAO Deploy writes "[[0.98]]"
        np.testing.assert_allclose([float(cell) for cell in cells], want, atol=1e-4 if precision == "FP32" else 2e-2)
    results = json.loads((tmp_path / "results/trt_evaluate/results.json").read_text())
    assert results["total_accuracy"] == pytest.approx(200 / 3)
    assert results["defect_accuracy"] == 50 and results["false_alarm"] == 0


def test_several_golden_pictures_are_the_same_ones_in_every_run(tmp_path: Path) -> None:
    units = Units(tmp_path, golden=2)
    units.add("1", (0, 0), [(10 * index, 0) for index in range(6)], "PASS")
    units.add("2", (255, 0), [(0, 0)], "WRONG")  # one picture stands for both
    assert units.run("inference").code == 0
    first = units.scores("inference")
    assert units.run("inference", "inference.batch_size=1").code == 0
    assert units.scores("inference") == first
    assert float(first[1]) == pytest.approx(1, abs=1e-5)
    sums = {(a + b) * 10 / 2 / 255 for a in range(6) for b in range(6) if a != b}
    assert min(abs(float(first[0]) - value) for value in sums) < 1e-5
    drawn = set()
    for seed in range(6):
        assert units.run("inference", f"dataset.classify.golden_seed={seed}").code == 0
        drawn.add(units.scores("inference")[0])
    assert len(drawn) > 1


def test_an_empty_golden_folder(tmp_path: Path) -> None:
    units = Units(tmp_path, golden=2)
    units.add("1", (0, 0), [(0, 0)], "PASS")
    units.add("2", (0, 0), [], "PASS")
    (tmp_path / "images/golden/2").mkdir()
    ran = units.run("inference")
    assert ran.code == 3
    assert "golden/2: no golden picture in it; expected *_Low.png, *_White.png." in ran.err
    assert [bool(cell) for cell in units.scores("inference")] == [True, False]


@pytest.mark.parametrize(("module", "other"), [("euclidean", "learnable"), ("learnable", "euclidean")])
def test_a_difference_module_that_is_not_the_model_s(tmp_path: Path, module: str, other: str) -> None:
    units = Units(tmp_path, module)
    units.add("1", (0, 0), [(0, 0)], "PASS")
    ran = units.run("evaluate", f"model.classify.difference_module={other}")
    assert ran.code == 2
    assert f"model.classify.difference_module is {other}: expected" in ran.err
    assert f"Set model.classify.difference_module={module}." in ran.err


def test_another_number_of_golden_pictures_than_the_model_s(tmp_path: Path) -> None:
    units = Units(tmp_path, golden=2)
    units.add("1", (0, 0), [(0, 0)], "PASS")
    ran = units.run("inference", "dataset.classify.num_golden=3")
    assert ran.code == 5
    assert "input_2 float32/float16/bfloat16[Bx3x3xHxW]" in ran.err and "input_2 float32[?x2x3x8x6]" in ran.err
    assert "task: classify, and for dataset.classify.num_golden=3 golden pictures" in ran.err


@pytest.mark.parametrize("golden", [1, 2])
@pytest.mark.parametrize("overrides", [(), ("task=segment",), ("task=classify",)])
def test_an_engine_needs_neither_task_nor_golden_pictures(
    tmp_path: Path, golden: int, overrides: tuple[str, ...]
) -> None:
    """TAO Deploy builds any model; TAO's default_specs write `task: segment`."""
    units = Units(tmp_path, golden=golden)
    units.spec = {key: units.spec[key] for key in ("results_dir", "gen_trt_engine")}
    ran = units.run("gen_trt_engine", *overrides)
    assert ran.code == 0, ran.text
    assert ("task is classify for this engine, not segment" in ran.text) == (overrides != ("task=classify",))
    assert ("num_golden is 2 for this engine, not 1" in ran.text) == (golden == 2)


def test_an_engine_for_segment_whatever_the_task(tmp_path: Path) -> None:
    scenes = Scenes(tmp_path)
    ran = scenes.run("gen_trt_engine", "task=classify")
    assert ran.code == 0 and "task is segment for this engine, not classify" in ran.text, ran.text


def task_of(tmp_path: Path, tree: dict[str, Any]) -> str:
    spec = compose(Spec, write_yaml(tmp_path / "s.yaml", tree)).spec
    NETWORK.adjust(spec)
    return str(spec.task)


def test_which_task(tmp_path: Path) -> None:
    classify, segment = {"classify": {"batch_size": -1}}, {"segment": {"root_dir": "x"}}
    assert task_of(tmp_path, {"dataset": classify}) == "classify"
    assert task_of(tmp_path, {"dataset": segment}) == "segment"
    assert task_of(tmp_path, {"dataset": classify | segment}) == "segment"
    assert task_of(tmp_path, {"dataset": classify, "task": "segment"}) == "segment"
    assert task_of(tmp_path, {"results_dir": "x"}) == "segment"


@pytest.mark.parametrize(("size", "want"), [(1024, 20480), (30000, 30000)])
def test_workspace_of_large_backbones(tmp_path: Path, size: int, want: int) -> None:
    tree = {
        "model": {"backbone": {"type": "vit_large_nvdinov2"}},
        "gen_trt_engine": {"tensorrt": {"workspace_size": size}},
    }
    spec = compose(Spec, write_yaml(tmp_path / "s.yaml", tree)).spec
    NETWORK.adjust(spec)
    assert spec.gen_trt_engine.tensorrt.workspace_size == want


@pytest.mark.parametrize("release", ["5.5", "6.25"])
@pytest.mark.parametrize("task", ["classify", "segment"])
@pytest.mark.parametrize("name", ["gen_trt_engine", "evaluate", "infer"])
def test_users_sample_specs_load(
    sample_specs: Callable[[str, str], Path], release: str, task: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """TAO Deploy 7.3 refuses its own samples for classify: `diff_module`."""
    caplog.set_level("INFO")
    path = sample_specs(release, "visual_changenet") / task / f"{name}.yaml"
    spec = compose(Spec, path, ["results_dir=/r"], NETWORK.migrations).spec
    NETWORK.adjust(spec)
    assert spec.task == task
    if name == "gen_trt_engine":
        assert spec.gen_trt_engine.tensorrt.max_batch_size == 10
        return
    subtask = "inference" if name == "infer" else name
    assert NETWORK.batch_size(spec, subtask) == (4 if task == "classify" or name == "evaluate" else 1)
    if task == "classify":
        assert spec.model.classify.eval_margin == 0.3 and spec.model.classify.difference_module == "euclidean"
        assert "model.classify.diff_module: key of an older release, read as" in caplog.text
        assert list(spec.dataset.classify.input_map) == ["LowAngleLight", "SolderLight", "UniformLight", "WhiteLight"]
