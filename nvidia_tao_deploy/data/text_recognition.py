# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Ground truth of text recognition: one file with a picture name and its text on each line."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from nvidia_tao_deploy.data.faults import some_usable
from nvidia_tao_deploy.data.lines import numbered
from nvidia_tao_deploy.errors import DataError
from nvidia_tao_deploy.network import Sample

logger = logging.getLogger(__name__)
KEY = "evaluate.test_dataset_gt_file"
BLANKS = " \t"
"""What separates a name from its text and is stripped from both. Other white space (U+3000 ...) may be text."""


def labelled_crops(truth: Path, folder: Path) -> list[Sample]:
    """Samples of a ground-truth file, in its order; the target is the text.

    A line is `name<TAB>text`, or `name text` with any blanks between; the text runs to the end of the line and may hold
    blanks. With a tab the name may hold blanks too, and the text may be empty. Empty lines are skipped. A line without
    text, and a name that is listed with two texts, make a sample with a `fault`.

    Args:
        truth: the ground-truth file.
        folder: what the names are relative to.

    Raises:
        DataError: the file or folder is missing, nothing is listed, or no line can be used; says the file and the line.
    """
    if not folder.is_dir():
        raise DataError(f"evaluate.test_dataset_dir: {folder}: no such folder.")
    samples: dict[str, Sample] = {}
    lines: dict[str, int] = {}
    for number, line in numbered(truth, KEY):
        where = f"{KEY}: {truth}, line {number}"
        name, text = _split(line)
        fault = "" if text is not None else f"{where}: '{name}' has no text after the name; expected 'name text'."
        first = samples.setdefault(name, Sample(name, folder / name, text, fault=fault))
        if lines.setdefault(name, number) == number:
            continue
        if text == first.target:
            logger.warning("%s: '%s' is listed already on line %d; it counts once", where, name, lines[name])
        elif not first.fault:  # nobody knows which of the two is right
            fault = f"{where}: '{name}' is listed already on line {lines[name]}, with another text."
            samples[name] = replace(first, target=None, fault=fault)
    if not samples:
        raise DataError(f"{KEY}: {truth}: the file is empty.", hint="A line looks like this: word_1.png some text")
    return some_usable(list(samples.values()))


def _split(line: str) -> tuple[str, str | None]:
    """(name, text); the text is None where there is none."""
    if "\t" in line.strip(BLANKS) or line.rstrip(" ").endswith("\t"):
        name, _, text = line.partition("\t")
    else:
        name, blank, text = line.strip(BLANKS).partition(" ")
        if not blank:
            return line.strip(), None
    return name.strip(BLANKS), text.strip(BLANKS)


def report_unreadable(samples: Sequence[Sample], characters: str, source: object) -> None:
    """Warn of labels with characters that the model does not have: they can never be read exactly.

    Args:
        samples: `target` is the text; those with a `fault` do not count.
        characters: all that the model has.
        source: where they come from, for the message.
    """
    known = frozenset(characters)
    texts = [sample.target for sample in samples if not sample.fault]
    unreadable = [unknown for text in texts if (unknown := set(text) - known)]
    if unreadable:
        shown = " ".join(map(repr, sorted(set().union(*unreadable))[:20]))
        logger.warning(
            "%d of %d labels hold characters that are not in %s and cannot be read exactly: %s",
            len(unreadable), len(texts), source, shown,
        )  # fmt: skip
