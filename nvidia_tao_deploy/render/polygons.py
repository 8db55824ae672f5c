# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Results of text detection: the picture with outlines, the probability map, and a list of regions."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nvidia_tao_deploy.files import write_atomic
from nvidia_tao_deploy.network import Frame, Sample
from nvidia_tao_deploy.predictions import TextRegions
from nvidia_tao_deploy.render.boxes import LONGEST_SIDE
from nvidia_tao_deploy.render.names import ResultNames

if TYPE_CHECKING:
    import numpy as np

logger = logging.getLogger(__name__)
RED = (255, 0, 0)
LINE_WIDTH = 2
SHOWN_WINDOWS = 20
"""With `show: true`: pictures opened at most, because each is a window."""


def draw_polygons(picture: np.ndarray, polygons: Sequence[np.ndarray]) -> np.ndarray:
    """A copy of the picture (H,W,3) uint8 RGB with closed red outlines, 2 pixels wide."""
    import cv2
    import numpy as np

    lines = [np.rint(polygon).astype(np.int32) for polygon in polygons]
    return cv2.polylines(picture.copy(), lines, True, RED, LINE_WIDTH)


def region_line(polygon: np.ndarray, score: float) -> str:
    """`x1,y1,...,xk,yk,score`: whole pixels of the original picture, the score with 6 decimals."""
    import numpy as np

    corners = ",".join(map(str, np.rint(polygon).astype(int).ravel().tolist()))
    return f"{corners},{score:.6f}"


class RegionWriter:
    """Writes `<stem>_result.jpg`, `<stem>_pred.jpg` and `<stem>.txt` for each picture.

    Pictures that share a stem keep their ending: `a.png_result.jpg`, `a.png.txt`.

    Args:
        folder: existing folder.
        samples: all samples, to know which stems are shared.
        show: also open the pictures in the desktop's viewer, where there is one.
    """

    keeps_picture = True

    def __init__(self, folder: Path, samples: Sequence[Sample], show: bool = False) -> None:
        self._folder, self._names = folder, ResultNames(samples)
        self._show = SHOWN_WINDOWS if show and _has_display() else 0

    def write(self, frame: Frame, prediction: TextRegions) -> Path:
        import cv2
        import numpy as np

        assert frame.picture is not None
        assert prediction.heatmap is not None
        name = frame.sample.name
        result = self._names.path(self._folder, name, "_result.jpg")
        drawn = draw_polygons(frame.picture, prediction.polygons)
        _save(result, cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR))
        _save(self._names.path(self._folder, name, "_pred.jpg"), np.rint(prediction.heatmap * 255).astype(np.uint8))
        pairs = zip(prediction.polygons, prediction.scores.tolist(), strict=True)
        text = "".join(f"{region_line(polygon, score)}\n" for polygon, score in pairs)
        write_atomic(self._names.path(self._folder, name, ".txt"), text)
        return result

    def record(self, frame: Frame, result: Path) -> None:
        if self._show:
            from PIL import Image

            self._show -= 1
            Image.open(result).show(title=frame.sample.name)
            if not self._show:
                logger.warning("inference.show: %d pictures are open; no more are shown", SHOWN_WINDOWS)

    def finish(self) -> list[Path]:
        return [self._folder]


def _save(path: Path, picture: np.ndarray) -> None:
    """Write a JPEG; `picture` is grey or BGR, and is made smaller where the format cannot hold it."""
    import cv2

    height, width = picture.shape[:2]
    scale = LONGEST_SIDE["JPEG"] / max(height, width)
    if scale < 1:
        size = (max(1, int(width * scale)), max(1, int(height * scale)))
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".jpg", picture)
    write_atomic(path, data.tobytes())


def _has_display() -> bool:
    if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        return True
    logger.warning("inference.show: there is no display here; the pictures are written, not shown")
    return False
