# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Text detection scores against an independent, plain implementation and hand-worked cases."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import Polygon

from nvidia_tao_deploy.data.text_detection import TextTruth
from nvidia_tao_deploy.errors import DataError
from nvidia_tao_deploy.metrics.text_detection import Counts, RegionScores, match
from nvidia_tao_deploy.network import Frame, Sample
from nvidia_tao_deploy.predictions import TextRegions
from nvidia_tao_deploy.transforms.geometry import Geometry


def box(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float64)


def plain_match(labelled: list[np.ndarray], ignored: tuple[bool, ...], detected: list[np.ndarray]) -> tuple:
    """ICDAR 2015's protocol in plain loops: (matched, detections that count, ground truth that counts)."""
    truth = [(Polygon(p), flag) for p, flag in zip(labelled, ignored, strict=True) if Polygon(p).is_valid]
    found = [Polygon(p) for p in detected if Polygon(p).is_valid]
    out = {j for j, d in enumerate(found) if any(flag and g.intersection(d).area / d.area > 0.5 for g, flag in truth)}
    pairs: dict[int, int] = {}
    for i, (g, flag) in enumerate(truth):
        for j, d in enumerate(found):
            if flag or j in out or i in pairs or j in pairs.values():
                continue
            if g.intersection(d).area / g.union(d).area > 0.5:
                pairs[i] = j
    return len(pairs), len(found) - len(out), sum(not flag for _, flag in truth)


quadrilaterals = st.tuples(
    st.integers(0, 40), st.integers(0, 40), st.integers(1, 40), st.integers(1, 30), st.integers(-8, 8)
).map(
    lambda t: np.array(
        [[t[0], t[1]], [t[0] + t[2], t[1] + t[4]], [t[0] + t[2], t[1] + t[3] + t[4]], [t[0], t[1] + t[3]]], np.float64
    )
)
crossed = st.just(np.array([[0, 0], [20, 20], [20, 0], [0, 20]], np.float64))
flat = st.just(np.array([[3, 3], [9, 9], [3, 3], [9, 9]], np.float64))
regions = st.lists(st.one_of(quadrilaterals, quadrilaterals, quadrilaterals, crossed, flat), max_size=8)


@given(regions, st.lists(st.booleans(), min_size=8, max_size=8), regions, st.integers(0, 5))
@settings(max_examples=200, deadline=None)
def test_matching_equals_the_plain_loops(
    labelled: list[np.ndarray], flags: list[bool], detected: list[np.ndarray], near: int
) -> None:
    detected = [*detected, *(polygon + 1 for polygon in labelled[:near])]  # some that do match
    ignored = tuple(flags[: len(labelled)])
    counts = match(labelled, ignored, detected)
    assert (counts.matched, counts.detected, counts.labelled) == plain_match(labelled, ignored, detected)


@pytest.mark.parametrize(
    ("labelled", "ignored", "detected", "expected"),
    [
        ([box(0, 0, 10, 10)], (False,), [box(0, 0, 10, 10)], Counts(1, 1, 1)),
        ([box(0, 0, 10, 10)], (False,), [box(0, 0, 20, 10)], Counts(0, 1, 1)),  # IoU exactly 0.5
        ([box(0, 0, 10, 10)], (False,), [box(0, 0, 19, 10)], Counts(1, 1, 1)),  # IoU 0.526
        ([box(0, 0, 10, 10)], (False,), [box(0, 0, 10, 10)] * 2, Counts(1, 2, 1)),  # one to one
        ([box(0, 0, 10, 10)], (True,), [box(0, 0, 10, 10)], Counts(0, 0, 0, 1, 1)),
        ([box(0, 0, 10, 10)], (True,), [box(0, 0, 20, 10)], Counts(0, 1, 0, 0, 1)),  # exactly half inside counts
        ([box(0, 0, 10, 10)], (True,), [box(0, 0, 19, 10)], Counts(0, 0, 0, 1, 1)),
        ([], (), [box(0, 0, 10, 10)], Counts(0, 1, 0)),
        ([box(0, 0, 10, 10)], (False,), [], Counts(0, 0, 1)),
        ([], (), [], Counts(0, 0, 0)),
    ],
)
def test_by_hand(
    labelled: list[np.ndarray], ignored: tuple[bool, ...], detected: list[np.ndarray], expected: Counts
) -> None:
    assert match(labelled, ignored, detected) == expected


def test_greedy_order_is_ground_truth_then_detections() -> None:
    """The first ground truth takes the first detection above the limit, although the second fits it better."""
    labelled = [box(0, 0, 10, 10), box(0, 0, 10, 6)]
    detected = [box(0, 0, 10, 6), box(0, 0, 10, 10)]
    assert match(labelled, (False, False), detected).matched == 2
    assert match(labelled[::-1], (False, False), detected[::-1]).matched == 2
    one_left = [box(0, 0, 10, 10), box(0, 0, 10, 5.5)]
    assert match(one_left, (False, False), [box(0, 0, 10, 6), box(0, 0, 10, 19)]).matched == 1, "not the best matching"


def frame(labelled: list[np.ndarray], ignored: tuple[bool, ...] = (), scale: tuple = (1.0, 1.0)) -> Frame:
    target = TextTruth(tuple(labelled), ignored or (False,) * len(labelled))
    return Frame(Sample("a", Path("a"), target), (100, 100), Geometry(scale=scale))


def found(*polygons: np.ndarray) -> TextRegions:
    return TextRegions(tuple(p.astype(np.float32) for p in polygons), np.ones(len(polygons), np.float32))


def test_figures_are_sums_over_pictures() -> None:
    metric = RegionScores()
    metric.update(frame([box(0, 0, 10, 10), box(50, 50, 60, 60)]), found(box(0, 0, 10, 10)))
    metric.update(frame([box(0, 0, 10, 10)]), found(box(0, 0, 10, 10), box(30, 0, 40, 9), box(60, 0, 70, 9)))
    report = metric.compute()
    precision, recall = 2 / 4, 2 / 3
    assert report.results == {
        "Precision": precision,
        "Recall": recall,
        "F-measure": pytest.approx(2 * precision * recall / (precision + recall), abs=1e-7),
    }
    assert dict(report.kpi) == dict(report.results)
    assert ("pictures", 2) in report.tables[0].rows


def test_merged_shards_are_the_whole() -> None:
    pictures = [
        (frame([box(0, 0, 10, 10)]), found(box(0, 0, 10, 10))),
        (frame([box(0, 0, 10, 10)], (True,)), found(box(0, 0, 10, 9), box(40, 40, 60, 60))),
        (frame([box(0, 0, 30, 10), box(0, 20, 30, 30)]), found(box(0, 21, 30, 30))),
    ]
    whole, first, second = RegionScores(), RegionScores(), RegionScores()
    for index, picture in enumerate(pictures):
        whole.update(*picture)
        (first if index % 2 else second).update(*picture)
    first.merge(second)
    assert first.compute() == whole.compute()


def test_regions_are_compared_in_whole_pixels_of_the_network_input() -> None:
    """Scale 4: a ground truth of 4 x 40 input pixels, truncated; in the original picture the IoU would be above 0.5."""
    metric = RegionScores()
    metric.update(frame([box(3, 0, 19, 160)], scale=(4.0, 4.0)), found(box(8, 0, 19, 160)))
    # labelled: x 0.75..4.75 -> 0..4; detected: x 2..4.75 -> 2..5; IoU 2/5
    assert metric.compute().results["Recall"] == 0
    assert Polygon(box(3, 0, 19, 160)).intersection(Polygon(box(8, 0, 19, 160))).area / (16 * 160) > 0.5


def test_ground_truth_in_input_pixels() -> None:
    prediction = found(box(0, 0, 80, 80))
    for resize, recall in ((True, 0.0), (False, 1.0)):
        metric = RegionScores(resize_truth=resize)
        metric.update(frame([box(0, 0, 20, 20)], scale=(4.0, 4.0)), prediction)
        assert metric.compute().results["Recall"] == recall


def test_polygons_with_any_number_of_corners() -> None:
    outline = np.array([[0, 0], [10, 0], [20, 0], [20, 10], [10, 12], [0, 10]], np.float64)
    metric = RegionScores()
    metric.update(frame([box(0, 0, 20, 10), outline + 50]), found(outline, outline + 50))
    assert metric.compute().results["F-measure"] == pytest.approx(1)


def test_pictures_without_any_detection_score_zero() -> None:
    metric = RegionScores()
    metric.update(frame([box(0, 0, 9, 9)]), found())
    assert dict(metric.compute().results) == {"Precision": 0.0, "Recall": 0.0, "F-measure": 0.0}


def test_nothing_scored_is_an_error() -> None:
    with pytest.raises(DataError):
        RegionScores().compute()
