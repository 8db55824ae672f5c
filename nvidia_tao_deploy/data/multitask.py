# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures with one label per task: a CSV file whose first column names pictures and whose others are tasks; and the
class mapping that training writes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nvidia_tao_deploy.data.class_folders import in_order
from nvidia_tao_deploy.data.lines import csv_rows, read_lines, separator_hint
from nvidia_tao_deploy.errors import DataError, did_you_mean
from nvidia_tao_deploy.network import Sample

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
class TaskTable:
    """A CSV file of labels.

    Attributes:
        tasks: names of the label columns, sorted.
        rows: (line number, picture name, label by task) in the order of the file.
        source: the file.
    """

    tasks: tuple[str, ...]
    rows: tuple[tuple[int, str, Mapping[str, str]], ...]
    source: Path

    def values(self, task: str) -> tuple[str, ...]:
        """The different labels of a task, sorted: numbers by value (2 before 10), as training's reader does."""
        labels = sorted({labels[task] for _, _, labels in self.rows})
        try:
            return tuple(sorted(labels, key=float))
        except ValueError:
            return tuple(labels)

    def samples(self, folder: Path, key: str, classes: Mapping[str, tuple[str, ...]] | None) -> list[Sample]:
        """The pictures in the order of the file; `target` is {task: class number}, or None without `classes`. `key` is
        the one that names the folder.

        Raises:
            DataError: the folder is missing, a label is no class of its task, or a picture is listed twice.
        """
        if not folder.is_dir():
            raise DataError(f"{key}: {folder}: no such folder.")
        numbers = {task: {name: index for index, name in enumerate(names)} for task, names in (classes or {}).items()}
        seen: dict[str, int] = {}
        samples = []
        for line, name, labels in self.rows:
            where = f"{CSV_KEY}: {self.source}, line {line}"
            if seen.setdefault(name, line) != line:
                raise DataError(f"{where}: '{name}' is listed already on line {seen[name]}.")
            target = None
            if classes is not None:
                for task in numbers:
                    if labels[task] not in numbers[task]:
                        hint = did_you_mean(labels[task], numbers[task])
                        known = ", ".join(list(numbers[task])[:10])
                        raise DataError(f"{where}: '{labels[task]}' is no class of {task}; those are {known}.", hint)
                target = {task: table[labels[task]] for task, table in numbers.items()}
            samples.append(Sample(name, folder / name, target))
        return samples


def read_task_table(path: Path, labels: bool = True) -> TaskTable:
    """Read a CSV file: a header with the tasks, then a line per picture.

    Args:
        path: the file.
        labels: False where labels are not used: only the first column is read, and the table has no tasks.

    Raises:
        DataError: missing, no label column, two columns of one name, or a line with another number of columns.
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
        if labels and len(cells) != len(header):
            raise DataError(f"{where}, line {line}: {len(cells)} columns; the header has {len(header)}.")
        values = [cell.strip() for cell in cells[: 1 + len(tasks)]]
        if not all(values):
            column = header[values.index("")]
            raise DataError(f"{where}, line {line}: nothing in column '{column}'.")
        rows.append((line, values[0], dict(zip(tasks, values[1:], strict=True))))
    if not rows:
        raise DataError(f"{where}: no picture is listed.")
    return TaskTable(tuple(sorted(tasks)), tuple(rows), path)
