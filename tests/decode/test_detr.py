# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""DETR decoding against its definition, written out plainly with sorting and Python arithmetic."""

from __future__ import annotations

import math
import warnings
from pathlib import Path

import numpy as np
import pytest

from nvidia_tao_deploy.decode.detr import DetrDecode, sigmoid, to_pixels, top_k
from nvidia_tao_deploy.network import Frame, Sample
from nvidia_tao_deploy.transforms.geometry import Geometry

RNG = np.random.default_rng(0)


def frames(*sizes: tuple[int, int]) -> list[Frame]:
    return [Frame(Sample(f"{i}.png", Path(f"{i}.png")), size, Geometry()) for i, size in enumerate(sizes)]


def plain_decode(logits: np.ndarray, boxes: np.ndarray, size: tuple[int, int], k: int) -> list[tuple]:
    """(score, label, x1, y1, x2, y2) by the definition, in double precision."""
    height, width = size
    pairs = [(-float(logits[q, c]), q, c) for q in range(logits.shape[0]) for c in range(logits.shape[1])]
    rows = []
    for negative, query, label in sorted(pairs)[:k]:
        cx, cy, w, h = map(float, boxes[query])
        corners = ((cx - w / 2) * width, (cy - h / 2) * height, (cx + w / 2) * width, (cy + h / 2) * height)
        limits = (width, height, width, height)
        clipped = tuple(min(max(v, 0.0), limit) for v, limit in zip(corners, limits, strict=True))
        rows.append((1 / (1 + math.exp(negative)), label, *clipped))
    return rows


@pytest.mark.parametrize(("queries", "classes", "k"), [(20, 7, 30), (300, 80, 300), (5, 3, 100), (1, 1, 1)])
def test_equals_the_definition(queries: int, classes: int, k: int) -> None:
    logits = RNG.normal(-3, 3, (3, queries, classes)).astype(np.float32)
    boxes = RNG.uniform(-0.1, 1.1, (3, queries, 4)).astype(np.float32)
    sizes = ((480, 640), (1080, 33), (1, 1))
    decoded = DetrDecode(k)({"pred_logits": logits, "pred_boxes": boxes}, frames(*sizes))
    for picture, (found, size) in enumerate(zip(decoded, sizes, strict=True)):
        wanted = plain_decode(logits[picture], boxes[picture], size, k)
        assert len(found) == len(wanted) == min(k, queries * classes)
        np.testing.assert_array_equal(found.labels, [row[1] for row in wanted])
        np.testing.assert_allclose(found.scores, [row[0] for row in wanted], rtol=1e-5)
        np.testing.assert_allclose(found.boxes, [row[2:] for row in wanted], rtol=1e-5, atol=1e-3)
        assert (found.boxes.dtype, found.scores.dtype) == (np.float32, np.float32)


def test_equal_scores_come_in_order_of_query_then_class() -> None:
    logits = np.zeros((2, 6, 5), np.float32)
    logits[1, 4, 2] = 1
    boxes = np.tile(np.arange(6, dtype=np.float32)[None, :, None] / 10, (2, 1, 4))
    first, second = DetrDecode(7)({"pred_logits": logits, "pred_boxes": boxes}, frames((10, 10), (10, 10)))
    assert first.labels.tolist() == [0, 1, 2, 3, 4, 0, 1]
    assert second.labels.tolist() == [2, 0, 1, 2, 3, 4, 0]


@pytest.mark.parametrize("levels", [1, 2, 5, 1000])
def test_top_k_is_the_start_of_a_stable_sort(levels: int) -> None:
    values = RNG.integers(0, levels, (4, 997)).astype(np.float32)
    for k in (1, 10, 300, 997, 2000):
        wanted = np.argsort(-values, axis=1, kind="stable")[:, :k]
        np.testing.assert_array_equal(top_k(values, k), wanted)


def test_sigmoid_of_extreme_logits_gives_no_warning() -> None:
    values = np.array([-np.inf, -1e30, -1000, -20, 0, 20, 1000, np.inf], np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = sigmoid(values)
    np.testing.assert_allclose(result, [0, 0, 0, 1 / (1 + math.exp(20)), 0.5, 1 / (1 + math.exp(-20)), 1, 1], rtol=1e-6)


def test_half_precision_outputs() -> None:
    logits, boxes = RNG.normal(0, 2, (1, 10, 4)), RNG.uniform(0.2, 0.8, (1, 10, 4))
    whole = {"pred_logits": logits.astype(np.float16), "pred_boxes": boxes.astype(np.float16)}
    (half,) = DetrDecode(5)(whole, frames((100, 100)))
    (single,) = DetrDecode(5)({k: v.astype(np.float32) for k, v in whole.items()}, frames((100, 100)))
    np.testing.assert_array_equal(half.boxes, single.boxes)
    np.testing.assert_array_equal(half.scores, single.scores)


def test_original_size_is_exact_for_every_height() -> None:
    """TAO Deploy rebuilds the height as int((h / H) * H) and loses a pixel for hundreds of heights."""
    sizes = [(height, 2 * height + 1) for height in range(1, 4097)]
    boxes = np.tile(np.array([0.5, 0.5, 1, 1], np.float32), (len(sizes), 1, 1))
    corners = to_pixels(boxes, sizes)[:, 0]
    np.testing.assert_array_equal(corners, [(0, 0, width, height) for height, width in sizes])


def test_pictures_that_fill_only_the_top_left_part_of_the_input() -> None:
    """An input of 100 x 200 (height x width): a picture of 200 x 200 fills its left half, one of 50 x 400 its upper
    quarter. Boxes are relative to the whole input; what reaches into the filling is cut off."""
    frame = [
        Frame(Sample("a", Path("a")), (200, 200), Geometry((2.0, 2.0))),
        Frame(Sample("b", Path("b")), (50, 400), Geometry((2.0, 2.0))),
    ]
    boxes = np.tile(np.array([0.25, 0.125, 0.5, 0.25], np.float32), (2, 1, 1))
    outputs = {"pred_logits": np.zeros((2, 1, 1), np.float32), "pred_boxes": boxes}
    first, second = DetrDecode(1, (100, 200))(outputs, frame)
    assert first.boxes.tolist() == [[0, 0, 200, 50]]
    assert second.boxes.tolist() == [[0, 0, 200, 50]]
    outputs["pred_boxes"] = boxes + np.array([0.25, 0.25, 0, 0], np.float32)  # 0.25..0.75, 0.25..0.5 of the input
    first, second = DetrDecode(1, (100, 200))(outputs, frame)
    assert first.boxes.tolist() == [[100, 50, 200, 100]]
    assert second.boxes.tolist() == [[100, 50, 300, 50]]
