# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Class scores per pixel -> class maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

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


@dataclass(frozen=True, slots=True)
class DecodeSegmentation:
    """Decoder of networks that score every class at every pixel.

    Attributes:
        output: name of the (B,C,H,W) output in the signature.
        original: bring maps to the size of the picture, nearest; False leaves them at the network's size.
    """

    output: str
    original: bool = True

    def __call__(self, outputs: Mapping[str, np.ndarray], frames: Sequence[Frame]) -> list[Segmentation]:
        maps = [best_class(scores) for scores in outputs[self.output]]
        if self.original:
            maps = [nearest(classes, frame.size) for classes, frame in zip(maps, frames, strict=True)]
        return [Segmentation(classes) for classes in maps]
