# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""File names of results: one per sample, below the task's folder, mirroring the folders of the data set."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from nvidia_tao_deploy.network import Sample


class ResultNames:
    """Where the results of each sample go.

    `a/b.jpg` gives `<folder>/a/b.txt` for suffix ".txt", and `<folder>/a/b.jpg` without. Two pictures that differ in
    their ending only (`b.jpg`, `b.png`) keep it: `b.jpg.txt`, `b.png.txt`.
    """

    def __init__(self, samples: Iterable[Sample]) -> None:
        stems = Counter(posixpath.splitext(sample.name)[0] for sample in samples)
        self._shared = {stem for stem, count in stems.items() if count > 1}

    def path(self, folder: Path, name: str, suffix: str | None = None) -> Path:
        """The file for sample `name`; `suffix` replaces its own, None keeps it."""
        stem, own = posixpath.splitext(name)
        if suffix is None:
            return folder / name
        return folder / (f"{stem}{own}{suffix}" if stem in self._shared else f"{stem}{suffix}")
