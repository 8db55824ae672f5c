# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Errors that a user can act on. Each class has one exit code; each message is one line plus, where useful, a hint."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

EXIT_OK = 0
EXIT_OTHER = 1
EXIT_HUNG_UP = 129
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143


class TaoDeployError(Exception):
    """Base of all errors that end a command with a plain message instead of a traceback.

    Args:
        message: what happened: the file or key, what was found, what was expected.
        hint: the way out, printed on its own line.
    """

    exit_code = EXIT_OTHER

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Terminated(BaseException):
    """SIGTERM arrived: ends a task as Ctrl-C does, so that nothing half-written stays behind and the end is noted."""


class HungUp(Terminated):
    """SIGHUP arrived: the terminal or the connection that the command runs in is gone."""


class SpecError(TaoDeployError):
    """Wrong command line, spec file, or a value in them."""

    exit_code = 2


class DataError(TaoDeployError):
    """A data set, picture, annotation or label file cannot be used."""

    exit_code = 3


class BuildError(TaoDeployError):
    """The model cannot be made into an engine."""

    exit_code = 4


class EngineError(TaoDeployError):
    """An engine file cannot be loaded or run."""

    exit_code = 5


class NotANumberError(EngineError):
    """An engine's outputs hold NaN, or an infinity where that means nothing.

    Args:
        output: name of one that does.
        sample: what it was computed from.
        found: what it holds, "NaN" or "an infinity".
    """

    def __init__(self, output: str, sample: object, found: str = "NaN") -> None:
        super().__init__(
            f"The engine's output '{output}' is {'not a number (NaN)' if found == 'NaN' else found} for {sample}.",
            hint="In FP16 or INT8 a layer may overflow: build with data_type=FP32, or keep layers in FP32 with "
            f"layers_precision. If FP32 gives {'NaN' if found == 'NaN' else 'it'} too, the model is broken.",
        )
        self.output = output
        self.sample = sample
        self.found = found


def nearest(name: str, candidates: Iterable[str], count: int = 1, cutoff: float = 0.6) -> list[str]:
    """The candidates most like `name`, best first; empty when none is close.

    Args:
        cutoff: least likeness, 0 to 1 (equal); 0.85 is a slip of the pen.
    """
    return difflib.get_close_matches(name, list(candidates), n=count, cutoff=cutoff)


def did_you_mean(name: str, candidates: Iterable[str]) -> str | None:
    """A hint that names the closest candidate, or None."""
    close = nearest(name, candidates)
    return f"Did you mean '{close[0]}'?" if close else None
