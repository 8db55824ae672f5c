# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Precision, recall and F-measure of text detection, matched as in ICDAR 2015 (task 4.1) by intersection over union."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nvidia_tao_deploy.data.text_detection import TextTruth
from nvidia_tao_deploy.errors import DataError
from nvidia_tao_deploy.network import Frame, Report, Table
from nvidia_tao_deploy.predictions import TextRegions

if TYPE_CHECKING:
    import numpy as np

IOU_LIMIT = 0.5
"""A pair above it is a match."""
IGNORED_SHARE = 0.5
"""A detection with a larger part of its area inside an ignored region counts neither for nor against."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What one picture adds: matched pairs, detections and ground-truth regions that count, ignored ones of both."""

    matched: int
    detected: int
    labelled: int
    detected_ignored: int = 0
    labelled_ignored: int = 0


class RegionScores:
    """Metric over all pictures: sums of matches, detections and ground-truth regions.

    Regions are compared in pixels of the network input, ground truth truncated and detections rounded to whole pixels:
    with squashed pictures this gives TAO's figures, while areas in the original picture would differ slightly.

    Args:
        resize_truth: False when the ground truth is already in pixels of the network input.
    """

    def __init__(self, resize_truth: bool = True) -> None:
        self._resize_truth = resize_truth
        self._totals = dict.fromkeys(("pictures", *Counts.__dataclass_fields__), 0)

    def update(self, frame: Frame, prediction: TextRegions) -> None:
        import numpy as np

        truth: TextTruth = frame.sample.target
        labelled = truth.polygons
        if self._resize_truth:
            labelled = tuple(frame.geometry.to_input(polygon) for polygon in labelled)
        counts = match(
            [np.trunc(polygon) for polygon in labelled],
            truth.ignored,
            [np.rint(frame.geometry.to_input(polygon)) for polygon in prediction.polygons],
        )
        self._totals["pictures"] += 1
        for name in Counts.__dataclass_fields__:
            self._totals[name] += getattr(counts, name)

    def merge(self, other: RegionScores) -> None:
        for name, value in other._totals.items():
            self._totals[name] += value

    def compute(self) -> Report:
        totals = self._totals
        if not totals["pictures"]:
            raise DataError("No picture was scored.")
        precision = totals["matched"] / totals["detected"] if totals["detected"] else 0.0
        recall = totals["matched"] / totals["labelled"] if totals["labelled"] else 0.0
        values = {
            "Precision": precision,
            "Recall": recall,
            "F-measure": 2 * precision * recall / (precision + recall + 1e-8),
        }
        rows = (
            *values.items(),
            ("pictures", totals["pictures"]),
            ("regions labelled", totals["labelled"]),
            ("regions detected", totals["detected"]),
            ("matched (IoU > 0.5)", totals["matched"]),
            ("labelled, ignored", totals["labelled_ignored"]),
            ("detected, ignored", totals["detected_ignored"]),
        )
        return Report(kpi=values, results=values, tables=(Table("text detection", ("measure", "value"), rows),))


def match(labelled: list[np.ndarray], ignored: tuple[bool, ...], detected: list[np.ndarray]) -> Counts:
    """Match the regions of one picture.

    Pairs are taken greedily in order of ground truth, then detections, one to one; ground truth that is ignored, and
    detections that lie in it, take no part. Invalid polygons (crossed, or without area) are left out on both sides.

    Args:
        labelled, detected: polygons (K,2) x y.
        ignored: one flag per labelled polygon.
    """
    import numpy as np
    import shapely

    truth, flags = _valid(labelled, ignored)
    found, _ = _valid(detected, (False,) * len(detected))
    overlap = _intersections(truth, found)
    truth_area, found_area = shapely.area(truth), shapely.area(found)
    in_ignored = (overlap[flags] > IGNORED_SHARE * found_area).any(axis=0)
    iou = overlap / (truth_area[:, None] + found_area[None] - overlap)
    candidates = (iou > IOU_LIMIT) & ~flags[:, None] & ~in_ignored[None]
    taken = np.zeros(len(found), bool)
    for row in candidates[candidates.any(axis=1)]:
        free = np.flatnonzero(row & ~taken)
        if free.size:
            taken[free[0]] = True
    return Counts(
        matched=int(taken.sum()),
        detected=int((~in_ignored).sum()),
        labelled=int((~flags).sum()),
        detected_ignored=int(in_ignored.sum()),
        labelled_ignored=int(flags.sum()),
    )


def _valid(polygons: list[np.ndarray], flags: tuple[bool, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Shapely geometries of the valid polygons, and their flags."""
    import numpy as np
    import shapely

    sizes = [len(polygon) for polygon in polygons]
    if not sizes:
        return np.empty(0, object), np.empty(0, bool)
    owners = np.repeat(np.arange(len(sizes)), sizes)
    geometries = shapely.polygons(shapely.linearrings(np.concatenate(polygons), indices=owners))
    valid = shapely.is_valid(geometries)
    return geometries[valid], np.array(flags, bool)[valid]


def _intersections(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(N,M) areas of intersection; only pairs whose bounding boxes meet are computed."""
    import numpy as np
    import shapely

    areas = np.zeros((len(first), len(second)))
    if areas.size:
        rows, columns = shapely.STRtree(second).query(first)
        areas[rows, columns] = shapely.area(shapely.intersection(first[rows], second[columns]))
    return areas
