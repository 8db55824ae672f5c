# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""result.csv of classification: picture, class, probability."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from nvidia_tao_deploy.files import write_atomic
from nvidia_tao_deploy.network import Frame
from nvidia_tao_deploy.predictions import Classes


class ClassCsv:
    """One line per picture in sample order, without a header, as TAO Deploy writes it.

    Args:
        path: the file to write.
        classes: class names in order of their numbers.
    """

    keeps_picture = False

    def __init__(self, path: Path, classes: Sequence[str]) -> None:
        self._path, self._classes = path, classes
        self._text = io.StringIO()
        self._rows = csv.writer(self._text, lineterminator="\n")

    def write(self, frame: Frame, prediction: Classes) -> tuple[str, str, str]:
        best = int(prediction.probabilities.argmax())
        return str(frame.sample.path), self._classes[best], f"{prediction.probabilities[best]:.6f}"

    def record(self, frame: Frame, result: tuple[str, str, str]) -> None:
        self._rows.writerow(result)

    def finish(self) -> list[Path]:
        write_atomic(self._path, self._text.getvalue())
        return [self._path]
