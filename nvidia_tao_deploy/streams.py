# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""stdout, stderr and the log file of a command whose reader may go away, or whose log may fill the disk.

The work is done all the same, and the exit code says how it ended, not what became of the output.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from nvidia_tao_deploy.files import reason


def install() -> None:
    """Make the standard streams of this process safe; for a process of our own, before it opens files."""
    _fill_closed()
    sys.stdout = _safe(sys.stdout, 1)
    sys.stderr = _safe(sys.stderr, 2)


def appended(path: Path) -> TextIO:
    """A log file that is appended to, as safe. Raises OSError when it cannot be opened."""
    file = path.open("ab")
    return _Output(file.fileno(), file, "utf-8")


def _fill_closed() -> None:
    """Open the null device in place of a stream that was closed (`>&-`): the next file to be opened would get its
    number, and what a library prints would end in that file."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, this one


def _safe(stream: TextIO | None, number: int) -> TextIO:
    if stream is None:  # Python found the stream closed when it started
        stream = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 (as long as the process lives)
    if not isinstance(stream, io.TextIOWrapper) or isinstance(stream, _Output):
        return stream
    encoding, errors = stream.encoding, stream.errors
    how = {"line_buffering": stream.line_buffering, "write_through": stream.write_through}
    return _Output(number, stream.detach(), encoding, errors, **how)


class _Output(io.TextIOWrapper):
    """A stream that goes to the null device from the first error on; says so on stderr, unless it is only
    that the reader has gone."""

    def __init__(self, number: int, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self._number = number

    def write(self, text: str, /) -> int:
        self._try(lambda: io.TextIOWrapper.write(self, text))
        return len(text)

    def flush(self) -> None:
        self._try(lambda: io.TextIOWrapper.flush(self))

    def _try(self, work: Callable[[], object]) -> None:
        try:
            work()
        except OSError as error:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._number)
            os.close(null)
            io.TextIOWrapper.flush(self)  # what is still held goes there, too
            if error.errno != errno.EPIPE and self._number != 2:
                print(f"The output cannot be written any more: {reason(error)}. The work goes on.", file=sys.stderr)
