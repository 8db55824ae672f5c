# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""How much alike two engines of one model are: raw outputs, and predictions as a user sees them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

from nvidia_tao_deploy.predictions import Classes, Detections, Score, Segmentation, Text, TextRegions

if TYPE_CHECKING:
    import numpy as np

SEEN = 0.3
"""Score from which on a detection counts."""

SAME_BOX = 0.5
"""Intersection over union from which on two regions are the same."""


@dataclass(slots=True)
class Difference:
    """Differences of one output over all samples seen so far.

    Attributes:
        largest: largest absolute difference.
        equal: number of elements that are equal.
        count: number of elements.
        lost: elements that are NaN or infinite in the candidate only.
        whole: whether the output holds integers (ids), for which a cosine means nothing.
        shapes: an example of shapes that differ (reference, candidate); such samples are not compared.
    """

    largest: float = 0.0
    equal: int = 0
    count: int = 0
    lost: int = 0
    shapes: tuple[tuple[int, ...], tuple[int, ...]] | None = None
    whole: bool = False
    _sum: float = 0.0
    _products: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])

    def update(self, reference: np.ndarray, candidate: np.ndarray) -> None:
        """Add one sample's output, of any float or integer type."""
        import numpy as np

        self.whole = reference.dtype.kind not in "fV"
        if reference.shape != candidate.shape:
            self.shapes = (reference.shape, candidate.shape)
            return
        want, have = reference.astype(np.float64).reshape(-1), candidate.astype(np.float64).reshape(-1)
        finite = np.isfinite(want) & np.isfinite(have)
        self.lost += int(np.count_nonzero(np.isfinite(want) & ~np.isfinite(have)))
        self.count += want.size
        self.equal += int(np.count_nonzero(want == have))
        want, have = want[finite], have[finite]
        if want.size == 0:
            return
        distance = np.abs(want - have)
        self.largest = max(self.largest, float(distance.max()))
        self._sum += float(distance.sum())
        for index, product in enumerate((want @ have, want @ want, have @ have)):
            self._products[index] += float(product)

    @property
    def mean(self) -> float:
        """Mean absolute difference."""
        return self._sum / max(self.count, 1)

    @property
    def cosine(self) -> float:
        """Cosine of the angle between all values of the reference and of the candidate; 1 when both are zero."""
        both, want, have = self._products
        if want == 0.0 or have == 0.0:
            return 1.0 if want == have else 0.0
        return float(both / (want * have) ** 0.5)

    def as_json(self) -> dict[str, Any]:
        """Figures for reports."""
        return {
            "max_error": self.largest,
            "mean_error": self.mean,
            "cosine": self.cosine,
            "equal": self.equal / max(self.count, 1),
            "not_finite": self.lost,
            **({"shapes_differ": self.shapes} if self.shapes else {}),
        }


class Comparison:
    """Differences of all outputs and agreement of predictions, sample by sample.

    Attributes:
        outputs: by the signature's output names.
        samples: number compared.
    """

    def __init__(self) -> None:
        self.outputs: dict[str, Difference] = {}
        self.samples = 0
        self._agreement = 0.0
        self._judged = 0

    def update(
        self,
        reference: tuple[Mapping[str, np.ndarray], Any],
        candidate: tuple[Mapping[str, np.ndarray], Any],
    ) -> None:
        """Add one sample: (outputs by name, prediction or None) of both."""
        self.samples += 1
        for name, want in reference[0].items():
            self.outputs.setdefault(name, Difference()).update(want, candidate[0][name])
        value = agreement(reference[1], candidate[1])
        if value is not None:
            self._agreement += value
            self._judged += 1

    @property
    def agreement(self) -> float | None:
        """Mean over samples of `agreement`, 0..1; None where there are no predictions to judge."""
        return self._agreement / self._judged if self._judged else None

    def as_json(self) -> dict[str, Any]:
        """For the json beside the engine."""
        return {
            "samples": self.samples,
            "agreement": self.agreement,
            "outputs": {name: difference.as_json() for name, difference in self.outputs.items()},
        }


def agreement(reference: Any, candidate: Any) -> float | None:
    """How far two predictions of one sample agree, 0..1; None for a kind that is not judged.

    Classes: same best class. Several by name: the mean. Class maps: share of equal pixels. Scores: 1 less their
    difference, relative to the larger where that exceeds 1. Text: share of characters in common (difflib's ratio).
    Detections and text regions: F1 of matching those with a score of at least `SEEN` (same label, overlap of at least
    `SAME_BOX`); 1 when neither has any.
    """
    if isinstance(reference, Classes):
        return float(reference.probabilities.argmax() == candidate.probabilities.argmax())
    if isinstance(reference, Mapping):
        shares = [agreement(want, candidate[name]) for name, want in reference.items()]
        judged = [share for share in shares if share is not None]
        return sum(judged) / len(judged) if judged else None
    if isinstance(reference, Segmentation):
        return float((reference.classes == candidate.classes).mean())
    if isinstance(reference, Score):
        size = max(1.0, abs(reference.value), abs(candidate.value))
        return max(0.0, 1 - abs(reference.value - candidate.value) / size)
    if isinstance(reference, Text):
        return SequenceMatcher(None, reference.text, candidate.text, autojunk=False).ratio()
    if isinstance(reference, Detections):
        return _f1(_visible(reference), _visible(candidate))
    if isinstance(reference, TextRegions):
        return _f1(_regions(reference), _regions(candidate))
    return None


def _visible(found: Detections) -> list[tuple[int, tuple[float, float, float, float]]]:
    return [(label, box) for box, _, label in found.at_least(SEEN)]


def _regions(found: TextRegions) -> list[tuple[int, tuple[float, float, float, float]]]:
    """Text regions by the boxes around them: enough to tell whether the same were found."""
    return [
        (0, (*map(float, polygon.min(axis=0)), *map(float, polygon.max(axis=0))))  # type: ignore[misc]
        for polygon in found.polygons
    ]


def _f1(want: list[tuple[int, Any]], have: list[tuple[int, Any]]) -> float:
    if not want and not have:
        return 1.0
    free = list(have)
    hits = 0
    for label, box in want:
        overlaps = [(_overlap(box, other), index) for index, (kind, other) in enumerate(free) if kind == label]
        best, index = max(overlaps, default=(0.0, -1))
        if best >= SAME_BOX:
            hits += 1
            del free[index]
    return 2 * hits / (len(want) + len(have))


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Intersection over union of boxes x1 y1 x2 y2."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return width * height / (sum(areas) - width * height)
