# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Spec fields: a dataclass field with what `--help` shows and what is enforced."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

MISSING = "???"
"""OmegaConf's mark for a value that the user must give (written out so that schemas import without OmegaConf)."""


def option(
    default: Any,
    help: str,
    *,
    choices: Sequence[str | int] | None = None,
    minimum: float | None = None,
    maximum: float | None = None,
) -> Any:
    """A key that the tasks read.

    Args:
        default: default value; lists and dicts are copied for each spec; MISSING for a mandatory key.
        help: one line; what it means, with the unit.
        choices: the only values allowed, compared without regard to case; what is stored is as written here.
        minimum, maximum: inclusive bounds.
    """
    metadata = {"help": help, "choices": choices, "minimum": minimum, "maximum": maximum, "used": True}
    if isinstance(default, (list, dict)):
        return dataclasses.field(default_factory=lambda: type(default)(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def ignored(help: str = "accepted for compatibility, has no effect here") -> Any:
    """A key that other releases or other tools read; accepted with any value and listed once as ignored."""
    return dataclasses.field(default=None, metadata={"help": help, "used": False})


def section(schema: type, **defaults: Any) -> Any:
    """A nested section; `defaults` replace defaults of its fields."""
    return dataclasses.field(default_factory=lambda: schema(**defaults))
