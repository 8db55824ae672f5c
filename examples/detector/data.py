# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures for detection, composed so that every box is exact.

Items of Fashion-MNIST are enlarged smoothly, coloured, turned a little and laid over photographs. Which object owns
which pixel is known, so boxes, areas and masks are counted, not drawn. A composite follows from its seed alone. The
test set uses items of the test split and the photographs in `backgrounds/`; training uses neither.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from fashion_mnist import data as fashion_mnist
from PIL import Image

BACKGROUNDS = Path(__file__).resolve().parent / "backgrounds"
# Category id k is CLASSES[k - 1]: ids start at 1, as in COCO.
CLASSES = fashion_mnist.CLASSES
TEST_PICTURES = 200
MAX_OBJECTS = 8
ENLARGED = 4  # items are cut out at 4 x 28 = 112 pixels and shrunk or enlarged from there
MIN_VISIBLE = 0.7  # no later object may hide more than 30 % of an earlier one


@dataclass(frozen=True, slots=True)
class Composite:
    """A picture with its objects.

    Attributes:
        picture: [H, W, 3] uint8 RGB.
        owner: [H, W] int16, 0 where the background shows, k where object k - 1 does.
        labels: [K] index into `CLASSES` of each object.
    """

    picture: np.ndarray
    owner: np.ndarray
    labels: np.ndarray

    def boxes(self) -> np.ndarray:
        """Tight boxes [K, 4] (x, y, width, height) in pixels, int64, around the visible part of each object."""
        return np.array([tight_box(self.owner == k + 1) for k in range(len(self.labels))], np.int64).reshape(-1, 4)


def tight_box(mask: np.ndarray) -> tuple[int, int, int, int]:
    """(x, y, width, height) of the smallest box around the true pixels of a mask [H, W]."""
    columns, rows = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
    return columns[0], rows[0], columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1


def run_lengths(mask: np.ndarray) -> dict:
    """A mask [H, W] as COCO's uncompressed run lengths: column by column, the first run counts zeros."""
    flat = mask.T.ravel()
    edges = np.flatnonzero(np.diff(flat.astype(np.int8), prepend=0))
    return {"size": list(mask.shape), "counts": np.diff(edges, prepend=0, append=flat.size).tolist()}


def cut_out(item: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Enlarge an item [28, 28] uint8 to shade and alpha [112, 112], float32 in 0..1. Holes count as the item."""
    size = 28 * ENLARGED
    shade = cv2.resize(item.astype(np.float32) / 255, (size, size), interpolation=cv2.INTER_CUBIC).clip(0, 1)
    outline, _ = cv2.findContours((shade > 0.08).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    mask = np.zeros((size, size), np.float32)
    cv2.drawContours(mask, outline, -1, 1.0, cv2.FILLED)
    return shade, cv2.GaussianBlur(mask, (0, 0), 1.5)


def background(rng: np.random.Generator, photographs: list[np.ndarray], height: int, width: int) -> np.ndarray:
    """A part of one of the photographs, perhaps mirrored, lighter or darker: [H, W, 3] float32 in 0..255."""
    photograph = photographs[rng.integers(len(photographs))]
    full_height, full_width = photograph.shape[:2]
    most = min(full_height / height, full_width / width)
    zoom = rng.uniform(0.5, 1.0) * most
    part_height, part_width = int(height * zoom), int(width * zoom)
    top = int(rng.integers(full_height - part_height + 1))
    left = int(rng.integers(full_width - part_width + 1))
    part = photograph[top : top + part_height, left : left + part_width]
    if rng.random() < 0.5:
        part = part[:, ::-1]
    part = cv2.resize(np.ascontiguousarray(part), (width, height), interpolation=cv2.INTER_LINEAR)
    return part.astype(np.float32) * np.float32(rng.uniform(0.6, 1.1))


def compose(
    rng: np.random.Generator, items: np.ndarray, labels: np.ndarray, photographs: list[np.ndarray]
) -> Composite:
    """Lay 1 to 8 items over a photograph.

    Args:
        rng: decides everything.
        items: [N, 28, 28] uint8.
        labels: [N] index into `CLASSES`.
        photographs: RGB uint8 pictures, at least 320 pixels high and wide.
    """
    height, width = int(rng.integers(300, 421)), int(rng.integers(400, 561))
    if rng.random() < 0.2:
        height, width = width, height
    picture = background(rng, photographs, height, width)
    owner = np.zeros((height, width), np.int16)
    chosen: list[int] = []
    sizes: list[int] = []
    wanted = int(rng.integers(1, MAX_OBJECTS + 1))
    for _ in range(wanted * 4):
        if len(chosen) == wanted:
            break
        index = int(rng.integers(len(items)))
        patch = turned(rng, items[index])
        rows, columns = patch.shape[:2]
        top, left = int(rng.integers(height - rows + 1)), int(rng.integers(width - columns + 1))
        place = np.s_[top : top + rows, left : left + columns]
        covered = patch[..., 1] >= 0.5
        hidden = np.bincount(owner[place][covered], minlength=len(chosen) + 1)[1:]
        visible = np.array([(owner == k + 1).sum() for k in range(len(chosen))]) - hidden
        if covered.sum() < 150 or (visible < MIN_VISIBLE * np.array(sizes)).any():
            continue
        alpha = patch[..., 1:]
        picture[place] += alpha * (coloured(rng, patch[..., 0]) - picture[place])
        owner[place][covered] = len(chosen) + 1
        chosen.append(index)
        sizes.append(int(covered.sum()))
    return Composite(picture.clip(0, 255).round().astype(np.uint8), owner, labels[chosen])


def turned(rng: np.random.Generator, item: np.ndarray) -> np.ndarray:
    """An item at 2 to 5 times its size, turned by up to 15 degrees: [h, w, 2] float32 (shade, alpha)."""
    scale = rng.uniform(2, 5) / ENLARGED
    size = 28 * ENLARGED
    room = int(np.ceil(size * scale * 1.25))
    matrix = cv2.getRotationMatrix2D((size / 2 - 0.5, size / 2 - 0.5), rng.uniform(-15, 15), scale)
    matrix[:, 2] += room / 2 - size / 2
    return cv2.warpAffine(np.dstack(cut_out(item)), matrix, (room, room), flags=cv2.INTER_LINEAR)


def coloured(rng: np.random.Generator, shade: np.ndarray) -> np.ndarray:
    """Dye a shade [h, w] in 0..1 with a random colour: [h, w, 3] float32 in 0..255."""
    dark = rng.uniform(0, 110, 3)
    light = dark + rng.uniform(0.3, 1.0, 3) * (255 - dark)
    if rng.random() < 0.2:
        dark, light = light, dark
    return (dark + shade[..., None] * (light - dark)).astype(np.float32)


def read_photographs(folder: Path) -> list[np.ndarray]:
    """The JPEG pictures of a folder in the order of their names, each [H, W, 3] uint8 RGB, at least 320 x 320."""
    pictures = []
    for path in sorted(folder.glob("*.jpg")):
        picture = Image.open(path).convert("RGB")
        enlarge = max(1.0, 320 / min(picture.size))
        pictures.append(np.asarray(picture.resize([round(side * enlarge) for side in picture.size])))
    return pictures


def test_composite(index: int, items: np.ndarray, labels: np.ndarray, photographs: list[np.ndarray]) -> Composite:
    """Picture `index` of the test set."""
    return compose(np.random.default_rng([2026, index]), items, labels, photographs)


def write_test_set(folder: Path, count: int = TEST_PICTURES) -> int:
    """Write `images/*.jpg`, COCO annotations and `classmap.txt` into a folder; returns the number of objects.

    Category ids start at 1 in `annotations.json`: line k of `classmap.txt`, counted from 1, names id k. They start at 0
    in `annotations_from_0.json`, which is the same otherwise: rtdetr's labels start there.
    """
    items, labels = fashion_mnist.read_pictures()
    photographs = read_photographs(BACKGROUNDS)
    (folder / "images").mkdir(parents=True)
    images: list[dict] = []
    annotations: list[dict] = []
    for index in range(count):
        composite = test_composite(index, items, labels, photographs)
        name = f"{index:04d}.jpg"
        Image.fromarray(composite.picture).save(folder / "images" / name, quality=88)
        height, width = composite.owner.shape
        images.append({"id": index + 1, "file_name": name, "width": width, "height": height})
        for k, (label, box) in enumerate(zip(composite.labels, composite.boxes(), strict=True)):
            mask = composite.owner == k + 1
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": index + 1,
                    "category_id": int(label) + 1,
                    "bbox": box.tolist(),
                    "area": int(mask.sum()),
                    "iscrowd": 0,
                    "segmentation": run_lengths(mask),
                }
            )
    for name, first in (("annotations.json", 1), ("annotations_from_0.json", 0)):
        document = {
            "images": images,
            "annotations": [{**entry, "category_id": entry["category_id"] - 1 + first} for entry in annotations],
            "categories": [{"id": id, "name": category} for id, category in enumerate(CLASSES, first)],
        }
        (folder / name).write_text(json.dumps(document), encoding="utf-8")
    (folder / "classmap.txt").write_text("".join(f"{name}\n" for name in CLASSES), encoding="utf-8")
    return len(annotations)
