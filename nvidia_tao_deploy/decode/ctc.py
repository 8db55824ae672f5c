# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Class ids and probabilities per step -> text: CTC and attention decoders, greedy, as the models end in arg max."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nvidia_tao_deploy.data.characters import KEY, SPECIAL, Characters
from nvidia_tao_deploy.errors import DataError
from nvidia_tao_deploy.network import Frame
from nvidia_tao_deploy.predictions import Text

if TYPE_CHECKING:
    import numpy as np

BLANK = 0
GO, END = 0, 1


@dataclass(frozen=True, slots=True)
class DecodeText:
    """Decoder for the pipeline.

    Attributes:
        ids, probabilities: names of the outputs (B,T): best class per step, and its probability 0..1.
        prediction: "CTC" or "Attn".
        characters: the character list.
    """

    ids: str
    probabilities: str
    prediction: str
    characters: Characters

    def __call__(self, outputs: Mapping[str, np.ndarray], frames: Sequence[Frame]) -> list[Text]:
        """One Text per frame. Raises DataError for an id that stands for no character: the list is not the model's."""
        import numpy as np

        ids, probabilities = outputs[self.ids], outputs[self.probabilities]
        first = SPECIAL[self.prediction]
        self._check(ids, first)
        keep, confidences = (ctc if self.prediction == "CTC" else attention)(ids, probabilities)
        table = np.frombuffer(self.characters.text.encode("utf-32-le"), "<u4")
        joined = table[ids[keep] - first].tobytes().decode("utf-32-le")
        ends = np.cumsum(keep.sum(axis=1)).tolist()
        return [
            Text(joined[start:end], confidence)
            for start, end, confidence in zip([0, *ends[:-1]], ends, confidences.tolist(), strict=True)
        ]

    def _check(self, ids: np.ndarray, first: int) -> None:
        if not ids.size:
            return
        low, high, count = int(ids.min()), int(ids.max()), first + len(self.characters.text)
        if low < 0 or high >= count:
            raise DataError(
                f"{KEY}: {self.characters.source}: the model answers with class {low if low < 0 else high}, but the "
                f"list's {count - first} characters and {first} of model.prediction={self.prediction} make "
                f"{count} classes.",
                hint=f"Give the list that the model was trained with, and check model.prediction={self.prediction}.",
            )


@dataclass(frozen=True, slots=True)
class DecodePlate:
    """Decoder of CTC models whose blank is the last class.

    Attributes:
        ids, probabilities: names of the outputs (B,T): best class per step, and its probability 0..1.
        characters: text of classes 0, 1, ...; the blank is the class after the last.
        source: where the characters come from, for messages.
    """

    ids: str
    probabilities: str
    characters: tuple[str, ...]
    source: object
    _letters: np.ndarray = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        import numpy as np

        object.__setattr__(self, "_letters", np.array(self.characters, object))

    def __call__(self, outputs: Mapping[str, np.ndarray], frames: Sequence[Frame]) -> list[Text]:
        """One Text per frame; its confidence is the product of the probabilities of the characters (1 for no text).

        Raises DataError for an id that stands for no character: the list is not the model's.
        """
        import numpy as np

        ids, probabilities = outputs[self.ids], outputs[self.probabilities]
        blank = len(self.characters)
        if ids.size and not 0 <= ids.min() <= ids.max() <= blank:
            wrong = int(ids.min() if ids.min() < 0 else ids.max())
            raise DataError(
                f"{self.source}: the model answers with class {wrong}, but the list's {blank} characters and the blank "
                f"make the classes 0 to {blank}.",
                hint="Give the list that the model was trained with.",
            )
        keep = ctc(ids, probabilities, blank)[0]
        confidences = np.where(keep, probabilities, 1.0).prod(axis=1, dtype=np.float64)
        letters = self._letters[ids[keep]].tolist()
        lengths = keep.sum(axis=1)
        ends = np.cumsum(lengths)
        return [
            Text("".join(letters[start:end]), confidence)
            for start, end, confidence in zip(
                (ends - lengths).tolist(), ends.tolist(), confidences.tolist(), strict=True
            )
        ]


def ctc(ids: np.ndarray, probabilities: np.ndarray, blank: int = BLANK) -> tuple[np.ndarray, np.ndarray]:
    """Greedy CTC (Graves et al., 2006): runs of one class count once, then blanks are dropped.

    Args:
        ids: (B,T) integers.
        probabilities: (B,T) floats 0..1.
        blank: its class.

    Returns:
        (B,T) bool, the steps that give a character; and (B,) float64, the product of all T probabilities.
    """
    import numpy as np

    keep = ids != blank
    keep[:, 1:] &= ids[:, 1:] != ids[:, :-1]
    return keep, probabilities.prod(axis=1, dtype=np.float64)


def attention(ids: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Attention decoder: everything before the first end symbol (class 1), or all steps where there is none.

    Args:
        ids: (B,T) integers.
        probabilities: (B,T) floats 0..1.

    Returns:
        (B,T) bool, the steps that give a character (a start symbol, class 0, gives none); and (B,) float64, the product
        of the probabilities before the end symbol. For an empty text it is that of the end symbol, the only choice
        made.
    """
    import numpy as np

    before_end = np.logical_and.accumulate(ids != END, axis=1)
    counted = before_end.copy()
    counted[:, 0] = True  # an empty text: the end symbol itself
    confidences = np.where(counted, probabilities, 1.0).prod(axis=1, dtype=np.float64)
    return before_end & (ids != GO), confidences
