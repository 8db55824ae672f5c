# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Time of ocdnet's post-processing on one core, against a plain version of the same steps.

    python benchmarks/db_postprocess.py [--regions 50] [--rounds 20]

The map is 1280 x 736 with turned rectangles of text. The plain version does what such code often does: a mask as large
as the map for each region, areas and lengths from shapely. Both run in turns in one process; the ratio is what counts.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import cv2
import numpy as np
import pyclipper
import shapely

from nvidia_tao_deploy.decode.db import find_regions, ordered_corners

WIDTH, HEIGHT = 1280, 736
THRESHOLD, BOX_THRESHOLD, CANDIDATES, UNCLIP = 0.3, 0.55, 1000, 1.5


def text_map(regions: int, seed: int = 0) -> np.ndarray:
    """(HEIGHT,WIDTH) float32 with `regions` separate text regions, blurred, plus noise below the threshold."""
    rng = np.random.default_rng(seed)
    columns = int(np.ceil(np.sqrt(regions * WIDTH / HEIGHT)))
    rows = -(-regions // columns)
    cell_width, cell_height = WIDTH / columns, HEIGHT / rows
    picture = np.zeros((HEIGHT, WIDTH), np.float32)
    for index in range(regions):
        centre = ((index % columns + 0.5) * cell_width, (index // columns + 0.5) * cell_height)
        size = (cell_width * rng.uniform(0.4, 0.7), cell_height * rng.uniform(0.15, 0.3))
        corners = cv2.boxPoints((centre, size, rng.uniform(-20, 20)))
        cv2.fillPoly(picture, [np.rint(corners).astype(np.int32)], rng.uniform(0.75, 1.0))
    blurred = cv2.GaussianBlur(picture, (0, 0), 1.5)
    return np.clip(blurred + rng.uniform(0, 0.2, blurred.shape), 0, 1).astype(np.float32)


def plain_regions(probability: np.ndarray) -> tuple[list[np.ndarray], list[float]]:
    """The same regions, the plain way."""
    contours, _ = cv2.findContours((probability > THRESHOLD).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    regions, scores = [], []
    for contour in contours[:CANDIDATES]:
        rectangle = cv2.minAreaRect(contour)
        if min(rectangle[1]) < 3:
            continue
        corners = ordered_corners(rectangle)
        mask = np.zeros(probability.shape, np.uint8)
        cv2.fillPoly(mask, [corners.astype(np.int32)], 1)
        score = float(probability[mask == 1].mean())
        if score < BOX_THRESHOLD:
            continue
        polygon = shapely.Polygon(corners)
        offset = pyclipper.PyclipperOffset()
        offset.AddPath(corners, pyclipper.JT_ROUND, pyclipper.ET_CLOSEDPOLYGON)
        grown = np.array(offset.Execute(polygon.area * UNCLIP / polygon.length)[0])
        rectangle = cv2.minAreaRect(grown)
        if min(rectangle[1]) >= 5:
            regions.append(ordered_corners(rectangle))
            scores.append(score)
    return regions, scores


def milliseconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--regions", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=20)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    probability = text_map(arguments.regions)

    def ours() -> tuple[list[np.ndarray], list[float]]:
        return find_regions(probability, THRESHOLD, BOX_THRESHOLD, CANDIDATES, UNCLIP)

    def outlines() -> tuple[list[np.ndarray], list[float]]:
        return find_regions(probability, THRESHOLD, BOX_THRESHOLD, CANDIDATES, UNCLIP, polygons=True)

    def plain() -> tuple[list[np.ndarray], list[float]]:
        return plain_regions(probability)

    found, expected = ours(), plain()
    assert len(found[0]) == len(expected[0]) == arguments.regions, (len(found[0]), len(expected[0]))
    np.testing.assert_allclose(np.stack(found[0]), np.stack(expected[0]), atol=1e-3)
    times: dict[str, list[float]] = {"ours": [], "ours, polygons": [], "plain": []}
    for _ in range(arguments.rounds):
        for name, work in (("ours", ours), ("ours, polygons", outlines), ("plain", plain)):
            times[name].append(milliseconds(work))
    print(f"{arguments.regions} regions, {WIDTH} x {HEIGHT}, one core, median of {arguments.rounds} rounds")
    for name, values in times.items():
        print(f"  {name:16s} {statistics.median(values):7.2f} ms")
    print(f"  plain / ours     {statistics.median(times['plain']) / statistics.median(times['ours']):7.2f}")


if __name__ == "__main__":
    main()
