# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Train the toy on composites and export it; 7 minutes on two cores. Needs torch, scipy and onnx.

    python examples/segmentation/train.py --photographs FOLDER [--epochs 15] [--pictures 4000]

--photographs holds JPEG pictures to lay items over, beside those of `data.stock(training=True)`: the committed model
saw those of the wheels of scikit-image 0.26.0 and scikit-learn 1.9 but for the test set's. Nothing of the test data
(`data.stock(training=False)`) is trained on.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import onnx
import torch
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from detector import data as detector
from detector.train import textures

from segmentation import data, models


def pictures(count: int, folder: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Composites, stretched as deployed: pixels [N,3,160,160] uint8 and classes [N,160,160] uint8."""
    items, labels, photographs = data.stock(training=True)
    photographs = (photographs + detector.read_photographs(folder)) * 3 + textures(30)
    size = (models.SIZE,) * 2
    pixels, classes = [], []
    for index in range(count):
        rng = np.random.default_rng([3, index])
        composite = detector.compose(rng, items, labels, photographs)
        small = cv2.resize(composite.picture, size, interpolation=cv2.INTER_LINEAR)[..., rng.permutation(3)]
        mask = cv2.resize(data.classes(data.kinds(composite)), size, interpolation=cv2.INTER_NEAREST_EXACT)
        pixels.append(small.transpose(2, 0, 1))
        classes.append(mask)
    return torch.from_numpy(np.stack(pixels)), torch.from_numpy(np.stack(classes))


def overlap_loss(logits: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """Cross entropy and soft overlap (1 - Dice) of the classes."""
    chance = logits.softmax(1)
    truth = F.one_hot(classes, logits.shape[1]).permute(0, 3, 1, 2)
    both = (chance * truth).sum((0, 2, 3))
    dice = (2 * both + 1) / (chance.sum((0, 2, 3)) + truth.sum((0, 2, 3)) + 1)
    return F.cross_entropy(logits, classes) + 1 - dice.mean()


def fit(model: models.Segmenter, pixels: torch.Tensor, classes: torch.Tensor, epochs: int, batch: int = 24) -> None:
    """Train in place."""
    count = len(pixels)
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.02)
    steps = epochs * (count // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=5e-3, total_steps=steps, pct_start=0.2)
    start = time.time()
    for epoch in range(epochs):
        model.train()
        total = 0.0
        for part in torch.randperm(count)[: count // batch * batch].split(batch):
            picture, mask = pixels[part].float() / 127.5 - 1, classes[part].long()
            if torch.rand(()) < 0.5:
                picture, mask = picture.flip(3), mask.flip(2)
            loss = overlap_loss(model(picture), mask)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        print(f"epoch {epoch + 1}/{epochs}  loss {total * batch / count:.3f}  {time.time() - start:.0f} s", flush=True)
    model.eval()


def export(model: models.Segmenter, path: Path) -> None:
    """Write an ONNX file of opset 17 with an open batch."""
    torch.onnx.export(
        model.eval(),
        (torch.zeros(2, 3, models.SIZE, models.SIZE),),
        str(path),
        input_names=["input"],
        output_names=["output"],
        dynamic_axes={"input": {0: "batch"}, "output": {0: "batch"}},
        opset_version=17,
        dynamo=False,
    )
    graph = onnx.load(path)
    graph.doc_string = "toy trained on composites, Apache-2.0, The TAO Deploy authors"
    onnx.checker.check_model(graph, full_check=True)
    onnx.save(graph, path)
    print(f"{path}: {path.stat().st_size} bytes", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photographs", type=Path, required=True, help="folder of JPEG pictures")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--pictures", type=int, default=4000, help="training composites")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(args.threads)
    model = models.Segmenter(len(data.GROUPS) + 1)
    fit(model, *pictures(args.pictures, args.photographs), args.epochs)
    export(model, data.MODEL)


if __name__ == "__main__":
    main()
