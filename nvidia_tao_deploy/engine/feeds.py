# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Checking what an engine is fed, the same for every backend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nvidia_tao_deploy.engine.contract import DYNAMIC, TensorInfo
from nvidia_tao_deploy.errors import EngineError


def batched(inputs: Sequence[TensorInfo]) -> frozenset[str]:
    """Names of the inputs whose axis 0 is the batch.

    Those are the inputs that leave a choice there. Beside them an input of one fixed size is a constant, the same for
    every row (anchors [1, n, 4], say). Where no input leaves a choice, the batch is the largest size of axis 0.
    """
    sizes = {info.name: info.settled[0] for info in inputs if info.shape}
    size = DYNAMIC if DYNAMIC in sizes.values() else max(sizes.values(), default=DYNAMIC)
    return frozenset(name for name, found in sizes.items() if found == size)


def check_rows(names: frozenset[str], feeds: Mapping[str, Any], source: object) -> int:
    """Rows of a batch, at least 1. Raises EngineError unless all `batched` inputs have the same number."""
    sizes = {feeds[name].shape[0] for name in names}
    if len(sizes) != 1 or 0 in sizes:
        found = ", ".join(f"{name} {tuple(feeds[name].shape)}" for name in feeds if name in names)
        raise EngineError(
            f"{source}: expected the same number of rows, at least 1, in all inputs with a batch: {found or 'none'}"
        )
    return int(sizes.pop())


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
