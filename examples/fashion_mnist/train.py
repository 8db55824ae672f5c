# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Train the classifier and export it with the tensors of `classification_pyt`.

    python train.py --data FOLDER [--epochs 60] [--out fashion_mnist.onnx]

FOLDER holds train-images-idx3-ubyte.gz and train-labels-idx1-ubyte.gz of Fashion-MNIST, for example from the Debian
package dataset-fashion-mnist (`apt-get download dataset-fashion-mnist && dpkg-deb -x *.deb .`). Needs torch and onnx.
One minute on a GPU; a few epochs suffice for a trial on a CPU. The test pictures are only scored, never trained on.
"""

from __future__ import annotations

import argparse
import copy
import sys
import time
from pathlib import Path

import onnx
import torch
from torch import nn
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from fashion_mnist import data

MEAN = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
INPUT_SIZE = 112
SHRINK = 4  # 112 -> 28: the pictures hold no more detail than that


def convolution(inputs: int, outputs: int) -> nn.Sequential:
    """3 x 3 convolution, batch norm, ReLU."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())


class Classifier(nn.Module):
    """RGB [B, 3, 112, 112], ImageNet-normalised -> logits [B, 10]; about 95,000 weights."""

    def __init__(self) -> None:
        super().__init__()
        self.shrink = nn.AvgPool2d(SHRINK)
        self.features = nn.Sequential(
            convolution(3, 24),
            convolution(24, 24),
            nn.MaxPool2d(2),
            convolution(24, 48),
            convolution(48, 48),
            nn.MaxPool2d(2),
            convolution(48, 60),
            convolution(60, 60),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.head = nn.Linear(60, len(data.CLASSES))

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return self.from_small(self.shrink(pictures))

    def from_small(self, pictures: torch.Tensor) -> torch.Tensor:
        """The network behind the first pooling: [B, 3, 28, 28] -> [B, 10]. Training starts here."""
        return self.head(F.dropout(self.features(pictures), 0.2, self.training))


def views(pictures: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor, flip: torch.Tensor) -> torch.Tensor:
    """Cut a 28 x 28 view out of pictures [B, 36, 36] in 0..1 and normalise it to [B, 3, 28, 28].

    Args:
        pictures: with border.
        scale: [B] side of the view, as a fraction of 36; 28/36 is what the deployment's centre crop keeps, 1 what a
            plain resize keeps.
        shift: [B, 2] offset of its centre in pixels.
        flip: [B] -1 mirrors, 1 does not.
    """
    theta = torch.zeros(len(pictures), 2, 3, device=pictures.device)
    theta[:, 0, 0] = scale * flip
    theta[:, 1, 1] = scale
    theta[:, :, 2] = shift / 18
    grid = F.affine_grid(theta, [len(pictures), 1, 28, 28], align_corners=False)
    view = F.grid_sample(pictures[:, None], grid, align_corners=False)
    return (view.expand(-1, 3, -1, -1) - MEAN.to(view)) / STD.to(view)


def random_views(pictures: torch.Tensor) -> torch.Tensor:
    """Augmented views: any size between the two ways of preprocessing, shifted by up to 1.5 pixels, mirrored."""
    count, device = len(pictures), pictures.device
    scale = torch.empty(count, device=device).uniform_(0.74, 1.04)
    shift = torch.empty(count, 2, device=device).uniform_(-1.5, 1.5)
    flip = torch.randint(0, 2, (count,), device=device) * 2.0 - 1.0
    return views(pictures, scale, shift, flip)


@torch.no_grad()
def accuracy(model: Classifier, pictures: torch.Tensor, labels: torch.Tensor, scale: float) -> float:
    """Top-1 accuracy on pictures [N, 36, 36] at one size of view."""
    model.eval()
    hits = 0
    for part, truth in zip(pictures.split(1000), labels.split(1000), strict=True):
        ones = torch.ones(len(part), device=part.device)
        view = views(part, ones * scale, torch.zeros(len(part), 2, device=part.device), ones)
        hits += int((model.from_small(view).argmax(1) == truth).sum())
    return hits / len(labels)


def load(images: Path, labels: Path, device: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures [N, 36, 36] in 0..1 and labels [N] on a device."""
    pictures, truth = data.read_pictures(images, labels)
    padded = torch.from_numpy(data.with_border(pictures)).to(device)
    return padded.float() / 255, torch.from_numpy(truth).to(device).long()


def train(folder: Path, epochs: int, device: str, batch: int = 256) -> Classifier:
    """Train for a number of epochs; returns the moving average of the weights."""
    pictures, labels = load(folder / "train-images-idx3-ubyte.gz", folder / "train-labels-idx1-ubyte.gz", device)
    test_pictures, test_labels = load(data.TEST_IMAGES, data.TEST_LABELS, device)
    model = Classifier().to(device)
    average = copy.deepcopy(model).requires_grad_(False)
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.02)
    steps = epochs * (len(labels) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=steps, pct_start=0.2)
    step, start = 0, time.time()
    for epoch in range(epochs):
        model.train()
        for rows in torch.randperm(len(labels), device=device)[: len(labels) // batch * batch].split(batch):
            loss = F.cross_entropy(model.from_small(random_views(pictures[rows])), labels[rows], label_smoothing=0.05)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            step += 1
            follow(average, model, min(0.998, step / (step + 20)))
        if epoch % 5 == 4 or epoch == epochs - 1:
            cropped, squashed = (accuracy(average, test_pictures, test_labels, scale) for scale in (28 / 36, 1.0))
            print(
                f"epoch {epoch + 1}/{epochs}  loss {loss.item():.3f}  top-1 centre crop {cropped:.4f}, plain resize "
                f"{squashed:.4f}  {time.time() - start:.0f} s",
                flush=True,
            )
    return average.eval()


@torch.no_grad()
def follow(average: nn.Module, model: nn.Module, decay: float) -> None:
    """Move the averaged weights towards the current ones."""
    for mean, value in zip(average.state_dict().values(), model.state_dict().values(), strict=True):
        if mean.dtype.is_floating_point:
            mean.lerp_(value, 1 - decay)
        else:
            mean.copy_(value)


def export(model: Classifier, path: Path) -> None:
    """Write the ONNX file: `input` [batch, 3, 112, 112] -> `output` [batch, 10]."""
    torch.onnx.export(
        model.cpu(),
        (torch.zeros(2, 3, INPUT_SIZE, INPUT_SIZE),),
        str(path),
        input_names=["input"],
        output_names=["output"],
        dynamic_axes={"input": {0: "batch"}, "output": {0: "batch"}},
        opset_version=17,
        dynamo=False,
    )
    graph = onnx.load(path)
    onnx.checker.check_model(graph, full_check=True)
    graph.doc_string = "Fashion-MNIST classifier, Apache-2.0, The TAO Deploy authors"
    onnx.save(graph, path)
    print(f"{path}: {path.stat().st_size} bytes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with the two train-*-ubyte.gz files")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--out", type=Path, default=data.MODEL)
    args = parser.parse_args()
    torch.manual_seed(0)
    export(train(args.data, args.epochs, "cuda" if torch.cuda.is_available() else "cpu"), args.out)


if __name__ == "__main__":
    main()
