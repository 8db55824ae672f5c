# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Train the toys on composites and export them; a few minutes on one core. Needs torch and onnx.

    python examples/pairs/train.py [--only change,inspection]

Nothing of the test data (`data.stock(training=False)`) is trained on.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import onnx
import torch
from torch import nn
from torch.nn import functional as F

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from pairs import data, models  # noqa: E402

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
MARGIN = 2.0


def resized(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bilinear on float pixels, as deployed: [H,W,3] uint8 -> [3,h,w] float32 in 0..1."""
    small = cv2.resize(picture.astype(np.float32), (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
    return (small / 255).transpose(2, 0, 1)


def change_data(count: int) -> tuple[torch.Tensor, ...]:
    """Pictures [N,3,96,96] before and after, in -1..1, and masks [N,96,96]."""
    material, size = data.stock(training=True), (models.CHANGE_SIZE,) * 2
    rows: list[tuple[np.ndarray, ...]] = []
    for index in range(count):
        before, after, mask = data.change_pair((1, index), material)
        small = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST_EXACT)
        rows.append((resized(before, size) * 2 - 1, resized(after, size) * 2 - 1, small.astype(np.int64)))
    return tuple(torch.from_numpy(np.stack(column)) for column in zip(*rows, strict=True))


def inspection_data(count: int) -> tuple[torch.Tensor, ...]:
    """Tiled units and golden pictures [N,3,192,64], ImageNet-normalised, and labels [N] (1 is a defect)."""
    material = data.stock(training=True)
    mean, std = (np.array(values, np.float32)[:, None, None] for values in (MEAN, STD))
    rows: list[tuple[np.ndarray, np.ndarray, int]] = []
    for index in range(count):
        unit, golden, label = data.inspection_pair((2, index), material)
        one, other = (
            (np.concatenate([resized(tile, models.TILE) for tile in tiles], 1) - mean) / std for tiles in (unit, golden)
        )
        rows.append((one, other, int(label != "PASS")))
    return tuple(torch.from_numpy(np.stack(column)) for column in zip(*rows, strict=True))


def change_loss(model: models.ChangeSegmenter, rows: tuple[torch.Tensor, ...]) -> torch.Tensor:
    """Cross entropy and soft overlap of the final map, cross entropy of the auxiliary ones."""
    before, after, mask = rows
    if torch.rand(()) < 0.5:
        before, after, mask = before.flip(3), after.flip(3), mask.flip(2)
    *auxiliary, final = model(before, after)
    chance = final.softmax(1)[:, 1]
    overlap = 1 - (2 * (chance * mask).sum() + 1) / (chance.sum() + mask.sum() + 1)
    loss = F.cross_entropy(final, mask) + overlap
    for small in auxiliary:
        target = F.interpolate(mask[:, None].float(), size=small.shape[2:], mode="area")[:, 0]
        loss = loss + 0.1 * F.cross_entropy(small, (target > 0.5).long())
    return loss


def contrastive(distance: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    """Pairs that pass come together, defects move at least twice the margin apart."""
    near, far = (1 - label) * distance.square(), label * F.relu(2 * MARGIN - distance).square()
    return (near + far).mean()


def inspection_loss(model: models.Inspector, rows: tuple[torch.Tensor, ...]) -> torch.Tensor:
    unit, golden, label = rows
    if torch.rand(()) < 0.5:
        unit, golden = golden, unit
    one, other = model.encoder(unit), model.encoder(golden)
    loss = F.cross_entropy(model.compare(torch.abs(one - other)), label)
    for head, weight in ((model.short, 0.3), (model.long, 0.3)):
        apart = (F.dropout(one, 0.1).flatten(1), F.dropout(other, 0.1).flatten(1))
        distance = ((head(apart[0]) - head(apart[1])).square().sum(1) + 1e-6).sqrt()
        loss = loss + weight * contrastive(distance, label.float())
    return loss


def fit(
    model: nn.Module,
    rows: tuple[torch.Tensor, ...],
    loss_of: Callable[..., torch.Tensor],
    epochs: int,
    batch: int = 32,
    rate: float = 4e-3,
) -> None:
    """Train in place; `loss_of` takes the model and a batch of the rows, `rate` is the largest learning rate."""
    count = len(rows[0])
    steps = epochs * (count // batch)
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=rate, total_steps=steps, pct_start=0.2)
    start = time.time()
    for epoch in range(epochs):
        model.train()
        total = 0.0
        for part in torch.randperm(count)[: count // batch * batch].split(batch):
            loss = loss_of(model, tuple(column[part] for column in rows))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        print(f"epoch {epoch + 1}/{epochs}  loss {total * batch / count:.3f}  {time.time() - start:.0f} s", flush=True)
    model.eval()


def export(model: nn.Module, size: tuple[int, int], inputs: Sequence[str], outputs: list[str], path: Path) -> None:
    """Write an ONNX file of opset 17 with an open batch."""
    names = [*inputs, *outputs]
    pictures = tuple(torch.full((2, 3, *size), float(index)) for index in range(len(inputs)))
    torch.onnx.export(
        model.eval(),
        pictures,
        str(path),
        input_names=list(inputs),
        output_names=outputs,
        dynamic_axes={name: {0: "batch"} for name in names},
        opset_version=17,
        dynamo=False,
    )
    graph = onnx.load(path)
    graph.doc_string = "toy trained on composites, Apache-2.0, The TAO Deploy authors"
    onnx.checker.check_model(graph, full_check=True)
    onnx.save(graph, path)
    print(f"{path}: {path.stat().st_size} bytes", flush=True)


def train_change(epochs: int, count: int) -> None:
    model = models.ChangeSegmenter()
    fit(model, change_data(count), change_loss, epochs)
    outputs = [*(f"output{index}" for index in range(4)), "output_final"]
    export(model, (models.CHANGE_SIZE,) * 2, ("input0", "input1"), outputs, HERE / "change_segment.onnx")


def train_inspection(epochs: int, count: int) -> None:
    model = models.Inspector()
    fit(model, inspection_data(count), inspection_loss, epochs)
    inputs, size = ("input_1", "input_2"), models.INSPECTION_SIZE
    export(models.Embeddings(model), size, inputs, ["output_1", "output_2"], HERE / "optical_inspection.onnx")
    export(models.Distance(model), size, inputs, ["output"], HERE / "change_classify_euclidean.onnx")
    export(models.Learned(model), size, inputs, ["output"], HERE / "change_classify_learnable.onnx")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="change,inspection")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--pairs", type=int, default=2000, help="training composites")
    args = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    if "change" in args.only:
        train_change(args.epochs, args.pairs)
    if "inspection" in args.only:
        train_inspection(args.epochs, args.pairs)


if __name__ == "__main__":
    main()
