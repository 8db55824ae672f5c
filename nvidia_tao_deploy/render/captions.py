# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures with lines of text below them, enlarged where they are too small to read."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image, ImageFont

logger = logging.getLogger(__name__)
FONT_VARIABLE = "TAO_DEPLOY_FONT"
"""Names a font file for everything that is drawn and has no font of its own."""
SMALLEST_SIDE = 240
"""Pictures whose longer side is smaller are enlarged by a whole factor."""
PAPER, INK = (255, 255, 255), (20, 20, 20)


def font_of(size: int, file: str = "") -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """A font file at a size in pixels; "" is that of TAO_DEPLOY_FONT, or the one built into Pillow (ASCII only)."""
    return _font(size, file or os.environ.get(FONT_VARIABLE, ""))


@lru_cache(maxsize=16)
def _font(size: int, file: str) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    from PIL import ImageFont

    return ImageFont.truetype(file, size) if file else ImageFont.load_default(size)


def has_glyph(character: str, file: str = "") -> bool:
    """Whether the font draws this character as something of its own, not as the box for missing ones."""
    return character.isspace() or _has_glyph(character, file or os.environ.get(FONT_VARIABLE, ""))


@lru_cache(maxsize=4096)
def _has_glyph(character: str, file: str) -> bool:
    font = _font(24, file)
    return bytes(font.getmask(character)) != bytes(font.getmask("\U000fffff"))


def check_names(names: Iterable[str]) -> None:
    """Warn of names that will be drawn as boxes. Raises SpecError when the font of TAO_DEPLOY_FONT cannot be used."""
    checked_font(os.environ.get(FONT_VARIABLE, ""), FONT_VARIABLE)
    missing = sorted({character for name in names for character in name if not has_glyph(character)})
    if missing:
        logger.warning(
            "names on pictures: the font has no %s and draws boxes; %s=FILE.ttf names one that has them",
            " ".join(missing[:20]), FONT_VARIABLE,
        )  # fmt: skip


def captioned(picture: np.ndarray, lines: Sequence[str], font_file: str = "") -> Image.Image:
    """The picture ((H,W,3) uint8 RGB) with lines of text on white below it; long lines are cut at the right border."""
    from PIL import Image, ImageDraw

    image = Image.fromarray(picture)
    factor = max(1, round(SMALLEST_SIDE / max(image.size)))
    if factor > 1:
        image = image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    size = min(max(14, image.width // 16), 32)
    font = font_of(size, font_file)
    step = round(size * 1.3)
    shown = Image.new("RGB", (image.width, image.height + step * len(lines) + size // 3), PAPER)
    shown.paste(image)
    draw = ImageDraw.Draw(shown)
    for index, line in enumerate(lines):
        draw.text((size // 4, image.height + step * index), line, fill=INK, font=font)
    return shown


def checked_font(file: str, key: str) -> str:
    """The font file. Raises SpecError when it cannot be used."""
    from nvidia_tao_deploy.errors import SpecError

    if file:
        try:
            font_of(24, file)
        except OSError as error:
            what = "no such file" if not Path(file).is_file() else "not a font"
            raise SpecError(f"{key}: {file}: {what}; expected a .ttf or .otf file.") from error
    return file
