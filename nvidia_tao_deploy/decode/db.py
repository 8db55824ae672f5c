# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Differentiable-binarisation (DB) text maps -> text regions.

The steps and constants are those of the SegDetectorRepresenter that TAO takes from the DB reference implementation
(Liao et al., Real-time Scene Text Detection with Differentiable Binarization, AAAI 2020, section 3.4): threshold,
contours, mean probability as score, and an offset by area * unclip_ratio / perimeter, because the network is trained on
regions shrunk by a like amount.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from nvidia_tao_deploy.network import Frame
from nvidia_tao_deploy.predictions import TextRegions

if TYPE_CHECKING:
    import numpy as np

MIN_SIDE = 3
"""Pixels of the map: regions with a shorter side are noise."""
MIN_GROWN_SIDE = MIN_SIDE + 2
"""The same after the offset."""
SIMPLIFY = 1e-4
"""Polygon mode: tolerated deviation of a simplified outline, as a part of its length."""


@dataclass(frozen=True, slots=True)
class DecodeRegions:
    """Decoder for the pipeline.

    Attributes:
        output: name of the output with the maps (B,1,H',W') of text probability.
        input_size: (H,W) of the network input; None where maps are as large as the input.
        threshold: a map pixel above it is text, 0..1.
        box_threshold: least mean probability of a region, 0..1.
        max_candidates: contours looked at per picture.
        unclip_ratio: how far regions grow, in units of area / perimeter.
        polygons: outlines with any number of corners instead of quadrilaterals.
        keep_map: keep the map in the prediction.
    """

    output: str
    input_size: tuple[int, int] | None = None
    threshold: float = 0.3
    box_threshold: float = 0.55
    max_candidates: int = 1000
    unclip_ratio: float = 1.5
    polygons: bool = False
    keep_map: bool = False

    def __call__(self, outputs: Mapping[str, np.ndarray], frames: Sequence[Frame]) -> list[TextRegions]:
        """One TextRegions per frame; its coordinates lie within 0..width and 0..height of the picture."""
        maps = outputs[self.output][:, 0]
        if len(frames) == 1:
            return [self._one(maps[0], frames[0])]
        return list(_pool().map(self._one, maps, frames))  # OpenCV works without the interpreter lock

    def _one(self, probability: np.ndarray, frame: Frame) -> TextRegions:
        import numpy as np

        probability = np.ascontiguousarray(probability, np.float32)
        regions, scores = find_regions(
            probability, self.threshold, self.box_threshold, self.max_candidates, self.unclip_ratio, self.polygons
        )
        height, width = self.input_size or probability.shape
        scale = (width / probability.shape[1], height / probability.shape[0])
        return TextRegions(
            polygons=tuple(_to_picture(region, scale, frame) for region in regions),
            scores=np.asarray(scores, np.float32),
            heatmap=probability.copy() if self.keep_map else None,
        )


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(len(os.sched_getaffinity(0)), thread_name_prefix="regions")


def _to_picture(region: np.ndarray, scale: tuple[float, float], frame: Frame) -> np.ndarray:
    """(K,2) pixels of the map -> float32 pixels of the picture, clipped to it."""
    import numpy as np

    points = frame.geometry.to_original(region * scale)
    return np.clip(points, 0, (frame.size[1], frame.size[0])).astype(np.float32)


def find_regions(
    probability: np.ndarray,
    threshold: float,
    box_threshold: float,
    max_candidates: int,
    unclip_ratio: float,
    polygons: bool = False,
) -> tuple[list[np.ndarray], list[float]]:
    """Text regions of one map.

    Args:
        probability: (H',W') float32, 0..1, contiguous.
        threshold, box_threshold, max_candidates, unclip_ratio, polygons: see DecodeRegions.

    Returns:
        Regions as (K,2) float32 x y in pixels of the map, not clipped, in OpenCV's order of contours; and their scores.
        Unless `polygons`, K is 4 and the corners are top left, top right, bottom right, bottom left.
    """
    import cv2
    import numpy as np

    mask = (probability > threshold).view(np.uint8)
    contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    shape: Callable[[np.ndarray], np.ndarray | None] = _outline if polygons else _rectangle
    score = partial(mean_inside, probability)
    regions, scores = [], []
    for contour in contours[:max_candidates]:
        points = shape(contour)
        if points is None:
            continue
        value = score(contour[:, 0] if polygons else points)
        if value < box_threshold:
            continue
        grown = grow(points, unclip_ratio)
        if grown is None:
            continue
        centre_size_angle = cv2.minAreaRect(grown)
        if min(centre_size_angle[1]) < MIN_GROWN_SIDE:
            continue
        regions.append(grown.astype("float32") if polygons else ordered_corners(centre_size_angle))
        scores.append(value)
    return regions, scores


def _rectangle(contour: np.ndarray) -> np.ndarray | None:
    """Corners of the smallest rectangle around a contour; None when it is too thin."""
    import cv2

    rectangle = cv2.minAreaRect(contour)
    return ordered_corners(rectangle) if min(rectangle[1]) >= MIN_SIDE else None


def _outline(contour: np.ndarray) -> np.ndarray | None:
    """A contour without its needless corners; None when fewer than 4 are left."""
    import cv2

    points = cv2.approxPolyDP(contour, SIMPLIFY * cv2.arcLength(contour, True), True)[:, 0]
    return points if len(points) >= 4 else None


def ordered_corners(rectangle: tuple) -> np.ndarray:
    """OpenCV's rotated rectangle -> (4,2) float32: top left, top right, bottom right, bottom left. The left corners are
    the two with the smallest x."""
    import cv2
    import numpy as np

    corners = sorted(cv2.boxPoints(rectangle).tolist(), key=lambda corner: corner[0])
    top_left, bottom_left = sorted(corners[:2], key=lambda corner: corner[1])
    top_right, bottom_right = sorted(corners[2:], key=lambda corner: corner[1])
    return np.array((top_left, top_right, bottom_right, bottom_left), np.float32)


def mean_inside(probability: np.ndarray, points: np.ndarray) -> float:
    """Mean of a map (H',W') inside a polygon (K,2), whose corners are truncated to pixels."""
    import cv2
    import numpy as np

    height, width = probability.shape
    left, top = np.clip(np.floor(points.min(axis=0)).astype(int), 0, (width - 1, height - 1)).tolist()
    right, bottom = np.clip(np.ceil(points.max(axis=0)).astype(int), 0, (width - 1, height - 1)).tolist()
    mask = np.zeros((bottom - top + 1, right - left + 1), np.uint8)
    cv2.fillPoly(mask, [(points - (left, top)).astype(np.int32)], 1)
    return cv2.mean(probability[top : bottom + 1, left : right + 1], mask)[0]


def grow(points: np.ndarray, ratio: float) -> np.ndarray | None:
    """A polygon (K,2) with its outline moved outwards by area * ratio / perimeter, corners rounded.

    Returns (K',2) int32, because the offset is computed on whole pixels (corners are truncated first); None when
    nothing or more than one piece comes out.
    """
    import cv2
    import numpy as np
    import pyclipper

    points = np.ascontiguousarray(points, np.float32)
    perimeter = cv2.arcLength(points, True)
    if perimeter == 0:
        return None
    offset = pyclipper.PyclipperOffset()
    try:
        offset.AddPath(points.tolist(), pyclipper.JT_ROUND, pyclipper.ET_CLOSEDPOLYGON)
    except pyclipper.ClipperException:  # all corners fall on one pixel
        return None
    pieces = offset.Execute(cv2.contourArea(points) * ratio / perimeter)
    return np.array(pieces[0], np.int32) if len(pieces) == 1 else None
