# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C, SIGTERM and SIGHUP as exceptions, raised where they do no harm and not lost.

Python runs a signal's handler wherever the main thread is. An exception there during the import of a compiled module
aborts the process (C++ does not expect it) or comes out as an ImportError, and in a destructor it is dropped. So the
handler waits for imports to end, and the signal is remembered.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from nvidia_tao_deploy.errors import HungUp, Terminated

RETRY_SECONDS = 0.05
_STOPS: dict[int, type[BaseException]] = {
    signal.SIGINT: KeyboardInterrupt,
    signal.SIGTERM: Terminated,
    signal.SIGHUP: HungUp,
}
_received: list[type[BaseException]] = []
_done: list[bool] = []
"""Not empty: see `done`."""


def install() -> None:
    """Handle these signals; for a process of our own, from its main thread. SIGHUP stays ignored under `nohup`."""
    _done.clear()
    for number in (*_STOPS, signal.SIGALRM):
        if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
            continue
        signal.signal(number, _handle)


def ignore() -> None:
    """From here on the process ends as it has decided to: a late signal, or a retry that is still due, changes nothing.

    Python gives signals back to the system as it ends, and there an alarm kills.
    """
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number in (*_STOPS, signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)


def done() -> None:
    """How the task ends is decided and about to be noted: a signal from here on, such as Ctrl-C pressed once more,
    neither makes a failure of a success nor keeps a failure from being noted."""
    _done.append(True)


def _handle(number: int, frame: FrameType | None) -> None:
    if _done:
        return
    if number in _STOPS:
        _received.append(_STOPS[number])
    if _is_importing(frame):
        signal.setitimer(signal.ITIMER_REAL, RETRY_SECONDS)
        return
    check()


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def check() -> None:
    """Raise KeyboardInterrupt or Terminated if such a signal came, whatever became of its exception."""
    if _received:
        raise _received[0]


@contextmanager
def honoured() -> Iterator[None]:
    """Within this, an error after a signal counts as the signal's doing."""
    try:
        yield
    except Exception:
        check()
        raise
