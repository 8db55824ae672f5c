# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""The timing cache file: read before a build, merged into after it, safely for several builds at once."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nvidia_tao_deploy.errors import SpecError, TaoDeployError
from nvidia_tao_deploy.files import write_atomic

logger = logging.getLogger(__name__)


def use(config: Any, path: Path) -> bool:
    """Give the builder the file's timings; whether it took them (then layers seen before are not timed again).

    A cache of another TensorRT version or GPU, or a damaged one, is left out with a warning and replaced later.
    """
    stored = _read(path)
    cache = _create(config, stored) if stored else None
    if cache is not None and config.set_timing_cache(cache, False):
        return True
    if stored:
        logger.warning(
            "timing cache %s does not fit this TensorRT version and GPU, or is damaged; starting a new one", path
        )
    config.set_timing_cache(config.create_timing_cache(b""), False)
    return False


def store(config: Any, path: Path) -> int:
    """Merge the build's timings into the file; returns its size in bytes, 0 where it cannot be written: the build is
    done by then, and is not lost for the sake of the next one.

    The file is read again under a lock, so the entries of builds that ended meanwhile stay.
    """
    try:
        return _merged(config.get_timing_cache(), config, path)
    except (OSError, TaoDeployError) as error:
        logger.warning("gen_trt_engine.timing_cache: %s is not updated: %s", path, error)
        return 0


def _merged(timings: Any, config: Any, path: Path) -> int:
    with _locked(path):
        stored = _read(path)
        others = _create(config, stored) if stored else None
        if others is not None and not timings.combine(others, False):
            logger.debug("timing cache %s: its entries do not fit and are replaced", path)
        content = bytes(timings.serialize())
        write_atomic(path, content)
    return len(content)


def _create(config: Any, content: bytes) -> Any | None:
    """A cache object; None for content that TensorRT does not take."""
    try:
        cache = config.create_timing_cache(content)
    except Exception:  # the binding throws RuntimeError or TypeError for damaged content
        return None
    if cache is None or bytes(cache.serialize()) == bytes(config.create_timing_cache(b"").serialize()):
        return None  # TensorRT 8.5 makes an empty cache of what it cannot read
    return cache


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise SpecError(f"gen_trt_engine.timing_cache: {path} cannot be read: {error.strerror}") from None


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold `<path>.lock`; waits for other processes. The lock file stays: removing it would race."""
    import fcntl

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(path.name + ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
