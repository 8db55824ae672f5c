# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Which GPU a process of the tests uses, when several run at once."""

from __future__ import annotations

import os
from pathlib import Path


def visible_gpu(worker: str | None, visible: str | None, gpus: int) -> str | None:
    """What CUDA_VISIBLE_DEVICES should be for a worker of pytest-xdist ("gw3"), given what it is and how many GPUs the
    machine has: one of them, in turn."""
    if not worker or not worker.removeprefix("gw").isdigit():
        return visible
    own = visible.split(",") if visible else [str(index) for index in range(gpus)]
    return own[int(worker.removeprefix("gw")) % len(own)] if own else visible


def take_one_gpu() -> None:
    """Let this process see one GPU; to be called before anything starts CUDA in it."""
    folder = Path("/proc/driver/nvidia/gpus")
    gpus = len(list(folder.iterdir())) if folder.is_dir() else 0
    mine = visible_gpu(os.environ.get("PYTEST_XDIST_WORKER"), os.environ.get("CUDA_VISIBLE_DEVICES"), gpus)
    if mine is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = mine
