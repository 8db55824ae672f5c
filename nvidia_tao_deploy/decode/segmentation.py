# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Class scores per pixel -> class maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nvidia_tao_deploy.errors import EngineError
from nvidia_tao_deploy.network import Frame
from nvidia_tao_deploy.predictions import Segmentation
from nvidia_tao_deploy.transforms.resize import nearest

if TYPE_CHECKING:
    import numpy as np

SIZES = ("original", "network")
"""What `map_size` may say."""


def best_class(scores: np.ndarray) -> np.ndarray:
    """(C,H,W) scores, C from 2 on -> (H,W) index of the largest, uint8 (uint16 above 256 classes). Ties: the lowest.

    One pass per class over whole maps: argmax over the first axis jumps through memory for each pixel.
    """
    import numpy as np

    kind = np.uint8 if len(scores) <= 256 else np.uint16
    if scores.dtype == np.float16:  # comparisons of half floats are slow
        scores = scores.astype(np.float32)
    winner = (scores[1] > scores[0]).astype(kind)
    if len(scores) == 2:  # the usual case of change detection
        return winner
    best = np.maximum(scores[0], scores[1])
    for index in range(2, len(scores)):
        beats = (scores[index] > best).astype(kind)
        np.maximum(winner, np.multiply(beats, kind(index), out=beats), out=winner)
        np.maximum(best, scores[index], out=best)
    return winner


def chosen_class(numbers: np.ndarray, classes: int) -> np.ndarray:
    """(1,H,W) class numbers, as models give that end in ArgMax -> (H,W), uint8 (uint16 above 256 classes).

    Raises:
        EngineError: a number is no class.
    """
    import numpy as np

    found = np.rint(numbers[0])
    low, high = found.min(initial=0), found.max(initial=0)
    if not (low >= 0 and high < classes):
        raise EngineError(f"the model gives class {low if low < 0 else high:g}; there are {classes}, from 0")
    return found.astype(np.uint8 if classes <= 256 else np.uint16)


@dataclass(frozen=True, slots=True)
class DecodeSegmentation:
    """Decoder of networks that score every class at every pixel, or say the class of each.

    Attributes:
        output: name of the (B,C,h,w) output in the signature; with one channel it holds class numbers.
        original: bring maps to the size of the picture, nearest.
        classes: how many there are, for outputs of one channel.
        size: (height, width) that maps are brought to where `original` is False; None leaves them as they are.
    """

    output: str
    original: bool = True
    classes: int = 2
    size: tuple[int, int] | None = None

    def __call__(self, outputs: Mapping[str, np.ndarray], frames: Sequence[Frame]) -> list[Segmentation]:
        scores = outputs[self.output]
        maps = [best_class(one) if len(one) > 1 else chosen_class(one, self.classes) for one in scores]
        sizes = [frame.size if self.original else self.size for frame in frames]
        return [
            Segmentation(classes if size is None else nearest(classes, size))
            for classes, size in zip(maps, sizes, strict=True)
        ]
