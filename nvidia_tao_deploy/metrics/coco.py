# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""The COCO box metric of `evaluate`: collects detections, scores them, reports the twelve figures."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence

import numpy as np

from nvidia_tao_deploy.data.coco import CocoAnnotations
from nvidia_tao_deploy.errors import DataError
from nvidia_tao_deploy.metrics import coco_ap
from nvidia_tao_deploy.network import Frame, Report, Table
from nvidia_tao_deploy.predictions import Detections

logger = logging.getLogger(__name__)

FIGURES = {
    "AP": "mean over IoU 0.50 to 0.95",
    "AP50": "IoU 0.50",
    "AP75": "IoU 0.75",
    "APs": "small objects, below 32x32 pixels",
    "APm": "medium objects",
    "APl": "large objects, above 96x96 pixels",
    "ARmax1": "recall with 1 detection per picture and class",
    "ARmax10": "recall with 10",
    "ARmax100": "recall with 100",
    "ARs": "recall with 100, small objects",
    "ARm": "recall with 100, medium objects",
    "ARl": "recall with 100, large objects",
}
"""Names in results.json, in TAO Deploy's order, and what they mean."""


class _Columns:
    """Detections of all pictures so far in arrays that grow by doubling: 28 bytes per detection."""

    def __init__(self) -> None:
        self.count = 0
        self.image = np.empty(1024, np.int32)
        self.category = np.empty(1024, np.int32)
        self.score = np.empty(1024, np.float32)
        self.boxes = np.empty((1024, 4), np.float32)

    def append(self, image: np.ndarray | int, category: np.ndarray, score: np.ndarray, boxes: np.ndarray) -> None:
        end = self.count + len(score)
        if end > len(self.score):
            capacity = max(end, 2 * len(self.score))
            for name in ("image", "category", "score", "boxes"):
                old = getattr(self, name)
                new = np.empty((capacity, *old.shape[1:]), old.dtype)
                new[: self.count] = old[: self.count]
                setattr(self, name, new)
        rows = slice(self.count, end)
        self.image[rows], self.category[rows], self.score[rows], self.boxes[rows] = image, category, score, boxes
        self.count = end


class CocoMetric:
    """COCO average precision and recall of boxes, on the pictures that were updated.

    Args:
        truth: the annotations; each sample's target is the index of its picture in them.
        category_ids: category id of label 0, 1, ...; a negative id for a label that is no category.
        eval_class_ids: the only categories that count; None for all.
    """

    def __init__(
        self, truth: CocoAnnotations, category_ids: np.ndarray, eval_class_ids: Sequence[int] | None = None
    ) -> None:
        self._truth = truth
        counted = _counted(truth, eval_class_ids)
        self._counted = np.flatnonzero(counted)
        # label -> column of the counted categories; -1: left out by eval_class_ids; -2: no category of the file
        column = np.where(counted, np.cumsum(counted) - 1, -1)
        known, place = np.isin(category_ids, truth.category_ids), np.searchsorted(truth.category_ids, category_ids)
        self._column = np.where(known, column[np.minimum(place, len(column) - 1)], -2).astype(np.int32)
        self._columns = _Columns()
        self._scored = np.zeros(len(truth.image_ids), bool)
        self._unknown: Counter[int] = Counter()
        self._seen = 0
        self._resized: list[str] = []
        self._other_size: list[str] = []
        self._turned = 0

    def update(self, frame: Frame, prediction: Detections) -> None:
        """Add the detections of one picture."""
        index = frame.sample.target
        self._scored[index] = True
        self._seen += len(prediction)
        labels = prediction.labels
        column = self._column[np.minimum(labels, len(self._column) - 1)]
        column = np.where(labels < len(self._column), column, -2)
        if (column == -2).any():
            self._unknown.update(labels[column == -2].tolist())
        keep = column >= 0
        boxes = self._in_annotated_pixels(frame, prediction.boxes[keep])
        self._columns.append(index, column[keep], prediction.scores[keep], boxes)

    def _in_annotated_pixels(self, frame: Frame, boxes: np.ndarray) -> np.ndarray:
        """Boxes (N,4) in the pixels that the annotations count in: those of the size that the file says where the
        picture was resized since, those of the picture where the file says a size that it cannot have had."""
        height, width = self._truth.sizes[frame.sample.target].tolist()
        if not height or (height, width) == frame.size:
            return boxes
        remark = f"{frame.sample.name}: {frame.size[1]}x{frame.size[0]}, annotated as {width}x{height}"
        if same_shape(frame.size, (height, width)):
            self._resized.append(remark)
            across, down = width / frame.size[1], height / frame.size[0]
            return boxes * np.asarray([across, down, across, down], np.float32)
        self._other_size.append(remark)
        self._turned += frame.size == (width, height)
        return boxes

    def merge(self, other: CocoMetric) -> None:
        """Add what another metric on the same annotations collected on other pictures."""
        rows = slice(other._columns.count)
        columns = other._columns
        self._columns.append(columns.image[rows], columns.category[rows], columns.score[rows], columns.boxes[rows])
        self._scored |= other._scored
        self._unknown.update(other._unknown)
        self._seen += other._seen
        self._resized += other._resized
        self._other_size += other._other_size
        self._turned += other._turned

    def compute(self) -> Report:
        """The twelve figures and the average precision of each class.

        Raises:
            DataError: no picture was scored, or no annotated box counts.
        """
        if not self._scored.any():
            raise DataError(f"{self._truth.source}: no picture could be scored.")
        truth = self._ground_truth()
        if not len(truth):
            raise DataError(f"{self._truth.source}: the pictures scored have no box of the categories that count.")
        self._warn()
        curves = coco_ap.evaluate(truth, self._detected(), len(self._counted))
        figures = dict(zip(FIGURES, _figures(curves), strict=True))
        return Report(kpi=figures, results=figures, tables=(self._summary(figures), self._per_class(curves, truth)))

    def _order(self) -> np.ndarray:
        """Rank of each picture by id: ties of score between pictures are broken as COCOeval does."""
        rank = np.empty(len(self._scored), np.int64)
        rank[np.argsort(self._truth.image_ids, kind="stable")] = np.arange(len(rank))
        return rank

    def _ground_truth(self) -> coco_ap.GroundTruth:
        truth = self._truth
        column = np.full(len(truth.category_ids), -1)
        column[self._counted] = np.arange(len(self._counted))
        category = column[truth.box_category]
        keep = self._scored[truth.box_image] & (category >= 0)
        image = self._order()[truth.box_image[keep]]
        return coco_ap.GroundTruth(image, category[keep], truth.xywh[keep], truth.area[keep], truth.crowd[keep])

    def _detected(self) -> coco_ap.Detected:
        rows, columns = slice(self._columns.count), self._columns
        xywh = columns.boxes[rows].astype(np.float64)
        xywh[:, 2:] -= xywh[:, :2]
        return coco_ap.Detected(self._order()[columns.image[rows]], columns.category[rows], xywh, columns.score[rows])

    def _warn(self) -> None:
        if self._resized:
            logger.warning(
                "%s: %d pictures are larger or smaller than annotated; their boxes are scaled to the annotated size "
                "(first: %s)",
                self._truth.source, len(self._resized), self._resized[0],
            )  # fmt: skip
        if self._other_size:
            turned = (
                f" Of {self._turned} width and height are exchanged: if the annotations are of pictures turned as "
                "their EXIF data says, set dataset.augmentation.exif_orientation=true."
                if self._turned
                else ""
            )
            logger.warning(
                "%s: the shape of %d pictures is not the annotated one; boxes are scaled to the size read, so "
                "annotations in pixels of another size match nothing (first: %s).%s",
                self._truth.source, len(self._other_size), self._other_size[0], turned,
            )  # fmt: skip
        if self._unknown:
            count = sum(self._unknown.values())
            most = ", ".join(f"{label} ({times})" for label, times in self._unknown.most_common(5))
            level = logging.WARNING if count == self._seen else logging.INFO
            logger.log(
                level, "%s: %d of %d detections have a label that is no category there and do not count: label %s",
                self._truth.source, count, self._seen, most,
            )  # fmt: skip

    def _summary(self, figures: dict[str, float]) -> Table:
        rows = tuple((name, _shown(value), FIGURES[name]) for name, value in figures.items())
        pictures = int(self._scored.sum())
        return Table(f"COCO box metric on {pictures:,} pictures", ("figure", "value", "meaning"), rows)

    def _per_class(self, curves: coco_ap.Curves, truth: coco_ap.GroundTruth) -> Table:
        boxes = np.bincount(truth.category, minlength=len(self._counted))
        rows = tuple(
            (
                int(self._truth.category_ids[index]),
                self._truth.category_names[index],
                int(boxes[column]),
                _shown(coco_ap.mean(curves.precision[:, :, column, 0])),
                _shown(coco_ap.mean(curves.precision[0, :, column, 0])),
            )
            for column, index in enumerate(self._counted)
        )
        return Table("Average precision per class", ("id", "class", "boxes", "AP", "AP50"), rows)


def same_shape(first: tuple[int, int], second: tuple[int, int]) -> bool:
    """Whether a picture of one size (height, width) can be the other resized: equal proportions, up to a pixel."""
    scale = max(second) / max(first)
    tolerance = max(scale, 1)  # a resized side is a whole number of pixels
    if min(second) < 4 * tolerance:
        return False  # of a few pixels, 1x1 put in for an unknown size say, any picture has the shape
    return all(abs(scale * before - after) <= tolerance for before, after in zip(first, second, strict=True))


def _counted(truth: CocoAnnotations, eval_class_ids: Sequence[int] | None) -> np.ndarray:
    if not eval_class_ids:
        return np.ones(len(truth.category_ids), bool)
    unknown = sorted(set(eval_class_ids) - set(truth.category_ids.tolist()))
    known = ", ".join(map(str, truth.category_ids[:20])) + (", ..." if len(truth.category_ids) > 20 else "")
    if len(unknown) == len(set(eval_class_ids)):
        raise DataError(
            f"dataset.eval_class_ids: {unknown} are no categories of {truth.source}; its categories are {known}."
        )
    if unknown:
        logger.warning("dataset.eval_class_ids: %s are no categories of %s", unknown, truth.source)
    return np.isin(truth.category_ids, list(eval_class_ids))


def _figures(curves: coco_ap.Curves) -> list[float]:
    precision, recall, mean = curves.precision, curves.recall, coco_ap.mean
    return [
        mean(precision[:, :, :, 0]),
        mean(precision[0, :, :, 0]),
        mean(precision[5, :, :, 0]),
        *(mean(precision[:, :, :, area]) for area in (1, 2, 3)),
        *(mean(recall[:, :, 0, number]) for number in (0, 1, 2)),
        *(mean(recall[:, :, area, 2]) for area in (1, 2, 3)),
    ]


def _shown(value: float) -> float | str:
    """COCO's -1 (no annotated box to judge by) as a dash."""
    return value if value >= 0 else "-"
