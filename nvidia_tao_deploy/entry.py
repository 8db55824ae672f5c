# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Where a process begins: the console scripts, and `python -m nvidia_tao_deploy`.

The front end takes a moment to import. Ctrl-C in that moment has nothing to put in order and ends the process at once,
where Python would print a traceback; so this file imports nothing of ours before it is ready for one.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType


class _Commands:
    """One attribute per network command, for the console scripts: `commands.dino()` runs `dino`."""

    def __getattr__(self, name: str) -> Callable[[], int]:
        from nvidia_tao_deploy import registry

        if name not in registry.COMMANDS:
            raise AttributeError(name)
        return lambda: _command(name)


commands = _Commands()


def _command(name: str) -> int:
    _end_on_interrupt()
    from nvidia_tao_deploy.cli import program

    return program(name, sys.argv[1:])


def module() -> int:
    """`python -m nvidia_tao_deploy <network> <subtask> ...`."""
    _end_on_interrupt()
    from nvidia_tao_deploy.cli import run_module

    return run_module(sys.argv[1:])


def _end_on_interrupt() -> None:
    """Until `signals.install`. A shell that starts a command in the background has it ignore Ctrl-C; that stays."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)


def _end(number: int, frame: FrameType | None) -> None:
    os._exit(128 + number)
