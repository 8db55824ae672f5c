# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""What every subtask is given."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nvidia_tao_deploy.errors import SpecError, TaoDeployError
from nvidia_tao_deploy.files import reason, write_atomic
from nvidia_tao_deploy.network import Network
from nvidia_tao_deploy.spec.compose import Composed
from nvidia_tao_deploy.spec.flags import Assignment
from nvidia_tao_deploy.spec.results import FOLDERS
from nvidia_tao_deploy.status import Status

EXPERIMENT = "experiment.yaml"
"""The spec as it was run, in the results folder: the first file of a run, apart from its status."""


@dataclass(frozen=True, slots=True)
class Context:
    """One run of a subtask.

    Attributes:
        network: the declaration.
        spec: instance of its schema.
        subtask: gen_trt_engine, evaluate or inference.
        folder: existing folder for this run's results.
        status: its open status file.
    """

    network: Network
    spec: Any
    subtask: str
    folder: Path
    status: Status


def results_folder(spec: Any, subtask: str) -> Path:
    """<subtask>.results_dir, else <results_dir>/<sub-folder>; not yet made.

    Raises:
        SpecError: neither is set.
    """
    own = getattr(spec, subtask).results_dir
    if own:
        return Path(own)
    if spec.results_dir:
        return Path(spec.results_dir) / FOLDERS[subtask]
    raise SpecError(
        f"No folder for results: neither {subtask}.results_dir nor results_dir is set.",
        hint="Add results_dir=FOLDER to the command line (or -r FOLDER, where the command has it).",
    )


def overruled(spec: Any, subtask: str, overrides: Sequence[str | Assignment]) -> str | None:
    """A remark when results_dir is given on the command line, but the spec file names a folder for this very subtask,
    which counts more (as in TAO Deploy); specs that are an experiment.yaml of an earlier run do."""
    keys = {item.lstrip("+").partition("=")[0] if isinstance(item, str) else item.key for item in overrides}
    own = getattr(spec, subtask).results_dir
    if (
        "results_dir" not in keys
        or f"{subtask}.results_dir" in keys
        or not own
        or not spec.results_dir
        or Path(own).is_relative_to(spec.results_dir)
    ):
        return None
    return (
        f"results_dir={spec.results_dir} has no effect on {subtask}, because {subtask}.results_dir is {own}. "
        f"Give {subtask}.results_dir=... to change that."
    )


def make_folder(folder: Path) -> None:
    """Raises SpecError when a file is in the way, TaoDeployError when the folder cannot be made or written to."""
    hint = "Choose another results_dir."
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):  # permissions alone do not tell: read-only mounts, root
            pass
    except (FileExistsError, NotADirectoryError) as error:
        file = next(path for path in (folder, *folder.parents) if path.is_symlink() or path.exists())
        what = "a file" if file.exists() else f"a link to {file.readlink()}, which does not exist here"
        raise SpecError(f"results_dir: {folder}: {file} is {what}; expected a folder.", hint) from error
    except OSError as error:
        raise TaoDeployError(f"results_dir: {folder}: cannot be written: {reason(error)}.", hint) from error


def save_experiment(composed: Composed, folder: Path) -> None:
    """Write the spec as it was run to <folder>/experiment.yaml; interpolations are resolved where they can be."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        text = OmegaConf.to_yaml(composed.config, resolve=True)
    except OmegaConfBaseException:  # an ignored training key refers to something that is not there
        text = OmegaConf.to_yaml(composed.config)
    write_atomic(folder / EXPERIMENT, text)
