# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""How coordinates at network-input size map back to the original picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class Geometry:
    """original = (input - offset) * scale, per axis.

    Attributes:
        scale: (x, y) original pixels per network-input pixel.
        offset: (x, y) where the picture's top left corner lies in the network input, in input pixels.
    """

    scale: tuple[float, float] = (1.0, 1.0)
    offset: tuple[float, float] = (0.0, 0.0)

    def to_original(self, points: np.ndarray) -> np.ndarray:
        """(...,2) x y at network-input size -> (...,2) in the original picture, not clipped."""
        return (points - self.offset) * self.scale

    def to_input(self, points: np.ndarray) -> np.ndarray:
        """The way back: (...,2) x y in the original picture -> at network-input size."""
        return points / self.scale + self.offset

    def extent(self, size: tuple[int, int]) -> tuple[float, float]:
        """(height, width) in original pixels that a network input of `size` (height, width) spans."""
        return size[0] * self.scale[1], size[1] * self.scale[0]
