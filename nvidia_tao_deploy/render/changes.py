# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of change detection: the change map, and both pictures beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from nvidia_tao_deploy.files import write_atomic
from nvidia_tao_deploy.network import Frame
from nvidia_tao_deploy.predictions import Segmentation
from nvidia_tao_deploy.render.boxes import encode
from nvidia_tao_deploy.render.colours import Colour
from nvidia_tao_deploy.render.masks import beside, colour_table, fitted, overlay, overlay_colours, painted
from nvidia_tao_deploy.transforms.change import ChangeFrame

COMBINED, OVERLAY = "combined_visualisation", "overlay"


class ChangePictures:
    """Writes `<name>.jpg` (the map), `combined_visualisation/<name>.jpg` (before, after, map and, where there is one,
    the mask) and `overlay/<name>.jpg` (the map over the second picture; red where its colours are black and white).
    `<name>` keeps its own ending: a.png.jpg.

    Args:
        folder: where the files go.
        colours: of each class.
    """

    keeps_picture = True

    def __init__(self, folder: Path, colours: Mapping[int, Colour]) -> None:
        self._folder = folder
        self._table, self._over = colour_table(colours), colour_table(overlay_colours(colours))

    def write(self, frame: Frame, prediction: Segmentation) -> None:
        from PIL import Image

        assert isinstance(frame, ChangeFrame) and frame.picture is not None and frame.after is not None
        size = prediction.classes.shape
        before, after = fitted(frame.picture, size), fitted(frame.after, size)
        found = painted(prediction.classes, self._table)
        row = [before, after, found]
        if frame.sample.target is not None:
            row.append(painted(frame.sample.target, self._table))
        name = f"{frame.sample.name}.jpg"
        for path, pixels in (
            (self._folder / name, found),
            (self._folder / COMBINED / name, beside(row)),
            (self._folder / OVERLAY / name, overlay(after, prediction.classes, self._over, clear=0)),
        ):
            write_atomic(path, encode(Image.fromarray(pixels), ".jpg"), durable=False)

    def record(self, frame: Frame, result: None) -> None:
        """Nothing to keep."""

    def finish(self) -> Sequence[Path]:
        return [self._folder, self._folder / COMBINED, self._folder / OVERLAY]
