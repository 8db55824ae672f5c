# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""What an earlier run left in the results folder: nobody may take it for the result of this one."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nvidia_tao_deploy.errors import TaoDeployError
from nvidia_tao_deploy.files import MATRIX_FILE, reason

logger = logging.getLogger(__name__)

RESULTS = {
    "evaluate": ("results.json", MATRIX_FILE, f"*_{MATRIX_FILE}", "per_class.csv", "evaluate.csv"),
    "inference": ("result.csv", "trt_result.csv", "predictions.csv", "inference.csv"),
}
"""The files (or patterns of names) that hold what a subtask found as a whole, of all networks. An engine is no result
in this sense: the old one stays in use until the new one is complete."""
SUFFIX = ".previous"
MARK = "No run has succeeded here since this file was written: the results beside it are of a part of the data.\n"


@contextmanager
def set_aside(folder: Path, subtask: str) -> Iterator[None]:
    """Within this, the results of an earlier run are named `<file>.previous`, so that after a failure the folder holds
    no figure that looks new. A run that succeeds deletes them.

    After runs that fail, but write results (of a part of the data), those of the last run that succeeded stay
    `.previous`; where none has succeeded yet, those of the run before.

    Raises:
        TaoDeployError: a file cannot be renamed.
    """
    files = [file for name in RESULTS.get(subtask, ()) for file in _files(folder, name)]
    mark = folder / f".{subtask}.incomplete"
    incomplete = mark.is_file()
    kept = [path for file in files if (path := _rename(file, replace=incomplete))]
    try:
        yield
    except BaseException:
        for path in filter(Path.is_file, kept):  # another run in the same folder may have succeeded meanwhile
            logger.info("An earlier result is kept as %s", path)
        if not kept and any(map(Path.is_file, files)):
            with suppress(OSError):  # what ended the run is worse
                mark.write_text(MARK, encoding="utf-8")
        raise
    for path in (*kept, mark):
        path.unlink(missing_ok=True)


def _files(folder: Path, name: str) -> list[Path]:
    """The files that a name or a pattern stands for, those that were set aside before included."""
    if "*" not in name:
        return [folder / name]
    found = {path.name.removesuffix(SUFFIX) for end in ("", SUFFIX) for path in folder.glob(f"{name}{end}")}
    return [folder / plain for plain in sorted(found)]


def _rename(path: Path, replace: bool) -> Path | None:
    """The file's name from now on; None where there is nothing to keep. A symbolic link stays: what it leads to is
    renamed.

    Args:
        path: a file, which may be missing.
        replace: what was set aside before is of no more worth than this.
    """
    try:
        target = path.resolve()
        kept = target.with_name(f"{target.name}{SUFFIX}")
        if target.is_file():
            if kept.is_file() and not replace:  # that one is complete; the last run failed after it had written
                target.unlink(missing_ok=True)
            else:
                target.replace(kept)
        return kept if kept.is_file() else None
    except FileNotFoundError:  # another run in the same folder was quicker
        return None
    except OSError as error:
        raise TaoDeployError(
            f"{path}: the result of an earlier run cannot be set aside: {reason(error)}.",
            hint="Choose another results_dir, or delete the file.",
        ) from error


def count(folder: Path, start: Path) -> int:
    """How many files in `folder` and below are older than the file `start`, which the run wrote first."""
    since, found = start.stat().st_mtime_ns, 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                found += Path(place, name).stat().st_mtime_ns < since
            except OSError:  # gone meanwhile
                continue
    return found
