# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Data sets of change detection: two folders of pictures with equal names, masks, and text files that list names."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from nvidia_tao_deploy.data.lines import numbered
from nvidia_tao_deploy.data.pictures import is_picture, list_pictures
from nvidia_tao_deploy.errors import DataError
from nvidia_tao_deploy.network import Sample

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ChangeSample(Sample):
    """Two pictures of one place; `path` is the first.

    Attributes:
        after: the second picture.
    """

    after: Path = Path()

    def files(self) -> tuple[Path, ...]:
        return (self.path, self.after)


@dataclass(frozen=True, slots=True)
class ChangeFolders:
    """Where the parts of a data set lie.

    Attributes:
        root: what the others are relative to.
        before, after, lists, masks: folder names.
        mask_suffix: ending of mask files.
        key: spec section, for messages.
    """

    root: Path
    before: str = "A"
    after: str = "B"
    lists: str = "list"
    masks: str = "label"
    mask_suffix: str = ".png"
    key: str = "dataset.segment"

    def samples(self, split: str, labelled: bool) -> list[ChangeSample]:
        """The pairs of `<lists>/<split>.txt` in its order; with `labelled`, `target` is the path of the mask.

        A line is the name of a picture, or columns of which the first is the name: the whole line is taken where such a
        picture exists (names may hold blanks), else what stands before the first tab, else before the first blank. A
        name that is listed twice counts once.

        Raises:
            DataError: the list or a folder is missing, nothing is listed, or a name leads out of the folders.
        """
        source = self.root / self.lists / f"{split}.txt"
        self._check_folders(labelled)
        samples: dict[str, ChangeSample] = {}
        repeated = 0
        for number, line in numbered(source, f"{self.key}: list"):
            name = self._name(line.strip())
            if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
                raise DataError(
                    f"{source}, line {number}: '{name}' leads out of the data set; expected a name below {self.before}."
                )
            repeated += name in samples
            samples.setdefault(name, self._sample(name, labelled))
        if not samples:
            raise DataError(f"{source}: the list is empty; expected one picture name per line.")
        if repeated:
            logger.warning("%s: %d lines repeat a name; each name counts once", source, repeated)
        return list(samples.values())

    def unlisted(self) -> list[ChangeSample]:
        """Every picture of the first folder, sub-folders included, that the second has too. Raises DataError."""
        folder = self.root / self.before
        names = [path.relative_to(folder).as_posix() for path in list_pictures(folder)]
        found = [self._sample(name, False) for name in names if (self.root / self.after / name).is_file()]
        if not found:
            raise DataError(f"{folder}: no picture has a partner of the same name in {self.root / self.after}.")
        return found

    def _check_folders(self, labelled: bool) -> None:
        if not self.root.is_dir():
            raise DataError(f"{self.key}.root_dir: {self.root}: no such folder.")
        names = {"image_folder_name": self.before, "change_image_folder_name": self.after}
        if labelled:
            names["annotation_folder_name"] = self.masks
        for key, name in names.items():
            if not (self.root / name).is_dir():
                inside = sorted(item.name for item in self.root.iterdir() if item.is_dir())
                raise DataError(
                    f"{self.key}.{key}: {self.root / name}: no such folder.",
                    hint=f"In {self.root}: {', '.join(inside)}." if inside else None,
                )

    def _name(self, line: str) -> str:
        columns = [line, line.split("\t")[0].strip(), line.split()[0]]
        for name in columns:
            if (self.root / self.before / name).is_file() or (self.root / self.after / name).is_file():
                return name
        return columns[2] if is_picture(Path(columns[2])) else line

    def _sample(self, name: str, labelled: bool) -> ChangeSample:
        before, after = self.root / self.before / name, self.root / self.after / name
        return ChangeSample(name, before, self._mask(name) if labelled else None, after)

    def _mask(self, name: str) -> Path:
        """`<name without ending><mask_suffix>`; the name as it stands where only that exists."""
        folder = self.root / self.masks
        wanted = folder / f"{name.removesuffix(PurePosixPath(name).suffix)}{self.mask_suffix}"
        same = folder / name
        return same if not wanted.is_file() and same.is_file() else wanted
