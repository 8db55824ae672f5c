# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Where a task would have written its status, when its spec does not load."""

from __future__ import annotations

from pathlib import Path

from nvidia_tao_deploy.cli_arguments import Arguments
from nvidia_tao_deploy.errors import SpecError
from nvidia_tao_deploy.spec import yaml_file
from nvidia_tao_deploy.spec.migrate import find
from nvidia_tao_deploy.tasks.context import FOLDERS


def likely_folder(arguments: Arguments) -> Path | None:
    """The results folder named by the overrides or, failing them, by the file; None when it cannot be told."""
    if arguments.subtask not in FOLDERS:
        return None
    own, top = f"{arguments.subtask}.results_dir", "results_dir"
    given = dict(item.lstrip("+").split("=", 1) for item in arguments.overrides if "=" in item)
    values = {key: given.get(key) or _from_file(arguments.spec, key) for key in (own, top)}
    if values[own]:
        return Path(values[own])
    return Path(values[top]) / FOLDERS[arguments.subtask] if values[top] else None


def _from_file(path: str | None, key: str) -> str:
    if not path:
        return ""
    try:
        _, value = find(yaml_file.read(Path(path)).tree, key)
    except SpecError:
        return ""
    return value if isinstance(value, str) and "?" not in value and "${" not in value else ""
