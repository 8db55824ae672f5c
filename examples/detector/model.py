# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""The network of the example detector: a small two-stage Deformable DETR.

A convolutional backbone gives three levels (strides 8, 16, 32). One encoder layer and two decoder layers attend to them
by multi-scale deformable attention (Zhu et al., Deformable DETR, 2021, equation 3). The 100 best encoder positions
become the queries; each layer refines the boxes of the one before.

Written so that the export holds no shape computation: every reshape but the batch axis is a constant.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SIZE = 320
STRIDES = (8, 16, 32)
WIDTH, HEADS, POINTS, QUERIES = 64, 4, 4, 100
SHAPES = [(SIZE // stride, SIZE // stride) for stride in STRIDES]
STARTS = [0, *torch.tensor([h * w for h, w in SHAPES]).cumsum(0)[:-1].tolist()]
POSITIONS = sum(h * w for h, w in SHAPES)


def sample_levels(value: Tensor, locations: Tensor, weights: Tensor, queries: int) -> Tensor:
    """Multi-scale deformable attention by grid sampling.

    Args:
        value: [N, S, M, D], the levels one after the other.
        locations: [N, Lq, M, L, P, 2], (x, y) in 0..1 of the level.
        weights: [N, Lq, M, L, P], summing to one over L and P.
        queries: Lq, as a number and not taken from a shape, which would end up in the exported graph.

    Returns:
        [N, Lq, M * D].
    """
    depth = WIDTH // HEADS
    total = torch.zeros(())
    for level, ((height, width), start) in enumerate(zip(SHAPES, STARTS, strict=True)):
        maps = value[:, start : start + height * width].permute(0, 2, 3, 1).reshape(-1, depth, height, width)
        grid = (2 * locations[:, :, :, level] - 1).permute(0, 2, 1, 3, 4).reshape(-1, queries, POINTS, 2)
        sampled = F.grid_sample(maps, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        weight = weights[:, :, :, level].permute(0, 2, 1, 3).reshape(-1, 1, queries, POINTS)
        part = (sampled * weight).sum(-1)
        total = part if level == 0 else total + part
    return total.reshape(-1, WIDTH, queries).transpose(1, 2)


class PluginAttention(torch.autograd.Function):
    """The same sum, exported as the node that TensorRT's plugin library implements."""

    @staticmethod
    def forward(ctx, value: Tensor, shapes, starts, locations: Tensor, weights: Tensor, queries: int) -> Tensor:
        return sample_levels(value, locations, weights, queries).reshape(-1, queries, HEADS, WIDTH // HEADS)

    @staticmethod
    def symbolic(g, value, shapes, starts, locations, weights, queries):
        node = g.op("nvidia::MultiscaleDeformableAttnPlugin_TRT", value, shapes, starts, locations, weights)
        return node.setType(value.type().with_sizes([None, queries, HEADS, WIDTH // HEADS]))


class DeformableAttention(nn.Module):
    """Attend to a few learnt positions per head and level around each query's reference."""

    def __init__(self, queries: int) -> None:
        super().__init__()
        self.queries = queries
        self.offsets = nn.Linear(WIDTH, HEADS * len(SHAPES) * POINTS * 2)
        self.weights = nn.Linear(WIDTH, HEADS * len(SHAPES) * POINTS)
        self.value = nn.Linear(WIDTH, WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)
        self.plugin = False
        nn.init.zeros_(self.offsets.weight)
        nn.init.zeros_(self.weights.weight)
        nn.init.zeros_(self.weights.bias)
        angle = torch.arange(HEADS) * 2 * torch.pi / HEADS
        ring = torch.stack([angle.cos(), angle.sin()], -1).view(HEADS, 1, 1, 2)
        steps = torch.arange(1, POINTS + 1).view(1, 1, POINTS, 1)
        self.offsets.bias.data = (ring * steps).expand(-1, len(SHAPES), -1, -1).flatten().clone()

    def forward(self, query: Tensor, centre: Tensor, unit: Tensor, memory: Tensor) -> Tensor:
        """Attend.

        Args:
            query: [B, Lq, 64].
            centre: [B or 1, Lq, 1, 1, 1, 2], where the query looks, 0..1.
            unit: broadcastable to [B, Lq, M, L, P, 2], the length of an offset of 1.
            memory: [B, S, 64].
        """
        queries, levels = self.queries, len(SHAPES)
        value = self.value(memory).reshape(-1, POSITIONS, HEADS, WIDTH // HEADS)
        offsets = self.offsets(query).reshape(-1, queries, HEADS, levels, POINTS, 2)
        weights = self.weights(query).reshape(-1, queries, HEADS, levels * POINTS).softmax(-1)
        weights = weights.reshape(-1, queries, HEADS, levels, POINTS)
        locations = centre + offsets * unit
        if not self.plugin:
            return self.out(sample_levels(value, locations, weights, queries))
        shapes, starts = torch.tensor(SHAPES, dtype=torch.int32), torch.tensor(STARTS, dtype=torch.int32)
        found = PluginAttention.apply(value, shapes, starts, locations, weights, queries)
        return self.out(found.reshape(-1, queries, WIDTH))


class SelfAttention(nn.Module):
    """Plain multi-head attention among the queries."""

    def __init__(self) -> None:
        super().__init__()
        self.query_key, self.value = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)

    def forward(self, content: Tensor, position: Tensor) -> Tensor:
        split = partial(torch.reshape, shape=(-1, QUERIES, HEADS, WIDTH // HEADS))
        query, key = (split(part).transpose(1, 2) for part in self.query_key(content + position).split(WIDTH, -1))
        value = split(self.value(content)).transpose(1, 2)
        scores = (query @ key.transpose(2, 3)) * (WIDTH // HEADS) ** -0.5
        return self.out((scores.softmax(-1) @ value).transpose(1, 2).reshape(-1, QUERIES, WIDTH))


def mlp(*widths: int) -> nn.Sequential:
    """Linear layers with ReLU between."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class EncoderLayer(nn.Module):
    """Deformable attention of every position to all levels, then a feed-forward part."""

    def __init__(self) -> None:
        super().__init__()
        self.attention, self.norm1 = DeformableAttention(POSITIONS), nn.LayerNorm(WIDTH)
        self.forward_part, self.norm2 = mlp(WIDTH, 128, WIDTH), nn.LayerNorm(WIDTH)

    def forward(self, memory: Tensor, position: Tensor, centre: Tensor, unit: Tensor) -> Tensor:
        memory = self.norm1(memory + self.attention(memory + position, centre, unit, memory))
        return self.norm2(memory + self.forward_part(memory))


class DecoderLayer(nn.Module):
    """Attention among the queries, to the memory around each query's box, then a feed-forward part."""

    def __init__(self) -> None:
        super().__init__()
        self.self_attention, self.norm1 = SelfAttention(), nn.LayerNorm(WIDTH)
        self.attention, self.norm2 = DeformableAttention(QUERIES), nn.LayerNorm(WIDTH)
        self.forward_part, self.norm3 = mlp(WIDTH, 128, WIDTH), nn.LayerNorm(WIDTH)

    def forward(self, content: Tensor, position: Tensor, box: Tensor, memory: Tensor) -> Tensor:
        content = self.norm1(content + self.self_attention(content, position))
        centre = box[..., :2].reshape(-1, QUERIES, 1, 1, 1, 2)
        unit = box[..., 2:].reshape(-1, QUERIES, 1, 1, 1, 2) * (0.5 / POINTS)
        content = self.norm2(content + self.attention(content + position, centre, unit, memory))
        return self.norm3(content + self.forward_part(content))


def convolution(inputs: int, outputs: int, size: int = 3, stride: int = 1, act: bool = True) -> nn.Sequential:
    """Convolution, batch norm and ReLU."""
    layers = [nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False), nn.BatchNorm2d(outputs)]
    return nn.Sequential(*layers, *([nn.ReLU()] if act else []))


class Residual(nn.Module):
    """3 x 3 and 1 x 1 convolution beside the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(convolution(width, width), convolution(width, width, 1, act=False))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.body(x))


class Detector(nn.Module):
    """RGB [B, 3, 320, 320], ImageNet-normalised -> logits [B, 100, C], boxes [B, 100, 4] (cx, cy, w, h in 0..1)."""

    anchors: Tensor
    anchor_logits: Tensor
    cell: Tensor

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(convolution(3, 16, stride=2), convolution(16, 32, stride=2), Residual(32))
        self.stages = nn.ModuleList(
            [
                nn.Sequential(convolution(32, 48, stride=2), Residual(48)),
                nn.Sequential(convolution(48, 64, stride=2), Residual(64)),
                nn.Sequential(convolution(64, 64, stride=2)),
            ]
        )
        self.project = nn.ModuleList([convolution(width, WIDTH, 1, act=False) for width in (48, 64, 64)])
        self.level = nn.Parameter(torch.randn(len(SHAPES), WIDTH) * 0.1)
        self.place = mlp(4, WIDTH, WIDTH)
        self.encoder = EncoderLayer()
        self.propose, self.propose_norm = nn.Linear(WIDTH, WIDTH), nn.LayerNorm(WIDTH)
        self.decoder = nn.ModuleList([DecoderLayer(), DecoderLayer()])
        self.classify = nn.ModuleList([nn.Linear(WIDTH, classes) for _ in range(3)])
        self.refine = nn.ModuleList([mlp(WIDTH, WIDTH, 4) for _ in range(3)])
        for head, box in zip(self.classify, self.refine, strict=True):
            nn.init.constant_(head.bias, -4.6)  # sigmoid = 0.01, as for focal losses
            nn.init.zeros_(box[-1].weight)
            nn.init.zeros_(box[-1].bias)
        self.register_buffer("anchors", self.make_anchors(), persistent=False)
        self.register_buffer("anchor_logits", torch.logit(self.anchors), persistent=False)
        sizes = torch.tensor(SHAPES, dtype=torch.float32).flip(1)
        self.register_buffer("cell", (1 / sizes).view(1, 1, 1, len(SHAPES), 1, 2), persistent=False)

    @staticmethod
    def make_anchors() -> Tensor:
        """One box per position [1, S, 4]: the cell's centre, 4 cells wide and high (32 to 128 of 320 pixels)."""
        levels = []
        for (height, width), stride in zip(SHAPES, STRIDES, strict=True):
            y, x = torch.meshgrid(
                (torch.arange(height) + 0.5) / height, (torch.arange(width) + 0.5) / width, indexing="ij"
            )
            side = torch.full_like(x, 4 * stride / SIZE)
            levels.append(torch.stack([x, y, side, side], -1).reshape(-1, 4))
        return torch.cat(levels)[None]

    def memory(self, pictures: Tensor) -> Tensor:
        """Encode pictures: [B, S, 64]."""
        x, parts = self.stem(pictures), []
        for index, (stage, project) in enumerate(zip(self.stages, self.project, strict=True)):
            x = stage(x)
            parts.append(project(x).reshape(-1, WIDTH, SHAPES[index][0] * SHAPES[index][1]).transpose(1, 2))
        level = torch.cat([self.level[i : i + 1].repeat(h * w, 1) for i, (h, w) in enumerate(SHAPES)])
        position = self.place(self.anchors) + level
        centre = self.anchors[..., :2].reshape(1, POSITIONS, 1, 1, 1, 2)
        return self.encoder(torch.cat(parts, 1), position, centre, self.cell)

    def layers(self, pictures: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Logits and boxes of the encoder (all positions) and of each decoder layer."""
        memory = self.memory(pictures)
        proposed = self.propose_norm(self.propose(memory))
        logits = self.classify[0](proposed)
        box_logits = self.anchor_logits + self.refine[0](proposed)
        found = [(logits, box_logits.sigmoid())]
        best = torch.topk(logits.max(-1).values, QUERIES, dim=1).indices.unsqueeze(-1)
        content = torch.gather(proposed, 1, best.repeat(1, 1, WIDTH)).detach()
        box_logits = torch.gather(box_logits, 1, best.repeat(1, 1, 4)).detach()
        for layer, classify, refine in zip(self.decoder, self.classify[1:], self.refine[1:], strict=True):
            box = box_logits.sigmoid()
            content = layer(content, self.place(box), box, memory)
            refined = box_logits + refine(content)
            found.append((classify(content), refined.sigmoid()))
            box_logits = refined.detach()
        return found

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        return self.layers(pictures)[-1]

    def use_plugin(self, plugin: bool) -> None:
        """Choose how deformable attention is exported."""
        for module in self.modules():
            if isinstance(module, DeformableAttention):
                module.plugin = plugin
