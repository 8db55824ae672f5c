# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Checking what an engine is fed, the same for every backend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nvidia_tao_deploy.engine.contract import DYNAMIC, TensorInfo
from nvidia_tao_deploy.errors import EngineError


def check_feeds(inputs: Sequence[TensorInfo], feeds: Mapping[str, Any], source: object) -> None:
    """Raises EngineError unless every input is fed an array of its type and shape (open axes take any size)."""
    for info in inputs:
        if info.name not in feeds:
            raise EngineError(f"{source}: input '{info.name}' is not fed; fed: {', '.join(feeds) or 'none'}")
        array = feeds[info.name]
        fits = len(array.shape) == len(info.shape) and all(
            want in (DYNAMIC, have) for want, have in zip(info.shape, array.shape, strict=True)
        )
        if not fits or str(array.dtype) != info.dtype:
            found = f"{array.dtype}[{'x'.join(map(str, array.shape))}]"
            raise EngineError(f"{source}: wrong array for an input: expected {info}, found {found}")
    extra = set(feeds) - {info.name for info in inputs}
    if extra:
        raise EngineError(f"{source}: no input named {', '.join(sorted(extra))}")
