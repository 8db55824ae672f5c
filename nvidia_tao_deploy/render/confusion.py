# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""A confusion matrix as a picture: rows are the truth, columns the prediction, darker means a larger share of a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nvidia_tao_deploy.render.boxes import encode
from nvidia_tao_deploy.render.captions import check_names, font_of

if TYPE_CHECKING:
    import numpy as np
    from PIL import ImageDraw

SIDE = 1000
"""Pixels that the cells share, where the classes are few enough."""
LARGEST_CELL, CELL_WITH_NUMBER, CELL_WITH_NAME = 64, 30, 11
LONGEST_NAME = 24
MARGIN = 16
DARKEST = (8, 48, 107)
GRID, INK, PALE = (210, 210, 210), (20, 20, 20), (255, 255, 255)


def matrix_picture(confusion: np.ndarray, classes: Sequence[str]) -> bytes:
    """PNG of a confusion matrix.

    Args:
        confusion: (N,N) counts, [truth, prediction].
        classes: N names; not shown when there are so many that they could not be read.
    """
    import numpy as np
    from PIL import Image, ImageDraw

    count = len(classes)
    cell = min(max(SIDE // count, 1), LARGEST_CELL)
    share = np.divide(confusion, np.maximum(confusion.sum(axis=1, keepdims=True), 1), dtype=np.float32)
    steps = np.linspace(0, 1, 256)[:, None]  # a table of colours: those of every cell in floats take 24 bytes a cell
    table = np.rint(np.asarray(PALE) + steps * (np.asarray(DARKEST) - np.asarray(PALE))).astype(np.uint8)
    cells = table[np.rint(share * 255).astype(np.uint8).repeat(cell, axis=0).repeat(cell, axis=1)]
    names = [name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}…" for name in classes]
    font = font_of(min(16, max(9, cell - 3)))
    label = round(max(font.getlength(name) for name in names)) + 8 if cell >= CELL_WITH_NAME else 0
    left = top = MARGIN + 20 + label
    side = cell * count
    image = Image.new("RGB", (left + side + MARGIN, top + side + MARGIN), PALE)
    image.paste(Image.fromarray(cells), (left, top))
    draw = ImageDraw.Draw(image)
    draw.text((left, MARGIN // 2), "predicted", fill=INK, font=font_of(16))
    _turned(image, "true", (MARGIN // 2, top), 16)
    draw.rectangle((left - 1, top - 1, left + side, top + side), outline=GRID)
    if cell >= CELL_WITH_NUMBER:
        _numbers(draw, confusion, share, (left, top), cell)
    if label:
        check_names(names)
        for index, name in enumerate(names):
            middle = cell * index + cell // 2
            draw.text((left - 6, top + middle), name, fill=INK, font=font, anchor="rm")
            _turned(image, name, (left + middle, top - 6), font.size, anchored=True)  # type: ignore[union-attr]
    return encode(image, ".png")


def _numbers(
    draw: ImageDraw.ImageDraw, confusion: np.ndarray, share: np.ndarray, corner: tuple[int, int], cell: int
) -> None:
    for row, column in zip(*confusion.nonzero(), strict=True):
        text = str(int(confusion[row, column]))
        font = font_of(max(8, min(15, int(1.5 * cell / max(len(text), 2)))))
        place = (corner[0] + cell * int(column) + cell // 2, corner[1] + cell * int(row) + cell // 2)
        draw.text(place, text, fill=PALE if share[row, column] > 0.45 else INK, font=font, anchor="mm")


def _turned(image: object, text: str, place: tuple[int, int], size: float, anchored: bool = False) -> None:
    """Text from below upwards; its left border at `place`, or with `anchored` its beginning centred there."""
    from PIL import Image, ImageDraw

    font = font_of(int(size))
    wide, high = round(font.getlength(text)) + 2, round(size * 1.4)
    strip = Image.new("RGB", (wide, high), PALE)
    ImageDraw.Draw(strip).text((1, high // 2), text, fill=INK, font=font, anchor="lm")
    strip = strip.transpose(Image.Transpose.ROTATE_90)
    x, y = (place[0] - high // 2, place[1] - wide) if anchored else place
    image.paste(strip, (x, max(y, 0)))  # type: ignore[attr-defined]
