# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Normalisation and the whole way from a file to a row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nvidia_tao_deploy.data.pictures import PictureReader
from nvidia_tao_deploy.errors import SpecError
from nvidia_tao_deploy.network import Sample
from nvidia_tao_deploy.transforms.picture import Normalise, PicturePrepare
from nvidia_tao_deploy.transforms.resize import PillowStretch
from nvidia_tao_deploy.transforms.statistics import (
    GREY_MEAN,
    GREY_STD,
    IMAGENET_MEAN,
    IMAGENET_STD,
    pixel_statistics,
)
from tests.makers import noise

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("order", ["RGB", "BGR"])
@pytest.mark.parametrize("source", [np.uint8, np.float32])
def test_normalise(dtype: type, order: str, source: type) -> None:
    mean, std = np.array(IMAGENET_MEAN), np.array(IMAGENET_STD)
    row = np.full((3, 5, 7), np.nan, dtype)
    Normalise(IMAGENET_MEAN, IMAGENET_STD, order=order)(PIXELS.astype(source), row)
    # the channels first turned round, then normalised by values that are in the network's order
    colours = PIXELS[:, :, ::-1] if order == "BGR" else PIXELS
    expected = ((colours / 255.0 - mean) / std).transpose(2, 0, 1)
    assert row.dtype == dtype and np.abs(row - expected).max() < (1e-5 if dtype is np.float32 else 5e-3)


def test_one_value_for_all_and_other_scales() -> None:
    row = np.empty((3, 5, 7), np.float32)
    Normalise((0.5,), (0.5,))(PIXELS, row)
    assert np.abs(row - (PIXELS / 127.5 - 1).transpose(2, 0, 1)).max() < 1e-6
    Normalise((123.0, 117.0, 104.0), scale=1.0)(PIXELS, row)
    assert np.abs(row - (PIXELS - [123.0, 117.0, 104.0]).transpose(2, 0, 1)).max() < 1e-4
    grey = np.empty((1, 5, 7), np.float32)
    Normalise((0.25,), (2.0,))(PIXELS[:, :, :1], grey)
    assert np.abs(grey[0] - (PIXELS[:, :, 0] / 255 - 0.25) / 2).max() < 1e-6


def test_from_file_to_row(tmp_path: Path) -> None:
    path = noise(tmp_path / "x.png", (20, 10))
    prepare = PicturePrepare("input", (3, 10, 20), Normalise(), PictureReader(), PillowStretch(), keep_picture=True)
    rows = {"input": np.empty((3, 10, 20), np.float32)}
    frame = prepare(Sample("x.png", path), rows)
    assert frame.size == (10, 20) and frame.picture is not None
    assert np.abs(rows["input"] - frame.picture.transpose(2, 0, 1) / 255).max() < 1e-6
    arrays, _ = prepare.single(Sample("x.png", path))
    assert np.array_equal(arrays["input"][0], rows["input"])
    assert prepare.shapes == {"input": (3, 10, 20)}


@pytest.mark.parametrize(
    ("mean", "std", "channels", "expected"),
    [
        ([0.5, 0.5, 0.5], [0.2, 0.2, 0.2], 3, ((0.5,) * 3, (0.2,) * 3)),
        (IMAGENET_MEAN, IMAGENET_STD, 1, (GREY_MEAN, GREY_STD)),
        ([127.5, 0, 255], [51.0, 51.0, 51.0], 3, ((0.5, 0, 1), (0.2,) * 3)),
    ],
)
def test_statistics(
    mean: list[float], std: list[float], channels: int, expected: tuple[tuple[float, ...], ...]
) -> None:
    assert np.allclose(pixel_statistics(mean, std, channels, "key"), expected)


@pytest.mark.parametrize(
    ("mean", "std", "channels", "message"),
    [
        ([0.5], [0.5], 3, r"key.mean: \[0.5\]: expected 3 values"),
        ([0.5, 0.5, 0.5], [0.5, 0.5], 3, r"key.std: \[0.5, 0.5\]: expected 3 values"),
        ([0.5], [0.0], 1, "key.std: .*expected values above 0"),
        ([0.5], [-1.0], 1, "key.std: .*expected values above 0"),
    ],
)
def test_wrong_statistics(mean: list[float], std: list[float], channels: int, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        pixel_statistics(mean, std, channels, "key")


@pytest.mark.parametrize(
    ("dtype", "value", "shown"), [(np.uint8, 200, 200), (np.int32, 65535, 255), (np.int32, 257, 1)]
)
def test_kept_pictures_are_always_8_bit_rgb(dtype: type, value: int, shown: int) -> None:
    """Writers draw with three-channel colours, whatever the network reads."""
    from nvidia_tao_deploy.transforms.picture import drawable

    made = drawable(np.full((2, 5, 1), value, dtype))
    assert made.shape == (2, 5, 3) and made.dtype == np.uint8 and (made == shown).all()
    colour = np.zeros((2, 5, 3), np.uint8)
    assert drawable(colour) is colour
