# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""result.csv of multitask classification: picture, then a column `label (0.1234)` for each task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from nvidia_tao_deploy.network import Frame
from nvidia_tao_deploy.predictions import Classes
from nvidia_tao_deploy.render.csv_rows import CsvRows


class TaskCsv(CsvRows):
    """A header, then one line per picture in sample order, as TAO Deploy writes it.

    Args:
        path: the file to write.
        classes: class names by task, in the order of the columns.
    """

    def __init__(self, path: Path, classes: Mapping[str, Sequence[str]]) -> None:
        super().__init__(path, ("filename", *classes))
        self._classes = classes

    def write(self, frame: Frame, prediction: Mapping[str, Classes]) -> list[str]:
        cells = []
        for task, names in self._classes.items():
            chances = prediction[task].probabilities
            best = int(chances.argmax())
            cells.append(f"{names[best]} ({chances[best]:.4f})")
        return [str(frame.sample.path), *cells]
