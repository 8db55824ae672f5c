# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Retrieval: how often the class of a query is among those of its nearest gallery pictures."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from nvidia_tao_deploy.errors import DataError
from nvidia_tao_deploy.files import MATRIX_FILE
from nvidia_tao_deploy.metrics.classification import WIDEST_MATRIX, matrix_table, precision_recall_f1
from nvidia_tao_deploy.metrics.in_bulk import InBulk
from nvidia_tao_deploy.network import Frame, Report, Table
from nvidia_tao_deploy.predictions import Neighbours
from nvidia_tao_deploy.render.confusion import matrix_picture

if TYPE_CHECKING:
    import numpy as np

LONGEST_TABLE = 40
"""Classes printed; of more, those with the lowest accuracy. The csv has all."""
WIDEST_PICTURE = 100
"""Confusion matrices with more classes are not drawn."""
PER_CLASS_FILE = "per_class.csv"


class Labelled(Protocol):
    """The part of a gallery that the metric needs."""

    labels: np.ndarray


class Retrieval:
    """Counts; memory grows with the number of different (truth, nearest) pairs only.

    The figure of one class c is the share of its queries that have c among their k neighbours; `top_k_accuracy` is
    the mean over the classes that have queries, each counting alike. A query whose class the gallery does not have is a
    miss. `recall_at_k` is the share of all queries.

    Args:
        classes: class names in order of their numbers.
        k: how many neighbours count.
        gallery: filled by the time `compute` is called.
    """

    def __init__(self, classes: Sequence[str], k: int, gallery: Labelled) -> None:
        import numpy as np

        self.classes, self.k = tuple(classes), k
        self.pairs: Counter[tuple[int, int]] = Counter()  # (truth, class of the nearest)
        self.hits = np.zeros(len(classes), np.int64)  # queries of a class that have it among the k
        self._gallery = gallery
        self._waiting = InBulk(self._count)

    def update(self, frame: Frame, prediction: Neighbours) -> None:
        """`frame.sample.target` is the true class number."""
        self._waiting.add(frame.sample.target, prediction.labels[: self.k])

    def _count(self, truth: np.ndarray, labels: np.ndarray) -> None:
        import numpy as np

        self.pairs.update(zip(truth.tolist(), labels[:, 0].tolist(), strict=True))
        np.add.at(self.hits, truth[(labels == truth[:, None]).any(axis=1)], 1)

    def merge(self, other: Retrieval) -> None:
        self._waiting.flush()
        other._waiting.flush()
        self.pairs.update(other.pairs)
        self.hits += other.hits

    def compute(self) -> Report:
        import numpy as np

        self._waiting.flush()
        total = sum(self.pairs.values())
        if total == 0:
            raise DataError("No query was scored.")
        queries, found, right = (np.zeros(len(self.classes), np.int64) for _ in range(3))
        for (truth, nearest), count in self.pairs.items():
            queries[truth] += count
            found[nearest] += count
            right[truth] += count if truth == nearest else 0
        gallery = np.bincount(self._gallery.labels, minlength=len(self.classes))
        asked = queries > 0
        results = {
            "top_k_accuracy": float((self.hits[asked] / queries[asked]).mean()),
            "top_1_accuracy": float((right[asked] / queries[asked]).mean()),
            "k": self.k,
            "recall_at_k": float(self.hits.sum() / total),
            "recall_at_1": float(right.sum() / total),
            "num_queries": total,
            "num_gallery": int(gallery.sum()),
            "queries_without_gallery_class": int(queries[gallery == 0].sum()),
        }
        kpi = {f"top_{self.k}_accuracy": results["top_k_accuracy"], "top_1_accuracy": results["top_1_accuracy"]}
        rows = self._rows(queries, found, right, gallery)
        tables, files = self._matrix()
        tables += [_shown(rows, self._columns), self._headline(results)]
        files[PER_CLASS_FILE] = _as_csv(self._columns, rows)
        return Report(kpi, results, tuple(tables), files)

    @property
    def _columns(self) -> tuple[str, ...]:
        return ("class", "precision", "recall = top-1", "F1", f"top-{self.k}", "queries", "gallery")

    def _rows(
        self, queries: np.ndarray, found: np.ndarray, right: np.ndarray, gallery: np.ndarray
    ) -> list[tuple[object, ...]]:
        """One row per class that has queries or was found."""
        import numpy as np

        columns = (*precision_recall_f1(right, found, queries), self.hits / np.maximum(queries, 1))
        shares = np.stack(columns, axis=1).tolist()
        return [
            (self.classes[label], *shares[label], int(queries[label]), int(gallery[label]))
            for label in np.flatnonzero(queries + found).tolist()
        ]

    def _matrix(self) -> tuple[list[Table], dict[str, bytes]]:
        import numpy as np

        count = len(self.classes)
        if count > WIDEST_PICTURE:
            return [], {}
        confusion = np.zeros((count, count), np.int64)
        for pair, number in self.pairs.items():
            confusion[pair] = number
        tables = [matrix_table(self.classes, confusion)] if count <= WIDEST_MATRIX else []
        return tables, {MATRIX_FILE: matrix_picture(confusion, self.classes)}

    def _headline(self, results: dict[str, float]) -> Table:
        rows: list[tuple[object, ...]] = [
            (f"top-{self.k}, mean of classes", results["top_k_accuracy"]),
            ("top-1, mean of classes", results["top_1_accuracy"]),
            (f"recall@{self.k}, all queries", results["recall_at_k"]),
            ("recall@1, all queries", results["recall_at_1"]),
            ("queries", results["num_queries"]),
            ("gallery", results["num_gallery"]),
        ]
        if results["queries_without_gallery_class"]:
            rows.append(("queries whose class the gallery lacks", results["queries_without_gallery_class"]))
        return Table("Accuracy", ("figure", "value"), tuple(rows))


def _shown(rows: Sequence[tuple[object, ...]], columns: tuple[str, ...]) -> Table:
    if len(rows) <= LONGEST_TABLE:
        return Table("Per class", columns, tuple(rows))
    worst = sorted((row for row in rows if row[5]), key=lambda row: (row[2], row[0]))[:LONGEST_TABLE]
    title = f"Per class: the lowest {LONGEST_TABLE} of {len(rows)}, all in {PER_CLASS_FILE}"
    return Table(title, columns, tuple(worst))


def _as_csv(columns: Sequence[str], rows: Sequence[tuple[object, ...]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([f"{cell:.6f}" if isinstance(cell, float) else cell for cell in row] for row in rows)
    return text.getvalue().encode(errors="surrogateescape")
