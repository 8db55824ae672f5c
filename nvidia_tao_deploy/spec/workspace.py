# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Backbones for which the builder needs more memory than the default."""

from __future__ import annotations

import logging
from typing import Any

logger = logging.getLogger(__name__)

LARGE_BACKBONES = ("vit_large_dinov2", "vit_large_nvdinov2")
LARGE_BACKBONE_WORKSPACE = 20480
"""MB; TensorRT finds no kernels for these backbones with less."""


def enough_workspace(spec: Any, backbone: str | None) -> None:
    """Raise gen_trt_engine's workspace for backbones that need more; never lower it."""
    tensorrt = spec.gen_trt_engine.tensorrt
    if backbone in LARGE_BACKBONES and tensorrt.workspace_size < LARGE_BACKBONE_WORKSPACE:
        logger.warning(
            "gen_trt_engine.tensorrt.workspace_size: raised from %d to %d MB for backbone %s",
            tensorrt.workspace_size, LARGE_BACKBONE_WORKSPACE, backbone,
        )  # fmt: skip
        tensorrt.workspace_size = LARGE_BACKBONE_WORKSPACE
