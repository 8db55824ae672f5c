# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""The one exception that the launcher shows to its user."""

from __future__ import annotations

EXIT_CODE = 125
"""Exit code of every failure of the launcher itself, as `docker run` uses it; 126 and 127 mean that the command could
not be started in the container, every other code is the command's own."""


class LauncherError(Exception):
    """A failure before the container runs: one line that says what is wrong, and the way out.

    Attributes:
        message: what is wrong, with the offending value and where it came from.
        hint: what to do about it, possibly several lines; empty if the message says it.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        lines = [self.message, *(f"  {line}" for line in self.hint.splitlines())]
        return "\n".join(lines)
