# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""The values that decoders make, metrics score and writers write. Coordinates are pixels of the original picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class Detections:
    """Boxes found in one picture, best score first.

    Attributes:
        boxes: (N,4) float32, x1 y1 x2 y2, 0..width and 0..height.
        scores: (N,) float32, 0..1.
        labels: (N,) int64, the network's own class index.
    """

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.scores)

    def at_least(self, threshold: float) -> Iterator[tuple[tuple[float, float, float, float], float, int]]:
        """(x1 y1 x2 y2, score, label) of those that reach the threshold, as Python numbers."""
        kept = self.scores >= threshold
        corners = map(tuple, self.boxes[kept].tolist())
        return zip(corners, self.scores[kept].tolist(), self.labels[kept].tolist(), strict=True)


@dataclass(frozen=True, slots=True)
class Classes:
    """Class scores of one picture.

    Attributes:
        scores: (C,) float32, the model's raw outputs (logits, or probabilities if the model ends in softmax).
        probabilities: (C,) float32, 0..1, sum 1 (for a one-column binary model: the two classes' shares).
    """

    scores: np.ndarray
    probabilities: np.ndarray


@dataclass(frozen=True, slots=True)
class TextRegions:
    """Text regions of one picture.

    Attributes:
        polygons: N arrays of (K,2) float32 x y; K = 4 for quadrilaterals, clockwise from the top left corner.
        scores: (N,) float32, 0..1.
        heatmap: (H',W') float32 0..1 at network size, kept only where a writer asks for it.
    """

    polygons: tuple[np.ndarray, ...]
    scores: np.ndarray
    heatmap: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.polygons)


@dataclass(frozen=True, slots=True)
class Text:
    """One recognised line: the string and its confidence 0..1."""

    text: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Segmentation:
    """A class for every pixel.

    Attributes:
        classes: (H,W) uint8 (uint16 for more than 256 classes), the network's own class index; at the size of the
            original picture, or at the network's where the spec asks for that.
    """

    classes: np.ndarray


@dataclass(frozen=True, slots=True)
class Score:
    """One number for a sample, such as the distance of a pair: the larger, the less alike."""

    value: float


@dataclass(frozen=True, slots=True)
class Embedding:
    """Where a picture lies in the space that a metric-learning network spans.

    Attributes:
        vector: (D,) float32 of length 1 (a zero vector stays zero).
    """

    vector: np.ndarray


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The gallery pictures nearest to a query, nearest first.

    Attributes:
        indices: (k,) int64, positions in the gallery.
        labels: (k,) int64, their class numbers.
        squared_distances: (k,) float64, 0..4, squared Euclidean distances of unit embeddings.
    """

    indices: np.ndarray
    labels: np.ndarray
    squared_distances: np.ndarray
