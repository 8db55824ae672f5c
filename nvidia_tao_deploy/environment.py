# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Settings from environment variables."""

from __future__ import annotations

import os

from nvidia_tao_deploy.errors import SpecError


def count(variable: str) -> int | None:
    """A variable that holds a number of at least 1; None when it is not set, empty or 0.

    Raises:
        SpecError: it holds something else.
    """
    text = os.environ.get(variable, "").strip() or "0"
    if not text.isdecimal():
        raise SpecError(f"{variable}='{text}': expected a number of at least 1", hint=f"unset {variable}")
    return int(text) or None
