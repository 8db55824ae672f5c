# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""A CSV file with one line per sample: what the csv writers of the networks share."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nvidia_tao_deploy.files import write_atomic
from nvidia_tao_deploy.network import Frame


class CsvRows:
    """Base of writers whose `write` returns a line's cells; the file appears, whole, at the end.

    Args:
        path: the file to write.
        header: names of the columns; empty for a file without a header.
    """

    keeps_picture = False

    def __init__(self, path: Path, header: Sequence[str] = ()) -> None:
        self._path = path
        self._text = io.StringIO()
        self._rows = csv.writer(self._text, lineterminator="\n")
        if header:
            self._rows.writerow(header)

    def record(self, frame: Frame, result: Any) -> None:
        self._rows.writerow(result)

    def finish(self) -> list[Path]:
        write_atomic(self._path, self._text.getvalue())
        return [self._path]
