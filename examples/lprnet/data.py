# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Rendered plates with exact labels: white characters on blue, a letter, a dot, five letters or digits; blurred, noisy,
small. `image/NAME.jpg` and `label/NAME.txt`, as lprnet's data sets have them. Everything follows from a seed.

They look like Chinese plates without the character of the province, which no free Latin font has.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from common import unzip_member
from PIL import Image, ImageDraw, ImageFont

FACES = ("Semibold", "Bold")
LETTERS, DIGITS = "ABCDEFGHJKLMNPQRSTUVWXYZ", "0123456789"
PLATES = 200
SIZE, FONT_SIZE, MARGIN = (376, 96), 84, 22
INK = (240, 240, 240)

Fonts = Callable[[np.random.Generator], ImageFont.FreeTypeFont]


def font_chooser(wheel: Path) -> Fonts:
    """A function (generator) -> one of the fonts of `ocr.data.FONTS`."""
    files = [unzip_member(wheel, f"font_source_sans_pro/files/SourceSansPro-{face}.ttf") for face in FACES]
    fonts = [ImageFont.truetype(io.BytesIO(file), FONT_SIZE) for file in files]
    return lambda rng: fonts[rng.integers(len(fonts))]


def random_plate(rng: np.random.Generator) -> str:
    """A letter, then five letters or digits, digits being more frequent."""
    rest = LETTERS + 3 * DIGITS
    return LETTERS[rng.integers(len(LETTERS))] + "".join(rest[rng.integers(len(rest))] for _ in range(5))


def draw_plate(rng: np.random.Generator, fonts: Fonts, text: str) -> np.ndarray:
    """A sharp plate, RGB [96, 376, 3] uint8."""
    blue = tuple(int(rng.integers(*limits)) for limits in ((10, 40), (40, 90), (140, 210)))
    plate = Image.new("RGB", SIZE, blue)
    draw, font = ImageDraw.Draw(plate), fonts(rng)
    draw.rectangle((4, 4, SIZE[0] - 5, SIZE[1] - 5), outline=INK, width=3)
    step, middle = (SIZE[0] - 2 * MARGIN) / (len(text) + 0.3), SIZE[1] / 2
    for index, character in enumerate(text):
        left = MARGIN + step * (index + (0.3 if index else 0))
        draw.text((left + step / 2, middle), character, font=font, fill=INK, anchor="mm")
    dot = MARGIN + step * 1.12
    draw.ellipse((dot - 4, middle - 5, dot + 4, middle + 5), fill=INK)
    return np.asarray(plate)


def photograph(rng: np.random.Generator, plate: np.ndarray) -> np.ndarray:
    """The plate as a small, dim, blurred and noisy picture, RGB [32..43, 110..159, 3] uint8."""
    seen = cv2.GaussianBlur(plate.astype(np.float32), (0, 0), float(rng.uniform(1, 2.5)))
    seen = (seen + rng.normal(0, 5, seen.shape)) * rng.uniform(0.7, 1.05)
    size = (int(rng.integers(110, 160)), int(rng.integers(32, 44)))
    return cv2.resize(seen.clip(0, 255).astype(np.uint8), size, interpolation=cv2.INTER_AREA)


def write_plates(folder: Path, wheel: Path, count: int = PLATES, seed: int = 3) -> int:
    """Write `image/` and `label/`; returns the number of plates."""
    fonts = font_chooser(wheel)
    (folder / "image").mkdir(parents=True)
    (folder / "label").mkdir()
    for index in range(count):
        rng = np.random.default_rng([seed, index])
        text = random_plate(rng)
        picture = photograph(rng, draw_plate(rng, fonts, text))
        Image.fromarray(picture).save(folder / "image" / f"plate_{index:03d}.jpg", quality=92)
        (folder / "label" / f"plate_{index:03d}.txt").write_text(f"{text}\n", encoding="utf-8")
    return count
