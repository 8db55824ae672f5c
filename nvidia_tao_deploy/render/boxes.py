# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures with labelled boxes drawn on them: `images_annotated/<name>`."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nvidia_tao_deploy.data.classmap import ClassNames
from nvidia_tao_deploy.files import ANNOTATED_FOLDER, write_atomic
from nvidia_tao_deploy.network import Frame
from nvidia_tao_deploy.predictions import Detections
from nvidia_tao_deploy.render.captions import check_names, font_of
from nvidia_tao_deploy.render.colours import ClassColours, Colour, text_colour
from nvidia_tao_deploy.render.names import ResultNames

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image, ImageDraw, ImageFont

FOLDER = ANNOTATED_FOLDER
SAVE_OPTIONS: dict[str, dict[str, int]] = {
    "JPEG": {"quality": 92},
    "WEBP": {"quality": 92, "method": 1},
    "PNG": {"compress_level": 1},  # a third of the time of level 6, and little larger for photographs
}
LONGEST_SIDE = {"JPEG": 65_500, "WEBP": 16_383}
"""Pixels that a file format holds at most; a picture read under a wrong name, or one with a caption, may have more."""
SMALLEST_TEXT, LARGEST_TEXT = 10, 28


@dataclass(frozen=True, slots=True)
class LabelledBox:
    """What is drawn for one object: corners in pixels (x1, y1, x2, y2), text above it, colour."""

    corners: tuple[float, float, float, float]
    text: str
    colour: Colour


def draw_boxes(picture: np.ndarray, boxes: Sequence[LabelledBox], width: int = 3) -> Image.Image:
    """Draw on a copy of `picture` ((H,W,3) uint8 RGB); the first box comes out on top.

    Args:
        width: of the outline, in pixels.
    """
    from PIL import Image, ImageDraw

    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image)
    size = min(max(SMALLEST_TEXT, min(image.size) // 40), LARGEST_TEXT)
    font = font_of(size)
    for box in reversed(boxes):
        draw.rectangle(_outline(box.corners, image.size), outline=box.colour, width=width)
    for box in reversed(boxes):  # all texts above all outlines
        _draw_text(draw, font, box, image.size)
    return image


def _outline(corners: tuple[float, float, float, float], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Whole pixels inside the picture: a box that ends at the border has its outline in the last row or column."""
    left, top, right, bottom = (round(value) for value in corners)
    left, top = min(max(left, 0), size[0] - 1), min(max(top, 0), size[1] - 1)
    return left, top, min(max(right, left), size[0] - 1), min(max(bottom, top), size[1] - 1)


def _draw_text(
    draw: ImageDraw.ImageDraw,
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont,
    box: LabelledBox,
    size: tuple[int, int],
) -> None:
    """Above the box where there is room, else inside at its top; moved left at the right border."""
    left, top, right, bottom = draw.textbbox((0, 0), box.text, font=font)
    pad = 2
    wide, high = round(right - left) + 2 * pad, round(bottom - top) + 2 * pad
    x = max(0, min(round(box.corners[0]), size[0] - wide))
    y = round(box.corners[1])
    y = y - high if y >= high else max(0, y)
    draw.rectangle((x, y, x + wide, y + high), fill=box.colour)
    draw.text((x + pad - left, y + pad - top), box.text, fill=text_colour(box.colour), font=font)


def encode(image: Image.Image, suffix: str) -> bytes:
    """The picture in the file format of `suffix` (".jpg", ".png", ...), made smaller where that cannot hold it."""
    from PIL import Image as pillow

    pillow.preinit()  # the common formats; all of them, the rare ones too, take 80 ms to load
    kind = pillow.EXTENSION.get(suffix.lower()) or pillow.registered_extensions()[suffix.lower()]
    longest = LONGEST_SIDE.get(kind, max(image.size))
    if max(image.size) > longest:
        image = image.copy()
        image.thumbnail((longest, longest))
    buffer = io.BytesIO()
    options = SAVE_OPTIONS.get(kind, {})
    image.save(buffer, kind, **options)
    return buffer.getvalue()


class AnnotatedPictures:
    """Writes each picture, in colour, with the boxes that reach the threshold.

    Args:
        results_dir: `images_annotated` is made below it.
        names: result file names.
        classes: class names.
        colours: class colours.
        threshold: lowest score drawn.
        width: of outlines, in pixels.
    """

    keeps_picture = True

    def __init__(
        self,
        results_dir: Path,
        names: ResultNames,
        classes: ClassNames,
        colours: ClassColours,
        threshold: float,
        width: int,
    ) -> None:
        self._folder = results_dir / FOLDER
        self._names, self._classes, self._colours = names, classes, colours
        self._threshold, self._width = threshold, width
        check_names(classes)

    def write(self, frame: Frame, prediction: Detections) -> None:
        assert frame.picture is not None
        boxes = []
        for corners, score, label in prediction.at_least(self._threshold):
            name = self._classes[label]
            boxes.append(LabelledBox(corners, f"{name}: {score:.2f}", self._colours[name]))
        image = draw_boxes(frame.picture, boxes, self._width)
        path = self._names.path(self._folder, frame.sample.name)
        write_atomic(path, encode(image, path.suffix), durable=False)

    def record(self, frame: Frame, result: None) -> None:
        """Nothing to keep."""

    def finish(self) -> Sequence[Path]:
        return [self._folder]
