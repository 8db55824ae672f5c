# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Composites of the detector example with a class for every pixel: which kind of thing it shows, or the background.

A mask holds the number of the item's kind in Fashion-MNIST, counted from 1, and 0 for the background; a palette puts
kinds together to the classes that the model knows. The test set uses half of the committed items and two of the
photographs, training the others (as `pairs.data.stock` deals them out).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml
from detector import data as detector
from fashion_mnist import data as fashion_mnist
from pairs import data as pairs
from PIL import Image

MODEL = Path(__file__).resolve().parent / "segformer.onnx"
PICTURES = 60
BACKGROUND = "background"
KINDS = (BACKGROUND, *fashion_mnist.CLASSES)
"""Kind of each value of a mask."""
GROUPS = {
    "shoe": ("ankle_boot", "sandal", "sneaker"),
    "bag": ("bag",),
    "top": ("coat", "pullover", "shirt", "t_shirt"),
    "dress": ("dress",),
    "trousers": ("trouser",),
}
"""Class of the model, from 1 on (0 is the background) -> kinds. In the order of the first kinds' values in masks: the
palette names a class after its first kind, and classes are numbered by that."""
COLOURS = ((0, 0, 0), (60, 190, 90), (190, 80, 210), (230, 60, 60), (240, 200, 40), (60, 120, 230))


def stock(training: bool) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """(items [N,28,28] uint8, their labels [N], photographs) of training, or those that it never sees."""
    material, (_, labels) = pairs.stock(training), fashion_mnist.read_pictures()
    part = slice(None, len(labels) // 2) if training else slice(len(labels) // 2, None)
    return material.items, labels[part], material.photographs


def kinds(composite: detector.Composite) -> np.ndarray:
    """[H,W] uint8: index into `KINDS` of every pixel."""
    return np.concatenate([[0], composite.labels + 1]).astype(np.uint8)[composite.owner]


def classes(values: np.ndarray) -> np.ndarray:
    """Indices into `KINDS` -> classes of the model."""
    groups = {kind: index for index, group in enumerate(GROUPS.values(), 1) for kind in group}
    return np.array([groups.get(kind, 0) for kind in KINDS], np.uint8)[values]


def palette() -> list[dict]:
    """The palette of a spec: an entry for each kind, the first of each group giving its name to the others."""
    first = {kind: group[0] for group in GROUPS.values() for kind in group}
    colours = {group[0]: COLOURS[index] for index, group in enumerate(GROUPS.values(), 1)}
    return [
        {
            "seg_class": kind,
            "label_id": value,
            "mapping_class": first.get(kind, kind),
            "rgb": list(colours.get(first.get(kind, kind), COLOURS[0])),
        }
        for value, kind in enumerate(KINDS)
    ]


def write_test_set(folder: Path, count: int = PICTURES) -> int:
    """Write `images/test/*.jpg`, `masks/test/*.png` and `palette.yaml`; returns how many items there are."""
    items, labels, photographs = stock(training=False)
    for part in ("images", "masks"):
        (folder / part / "test").mkdir(parents=True)
    objects = 0
    for index in range(count):
        composite = detector.compose(np.random.default_rng([2027, index]), items, labels, photographs)
        name = f"{index:04d}"
        Image.fromarray(composite.picture).save(folder / "images" / "test" / f"{name}.jpg", quality=88)
        Image.fromarray(kinds(composite)).save(folder / "masks" / "test" / f"{name}.png")
        objects += len(composite.labels)
    (folder / "palette.yaml").write_text(yaml.safe_dump(palette(), sort_keys=False), encoding="utf-8")
    return objects
