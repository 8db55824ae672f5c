# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""The spec's keys as text for `--help`. Plain printing: this must start fast."""

from __future__ import annotations

import shutil
import textwrap
from typing import Any

from nvidia_tao_deploy.spec import schema as schemas
from nvidia_tao_deploy.spec.fields import MISSING

LIMITS = (58, 22, 24)
"""Most characters of the columns key, type and default."""
LEAST_MEANING = 40
"""Fewer characters than this for the last column are no table any more."""


def terminal_width() -> int:
    """Characters per line of help; 120 where the output is no terminal, and at most 160."""
    return min(shutil.get_terminal_size((120, 24)).columns, 160)


def folded(text: str, indent: int = 0) -> str:
    """A text in lines of the terminal's width, of which all but the first are indented; words stay whole."""
    return textwrap.fill(
        text, terminal_width(), subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False
    )


def key_table(schema: type, subtask: str | None, width: int = 0) -> str:
    """Keys that a subtask reads: its own section and those that no subtask owns (all keys for None).

    Columns: key, type, default, meaning (with choices and bounds). Where `width` (characters; 0: the terminal's) leaves
    too little for the last one, each key has lines of its own instead.
    """
    width = width or terminal_width()
    rows = [
        (key.name, key.type_name, _value(key.default), _meaning(key))
        for key in schemas.keys(schema)
        if key.used and _concerns(key.name, subtask)
    ]
    header = ("key", "type", "default", "meaning")
    sizes = [min(limit, max(len(row[column]) for row in [header, *rows])) for column, limit in enumerate(LIMITS)]
    meaning = width - sum(sizes) - 2 * len(sizes)
    if meaning < LEAST_MEANING:
        return "\n".join(line for row in rows for line in _stacked(*row, width))
    return "\n".join(line for row in [header, *rows] for line in _lines(row, (*sizes, meaning)))


def _stacked(key: str, type_name: str, default: str, meaning: str, width: int) -> list[str]:
    """A key and, indented below it, type, default and meaning."""
    text = f"{type_name}, {default}{': ' if default == 'required' else ' by default: '}{meaning}"
    return [key, *textwrap.wrap(text, width, initial_indent="    ", subsequent_indent="    ")]


SHARED_KEYS = frozenset({"gen_trt_engine.plugins"})
"""Keys that `evaluate` and `inference` read although they stand in another subtask's section."""


def _concerns(key: str, subtask: str | None) -> bool:
    section = key.split(".")[0]
    return subtask is None or section not in schemas.STRICT_SECTIONS or section == subtask or key in SHARED_KEYS


def _meaning(key: schemas.Key) -> str:
    text = key.metadata.get("help", "")
    choices, low, high = (key.metadata.get(name) for name in ("choices", "minimum", "maximum"))
    if choices:
        text += f" ({', '.join(map(str, choices))})"
    if low is not None and high is not None:
        text += f" ({low} to {high})"
    elif low is not None:
        text += f" (at least {low})"
    elif high is not None:
        text += f" (at most {high})"
    return text


def _value(default: Any) -> str:
    if default == MISSING:
        return "required"
    if default is None:
        return "null"
    if isinstance(default, bool):
        return str(default).lower()
    return '""' if default == "" else str(default)


def _lines(row: tuple[str, ...], sizes: tuple[int, ...]) -> list[str]:
    cells = [textwrap.wrap(cell, size, break_long_words=True) or [""] for cell, size in zip(row, sizes, strict=True)]
    return [
        "  ".join(
            (cell[index] if index < len(cell) else "").ljust(size) for cell, size in zip(cells, sizes, strict=True)
        ).rstrip()
        for index in range(max(map(len, cells)))
    ]
