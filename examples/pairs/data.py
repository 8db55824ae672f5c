# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Pairs of pictures that differ in a known way: an item of Fashion-MNIST is there or not.

Two data sets follow from their seeds alone: units and golden pictures under four lights (`optical_inspection`,
`visual_changenet` with `task: classify`), and scenes before and after a change with an exact mask (`task: segment`).
Training uses the first half of the committed test pictures on three of the photographs of the detector example; the
data written here uses the other half on the other two.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from detector import data as detector
from fashion_mnist import data as fashion_mnist
from PIL import Image

HERE = Path(__file__).resolve().parent
MODELS = tuple(
    HERE / f"{name}.onnx"
    for name in ("optical_inspection", "change_segment", "change_classify_euclidean", "change_classify_learnable")
)
TEST_PHOTOGRAPHS = ("coffee.jpg", "rocket.jpg")
INSPECTION_PAIRS, CHANGE_PAIRS = 160, 60
UNIT = (72, 96)  # height, width of a unit picture
SCENE = (120, 160)
LIGHTS = ("LowAngleLight", "SolderLight", "UniformLight", "WhiteLight")
DEFECTS = ("MISSING", "WRONG", "EXTRA")


@dataclass(frozen=True, slots=True)
class Stock:
    """What composites are made of: items [N,28,28] uint8 and photographs, each [H,W,3] uint8 RGB."""

    items: np.ndarray
    photographs: list[np.ndarray]


def stock(training: bool) -> Stock:
    """The half of the items and the photographs that training uses, or those that it never sees."""
    items, _ = fashion_mnist.read_pictures()
    files = sorted(detector.BACKGROUNDS.glob("*.jpg"))
    pictures = detector.read_photographs(detector.BACKGROUNDS)
    kept = [
        picture for file, picture in zip(files, pictures, strict=True) if (file.name in TEST_PHOTOGRAPHS) != training
    ]
    half = len(items) // 2
    return Stock(items[:half] if training else items[half:], kept)


@dataclass(slots=True)
class Canvas:
    """A picture that items are laid on: pixels [H,W,3] float32 0..255, owner [H,W] int16 (0 is the background)."""

    pixels: np.ndarray
    owner: np.ndarray

    def copy(self) -> Canvas:
        return Canvas(self.pixels.copy(), self.owner.copy())

    def lay(self, patch: np.ndarray, colour: np.ndarray, top: int, left: int, number: int) -> None:
        """Lay an item [h,w,2] (shade, alpha) with its colours [h,w,3]; it owns the pixels with alpha 0.5 or more."""
        place = np.s_[top : top + patch.shape[0], left : left + patch.shape[1]]
        self.pixels[place] += patch[..., 1:] * (colour - self.pixels[place])
        self.owner[place][patch[..., 1] >= 0.5] = number


def canvas(rng: np.random.Generator, material: Stock, size: tuple[int, int]) -> Canvas:
    return Canvas(detector.background(rng, material.photographs, *size), np.zeros(size, np.int16))


def item(rng: np.random.Generator, material: Stock, high: int) -> tuple[np.ndarray, np.ndarray]:
    """A random item, `high` pixels at most: its patch [h,w,2] and its colours [h,w,3]."""
    patch = detector.turned(rng, material.items[rng.integers(len(material.items))])
    scale = high / patch.shape[0]
    patch = cv2.resize(patch, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return patch, detector.coloured(rng, patch[..., 0])


def somewhere(rng: np.random.Generator, scene: Canvas, patch: np.ndarray) -> tuple[int, int]:
    """A random (top, left) where the patch fits."""
    room = [size - own for size, own in zip(scene.owner.shape, patch.shape, strict=False)]
    return int(rng.integers(room[0] + 1)), int(rng.integers(room[1] + 1))


def finished(rng: np.random.Generator, pixels: np.ndarray, gain: float = 0.05) -> np.ndarray:
    """As a camera would take it a second time: a little lighter or darker, with noise; uint8."""
    noisy = pixels * np.float32(rng.uniform(1 - gain, 1 + gain)) + rng.normal(0, 2, pixels.shape).astype(np.float32)
    return noisy.clip(0, 255).round().astype(np.uint8)


# --- inspection -----------------------------------------------------------------------------------------------------


def lit(pixels: np.ndarray, light: int) -> np.ndarray:
    """The scene under one of the four lights: a gradient from one side, a tint."""
    height, width = pixels.shape[:2]
    ramp = np.linspace(0.5, 1.1, height if light % 2 else width, dtype=np.float32)
    ramp = ramp[:, None] if light % 2 else ramp[None]
    ramp = ramp[::-1] if light == 3 else ramp
    tint = np.array([[1.0, 0.8, 0.7], [0.7, 1.0, 0.8], [0.8, 0.8, 1.0], [1.0, 1.0, 1.0]], np.float32)[light]
    return pixels * ramp[..., None] * tint


def inspection_pair(seed: tuple[int, ...], material: Stock) -> tuple[list[np.ndarray], list[np.ndarray], str]:
    """(unit, golden, label): pictures under each light, each [72,96,3] uint8; the label is PASS or one of DEFECTS."""
    rng = np.random.default_rng(seed)
    empty = canvas(rng, material, UNIT)
    part, colour = item(rng, material, int(rng.integers(44, 60)))
    top, left = somewhere(rng, empty, part)
    golden = empty.copy()
    golden.lay(part, colour, top, left, 1)
    label = "PASS" if rng.random() < 0.6 else DEFECTS[rng.integers(len(DEFECTS))]
    unit = empty.copy()
    shift = rng.integers(-1, 2, 2)
    place = [
        int(np.clip(start + move, 0, size - own))
        for start, move, size, own in zip((top, left), shift, UNIT, part.shape, strict=False)
    ]
    if label == "WRONG":
        other, other_colour = item(rng, material, part.shape[0])
        unit.lay(other, other_colour, *place, 1)
    elif label != "MISSING":
        unit.lay(part, colour, *place, 1)
    if label == "EXTRA":
        other, other_colour = item(rng, material, int(rng.integers(28, 40)))
        unit.lay(other, other_colour, *somewhere(rng, unit, other), 2)
    pictures = [[finished(rng, lit(scene.pixels, light)) for light in range(4)] for scene in (unit, golden)]
    return pictures[0], pictures[1], label


def write_inspection(folder: Path, count: int = INSPECTION_PAIRS) -> int:
    """Write `images/{units,golden}/board_<k>/part_<n>_<light>.jpg` and `pairs.csv`; returns the number of defects."""
    material = stock(training=False)
    rows = []
    for index in range(count):
        unit, golden, label = inspection_pair((7, index), material)
        board, name = f"board_{index // 20:02}", f"part_{index:03}"
        for kind, pictures in (("units", unit), ("golden", golden)):
            target = folder / "images" / kind / board
            target.mkdir(parents=True, exist_ok=True)
            for light, pixels in zip(LIGHTS, pictures, strict=True):
                Image.fromarray(pixels).save(target / f"{name}_{light}.jpg", quality=92)
        rows.append((f"units/{board}/", f"golden/{board}/", name, label))
    with (folder / "pairs.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("input_path", "golden_path", "object_name", "label"))
        writer.writerows(rows)
    return sum(row[3] != "PASS" for row in rows)


# --- change ---------------------------------------------------------------------------------------------------------


def change_pair(seed: tuple[int, ...], material: Stock) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(before, after, changed): pictures [120,160,3] uint8, and where another thing is seen, [120,160] bool."""
    rng = np.random.default_rng(seed)
    before = canvas(rng, material, SCENE)
    for number in range(int(rng.integers(0, 3))):
        patch, colour = item(rng, material, int(rng.integers(36, 70)))
        before.lay(patch, colour, *somewhere(rng, before, patch), number + 1)
    after = before.copy()
    for number in range(int(rng.integers(0, 4))):
        patch, colour = item(rng, material, int(rng.integers(36, 80)))
        scene = before if rng.random() < 0.5 else after
        scene.lay(patch, colour, *somewhere(rng, scene, patch), number + 10)
    return finished(rng, before.pixels), finished(rng, after.pixels, 0.15), before.owner != after.owner


def write_changes(folder: Path, count: int = CHANGE_PAIRS) -> float:
    """Write `A/*.jpg`, `B/*.jpg`, `label/*.png` (0, 255) and `list/test.txt`; returns the share of changed pixels."""
    material = stock(training=False)
    for name in ("A", "B", "label", "list"):
        (folder / name).mkdir(parents=True)
    names, changed = [], 0.0
    for index in range(count):
        before, after, mask = change_pair((8, index), material)
        name = f"scene_{index:03}"
        Image.fromarray(before).save(folder / "A" / f"{name}.jpg", quality=92)
        Image.fromarray(after).save(folder / "B" / f"{name}.jpg", quality=92)
        Image.fromarray(mask.astype(np.uint8) * 255).save(folder / "label" / f"{name}.png")
        names.append(f"{name}.jpg")
        changed += float(mask.mean())
    (folder / "list/test.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    return changed / count
