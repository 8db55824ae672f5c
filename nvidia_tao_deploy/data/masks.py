# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Segmentation masks: files -> class index per pixel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nvidia_tao_deploy.data.pictures import decoded
from nvidia_tao_deploy.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

IGNORED = 255
"""Index of pixels that count neither for nor against; in a mask the value 255, where that is no class."""
SHOWN = 6


@dataclass(frozen=True, slots=True)
class MaskReader:
    """Reads masks of any storage: grey, palette (the index counts, not the colour), one bit, 16 bits, RGB(A).

    Attributes:
        classes: number of classes.
        black_and_white: two values stored as 0 and 255, which count as 0 and 1 (`label_transform: norm`); otherwise
            255 is `IGNORED`.
        labels: class index of each value; None where values are class indices.
        colours: class index of each RGB colour (0..255), for masks stored in colour; None when no colours are known.
        transform_key, colour_key: spec keys, for messages.
    """

    classes: int
    black_and_white: bool = False
    labels: Mapping[int, int] | None = None
    colours: Mapping[tuple[int, int, int], int] | None = None
    transform_key: str = "dataset.segment.label_transform"
    colour_key: str = "dataset.segment.color_map"

    def __call__(self, path: Path) -> np.ndarray:
        """(H,W) uint8 class indices (uint16 where there are more than 255 classes); `IGNORED` where none counts.

        Raises:
            DataError: missing, unreadable, or with values that are no class (says which were found).
        """
        values = self._stored(path)
        return self._by_colour(path, values) if values.ndim == 3 else self._by_value(path, values)

    def _stored(self, path: Path) -> np.ndarray:
        """(H,W) integers as stored, or (H,W,3) uint8."""
        return decoded(path, lambda opened: _pixels(opened, 255 if self.black_and_white else 1), "mask")

    def _by_colour(self, path: Path, pixels: np.ndarray) -> np.ndarray:
        import numpy as np

        known = self.colours or {}
        found = _matched(pixels, known, _dtype(self.classes))
        if found is not None:
            return found
        if np.array_equal(pixels[..., 0], pixels[..., 1]) and np.array_equal(pixels[..., 1], pixels[..., 2]):
            return self._by_value(path, pixels[..., 0])
        codes = np.unique(pixels.astype(np.int32) @ np.array((1 << 16, 1 << 8, 1), np.int32)).tolist()
        unknown = [(code >> 16, code >> 8 & 255, code & 255) for code in codes]
        unknown = [colour for colour in unknown if colour not in known]
        listed = ", ".join(map(str, unknown[:SHOWN]))
        more = f" and {len(unknown) - SHOWN} more" if len(unknown) > SHOWN else ""
        if known:
            raise DataError(f"{path}: a mask in colour, with colours that {self.colour_key} lacks: {listed}{more}.")
        raise DataError(
            f"{path}: a mask in colour ({listed}{more}); expected one value per pixel. "
            f"{self.colour_key} would say which colour is which class."
        )

    def _by_value(self, path: Path, values: np.ndarray) -> np.ndarray:
        import numpy as np

        found = _present(values)
        if self.black_and_white:
            self._refuse(path, found[~np.isin(found, (0, 255))], "0 and 255 (label_transform: norm)")
            values, found = (values == 255).astype(np.uint8), found // 255
        if self.labels is not None:
            return self._by_label(path, values, found, self.labels)
        if self.black_and_white:
            return values
        classes = (found >= 0) & (found < self.classes)
        others = found[~classes & (found != IGNORED)]
        self._refuse(path, others, f"0 to {self.classes - 1}, or {IGNORED} for pixels that do not count")
        return values.astype(_dtype(self.classes))

    def _by_label(self, path: Path, values: np.ndarray, found: np.ndarray, labels: Mapping[int, int]) -> np.ndarray:
        import cv2
        import numpy as np

        listed = ", ".join(map(str, sorted(labels)[:SHOWN])) + (", ..." if len(labels) > SHOWN else "")
        uncounted = "" if IGNORED in labels else f", or {IGNORED} for pixels that do not count"
        others = found[~np.isin(found, [*labels, IGNORED])]
        self._refuse(path, others, f"label_id of {self.colour_key} ({listed}){uncounted}")
        table: np.ndarray = np.full(max(*labels, IGNORED) + 1, IGNORED, _dtype(self.classes))
        for label, index in labels.items():
            table[label] = index
        if values.dtype == table.dtype == np.uint8:
            return cv2.LUT(values, table[:256])
        return np.take(table, values)

    def _refuse(self, path: Path, values: np.ndarray, expected: str) -> None:
        if not len(values):
            return
        listed = ", ".join(map(str, values[:SHOWN].tolist()))
        more = f" and {len(values) - SHOWN} more" if len(values) > SHOWN else ""
        if self.black_and_white:
            way_out = f" For masks that hold class numbers set {self.transform_key}=none."
        else:
            way_out = f" For masks of 0 and 255 set {self.transform_key}=norm." if self.classes == 2 else ""
        raise DataError(f"{path}: the mask holds {listed}{more}; expected {expected}.{way_out}")


def _matched(pixels: np.ndarray, known: Mapping[tuple[int, int, int], int], kind: type) -> np.ndarray | None:
    """(H,W) class of each pixel (H,W,3) by its colour; None where a pixel has another one. A pass over whole pictures
    for each colour is quicker than looking up every pixel."""
    import cv2
    import numpy as np

    left = pixels.shape[0] * pixels.shape[1]
    classes: np.ndarray = np.zeros(pixels.shape[:2], kind)
    for colour, index in known.items():
        here = cv2.inRange(pixels, colour, colour)
        left -= cv2.countNonZero(here)
        if index:
            classes |= (here != 0) * kind(index)
        if not left:
            return classes
    return None


def _present(values: np.ndarray) -> np.ndarray:
    """The different values of a mask, rising."""
    import cv2
    import numpy as np

    if values.dtype != np.uint8 or not values.size:
        return np.unique(values)
    return np.flatnonzero(cv2.calcHist([np.ascontiguousarray(values)], [0], None, [256], [0, 256]))


def _dtype(classes: int) -> type:
    import numpy as np

    return np.uint8 if classes <= IGNORED else np.uint16


def _pixels(picture: Image.Image, one: int) -> np.ndarray:
    """As stored: palette indices, grey values, bits times `one`; colour without transparency."""
    import numpy as np

    if picture.mode == "1":
        return np.asarray(picture).astype(np.uint8) * np.uint8(one)
    if picture.mode in ("L", "P", "I") or picture.mode.startswith("I;16"):
        return np.asarray(picture)
    if picture.mode in ("LA", "PA"):
        return np.asarray(picture.getchannel(0))
    return np.asarray(picture.convert("RGB"))
