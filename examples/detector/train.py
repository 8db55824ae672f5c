# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Train the example detector on composites.

    python train.py --items FOLDER --photographs FOLDER --out detector.pt [--minutes 5] [--pictures 40000]

--items holds train-*-ubyte.gz of Fashion-MNIST, --photographs JPEG pictures to lay the items over (the committed model
saw those of the scikit-image wheel that are not in `backgrounds/`). Needs torch and scipy, and a GPU for more than a
trial. The learning rate follows the clock, so that a training always ends in time. export.py makes ONNX of the result.
"""

from __future__ import annotations

import argparse
import copy
import math
import multiprocessing
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from fashion_mnist import data as fashion_mnist

from detector import data
from detector.model import SIZE, Detector

MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
LOGITS = len(data.CLASSES) + 1  # column k is category id k; column 0 stays unused


# --- pictures -------------------------------------------------------------------------------------------------------


def textures(count: int) -> list[np.ndarray]:
    """Coloured noise of different grain, so that the few photographs are not learnt by heart."""
    pictures = []
    for index in range(count):
        rng = np.random.default_rng([11, index])
        picture = np.zeros((480, 640, 3))
        for _ in range(3):
            grain = int(2 ** rng.uniform(1, 8))
            noise = rng.random((max(2, 480 // grain), max(2, 640 // grain), 3)) * rng.random(3)
            way = cv2.INTER_NEAREST if rng.random() < 0.3 else cv2.INTER_CUBIC
            picture += cv2.resize(noise, (640, 480), interpolation=way)
        low, high = np.sort(rng.uniform(0, 255, (2, 3)), axis=0)
        picture = (picture - picture.min()) / np.ptp(picture)
        pictures.append((low + picture * (high - low)).clip(0, 255).astype(np.uint8))
    return pictures


class Maker:
    """Makes training pictures; lives in each worker process."""

    def __init__(self, items: Path, photographs: Path, out: Path, shape: tuple[int, ...]) -> None:
        files = items / "train-images-idx3-ubyte.gz", items / "train-labels-idx1-ubyte.gz"
        self.items, self.labels = fashion_mnist.read_pictures(*files)
        self.photographs = data.read_photographs(photographs) * 3 + textures(40)
        self.out = np.memmap(out, np.uint8, "r+", shape=shape)

    def make(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Write picture `index`, squashed as deployed; returns boxes [K, 4] (cx, cy, w, h in 0..1) and ids [K]."""
        rng = np.random.default_rng([7, index])
        composite = data.compose(rng, self.items, self.labels, self.photographs)
        height, width = composite.owner.shape
        squashed = cv2.resize(composite.picture.astype(np.float32), (SIZE, SIZE), interpolation=cv2.INTER_LINEAR)
        self.out[index] = squashed.round()[..., rng.permutation(3)].transpose(2, 0, 1)
        x, y, w, h = composite.boxes().T / np.array([[width], [height], [width], [height]])
        return np.stack([x + w / 2, y + h / 2, w, h], 1).astype(np.float32), composite.labels + 1


maker: Maker


def start_worker(*arguments) -> None:
    """Set up one process of the pool."""
    global maker
    cv2.setNumThreads(1)
    maker = Maker(*arguments)


def make_one(index: int) -> tuple[np.ndarray, np.ndarray]:
    """One picture, in a worker process."""
    return maker.make(index)


@dataclass
class Pictures:
    """Training pictures on a device: pixels [N, 3, 320, 320] uint8, boxes [N, 8, 4], ids [N, 8] (0 = no object)."""

    pixels: Tensor
    boxes: Tensor
    ids: Tensor


def make_pictures(args: argparse.Namespace, device: str) -> Pictures:
    """Compose the training pictures in parallel."""
    shape = (args.pictures, 3, SIZE, SIZE)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pixels"
        np.memmap(file, np.uint8, "w+", shape=shape).flush()
        start = time.time()
        with multiprocessing.get_context("spawn").Pool(
            args.workers, start_worker, (args.items, args.photographs, file, shape)
        ) as pool:
            objects = pool.map(make_one, range(args.pictures), chunksize=32)
        print(f"{args.pictures} pictures in {time.time() - start:.0f} s", flush=True)
        boxes = torch.zeros(args.pictures, data.MAX_OBJECTS, 4)
        ids = torch.zeros(args.pictures, data.MAX_OBJECTS, dtype=torch.long)
        for row, (box, label) in enumerate(objects):
            boxes[row, : len(box)] = torch.from_numpy(box)
            ids[row, : len(box)] = torch.from_numpy(label.astype(np.int64))
        pixels = torch.from_numpy(np.fromfile(file, np.uint8).reshape(shape)).to(device)
    return Pictures(pixels, boxes.to(device), ids.to(device))


def normalised(pixels: Tensor) -> Tensor:
    """0..255 to what the network takes."""
    return (pixels.float() / 255 - MEAN.to(pixels.device).view(3, 1, 1)) / STD.to(pixels.device).view(3, 1, 1)


def augmented(pictures: Pictures, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Some pictures with other colours, noise, and half of them mirrored; normalised."""
    pixels, boxes = pictures.pixels[rows].float(), pictures.boxes[rows].clone()
    count, device = len(rows), pixels.device
    flip = torch.rand(count, device=device) < 0.5
    pixels = torch.where(flip.view(-1, 1, 1, 1), pixels.flip(-1), pixels)
    boxes[..., 0] = torch.where(flip[:, None], 1 - boxes[..., 0], boxes[..., 0])
    gain = torch.empty(count, 3, 1, 1, device=device).uniform_(0.75, 1.25)
    lift = torch.empty(count, 3, 1, 1, device=device).uniform_(-20, 20)
    noise = torch.randn_like(pixels) * torch.empty(count, 1, 1, 1, device=device).uniform_(0, 6)
    return normalised((pixels * gain + lift + noise).clamp(0, 255)), boxes, pictures.ids[rows]


# --- loss -----------------------------------------------------------------------------------------------------------


def corners(boxes: Tensor) -> Tensor:
    """(cx, cy, w, h) to (x1, y1, x2, y2)."""
    centre, size = boxes[..., :2], boxes[..., 2:]
    return torch.cat([centre - size / 2, centre + size / 2], -1)


def overlap(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """IoU and generalised IoU (Rezatofighi et al., 2019) of boxes (cx, cy, w, h), broadcast over leading axes."""
    a, b = corners(a), corners(b)
    area_a, area_b = (box[..., 2:] - box[..., :2] for box in (a, b))
    area_a, area_b = area_a.prod(-1), area_b.prod(-1)
    both = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp(min=0).prod(-1)
    union = area_a + area_b - both
    hull = (torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])).prod(-1)
    iou = both / (union + 1e-7)
    return iou, iou - (hull - union) / (hull + 1e-7)


@torch.no_grad()
def matching_cost(logits: Tensor, boxes: Tensor, true_boxes: Tensor, true_ids: Tensor) -> Tensor:
    """[B, Q, G]: focal class cost, L1 and generalised IoU, weighted as in Deformable DETR; no object costs 1e4."""
    p = logits.sigmoid().gather(2, true_ids[:, None].expand(-1, logits.shape[1], -1))
    focal = 0.25 * (1 - p) ** 2 * -(p + 1e-8).log() - 0.75 * p**2 * -(1 - p + 1e-8).log()
    distance = (boxes[:, :, None] - true_boxes[:, None]).abs().sum(-1)
    _, giou = overlap(boxes[:, :, None], true_boxes[:, None])
    return torch.where((true_ids > 0)[:, None], 2 * focal + 5 * distance - 2 * giou, 1e4)


def one_to_many(cost: Tensor, true_ids: Tensor, each: int = 6) -> Tensor:
    """Each object takes its cheapest positions, each position its cheapest object: [B, Q] object or -1."""
    best = cost.topk(each, 1, largest=False).indices
    taken = torch.zeros_like(cost, dtype=torch.bool).scatter_(1, best, True) & (true_ids > 0)[:, None]
    lowest, owner = torch.where(taken, cost, 1e5).min(2)
    return torch.where(lowest < 1e4, owner, -1)


def one_to_one(costs: Tensor, true_ids: Tensor) -> Tensor:
    """Hungarian matching. costs [L, B, Q, G] -> [L, B, Q] object or -1."""
    counts = (true_ids > 0).sum(1).cpu().numpy()
    table = costs.cpu().numpy()
    owner = np.full(table.shape[:3], -1, np.int64)
    for layer, picture in np.ndindex(*table.shape[:2]):
        objects, queries = linear_sum_assignment(table[layer, picture, :, : counts[picture]].T)
        owner[layer, picture, queries] = objects
    return torch.from_numpy(owner).to(costs.device)


def layer_loss(logits: Tensor, boxes: Tensor, true_boxes: Tensor, true_ids: Tensor, owner: Tensor) -> Tensor:
    """Varifocal class loss (Zhang et al., 2021), L1 and generalised IoU of one layer under a matching [B, Q]."""
    matched = owner >= 0
    index = owner.clamp(min=0)
    wanted = true_boxes.gather(1, index[..., None].expand(-1, -1, 4))
    ids = true_ids.gather(1, index)
    iou, giou = overlap(boxes, wanted)
    quality = (iou.detach().clamp(0, 1) * matched)[..., None]
    target = F.one_hot(ids, logits.shape[-1]) * quality
    weight = torch.where(target > 0, target, 0.75 * logits.detach().sigmoid() ** 2)
    count = matched.sum().clamp(min=1)
    classes = (F.binary_cross_entropy_with_logits(logits, target, reduction="none") * weight).sum()
    distance = ((boxes - wanted).abs().sum(-1) * matched).sum()
    return (classes + 5 * distance + 2 * ((1 - giou) * matched).sum()) / count


def loss(model: Detector, pixels: Tensor, boxes: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
    """Sum over the layers, and that of the last layer alone."""
    layers = model.layers(pixels)
    costs = [matching_cost(logits, found, boxes, ids) for logits, found in layers]
    owners = [one_to_many(costs[0], ids), *one_to_one(torch.stack(costs[1:]), ids)]
    losses = [layer_loss(*layer, boxes, ids, owner) for layer, owner in zip(layers, owners, strict=True)]
    return torch.stack(losses).sum(), losses[-1].detach()


# --- training -------------------------------------------------------------------------------------------------------


@torch.no_grad()
def follow(average: torch.nn.Module, model: torch.nn.Module, decay: float) -> None:
    """Move the averaged weights towards the current ones."""
    pairs = list(zip(average.state_dict().values(), model.state_dict().values(), strict=True))
    floats = [pair for pair in pairs if pair[0].dtype.is_floating_point]
    torch._foreach_lerp_([a for a, _ in floats], [b for _, b in floats], 1 - decay)
    for a, b in pairs:
        if not a.dtype.is_floating_point:
            a.copy_(b)


@torch.no_grad()
def validate(model: Detector, pictures: Pictures, count: int) -> float:
    """Loss of the last layer on the last `count` pictures, which are not trained on."""
    model.eval()
    total, parts = 0.0, 0
    for rows in torch.arange(len(pictures.ids) - count, len(pictures.ids), device=pictures.ids.device).split(100):
        total += loss(model, normalised(pictures.pixels[rows]), pictures.boxes[rows], pictures.ids[rows])[1].item()
        parts += 1
    return total / parts


def train(args: argparse.Namespace, device: str) -> Detector:
    """Train until the time is up; returns the moving average of the weights."""
    pictures = make_pictures(args, device)
    held_out = max(args.pictures // 80, 8)
    model = Detector(LOGITS).to(device)
    average = copy.deepcopy(model).requires_grad_(False)
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.rate, weight_decay=1e-4, fused=device == "cuda")
    start, step, told = time.time(), 0, 0.0
    while (elapsed := time.time() - start) < args.minutes * 60:
        done = elapsed / (args.minutes * 60)
        rate = args.rate * min(1.0, (step + 1) / 300) * (0.01 + 0.99 * (1 + math.cos(math.pi * done)) / 2)
        for group in optimizer.param_groups:
            group["lr"] = rate
        rows = torch.randint(0, args.pictures - held_out, (args.batch,), device=device)
        model.train()
        total, last = loss(model, *augmented(pictures, rows))
        optimizer.zero_grad(set_to_none=True)
        total.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0, foreach=True)
        optimizer.step()
        step += 1
        follow(average, model, min(0.999, step / (step + 20)))
        if time.time() - told > args.report:
            told = time.time()
            print(
                f"{told - start:5.0f} s  step {step}  loss {total.item():.3f}, last layer {last.item():.3f}, "
                f"held out {validate(average, pictures, held_out):.3f}",
                flush=True,
            )
    print(f"{step} steps of {args.batch}; held out {validate(average, pictures, held_out):.4f}", flush=True)
    return average


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=Path, required=True, help="folder with train-*-ubyte.gz of Fashion-MNIST")
    parser.add_argument("--photographs", type=Path, required=True, help="folder with *.jpg")
    parser.add_argument("--out", type=Path, required=True, help="weights to write")
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--pictures", type=int, default=40000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--workers", type=int, default=multiprocessing.cpu_count())
    parser.add_argument("--report", type=float, default=15, help="seconds between reports")
    args = parser.parse_args()
    torch.manual_seed(0)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.benchmark = True
    model = train(args, "cuda" if torch.cuda.is_available() else "cpu")
    torch.save(model.cpu().state_dict(), args.out)
    print(f"{args.out}: {args.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
