# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""File names of results: one per sample, below the task's folder, mirroring the folders of the data set."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from nvidia_tao_deploy.data.pictures import distinct, is_picture
from nvidia_tao_deploy.network import Sample

PICTURE_SUFFIX = ".png"
"""Ending of a drawn picture whose own ending names no format that is written."""


class ResultNames:
    """Where the results of each sample go.

    `a/b.jpg` gives `<folder>/a/b.txt` for suffix ".txt", and `<folder>/a/b.jpg` without. Two pictures that differ in
    their ending only (`b.jpg`, `b.png`) keep it: `b.jpg.txt`, `b.png.txt`. No result lies outside the folder, where it
    could replace the picture itself: `/data/a.jpg` gives `<folder>/data/a.txt`, `../a.jpg` gives `<folder>/a.txt`.
    """

    def __init__(self, samples: Iterable[Sample]) -> None:
        names = [sample.name for sample in samples]
        inside = distinct(_inside(name) for name in names)
        self._moved = {name: own for name, own in zip(names, inside, strict=True) if name != own}
        self._shared = _shared_stems(inside)

    def path(self, folder: Path, name: str, suffix: str | None = None) -> Path:
        """The file for sample `name`; `suffix` replaces its own, None keeps it (of a drawn picture: `PICTURE_SUFFIX` is
        added where it is no picture's)."""
        name = self._moved.get(name) or _inside(name)
        stem, own = posixpath.splitext(name)
        if suffix is None:
            return folder / (name if is_picture(Path(name)) else f"{name}{PICTURE_SUFFIX}")
        return folder / (f"{stem}{own}{suffix}" if stem in self._shared else f"{stem}{suffix}")


def _inside(name: str) -> str:
    """The name without what leads out of a folder."""
    parts = name.split("/")
    if parts[0] and ".." not in parts:
        return name
    return "/".join(part for part in parts if part not in ("", ".", ".."))


def _shared_stems(names: Iterable[str]) -> set[str]:
    """Names without ending that several names have, or that are a whole name which keeps its ending: of `a.jpg`,
    `a.png` and `a.jpg.png` the first gives `a.jpg.txt`, so the last may not."""
    stems = {name: posixpath.splitext(name)[0] for name in names}
    counts = Counter(stems.values())
    shared = {stem for stem, count in counts.items() if count > 1}
    while more := {name for name, stem in stems.items() if stem in shared and name in counts} - shared:
        shared |= more
    return shared
