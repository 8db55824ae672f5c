# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""A csv file as it was given, with a column for the score of each line."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from nvidia_tao_deploy.data.pairs import PairSample, PairTable
from nvidia_tao_deploy.files import write_atomic
from nvidia_tao_deploy.network import Frame
from nvidia_tao_deploy.predictions import Score

COLUMN = "output_score"


class ScoreCsv:
    """Every line of the table in its order, with header; the score is a plain number, empty for a pair that failed.

    A table that has the column of scores, being the result of an earlier run, gets the new ones in its place.

    Args:
        path: the file to write.
        table: the csv that the samples come from.
    """

    keeps_picture = False

    def __init__(self, path: Path, table: PairTable) -> None:
        self._path, self._table = path, table
        self._scores = [""] * len(table.rows)

    def write(self, frame: Frame, prediction: Score) -> str:
        return f"{prediction.value:.9g}"  # enough to give a float32 back exactly

    def record(self, frame: Frame, result: str) -> None:
        assert isinstance(frame.sample, PairSample)
        self._scores[frame.sample.row] = result

    def finish(self) -> list[Path]:
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        kept = [place for place, name in enumerate(self._table.header) if name != COLUMN]
        columns = [self._table.header, *self._table.rows], [COLUMN, *self._scores]
        rows.writerows([*(cells[place] for place in kept), score] for cells, score in zip(*columns, strict=True))
        write_atomic(self._path, text.getvalue())
        return [self._path]
