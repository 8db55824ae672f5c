# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""trt_result.csv of metric learning: picture, the classes of its nearest gallery pictures, their distances."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from nvidia_tao_deploy.files import write_atomic
from nvidia_tao_deploy.network import Frame
from nvidia_tao_deploy.predictions import Neighbours

DECIMALS = 4


class NeighbourCsv:
    """One line per query in sample order, without a header, as TAO Deploy writes it: path, names and squared distances
    as the text of Python lists, nearest first.

    Args:
        path: the file to write.
        classes: class names in order of their numbers.
    """

    keeps_picture = False

    def __init__(self, path: Path, classes: Sequence[str]) -> None:
        self._path, self._classes = path, classes
        self._text = io.StringIO()
        self._rows = csv.writer(self._text, lineterminator="\n")

    def write(self, frame: Frame, prediction: Neighbours) -> tuple[str, str, str]:
        names = [self._classes[label] for label in prediction.labels.tolist()]
        distances = [round(value, DECIMALS) for value in prediction.squared_distances.tolist()]
        return str(frame.sample.path), str(names), str(distances)

    def record(self, frame: Frame, result: tuple[str, str, str]) -> None:
        self._rows.writerow(result)

    def finish(self) -> list[Path]:
        write_atomic(self._path, self._text.getvalue())
        return [self._path]
