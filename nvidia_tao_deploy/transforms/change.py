# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Two pictures of one place -> two engine inputs; with the mask that says what changed, where there is one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nvidia_tao_deploy.data.change_lists import ChangeSample
from nvidia_tao_deploy.data.pictures import PictureReader
from nvidia_tao_deploy.errors import DataError
from nvidia_tao_deploy.network import Frame, Sample
from nvidia_tao_deploy.transforms.masks import TargetMasks
from nvidia_tao_deploy.transforms.picture import Normalise
from nvidia_tao_deploy.transforms.resize import stretch

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
        masks: for samples whose target is the path of a mask, of the first picture's size; None: masks are not read.
        reader: how pictures are read.
        keep_picture: keep both pictures as read.
    """

    inputs: tuple[str, str]
    shape: tuple[int, int, int]
    normalise: Normalise
    masks: TargetMasks | None = None
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
            sample = replace(sample, target=self.masks(sample, size))
        kept = (before, after) if self.keep_picture else (None, None)
        return ChangeFrame(sample, size, geometry, *kept)

    def single(self, sample: Sample) -> tuple[dict[str, np.ndarray], Frame]:
        import numpy as np

        batch = {name: np.empty((1, *self.shape), np.float32) for name in self.inputs}
        return batch, self(sample, {name: array[0] for name, array in batch.items()})
