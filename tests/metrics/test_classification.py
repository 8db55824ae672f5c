# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Accuracy, confusion matrix and per-class figures against scikit-learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support, top_k_accuracy_score

from nvidia_tao_deploy.errors import DataError
from nvidia_tao_deploy.metrics.classification import TopK
from nvidia_tao_deploy.network import Frame, Report, Sample
from nvidia_tao_deploy.predictions import Classes
from nvidia_tao_deploy.transforms.geometry import Geometry


def scored(truths: np.ndarray, scores: np.ndarray, topk: list[int], shards: int = 1) -> Report:
    names = [f"c{index}" for index in range(scores.shape[1])]
    states = [TopK(names, topk) for _ in range(shards)]
    for index, (truth, row) in enumerate(zip(truths, scores, strict=True)):
        frame = Frame(Sample(str(index), Path("x"), int(truth)), (1, 1), Geometry())
        states[index % shards].update(frame, Classes(row, row))
    for other in states[1:]:
        states[0].merge(other)
    return states[0].compute()


def table(report: Report, start: str) -> list[tuple[object, ...]]:
    return next(list(item.rows) for item in report.tables if item.title.startswith(start))


@settings(deadline=None, max_examples=60)
@given(st.integers(2, 7), st.integers(1, 60), st.integers(0, 10_000), st.integers(1, 4))
def test_against_scikit_learn(classes: int, count: int, seed: int, shards: int) -> None:
    random = np.random.default_rng(seed)
    truths, scores = random.integers(0, classes, count), random.permuted(random.random((count, classes)), axis=1)
    scores /= scores.sum(axis=1, keepdims=True)
    topk = list(range(1, classes + 1))
    report = scored(truths, scores, topk, shards)
    labels = list(range(classes))
    for k in topk:
        if classes == 2:  # scikit-learn takes one column there
            expected = 1.0 if k == 2 else float((scores.argmax(axis=1) == truths).mean())
        elif k == classes:
            expected = 1.0
        else:
            expected = top_k_accuracy_score(truths, scores, k=k, labels=labels)
        assert report.kpi[f"top_{k}_accuracy"] == pytest.approx(expected, abs=1e-12)
    assert report.results["top_k_accuracy"] == report.kpi["top_1_accuracy"] and report.results["num_samples"] == count
    guesses = scores.argmax(axis=1)
    matrix = np.array([row[1:] for row in table(report, "Confusion")])
    assert np.array_equal(matrix, confusion_matrix(truths, guesses, labels=labels))
    expected_columns = precision_recall_fscore_support(truths, guesses, labels=labels, zero_division=0)
    rows = table(report, "Per class")
    assert np.allclose(np.array([row[1:] for row in rows[:-1]], float), np.array(expected_columns).T)


@pytest.mark.parametrize("shards", [1, 3])
def test_more_pictures_than_are_counted_at_once(shards: int) -> None:
    random = np.random.default_rng(5)
    truths, scores = random.integers(0, 12, 2500), random.random((2500, 12)).astype(np.float32)
    report = scored(truths, scores, [1, 3], shards)
    assert report.results["num_samples"] == 2500
    assert report.kpi["top_3_accuracy"] == pytest.approx(top_k_accuracy_score(truths, scores, k=3), abs=1e-12)
    matrix = np.array([row[1:] for row in table(report, "Confusion")])
    assert np.array_equal(matrix, confusion_matrix(truths, scores.argmax(axis=1)))


def test_two_classes_compare_the_two_scores() -> None:
    """scikit-learn's own rule, a threshold on column 1, gives 0.25 here."""
    scores = np.array([[-1.0, -0.5], [2.0, 1.0], [3.0, 2.5], [-2.0, -3.0]])
    assert scored(np.array([1, 0, 0, 0]), scores, [1]).results["top_k_accuracy"] == 1.0


def test_ties_go_to_the_lower_number() -> None:
    scores = np.array([[0.5, 0.5]])
    assert scored(np.array([0]), scores, [1]).results["top_k_accuracy"] == 1.0
    assert scored(np.array([1]), scores, [1]).results["top_k_accuracy"] == 0.0


def test_wide_matrices_are_not_printed() -> None:
    report = scored(np.arange(20), np.eye(20), [1, 5])
    assert [item.title for item in report.tables] == ["Per class", "Accuracy"]


def test_nothing_scored() -> None:
    with pytest.raises(DataError, match="No picture was scored"):
        TopK(["a"], [1]).compute()
