# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Data sets of metric learning: gallery and queries in folders per class, and the class map that names the folders."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from nvidia_tao_deploy.data.class_folders import folder_classes, labelled_pictures, read_class_list
from nvidia_tao_deploy.data.lines import read_lines
from nvidia_tao_deploy.data.pictures import is_picture, picture_samples
from nvidia_tao_deploy.errors import DataError
from nvidia_tao_deploy.network import Sample


@dataclass(frozen=True, slots=True)
class FolderClasses:
    """Which class a folder holds.

    Attributes:
        folders: names of the folders.
        labels: the class number of each.
        names: class names in order of their numbers.
        source: the class map; "" where there is none.
    """

    folders: tuple[str, ...]
    labels: tuple[int, ...]
    names: tuple[str, ...]
    source: str = ""
    _numbers: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_numbers", dict(zip(self.folders, self.labels, strict=True)))

    def label(self, folder: str) -> int | None:
        """Class number of a folder; None for a folder that is no class."""
        return self._numbers.get(folder)


def classes_of(class_map: str | None, reference: Path, query: Path | None, key: str) -> FolderClasses:
    """Folders and classes by the documented rule.

    A class map in YAML is what training reads, folder -> class name; several folders may share a class. Any other is a
    list with one folder per line, numbered in file order. Without one, the folders of the gallery in alphabetical order
    are the classes, then those that only the queries have.

    Raises:
        DataError: the class map cannot be used.
    """
    if class_map and Path(class_map).suffix.lower() in (".yaml", ".yml"):
        return _from_yaml(Path(class_map), key)
    if class_map:
        folders = read_class_list(Path(class_map), key)
    else:
        folders = folder_classes(reference)
        if query is not None and folders:
            folders = tuple(dict.fromkeys((*folders, *folder_classes(query))))
    return FolderClasses(folders, tuple(range(len(folders))), folders, class_map or "")


def _from_yaml(path: Path, key: str) -> FolderClasses:
    text = "\n".join(read_lines(path, key))
    try:
        tree = yaml.load(text, yaml.BaseLoader)  # every scalar is text: a folder may be named 007, on or no
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f":{mark.line + 1}" if mark else ""
        raise DataError(f"{key}: {path}{place}: not YAML: {getattr(error, 'problem', error)}.") from error
    if isinstance(tree, list):
        tree = {str(name): name for name in tree}
    if not isinstance(tree, dict) or not tree or not all(isinstance(name, str) for name in tree.values()):
        raise DataError(f"{key}: {path}: expected 'folder: class name' lines.")
    names: dict[str, int] = {}
    for name in tree.values():
        names.setdefault(name, len(names))
    return FolderClasses(tuple(tree), tuple(names[name] for name in tree.values()), tuple(names), str(path))


def labelled(root: Path, classes: FolderClasses, key: str) -> list[Sample]:
    """Pictures below `root`; `target` is the class number. Raises as `class_folders.labelled_pictures`."""
    found = labelled_pictures(root, classes.folders, key, classes.source)
    return [sample if sample.fault else replace(sample, target=classes.labels[sample.target]) for sample in found]


def query_pictures(path: str, kind: str, classes: FolderClasses, key: str) -> list[Sample]:
    """The pictures of inference.

    Args:
        path: a picture, or a folder.
        kind: "image"; "image_folder": a folder without its sub-folders; "classification_folder": with them, and
            `target` is the class number where the name of the folder that holds the picture is a class.

    Raises:
        DataError: nothing there, or not of this kind.
    """
    if kind == "image" and not (Path(path).is_file() and is_picture(Path(path))):
        found = "a folder" if Path(path).is_dir() else "no picture" if Path(path).exists() else "not there"
        raise DataError(
            f"{key}: {path}: {found}; inference_input_type: image takes one picture file.",
            hint="For a folder set inference.inference_input_type to image_folder or classification_folder.",
        )
    samples = picture_samples(path, recursive=kind == "classification_folder", key=key)
    if kind != "classification_folder":
        return samples
    return [replace(sample, target=classes.label(sample.path.parent.name)) for sample in samples]


def absent(queries: Sequence[Sample], gallery: Sequence[Sample]) -> list[Any]:
    """Class numbers of queries that no picture of the gallery has. Samples with a `fault` do not count."""
    asked, known = ({sample.target for sample in samples if not sample.fault} for samples in (queries, gallery))
    return sorted(asked - known)


def overlap(queries: Sequence[Sample], gallery: Sequence[Sample]) -> int:
    """How many queries are pictures of the gallery themselves, by their real folder and name."""
    folders: dict[str, str] = {}

    def real(path: Path) -> tuple[str, str]:
        folder, name = os.path.split(path)
        if folder not in folders:
            folders[folder] = os.path.realpath(folder)
        return folders[folder], name

    known = {real(sample.path) for sample in gallery}
    return sum(real(sample.path) in known for sample in queries)
