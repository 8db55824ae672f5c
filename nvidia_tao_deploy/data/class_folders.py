# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Data sets with one folder per class, and the class list that gives the folders their numbers."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from nvidia_tao_deploy.data.lines import read_lines
from nvidia_tao_deploy.data.pictures import picture_samples
from nvidia_tao_deploy.errors import DataError, nearest
from nvidia_tao_deploy.files import STATUS_FILE
from nvidia_tao_deploy.network import Sample

logger = logging.getLogger(__name__)


def read_class_list(path: Path, key: str) -> tuple[str, ...]:
    """Class names, one per line, numbered from 0 in file order (as training numbers them); blank lines do not count.

    Raises:
        DataError: missing, not text, empty, or a name stands twice (with the line).
    """
    names: dict[str, int] = {}
    for number, line in enumerate(read_lines(path, f"{key}:"), start=1):
        name = line.strip()
        if not name:
            continue
        if name in names:
            raise DataError(f"{key}: {path}:{number}: class '{name}' stands in line {names[name]} already.")
        names[name] = number
    if not names:
        raise DataError(f"{key}: {path}: no class name in it.")
    if list(names) != sorted(names):
        logger.info("%s: classes are numbered in file order, as in training; older TAO Deploy sorted them", path)
    return tuple(names)


def read_class_map(path: Path, key: str) -> tuple[str, ...]:
    """Class names in order of their numbers, from a JSON object {name: number}; or a class list, one name per line.

    Raises:
        DataError: missing, not JSON, not such an object, or the numbers are not 0 to N-1, each once.
    """
    text = "\n".join(read_lines(path, key))
    if not text.lstrip().startswith(("{", "[")):
        return read_class_list(path, key)
    try:
        table = json.loads(text)
    except ValueError as error:
        raise DataError(f"{key}: {path}: not JSON: {error}.") from error
    if not isinstance(table, dict) or not table:
        raise DataError(f'{key}: {path}: expected a JSON object {{"class name": number, ...}}.')
    for name, number in table.items():
        if type(number) is not int:
            raise DataError(f"{key}: {path}: class '{name}' has the number {number!r}; expected a whole number.")
    return in_order(table, f"{key}: {path}")


def in_order(numbers: Mapping[str, int], where: str) -> tuple[str, ...]:
    """Names in order of their numbers. Raises DataError unless those are 0 to N-1, each once."""
    names: dict[int, str] = {}
    for name, number in numbers.items():
        if number in names:
            raise DataError(f"{where}: classes '{names[number]}' and '{name}' both have the number {number}.")
        names[number] = name
    missing = sorted(set(range(len(names))) - set(names))
    if missing:
        raise DataError(f"{where}: {len(names)} classes, but none has the number {missing[0]}.")
    return tuple(names[number] for number in range(len(names)))


def check_count(names: Sequence[str], count: int, source: object, key: str) -> None:
    """Raises DataError when there are not as many names as the model has classes (-1: not known)."""
    if count not in (-1, len(names)):
        listed = f"{', '.join(names[:10])}{' ...' if len(names) > 10 else ''}"
        raise DataError(
            f"{source}: {len(names)} class{'es' * (len(names) != 1)} ({listed}), but the model has {count}.",
            hint=f"Give the class list that the model was trained with: {key}=FILE.",
        )


def folder_classes(root: Path) -> tuple[str, ...]:
    """Names of the sub-folders in alphabetical order; files beside them, hidden folders and those of results do not
    count."""
    if not root.is_dir():
        return ()
    folders = [item for item in root.iterdir() if item.is_dir() and not item.name.startswith(".")]
    return tuple(sorted(item.name for item in folders if not (item / STATUS_FILE).is_file()))


def _more(items: Sequence[str], shown: int) -> str:
    return f" and {len(items) - shown} more" if len(items) > shown else ""


def labelled_pictures(root: Path, classes: tuple[str, ...], key: str, source: object = "") -> list[Sample]:
    """Pictures below `root`; `target` is the class number of the folder that holds each. Messages name the file
    `source` of the class list, where there is one.

    Pictures whose folder is not in the class list, and those beside the class folders, have a `fault`; a warning each
    tells of the folders and of the pictures.

    Raises:
        DataError: no such folder, no picture, no class folders, or every picture has a fault.
    """
    if not classes and root.is_dir():
        raise DataError(
            f"{key}: {root}: no class folders in it.",
            hint="Put the pictures of each class into a folder named after the class.",
        )
    numbers = {name: index for index, name in enumerate(classes)}
    samples = [
        replace(sample, target=numbers.get(sample.path.parent.name), fault=_fault(sample.path, root, numbers))
        for sample in picture_samples(root, key=key)
    ]
    faulty = [sample for sample in samples if sample.fault]
    if faulty:
        beside = [sample.name for sample in faulty if sample.path.parent == root]
        folders = {sample.path.parent.name for sample in faulty if sample.path.parent != root}
        problems = [_unknown_folders(sorted(folders), classes, source)] if folders else []
        problems += [_beside(beside)] if beside else []
        if len(faulty) == len(samples):
            raise DataError(f"{key}: {root}: {problems[0][0]}", hint=problems[0][1])
        for problem in problems:
            logger.warning("%s: %s: %s %s", key, root, *problem)
    return samples


def _fault(path: Path, root: Path, numbers: Mapping[str, int]) -> str:
    if path.parent.name in numbers:
        return ""
    if path.parent == root:
        return f"{path}: beside the class folders."
    return f"{path}: its folder '{path.parent.name}' is not in the class list."


def _beside(names: Sequence[str]) -> tuple[str, str]:
    """(what is wrong, the way out) of pictures that lie beside the class folders."""
    return (
        f"{len(names)} picture{'s' * (len(names) != 1)} beside the class folders: "
        f"{', '.join(names[:3])}{_more(names, 3)}.",
        "Put them into the folder of their class, or elsewhere.",
    )


def _unknown_folders(unknown: Sequence[str], classes: Sequence[str], source: object) -> tuple[str, str]:
    """(what is wrong, the way out) of folders that are no classes."""
    close = nearest(unknown[0], classes)
    where = f" ({source})" if source else ""
    alike = f"The folder is '{unknown[0]}', the list{where} has '{close[0]}': give both one name." if close else ""
    return (
        f"folders that are not in the class list: {', '.join(unknown[:5])}{_more(unknown, 5)}; "
        f"the list has {len(classes)} class{'es' * (len(classes) != 1)}: {', '.join(classes[:10])}"
        f"{_more(classes, 10)}.",
        alike or f"Check the class list{f' {source}' if source else ''} and the folder names.",
    )
