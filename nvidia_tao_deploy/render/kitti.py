# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Detections as KITTI label files: `labels/<name>.txt`, one object per line, 16 columns.

Columns (https://www.cvlibs.net/datasets/kitti/eval_object.php): type, truncated, occluded, alpha, x1, y1, x2, y2, then
height, width, length, x, y, z, rotation_y (not known here: 0), and the score.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from nvidia_tao_deploy.data.classmap import ClassNames
from nvidia_tao_deploy.files import write_atomic
from nvidia_tao_deploy.network import Frame
from nvidia_tao_deploy.predictions import Detections
from nvidia_tao_deploy.render.names import ResultNames

logger = logging.getLogger(__name__)
FOLDER = "labels"


def kitti_name(name: str) -> str:
    """A class name as one column: runs of white space become one underscore."""
    return "_".join(name.split()) or "_"


def kitti_line(name: str, corners: Sequence[float], score: float) -> str:
    """One line, without line end; `corners` are x1 y1 x2 y2 in pixels."""
    box = " ".join(f"{value:.3f}" for value in corners)
    return f"{kitti_name(name)} 0.00 0 0.00 {box} 0.00 0.00 0.00 0.00 0.00 0.00 0.00 {score:.3f}"


class KittiLabels:
    """Writes one label file per picture with the detections that reach the threshold; an empty file where none does.

    Args:
        results_dir: `labels` is made below it.
        names: result file names.
        classes: class names; a label without one is written as class_<label> and reported at the end.
        threshold: lowest score written.
    """

    keeps_picture = False

    def __init__(self, results_dir: Path, names: ResultNames, classes: ClassNames, threshold: float) -> None:
        self._folder = results_dir / FOLDER
        self._names, self._classes, self._threshold = names, classes, threshold
        self._written = 0
        self._nameless: Counter[int] = Counter()

    def write(self, frame: Frame, prediction: Detections) -> list[int]:
        """Returns the labels written."""
        kept = list(prediction.at_least(self._threshold))
        text = "".join(f"{kitti_line(self._classes[label], corners, score)}\n" for corners, score, label in kept)
        write_atomic(self._names.path(self._folder, frame.sample.name, ".txt"), text, durable=False)
        return [label for _, _, label in kept]

    def record(self, frame: Frame, result: list[int]) -> None:
        self._written += len(result)
        self._nameless.update(label for label in result if not self._classes.known(label))

    def finish(self) -> Sequence[Path]:
        if self._nameless:
            most = ", ".join(f"{label} ({count})" for label, count in self._nameless.most_common(5))
            logger.warning(
                "%d of %d objects have a label that the class list does not name; written as class_<label>: label %s",
                sum(self._nameless.values()), self._written, most,
            )  # fmt: skip
        return [self._folder]
