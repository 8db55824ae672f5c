# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures with their most likely classes written below: `images_annotated/<name>`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from nvidia_tao_deploy.files import write_atomic
from nvidia_tao_deploy.network import Frame
from nvidia_tao_deploy.predictions import Classes
from nvidia_tao_deploy.render.boxes import FOLDER, encode
from nvidia_tao_deploy.render.captions import captioned, check_names
from nvidia_tao_deploy.render.names import ResultNames


def top_lines(prediction: Classes, classes: Sequence[str], count: int) -> list[str]:
    """`name 0.93` for the most likely classes, the best first; equal ones in order of their numbers."""
    best = (-prediction.probabilities).argsort(kind="stable")[:count]
    return [f"{classes[index]} {prediction.probabilities[index]:.2f}" for index in best]


class TopClassPictures:
    """Writes each picture with its classes below it.

    Args:
        results_dir: `images_annotated` is made below it.
        names: result file names.
        classes: class names in order of their numbers; or those of each task, for a prediction of several.
        count: how many classes are shown (one per task, for several).
    """

    keeps_picture = True

    def __init__(
        self, results_dir: Path, names: ResultNames, classes: Sequence[str] | Mapping[str, Sequence[str]], count: int
    ) -> None:
        self._folder = results_dir / FOLDER
        self._names, self._classes, self._count = names, classes, count
        lists = classes.values() if isinstance(classes, Mapping) else [classes]
        check_names(name for list_ in lists for name in list_)

    def write(self, frame: Frame, prediction: Classes | Mapping[str, Classes]) -> None:
        assert frame.picture is not None
        path = self._names.path(self._folder, frame.sample.name)
        write_atomic(path, encode(captioned(frame.picture, self._lines(prediction)), path.suffix), durable=False)

    def _lines(self, prediction: Classes | Mapping[str, Classes]) -> list[str]:
        if isinstance(prediction, Classes):
            assert not isinstance(self._classes, Mapping)
            return top_lines(prediction, self._classes, self._count)
        assert isinstance(self._classes, Mapping)
        return [f"{task}: {top_lines(found, self._classes[task], 1)[0]}" for task, found in prediction.items()]

    def record(self, frame: Frame, result: None) -> None:
        """Nothing to keep."""

    def finish(self) -> Sequence[Path]:
        return [self._folder]
