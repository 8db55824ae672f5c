# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Strips of a query and its nearest gallery pictures: `images_annotated/<name>`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from nvidia_tao_deploy.data.pictures import PictureReader
from nvidia_tao_deploy.errors import DataError
from nvidia_tao_deploy.files import write_atomic
from nvidia_tao_deploy.network import Frame
from nvidia_tao_deploy.predictions import Neighbours
from nvidia_tao_deploy.render.boxes import FOLDER, encode
from nvidia_tao_deploy.render.captions import INK, PAPER, check_names, font_of
from nvidia_tao_deploy.render.names import ResultNames

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from nvidia_tao_deploy.data.gallery import Gallery
    from nvidia_tao_deploy.render.colours import Colour

SUFFIX = ".jpg"
TILE, FRAME, GAP, TEXT = 144, 5, 8, 13
"""Pixels: side of a picture, width of the frame around it, distance between two, height of the letters."""
RIGHT, WRONG, UNKNOWN = (0, 150, 60), (205, 30, 30), (150, 150, 150)
"""Frames: the neighbour is of the query's class, of another, or the query's class is not known."""
THUMBNAILS = 1024
"""Gallery pictures kept in memory at the size in which they are drawn (about 60 kB each)."""


class NeighbourStrips:
    """Writes, for every query, itself and its nearest gallery pictures with class, squared distance and frame.

    Args:
        results_dir: `images_annotated` is made below it.
        names: result file names.
        classes: class names in order of their numbers.
        gallery: what the neighbours are positions in.
        count: neighbours drawn, at most.
        exif: read gallery pictures as their EXIF orientation says.
    """

    keeps_picture = True

    def __init__(
        self,
        results_dir: Path,
        names: ResultNames,
        classes: Sequence[str],
        gallery: Gallery,
        count: int,
        exif: bool = False,
    ) -> None:
        self._folder = results_dir / FOLDER
        self._names, self._classes, self._gallery, self._count = names, classes, gallery, count
        self._reader = PictureReader("RGB", exif)
        self._thumbnail = lru_cache(maxsize=THUMBNAILS)(self._read)
        check_names(classes)

    def write(self, frame: Frame, prediction: Neighbours) -> None:
        assert frame.picture is not None
        truth = frame.sample.target
        own = self._classes[truth] if truth is not None else frame.sample.path.name
        tiles = [(thumbnail(frame.picture), UNKNOWN, "query", own)]
        found = zip(prediction.indices.tolist(), prediction.labels.tolist(), prediction.squared_distances, strict=True)
        for index, label, distance in list(found)[: self._count]:
            colour = UNKNOWN if truth is None else RIGHT if label == truth else WRONG
            tiles.append((self._thumbnail(index), colour, self._classes[label], f"{distance:.4f}"))
        path = self._names.path(self._folder, frame.sample.name, SUFFIX)
        write_atomic(path, encode(strip(tiles), SUFFIX), durable=False)

    def _read(self, index: int) -> Image.Image:
        from PIL import Image

        try:
            return thumbnail(self._reader(self._gallery.samples[index].path))
        except DataError:  # it could be read when it was embedded; a grey square says that it is gone
            return Image.new("RGB", (TILE, TILE), UNKNOWN)

    def record(self, frame: Frame, result: None) -> None:
        """Nothing to keep."""

    def finish(self) -> Sequence[Path]:
        return [self._folder]


def thumbnail(picture: np.ndarray) -> Image.Image:
    """(H,W,3) or (H,W,1) uint8 -> a picture that fits TILE x TILE; small ones are enlarged by a whole factor."""
    from PIL import Image

    image = Image.fromarray(picture[:, :, 0]).convert("RGB") if picture.shape[2] == 1 else Image.fromarray(picture)
    longest = max(image.size)
    if longest * 2 <= TILE:
        factor = TILE // longest
        return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    size = [max(1, round(side * TILE / longest)) for side in image.size]
    return image.resize((size[0], size[1]), Image.Resampling.BILINEAR, reducing_gap=2.0)


def strip(tiles: Sequence[tuple[Image.Image, Colour, str, str]]) -> Image.Image:
    """Pictures side by side, each with a coloured frame and two lines of text below it; the first stands apart."""
    from PIL import Image, ImageDraw

    side = TILE + 2 * FRAME
    line = round(TEXT * 1.4)
    width = len(tiles) * (side + GAP) + GAP + (2 * GAP if len(tiles) > 1 else 0)
    image = Image.new("RGB", (width, 2 * GAP + side + 2 * line), PAPER)
    draw = ImageDraw.Draw(image)
    left = GAP
    for index, (picture, colour, *texts) in enumerate(tiles):
        draw.rectangle((left, GAP, left + side - 1, GAP + side - 1), outline=colour, width=FRAME)
        centre = (left + side // 2, GAP + side // 2)
        image.paste(picture, (centre[0] - picture.width // 2, centre[1] - picture.height // 2))
        for row, text in enumerate(texts):
            place = (centre[0], GAP + side + line * row + line // 2 + 2)
            draw.text(place, shortened(text, side), fill=INK, font=font_of(TEXT), anchor="mm")
        left += side + GAP + (2 * GAP if index == 0 else 0)
    return image


def shortened(text: str, width: int) -> str:
    """The text, or its beginning and "..." where it is wider than `width` pixels."""
    font = font_of(TEXT)
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "...") > width:
        text = text[:-1]
    return text + "..."
