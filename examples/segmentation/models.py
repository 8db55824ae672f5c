# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""A toy U-Net with exactly the tensors of segformer. Needs torch."""

from __future__ import annotations

import torch
from pairs.models import convolution
from torch import nn
from torch.nn import functional as F

SIZE = 160


class Segmenter(nn.Module):
    """Pictures [B,3,160,160] in -1..1 -> logits [B,classes,160,160]."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        widths = (12, 24, 40, 56)
        self.encoder = nn.ModuleList(
            nn.Sequential(convolution(before, after, 2), convolution(after, after))
            for before, after in zip((3, *widths), widths, strict=False)
        )
        self.deepest = nn.Sequential(convolution(56, 56), convolution(56, 40))
        self.merge = nn.ModuleList((convolution(40 + 40, 32), convolution(32 + 24, 24), convolution(24 + 12, 20)))
        self.head = nn.Conv2d(20, classes, 1)

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        levels = []
        for stage in self.encoder:
            picture = stage(picture)
            levels.append(picture)
        here = self.deepest(levels[3])
        for index, merge in enumerate(self.merge):
            larger = F.interpolate(here, scale_factor=2.0, mode="bilinear", align_corners=False)
            here = merge(torch.cat([larger, levels[2 - index]], 1))
        return F.interpolate(self.head(here), scale_factor=2.0, mode="bilinear", align_corners=False)
