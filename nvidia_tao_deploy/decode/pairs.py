# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Outputs of networks that compare two pictures -> one score per pair, larger for pairs that differ more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nvidia_tao_deploy.decode.classes import softmax
from nvidia_tao_deploy.decode.embedding import refuse_infinite
from nvidia_tao_deploy.network import Frame
from nvidia_tao_deploy.predictions import Score

if TYPE_CHECKING:
    import numpy as np


def _scores(values: np.ndarray) -> list[Score]:
    return [Score(value) for value in values.tolist()]


@dataclass(frozen=True, slots=True)
class EmbeddingDistance:
    """Euclidean distance of two embeddings, (B,D) each.

    Attributes:
        outputs: their names in the signature.
    """

    outputs: tuple[str, str]

    def __call__(self, outputs: Mapping[str, np.ndarray], frames: Sequence[Frame]) -> list[Score]:
        import numpy as np

        for name in self.outputs:
            refuse_infinite(name, outputs[name], frames)
        one, other = (outputs[name].reshape(len(frames), -1).astype(np.float32) for name in self.outputs)
        return _scores(np.linalg.norm(one - other, axis=1))


@dataclass(frozen=True, slots=True)
class ModelDistance:
    """The model computes the distance itself: (B,) or (B,1)."""

    output: str

    def __call__(self, outputs: Mapping[str, np.ndarray], frames: Sequence[Frame]) -> list[Score]:
        import numpy as np

        return _scores(outputs[self.output].reshape(len(frames)).astype(np.float32))


@dataclass(frozen=True, slots=True)
class DefectProbability:
    """Probability of the second of two classes, from (B,2) logits."""

    output: str

    def __call__(self, outputs: Mapping[str, np.ndarray], frames: Sequence[Frame]) -> list[Score]:
        return _scores(softmax(outputs[self.output].reshape(len(frames), 2))[:, 1])
