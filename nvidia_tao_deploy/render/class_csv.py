# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""result.csv of classification: picture, class, probability."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nvidia_tao_deploy.network import Frame
from nvidia_tao_deploy.predictions import Classes
from nvidia_tao_deploy.render.csv_rows import CsvRows


class ClassCsv(CsvRows):
    """One line per picture in sample order, without a header, as TAO Deploy writes it; paths are absolute.

    Args:
        path: the file to write.
        classes: class names in order of their numbers.
    """

    def __init__(self, path: Path, classes: Sequence[str]) -> None:
        super().__init__(path)
        self._classes = classes

    def write(self, frame: Frame, prediction: Classes) -> tuple[str, str, str]:
        best = int(prediction.probabilities.argmax())
        return str(frame.sample.path.absolute()), self._classes[best], f"{prediction.probabilities[best]:.6f}"
