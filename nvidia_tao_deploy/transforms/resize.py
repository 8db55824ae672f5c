# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Ways to bring a picture to the network's size. Each takes (picture HWC uint8, (height, width)) and returns the
resized picture, HWC uint8 or float32 in 0..255, and how its coordinates map back."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from nvidia_tao_deploy.transforms.geometry import Geometry

if TYPE_CHECKING:
    import numpy as np

    Resize = Callable[[np.ndarray, tuple[int, int]], tuple[np.ndarray, Geometry]]

FILTERS = ("nearest", "bilinear", "bicubic", "lanczos")

LARGEST_ENLARGED = 50_000_000
"""Pixels. A strip of 20,000 x 1 would grow to 3 million x 144 before its middle is cut out; beyond this size only the
middle is computed, with the same result but for values that Pillow's float32 positions round the other way."""

LARGEST_SUPPORT = 3
"""Input pixels on either side that the widest of FILTERS (Lanczos) takes, times the reduction where there is one."""


def stretch(picture: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, Geometry]:
    """Stretch to `size` without keeping the aspect, bilinear on float32 (no rounding, no antialiasing): OpenCV's
    INTER_LINEAR with half-pixel centres, as TAO Deploy's detectors do."""
    import cv2
    import numpy as np

    height, width = size
    geometry = _stretched(picture, size)
    if picture.shape[:2] == size:
        return picture, geometry
    resized = cv2.resize(picture.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    return (resized[:, :, None] if resized.ndim == 2 else resized), geometry


def fit_top_left(picture: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, Geometry]:
    """Scale to fit into `size` keeping the aspect, by `stretch`; zeros to the right of it and below.

    The longer side (relative to `size`) fills its axis, the other one is rounded. On a square this is what TAO's
    training evaluates RT-DETR on with `preserve_aspect_ratio: true`.
    """
    import numpy as np

    sides = picture.shape[:2]
    factor = min(size[0] / sides[0], size[1] / sides[1])
    height, width = (max(1, min(limit, round(side * factor))) for side, limit in zip(sides, size, strict=True))
    resized, geometry = stretch(picture, (height, width))
    whole = np.zeros((*size, picture.shape[2]), resized.dtype)
    whole[:height, :width] = resized
    return whole, geometry


def stretch_rounded(picture: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, Geometry]:
    """Stretch to `size` without keeping the aspect, bilinear on 8-bit pixels: OpenCV's INTER_LINEAR, rounded."""
    import cv2

    resized = cv2.resize(picture, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
    return (resized[:, :, None] if resized.ndim == 2 else resized), _stretched(picture, size)


def nearest(classes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(H,W) integers -> (height, width) of `size`, each pixel a copy of the one below its centre: no value is invented.

    Where a centre lies between two pixels (half the size, say) the choice is Pillow's NEAREST, with any Pillow and
    OpenCV: OpenCV's INTER_NEAREST_EXACT takes the other pixel in some versions (4.7) and not in others (5.0).
    """
    if classes.shape == tuple(size):
        return classes
    rows, columns = (_nearest_places(*pair) for pair in zip(classes.shape, size, strict=True))
    if len(rows) > len(classes):  # whole rows are copied quickly: those that are added last
        return classes.take(columns, axis=1).take(rows, axis=0)
    return classes.take(rows, axis=0).take(columns, axis=1)


@lru_cache(maxsize=256)  # the pictures of a data set have few sizes
def _nearest_places(old: int, new: int) -> np.ndarray:
    """For each of `new` pixels its place among `old` ones: steps are added up one by one, as Pillow does, because the
    sum decides where it comes next to a whole number."""
    import numpy as np

    steps = np.full(new, old / new)
    steps[0] /= 2
    places = np.minimum(np.cumsum(steps).astype(np.int64), old - 1)
    places.setflags(write=False)  # the next call gets the same
    return places


@dataclass(frozen=True, slots=True)
class PillowStretch:
    """Stretch to the network's size with Pillow's antialiased filters, rounded to 8 bits.

    Attributes:
        interpolation: one of FILTERS.
    """

    interpolation: str = "bilinear"

    def __call__(self, picture: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, Geometry]:
        return _pillow(picture, (size[1], size[0]), self.interpolation), _stretched(picture, size)


@dataclass(frozen=True, slots=True)
class CentreCrop:
    """Enlarge so that the picture covers the network's size plus `margin`, then cut the middle out.

    With margin 32 this is what TAO Deploy's classification commands do: scale r = max((W+32)/w, (H+32)/h), size
    truncated, crop offset from Python's round-half-even of both halves.
    """

    margin: int = 32
    interpolation: str = "bicubic"

    def __call__(self, picture: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, Geometry]:
        height, width = size
        old_height, old_width = picture.shape[:2]
        ratio = max((width + self.margin) / old_width, (height + self.margin) / old_height)
        wide, high = max(int(old_width * ratio), width), max(int(old_height * ratio), height)
        left, top = round(wide / 2) - round(width / 2), round(high / 2) - round(height / 2)
        scale = (old_width / wide, old_height / high)
        geometry = Geometry(scale=scale, offset=(-left, -top))
        if wide * high > LARGEST_ENLARGED:
            # columns before rows, rounded and cut off in between, as Pillow resizes a whole picture; given both axes at
            # once with a box, it may take rows first, and bicubic overshoots are then cut off elsewhere
            columns = _part_of_axis(picture, 1, wide, left, width, self.interpolation)
            return _part_of_axis(columns, 0, high, top, height, self.interpolation), geometry
        resized = _pillow(picture, (wide, high), self.interpolation)
        return resized[top : top + height, left : left + width], geometry


@dataclass(frozen=True, slots=True)
class StretchCrop:
    """Stretch to `factor` times the network's size (truncated), then cut the middle out, exactly of that size.

    With factor 1.14 this is what TAO's metric-learning networks do. A crop offset of half a pixel is rounded to even,
    as Pillow rounds the corners of a crop; both corners from one offset, so that odd sizes come out right too.
    """

    factor: float = 1.14
    interpolation: str = "bilinear"

    def __call__(self, picture: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, Geometry]:
        height, width = size
        high, wide = int(self.factor * height), int(self.factor * width)
        top, left = round((high - height) / 2), round((wide - width) / 2)
        resized = _pillow(picture, (wide, high), self.interpolation)
        scale = _stretched(picture, (high, wide)).scale
        return resized[top : top + height, left : left + width], Geometry(scale, (-left, -top))


def _part_of_axis(
    picture: np.ndarray, axis: int, whole: int, start: int, length: int, interpolation: str
) -> np.ndarray:
    """What lies from `start` to `start + length` of `axis` (0: rows, 1: columns) once the picture is resized along it
    to `whole` pixels; the other axis stays. Only the pixels that count are looked at."""
    old = picture.shape[axis]
    step = old / whole
    first, last = start * step, (start + length) * step
    margin = math.ceil(LARGEST_SUPPORT * max(step, 1)) + 1
    low, high = max(math.floor(first) - margin, 0), min(math.ceil(last) + margin, old)
    near = picture[low:high] if axis == 0 else picture[:, low:high]
    height, width = near.shape[:2]
    if axis == 0:
        return _pillow(near, (width, length), interpolation, (0, first - low, width, last - low))
    return _pillow(near, (length, height), interpolation, (first - low, 0, last - low, height))


def _stretched(picture: np.ndarray, size: tuple[int, int]) -> Geometry:
    return Geometry(scale=(picture.shape[1] / size[1], picture.shape[0] / size[0]))


def _pillow(
    picture: np.ndarray, size: tuple[int, int], interpolation: str, box: tuple[float, float, float, float] | None = None
) -> np.ndarray:
    """Resize the picture, or the part in `box` (left, top, right, bottom in pixels), to `size` (width, height)."""
    import numpy as np
    from PIL import Image

    if (picture.shape[1], picture.shape[0]) == size and box is None:
        return picture
    grey = picture.shape[2] == 1
    image = Image.fromarray(picture[:, :, 0] if grey else picture)
    resized = np.asarray(image.resize(size, getattr(Image.Resampling, interpolation.upper()), box))
    return resized[:, :, None] if grey else resized
