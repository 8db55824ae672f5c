# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""trt_result.csv of metric learning: picture, the classes of its nearest gallery pictures, their distances."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nvidia_tao_deploy.network import Frame
from nvidia_tao_deploy.predictions import Neighbours
from nvidia_tao_deploy.render.csv_rows import CsvRows

DECIMALS = 4


class NeighbourCsv(CsvRows):
    """One line per query in sample order, without a header, as TAO Deploy writes it: absolute path, names and squared
    distances as the text of Python lists, nearest first.

    Args:
        path: the file to write.
        classes: class names in order of their numbers.
    """

    def __init__(self, path: Path, classes: Sequence[str]) -> None:
        super().__init__(path)
        self._classes = classes

    def write(self, frame: Frame, prediction: Neighbours) -> tuple[str, str, str]:
        names = [self._classes[label] for label in prediction.labels.tolist()]
        distances = [round(value, DECIMALS) for value in prediction.squared_distances.tolist()]
        return str(frame.sample.path.absolute()), str(names), str(distances)
