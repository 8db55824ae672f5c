# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Top-k accuracy, confusion matrix, precision, recall and F1 of single-label classification."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nvidia_tao_deploy.errors import DataError
from nvidia_tao_deploy.files import MATRIX_FILE
from nvidia_tao_deploy.metrics.in_bulk import InBulk
from nvidia_tao_deploy.network import Frame, Report, Table
from nvidia_tao_deploy.predictions import Classes
from nvidia_tao_deploy.render.confusion import matrix_picture

if TYPE_CHECKING:
    import numpy as np

WIDEST_MATRIX = 16
"""Confusion matrices with more classes are not printed."""


class TopK:
    """Counts; memory does not grow with the number of pictures.

    Args:
        classes: class names in order of their numbers.
        topk: the values of k; the first is the headline figure.
    """

    def __init__(self, classes: Sequence[str], topk: Sequence[int]) -> None:
        import numpy as np

        self.classes = tuple(classes)
        self.topk = tuple(topk)
        self._confusion = np.zeros((len(classes), len(classes)), np.int64)  # [truth, prediction]
        self._hits = np.zeros(len(classes), np.int64)  # how often the truth came at rank 0, 1, 2 ...
        self._waiting = InBulk(self._count)

    def update(self, frame: Frame, prediction: Classes) -> None:
        """`frame.sample.target` is the true class number. Ties: the lower class number comes first."""
        self.add(frame.sample.target, prediction.probabilities)

    def add(self, truth: int, chances: np.ndarray) -> None:
        """Count one picture: the true class number, and (C,) scores that order the classes."""
        self._waiting.add(truth, chances)

    def _count(self, truth: np.ndarray, chances: np.ndarray) -> None:
        import numpy as np

        mine = chances[np.arange(len(truth)), truth][:, None]
        ahead = chances > mine
        ahead |= (chances == mine) & (np.arange(len(self.classes)) < truth[:, None])
        np.add.at(self._confusion, (truth, chances.argmax(axis=1)), 1)
        np.add.at(self._hits, ahead.sum(axis=1), 1)

    def merge(self, other: TopK) -> None:
        self._waiting.flush()
        other._waiting.flush()
        self._confusion += other._confusion
        self._hits += other._hits

    def compute(self) -> Report:
        self._waiting.flush()
        total = int(self._hits.sum())
        if total == 0:
            raise DataError("No picture was scored.")
        accuracy = {k: float(self._hits[:k].sum() / total) for k in self.topk}
        kpi = {f"top_{k}_accuracy": value for k, value in accuracy.items()}
        results = {"top_k_accuracy": accuracy[self.topk[0]], "num_samples": total, **kpi}
        figures = [*((f"top-{k}", value) for k, value in accuracy.items()), ("pictures", total)]
        headline = Table("Accuracy", ("figure", "value"), tuple(figures))
        tables = [self._per_class(), headline]
        if len(self.classes) <= WIDEST_MATRIX:
            tables.insert(0, matrix_table(self.classes, self._confusion))
        files = {MATRIX_FILE: matrix_picture(self._confusion, self.classes)}
        return Report(kpi, results, tuple(tables), files)

    def _per_class(self) -> Table:
        import numpy as np

        support = self._confusion.sum(axis=1)
        columns = precision_recall_f1(np.diag(self._confusion), self._confusion.sum(axis=0), support)
        rows = [
            (name, *(float(column[index]) for column in columns), int(support[index]))
            for index, name in enumerate(self.classes)
        ]
        means = tuple(float(column[support > 0].mean()) for column in columns)
        rows.append(("mean of classes", *means, int(support.sum())))
        return Table("Per class", ("class", "precision", "recall", "F1", "pictures"), tuple(rows))


def matrix_table(classes: Sequence[str], confusion: np.ndarray) -> Table:
    """(C,C) counts, [truth, prediction], as a table."""
    rows = [(name, *map(int, row)) for name, row in zip(classes, confusion, strict=True)]
    return Table("Confusion matrix (rows: truth, columns: prediction)", ("", *classes), tuple(rows))


def precision_recall_f1(
    right: np.ndarray, predicted: np.ndarray, support: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Per class, from (C,) counts of hits, predictions and true members; 0 where a denominator is 0."""
    import numpy as np

    return (
        right / np.maximum(predicted, 1),
        right / np.maximum(support, 1),
        2 * right / np.maximum(predicted + support, 1),
    )
