# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Accuracy of text recognition: exact match, and two softer figures for the table."""

from __future__ import annotations

from nvidia_tao_deploy.data.text_recognition import BLANKS
from nvidia_tao_deploy.errors import DataError
from nvidia_tao_deploy.network import Frame, Report, Table
from nvidia_tao_deploy.predictions import Text

SHOWN_MISTAKES = 10


class ExactMatch:
    """Share of pictures whose text is read exactly, letter case included.

    Blanks before and after the text that was read do not count: a ground-truth file cannot state any.
    """

    def __init__(self) -> None:
        self._pictures = self._exact = self._same_letters = 0
        self._similarity = 0.0
        self._mistakes: list[tuple[str, str, str, float]] = []

    def update(self, frame: Frame, prediction: Text) -> None:
        truth: str = frame.sample.target
        read = prediction.text.strip(BLANKS)
        self._pictures += 1
        if read == truth:
            self._exact += 1
            self._same_letters += 1
            self._similarity += 1.0
            return
        self._same_letters += read.casefold() == truth.casefold()
        self._similarity += similarity(truth, read)
        if len(self._mistakes) < SHOWN_MISTAKES:
            self._mistakes.append((frame.sample.name, truth, read, prediction.confidence))

    def merge(self, other: ExactMatch) -> None:
        self._pictures += other._pictures
        self._exact += other._exact
        self._same_letters += other._same_letters
        self._similarity += other._similarity
        self._mistakes = (self._mistakes + other._mistakes)[:SHOWN_MISTAKES]

    def compute(self) -> Report:
        if not self._pictures:
            raise DataError("No picture was scored.")
        accuracy = self._exact / self._pictures
        rows = (
            ("Accuracy (exact)", accuracy),
            ("Accuracy, letter case ignored", self._same_letters / self._pictures),
            ("1 - normalised edit distance", self._similarity / self._pictures),
            ("pictures", self._pictures),
        )
        tables = [Table("text recognition", ("measure", "value"), rows)]
        if self._mistakes:
            title = f"first {len(self._mistakes)} of {self._pictures - self._exact} misread pictures"
            tables.append(Table(title, ("picture", "labelled", "read", "confidence"), tuple(self._mistakes)))
        return Report(kpi={"Accuracy": accuracy}, results={"Accuracy": accuracy}, tables=tuple(tables))


def similarity(first: str, second: str) -> float:
    """1 - edit distance / length of the longer text, 0..1; 1 for two empty texts (ICDAR 2019's 1-N.E.D.)."""
    longer = max(len(first), len(second))
    return 1 - edit_distance(first, second) / longer if longer else 1.0


def edit_distance(first: str, second: str) -> int:
    """Fewest insertions, deletions and replacements that turn one text into the other (Levenshtein, 1965)."""
    row = list(range(len(second) + 1))
    for deleted, letter in enumerate(first, 1):
        diagonal, row[0] = row[0], deleted
        for index, other in enumerate(second, 1):
            diagonal, row[index] = row[index], min(diagonal + (letter != other), row[index] + 1, row[index - 1] + 1)
    return row[-1]
