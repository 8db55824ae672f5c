# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Class maps as pictures: colours of classes, overlays, pictures beside each other, and the exact maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nvidia_tao_deploy.errors import SpecError
from nvidia_tao_deploy.files import write_atomic
from nvidia_tao_deploy.network import Frame
from nvidia_tao_deploy.predictions import Segmentation
from nvidia_tao_deploy.render.boxes import encode
from nvidia_tao_deploy.render.colours import Colour, derived_colour, parse_colour
from nvidia_tao_deploy.render.names import ResultNames

if TYPE_CHECKING:
    import numpy as np

BLACK, WHITE = (0, 0, 0), (255, 255, 255)
UNCOUNTED = (128, 128, 128)
"""Colour of indices that are no class (ignored pixels of a mask)."""
SIGNAL = (255, 30, 30)
"""Colour of a change over a picture where white would be its colour."""
GAP = 10
"""Pixels of black between pictures beside each other, as in TAO Deploy."""


def read_colours(given: Any, classes: int, key: str) -> dict[int, Colour] | None:
    """A spec's colour map, {class index: [r, g, b] or any colour that Pillow knows}; None when it is not given.

    Raises:
        SpecError: no mapping, a class too few or too many, or a value that is no colour.
    """
    if given in (None, {}, ""):
        return None
    if not isinstance(given, Mapping):
        raise SpecError(f"{key}: '{given}': expected a colour for each class, such as {{0: [0, 0, 0], 1: [255, 0, 0]}}")
    colours = {_index(name, key): parse_colour(value, f"{key}.{name}") for name, value in given.items()}
    missing, extra = sorted(set(range(classes)) - set(colours)), sorted(set(colours) - set(range(classes)))
    if missing or extra:
        problem = f"no colour for class {', '.join(map(str, missing))}" if missing else f"no class {extra[0]}"
        raise SpecError(f"{key}: {problem}; expected one colour for each class, 0 to {classes - 1}")
    return colours


def _index(name: object, key: str) -> int:
    if not str(name).isdecimal():
        raise SpecError(f"{key}: '{name}' is no class number")
    return int(str(name))


def default_colours(classes: int) -> dict[int, Colour]:
    """Two classes: black and white. More: white for class 0, for the others a colour by their number alone, the same in
    every run."""
    if classes <= 2:
        return {0: BLACK, 1: WHITE}
    return {0: WHITE, **{index: derived_colour(f"class_{index}") for index in range(1, classes)}}


def overlay_colours(colours: Mapping[int, Colour]) -> Mapping[int, Colour]:
    """Colours to lay over a picture: `SIGNAL` in place of the white of two classes, which a bright picture hides."""
    return {**colours, 1: SIGNAL} if dict(colours) == default_colours(2) else colours


def colour_table(colours: Mapping[int, Colour]) -> np.ndarray:
    """(N,3) uint8 RGB by class index; N covers every uint8 index. Indices without a colour are grey."""
    import numpy as np

    table = np.full((max(256, max(colours, default=0) + 1), 3), UNCOUNTED, np.uint8)
    for index, colour in colours.items():
        table[index] = colour
    return table


def painted(classes: np.ndarray, table: np.ndarray) -> np.ndarray:
    """(H,W) class indices -> (H,W,3) uint8 RGB."""
    import numpy as np

    return np.take(table, classes, axis=0)


def overlay(
    picture: np.ndarray, classes: np.ndarray, table: np.ndarray, strength: float = 0.5, clear: int | None = None
) -> np.ndarray:
    """The picture with the colours of the classes over it: (H,W,3) uint8 RGB.

    Args:
        strength: share of the colours, 0..1.
        clear: class whose pixels stay as they are.
    """
    import cv2
    import numpy as np

    mixed = cv2.addWeighted(picture, 1 - strength, painted(classes, table), strength, 0)
    if clear is None:
        return mixed
    untouched = (classes == clear).view(np.uint8)
    return cv2.copyTo(picture, untouched, mixed)  # NumPy's way, by a mask as index, takes 15 times as long


def beside(pictures: Sequence[np.ndarray], gap: int = GAP) -> np.ndarray:
    """Pictures (H,W,3) of one height in a row, with black between them."""
    import numpy as np

    black = np.zeros((pictures[0].shape[0], gap, 3), np.uint8)
    parts = [part for picture in pictures for part in (black, picture)]
    return np.concatenate(parts[1:], axis=1)


def fitted(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The picture at (height, width), for looking at: averaged where it shrinks, bilinear where it grows."""
    import cv2

    if picture.shape[:2] == tuple(size):
        return picture
    smaller = size[0] * size[1] < picture.shape[0] * picture.shape[1]
    return cv2.resize(picture, (size[1], size[0]), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)


class ClassMaps:
    """Writes `<folder>/<name>.png`: the class index of every pixel, without loss.

    Args:
        folder: where the files go.
        names: result file names.
    """

    keeps_picture = False

    def __init__(self, folder: Path, names: ResultNames) -> None:
        self._folder, self._names = folder, names

    def write(self, frame: Frame, prediction: Segmentation) -> None:
        from PIL import Image

        path = self._names.path(self._folder, frame.sample.name, ".png")
        write_atomic(path, encode(Image.fromarray(prediction.classes), ".png"), durable=False)

    def record(self, frame: Frame, result: None) -> None:
        """Nothing to keep."""

    def finish(self) -> Sequence[Path]:
        return [self._folder]


class MaskOverlays:
    """Writes `<folder>/<name>`: half the picture, half the colours of its classes, at the size of the prediction.

    Args:
        folder: where the files go.
        names: result file names.
        colours: of each class.
    """

    keeps_picture = True

    def __init__(self, folder: Path, names: ResultNames, colours: Mapping[int, Colour]) -> None:
        self._folder, self._names, self._table = folder, names, colour_table(colours)

    def write(self, frame: Frame, prediction: Segmentation) -> None:
        from PIL import Image

        assert frame.picture is not None
        picture = fitted(frame.picture, prediction.classes.shape)
        path = self._names.path(self._folder, frame.sample.name)
        mixed = Image.fromarray(overlay(picture, prediction.classes, self._table))
        write_atomic(path, encode(mixed, path.suffix), durable=False)

    def record(self, frame: Frame, result: None) -> None:
        """Nothing to keep."""

    def finish(self) -> Sequence[Path]:
        return [self._folder]
