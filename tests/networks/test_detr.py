# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""deformable_detr, dino and rtdetr from the command line, on a model whose answers are known.

The model cuts its input into 4x4 cells. Query k is cell k; its box is the cell; the logit of class c is 20 * v - 10,
where v is the cell's mean in colour channel c, 0..1. For deformable_detr and dino the model undoes the normalisation
first and has a column 0 that never wins. So a picture of coloured cells has known detections, and a wrong normalisation
shows in the score.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import yaml
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from nvidia_tao_deploy.cli import main
from nvidia_tao_deploy.data.coco import OFFICIAL_CATEGORY_IDS, read_coco
from nvidia_tao_deploy.errors import DataError
from nvidia_tao_deploy.metrics.coco import FIGURES
from nvidia_tao_deploy.networks import detr
from nvidia_tao_deploy.spec.compose import compose

NAMES = ("deformable_detr", "dino", "rtdetr")
CLASSES = ("red", "green", "traffic light")
WIDTH, HEIGHT, CELLS = 64, 48, 4
LEVEL = 178
SCORE = 1 / (1 + math.exp(-(20 * LEVEL / 255 - 10)))
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


pytestmark = pytest.mark.usefixtures("logging_as_before")


def first_label(network: str) -> int:
    return 0 if network == "rtdetr" else 1


def model(network: str, batch: int | str = "batch", names: tuple[str, str, str] | None = None, size: int = 32) -> bytes:
    """The ONNX model described above."""
    given, logits, boxes = names or ("inputs", "pred_logits", "pred_boxes")
    centre = (np.arange(CELLS, dtype=np.float32) + 0.5) / CELLS
    cells = np.stack([np.tile(centre, CELLS), np.repeat(centre, CELLS), *[np.full(16, 1 / CELLS)] * 2], axis=1)
    normalised = network != "rtdetr"
    constants = {
        "mean": np.array(MEAN if normalised else (0, 0, 0), np.float32).reshape(1, 3, 1, 1),
        "std": np.array(STD if normalised else (1, 1, 1), np.float32).reshape(1, 3, 1, 1),
        "twenty": np.array(20, np.float32),
        "ten": np.array(10, np.float32),
        "shape": np.array([0, 3, 16], np.int64),
        "pads": np.array([0, 0, first_label(network), 0, 0, 0], np.int64),
        "low": np.array(-30, np.float32),
        "cells": cells[None].astype(np.float32),
        "zero": np.array(0, np.float32),
        "one_column": np.array([0, 0, 0], np.int64),
        "column_ends": np.array([1 << 30, 1 << 30, 1], np.int64),
    }
    nodes = [
        helper.make_node("Mul", [given, "std"], ["scaled"]),
        helper.make_node("Add", ["scaled", "mean"], ["pixels"]),
        helper.make_node("AveragePool", ["pixels"], ["pooled"], kernel_shape=[size // 4] * 2, strides=[size // 4] * 2),
        helper.make_node("Reshape", ["pooled", "shape"], ["columns"]),
        helper.make_node("Transpose", ["columns"], ["values"], perm=[0, 2, 1]),
        helper.make_node("Mul", ["values", "twenty"], ["raised"]),
        helper.make_node("Sub", ["raised", "ten"], ["scores"]),
        helper.make_node("Pad", ["scores", "pads", "low"], [logits]),
        helper.make_node("Slice", ["values", "one_column", "column_ends"], ["column"]),
        helper.make_node("Mul", ["column", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "cells"], [boxes]),
    ]
    graph = helper.make_graph(
        nodes,
        "cells",
        [helper.make_tensor_value_info(given, TensorProto.FLOAT, [batch, 3, size, size])],
        [
            helper.make_tensor_value_info(logits, TensorProto.FLOAT, [batch, 16, 3 + first_label(network)]),
            helper.make_tensor_value_info(boxes, TensorProto.FLOAT, [batch, 16, 4]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(proto, full_check=True)
    return proto.SerializeToString()


class Bench:
    """A folder with a model, pictures of coloured cells, annotations, a class list and a spec."""

    def __init__(self, folder: Path, network: str, pictures: int = 7) -> None:
        self.folder, self.network = folder, network
        self.ids = [1, 2, 3] if network != "rtdetr" else [0, 1, 2]
        self.found: dict[str, list[tuple[int, int]]] = {}
        (folder / "pictures" / "sub").mkdir(parents=True)
        (folder / "model.onnx").write_bytes(model(network))
        (folder / "classes.txt").write_text("\n".join(CLASSES) + "\n")
        rng = np.random.default_rng(3)
        for number in range(pictures):
            cells = rng.choice(16, 3, replace=False).tolist()
            name = f"{'sub/' if number % 2 else ''}{number // 2}.png"
            self.found[name] = [(cell, int(rng.integers(3))) for cell in cells]
            self.paint(name)
        self.annotate()
        self.write_spec()

    def paint(self, name: str) -> None:
        picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        for cell, colour in self.found[name]:
            left, top, right, bottom = map(int, self.corners(cell))
            picture[top:bottom, left:right, colour] = LEVEL
        Image.fromarray(picture).save(self.folder / "pictures" / name)

    def corners(self, cell: int) -> tuple[float, float, float, float]:
        row, column = divmod(cell, CELLS)
        return column * 16.0, row * 12.0, column * 16.0 + 16, row * 12.0 + 12

    def annotate(self, category_ids: list[int] | None = None, wrong: int = 0) -> None:
        """All cells as boxes; the first `wrong` of them with the category of another class."""
        ids = category_ids or self.ids
        boxes = []
        for image, cells in enumerate(self.found.values()):
            for cell, colour in cells:
                left, top, right, bottom = self.corners(cell)
                category = ids[(colour + 1) % 3] if len(boxes) < wrong else ids[colour]
                box = [left, top, right - left, bottom - top]
                entry = {"id": len(boxes) + 1, "image_id": image + 50, "category_id": category, "bbox": box}
                boxes.append({**entry, "area": 192, "iscrowd": 0})
        images = [
            {"id": image + 50, "file_name": name, "width": WIDTH, "height": HEIGHT}
            for image, name in enumerate(self.found)
        ]
        categories = [{"id": i, "name": name} for i, name in zip(ids, CLASSES, strict=False)]
        self.truth = self.folder / "truth.json"
        self.truth.write_text(json.dumps({"images": images, "annotations": boxes, "categories": categories}))

    def write_spec(self) -> None:
        spec = {
            "results_dir": str(self.folder / "results"),
            "dataset": {
                "batch_size": 3,
                "test_data_sources": {"image_dir": str(self.folder / "pictures"), "json_file": str(self.truth)},
                "infer_data_sources": {
                    "image_dir": str(self.folder / "pictures"),
                    "classmap": str(self.folder / "classes.txt"),
                },
            },
            "gen_trt_engine": {
                "onnx_file": str(self.folder / "model.onnx"),
                "trt_engine": str(self.folder / "model.engine"),
                "backend": "onnxruntime",
                "tensorrt": {"max_batch_size": 8},
            },
            "evaluate": {"trt_engine": str(self.folder / "model.engine")},
            "inference": {"trt_engine": str(self.folder / "model.engine"), "color_map": {"red": "blue"}},
        }
        (self.folder / "spec.yaml").write_text(yaml.safe_dump(spec))

    def run(self, subtask: str, *overrides: str) -> int:
        return main(self.network, [subtask, "-e", str(self.folder / "spec.yaml"), *overrides])

    def results(self) -> dict[str, float]:
        return json.loads((self.folder / "results" / "trt_evaluate" / "results.json").read_text())

    def labels(self, name: str) -> list[list[str]]:
        path = (self.folder / "results" / "trt_inference" / "labels" / name).with_suffix(".txt")
        return [line.split(" ") for line in path.read_text().splitlines()]

    def last_status(self, sub: str) -> dict[str, Any]:
        return json.loads((self.folder / "results" / sub / "status.json").read_text().splitlines()[-1])


@pytest.fixture(params=NAMES)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    made = Bench(tmp_path, request.param)
    assert made.run("gen_trt_engine") == 0
    return made


def test_the_three_commands(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.run("evaluate") == 0
    shown = capsys.readouterr().out
    figures = bench.results()
    assert list(figures) == [
        "AP", "AP50", "AP75", "APs", "APm", "APl", "ARmax1", "ARmax10", "ARmax100", "ARs", "ARm", "ARl",
    ]  # fmt: skip
    assert (figures["AP"], figures["APs"], figures["APm"]) == (pytest.approx(1), pytest.approx(1), -1)
    assert "on 7 pictures" in shown
    assert "traffic light" in shown
    assert bench.last_status("trt_evaluate")["kpi"]["AP"] == pytest.approx(1)

    assert bench.run("inference") == 0
    for name, cells in bench.found.items():
        rows = bench.labels(name)
        wanted = {(CLASSES[c].replace(" ", "_"), *(f"{v:.3f}" for v in bench.corners(cell))) for cell, c in cells}
        assert {(row[0], *row[4:8]) for row in rows} == wanted
        assert all(float(row[15]) == pytest.approx(SCORE, abs=6e-4) for row in rows)
        with Image.open(bench.folder / "results" / "trt_inference" / "images_annotated" / name) as image:
            assert image.size == (WIDTH, HEIGHT)


def test_evaluate_equals_pycocotools_on_wrong_annotations(bench: Bench) -> None:
    """The figures from the files that inference writes, scored by pycocotools."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    bench.annotate(wrong=6)
    assert bench.run("evaluate") == 0
    assert bench.run("inference", "inference.conf_threshold=0") == 0
    rows = []
    for image, name in enumerate(bench.found):
        for row in bench.labels(name):
            if row[0] == "class_0":
                continue
            x1, y1, x2, y2, score = (float(row[column]) for column in (4, 5, 6, 7, 15))
            category = bench.ids[[c.replace(" ", "_") for c in CLASSES].index(row[0])]
            box = [x1, y1, x2 - x1, y2 - y1]
            rows.append({"image_id": image + 50, "category_id": category, "bbox": box, "score": score})
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(bench.truth))
        judge = COCOeval(truth, truth.loadRes(rows), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    assert 0.3 < bench.results()["AP"] < 0.95
    np.testing.assert_allclose(list(bench.results().values()), judge.stats, atol=1e-9)


@pytest.mark.parametrize("size", [1, 2, 7, 8, 50])
def test_every_picture_counts_whatever_the_batch_size(bench: Bench, size: int, capsys: pytest.CaptureFixture) -> None:
    bench.annotate(wrong=6)
    assert bench.run("evaluate") == 0
    wanted = bench.results()
    assert bench.run("evaluate", f"dataset.batch_size={size}") == 0
    assert "on 7 pictures" in capsys.readouterr().out
    assert bench.results() == wanted
    assert bench.run("inference", f"dataset.batch_size={size}") == 0
    assert len(list((bench.folder / "results" / "trt_inference" / "labels").rglob("*.txt"))) == 7


@pytest.mark.parametrize("bench", ["dino"], indirect=True)
def test_model_with_a_fixed_batch(bench: Bench) -> None:
    (bench.folder / "fixed.onnx").write_bytes(model(bench.network, batch=4))
    assert bench.run("evaluate", f"evaluate.trt_engine={bench.folder}/fixed.onnx", "dataset.batch_size=1") == 0
    assert bench.results()["AP"] == pytest.approx(1)


@pytest.mark.parametrize("bench", ["dino"], indirect=True)
def test_a_batch_size_of_nothing(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.run("evaluate", "dataset.batch_size=-1") == 2
    shown = capsys.readouterr().err
    assert "The batch size must be at least 1; found -1." in shown
    assert "Set evaluate.batch_size, or batch_size in the section of the data set." in shown


@pytest.mark.parametrize("bench", ["deformable_detr"], indirect=True)
def test_tensors_with_other_names_are_found_by_position(bench: Bench) -> None:
    (bench.folder / "other.onnx").write_bytes(model(bench.network, names=("x", "scores_out", "boxes_out")))
    assert bench.run("evaluate", f"evaluate.trt_engine={bench.folder}/other.onnx") == 0
    assert bench.results()["AP"] == pytest.approx(1)


@pytest.mark.parametrize("bench", ["deformable_detr", "dino"], indirect=True)
def test_mean_and_std_of_the_spec_hold_for_evaluate_and_inference(bench: Bench) -> None:
    """With mean 0 and std 1 the model, which undoes ImageNet's, sees v = x * std + mean."""
    changed = ("dataset.augmentation.input_mean=[0,0,0]", "dataset.augmentation.input_std=[1,1,1]")
    assert bench.run("inference", *changed, "inference.conf_threshold=0") == 0
    name, ((_, colour), *_) = next(iter(bench.found.items()))
    best = float(
        max((row for row in bench.labels(name) if row[0] == CLASSES[colour].replace(" ", "_")), key=lambda r: r[15])[15]
    )
    value = LEVEL / 255 * STD[colour] + MEAN[colour]
    assert best == pytest.approx(1 / (1 + math.exp(10 - 20 * value)), abs=6e-4)
    spec = compose(detr.NETWORKS[bench.network].schema, bench.folder / "spec.yaml", changed).spec
    binding = detr.signature(spec).bind(*tensors(bench), "model", DataError)
    rows = [np.empty((3, 32, 32), np.float32) for _ in range(3)]
    for row, subtask in zip(rows, ("gen_trt_engine", "evaluate", "inference"), strict=True):
        prepare = detr.NETWORKS[bench.network].prepare(spec, binding, subtask)
        prepare(read_coco(bench.truth).samples([str(bench.folder / "pictures")])[0], {"inputs": row})
    assert (rows[0] == rows[1]).all()
    assert (rows[0] == rows[2]).all()
    assert 0 <= rows[0].min() < rows[0].max() <= 1


def tensors(bench: Bench) -> tuple[tuple, tuple]:
    from nvidia_tao_deploy.graph import model as graph

    loaded = graph.load(bench.folder / "model.onnx")
    return tuple(loaded.inputs), tuple(loaded.outputs)


@pytest.mark.parametrize("bench", ["rtdetr"], indirect=True)
def test_rtdetr_takes_no_mean_from_the_spec(bench: Bench) -> None:
    given = "dataset.augmentation.input_mean=[0.485,0.456,0.406]"
    assert bench.run("evaluate", given) == 0
    assert bench.results()["AP"] == pytest.approx(1)
    spec = compose(detr.NETWORKS["rtdetr"].schema, bench.folder / "spec.yaml", (given,)).spec
    binding = detr.signature(spec).bind(*tensors(bench), "model", DataError)
    sample = read_coco(bench.truth).samples([str(bench.folder / "pictures")])[0]
    row = np.empty((3, 32, 32), np.float32)
    for subtask in ("gen_trt_engine", "evaluate", "inference"):  # INT8 is calibrated on what the model runs on
        detr.NETWORKS["rtdetr"].prepare(spec, binding, subtask)(sample, {"inputs": row})
        assert (row.min(), row.max()) == (0, pytest.approx(LEVEL / 255))


@pytest.mark.parametrize("bench", ["rtdetr"], indirect=True)
def test_rtdetr_preserve_aspect_ratio(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    """64 x 48 becomes 32 x 24 in an input of 32 x 32, whose lower quarter is zeros: the model's cells are then 16 x 16
    pixels of the picture, four by three."""
    key = "dataset.augmentation.preserve_aspect_ratio=true"
    name = next(iter(bench.found))
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    picture[32:48, 16:32, 1] = LEVEL
    Image.fromarray(picture).save(bench.folder / "pictures" / name)
    assert bench.run("inference", key) == 0
    assert capsys.readouterr().out.count("pictures keep it here; TAO Deploy stretches them") == 1
    (row,) = bench.labels(name)
    assert (row[0], *row[4:8]) == ("green", "16.000", "32.000", "32.000", "48.000")
    assert float(row[15]) == pytest.approx(SCORE, abs=6e-4)
    truth = json.loads(bench.truth.read_text())
    truth["annotations"] = [{**truth["annotations"][0], "category_id": 1, "bbox": [16, 32, 16, 16], "area": 256}]
    truth["images"] = truth["images"][:1]
    bench.truth.write_text(json.dumps(truth))
    assert bench.run("evaluate", key) == 0
    assert bench.results()["AP"] == pytest.approx(1)


@pytest.mark.parametrize("k", [2, 1000])
def test_num_select_holds_for_evaluate_and_inference(bench: Bench, k: int) -> None:
    assert bench.run("evaluate", f"model.num_select={k}") == 0
    # three boxes per picture with one score: the best two of them are found
    assert bench.results()["ARmax100"] == pytest.approx(1) if k == 1000 else bench.results()["ARmax100"] < 0.8
    assert bench.run("inference", f"model.num_select={k}", "inference.conf_threshold=0") == 0
    assert all(len(bench.labels(name)) == min(k, 16 * (3 + first_label(bench.network))) for name in bench.found)


def test_contiguous_labels(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.annotate(category_ids=[4, 17, 900])
    assert bench.run("evaluate") == 0
    assert bench.results()["AP"] == 0
    shown = capsys.readouterr().out
    assert "3 annotated categories have an id beyond the model's labels" in shown
    assert "set dataset.contiguous_labels=true" in shown
    assert bench.run("evaluate", "dataset.contiguous_labels=true") == 0
    assert bench.results()["AP"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("network", "labels", "wanted"),
    [
        ("dino", 3, [1, 2, 3]),  # no room for a background label
        ("dino", 4, [-1, 1, 2, 3]),
        ("dino", 6, [-1, 1, 2, 3, -1, -1]),
        ("dino", 2, [-1, 1]),
        ("rtdetr", 3, [1, 2, 3]),
        ("rtdetr", 4, [1, 2, 3, -1]),
    ],
)
def test_contiguous_labels_table(network: str, labels: int, wanted: list[int], tmp_path: Path) -> None:
    made = Bench(tmp_path, network)
    made.annotate(category_ids=[1, 2, 3])
    spec = detr.NETWORKS[network].schema()
    spec.dataset.contiguous_labels = True
    assert family(network).category_ids(spec, read_coco(made.truth), labels).tolist() == wanted


def family(network: str) -> detr.Family:
    return detr.NETWORKS[network].prepare.__self__  # type: ignore[attr-defined]


@pytest.mark.parametrize("bench", ["rtdetr"], indirect=True)
def test_rtdetr_remap_mscoco_category(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.annotate(category_ids=[1, 2, 3])
    assert bench.run("evaluate") == 0
    assert bench.results()["AP"] < 0.5
    assert bench.run("evaluate", "dataset.remap_mscoco_category=true") == 0
    assert bench.results()["AP"] == pytest.approx(1)
    assert bench.run("evaluate", "dataset.remap_mscoco_category=true", "dataset.contiguous_labels=true") == 2
    assert "are both true" in capsys.readouterr().err


def test_rtdetr_remap_table_and_the_hint_to_use_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = Bench(tmp_path, "rtdetr")
    content = json.loads(made.truth.read_text())
    content["categories"] = [{"id": i, "name": str(i)} for i in OFFICIAL_CATEGORY_IDS]
    made.truth.write_text(json.dumps({**content, "annotations": [{**content["annotations"][0], "category_id": 90}]}))
    truth, spec = read_coco(made.truth), detr.RtdetrSpec()
    with caplog.at_level(logging.WARNING):
        assert family("rtdetr").category_ids(spec, truth, 80).tolist() == list(range(80))
    assert "beyond the model's labels 0 to 79, so they are never found: 90." in caplog.text
    assert "set dataset.remap_mscoco_category=true" in caplog.text
    spec.dataset.remap_mscoco_category = True
    caplog.clear()
    assert family("rtdetr").category_ids(spec, truth, 82).tolist() == [*OFFICIAL_CATEGORY_IDS, -1, -1]
    assert not caplog.records


@pytest.mark.parametrize("annotated", [1, 3])
def test_a_listed_id_beyond_the_labels_is_told_whether_annotated_or_not(
    annotated: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Ids from 1 for a model that counts from 0: every label is off by one, also where the last class has no box."""
    made = Bench(tmp_path, "rtdetr")
    made.annotate(category_ids=[1, 2, 3])
    content = json.loads(made.truth.read_text())
    boxes = [{**content["annotations"][0], "category_id": annotated}]
    made.truth.write_text(json.dumps({**content, "annotations": boxes}))
    with caplog.at_level(logging.WARNING):
        family("rtdetr").category_ids(detr.RtdetrSpec(), read_coco(made.truth), 3)
    which = "annotated" if annotated == 3 else "listed"
    assert (
        f"1 {which} categories have an id beyond the model's labels 0 to 2, so they are never found: 3." in caplog.text
    )
    assert "set dataset.contiguous_labels=true" in caplog.text


def test_rtdetr_remap_with_categories_that_are_not_cocos(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = Bench(tmp_path, "rtdetr")
    made.annotate(category_ids=[0, 12, 90])
    spec = detr.RtdetrSpec()
    spec.dataset.remap_mscoco_category = True
    with caplog.at_level(logging.WARNING):
        family("rtdetr").category_ids(spec, read_coco(made.truth), 80)
    assert f"but {made.truth} has other categories, which are never found: id 0, 12." in caplog.text


def test_eval_class_ids(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.run("evaluate", f"dataset.eval_class_ids=[{bench.ids[1]}]") == 0
    shown = capsys.readouterr().out
    assert "green" in shown
    assert "traffic light" not in shown
    assert bench.run("evaluate", "dataset.eval_class_ids=[77]") == 3
    assert "[77] are no categories" in capsys.readouterr().err


@pytest.mark.parametrize("bench", ["rtdetr"], indirect=True)
def test_rtdetr_background_filler_line(bench: Bench) -> None:
    (bench.folder / "classes.txt").write_text("background\n" + "\n".join(CLASSES))
    assert bench.run("inference") == 0
    names = {row[0] for name in bench.found for row in bench.labels(name)}
    assert names == {"red", "green", "traffic_light"}


def test_short_class_list_keeps_all_boxes(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    (bench.folder / "classes.txt").write_text("red\n")
    assert bench.run("inference") == 0
    assert "have a label that the class list does not name" in capsys.readouterr().out
    assert all(len(bench.labels(name)) == len(cells) for name, cells in bench.found.items())
    names = {row[0] for name in bench.found for row in bench.labels(name)}
    assert names == {"red", f"class_{1 + first_label(bench.network)}", f"class_{2 + first_label(bench.network)}"}


@pytest.mark.parametrize(
    ("subtask", "override", "code", "message"),
    [
        ("evaluate", "dataset.test_data_sources.json_file=none.json", 3, "none.json: no such annotation file"),
        ("evaluate", "dataset.test_data_sources.json_file=null", 2, "dataset.test_data_sources.json_file is not set"),
        (
            "evaluate",
            "dataset.test_data_sources.image_dir=/nowhere",
            3,
            "/nowhere (dataset.test_data_sources.image_dir)",
        ),
        ("evaluate", "dataset.test_data_sources.image_dir=[]", 3, "7 of 7 pictures do not exist"),
        ("evaluate", "model.num_select=0", 2, "model.num_select"),
        ("evaluate", "evaluate.conf_treshold=0.5", 2, "no such key"),
        ("inference", "dataset.infer_data_sources.image_dir=null", 2, "dataset.infer_data_sources.image_dir"),
        ("inference", "dataset.infer_data_sources.image_dir=/nowhere", 3, "/nowhere"),
        ("inference", "dataset.infer_data_sources.classmap=none.txt", 3, "none.txt: no such file"),
        ("inference", "inference.conf_threshold=1.5", 2, "inference.conf_threshold"),
        ("inference", "inference.color_map={red: bleu}", 2, "inference.color_map.red: 'bleu' is no colour"),
        ("inference", "inference.outline_width=0", 2, "inference.outline_width"),
    ],
)
@pytest.mark.parametrize("bench", ["dino"], indirect=True)
def test_wrong_input(
    bench: Bench, subtask: str, override: str, code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench.run(subtask, override) == code
    assert message in capsys.readouterr().err
    folder = bench.folder / "results" / f"trt_{subtask}"
    assert bench.last_status(f"trt_{subtask}")["status"] == "FAILURE"
    assert {path.name for path in folder.rglob("*") if path.is_file()} <= {"status.json", "experiment.yaml"}


@pytest.mark.parametrize("bench", ["deformable_detr"], indirect=True)
def test_wrong_statistics(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.run("evaluate", "dataset.augmentation.input_std=[0.2,0,0.2]") == 2
    assert "dataset.augmentation.input_std: [0.2, 0.0, 0.2]" in capsys.readouterr().err
    assert bench.run("evaluate", "dataset.augmentation.input_mean=[0.5]") == 2
    assert "dataset.augmentation.input_mean: [0.5]: expected 3 values" in capsys.readouterr().err


@pytest.mark.parametrize("bench", ["dino"], indirect=True)
def test_more_names_than_labels(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    (bench.folder / "classes.txt").write_text("\n".join("abcde"))
    assert bench.run("inference") == 3
    assert "5 class names, but the model has 4 labels (0 to 3)" in capsys.readouterr().err


@pytest.mark.parametrize("bench", ["rtdetr"], indirect=True)
def test_one_broken_picture_does_not_stop_inference(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    (bench.folder / "pictures" / "sub" / "broken.jpg").write_bytes(b"")
    assert bench.run("inference") == 3
    assert "1 of 8 samples could not be used" in capsys.readouterr().err
    assert len(list((bench.folder / "results" / "trt_inference" / "labels").rglob("*.txt"))) == 7


@pytest.mark.parametrize("bench", ["dino"], indirect=True)
def test_figures_of_a_part_of_the_pictures_say_so(bench: Bench) -> None:
    assert bench.run("evaluate") == 0
    assert "num_failed" not in bench.results()
    next((bench.folder / "pictures").rglob("*.png")).write_bytes(b"")
    assert bench.run("evaluate") == 3
    assert list(bench.results()) == [*FIGURES, "num_failed"] and bench.results()["num_failed"] == 1


@pytest.mark.parametrize("bench", ["dino"], indirect=True)
def test_sizes_in_the_file_do_not_move_boxes(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    content = json.loads(bench.truth.read_text())
    for image in content["images"]:
        image.update(width=WIDTH + 1, height=10)
    bench.truth.write_text(json.dumps(content))
    assert bench.run("evaluate") == 0
    assert bench.results()["AP"] == pytest.approx(1)
    said = capsys.readouterr().out
    assert "the shape of 7 pictures is not the annotated one" in said and "exif_orientation" not in said


@pytest.mark.parametrize("bench", ["rtdetr"], indirect=True)
def test_exif_orientation_is_off_unless_asked_for(bench: Bench) -> None:
    name = next(iter(bench.found))
    with Image.open(bench.folder / "pictures" / name) as image:
        turned = image.transpose(Image.Transpose.ROTATE_90)  # EXIF 6: to be turned back by 270 degrees
        exif = Image.Exif()
        exif[0x0112] = 6
        turned.save(bench.folder / "pictures" / name, exif=exif)
    annotated = bench.folder / "results" / "trt_inference" / "images_annotated" / name
    assert bench.run("inference") == 0
    with Image.open(annotated) as image:
        assert image.size == (HEIGHT, WIDTH)
    assert bench.run("inference", "dataset.augmentation.exif_orientation=true") == 0
    with Image.open(annotated) as image:
        assert image.size == (WIDTH, HEIGHT)
    wanted = {tuple(f"{v:.3f}" for v in bench.corners(cell)) for cell, _ in bench.found[name]}
    assert {tuple(row[4:8]) for row in bench.labels(name)} == wanted


@pytest.mark.parametrize(
    ("backbone", "given", "wanted"),
    [
        ("vit_large_dinov2", 1024, 20480),
        ("vit_large_nvdinov2", 20479, 20480),
        ("vit_large_dinov2", 20480, 20480),
        ("vit_large_dinov2", 22000, 22000),  # TAO Deploy lowers this one
        ("vit_large_dinov2", 30000, 30000),
        ("vit_large_dinov2", 40, 40960),  # GB
        ("vit_large_dinov2", 8, 20480),
        ("resnet_50", 1024, 1024),
    ],
)
@pytest.mark.parametrize("network", ["dino", "rtdetr"])
def test_workspace_is_raised_but_never_lowered(network: str, backbone: str, given: int, wanted: int) -> None:
    spec = detr.NETWORKS[network].schema()
    spec.model.backbone, spec.gen_trt_engine.tensorrt.workspace_size = backbone, given
    detr.NETWORKS[network].adjust(spec)
    assert spec.gen_trt_engine.tensorrt.workspace_size == wanted


@pytest.mark.parametrize("network", NAMES)
def test_picture_size_must_be_fixed(network: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = Bench(tmp_path, network)
    proto = onnx.load_from_string(model(network))
    for axis in (2, 3):
        proto.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = f"axis{axis}"
    onnx.save(proto, tmp_path / "open.onnx")
    assert made.run("evaluate", f"evaluate.trt_engine={tmp_path}/open.onnx") == 5
    assert "leaves its picture size open" in capsys.readouterr().err


# Keys that users' specs of releases 5.5 and 6.25 have, beside those of `Bench`.
TRAINING_KEYS = {
    "model": {
        "backbone": "fan_small", "train_backbone": True, "pretrained_backbone_path": "???", "dec_layers": 6,
        "return_interm_indices": [1, 2, 3], "num_feature_levels": 4, "num_queries": 900, "with_box_refine": True,
        "dropout_ratio": 0.0, "dim_feedforward": 2048, "aux_loss": False,
    },
    "dataset": {
        "num_classes": 4, "workers": 8, "eval_class_ids": [1], "augmentation": {"input_std": [0.229, 0.224, 0.225]},
    },
    "evaluate": {"conf_threshold": 0.0, "input_width": 960, "input_height": 544},
    "inference": {"conf_threshold": 0.5, "input_width": 960, "input_height": 544, "color_map": {"person": "green"}},
    "gen_trt_engine": {
        "gpu_id": 0, "input_channel": 3, "input_width": 960, "input_height": 544,
        "tensorrt": {
            "data_type": "int8", "workspace_size": 1024, "min_batch_size": 1, "opt_batch_size": 10,
            "max_batch_size": 10,
            "calibration": {
                "cal_image_dir": ["???"], "cal_cache_file": "???", "cal_batch_size": 10, "cal_batches": 1000,
            },
        },
    },
    "train": {"optim": {"lr": 0.0002}}, "export": {"opset_version": 17}, "encryption_key": "???",
}  # fmt: skip


@pytest.mark.parametrize("network", NAMES)
def test_specs_of_older_releases_load(network: str, tmp_path: Path) -> None:
    (tmp_path / "old.yaml").write_text(yaml.safe_dump(TRAINING_KEYS))
    composed = compose(detr.NETWORKS[network].schema, tmp_path / "old.yaml")
    spec = composed.spec
    assert spec.dataset.eval_class_ids == [1]
    assert spec.inference.color_map == {"person": "green"}
    assert spec.gen_trt_engine.tensorrt.data_type == "INT8"
    assert {"model.num_queries", "evaluate.input_width", "gen_trt_engine.input_channel"} <= set(composed.ignored)


@pytest.mark.parametrize(
    ("release", "network"),
    [("5.5", "deformable_detr"), ("5.5", "dino"), *[("6.25", name) for name in NAMES]],
)
def test_sample_specs_load_unchanged(release: str, network: str, sample_specs: Callable[[str, str], Path]) -> None:
    files = sorted(sample_specs(release, network).glob("*.yaml"))
    assert len(files) == 3
    for path in files:
        written = yaml.safe_load(path.read_text())
        spec = compose(detr.NETWORKS[network].schema, path).spec
        assert spec.dataset.batch_size == written["dataset"]["batch_size"]
        assert spec.inference.color_map == written.get("inference", {}).get("color_map")


def test_defaults_that_differ() -> None:
    batches = [detr.NETWORKS[name].schema().gen_trt_engine.tensorrt.max_batch_size for name in NAMES]
    assert batches == [1, 1, 4]
    assert {detr.NETWORKS[name].schema().model.num_select for name in NAMES} == {300}


@pytest.mark.parametrize("subtask", ["evaluate", "inference"])
def test_one_box_for_each_query(subtask: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = Bench(tmp_path, "dino")
    proto = onnx.load_from_string(model("dino"))
    proto.graph.node[-1].output[0] = "more"
    for name, values in (("from", [0]), ("to", [15]), ("along", [1])):
        proto.graph.initializer.append(numpy_helper.from_array(np.array(values, np.int64), name))
    proto.graph.node.append(helper.make_node("Slice", ["more", "from", "to", "along"], ["pred_boxes"]))
    proto.graph.output[1].type.tensor_type.shape.dim[1].dim_value = 15
    onnx.save(proto, tmp_path / "other.onnx")
    assert made.run(subtask, f"{subtask}.trt_engine={tmp_path}/other.onnx") == 5
    assert "The model scores 16 queries and gives boxes of 15" in capsys.readouterr().err
