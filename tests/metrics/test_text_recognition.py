# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Text recognition scores against definitions and hand-worked cases."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nvidia_tao_deploy.errors import DataError
from nvidia_tao_deploy.metrics.text_recognition import ExactMatch, edit_distance, similarity
from nvidia_tao_deploy.network import Frame, Report, Sample
from nvidia_tao_deploy.predictions import Text
from nvidia_tao_deploy.transforms.geometry import Geometry

words = st.text("abC ", max_size=6)


def scored(*pairs: tuple[str, str]) -> ExactMatch:
    metric = ExactMatch()
    for index, (truth, read) in enumerate(pairs):
        sample = Sample(f"{index}.png", Path(f"{index}.png"), truth)
        metric.update(Frame(sample, (32, 100), Geometry()), Text(read, 0.5))
    return metric


def values(report: Report) -> dict:
    return {row[0]: row[1] for row in report.tables[0].rows}


def recursive(first: str, second: str) -> int:
    """Levenshtein's recursive definition."""

    @cache
    def distance(i: int, j: int) -> int:
        if not i or not j:
            return i or j
        return min(
            distance(i - 1, j) + 1, distance(i, j - 1) + 1, distance(i - 1, j - 1) + (first[i - 1] != second[j - 1])
        )

    return distance(len(first), len(second))


@given(words, words)
def test_edit_distance_equals_the_definition(first: str, second: str) -> None:
    assert edit_distance(first, second) == recursive(first, second)


def test_edit_distance_by_hand() -> None:
    assert edit_distance("kitten", "sitting") == 3
    assert edit_distance("", "abc") == 3
    assert similarity("kitten", "sitting") == pytest.approx(1 - 3 / 7)
    assert similarity("", "") == 1


def test_figures_by_hand() -> None:
    report = scored(("abc", "abc"), ("abc", "ABC"), ("abcd", "abxd"), ("a b", "ab")).compute()
    assert dict(report.results) == {"Accuracy": 0.25}
    assert dict(report.kpi) == {"Accuracy": 0.25}
    found = values(report)
    assert found["Accuracy, letter case ignored"] == 0.5
    assert found["1 - normalised edit distance"] == pytest.approx((1 + 0 + 0.75 + 2 / 3) / 4)
    assert found["pictures"] == 4


def test_outer_blanks_do_not_count_but_inner_ones_do() -> None:
    assert scored(("a b", " a b "), ("a b", "a  b")).compute().results["Accuracy"] == 0.5


def test_mistakes_are_listed_in_order_and_their_number_is_right() -> None:
    table = scored(*[("a", "b")] * 12, ("c", "c")).compute().tables[1]
    assert table.title == "first 10 of 12 misread pictures"
    assert [row[0] for row in table.rows] == [f"{index}.png" for index in range(10)]
    assert table.rows[0][1:3] == ("a", "b")
    assert len(scored(("a", "a")).compute().tables) == 1


@given(st.lists(st.tuples(words, words), min_size=1, max_size=8), st.integers(0, 8))
def test_merged_shards_are_the_whole(pairs: list[tuple[str, str]], cut: int) -> None:
    first, second = scored(*pairs[:cut]), scored(*pairs[cut:])
    first.merge(second)
    merged, whole = first.compute(), scored(*pairs).compute()
    assert merged.results == whole.results
    assert values(merged) == pytest.approx(values(whole))


def test_nothing_scored_is_an_error() -> None:
    with pytest.raises(DataError):
        ExactMatch().compute()
