# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Two pictures of one place -> two engine inputs; with the mask that says what changed, where there is one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from nvidia_tao_deploy.data.change_lists import ChangeSample
from nvidia_tao_deploy.data.pictures import PictureReader
from nvidia_tao_deploy.errors import DataError
from nvidia_tao_deploy.network import Frame, Sample
from nvidia_tao_deploy.transforms.picture import Normalise
from nvidia_tao_deploy.transforms.resize import nearest, stretch

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class ChangeFrame(Frame):
    """A frame of two pictures; `sample.target` is the mask itself, (H,W) class indices at the size of the prediction.

    Attributes:
        after: the second picture, as `picture`.
    """

    after: np.ndarray | None = None


@dataclass(frozen=True)
class ChangePrepare:
    """Preprocessing of change detection.

    Attributes:
        inputs: names of the engine inputs, for the first and the second picture.
        shape: (C,H,W) of a row.
        normalise: pixel values -> network values.
        masks: path -> (H,W) class indices, for samples whose target is the path of a mask; None: masks are not read.
        network_size: masks are brought to the network's size, nearest; otherwise they must have the first picture's.
        reader: how pictures are read.
        keep_picture: keep both pictures as read.
    """

    inputs: tuple[str, str]
    shape: tuple[int, int, int]
    normalise: Normalise
    masks: Callable[[Path], np.ndarray] | None = None
    network_size: bool = False
    reader: PictureReader = PictureReader()
    keep_picture: bool = False

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]] | None:
        return dict.fromkeys(self.inputs, self.shape)

    def __call__(self, sample: Sample, rows: Mapping[str, np.ndarray]) -> Frame:
        assert isinstance(sample, ChangeSample)
        for path, other in ((sample.path, sample.after), (sample.after, sample.path)):
            if not path.is_file() and other.is_file():
                raise DataError(f"{path}: no such picture; the other one of the pair is there ({other}).")
        before, after = self.reader(sample.path), self.reader(sample.after)
        resized, geometry = stretch(before, self.shape[1:])
        self.normalise(resized, rows[self.inputs[0]])
        self.normalise(stretch(after, self.shape[1:])[0], rows[self.inputs[1]])
        size = (before.shape[0], before.shape[1])
        if self.masks is not None and sample.target is not None:
            sample = replace(sample, target=self._mask(sample, size))
        kept = (before, after) if self.keep_picture else (None, None)
        return ChangeFrame(sample, size, geometry, *kept)

    def single(self, sample: Sample) -> tuple[dict[str, np.ndarray], Frame]:
        import numpy as np

        batch = {name: np.empty((1, *self.shape), np.float32) for name in self.inputs}
        return batch, self(sample, {name: array[0] for name, array in batch.items()})

    def _mask(self, sample: ChangeSample, size: tuple[int, int]) -> np.ndarray:
        assert self.masks is not None
        mask = self.masks(sample.target)
        if self.network_size:
            return nearest(mask, self.shape[1:])
        if mask.shape != size:
            raise DataError(
                f"{sample.target}: the mask is {mask.shape[1]} x {mask.shape[0]}, its picture "
                f"{size[1]} x {size[0]} ({sample.path}). evaluate.map_size=network compares masks of any size."
            )
        return mask
