# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""What the semantic segmentation commands share: the table of classes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nvidia_tao_deploy.errors import SpecError
from nvidia_tao_deploy.render.colours import Colour
from nvidia_tao_deploy.render.masks import default_colours

LARGEST_LABEL = 65535
"""What a mask of 16 bits holds."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the table as the spec gives it.

    Attributes:
        name: of the kind of thing that masks tell apart.
        label: its value in masks.
        group: name of the row whose class it belongs to.
        colour: RGB; None where the spec gives none.
    """

    name: str
    label: int
    group: str
    colour: tuple[float, float, float] | None = None


@dataclass(frozen=True, slots=True)
class ClassTable:
    """The classes that a model was trained on.

    Rows that map to one row are one class. Classes are numbered by the labels of the rows that they map to, as the
    trainer numbers its outputs.

    Attributes:
        names: of the classes; those of rows that are one class are joined by "/".
        labels: class index of each value of a mask.
        painted: class index of each colour of a mask; colours that two classes share are left out.
        colours: RGB (0..255) by class index, for pictures.
    """

    names: tuple[str, ...]
    labels: Mapping[int, int]
    painted: Mapping[Colour, int]
    colours: Mapping[int, Colour]


def class_table(entries: Sequence[Entry], key: str) -> ClassTable:
    """The table that rows make; `key` is the spec's, for messages.

    Raises:
        SpecError: no rows, a name or label twice, or a row that maps to one that is not there.
    """
    if len(entries) < 2:
        raise SpecError(f"{key}: {len(entries)} rows; expected one for each class, two or more")
    for what, values in (("name", [row.name for row in entries]), ("label_id", [row.label for row in entries])):
        repeated = [str(value) for value, count in Counter(values).items() if count > 1]
        if repeated:
            raise SpecError(f"{key}: {what} {', '.join(repeated)} stands there more than once")
    rows = {row.name: row for row in entries}
    lost = next((row for row in entries if row.group not in rows), None)
    if lost is not None:
        raise SpecError(
            f"{key}: '{lost.name}' maps to '{lost.group}', of which there is no row; rows: {', '.join(rows)}"
        )
    calibrated = sorted({rows[row.group].label for row in entries})
    index = {row.label: calibrated.index(rows[row.group].label) for row in entries}
    names = ["/".join(row.name for row in entries if index[row.label] == number) for number in range(len(calibrated))]
    scale = _scale(entries)
    found = {row.label: _colour(row.colour, scale) for row in entries if row.colour is not None}
    painted: dict[Colour, set[int]] = {}
    for label, colour in found.items():
        painted.setdefault(colour, set()).add(index[label])
    given = {number: found[label] for number, label in enumerate(calibrated) if label in found}
    return ClassTable(
        tuple(names),
        index,
        {colour: classes.pop() for colour, classes in painted.items() if len(classes) == 1},
        given if len(given) == len(calibrated) else default_colours(len(calibrated)),
    )


def _scale(entries: Sequence[Entry]) -> float:
    """255 where colours are given for 0..1, as TAO's own default does."""
    values = [value for row in entries for value in row.colour or ()]
    return 255 if values and 0 < max(values) <= 1 else 1


def _colour(values: tuple[float, float, float], scale: float) -> Colour:
    red, green, blue = (round(value * scale) for value in values)
    return red, green, blue


def read_palette(given: Any, key: str) -> list[Entry]:
    """Rows of a YAML palette: mappings with seg_class, label_id, mapping_class (default: the class itself) and rgb.

    Raises:
        SpecError: with the row and the key, for another form.
    """
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise SpecError(f"{key}: '{given}': expected a list of {{seg_class, label_id, mapping_class, rgb}}")
    return [_entry(row, f"{key}[{index}]") for index, row in enumerate(given)]


def _entry(row: Any, key: str) -> Entry:
    if not isinstance(row, Mapping):
        raise SpecError(f"{key}: '{row}': expected {{seg_class: ..., label_id: ..., mapping_class: ..., rgb: [...]}}")
    name, label = row.get("seg_class"), row.get("label_id")
    if name in (None, ""):
        raise SpecError(f"{key}.seg_class is not set: the name of the class")
    if not isinstance(label, int) or isinstance(label, bool) or not 0 <= label <= LARGEST_LABEL:
        raise SpecError(f"{key}.label_id: '{label}': expected the value of '{name}' in masks, 0 to {LARGEST_LABEL}")
    return Entry(str(name), label, str(row.get("mapping_class") or name), _rgb(row.get("rgb"), f"{key}.rgb"))


def _rgb(given: Any, key: str) -> tuple[float, float, float] | None:
    if given is None:
        return None
    numbers = isinstance(given, Sequence) and not isinstance(given, str) and len(given) == 3
    if not numbers or not all(
        isinstance(value, (int, float)) and math.isfinite(value) and 0 <= value <= 255 for value in given
    ):
        raise SpecError(
            f"{key}: '{given}': expected [red, green, blue], each 0 to 255 (or 0 to 1 in the whole palette)"
        )
    red, green, blue = map(float, given)
    return red, green, blue
