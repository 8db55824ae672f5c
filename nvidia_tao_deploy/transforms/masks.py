# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Masks beside pictures: read where the picture is read, at the size at which predictions are scored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from nvidia_tao_deploy.errors import DataError
from nvidia_tao_deploy.network import Frame, Sample
from nvidia_tao_deploy.transforms.picture import PicturePrepare
from nvidia_tao_deploy.transforms.resize import nearest

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class TargetMasks:
    """Reads the masks that samples name as their target.

    Attributes:
        reader: path -> (H,W) class indices.
        size: (height, width) that masks are brought to, nearest; None: they must have their picture's.
    """

    reader: Callable[[Path], np.ndarray]
    size: tuple[int, int] | None = None

    def __call__(self, sample: Sample, size: tuple[int, int]) -> np.ndarray:
        """(H,W) class indices; `size` is the picture's. Raises DataError for a mask of another size."""
        mask = self.reader(sample.target)
        if self.size is not None:
            return nearest(mask, self.size)
        if mask.shape != size:
            raise DataError(
                f"{sample.target}: the mask is {mask.shape[1]} x {mask.shape[0]}, its picture "
                f"{size[1]} x {size[0]} ({sample.path}). evaluate.map_size=network compares masks of any size."
            )
        return mask


@dataclass(frozen=True)
class MaskedPrepare(PicturePrepare):
    """A picture and its mask: `sample.target` of the frame is the mask itself.

    Attributes:
        masks: None where masks are not read.
    """

    masks: TargetMasks | None = None

    def __call__(self, sample: Sample, rows: Mapping[str, np.ndarray]) -> Frame:
        frame = super().__call__(sample, rows)
        if self.masks is None or sample.target is None:
            return frame
        return replace(frame, sample=replace(sample, target=self.masks(sample, frame.size)))
