# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Where a task would have written its status, when its spec does not load."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from nvidia_tao_deploy.errors import SpecError
from nvidia_tao_deploy.spec import yaml_file
from nvidia_tao_deploy.spec.fields import MISSING
from nvidia_tao_deploy.spec.flags import Assignment
from nvidia_tao_deploy.spec.migrate import find
from nvidia_tao_deploy.spec.results import FOLDERS
from nvidia_tao_deploy.spec.texts import at_home


def likely_folder(subtask: str, spec: str | None, overrides: Sequence[str | Assignment]) -> Path | None:
    """The results folder named by the overrides or, failing them, by the file; None when it cannot be told."""
    if subtask not in FOLDERS:
        return None
    own, top = f"{subtask}.results_dir", "results_dir"
    given = _given(overrides)
    values = {key: given.get(key) or _from_file(spec, key) for key in (own, top)}
    if values[own]:
        return Path(values[own])
    return Path(values[top]) / FOLDERS[subtask] if values[top] else None


def _given(overrides: Sequence[str | Assignment]) -> dict[str, str]:
    """Overrides with plain text as their value; those that cannot be read count for nothing here."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    given: dict[str, str] = {}
    for text in overrides:
        if isinstance(text, Assignment):
            given[text.key] = _plain(text.value)
            continue
        with suppress(HydraException):
            override = OverridesParser.create().parse_override(text)
            value = None if override.is_delete() or override.is_sweep_override() else override.value()
            given[override.key_or_group] = _plain(value)
    return given


def _from_file(path: str | None, key: str) -> str:
    if not path:
        return ""
    try:
        _, value = find(yaml_file.read(Path(path)).tree, key)
    except SpecError:
        return ""
    return _plain(value)


def _plain(value: object) -> str:
    return at_home(value) if isinstance(value, str) and value != MISSING and "$" not in value else ""
