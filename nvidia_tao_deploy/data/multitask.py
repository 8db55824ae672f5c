# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures with one label per task: a CSV file whose first column names pictures and whose others are tasks; and the
class mapping that training writes."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nvidia_tao_deploy.data.class_folders import in_order
from nvidia_tao_deploy.data.faults import some_usable
from nvidia_tao_deploy.data.lines import csv_rows, read_lines, separator_hint
from nvidia_tao_deploy.errors import DataError, did_you_mean
from nvidia_tao_deploy.network import Sample

logger = logging.getLogger(__name__)
CSV_KEY = "dataset_config.val_csv_path"


@dataclass(frozen=True, slots=True)
class ClassMapping:
    """What training's class_mapping.json says.

    Attributes:
        tasks: names of the tasks, sorted.
        classes: class names by task, in order of their numbers; empty when the file lists the tasks only.
        source: the file.
    """

    tasks: tuple[str, ...]
    classes: Mapping[str, tuple[str, ...]]
    source: Path


def read_class_mapping(path: Path, key: str) -> ClassMapping:
    """Read {"tasks": [...], "class_mapping": {task: {number: name}}}; the second part may be missing.

    Raises:
        DataError: missing, not JSON, not of this form, or numbers that are not 0 to N-1.
    """
    where = f"{key}: {path}"
    try:
        table = json.loads("\n".join(read_lines(path, key)))
    except ValueError as error:
        raise DataError(f"{where}: not JSON: {error}.") from error
    tasks = table.get("tasks") if isinstance(table, dict) else None
    if not isinstance(tasks, list) or not tasks or not all(isinstance(task, str) for task in tasks):
        raise DataError(f'{where}: expected {{"tasks": ["name", ...], "class_mapping": {{...}}}}.')
    mapping = table.get("class_mapping", {})
    if not isinstance(mapping, dict) or (mapping and set(mapping) != set(tasks)):
        raise DataError(f"{where}: class_mapping must have an entry for each of the tasks {', '.join(sorted(tasks))}.")
    classes = {
        task: in_order(_numbers(entry, f"{where}: {task}"), f"{where}: {task}") for task, entry in mapping.items()
    }
    return ClassMapping(tuple(sorted(tasks)), classes, path)


def _numbers(entry: Any, where: str) -> dict[str, int]:
    """{number: name}, as training writes it, or {name: number} -> {name: number}; without white space around names, as
    the CSV file is read: training keeps the blank of 'a.png, red'."""
    if not isinstance(entry, dict) or not entry:
        raise DataError(f'{where}: expected {{"0": "name", "1": "name", ...}}.')
    by_number = sorted(entry) == sorted(map(str, range(len(entry))))  # then whole numbers may be names of classes
    if not by_number and all(type(value) is int for value in entry.values()):
        return {name.strip(): number for name, number in entry.items()}
    numbers: dict[str, int] = {}
    for number, name in entry.items():
        if not number.isdecimal():
            raise DataError(f"{where}: '{number}' is no class number.")
        plain = str(name).strip()
        if plain in numbers:
            raise DataError(f"{where}: class '{plain}' has the numbers {numbers[plain]} and {number}.")
        numbers[plain] = int(number)
    return numbers


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A line of a CSV file of labels.

    Attributes:
        line: its number, counted from 1.
        name: the picture.
        labels: label by task; empty where there is a `fault`.
        fault: what is wrong with its labels; "" when nothing is.
    """

    line: int
    name: str
    labels: Mapping[str, str]
    fault: str = ""


@dataclass(frozen=True, slots=True)
class TaskTable:
    """A CSV file of labels.

    Attributes:
        tasks: names of the label columns, sorted.
        rows: the lines that name a picture, in the order of the file.
        source: the file.
    """

    tasks: tuple[str, ...]
    rows: tuple[TaskRow, ...]
    source: Path

    def values(self, task: str) -> tuple[str, ...]:
        """The different labels of a task, sorted: numbers by value (2 before 10), as training's reader does."""
        labels = sorted({row.labels[task] for row in self.rows if not row.fault})
        try:
            return tuple(sorted(labels, key=float))
        except ValueError:
            return tuple(labels)

    def samples(self, folder: Path, key: str, classes: Mapping[str, tuple[str, ...]] | None) -> list[Sample]:
        """The pictures in the order of the file; `target` is {task: class number}, or None without `classes`. `key` is
        the one that names the folder. With `classes`, what is wrong with the labels of a line is the `fault` of its
        sample, as are two lines of a picture with different labels. A picture that is listed again counts once.

        Raises:
            DataError: the folder is missing, or every sample has a fault.
        """
        if not folder.is_dir():
            raise DataError(f"{key}: {folder}: no such folder.")
        numbers = {task: {name: index for index, name in enumerate(names)} for task, names in (classes or {}).items()}
        samples: dict[str, Sample] = {}
        lines: dict[str, int] = {}
        again = []
        for row in self.rows:
            sample = self._sample(row, folder, None if classes is None else numbers)
            known = samples.setdefault(row.name, sample)
            if lines.setdefault(row.name, row.line) == row.line or known.fault:
                continue
            told = f"{self._where(row)}: '{row.name}' is listed already on line {lines[row.name]}"
            if not sample.fault and sample.target == known.target:
                again.append(told)
            else:  # nobody knows which of the two is right
                samples[row.name] = replace(known, target=None, fault=f"{told}, with other labels.")
        if again:
            more = f", as do {len(again) - 1} more lines" if len(again) > 1 else ""
            logger.warning("%s; it counts once%s", again[0], more)
        return some_usable(list(samples.values()))

    def _sample(self, row: TaskRow, folder: Path, numbers: Mapping[str, Mapping[str, int]] | None) -> Sample:
        """Of one line; without `numbers` its labels do not matter."""
        target, fault = None, ""
        if numbers is not None and not (fault := row.fault or self._unknown(row, numbers)):
            target = {task: table[row.labels[task]] for task, table in numbers.items()}
        return Sample(row.name, folder / row.name, target, fault=fault)

    def _where(self, row: TaskRow) -> str:
        return f"{CSV_KEY}: {self.source}, line {row.line}"

    def _unknown(self, row: TaskRow, numbers: Mapping[str, Mapping[str, int]]) -> str:
        """Which label of a line is no class of its task; "" when all are."""
        for task, table in numbers.items():
            label = row.labels[task]
            if label not in table:
                known = ", ".join(list(table)[:10])
                fault = f"{self._where(row)}: '{label}' is no class of {task}; those are {known}."
                return f"{fault} {did_you_mean(label, table) or ''}".rstrip()
        return ""


def read_task_table(path: Path, labels: bool = True) -> TaskTable:
    """Read a CSV file: a header with the tasks, then a line per picture.

    Args:
        path: the file.
        labels: False where labels are not used: only the first column is read, and the table has no tasks.

    Raises:
        DataError: missing, no label column, two columns of one name, or a line that names no picture. A line with
            another number of columns, or without a label, is a row with a `fault`.
    """
    lines = csv_rows(path, CSV_KEY, strict=False)
    header = [name.strip() for name in next(lines, (0, []))[1]]
    where = f"{CSV_KEY}: {path}"
    if len(header) < 1 + labels:
        raise DataError(
            f"{where}: expected a header with the picture's column and one per task; found {header}.",
            hint=separator_hint(",".join(header)),
        )
    tasks = header[1:] if labels else []
    if len(set(tasks)) != len(tasks) or not all(tasks):
        raise DataError(f"{where}: the header needs a different name for each task; found {', '.join(tasks)}.")
    rows = []
    for line, cells in lines:
        rows.append(_row(cells, header, tasks, f"{where}, line {line}", line))
    if not rows:
        raise DataError(f"{where}: no picture is listed.")
    if all(row.fault for row in rows):
        raise DataError(rows[0].fault)
    return TaskTable(tuple(sorted(tasks)), tuple(rows), path)


def _row(cells: list[str], header: list[str], tasks: list[str], where: str, line: int) -> TaskRow:
    """One line. Raises DataError where it names no picture."""
    values = [cell.strip() for cell in cells[: 1 + len(tasks)]]
    if not values[0]:
        raise DataError(f"{where}: nothing in column '{header[0]}'.")
    fault = ""
    if tasks and len(cells) != len(header):
        fault = f"{where}: {len(cells)} columns; the header has {len(header)}."
    elif not all(values):
        fault = f"{where}: nothing in column '{header[values.index('')]}'."
    return TaskRow(line, values[0], {} if fault else dict(zip(tasks, values[1:], strict=True)), fault)
