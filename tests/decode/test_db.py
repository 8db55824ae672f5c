# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""DB post-processing against shapely's geometry, hand-worked regions, and its steps written out plainly."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pyclipper
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from nvidia_tao_deploy.decode.db import DecodeRegions, find_regions, grow, mean_inside
from nvidia_tao_deploy.network import Frame, Sample
from nvidia_tao_deploy.transforms.geometry import Geometry

DEFAULTS = (0.3, 0.55, 1000, 1.5)


def block(shape: tuple[int, int], *blocks: tuple[int, int, int, int, float]) -> np.ndarray:
    """A map of zeros with blocks (left, top, right, bottom exclusive, probability)."""
    probability = np.zeros(shape, np.float32)
    for left, top, right, bottom, value in blocks:
        probability[top:bottom, left:right] = value
    return probability


def frame(size: tuple[int, int], scale: tuple[float, float] = (1.0, 1.0)) -> Frame:
    return Frame(Sample("a.jpg", Path("a.jpg")), size, Geometry(scale=scale))


def test_a_block_by_hand() -> None:
    """Corners are pixel centres: 40 x 10 pixels are a rectangle of 39 x 9. Offset 39 * 9 * 1.5 / 96 = 5.484."""
    (region,), (score,) = find_regions(block((60, 100), (20, 20, 60, 30, 0.9)), *DEFAULTS)
    assert score == pytest.approx(0.9)
    distance = 39 * 9 * 1.5 / (2 * (39 + 9))
    expected = shapely.box(20, 20, 59, 29).buffer(distance).bounds
    assert region.tolist()[0] == pytest.approx(expected[:2], abs=1)
    assert region.tolist()[2] == pytest.approx(expected[2:], abs=1)
    left, right = region[[0, 3]], region[[1, 2]]
    assert (left[:, 0] < right[:, 0]).all()
    assert region[0, 1] < region[3, 1]
    assert region[1, 1] < region[2, 1]


@given(
    centre=st.tuples(st.floats(120, 280), st.floats(120, 280)),
    size=st.tuples(st.floats(60, 110), st.floats(16, 40)),
    angle=st.floats(-44, 44),
    ratio=st.floats(1.0, 2.5),
)
@settings(max_examples=60, deadline=None)
def test_turned_rectangles_grow_as_shapely_says(
    centre: tuple[float, float], size: tuple[float, float], angle: float, ratio: float
) -> None:
    corners = np.rint(cv2.boxPoints((centre, size, angle))).astype(np.int32)
    probability = np.zeros((400, 400), np.float32)
    cv2.fillPoly(probability, [corners], 0.95)
    drawn = np.argwhere(probability > 0)[:, ::-1].astype(np.int32)  # pixels make a thin rectangle another one
    rectangle = shapely.Polygon(cv2.boxPoints(cv2.minAreaRect(drawn)))
    regions, scores = find_regions(probability, 0.3, 0.55, 1000, ratio)
    assert len(regions) == len(scores) == 1
    grown = rectangle.buffer(rectangle.area * ratio / rectangle.length).minimum_rotated_rectangle
    found = shapely.Polygon(regions[0])
    assert found.is_valid
    assert found.hausdorff_distance(grown) < 3.0, "corners are whole pixels, twice"
    quadrilateral = regions[0]
    assert quadrilateral[:2, 1].max() < quadrilateral[2:, 1].max(), "top corners first"
    assert cv2.contourArea(quadrilateral, oriented=True) > 0, "clockwise on the screen"


def test_polygons_follow_a_shape_that_no_rectangle_fits() -> None:
    probability = block((200, 200), (40, 40, 160, 70, 0.9), (40, 40, 70, 160, 0.9))
    (outline,), (score,) = find_regions(probability, *DEFAULTS, polygons=True)
    assert score == pytest.approx(0.9)
    shape = shapely.Polygon([(40, 40), (159, 40), (159, 69), (69, 69), (69, 159), (40, 159)])
    grown = shape.buffer(shape.area * 1.5 / shape.length)
    found = shapely.Polygon(outline)
    assert found.intersection(grown).area / found.union(grown).area > 0.95
    (rectangle,), _ = find_regions(probability, 0.3, 0.3, 1000, 1.5)
    assert shapely.Polygon(rectangle).area > 1.5 * found.area


@pytest.mark.parametrize("polygons", [False, True])
def test_what_is_dropped(polygons: bool) -> None:
    nothing = ([], [])
    assert find_regions(block((50, 50)), *DEFAULTS, polygons=polygons) == nothing
    assert find_regions(block((50, 50), (10, 10, 40, 20, 0.3)), *DEFAULTS, polygons=polygons) == nothing, "at threshold"
    assert find_regions(block((50, 50), (10, 10, 40, 20, 0.54)), *DEFAULTS, polygons=polygons) == nothing, "score"
    assert find_regions(block((50, 50), (10, 10, 11, 11, 1)), *DEFAULTS, polygons=polygons) == nothing, "one pixel"
    assert find_regions(block((50, 50), (10, 10, 40, 11, 1)), *DEFAULTS, polygons=polygons) == nothing, "a line"


def test_thin_rectangles_are_dropped_before_and_after_growing() -> None:
    assert find_regions(block((50, 99), (10, 10, 80, 13, 1)), *DEFAULTS) == ([], []), "short side 2 < 3"
    assert len(find_regions(block((50, 99), (10, 10, 80, 14, 1)), *DEFAULTS)[0]) == 1, "short side 3"
    assert find_regions(block((50, 99), (10, 10, 80, 14, 1)), 0.3, 0.55, 1000, 0.1) == ([], []), "3.3 < 5 once grown"


def test_no_empty_placeholder_passes_a_threshold_of_zero() -> None:
    probability = block((50, 99), (10, 10, 12, 12, 1), (30, 10, 60, 30, 1))
    assert len(find_regions(probability, 0.3, 0.0, 1000, 1.5)[0]) == 1


def test_max_candidates_counts_contours() -> None:
    probability = block((60, 300), *((x, 20, x + 30, 40, 0.9) for x in range(10, 250, 60)))
    assert len(find_regions(probability, *DEFAULTS)[0]) == 4
    assert len(find_regions(probability, 0.3, 0.55, 3, 1.5)[0]) == 3


@given(st.lists(st.tuples(st.integers(-5, 45), st.integers(-5, 45)), min_size=3, max_size=6, unique=True))
@settings(max_examples=80, deadline=None)
def test_score_is_the_mean_of_a_full_size_mask(corners: list[tuple[int, int]]) -> None:
    probability = np.random.default_rng(0).random((40, 40), np.float32)
    inside = shapely.box(0, 0, 39, 39).buffer(1e-9)
    points = np.array(corners, np.float32)
    if not all(inside.contains(shapely.Point(point)) for point in points):
        return  # at the border both ways clip, in slightly different places
    mask = np.zeros((40, 40), np.uint8)
    cv2.fillPoly(mask, [points.astype(np.int32)], 1)
    assert mean_inside(probability, points) == pytest.approx(float(probability[mask == 1].mean()), abs=1e-6)


def test_growing_nothing_is_nothing() -> None:
    assert grow(np.array([[5, 5], [5, 5], [5, 5], [5, 5]], np.float32), 1.5) is None
    assert grow(np.array([[5.1, 5.2], [5.3, 5.2], [5.3, 5.4], [5.1, 5.4]], np.float32), 1.5) is None


def test_coordinates_reach_the_picture_and_end_at_its_border() -> None:
    probability = block((40, 80), (0, 0, 60, 20, 0.9))
    decode = DecodeRegions("pred", input_size=(40, 80))
    outputs = {"pred": probability[None, None]}
    (found,) = decode(outputs, [frame((400, 240), scale=(3.0, 10.0))])
    (polygon,) = found.polygons
    assert polygon.dtype == np.float32
    assert polygon.min() == 0, "the region grew beyond the left and upper border"
    (unscaled,), _ = find_regions(probability, *DEFAULTS)
    np.testing.assert_allclose(polygon[2], unscaled[2] * (3, 10))
    (clipped,) = decode(outputs, [frame((150, 100), scale=(3.0, 10.0))])
    assert clipped.polygons[0].max(axis=0).tolist() == [100, 150]


def test_a_map_smaller_than_the_input() -> None:
    outputs = {"pred": block((40, 80), (20, 10, 60, 20, 0.9))[None, None]}
    (full,) = DecodeRegions("pred")(outputs, [frame((40, 80))])
    (quarter,) = DecodeRegions("pred", input_size=(160, 320))(outputs, [frame((160, 320))])
    np.testing.assert_allclose(quarter.polygons[0], full.polygons[0] * 4)


def test_a_batch_is_its_pictures_one_by_one() -> None:
    rng = np.random.default_rng(1)
    maps = np.stack([cv2.GaussianBlur(rng.random((120, 160), np.float32), (0, 0), 4) * 4 % 1 for _ in range(5)])[
        :, None
    ]
    decode = DecodeRegions("pred", keep_map=True)
    frames = [frame((240, 320), scale=(2.0, 2.0)) for _ in maps]
    together = decode({"pred": maps}, frames)
    assert sum(map(len, together)) > 5
    for index, found in enumerate(together):
        (alone,) = decode({"pred": maps[index : index + 1]}, frames[:1])
        np.testing.assert_array_equal(alone.scores, found.scores)
        for one, other in zip(alone.polygons, found.polygons, strict=True):
            np.testing.assert_array_equal(one, other)
    before = together[0].heatmap.copy()
    maps[:] = 0
    np.testing.assert_array_equal(together[0].heatmap, before)


def test_half_precision_maps() -> None:
    outputs = {"pred": block((40, 80), (20, 10, 60, 20, 0.9)).astype(np.float16)[None, None]}
    (found,) = DecodeRegions("pred")(outputs, [frame((40, 80))])
    assert found.scores.tolist() == pytest.approx([0.9], abs=1e-3)


def test_large_pictures_do_not_overflow() -> None:
    outputs = {"pred": block((40, 80), (20, 10, 60, 20, 0.9))[None, None]}
    (found,) = DecodeRegions("pred")(outputs, [frame((40_000, 80_000), scale=(1000.0, 1000.0))])
    assert found.polygons[0].min() > 0
    assert found.polygons[0].max() > 32_767


def clockwise(rectangle: tuple) -> np.ndarray:
    """Top left, top right, bottom right, bottom left."""
    corners = sorted(cv2.boxPoints(rectangle).tolist())
    left, right = (sorted(part, key=lambda corner: corner[1]) for part in (corners[:2], corners[2:]))
    return np.array([left[0], right[0], right[1], left[1]], np.float32)


def plain_regions(
    probability: np.ndarray, threshold: float, least: float, ratio: float
) -> list[tuple[np.ndarray, float]]:
    """The published steps, one contour after the other, each on the whole map."""
    found = []
    contours, _ = cv2.findContours(
        np.where(probability > threshold, 255, 0).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE
    )
    for contour in contours:
        rectangle = cv2.minAreaRect(contour)
        if min(rectangle[1]) < 3:
            continue
        corners = clockwise(rectangle)
        origin = np.clip(np.floor(corners.min(axis=0)), 0, None)
        mask = np.zeros(probability.shape, np.uint8)
        cv2.fillPoly(mask, [(corners - origin).astype(np.int32) + origin.astype(np.int32)], 1)
        score = float(probability[mask > 0].mean(dtype=np.float64))
        if score < least:
            continue
        shape = shapely.Polygon(corners)
        offset = pyclipper.PyclipperOffset()
        offset.AddPath(corners.tolist(), pyclipper.JT_ROUND, pyclipper.ET_CLOSEDPOLYGON)
        pieces = offset.Execute(shape.area * ratio / shape.length)
        grown = cv2.minAreaRect(np.array(pieces[0]))
        if min(grown[1]) >= 5:
            found.append((clockwise(grown), score))
    return found


@pytest.mark.parametrize("seed", range(8))
def test_clouds_give_what_the_plain_steps_give(seed: int) -> None:
    """Shapes of every kind: thin, curved, with holes, at the border, touching."""
    rng = np.random.default_rng(seed)
    cloud = cv2.GaussianBlur(rng.random((160, 240), np.float32), (0, 0), float(rng.uniform(2, 6)))
    cloud = (cloud - cloud.min()) / (cloud.max() - cloud.min())
    threshold, least, ratio = rng.uniform(0.35, 0.65), rng.uniform(0.3, 0.6), rng.uniform(1, 2)
    wanted = plain_regions(cloud, threshold, least, ratio)
    regions, scores = find_regions(cloud, threshold, least, 1000, ratio)
    assert len(wanted) > 3
    assert len(regions) == len(wanted)
    np.testing.assert_allclose(scores, [score for _, score in wanted], atol=1e-4)
    # areas that differ in the last digit may round to another whole pixel, and turn the smallest rectangle then
    same = [np.abs(region - corners).max() < 1e-3 for region, (corners, _) in zip(regions, wanted, strict=True)]
    assert np.mean(same) >= 0.9
    for region, (corners, _) in zip(map(shapely.Polygon, regions), wanted, strict=True):
        expected = shapely.Polygon(corners)
        assert region.intersection(expected).area / region.union(expected).area > 0.8
