# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Data sets of lprnet: folders of plate pictures with a text file of the same stem for each, and its character list."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from nvidia_tao_deploy.data.faults import some_usable
from nvidia_tao_deploy.data.lines import natural_key, read_lines
from nvidia_tao_deploy.data.pictures import is_shadow, picture_samples
from nvidia_tao_deploy.errors import DataError
from nvidia_tao_deploy.network import Sample

logger = logging.getLogger(__name__)
KEY = "dataset_config.characters_list_file"
SOURCES = "dataset_config.validation_data_sources"


def labelled_plates(sources: Sequence[tuple[Path, Path]]) -> list[Sample]:
    """Pictures of all (picture folder, label folder) pairs with a label; `target` is the first line of `<stem>.txt`.

    Pictures without a label file are left out, with one warning that counts them; another counts label files without a
    picture. A label that is empty or cannot be read makes a sample with a `fault`.

    Raises:
        DataError: a folder is missing, no picture has a label, or none has one that can be read.
    """
    folders: dict[Path, Path] = {}
    for pictures, labels in sources:
        if not labels.is_dir():
            raise DataError(f"{SOURCES}: label_directory_path: {labels}: no such folder.")
        if pictures.is_file():
            raise DataError(f"{SOURCES}: image_directory_path: {pictures}: a file; expected a folder.")
        if folders.setdefault(pictures, labels) != labels:
            raise DataError(f"{SOURCES}: {pictures}: two label folders, {folders[pictures]} and {labels}")
    samples = plates(list(folders), SOURCES)
    texts = {sample.path: folders[sample.path.parent] / f"{sample.path.stem}.txt" for sample in samples}
    alone = [sample for sample in samples if not texts[sample.path].is_file()]
    if len(alone) == len(samples):
        raise DataError(
            f"{SOURCES}: none of the {len(samples)} pictures has a label.",
            hint="The label of PLATE.jpg is the first line of PLATE.txt in label_directory_path.",
        )
    if alone:
        logger.warning(
            "%d of %d pictures have no label file and are left out; the first is %s, which needs %s",
            len(alone), len(samples), alone[0].path, texts[alone[0].path],
        )  # fmt: skip
    _warn_of_labels_alone(set(texts.values()), list(dict.fromkeys(folders.values())))
    left_out = {sample.path for sample in alone}
    paired = [sample for sample in samples if sample.path not in left_out]
    return some_usable([_labelled(sample, texts[sample.path]) for sample in paired])


def _warn_of_labels_alone(wanted: set[Path], folders: Sequence[Path]) -> None:
    files = [file for folder in folders for file in sorted(folder.glob("*.txt")) if not is_shadow(file.name)]
    alone = [file for file in files if file not in wanted]
    if alone:
        text = "%d of %d label files have no picture of their name; the first is %s"
        logger.warning(text, len(alone), len(files), alone[0])


def plates(folders: Sequence[Path], key: str) -> list[Sample]:
    """The pictures of folders (without their sub-folders), folder by folder, in natural order of their names."""
    samples = picture_samples(folders, recursive=False, key=key)
    place = {folder: index for index, folder in enumerate(folders)}
    return sorted(samples, key=lambda sample: (place.get(sample.path.parent, 0), natural_key(sample.path.name)))


def _labelled(sample: Sample, path: Path) -> Sample:
    try:
        lines = read_lines(path, "label file")
    except DataError as error:
        return replace(sample, fault=error.message)
    text = lines[0].strip() if lines else ""
    fault = "" if text else f"label file {path}: its first line holds no text."
    return replace(sample, target=text or None, fault=fault)


def read_plate_characters(path: Path, classes: int | None = None) -> tuple[str, ...]:
    """The characters of classes 0, 1, ...: one per line, white space around them removed; the blank of CTC comes last
    and has no line. A line of nothing but white space is the blank space; empty lines at the end do not count.

    Args:
        path: the file, UTF-8.
        classes: number of classes of the model, the blank included, where it is known.

    Raises:
        DataError: the file cannot be read, holds nothing, an empty line or one character twice (says the lines), or
            does not fit `classes`.
    """
    lines = read_lines(path, KEY)
    while lines and not lines[-1]:
        lines.pop()
    if not lines:
        raise DataError(f"{KEY}: {path}: the file holds no character; expected one per line.")
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        if not line:
            raise DataError(f"{KEY}: {path}, line {number}: empty; every line is a class of the model.")
        character = line.strip() or " "
        if character in seen:
            raise DataError(f"{KEY}: {path}, line {number}: '{character}' stands on line {seen[character]} already.")
        seen[character] = number
    if classes not in (None, len(seen) + 1):
        raise DataError(
            f"{KEY}: {path}: {len(seen)} characters and the blank make {len(seen) + 1} classes, but the model has "
            f"{classes}.",
            hint="Give the list that the model was trained with.",
        )
    return tuple(seen)
