# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Class maps: argmax, and sizes by nearest neighbour (as Pillow has it)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from nvidia_tao_deploy.decode.segmentation import DecodeSegmentation, best_class
from nvidia_tao_deploy.errors import EngineError
from nvidia_tao_deploy.network import Frame, Sample
from nvidia_tao_deploy.transforms.geometry import Geometry
from nvidia_tao_deploy.transforms.resize import nearest

RANDOM = np.random.default_rng(6)


def frame(size: tuple[int, int]) -> Frame:
    return Frame(Sample("a", Path("a")), size, Geometry())


@pytest.mark.parametrize("classes", [2, 3, 10, 300])
def test_the_largest_score_wins_and_ties_go_to_the_lowest(classes: int) -> None:
    scores = RANDOM.integers(0, 4, (classes, 9, 11)).astype(np.float32)
    found = best_class(scores)
    assert np.array_equal(found, scores.argmax(axis=0))
    assert found.dtype == (np.uint16 if classes > 256 else np.uint8)


@settings(deadline=None)
@given(*[st.integers(1, 40)] * 4)
def test_nearest_is_pillow_s(height: int, width: int, new_height: int, new_width: int) -> None:
    values = np.random.default_rng(height * 41 + width).integers(0, 255, (height, width), np.uint8)
    want = np.asarray(Image.fromarray(values).resize((new_width, new_height), Image.Resampling.NEAREST))
    assert np.array_equal(nearest(values, (new_height, new_width)), want)


def test_no_class_is_invented() -> None:
    """Bilinear resizing makes a third class between 0 and 7."""
    values = np.repeat(np.array([[0] * 10 + [7] * 10], np.uint8), 20, axis=0)
    assert set(np.unique(nearest(values, (7, 7)))) == {0, 7}


def test_maps_come_at_the_size_of_each_picture() -> None:
    scores = np.zeros((2, 2, 4, 4), np.float32)
    scores[1, 1, :, 2:] = 1
    first, second = DecodeSegmentation("o")({"o": scores}, [frame((8, 4)), frame((4, 12))])
    assert first.classes.shape == (8, 4) and not first.classes.any()
    assert second.classes.shape == (4, 12)
    assert second.classes[:, 6:].all() and not second.classes[:, :6].any()


def test_or_at_the_network_s() -> None:
    scores = RANDOM.random((1, 3, 4, 5)).astype(np.float32)
    (found,) = DecodeSegmentation("o", original=False)({"o": scores}, [frame((80, 40))])
    assert found.classes.shape == (4, 5)


def test_a_prediction_is_no_view_of_the_output() -> None:
    scores = RANDOM.random((1, 2, 4, 4)).astype(np.float32)
    (found,) = DecodeSegmentation("o")({"o": scores}, [frame((4, 4))])
    assert not np.shares_memory(found.classes, scores)


@pytest.mark.parametrize("kind", [np.float32, np.float16, np.int32, np.int64])
def test_class_numbers_of_one_channel(kind: type) -> None:
    numbers = np.array([[[0, 2, 1], [1, 0, 2]]], kind)
    found = DecodeSegmentation("o", classes=3)({"o": numbers[None]}, [frame((4, 6))])[0].classes
    assert found.dtype == np.uint8 and np.array_equal(found, numbers[0].repeat(2, 0).repeat(2, 1))


def test_class_numbers_above_255() -> None:
    found = DecodeSegmentation("o", False, 300)({"o": np.full((1, 1, 2, 2), 299, np.int32)}, [frame((2, 2))])
    assert found[0].classes.dtype == np.uint16 and found[0].classes.max() == 299


@pytest.mark.parametrize("number", [3, -1, np.nan])
def test_class_numbers_that_are_none(number: float) -> None:
    numbers = np.zeros((1, 1, 2, 2), np.float32)
    numbers[0, 0, 1, 1] = number
    with pytest.raises(EngineError, match="there are 3, from 0"):
        DecodeSegmentation("o", classes=3)({"o": numbers}, [frame((2, 2))])


def test_maps_are_brought_to_the_size_of_the_network() -> None:
    scores = np.random.default_rng(0).normal(size=(1, 3, 2, 3)).astype(np.float32)
    found = DecodeSegmentation("o", False, size=(4, 6))({"o": scores}, [frame((9, 9))])[0].classes
    assert np.array_equal(found, scores[0].argmax(0).repeat(2, 0).repeat(2, 1))
