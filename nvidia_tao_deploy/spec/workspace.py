# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""The builder's memory: the unit of gen_trt_engine.tensorrt.workspace_size, and backbones that need more."""

from __future__ import annotations

import logging
from typing import Any

logger = logging.getLogger(__name__)

LARGE_BACKBONES = ("vit_large_dinov2", "vit_large_nvdinov2")
LARGE_BACKBONE_WORKSPACE = 20480
"""MB; TensorRT finds no kernels for these backbones with less."""

SMALLEST_WORKSPACE = 64
"""MB; no network of any use builds with less, so a smaller number was meant as GB."""

LARGEST_WORKSPACE = 1 << 20
"""MB, so 1 TB: what TAO Deploy makes of its default of 1024 where it takes the number for GB."""


def workspace_mb(size: int) -> int:
    """gen_trt_engine.tensorrt.workspace_size in MB.

    TAO Deploy takes it for GB in about half of its networks and for MB in the others, so both kinds of specs exist.
    What is below `SMALLEST_WORKSPACE` is taken for GB, with a warning.
    """
    if size >= SMALLEST_WORKSPACE:
        return size
    logger.warning(
        "gen_trt_engine.tensorrt.workspace_size: %d MB is too little for any network; taken for %d GB. "
        "The unit is MB: write %d.",
        size, size, size * 1024,
    )  # fmt: skip
    return size * 1024


def enough_workspace(spec: Any, backbone: str | None) -> None:
    """Raise gen_trt_engine's workspace for backbones that need more; never lower it."""
    tensorrt = spec.gen_trt_engine.tensorrt
    if backbone not in LARGE_BACKBONES:
        return
    tensorrt.workspace_size = workspace_mb(tensorrt.workspace_size)
    if tensorrt.workspace_size < LARGE_BACKBONE_WORKSPACE:
        logger.warning(
            "gen_trt_engine.tensorrt.workspace_size: raised from %d to %d MB for backbone %s",
            tensorrt.workspace_size, LARGE_BACKBONE_WORKSPACE, backbone,
        )  # fmt: skip
        tensorrt.workspace_size = LARGE_BACKBONE_WORKSPACE
