# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Figures of automated optical inspection: a pair is called a defect when its score is above a margin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nvidia_tao_deploy.errors import DataError
from nvidia_tao_deploy.files import MATRIX_FILE
from nvidia_tao_deploy.metrics.classification import matrix_table
from nvidia_tao_deploy.network import Frame, Report, Table
from nvidia_tao_deploy.predictions import Score
from nvidia_tao_deploy.render.confusion import matrix_picture

if TYPE_CHECKING:
    import numpy as np

CLASSES = ("PASS", "defect")


def percent(part: int, whole: int) -> float:
    """100 * part / whole; 0 where there is nothing to divide by."""
    return 100.0 * part / whole if whole else 0.0


class InspectionMetric:
    """Accuracy in percent by the definitions of TAO 7.3; keeps two numbers per pair.

    With D defects and P good units among N pairs (an empty denominator gives 0):
    total_accuracy = right / N, defect_accuracy = found defects / D, false_negative = missed defects / D,
    false_alarm = good units called defects / P. TAO 6.25 and its training divide the last two by N: reported beside
    them as false_negative_of_all and false_alarm_of_all.

    Args:
        margin: scores above it are defects.
    """

    def __init__(self, margin: float) -> None:
        self.margin = margin
        self.scores: list[float] = []
        self.labels: list[int] = []

    def update(self, frame: Frame, prediction: Score) -> None:
        """`frame.sample.target`: 0 for a good unit, 1 for a defect."""
        self.scores.append(prediction.value)
        self.labels.append(frame.sample.target)

    def merge(self, other: InspectionMetric) -> None:
        self.scores += other.scores
        self.labels += other.labels

    def compute(self) -> Report:
        import numpy as np

        if not self.scores:
            raise DataError("No pair was scored.")
        scores, defect = np.array(self.scores), np.array(self.labels, bool)
        called = scores > self.margin
        counts = {
            "defects_found": int((defect & called).sum()),
            "defects_missed": int((defect & ~called).sum()),
            "good_passed": int((~defect & ~called).sum()),
            "good_called_defect": int((~defect & called).sum()),
        }
        found, missed, passed, alarms = counts.values()
        total = len(scores)
        figures = {
            "total_accuracy": percent(found + passed, total),
            "defect_accuracy": percent(found, found + missed),
            "false_negative": percent(missed, found + missed),
            "false_alarm": percent(alarms, alarms + passed),
            "false_negative_of_all": percent(missed, total),
            "false_alarm_of_all": percent(alarms, total),
        }
        results = {**figures, **counts, "num_pairs": total, "margin": self.margin}
        confusion = np.array([[passed, alarms], [missed, found]])
        tables = (self._scores(scores, defect), matrix_table(CLASSES, confusion), self._headline(figures))
        return Report(figures, results, tables, {MATRIX_FILE: matrix_picture(confusion, CLASSES)})

    def _headline(self, figures: dict[str, float]) -> Table:
        of = ("all pairs", "defects", "defects", "good units", "all pairs (6.25)", "all pairs (6.25)")
        rows = [(name, value, part) for (name, value), part in zip(figures.items(), of, strict=True)]
        return Table(f"Inspection, margin {self.margin:g}", ("figure", "percent", "of"), tuple(rows))

    def _scores(self, scores: np.ndarray, defect: np.ndarray) -> Table:
        import numpy as np

        rows = []
        for name, chosen in (("good units", ~defect), ("defects", defect)):
            part = scores[chosen]
            # not np.quantile, which makes NaN of infinite distances
            spread = [float(part.min()), float(np.median(part)), float(part.max())] if len(part) else ["-"] * 3
            rows.append((name, len(part), *spread))
        return Table("Scores", ("pairs", "number", "smallest", "median", "largest"), tuple(rows))
