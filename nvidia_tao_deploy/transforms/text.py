# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Preprocessing that only the text networks need."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nvidia_tao_deploy.data.pictures import PictureReader
from nvidia_tao_deploy.errors import DataError
from nvidia_tao_deploy.network import Frame, Sample
from nvidia_tao_deploy.transforms.geometry import Geometry
from nvidia_tao_deploy.transforms.picture import Normalise
from nvidia_tao_deploy.transforms.resize import LARGEST_ENLARGED, PillowStretch, stretch

if TYPE_CHECKING:
    import numpy as np

MULTIPLE = 32
"""Heights and widths that a text detector takes: its deepest features have a stride of 32."""


class GreyNormalise(Normalise):
    """Grey levels (ITU-R 601 luma) in three equal channels: what `img_mode: GRAY` means to a 3-channel network."""

    def __call__(self, picture: np.ndarray, row: np.ndarray) -> None:
        """(H,W,3) uint8 or float32 0..255 RGB -> `row` (3,H,W), in place."""
        import cv2

        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        super().__call__(cv2.merge([grey, grey, grey]), row)


def fit_height(picture: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, Geometry]:
    """Scale to the network's height keeping the aspect, at most to its width; the rest repeats the last column.

    Bicubic, width rounded up: what TAO's training does for `keep_aspect_ratio: true`.
    """
    import numpy as np

    height, width = size
    own = min(width, math.ceil(height * picture.shape[1] / picture.shape[0]))
    resized, geometry = PillowStretch("bicubic")(picture, (height, own))
    return np.pad(resized, ((0, 0), (0, width - own), (0, 0)), mode="edge"), geometry


@dataclass(frozen=True)
class ShortSidePrepare:
    """Every picture in its own size, enlarged where its short side is below a limit; for networks with open height and
    width. Zeros to the right and below make both a multiple of 32, which leaves coordinates as they are.

    Attributes:
        input: name of the engine input.
        short_side: smaller pictures are enlarged until their short side has so many pixels; 0: never.
        normalise, reader, keep_picture: see PicturePrepare.
        limits: smallest and largest (height, width) that the engine takes, where it has bounds.
    """

    input: str
    short_side: int
    normalise: Normalise
    reader: PictureReader
    limits: tuple[tuple[int, ...], tuple[int, ...]] | None = None
    keep_picture: bool = False

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]] | None:
        return None

    def single(self, sample: Sample) -> tuple[dict[str, np.ndarray], Frame]:
        """A batch of one. Raises DataError when the picture cannot be read, is outside the engine's limits, or is a
        strip that would grow beyond `LARGEST_ENLARGED`."""
        import numpy as np

        picture = self.reader(sample.path)
        size = picture.shape[:2]
        factor = max(1.0, self.short_side / min(size))
        height, width = (round(side * factor) for side in size)
        padded = _padded(height), _padded(width)
        self._check(sample, padded)
        if factor > 1 and padded[0] * padded[1] > LARGEST_ENLARGED:
            raise DataError(
                f"{sample.path}: {size[1]} x {size[0]} (width x height) would grow to {width} x {height}, so that its "
                f"short side has {self.short_side} pixels; at most {LARGEST_ENLARGED:,} pixels are made of a picture."
            )
        resized, geometry = stretch(picture, (height, width))
        batch = np.zeros((1, picture.shape[2], *padded), np.float32)
        self.normalise(resized, batch[0, :, :height, :width])
        return {self.input: batch}, Frame(sample, size, geometry, picture if self.keep_picture else None)

    def _check(self, sample: Sample, size: tuple[int, int]) -> None:
        if self.limits is None:
            return
        low, high = self.limits
        if not all(a <= b <= c for a, b, c in zip(low, size, high, strict=True)):
            raise DataError(
                f"{sample.path}: {size[1]} x {size[0]} (width x height, resized) is outside what the engine takes: "
                f"{low[1]} x {low[0]} to {high[1]} x {high[0]}."
            )

    def __call__(self, sample: Sample, rows: Mapping[str, np.ndarray]) -> Frame:
        raise NotImplementedError("pictures of different sizes do not fit one batch; use `single`")


def _padded(side: int) -> int:
    return -(-side // MULTIPLE) * MULTIPLE
