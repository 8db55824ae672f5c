# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Segmentation figures against scikit-learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, jaccard_score, precision_recall_fscore_support

from nvidia_tao_deploy.errors import DataError
from nvidia_tao_deploy.metrics.segmentation import SegmentationMetric, pixel_confusion
from nvidia_tao_deploy.network import Frame, Sample
from nvidia_tao_deploy.predictions import Segmentation
from nvidia_tao_deploy.transforms.geometry import Geometry


def frame(truth: np.ndarray) -> Frame:
    return Frame(Sample("a", Path("a"), truth), truth.shape, Geometry())  # type: ignore[arg-type]


def scored(pairs: list[tuple[np.ndarray, np.ndarray]], classes: int) -> SegmentationMetric:
    metric = SegmentationMetric([f"c{index}" for index in range(classes)])
    for truth, found in pairs:
        metric.update(frame(truth), Segmentation(found))
    return metric


def maps(seed: int, classes: int, size: tuple[int, int] = (13, 17)) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    truth = random.integers(0, classes, size, np.uint8)
    noise = random.random(size) < 0.4
    return truth, np.where(noise, random.integers(0, classes, size), truth).astype(np.uint8)


@pytest.mark.parametrize("classes", [2, 5])
def test_figures_are_scikit_learn_s(classes: int) -> None:
    pairs = [maps(seed, classes, (10 + seed, 20 - seed)) for seed in range(4)]
    results = scored(pairs, classes).compute().results
    truth, found = (np.concatenate([pair[side].ravel() for pair in pairs]) for side in (0, 1))
    labels = range(classes)
    assert np.array_equal(results["confusion_matrix"], confusion_matrix(truth, found, labels=labels))
    precision, recall, f1, _ = precision_recall_fscore_support(truth, found, labels=labels)
    iou = jaccard_score(truth, found, labels=labels, average=None)
    for name, want in {"precision": precision, "recall": recall, "F1": f1, "iou": iou}.items():
        np.testing.assert_allclose([results[f"{name}_{index}"] for index in labels], want, rtol=1e-6)
    assert results["miou"] == pytest.approx(iou.mean(), rel=1e-6)
    assert results["mf1"] == pytest.approx(f1.mean(), rel=1e-6)
    assert results["mprecision"] == pytest.approx(precision.mean(), rel=1e-6)
    assert results["mrecall"] == pytest.approx(recall.mean(), rel=1e-6)
    assert results["acc"] == pytest.approx(accuracy_score(truth, found), rel=1e-6)


def test_a_class_that_is_absent_counts_as_zero_as_in_tao_and_is_left_out_of_miou_present() -> None:
    truth = np.array([[0, 0, 1, 1]], np.uint8)
    results = scored([(truth, truth)], 4).compute().results
    assert results["iou_2"] == results["F1_3"] == 0
    assert results["miou"] == pytest.approx(0.5, abs=1e-6)
    assert results["miou_present"] == pytest.approx(1, abs=1e-6)


def test_pixels_that_do_not_count() -> None:
    truth, found = np.array([[0, 255, 1, 255]], np.uint8), np.array([[0, 1, 1, 0]], np.uint8)
    results = scored([(truth, found)], 2).compute().results
    assert results["confusion_matrix"].tolist() == [[1, 0], [0, 1]]
    assert results["ignored_pixels"] == 2


@pytest.mark.parametrize("classes", [2, 14, 15, 16, 17])
def test_both_ways_of_counting(classes: int) -> None:
    """Up to 15 classes pairs are counted as bytes; any truth that is no class is left out either way."""
    random = np.random.default_rng(classes)
    truth = random.integers(0, 256, (31, 37)).astype(np.uint8)
    found = random.integers(0, classes, (31, 37)).astype(np.uint8)
    counted = truth < classes
    want = confusion_matrix(truth[counted], found[counted], labels=range(classes))
    assert np.array_equal(pixel_confusion(truth, found, classes), want)
    assert np.array_equal(pixel_confusion(truth.astype(np.uint16), found, classes), want)


def test_many_classes_and_wide_types() -> None:
    truth = np.array([[299, 7, 0]], np.uint16)
    assert pixel_confusion(truth, truth, 300)[299, 299] == 1
    assert pixel_confusion(truth, truth, 300).sum() == 3


def test_merged_halves_are_the_whole() -> None:
    pairs = [maps(seed, 3) for seed in range(6)]
    left, whole = scored(pairs[:2], 3), scored(pairs, 3)
    left.merge(scored(pairs[2:], 3))
    assert np.array_equal(left.confusion, whole.confusion)
    assert left.compute().kpi == whole.compute().kpi


def test_nothing_scored() -> None:
    with pytest.raises(DataError, match="No pixel was scored"):
        SegmentationMetric(("a", "b")).compute()
    with pytest.raises(DataError):
        scored([(np.full((2, 2), 255, np.uint8), np.zeros((2, 2), np.uint8))], 2).compute()


def test_maps_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="different size"):
        pixel_confusion(np.zeros((2, 3), np.uint8), np.zeros((3, 2), np.uint8), 2)
    with pytest.raises(ValueError, match="class 2 predicted"):
        pixel_confusion(np.zeros((2, 2), np.uint8), np.full((2, 2), 2, np.uint8), 2)
