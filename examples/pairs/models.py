# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Toy networks with exactly the tensors of optical_inspection and visual_changenet. Needs torch."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

CHANGE_SIZE = 96
TILE = (48, 64)  # height, width of one light
INSPECTION_SIZE = (4 * TILE[0], TILE[1])  # four lights, one above the other


def convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """3 x 3 convolution, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


class ChangeSegmenter(nn.Module):
    """Two pictures [B,3,96,96] -> logits: four auxiliary maps (6, 6, 12 and 24 pixels wide), and [B,2,96,96]."""

    def __init__(self) -> None:
        super().__init__()
        widths = (12, 20, 32, 40)
        self.encoder = nn.ModuleList(
            convolution(before, after, 2) for before, after in zip((3, *widths), widths, strict=False)
        )
        self.deepest = convolution(40, 32)
        self.merge = nn.ModuleList((convolution(32 + 32, 24), convolution(24 + 20, 20), convolution(20 + 12, 16)))
        self.auxiliary = nn.ModuleList(nn.Conv2d(width, 2, 1) for width in (40, 32, 24, 20))
        self.head = nn.Conv2d(16, 2, 3, padding=1)

    def features(self, picture: torch.Tensor) -> list[torch.Tensor]:
        found = []
        for stage in self.encoder:
            picture = stage(picture)
            found.append(picture)
        return found

    def forward(self, before: torch.Tensor, after: torch.Tensor) -> tuple[torch.Tensor, ...]:
        levels = [torch.abs(a - b) for a, b in zip(self.features(before), self.features(after), strict=True)]
        here = self.deepest(levels[3])
        maps = [self.auxiliary[0](levels[3]), self.auxiliary[1](here)]
        for index, merge in enumerate(self.merge):
            larger = F.interpolate(here, scale_factor=2.0, mode="bilinear", align_corners=False)
            here = merge(torch.cat([larger, levels[2 - index]], 1))
            if index < 2:
                maps.append(self.auxiliary[2 + index](here))
        final = F.interpolate(self.head(here), scale_factor=2.0, mode="bilinear", align_corners=False)
        return (*maps, final)


class Inspector(nn.Module):
    """One encoder of tiled pictures [B,3,192,64] with three heads."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            convolution(3, 12, 2), convolution(12, 20, 2), convolution(20, 32, 2), convolution(32, 32, 2)
        )
        self.short = nn.Linear(32 * 12 * 4, 5)
        self.long = nn.Linear(32 * 12 * 4, 16)
        self.compare = nn.Sequential(convolution(32, 32), nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(32, 2))


class Embeddings(nn.Module):
    """optical_inspection: both embeddings [B,5]."""

    def __init__(self, trunk: Inspector) -> None:
        super().__init__()
        self.trunk = trunk

    def forward(self, unit: torch.Tensor, golden: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return tuple(self.trunk.short(self.trunk.encoder(picture).flatten(1)) for picture in (unit, golden))


class Distance(nn.Module):
    """visual_changenet classify, euclidean: the distance [B]."""

    def __init__(self, trunk: Inspector) -> None:
        super().__init__()
        self.trunk = trunk

    def forward(self, unit: torch.Tensor, golden: torch.Tensor) -> torch.Tensor:
        one, other = (self.trunk.long(self.trunk.encoder(picture).flatten(1)) for picture in (unit, golden))
        return ((one - other).square().sum(1) + 1e-6).sqrt()


class Learned(nn.Module):
    """visual_changenet classify, learnable: logits [B,2] of pass and fail."""

    def __init__(self, trunk: Inspector) -> None:
        super().__init__()
        self.trunk = trunk

    def forward(self, unit: torch.Tensor, golden: torch.Tensor) -> torch.Tensor:
        return self.trunk.compare(torch.abs(self.trunk.encoder(unit) - self.trunk.encoder(golden)))
