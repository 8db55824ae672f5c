# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Inspection figures: cases worked by hand from the definitions."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from nvidia_tao_deploy.errors import DataError
from nvidia_tao_deploy.metrics.inspection import InspectionMetric
from nvidia_tao_deploy.network import Frame, Sample
from nvidia_tao_deploy.predictions import Score
from nvidia_tao_deploy.transforms.geometry import Geometry


def scored(pairs: list[tuple[int, float]], margin: float = 2.0) -> InspectionMetric:
    metric = InspectionMetric(margin)
    for label, score in pairs:
        metric.update(Frame(Sample("a", Path("a"), label), (1, 1), Geometry()), Score(score))
    return metric


def test_by_hand() -> None:
    """Ten pairs. Four defects, three of them found; six good units, two of them called defects."""
    pairs = [(1, 3.0), (1, 2.5), (1, 9.0), (1, 1.0)] + [(0, 0.5)] * 4 + [(0, 2.1), (0, 7.0)]
    report = scored(pairs).compute()
    assert report.kpi == pytest.approx(
        {
            "total_accuracy": 70.0,  # 3 + 4 of 10
            "defect_accuracy": 75.0,  # 3 of 4
            "false_negative": 25.0,  # 1 of 4
            "false_alarm": 100 * 2 / 6,
            "false_negative_of_all": 10.0,  # 6.25: 1 of 10
            "false_alarm_of_all": 20.0,  # 6.25: 2 of 10
        }
    )
    assert report.results["num_pairs"] == 10
    assert report.results["good_called_defect"] == 2


@pytest.mark.filterwarnings("error")
def test_infinite_distances_are_defects_and_no_nan() -> None:
    report = scored([(1, math.inf), (1, 3.0), (0, 1.0)]).compute()
    assert report.kpi["defect_accuracy"] == 100
    assert report.tables[0].rows == (("good units", 1, 1.0, 1.0, 1.0), ("defects", 2, 3.0, math.inf, math.inf))


def test_a_score_equal_to_the_margin_passes() -> None:
    assert scored([(0, 2.0), (1, 2.0)]).compute().kpi["total_accuracy"] == 50


@pytest.mark.parametrize(("label", "zero"), [(0, ("defect_accuracy", "false_negative")), (1, ("false_alarm",))])
def test_one_kind_only(label: int, zero: tuple[str, ...]) -> None:
    kpi = scored([(label, 9.0 * label)] * 3).compute().kpi
    assert kpi["total_accuracy"] == 100
    assert [kpi[name] for name in zero] == [0.0] * len(zero)


def test_merged_halves_are_the_whole() -> None:
    pairs = [(index % 2, index / 3) for index in range(12)]
    left = scored(pairs[:5])
    left.merge(scored(pairs[5:]))
    assert left.compute() == scored(pairs).compute()


def test_nothing_scored() -> None:
    with pytest.raises(DataError, match="No pair was scored"):
        InspectionMetric(1.0).compute()
