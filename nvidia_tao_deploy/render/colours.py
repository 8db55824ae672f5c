# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Colours of classes: given by name in the spec, else derived from the class name, the same in every run."""

from __future__ import annotations

import colorsys
import logging
import zlib
from collections.abc import Collection, Mapping

from nvidia_tao_deploy.errors import SpecError, did_you_mean

logger = logging.getLogger(__name__)
Colour = tuple[int, int, int]


def derived_colour(name: str) -> Colour:
    """A bright RGB colour (0..255) that depends on the class name alone."""
    code = zlib.crc32(name.encode())
    hue, lightness = code % 360 / 360, 0.45 + (code >> 16) % 3 * 0.08
    red, green, blue = colorsys.hls_to_rgb(hue, lightness, 0.9)
    return round(red * 255), round(green * 255), round(blue * 255)


def text_colour(background: Colour) -> Colour:
    """Black or white, whichever reads better on `background` (ITU-R 601 luma)."""
    red, green, blue = background
    return (0, 0, 0) if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else (255, 255, 255)


class ClassColours:
    """Colour of each class name.

    Args:
        chosen: class name -> [r, g, b], or any form that Pillow knows (green, #00ff00, rgb(0,255,0)).
        names: the class names, to warn of a key that is none of them; empty when they are not known.
        key: spec key of `chosen`, for messages.

    Raises:
        SpecError: no mapping, or something that is no colour.
    """

    def __init__(self, chosen: object, names: Collection[str] = (), key: str = "color_map") -> None:
        chosen = chosen or {}
        if not isinstance(chosen, Mapping):
            raise SpecError(f"{key}: '{chosen}': expected a colour for each class name, such as {{person: green}}")
        self._colours = {str(name): parse_colour(value, f"{key}.{name}") for name, value in chosen.items()}
        for name in self._colours:
            if names and name not in names:
                hint = did_you_mean(name, names)
                logger.warning("%s: no class is named '%s'.%s", key, name, f" {hint}" if hint else "")

    def __getitem__(self, name: str) -> Colour:
        colour = self._colours.get(name)
        if colour is None:
            colour = self._colours[name] = derived_colour(name)
        return colour


def parse_colour(value: object, where: str) -> Colour:
    """[r, g, b] with values of 0 to 255, or any colour that Pillow knows, as RGB; `where` it stands, for messages.

    Raises:
        SpecError: it is neither.
    """
    from PIL import ImageColor

    if isinstance(value, (list, tuple)):
        if len(value) == 3 and all(isinstance(part, int) and 0 <= part <= 255 for part in value):
            return value[0], value[1], value[2]
        raise SpecError(f"{where}: {list(value)}: expected three numbers from 0 to 255")
    try:
        return ImageColor.getrgb(str(value))[:3]
    except ValueError as error:
        raise SpecError(
            f"{where}: '{value}' is no colour; expected [r, g, b], #rrggbb, or a name such as green.",
            hint=did_you_mean(str(value), ImageColor.colormap),
        ) from error
