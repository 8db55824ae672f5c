# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Character lists: which character each class of a text recogniser stands for."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from nvidia_tao_deploy.data.lines import read_lines
from nvidia_tao_deploy.errors import DataError

logger = logging.getLogger(__name__)
KEY = "dataset.character_list_file"
BLANK_KEY = "dataset.blank_lines"
BLANK_RULES = ("auto", "drop", "keep")
SPECIAL = {"CTC": 1, "Attn": 2}
"""Classes before the first character: the CTC blank; [GO] and [s] of an attention decoder."""


@dataclass(frozen=True, slots=True)
class Characters:
    """A character list.

    Attributes:
        text: the characters; text[k] is class k + SPECIAL[prediction].
        source: the file, for messages.
    """

    text: str
    source: Path


def read_characters(path: Path, prediction: str, blank_lines: str = "auto", classes: int | None = None) -> Characters:
    """Read a character list, one character per line.

    A line of several characters stands for as many classes, and white space around a line is dropped: both as in
    training. What a line of nothing but one white-space character means depends on `blank_lines`: "drop" it as
    training does, "keep" it as a character, or "auto": whichever gives the model's number of classes, and "drop" with
    a warning when that number is not known. Empty lines never stand for anything.

    Args:
        path: the file, UTF-8.
        prediction: "CTC" or "Attn".
        blank_lines: one of BLANK_RULES.
        classes: number of classes of the model, where it is known.

    Raises:
        DataError: the file cannot be read, is empty, or its length does not fit `classes`.
    """
    lines = read_lines(path, KEY)
    dropped = "".join(line.strip() for line in lines)
    kept = "".join(line.strip() or line[:1] for line in lines)
    if not kept:
        raise DataError(f"{KEY}: {path}: the file holds no character; expected one per line.")
    blanks = len(kept) - len(dropped)
    candidates = {"drop": [dropped], "keep": [kept], "auto": [dropped, kept]}[blank_lines]
    if classes is None:
        if blanks and blank_lines == "auto":
            logger.warning(
                "%s: %s: %d lines hold white space only and are dropped, as TAO's training does. "
                "If the model was trained with them, set %s=keep",
                KEY, path, blanks, BLANK_KEY,
            )  # fmt: skip
        return Characters(candidates[0], path)
    for text in candidates:
        if len(text) + SPECIAL[prediction] == classes:
            if blanks and blank_lines == "auto":
                word = "characters" if text is kept else "nothing"
                logger.info("%s: %d lines of white space stand for %s: that fits the model", path, blanks, word)
            return Characters(text, path)
    raise DataError(_mismatch(path, candidates, prediction, classes), hint=_hint(prediction, blanks, blank_lines))


def _mismatch(path: Path, candidates: list[str], prediction: str, classes: int) -> str:
    lengths = " or ".join(str(length) for length in dict.fromkeys(map(len, candidates)))
    return (
        f"{KEY}: {path}: {lengths} characters, but the model has {classes} classes: "
        f"{classes - SPECIAL[prediction]} characters and {SPECIAL[prediction]} of model.prediction={prediction}."
    )


def _hint(prediction: str, blanks: int, blank_lines: str) -> str:
    hint = f"Give the list that the model was trained with, and check model.prediction={prediction}"
    return f"{hint} and {BLANK_KEY}={blank_lines}." if blanks and blank_lines != "auto" else f"{hint}."
