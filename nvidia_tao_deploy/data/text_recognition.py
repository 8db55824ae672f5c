# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Ground truth of text recognition: one file with a picture name and its text on each line."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from nvidia_tao_deploy.data.lines import numbered
from nvidia_tao_deploy.errors import DataError
from nvidia_tao_deploy.network import Sample

logger = logging.getLogger(__name__)
KEY = "evaluate.test_dataset_gt_file"
NO_TEXT = "has no text after the name; expected 'name text'."
BLANKS = " \t"
"""What separates a name from its text and is stripped from both. Other white space (U+3000 ...) may be text."""


def labelled_crops(truth: Path, folder: Path) -> list[Sample]:
    """Samples of a ground-truth file, in its order; the target is the text.

    A line is `name<TAB>text`, or `name text` with any blanks between; the text runs to the end of the line and may hold
    blanks. With a tab the name may hold blanks too, and the text may be empty. Empty lines are skipped.

    Args:
        truth: the ground-truth file.
        folder: what the names are relative to.

    A line without text is a sample with a `fault`.

    Raises:
        DataError: the file or folder is missing, no line has a text, a name is listed with two texts, or nothing is
            listed; says the file and the line.
    """
    if not folder.is_dir():
        raise DataError(f"evaluate.test_dataset_dir: {folder}: no such folder.")
    samples: list[Sample] = []
    seen: dict[str, tuple[int, str]] = {}
    for number, line in numbered(truth, KEY):
        where = f"{KEY}: {truth}, line {number}"
        name, text = _split(line)
        if text is None:
            samples.append(Sample(name, folder / name, "", fault=f"{where}: '{name}' {NO_TEXT}"))
        elif name not in seen:
            samples.append(Sample(name, folder / name, text))
            seen[name] = (number, text)
        elif seen[name][1] == text:
            logger.warning("%s: '%s' is listed already on line %d; it counts once", where, name, seen[name][0])
        else:
            raise DataError(f"{where}: '{name}' is listed already on line {seen[name][0]}, with another text.")
    if not samples:
        raise DataError(f"{KEY}: {truth}: the file is empty.", hint="A line looks like this: word_1.png some text")
    if not seen:
        raise DataError(samples[0].fault)
    return samples


def _split(line: str) -> tuple[str, str | None]:
    """(name, text); the text of a line without one is None."""
    if "\t" in line.strip(BLANKS) or line.rstrip(" ").endswith("\t"):
        name, _, text = line.partition("\t")
    else:
        name, blank, text = line.strip(BLANKS).partition(" ")
        if not blank:
            return name, None
    return name.strip(BLANKS), text.strip(BLANKS)


def report_unreadable(samples: Sequence[Sample], characters: str, source: object) -> None:
    """Warn of labels with characters that the model does not have: they can never be read exactly.

    Args:
        samples: `target` is the text.
        characters: all that the model has.
        source: where they come from, for the message.
    """
    known = frozenset(characters)
    unreadable = [unknown for sample in samples if (unknown := set(sample.target) - known)]
    if unreadable:
        shown = " ".join(map(repr, sorted(set().union(*unreadable))[:20]))
        logger.warning(
            "%d of %d labels hold characters that are not in %s and cannot be read exactly: %s",
            len(unreadable), len(samples), source, shown,
        )  # fmt: skip
