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
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from detector import data as detector
from detector.train import textures
from pairs.train import export, fit

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


def loss_of(model: models.Segmenter, rows: tuple[torch.Tensor, ...]) -> torch.Tensor:
    """Cross entropy and soft overlap (1 - Dice) of the classes."""
    picture, classes = rows[0].float() / 127.5 - 1, rows[1].long()
    if torch.rand(()) < 0.5:
        picture, classes = picture.flip(3), classes.flip(2)
    logits = model(picture)
    chance = logits.softmax(1)
    truth = F.one_hot(classes, logits.shape[1]).permute(0, 3, 1, 2)
    both = (chance * truth).sum((0, 2, 3))
    dice = (2 * both + 1) / (chance.sum((0, 2, 3)) + truth.sum((0, 2, 3)) + 1)
    return F.cross_entropy(logits, classes) + 1 - dice.mean()


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
    fit(model, pictures(args.pictures, args.photographs), loss_of, args.epochs, batch=24, rate=5e-3)
    export(model, (models.SIZE,) * 2, ["input"], ["output"], data.MODEL)


if __name__ == "__main__":
    main()
