# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Resizing against Pillow and OpenCV written down from the formula, geometry there and back, normalisation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from nvidia_tao_deploy.transforms import resize
from nvidia_tao_deploy.transforms.geometry import Geometry
from nvidia_tao_deploy.transforms.resize import CentreCrop, PillowStretch, StretchCrop, fit_top_left, stretch

SIDES = st.integers(1, 80)
FILTERS = {
    "nearest": Image.Resampling.NEAREST, "bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}  # fmt: skip


def random_picture(height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)


def centre_crop_by_the_book(image: Image.Image, height: int, width: int, interpolation: str) -> Image.Image:
    """The contract, word for word: W'=W+32, H'=H+32; r=max(W'/w, H'/h); resize to (trunc(w*r), trunc(h*r));
    left=round(w'/2)-round(W/2), top likewise (round half to even); crop W x H."""
    w, h = image.size
    r = max((width + 32) / w, (height + 32) / h)
    resized = image.resize((int(w * r), int(h * r)), FILTERS[interpolation])
    left = round(resized.width / 2) - round(width / 2)
    top = round(resized.height / 2) - round(height / 2)
    return resized.crop((left, top, left + width, top + height))


@settings(deadline=None)
@given(SIDES, SIDES, SIDES, SIDES, st.sampled_from(["bicubic", "bilinear", "nearest"]), st.sampled_from([1, 3]))
def test_centre_crop(h: int, w: int, height: int, width: int, interpolation: str, channels: int) -> None:
    pixels = random_picture(h, w, channels)
    image = Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels)
    expected = np.asarray(centre_crop_by_the_book(image, height, width, interpolation)).reshape(height, width, channels)
    result, geometry = CentreCrop(32, interpolation)(pixels, (height, width))
    assert np.array_equal(result, expected)
    r = max((width + 32) / w, (height + 32) / h)
    middle = geometry.to_original(np.array([width / 2, height / 2]))
    assert np.abs(middle - [w / 2, h / 2]).max() <= 1.5 / r + 1e-6  # at most rounding away from the middle


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 60), st.integers(1, 60), st.sampled_from(["bicubic", "bilinear", "lanczos"]), st.sampled_from([1, 3])
)
def test_centre_crop_of_strips_differs_by_rounding_only(h: int, w: int, interpolation: str, channels: int) -> None:
    """High contrast: bicubic and Lanczos overshoot nearly everywhere, so the order of the two axes would show."""
    pixels = (random_picture(h, w, channels) > 127).astype(np.uint8) * 255
    whole, geometry = CentreCrop(32, interpolation)(pixels, (24, 20))
    limit = resize.LARGEST_ENLARGED
    try:
        resize.LARGEST_ENLARGED = 0
        part, same = CentreCrop(32, interpolation)(pixels, (24, 20))
    finally:
        resize.LARGEST_ENLARGED = limit
    assert same == geometry
    difference = np.abs(whole.astype(int) - part)
    assert difference.max() <= 2  # rounded twice; rows before columns would give 10 to 60


def test_centre_crop_of_an_extreme_strip_needs_little_memory() -> None:
    import tracemalloc

    strip = random_picture(1, 20_000)
    tracemalloc.start()
    result, _ = CentreCrop()(strip, (224, 224))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert result.shape == (224, 224, 3) and peak < 50_000_000


@settings(deadline=None)
@given(SIDES, SIDES, SIDES, SIDES, st.sampled_from(list(FILTERS)), st.sampled_from([1, 3]))
def test_pillow_stretch(h: int, w: int, height: int, width: int, interpolation: str, channels: int) -> None:
    pixels = random_picture(h, w, channels)
    image = Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels)
    expected = np.asarray(image.resize((width, height), FILTERS[interpolation])).reshape(height, width, channels)
    result, geometry = PillowStretch(interpolation)(pixels, (height, width))
    assert np.array_equal(result, expected)
    assert geometry == Geometry((w / width, h / height))


@settings(deadline=None)
@given(SIDES, SIDES, SIDES, SIDES, st.sampled_from([1, 3]))
def test_stretch(h: int, w: int, height: int, width: int, channels: int) -> None:
    """Bilinear with half-pixel centres and the edge repeated, from the definition."""
    pixels = random_picture(h, w, channels)
    result, geometry = stretch(pixels, (height, width))
    assert result.shape == (height, width, channels)
    y = np.clip((np.arange(height) + 0.5) * h / height - 0.5, 0, h - 1)
    x = np.clip((np.arange(width) + 0.5) * w / width - 0.5, 0, w - 1)
    top, left = np.floor(y).astype(int), np.floor(x).astype(int)
    down, right = np.minimum(top + 1, h - 1), np.minimum(left + 1, w - 1)
    fy, fx = (y - top)[:, None, None], (x - left)[None, :, None]
    p = pixels.astype(np.float64)
    expected = (p[top][:, left] * (1 - fx) + p[top][:, right] * fx) * (1 - fy) + (
        p[down][:, left] * (1 - fx) + p[down][:, right] * fx
    ) * fy
    assert np.abs(result - expected).max() < 0.1
    assert np.allclose(geometry.to_original(np.array([width, height], float)), [w, h])


@settings(deadline=None)
@given(SIDES, SIDES, SIDES, SIDES, st.sampled_from([1, 3]))
def test_fit_top_left(h: int, w: int, height: int, width: int, channels: int) -> None:
    pixels = np.maximum(random_picture(h, w, channels), 1)
    result, geometry = fit_top_left(pixels, (height, width))
    assert result.shape == (height, width, channels)
    right, low = geometry.to_input(np.array([w, h], float))
    inside_w, inside_h = round(right), round(low)
    assert np.allclose((right, low), (inside_w, inside_h)) and (inside_w == width or inside_h == height)
    assert abs(inside_h - max(1, min(height / h, width / w) * h)) <= 0.5
    assert abs(inside_w - max(1, min(height / h, width / w) * w)) <= 0.5
    assert np.array_equal(result[:inside_h, :inside_w], stretch(pixels, (inside_h, inside_w))[0])
    assert (result[:inside_h, :inside_w] > 0).all()
    assert not result[inside_h:].any() and not result[:, inside_w:].any()
    assert np.allclose(geometry.extent((height, width)), (h / inside_h * height, w / inside_w * width))


FLOATS = st.floats(-1e4, 1e4)
POSITIVE = st.floats(1e-3, 1e3)


@given(st.tuples(POSITIVE, POSITIVE), st.tuples(FLOATS, FLOATS), st.lists(st.tuples(FLOATS, FLOATS), min_size=1))
def test_geometry_there_and_back(
    scale: tuple[float, float], offset: tuple[float, float], points: list[tuple[float, float]]
) -> None:
    original = np.array(points)
    placed = original / scale + offset  # where a picture's points lie in the network input
    assert np.allclose(Geometry(scale, offset).to_original(placed), original, rtol=1e-6, atol=1e-4)


def test_geometry_takes_any_leading_axes() -> None:
    geometry = Geometry((2.0, 3.0), (1.0, -1.0))
    points = np.ones((4, 5, 2), np.float32)
    assert np.array_equal(geometry.to_original(points)[2, 3], [0.0, 6.0])


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_same_size_is_untouched(interpolation: str) -> None:
    pixels = random_picture(12, 9)
    assert np.array_equal(PillowStretch(interpolation)(pixels, (12, 9))[0], pixels)
    assert np.array_equal(stretch(pixels, (12, 9))[0], pixels)


@pytest.mark.parametrize("size", [(224, 224), (225, 223), (50, 299), (1, 2), (112, 112)])
@pytest.mark.parametrize("channels", [1, 3])
def test_stretch_crop_against_pillow(size: tuple[int, int], channels: int) -> None:
    """Pillow's own crop where it gives the size asked for; everywhere exactly that size."""
    height, width = size
    source = np.random.default_rng(0).integers(0, 256, (37, 61, channels), np.uint8)
    found, geometry = StretchCrop()(source, size)
    assert found.shape == (height, width, channels)
    large = (int(1.14 * width), int(1.14 * height))
    stretched = Image.fromarray(source[:, :, 0] if channels == 1 else source).resize(large, Image.Resampling.BILINEAR)
    box = ((large[0] - width) / 2, (large[1] - height) / 2, (large[0] + width) / 2, (large[1] + height) / 2)
    expected = np.asarray(stretched.crop(box)).reshape(*stretched.crop(box).size[::-1], channels)
    low, right = min(height, expected.shape[0]), min(width, expected.shape[1])
    assert (found[:low, :right] == expected[:low, :right]).all()
    middle = geometry.to_original(np.array([width / 2, height / 2]))
    assert (np.abs(middle - [61 / 2, 37 / 2]) <= np.array(geometry.scale) / 2 + 1e-9).all()  # rounded by half a pixel
