# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Class lists: a text file with one class name per line, and which label each line names."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nvidia_tao_deploy.data.lines import read_lines
from nvidia_tao_deploy.errors import DataError

logger = logging.getLogger(__name__)
KEY = "dataset.infer_data_sources.classmap"
BACKGROUND = "background"


@dataclass(frozen=True, slots=True)
class ClassNames:
    """Names of a network's labels.

    Attributes:
        names: name of label 0, 1, ...; None where the list has none.
    """

    names: tuple[str | None, ...] = ()

    def known(self, label: int) -> bool:
        """Whether the list names this label."""
        return 0 <= label < len(self.names) and self.names[label] is not None

    def __getitem__(self, label: int) -> str:
        """The name, or class_<label> for a label without one."""
        name = self.names[label] if 0 <= label < len(self.names) else None
        return name if name is not None else f"class_{label}"

    def __iter__(self) -> Iterator[str]:
        return (name for name in self.names if name is not None)


def class_lines(path: str | Path) -> list[str]:
    """The lines of a class list: UTF-8, blanks at both ends removed, empty lines at the end dropped.

    Raises:
        DataError: missing, not text, or empty.
    """
    source = Path(path)
    lines = [line.strip() for line in read_lines(source, f"{KEY}: class list")]
    while lines and not lines[-1]:
        lines.pop()
    if not lines:
        raise DataError(f"{KEY}: {source}: the class list is empty; expected one class name per line.")
    return lines


def class_names(path: str | Path, first: int, labels: int = -1) -> ClassNames:
    """Names by the rule that the DETR family shares.

    The first line names label `first`, each further line the next label; an empty line leaves its label without a
    name. A first line `background` stands for the label before the first class. With `first` 1 that is label 0.
    With `first` 0 it names label 0, unless the file then has exactly one line more than the model has labels: then
    it is skipped (it is the filler that TAO Deploy's rtdetr needs).

    Args:
        first: label of the first line.
        labels: number of labels of the model; -1 when it is not known.

    Raises:
        DataError: unreadable, or more names than the model has labels.
    """
    lines = class_lines(path)
    if lines[0].lower() == BACKGROUND:
        if first > 0:
            first -= 1
        elif len(lines) == labels + 1:
            logger.info("%s: the first line, '%s', is skipped: the model has %d labels", path, lines[0], labels)
            lines = lines[1:]
    _check_count(path, lines, first, labels)
    return ClassNames((None,) * first + tuple(line or None for line in lines))


def _check_count(path: str | Path, lines: Sequence[str], first: int, labels: int) -> None:
    if labels < 0 or first + len(lines) <= labels:
        return
    if len(lines) > labels:
        filler = first == 0 and len(lines) == labels + 1
        raise DataError(
            f"{KEY}: {path}: {len(lines)} class names, but the model has {labels} labels (0 to {labels - 1}).",
            hint="If the first line is a filler (TAO Deploy's rtdetr ignored it), remove it or write 'background'."
            if filler
            else "Use the class list that the model was trained with: one name per line, in the order of the labels.",
        )
    logger.warning(
        "%s: line 1 names label %d, so '%s' would be label %d; the model's last label is %d",
        path, first, lines[-1], first + len(lines) - 1, labels - 1,
    )  # fmt: skip
