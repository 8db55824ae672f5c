# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""The COCO metric against pycocotools, which shares no code with ours."""

from __future__ import annotations

import contextlib
import io
import json
import logging
from pathlib import Path

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from nvidia_tao_deploy.data.coco import read_coco
from nvidia_tao_deploy.errors import DataError
from nvidia_tao_deploy.metrics import coco_ap
from nvidia_tao_deploy.metrics.coco import FIGURES, CocoMetric, same_shape
from nvidia_tao_deploy.network import Frame, Sample
from nvidia_tao_deploy.predictions import Detections
from nvidia_tao_deploy.transforms.geometry import Geometry

SIZE = (400, 300)  # width, height
SIDES = (5, 20, 31, 32, 33, 60, 95, 96, 97, 150)  # around the limits of small, medium and large


class Case:
    """Random annotations and detections, as a COCO file and as Detections per picture.

    Image ids are shuffled and sparse, scores repeat, many boxes repeat exactly, some annotations are crowds.
    """

    def __init__(self, seed: int, folder: Path) -> None:
        rng = np.random.default_rng(seed)
        pictures, self.classes = int(rng.integers(1, 9)), int(rng.integers(1, 6))
        self.ids = rng.permutation(np.arange(100, 100 + 3 * pictures))[:pictures].tolist()
        self.category_ids = sorted(rng.choice(20, self.classes, replace=False).tolist())
        self.annotations: list[dict] = []
        self.detections: dict[int, Detections] = {}
        most = int(rng.choice([0, 3, 30, 200]))
        for image_id in self.ids:
            boxes = self._annotate(rng, image_id)
            self.detections[image_id] = self._detect(rng, boxes, int(rng.integers(0, most + 1)))
        if not self.annotations:
            self._add(self.ids[0], self.category_ids[0], [10, 10, 50, 50], 2500, 0)
        images = [{"id": i, "file_name": f"{i}.png", "width": SIZE[0], "height": SIZE[1]} for i in self.ids]
        categories = [{"id": i, "name": f"c{i}"} for i in self.category_ids]
        self.content = {"images": images, "annotations": self.annotations, "categories": categories}
        self.path = folder / "truth.json"
        self.path.write_text(json.dumps(self.content))

    def _add(self, image_id: int, category: int, box: list[int], area: float, crowd: int) -> None:
        number = len(self.annotations) + 1
        self.annotations.append(
            {"id": number, "image_id": image_id, "category_id": category, "bbox": box, "area": area, "iscrowd": crowd}
        )

    def _annotate(self, rng: np.random.Generator, image_id: int) -> list[tuple[int, list[int]]]:
        found = []
        for _ in range(rng.integers(0, 9)):
            box = [*rng.integers(0, 120, 2).tolist(), *rng.choice(SIDES, 2).tolist()]
            category = int(rng.choice(self.category_ids))
            self._add(image_id, category, box, box[2] * box[3] * float(rng.choice([1, 0.7])), int(rng.random() < 0.15))
            found.append((category, box))
        return found

    def _detect(self, rng: np.random.Generator, truth: list[tuple[int, list[int]]], count: int) -> Detections:
        boxes, scores, labels = np.zeros((count, 4)), np.round(rng.random(count), 2), np.zeros(count, np.int64)
        for row in range(count):
            if truth and rng.random() < 0.7:
                labels[row], box = truth[rng.integers(len(truth))]
                boxes[row] = np.round(np.array(box) + rng.choice([0, 0, 1, 4, 10]) * rng.normal(size=4))
            else:
                labels[row], boxes[row] = rng.choice(self.category_ids), np.round(rng.uniform(0, 100, 4))
        boxes[:, 2:] = boxes[:, :2] + np.maximum(boxes[:, 2:], 0)
        order = np.argsort(-scores, kind="stable")
        return Detections(boxes[order].astype(np.float32), scores[order].astype(np.float32), labels[order])

    def metric(self, eval_class_ids: list[int] | None = None) -> CocoMetric:
        return CocoMetric(read_coco(self.path), np.arange(20), eval_class_ids)

    def frame(self, image_id: int, size: tuple[int, int] = SIZE[::-1]) -> Frame:
        return Frame(Sample(f"{image_id}.png", Path(f"{image_id}.png"), self.ids.index(image_id)), size, Geometry())

    def update(self, metric: CocoMetric, image_ids: list[int]) -> CocoMetric:
        for image_id in image_ids:
            metric.update(self.frame(image_id), self.detections[image_id])
        return metric

    def reference(self, image_ids: list[int] | None = None, category_ids: list[int] | None = None) -> COCOeval:
        """pycocotools on the same data."""
        rows = [
            {"image_id": i, "category_id": int(label), "bbox": [*box[:2], *(box[2:] - box[:2])], "score": float(score)}
            for i in (image_ids or self.ids)
            for box, score, label in zip(
                self.detections[i].boxes.astype(float),
                self.detections[i].scores,
                self.detections[i].labels,
                strict=True,
            )
        ]
        with contextlib.redirect_stdout(io.StringIO()):
            truth = COCO(str(self.path))
            found = truth.loadRes(rows) if rows else COCO()
            judge = COCOeval(truth, found, "bbox")
            if image_ids is not None:
                judge.params.imgIds = image_ids
            if category_ids is not None:
                judge.params.catIds = category_ids
            judge.evaluate()
            judge.accumulate()
            judge.summarize()
        return judge


@pytest.mark.parametrize("seed", range(60))
def test_equals_pycocotools(seed: int, tmp_path: Path) -> None:
    case = Case(seed, tmp_path)
    report = case.update(case.metric(), case.ids).compute()
    assert list(report.results) == list(FIGURES)
    np.testing.assert_allclose(list(report.results.values()), case.reference().stats, atol=1e-12)


@pytest.mark.parametrize("seed", range(60, 70))
def test_curves_equal_pycocotools(seed: int, tmp_path: Path) -> None:
    case = Case(seed, tmp_path)
    metric = case.update(case.metric(), case.ids)
    curves = coco_ap.evaluate(metric._ground_truth(), metric._detected(), case.classes)
    judge = case.reference()
    np.testing.assert_allclose(curves.precision, judge.eval["precision"][..., -1], atol=1e-12)
    np.testing.assert_allclose(curves.recall, judge.eval["recall"], atol=1e-12)


def test_crowded_pictures_are_computed_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coco_ap, "PAIRS_AT_ONCE", 7)
    case = Case(4, tmp_path)
    report = case.update(case.metric(), case.ids).compute()
    np.testing.assert_allclose(list(report.results.values()), case.reference().stats, atol=1e-12)


@pytest.mark.parametrize("later", ["left", "right"])
def test_of_two_boxes_overlapped_alike_the_later_one_is_taken(later: str, tmp_path: Path) -> None:
    """The better detection lies between two boxes; the other one fits the right box alone."""
    case = Case(5, tmp_path)
    first, category = case.ids[0], case.category_ids[0]
    boxes = [[0, 0, 10, 10], [4, 0, 10, 10]][:: 1 if later == "right" else -1]
    case.annotations = [
        {"id": n + 1, "image_id": first, "category_id": category, "bbox": box, "area": 100, "iscrowd": 0}
        for n, box in enumerate(boxes)
    ]
    case.path.write_text(json.dumps({**case.content, "annotations": case.annotations}))
    found = np.array([[2, 0, 12, 10], [4, 0, 14, 10]], np.float32)
    empty = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))
    case.detections = dict.fromkeys(case.ids, empty)
    case.detections[first] = Detections(found, np.array([0.9, 0.8], np.float32), np.array([category] * 2))
    report = case.update(case.metric(), case.ids).compute()
    np.testing.assert_allclose(list(report.results.values()), case.reference().stats, atol=1e-12)
    assert report.results["AP50"] == pytest.approx(1 if later == "left" else 51 / 101)


def test_only_the_pictures_that_were_seen_count(tmp_path: Path) -> None:
    case = Case(5, tmp_path)
    seen = [image_id for image_id in case.ids if any(a["image_id"] == image_id for a in case.annotations)][:2]
    assert len(seen) < len(case.ids)
    report = case.update(case.metric(), seen).compute()
    np.testing.assert_allclose(list(report.results.values()), case.reference(image_ids=seen).stats, atol=1e-12)


def test_eval_class_ids_limit_the_categories(tmp_path: Path) -> None:
    case = Case(13, tmp_path)
    chosen = case.category_ids[1:3]
    assert len(chosen) == 2 < case.classes
    report = case.update(case.metric(chosen), case.ids).compute()
    np.testing.assert_allclose(list(report.results.values()), case.reference(category_ids=chosen).stats, atol=1e-12)
    assert [row[0] for row in report.tables[1].rows] == chosen


def test_eval_class_ids_that_do_not_exist(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    case = Case(11, tmp_path)
    with pytest.raises(
        DataError, match=r"eval_class_ids: \[77\] are no categories of .*truth\.json; its categories are"
    ):
        case.metric([77])
    with caplog.at_level(logging.WARNING):
        case.metric([77, case.category_ids[0]])
    assert "[77] are no categories" in caplog.text


@pytest.mark.parametrize("parts", [2, 3])
def test_merge_is_the_union_whatever_the_order(parts: int, tmp_path: Path) -> None:
    case = Case(7, tmp_path)
    whole = case.update(case.metric(), case.ids).compute()
    shards = [case.update(case.metric(), case.ids[part::parts]) for part in range(parts)][::-1]
    for other in shards[1:]:
        shards[0].merge(other)
    assert shards[0].compute() == whole


def test_per_class_table_is_pycocotools_run_per_class(tmp_path: Path) -> None:
    case = Case(13, tmp_path)
    rows = case.update(case.metric(), case.ids).compute().tables[1].rows
    assert len(rows) == case.classes
    for category, name, boxes, ap, ap50 in rows:
        stats = case.reference(category_ids=[category]).stats
        assert name == f"c{category}"
        assert boxes == sum(a["category_id"] == category for a in case.annotations)
        for shown, wanted in ((ap, stats[0]), (ap50, stats[1])):
            assert shown == "-" if wanted < 0 else shown == pytest.approx(wanted)


def test_labels_outside_the_categories_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    case = Case(3, tmp_path)
    clean = case.update(case.metric(), case.ids).compute()
    metric = case.update(case.metric(), case.ids)
    stray = next(i for i in range(20) if i not in case.category_ids)
    extra = Detections(np.zeros((3, 4), np.float32), np.ones(3, np.float32), np.array([stray, 500, 500]))
    metric.update(case.frame(case.ids[0]), extra)
    with caplog.at_level(logging.INFO):
        assert metric.compute().results == clean.results
    assert "3 of " in caplog.text
    assert f"label 500 (2), {stray} (1)" in caplog.text


def test_size_that_differs_from_the_file_is_reported_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    case = Case(3, tmp_path)
    metric = case.metric()
    for image_id in case.ids:
        metric.update(case.frame(image_id, (SIZE[0], SIZE[1])), case.detections[image_id])
    with caplog.at_level(logging.WARNING):
        metric.compute()
    lines = [record.getMessage() for record in caplog.records if "shape of" in record.getMessage()]
    assert len(lines) == 1
    assert f"the shape of {len(case.ids)} pictures is not the annotated one" in lines[0]
    assert f"{case.ids[0]}.png: 300x400, annotated as 400x300" in lines[0]
    assert f"Of {len(case.ids)} width and height are exchanged" in lines[0]
    assert "set dataset.augmentation.exif_orientation=true" in lines[0]


@pytest.mark.parametrize("scale", [0.5, 2])
def test_resized_pictures_are_scored_in_annotated_pixels(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, scale: float
) -> None:
    """As TAO Deploy, which knows of no other size."""
    case = Case(5, tmp_path)
    metrics = case.metric(), case.metric()
    for number, image_id in enumerate(case.ids):
        found = case.detections[image_id]
        moved = Detections((found.boxes * scale).astype(np.float32), found.scores, found.labels)
        metrics[number % 2].update(case.frame(image_id, (int(SIZE[1] * scale), int(SIZE[0] * scale))), moved)
    metrics[0].merge(metrics[1])
    with caplog.at_level(logging.WARNING):
        report = metrics[0].compute()
    np.testing.assert_allclose(list(report.results.values()), case.reference().stats, atol=1e-12)
    assert f"{len(case.ids)} pictures are larger or smaller than annotated" in caplog.text
    assert "the shape of" not in caplog.text


@pytest.mark.parametrize(
    ("read", "annotated", "same"),
    [
        ((540, 960), (1080, 1920), True),
        ((403, 428), (201, 214), True),  # 201.5 rounded either way
        ((403, 428), (202, 214), True),
        ((640, 1137), (720, 1280), True),  # 1137.8 rounded down
        ((300, 400), (400, 300), False),
        ((480, 640), (640, 640), False),
        ((300, 400), (310, 400), False),
        ((403, 428), (1, 1), False),  # put in for an unknown size
    ],
)
def test_same_shape(read: tuple[int, int], annotated: tuple[int, int], same: bool) -> None:
    assert same_shape(read, annotated) == same_shape(annotated, read) == same


def test_nothing_scored_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no picture could be scored") as caught:
        Case(3, tmp_path).metric().compute()
    assert caught.value.exit_code == 3


def test_pictures_without_boxes_alone_are_an_error(tmp_path: Path) -> None:
    case = Case(5, tmp_path)
    empty = {**case.content, "annotations": [a for a in case.annotations if a["image_id"] != case.ids[0]]}
    case.path.write_text(json.dumps(empty))
    with pytest.raises(DataError, match="have no box of the categories that count"):
        case.update(case.metric(), case.ids[:1]).compute()


def test_prints_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    case = Case(3, tmp_path)
    case.update(case.metric(), case.ids).compute()
    assert capfd.readouterr() == ("", "")


def test_figures_without_objects_of_a_size_are_minus_one_and_shown_as_a_dash(tmp_path: Path) -> None:
    case = Case(3, tmp_path)
    content = {
        **case.content,
        "annotations": [{**case.annotations[0], "bbox": [0, 0, 10, 10], "area": 100, "iscrowd": 0}],
    }
    case.path.write_text(json.dumps(content))
    report = case.update(case.metric(), case.ids).compute()
    assert report.results["APl"] == report.results["ARm"] == -1.0
    assert {row[0]: row[1] for row in report.tables[0].rows}["APl"] == "-"
