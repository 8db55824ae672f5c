# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Libraries with TensorRT plugins of the user's own: `gen_trt_engine.plugins`."""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from nvidia_tao_deploy.engine.contract import PLUGINS_KEY
from nvidia_tao_deploy.engine.tensorrt import log
from nvidia_tao_deploy.engine.tensorrt.dialect import Dialect
from nvidia_tao_deploy.errors import SpecError

logger = logging.getLogger(__name__)
_CREATORS = ("getCreators", "getPluginCreators")
"""What a library exports that wants to be registered by TensorRT (8.6 and later), rather than to do it by itself."""
_loaded: set[tuple[str, Path]] = set()


def load(dialect: Dialect, paths: Sequence[Path]) -> None:
    """Load libraries, each once; the plugins that they register stay for as long as the process runs.

    Raises:
        SpecError: a library is missing or cannot be loaded.
    """
    trt_logger, records = log.record(dialect.trt)
    for path in paths:
        if not path.is_file():
            raise SpecError(
                f"{PLUGINS_KEY}: {path}: no such file.", hint="Name shared libraries (.so) with TensorRT plugins."
            )
        known = (dialect.product, path.resolve())
        if known in _loaded:
            continue
        before = dialect.plugin_names(trt_logger)
        registers = _open(dialect, path.resolve())
        added = dialect.plugin_names(trt_logger) - before
        if not added and registers is not None:
            registers()
            added = dialect.plugin_names(trt_logger) - before
        if added:
            logger.info("%s: plugins %s", path, ", ".join(sorted(added)))
        else:
            told = f" ({records.told()})" if records.errors else ""
            logger.warning("%s: %s: registers no plugin that was not there before%s", PLUGINS_KEY, path, told)
        _loaded.add(known)


def _open(dialect: Dialect, path: Path) -> Callable[[], Any] | None:
    """Load a library. Most register their plugins by themselves; for others, what makes TensorRT do it is returned."""
    try:
        library = ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
    except OSError as error:
        raise SpecError(
            f"{PLUGINS_KEY}: {path}: cannot be loaded: {error}",
            hint=f"`ldd {path}` lists what it needs; it must be built for this machine and {dialect}.",
        ) from None
    registry = dialect.trt.get_plugin_registry()
    if not hasattr(registry, "load_library") or not any(hasattr(library, name) for name in _CREATORS):
        return None
    return lambda: registry.load_library(str(path))
