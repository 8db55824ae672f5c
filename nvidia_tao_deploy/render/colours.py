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
        chosen: class name -> colour in any form that Pillow knows (green, #00ff00, rgb(0,255,0), hsl(120,100%,50%)).
        names: the class names, to warn of a key that is none of them; empty when they are not known.
        key: spec key of `chosen`, for messages.

    Raises:
        SpecError: a colour that Pillow does not know.
    """

    def __init__(self, chosen: Mapping[str, str] | None, names: Collection[str] = (), key: str = "color_map") -> None:
        self._colours = {str(name): _parse(str(name), value, key) for name, value in (chosen or {}).items()}
        for name in self._colours:
            if names and name not in names:
                hint = did_you_mean(name, names)
                logger.warning("%s: no class is named '%s'.%s", key, name, f" {hint}" if hint else "")

    def __getitem__(self, name: str) -> Colour:
        colour = self._colours.get(name)
        if colour is None:
            colour = self._colours[name] = derived_colour(name)
        return colour


def _parse(name: str, value: object, key: str) -> Colour:
    from PIL import ImageColor

    try:
        return ImageColor.getrgb(str(value))[:3]
    except ValueError as error:
        hint = did_you_mean(str(value), ImageColor.colormap)
        raise SpecError(
            f"{key}.{name}: '{value}' is no colour; expected a name such as green, or #rrggbb.", hint=hint
        ) from error
