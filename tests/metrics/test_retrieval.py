# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""The retrieval figures against scikit-learn."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from nvidia_tao_deploy.errors import DataError
from nvidia_tao_deploy.metrics import in_bulk
from nvidia_tao_deploy.metrics.retrieval import LONGEST_TABLE, Retrieval
from nvidia_tao_deploy.network import Frame, Sample
from nvidia_tao_deploy.predictions import Neighbours
from nvidia_tao_deploy.transforms.geometry import Geometry


def update(metric: Retrieval, truths: np.ndarray, labels: np.ndarray) -> Retrieval:
    for truth, row in zip(truths.tolist(), labels, strict=True):
        frame = Frame(Sample("x", Path("x"), truth), (1, 1), Geometry())
        metric.update(frame, Neighbours(np.arange(len(row)), row, np.arange(len(row)) * 0.1))
    return metric


def case(classes: int, k: int, seed: int) -> tuple[np.ndarray, np.ndarray, SimpleNamespace]:
    """Random truths (not of every class) and neighbours' labels, right more often than not."""
    random = np.random.default_rng(seed)
    truths = random.integers(0, max(1, classes - 2), 400)
    labels = random.integers(0, classes, (400, k))
    sure = random.random(400) < 0.6
    labels[sure, 0] = truths[sure]
    return truths, labels, SimpleNamespace(labels=random.integers(0, classes, 1000))


@pytest.mark.parametrize(("classes", "k"), [(3, 1), (10, 5), (30, 3), (150, 2)])
def test_against_scikit_learn(classes: int, k: int) -> None:
    truths, labels, gallery = case(classes, k, classes)
    names = [f"class {index}" for index in range(classes)]
    report = update(Retrieval(names, k, gallery), truths, labels).compute()
    present = np.unique(truths)
    precision, recall, f1, support = precision_recall_fscore_support(
        truths, labels[:, 0], labels=np.arange(classes), zero_division=0
    )
    hit = (labels == truths[:, None]).any(axis=1)
    assert report.results["top_1_accuracy"] == pytest.approx(recall[present].mean())
    assert report.results["top_k_accuracy"] == pytest.approx(np.mean([hit[truths == c].mean() for c in present]))
    assert report.results["recall_at_1"] == pytest.approx((labels[:, 0] == truths).mean())
    assert report.results["recall_at_k"] == pytest.approx(hit.mean())
    assert report.kpi[f"top_{k}_accuracy"] == report.results["top_k_accuracy" if k > 1 else "top_1_accuracy"]
    rows = {row[0]: row for row in csv.reader(io.StringIO(report.files["per_class.csv"].decode()))}
    for index in present.tolist():
        found = [float(cell) for cell in rows[names[index]][1:]]
        assert found[:3] == pytest.approx([precision[index], recall[index], f1[index]], abs=1e-6)
        assert found[3] == pytest.approx(hit[truths == index].mean(), abs=1e-6)
        assert found[4:] == [support[index], (gallery.labels == index).sum()]
    matrices = [table for table in report.tables if table.title.startswith("Confusion")]
    assert bool(matrices) == (classes <= 16) and ("confusion_matrix.png" in report.files) == (classes <= 100)
    if matrices:
        counts = np.array([row[1:] for row in matrices[0].rows])
        assert (counts == confusion_matrix(truths, labels[:, 0], labels=np.arange(classes))).all()


def test_counted_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    truths, labels, gallery = case(12, 4, 0)
    names = [str(index) for index in range(12)]
    whole = update(Retrieval(names, 4, gallery), truths, labels).compute()
    monkeypatch.setattr(in_bulk, "COUNTED_AT_ONCE", 64)
    assert update(Retrieval(names, 4, gallery), truths, labels).compute() == whole
    assert whole.results["num_queries"] == 400


def test_a_class_that_is_never_asked_for_does_not_count() -> None:
    """0/0 of the contract's trap: ids 0 and 2 have queries, 1 has none."""
    gallery = SimpleNamespace(labels=np.array([0, 1, 2]))
    report = update(Retrieval("abc", 1, gallery), np.array([0, 2, 2]), np.array([[0], [2], [1]])).compute()
    assert report.results["top_1_accuracy"] == pytest.approx((1 + 0.5) / 2)
    assert report.results["queries_without_gallery_class"] == 0


def test_a_class_that_the_gallery_lacks_counts_as_missed() -> None:
    gallery = SimpleNamespace(labels=np.array([0, 0]))
    report = update(Retrieval("ab", 2, gallery), np.array([0, 1]), np.array([[0, 0], [0, 0]])).compute()
    assert report.results["top_k_accuracy"] == 0.5 and report.results["queries_without_gallery_class"] == 1
    assert ("queries whose class the gallery lacks", 1) in report.tables[-1].rows


def test_shards_merge_into_the_whole() -> None:
    truths, labels, gallery = case(12, 4, 0)
    names = [str(index) for index in range(12)]
    whole = update(Retrieval(names, 4, gallery), truths, labels)
    parts = [update(Retrieval(names, 4, gallery), truths[cut], labels[cut]) for cut in (slice(0, 150), slice(150, 400))]
    parts[0].merge(parts[1])
    assert parts[0].compute() == whole.compute()


def test_many_classes_are_cut_in_the_table_only() -> None:
    truths, labels, gallery = case(150, 1, 1)
    report = update(Retrieval([f"{index:03}" for index in range(150)], 1, gallery), truths, labels).compute()
    table = next(table for table in report.tables if table.title.startswith("Per class"))
    assert len(table.rows) == LONGEST_TABLE and "all in per_class.csv" in table.title
    accuracies = [row[2] for row in table.rows]
    assert accuracies == sorted(accuracies)
    assert len(report.files["per_class.csv"].splitlines()) > 140


def test_nothing_scored() -> None:
    with pytest.raises(DataError, match="No query was scored"):
        Retrieval("ab", 1, SimpleNamespace(labels=np.array([0]))).compute()
