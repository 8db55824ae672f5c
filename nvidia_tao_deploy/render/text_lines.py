# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Results of text recognition: a printed line per picture, and predictions.csv."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from nvidia_tao_deploy.files import write_atomic
from nvidia_tao_deploy.network import Frame
from nvidia_tao_deploy.predictions import Text

COLUMNS = ("image", "text", "confidence")


class TextLines:
    """Prints `<path>: <text> <confidence>` for each picture, as TAO Deploy does, and writes the same as a CSV file.

    Args:
        path: the CSV file; it appears, whole, at the end.
        print_confidence: False for lines `<path>: <text>`.
    """

    keeps_picture = False

    def __init__(self, path: Path, print_confidence: bool = True) -> None:
        self._path, self._print_confidence = path, print_confidence
        self._text = io.StringIO()
        self._rows = csv.writer(self._text, lineterminator="\n")
        self._rows.writerow(COLUMNS)

    def write(self, frame: Frame, prediction: Text) -> Text:
        return prediction

    def record(self, frame: Frame, result: Text) -> None:
        confidence = f" {result.confidence:.6g}" if self._print_confidence else ""
        print(f"{frame.sample.path}: {result.text}{confidence}")
        self._rows.writerow((str(frame.sample.path), result.text, f"{result.confidence:.6g}"))

    def finish(self) -> list[Path]:
        write_atomic(self._path, self._text.getvalue())
        return [self._path]
