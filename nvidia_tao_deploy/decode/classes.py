# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Class scores -> probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nvidia_tao_deploy.network import Frame
from nvidia_tao_deploy.predictions import Classes

if TYPE_CHECKING:
    import numpy as np


def softmax(logits: np.ndarray) -> np.ndarray:
    """(B,C) -> (B,C) float32; rows that are probabilities already (0..1, sum 1) stay as they are. An infinite logit
    (FP16 overflows at 65504) counts as a very large one: infinity less infinity would be NaN, which is no class."""
    import numpy as np

    largest = np.finfo(np.float32).max / 4
    values = np.clip(logits.astype(np.float32), -largest, largest)
    already = (values.min(axis=1) >= 0) & (np.abs(values.sum(axis=1) - 1) < 1e-3) & (values.shape[1] > 1)
    if already.all():
        return values
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    return np.where(already[:, None], values, powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


def binary(scores: np.ndarray, probabilities: bool | None = False) -> np.ndarray:
    """(B,1) score of the second class -> (B,2) probabilities.

    Args:
        scores: logits, or `probabilities`. Values hardly tell which: 0.3 is the second class or the first.
        probabilities: None where nothing else tells: scores that are all within 0..1 then count as probabilities.
    """
    import numpy as np

    values = scores[:, 0].astype(np.float64)
    if probabilities is None:
        probabilities = bool(((values >= 0) & (values <= 1)).all())
    second = values if probabilities else 1 / (1 + np.exp(-np.clip(values, -700, 700)))
    return np.stack([1 - second, second], axis=1).astype(np.float32)


@dataclass(frozen=True, slots=True)
class DecodeClasses:
    """Decoder of single-label classifiers.

    Attributes:
        output: name of the (B,C) output in the signature.
        probability: whether a single column holds probabilities, not logits; None: see `binary`.
    """

    output: str
    probability: bool | None = False

    def __call__(self, outputs: Mapping[str, np.ndarray], frames: Sequence[Frame]) -> list[Classes]:
        scores = outputs[self.output]
        scores = scores.reshape(len(scores), -1)
        probabilities = binary(scores, self.probability) if scores.shape[1] == 1 else softmax(scores)
        return [Classes(row.copy(), chances) for row, chances in zip(scores, probabilities, strict=True)]


@dataclass(frozen=True, slots=True)
class DecodeTasks:
    """Decoder of classifiers with several heads: one prediction {task: Classes} per picture.

    Attributes:
        outputs: name of the (B,C) output in the signature, by task.
        probabilities: for heads of a single column, by output: whether it holds probabilities; see `binary`.
    """

    outputs: Mapping[str, str]
    probabilities: Mapping[str, bool] = field(default_factory=dict)

    def __call__(self, outputs: Mapping[str, np.ndarray], frames: Sequence[Frame]) -> list[dict[str, Classes]]:
        known = self.probabilities
        heads = [DecodeClasses(name, known.get(name))(outputs, frames) for name in self.outputs.values()]
        return [dict(zip(self.outputs, found, strict=True)) for found in zip(*heads, strict=True)]
