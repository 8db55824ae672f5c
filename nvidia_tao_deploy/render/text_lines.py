# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Results of text recognition: a printed line per picture, and predictions.csv."""

from __future__ import annotations

from pathlib import Path

from nvidia_tao_deploy.files import visible
from nvidia_tao_deploy.network import Frame
from nvidia_tao_deploy.predictions import Text
from nvidia_tao_deploy.render.csv_rows import CsvRows

COLUMNS = ("image", "text", "confidence")


class TextLines(CsvRows):
    """Prints `<path>: <text> <confidence>` for each picture, as TAO Deploy does, and writes the same as a CSV file.

    Args:
        path: the CSV file; it appears, whole, at the end.
        print_confidence: False for lines `<path>: <text>`.
    """

    def __init__(self, path: Path, print_confidence: bool = True) -> None:
        super().__init__(path, COLUMNS)
        self._print_confidence = print_confidence

    def write(self, frame: Frame, prediction: Text) -> Text:
        return prediction

    def record(self, frame: Frame, result: Text) -> None:
        confidence = f" {result.confidence:.6g}" if self._print_confidence else ""
        print(visible(f"{frame.sample.path}: {result.text}{confidence}"))
        super().record(frame, (str(frame.sample.path), result.text, f"{result.confidence:.6g}"))
