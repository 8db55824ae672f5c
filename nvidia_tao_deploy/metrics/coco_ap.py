# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""COCO average precision and recall of boxes: the figures of pycocotools' COCOeval, computed on arrays.

Definition: https://cocodataset.org/#detection-eval. The evaluators on PyPI make a Python dict per detection, which
can take longer than running the network; here nothing is done per detection in Python. Equality with pycocotools is
a test.

Three facts keep the work small. A detection that overlaps no box of its class by at least 0.5 can never be matched,
so only the others ("candidates") take part in matching. Detections of different (picture, class) pairs do not
compete, so the n-th candidates of all pairs are matched in one step. And precision only falls between two
candidates, so it is needed at candidates only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALL_THRESHOLDS = np.linspace(0.0, 1.0, 101)
MAX_DETECTIONS = (1, 10, 100)
"""Best detections per picture and class that count, for the three averages of recall; precision uses the last."""

AREAS = ((0.0, 1e10), (0.0, 32.0**2), (32.0**2, 96.0**2), (96.0**2, 1e10))
"""Bounds in square pixels, inclusive: all, small, medium, large."""

PAIRS_AT_ONCE = 2_000_000
"""Overlaps computed in one go: bounds the memory for crowded pictures."""


@dataclass(frozen=True, slots=True)
class Boxes:
    """Boxes of many pictures, as arrays of equal length.

    Attributes:
        image: (N,) int, index of the picture; ties of score are broken in this order.
        category: (N,) int, index of the class.
        xywh: (N,4) float64, left, top, width, height in pixels.
    """

    image: np.ndarray
    category: np.ndarray
    xywh: np.ndarray

    def __len__(self) -> int:
        return len(self.image)


@dataclass(frozen=True, slots=True)
class GroundTruth(Boxes):
    """Annotated boxes.

    Attributes:
        area: (N,) float64, square pixels (of the object, which may be less than its box).
        crowd: (N,) bool, regions where detections count neither as right nor as wrong.
    """

    area: np.ndarray
    crowd: np.ndarray


@dataclass(frozen=True, slots=True)
class Detected(Boxes):
    """Detections. `score`: (N,) float, higher is better."""

    score: np.ndarray


@dataclass(frozen=True, slots=True)
class Curves:
    """What COCOeval calls `eval`; -1 where a class has no annotated box in an area range.

    Attributes:
        precision: (10 IoU thresholds, 101 recall thresholds, classes, 4 area ranges), with 100 detections.
        recall: (10 IoU thresholds, classes, 4 area ranges, 3 numbers of detections).
    """

    precision: np.ndarray
    recall: np.ndarray


@dataclass(frozen=True, slots=True)
class _Matches:
    """Candidates in order of picture, class and score.

    Attributes:
        detection: (N,) index of the detection.
        matched, ignored: (N, areas, IoU thresholds) bool; ignored: matched to a box that does not count.
    """

    detection: np.ndarray
    matched: np.ndarray
    ignored: np.ndarray


def evaluate(truth: GroundTruth, detected: Detected, classes: int) -> Curves:
    """Precision and recall of `detected` against `truth`; both are limited to the pictures and classes that count.

    Args:
        classes: number of classes; category indices are below it.
    """
    truth = _sorted_truth(truth, classes)
    detected, rank = _best_per_pair(detected, classes)
    matches = _match(truth, detected, classes)
    return _accumulate(truth, detected, rank, matches, classes)


def mean(values: np.ndarray) -> float:
    """Mean of the figures that exist; -1 when none does."""
    known = values[values > -1]
    return float(known.mean()) if known.size else -1.0


def _sorted_truth(truth: GroundTruth, classes: int) -> GroundTruth:
    order = np.argsort(truth.image.astype(np.int64) * classes + truth.category, kind="stable")
    return GroundTruth(
        truth.image[order], truth.category[order], truth.xywh[order], truth.area[order], truth.crowd[order]
    )


def _best_per_pair(detected: Detected, classes: int) -> tuple[Detected, np.ndarray]:
    """Detections by picture, class and falling score, at most 100 per (picture, class), and their rank in the pair."""
    pair = detected.image.astype(np.int64) * classes + detected.category
    order = np.lexsort((-detected.score, pair))
    rank = _place_in_run(pair[order])
    keep = rank < MAX_DETECTIONS[-1]
    order = order[keep]
    best = Detected(
        detected.image[order],
        detected.category[order],
        detected.xywh[order].astype(np.float64, copy=False),
        detected.score[order],
    )
    return best, rank[keep]


def _place_in_run(values: np.ndarray) -> np.ndarray:
    """For each element its place (from 0) in its run of equal values."""
    starts = _run_starts(values)
    lengths = np.diff(np.append(starts, len(values)))
    return np.arange(len(values)) - np.repeat(starts, lengths)


def _run_starts(values: np.ndarray) -> np.ndarray:
    if not len(values):
        return np.zeros(0, np.int64)
    return np.flatnonzero(np.concatenate(([True], values[1:] != values[:-1])))


def _match(truth: GroundTruth, detected: Detected, classes: int) -> _Matches:
    """Greedy matching: in order of score, each detection takes the free box of its class that it overlaps most."""
    detection, box, iou = _overlaps(truth, detected, classes)
    # Per detection by overlap; of equal overlaps COCOeval takes the box that comes later in the file.
    order = np.lexsort((box, iou, detection))
    detection, box, iou = detection[order], box[order], iou[order]
    place = _place_in_run(detection) + 1
    candidates, first = np.unique(detection, return_index=True)
    pair = detected.image[candidates].astype(np.int64) * classes + detected.category[candidates]
    turn = _place_in_run(pair)

    ignored_box = truth.crowd[:, None] | ~_in_range(truth.area)
    taken = np.zeros((len(truth), len(AREAS), len(IOU_THRESHOLDS)), bool)
    matched = np.zeros((len(candidates), len(AREAS), len(IOU_THRESHOLDS)), bool)
    ignored = np.zeros_like(matched)
    counts = np.diff(np.append(first, len(detection)))
    for now in _turns(turn):
        edges = np.repeat(first[now] - np.cumsum(counts[now]) + counts[now], counts[now]) + np.arange(counts[now].sum())
        starts = np.cumsum(counts[now]) - counts[now]
        boxes = box[edges]
        free = ~taken[boxes] | truth.crowd[boxes, None, None]
        allowed = (iou[edges, None] >= IOU_THRESHOLDS)[:, None, :] & free
        # a box that counts is preferred to one that does not, whatever the overlap
        preference = place[edges, None] + np.where(ignored_box[boxes], 0, len(detection) + 1)
        best = np.maximum.reduceat(np.where(allowed, preference[:, :, None], 0), starts, axis=0)
        hit = best > 0
        chosen = boxes[starts[:, None, None] + np.where(hit, (best - 1) % (len(detection) + 1), 0)]
        _, area, threshold = np.nonzero(hit)
        taken[chosen[hit], area, threshold] = True
        matched[now] = hit
        ignored[now] = hit & ignored_box[chosen, np.arange(len(AREAS))[:, None]]
    return _Matches(candidates, matched, ignored)


def _turns(turn: np.ndarray) -> Iterator[np.ndarray]:
    """Indices of the first candidates of all pairs, then of the second ones, and so on."""
    order = np.argsort(turn, kind="stable")
    yield from np.split(order, np.flatnonzero(np.diff(turn[order])) + 1) if len(turn) else ()


def _overlaps(truth: GroundTruth, detected: Detected, classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(detection, box, IoU) of all that overlap by at least the lowest threshold, within a picture and class."""
    box_pair = truth.image.astype(np.int64) * classes + truth.category
    pair = detected.image.astype(np.int64) * classes + detected.category
    first = np.searchsorted(box_pair, pair, "left")
    count = np.searchsorted(box_pair, pair, "right") - first
    with_boxes = np.flatnonzero(count)
    parts = [(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))]
    for some in _pieces(with_boxes, count[with_boxes]):
        detection = np.repeat(some, count[some])
        box = np.repeat(first[some], count[some]) + _place_in_run(detection)
        iou = _iou(detected.xywh[detection], truth.xywh[box], truth.crowd[box])
        near = iou >= IOU_THRESHOLDS[0]
        parts.append((detection[near], box[near], iou[near]))
    detection, box, iou = (np.concatenate(part) for part in zip(*parts, strict=True))
    return detection, box, iou


def _pieces(items: np.ndarray, weights: np.ndarray) -> list[np.ndarray]:
    """`items` in pieces of about PAIRS_AT_ONCE total weight."""
    return np.split(items, np.flatnonzero(np.diff(np.cumsum(weights) // PAIRS_AT_ONCE)) + 1) if len(items) else []


def _iou(detected: np.ndarray, boxes: np.ndarray, crowd: np.ndarray) -> np.ndarray:
    """Intersection over union, row by row of (N,4) xywh; over the detection's own area for crowds."""
    sides = np.minimum(detected[:, :2] + detected[:, 2:], boxes[:, :2] + boxes[:, 2:]) - np.maximum(
        detected[:, :2], boxes[:, :2]
    )
    common = np.where((sides > 0).all(axis=1), sides[:, 0] * sides[:, 1], 0.0)
    own = detected[:, 2] * detected[:, 3]
    union = np.where(crowd, own, own + boxes[:, 2] * boxes[:, 3] - common)
    return np.divide(common, union, out=np.zeros_like(common), where=common > 0)


def _in_range(area: np.ndarray) -> np.ndarray:
    """(N,) square pixels -> (N, areas) bool."""
    bounds = np.asarray(AREAS)
    return (area[:, None] >= bounds[:, 0]) & (area[:, None] <= bounds[:, 1])


def _accumulate(truth: GroundTruth, detected: Detected, rank: np.ndarray, matches: _Matches, classes: int) -> Curves:
    positives = np.zeros((classes, len(AREAS)), np.int64)
    np.add.at(positives, truth.category, _in_range(truth.area) & ~truth.crowd[:, None])
    counted = _in_range(detected.xywh[:, 2] * detected.xywh[:, 3])

    order = np.lexsort((-detected.score, detected.category))  # stable: equal scores stay in order of pictures
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    other = counted.copy()
    other[matches.detection] = False
    wrong_before = np.cumsum(other[order], axis=0, dtype=np.int64)
    class_start = np.searchsorted(detected.category[order], np.arange(classes))

    by_score = np.argsort(place[matches.detection], kind="stable")
    candidate = matches.detection[by_score]
    bounds = np.searchsorted(detected.category[candidate], np.arange(classes + 1))

    precision = np.full((len(IOU_THRESHOLDS), len(RECALL_THRESHOLDS), classes, len(AREAS)), -1.0)
    recall = np.full((len(IOU_THRESHOLDS), classes, len(AREAS), len(MAX_DETECTIONS)), -1.0)
    for index in range(classes):
        rows = slice(bounds[index], bounds[index + 1])
        ours, which = candidate[rows], by_score[rows]
        start = class_start[index]
        offset = wrong_before[start - 1] if start else 0
        right = matches.matched[which] & ~matches.ignored[which]
        wrong = ~matches.matched[which] & counted[ours][:, :, None]
        wrong_others = (wrong_before[place[ours]] - offset) if len(ours) else np.zeros((0, len(AREAS)), np.int64)
        curve, found = _curve(right, wrong, wrong_others, rank[ours], positives[index])
        precision[:, :, index] = curve
        recall[:, index] = found
    return Curves(precision, recall)


def _curve(
    right: np.ndarray, wrong: np.ndarray, wrong_others: np.ndarray, rank: np.ndarray, positives: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """One class: precision (IoU, recall thresholds, areas) and recall (IoU, areas, numbers of detections).

    Args:
        right, wrong: (N, areas, IoU thresholds) bool, candidates by falling score.
        wrong_others: (N, areas) number of wrong detections before each that are no candidates.
        rank: (N,) rank among the detections of its picture and class.
        positives: (areas,) boxes to find.
    """
    precision = np.full((len(IOU_THRESHOLDS), len(RECALL_THRESHOLDS), len(AREAS)), -1.0)
    recall = np.full((len(IOU_THRESHOLDS), len(AREAS), len(MAX_DETECTIONS)), -1.0)
    right_sum = np.cumsum(right, axis=0, dtype=np.float64)
    wrong_sum = np.cumsum(wrong, axis=0, dtype=np.float64) + wrong_others[:, :, None]
    exact = right_sum / (right_sum + wrong_sum + np.spacing(1))
    envelope = np.maximum.accumulate(exact[::-1], axis=0)[::-1]
    envelope = np.concatenate([envelope, np.zeros((1, *envelope.shape[1:]))])  # recall that is never reached
    for area in np.flatnonzero(positives):
        reached = right_sum[:, area] / positives[area]
        for threshold in range(len(IOU_THRESHOLDS)):
            where = np.searchsorted(reached[:, threshold], RECALL_THRESHOLDS, "left")
            precision[threshold, :, area] = envelope[where, area, threshold]
        for number, limit in enumerate(MAX_DETECTIONS):
            recall[:, area, number] = right[rank < limit, area].sum(axis=0) / positives[area]
    return precision, recall
