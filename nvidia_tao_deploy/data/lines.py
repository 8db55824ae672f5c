# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Small rules that text files of data sets share: decoding, and the order in which people expect names."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path

from nvidia_tao_deploy.errors import DataError
from nvidia_tao_deploy.files import reason


def read_lines(path: Path, what: str) -> list[str]:
    """The lines of a UTF-8 file without their ends. Only line feeds (with or without carriage returns) end a line:
    other characters that Unicode calls line breaks may be data. A byte order mark is dropped.

    Args:
        path: the file.
        what: what the file is, for messages ("character list").

    Raises:
        DataError: missing, unreadable, or not UTF-8 (says at which line).
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise DataError(f"{what} {path}: no such file.") from error
    except OSError as error:
        raise DataError(f"{what} {path}: cannot be read: {reason(error)}.") from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(f"{what} {path}, line {line}: not UTF-8.", hint="Save the file as UTF-8.") from error
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    return lines[:-1] if lines[-1] == "" else lines


def numbered(path: Path, what: str) -> Iterator[tuple[int, str]]:
    """(line number from 1, line) of every line that holds more than white space. Raises as `read_lines`."""
    for number, line in enumerate(read_lines(path, what), 1):
        if line.strip():
            yield number, line


def csv_rows(path: Path, what: str, strict: bool = True) -> Iterator[tuple[int, list[str]]]:
    """(number of its last line, cells) of every row of a CSV file in which a cell holds more than white space.

    Args:
        strict: refuse quotes that are out of place. Else only cells of several lines are refused: a quote that is out
            of place would swallow the lines up to the next one, or all.

    Raises:
        DataError: as `read_lines`, or it is no CSV: a quote without an end, line ends of old Macs (says which line).
    """
    before = 0
    reader = csv.reader((f"{line}\n" for line in read_lines(path, what)), strict=strict)
    try:
        for cells in reader:
            if not strict and any("\n" in cell for cell in cells):
                raise csv.Error(f"the quote that begins on line {before + 1} has no end there")
            before = reader.line_num
            if any(cell.strip() for cell in cells):
                yield reader.line_num, cells
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: not csv: {error}.") from error


def separator_hint(header: str) -> str | None:
    """The way out for the first line of a CSV file whose columns another character separates; None for other lines."""
    for mark, name in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
        if mark in header and "," not in header:
            return f"The columns are separated by {name}; expected commas. Save the file as CSV with commas."
    return None


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key under which img_2 comes before img_10; letters compare without case, then the whole name decides."""
    parts = re.findall(r"\d+|\D+", name)
    key = [(0, int(part), "") if part.isdecimal() else (1, 0, part.lower()) for part in parts]
    return (*key, (2, 0, name))
