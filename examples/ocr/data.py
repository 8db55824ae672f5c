# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Rendered text with exact ground truth: pages for `ocdnet`, cut-out lines for `ocrnet`.

Pages come in the layout of ICDAR 2015 (`img/NAME.jpg`, `gt/gt_NAME.txt` with `x1,y1,...,x4,y4,text`, clockwise from the
top left in pixels): each line of text is one quadrilateral that fits its ink; small blurred lines are marked `###`
("don't care"). Lines come as `img/NAME.jpg` and one `gt.txt` with `name<TAB>label`.

Everything follows from a seed. Fonts: Source Sans Pro (SIL OFL 1.1, fetched) and the one built into Pillow.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from common import Package, unzip_member
from PIL import Image, ImageDraw, ImageFont

FONTS = Package(
    name="font-source-sans-pro",
    version="0.0.1",
    wheel="font_source_sans_pro-0.0.1-py3-none-any.whl",
    sha256="2250396f565a0fea35726e56059216d1d5d75071d64d075ebdfec183b4b85765",
    licence="OFL-1.1",
    size_mb=2.2,
)
FACES = ("Regular", "Semibold", "Bold", "It")
DONT_CARE = "###"
PAGES, LINES = 20, 200

WORD_LIST = Path(__file__).resolve().parent / "words.txt"
WORDS = WORD_LIST.read_text(encoding="utf-8").split()


Fonts = Callable[[np.random.Generator, int], ImageFont.FreeTypeFont]


def font_chooser(wheel: Path) -> Fonts:
    """A function (generator, size in pixels) -> one of the fonts at that size."""
    faces = [unzip_member(wheel, f"font_source_sans_pro/files/SourceSansPro-{face}.ttf") for face in FACES]

    @cache
    def opened(index: int, size: int) -> ImageFont.FreeTypeFont:
        if index == len(faces):
            return ImageFont.load_default(size)  # built into Pillow
        return ImageFont.truetype(io.BytesIO(faces[index]), size)

    return lambda rng, size: opened(int(rng.integers(len(faces) + 1)), size)


def random_text(rng: np.random.Generator, words: int) -> str:
    """Words in different styles of writing and numbers, with blanks or hyphens between."""
    parts = []
    for _ in range(words):
        word = WORDS[rng.integers(len(WORDS))]
        style = rng.integers(5)
        numbers = str(rng.integers(10, 9999)), f"{rng.integers(1, 99)}.{rng.integers(10, 99)}", f"A{rng.integers(999)}"
        parts.append((word, word.capitalize(), word.upper(), word.capitalize(), numbers[rng.integers(3)])[style])
    return ("-" if rng.random() < 0.4 else " ").join(parts)


def ink(text: str, font: ImageFont.FreeTypeFont) -> np.ndarray:
    """A line of text as coverage [H, W] uint8 (0 none, 255 full), cut so that every edge touches ink."""
    left, top, right, bottom = font.getbbox(text)
    canvas = Image.new("L", (math.ceil(right - left) + 8, math.ceil(bottom - top) + 8))
    ImageDraw.Draw(canvas).text((4 - left, 4 - top), text, fill=255, font=font)
    pixels = np.asarray(canvas)
    rows, columns = np.flatnonzero(pixels.max(1) > 127), np.flatnonzero(pixels.max(0) > 127)
    return pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def rotation(angle: float) -> np.ndarray:
    """Matrix [2, 2] that turns (x, y) clockwise on a picture by an angle in degrees."""
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    return np.array([[cos, -sin], [sin, cos]])


def corners(mask: np.ndarray, centre: np.ndarray, angle: float) -> np.ndarray:
    """Where the corners of a turned mask lie on the page: [4, 2], clockwise from its top left.

    Coordinates count from the outer edge of the first pixel. `centre` is where the middle of the mask goes.
    """
    height, width = mask.shape
    own = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)
    return (own - [width / 2, height / 2]) @ rotation(angle).T + centre


def paint(picture: np.ndarray, mask: np.ndarray, centre: np.ndarray, angle: float, colour: np.ndarray) -> None:
    """Blend a colour into a picture [H, W, 3] float32 through a turned mask [h, w] uint8."""
    quad = corners(mask, centre, angle)
    limits = [picture.shape[1], picture.shape[0]]
    low = np.clip(np.floor(quad.min(0)).astype(int) - 2, 0, limits)
    high = np.clip(np.ceil(quad.max(0)).astype(int) + 2, 0, limits)
    turn = rotation(angle)
    # OpenCV counts from pixel centres: p' = turn (p + 1/2 - middle) + centre - 1/2
    offset = turn @ (0.5 - np.array(mask.shape[::-1]) / 2) + centre - 0.5 - low
    coverage = cv2.warpAffine(mask, np.hstack([turn, offset[:, None]]), tuple(int(n) for n in high - low))
    part = picture[low[1] : high[1], low[0] : high[0]]
    part += (coverage / np.float32(255))[..., None] * (colour.astype(np.float32) - part)


def background(rng: np.random.Generator, height: int, width: int) -> tuple[np.ndarray, bool]:
    """A soft gradient with a little noise [H, W, 3] float32 in 0..255, and whether it is light."""
    light = bool(rng.random() < 0.7)
    low, high = (165, 250) if light else (15, 95)
    ends = rng.uniform(low, high, (2, 3))
    direction = rng.uniform(-1, 1, 2)
    ramp = np.linspace(-1, 1, height)[:, None] * direction[0] + np.linspace(-1, 1, width)[None] * direction[1]
    ramp = (ramp - ramp.min()) / (np.ptp(ramp) + 1e-9)
    picture = ends[0] + ramp[..., None] * (ends[1] - ends[0])
    return (picture + rng.normal(0, 4, (height, width, 1))).astype(np.float32), light


def text_colour(rng: np.random.Generator, light: bool) -> np.ndarray:
    """A colour that stands out from the background."""
    return rng.uniform(0, 80, 3) if light else rng.uniform(185, 255, 3)


def render_page(rng: np.random.Generator, fonts: Fonts) -> tuple[np.ndarray, list[tuple[np.ndarray, str]]]:
    """One page: RGB picture [H, W, 3] uint8 and its lines as (corners [4, 2], text)."""
    height, width = int(rng.integers(480, 1000)), int(rng.integers(720, 1500))
    picture, light = background(rng, height, width)
    taken = np.zeros((height, width), bool)
    lines: list[tuple[np.ndarray, str]] = []
    wanted = int(rng.integers(6, 14))
    for _ in range(wanted * 6):
        if len(lines) == wanted:
            break
        ignored = bool(rng.random() < 0.12)
        size = int(rng.integers(10, 13) if ignored else rng.integers(22, 64))
        text = random_text(rng, int(rng.integers(1, 4)))
        mask = ink(text, fonts(rng, size))
        if ignored:
            mask = cv2.GaussianBlur(np.pad(mask, 3), (0, 0), 2.0)
        angle = float(rng.choice([0.0, 0.0, rng.uniform(-25, 25)]))
        centre = rng.uniform(0, [width, height])
        quad = corners(mask, centre, angle)
        low, high = quad.min(0), quad.max(0)
        if (low < 6).any() or high[0] > width - 6 or high[1] > height - 6:
            continue
        # Keep half a line's height free around each line, so that no detector can take two for one.
        gap = max(14, mask.shape[0] // 2)
        box = np.s_[max(0, int(low[1]) - gap) : int(high[1]) + gap, max(0, int(low[0]) - gap) : int(high[0]) + gap]
        if taken[box].any():
            continue
        taken[box] = True
        paint(picture, mask, centre, angle, text_colour(rng, light))
        lines.append((quad, DONT_CARE if ignored else text))
    return picture.clip(0, 255).round().astype(np.uint8), lines


def write_pages(folder: Path, wheel: Path, count: int = PAGES, seed: int = 1) -> int:
    """Write `img/` and `gt/` of rendered pages into a folder; returns the number of lines of text."""
    fonts = font_chooser(wheel)
    (folder / "img").mkdir(parents=True)
    (folder / "gt").mkdir()
    total = 0
    for index in range(count):
        picture, lines = render_page(np.random.default_rng([seed, index]), fonts)
        Image.fromarray(picture).save(folder / "img" / f"page_{index:03d}.jpg", quality=90)
        rows = [f"{','.join(map(str, quad.round().astype(int).ravel()))},{text}\n" for quad, text in lines]
        (folder / "gt" / f"gt_page_{index:03d}.txt").write_text("".join(rows), encoding="utf-8")
        total += len(lines)
    return total


def render_line(rng: np.random.Generator, fonts: Fonts) -> tuple[np.ndarray, str]:
    """One line cut out closely: RGB picture [H, W, 3] uint8 and its text.

    The recogniser squashes whatever it gets to 320 x 48, so only lines of about that shape are taken.
    """
    while True:
        text = random_text(rng, int(rng.choice([1, 1, 2, 2, 3])))
        mask = ink(text, fonts(rng, int(rng.integers(26, 48))))
        margin = rng.uniform(0.1, 0.25, 4) * mask.shape[0]
        height, width = (round(side) for side in (mask.shape[0] + margin[:2].sum(), mask.shape[1] + margin[2:].sum()))
        if 4.5 < width / height < 9:
            break
    picture, light = background(rng, height, width)
    centre = np.array([margin[2] + mask.shape[1] / 2, margin[0] + mask.shape[0] / 2])
    paint(picture, mask, centre, rng.uniform(-1, 1), text_colour(rng, light))
    return picture.clip(0, 255).round().astype(np.uint8), text


def write_lines(folder: Path, wheel: Path, count: int = LINES, seed: int = 2) -> int:
    """Write `img/` and `gt.txt` of rendered lines into a folder; returns how many labels contain a space."""
    fonts = font_chooser(wheel)
    (folder / "img").mkdir(parents=True)
    rows = []
    for index in range(count):
        picture, text = render_line(np.random.default_rng([seed, index]), fonts)
        name = f"line_{index:03d}.jpg"
        Image.fromarray(picture).save(folder / "img" / name, quality=92)
        rows.append(f"{name}\t{text}\n")
    (folder / "gt.txt").write_text("".join(rows), encoding="utf-8")
    return sum(" " in row for row in rows)
