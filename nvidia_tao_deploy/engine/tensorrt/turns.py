# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""One build at a time on each GPU, among the processes of a machine.

TensorRT chooses kernels by timing thousands of them. A GPU gives processes turns of milliseconds, so beside another
build every one of these timings waits for turns and measures them, too: all builds take many times as long as one after
the other, and their choices are arbitrary.
"""

from __future__ import annotations

import fcntl
import logging
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

logger = logging.getLogger(__name__)
POLL_SECONDS = 0.1
LINE_SECONDS = 60.0


def lock_file(gpu: str) -> Path:
    """The file whose lock is the turn on a GPU; `gpu` is its UUID, so that CUDA_VISIBLE_DEVICES does not matter."""
    return Path(tempfile.gettempdir()) / f"tao_deploy-build-{gpu}.lock"


@contextmanager
def turn(gpu: str, name: str) -> Iterator[float]:
    """Wait until no other process builds on a GPU, then hold it; yields the seconds waited.

    The lock ends with the process that holds it, however that ends. Where no lock can be had (a temporary folder that
    cannot be written to), the build goes ahead without.

    Args:
        gpu: UUID, as in `lock_file`.
        name: what messages call the GPU.
    """
    handle = _open(lock_file(gpu))
    if handle is None:
        yield 0.0
        return
    try:
        start = time.monotonic()
        _wait(handle, name)
        yield time.monotonic() - start
    finally:
        with suppress(OSError):  # closing alone would not do it while a forked child has the file open, too
            fcntl.flock(handle, fcntl.LOCK_UN)
        os.close(handle)


def _open(path: Path) -> int | None:
    """A handle of the lock file, made if need be for all users; None where that is impossible."""
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        try:  # without O_CREAT first: Linux may refuse it for another user's file in a folder that all can write to
            return os.open(path, flags)
        except FileNotFoundError:
            handle = os.open(path, flags | os.O_CREAT, 0o666)
            with suppress(OSError):  # another user may have made it a moment before
                os.fchmod(handle, 0o666)  # whatever the umask
            return handle
    except OSError as error:
        logger.debug("builds on this GPU take no turns: %s: %s", path, error.strerror)
        return None


def _wait(handle: int, name: str) -> None:
    told = -LINE_SECONDS
    start = time.monotonic()
    while not _taken(handle):
        waited = time.monotonic() - start
        if waited - told >= LINE_SECONDS:
            holder = os.pread(handle, 20, 0).decode("ascii", "replace").strip() or "?"
            logger.info(
                "process %s builds an engine on %s: waiting for its end, %.0f s so far (builds side by side on one GPU "
                "are slower than one after the other, and choose worse kernels)", holder, name, waited,
            )  # fmt: skip
            told = waited
        time.sleep(POLL_SECONDS)


def _taken(handle: int) -> bool:
    """Try to take the lock; leaves this process's number in the file for those who wait."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    with suppress(OSError):  # a full disk costs those who wait a number
        os.ftruncate(handle, 0)
        os.pwrite(handle, b"%d\n" % os.getpid(), 0)
    return True
