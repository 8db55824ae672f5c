# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""The pictures: exact boxes, well-formed ground truth, the same every time."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from detector import data as detector
from fashion_mnist import data as fashion_mnist
from ocr import data as ocr
from PIL import Image


@pytest.fixture(scope="module")
def parts() -> tuple:
    return (*fashion_mnist.read_pictures(), detector.read_photographs(detector.BACKGROUNDS))


@pytest.fixture(scope="module")
def test_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("detector") / "set"
    detector.write_test_set(folder, 12)
    return folder


def test_the_test_split_is_the_published_one() -> None:
    """1,000 pictures of each class, and the first ten labels as every tutorial on the data set prints them."""
    original = fashion_mnist.read_idx(fashion_mnist.TEST_LABELS)
    assert original[:10].tolist() == [9, 2, 1, 1, 6, 1, 4, 6, 5, 7]
    assert np.bincount(original).tolist() == [1000] * 10
    assert fashion_mnist.read_idx(fashion_mnist.TEST_IMAGES).shape == (10_000, 28, 28)


def test_labels_follow_the_alphabet() -> None:
    original = np.frombuffer(gzip.decompress(fashion_mnist.TEST_LABELS.read_bytes()), np.uint8, offset=8)
    _, labels = fashion_mnist.read_pictures()
    assert list(fashion_mnist.CLASSES) == sorted(fashion_mnist.CLASSES)
    # Label 9 of the original is the ankle boot, the first in the alphabet.
    assert fashion_mnist.CLASSES[0] == "ankle_boot"
    assert np.array_equal(labels == 0, original == 9)


def test_unpacking_keeps_pixels_and_file_order(tmp_path: Path) -> None:
    assert fashion_mnist.unpack(tmp_path / "images", per_class=3) == 30
    pictures, labels = fashion_mnist.read_pictures()
    names = (tmp_path / "classes.txt").read_text(encoding="utf-8").splitlines()
    assert names == sorted(path.name for path in (tmp_path / "images").iterdir())
    files = sorted((tmp_path / "images").glob("*/*.png"))
    assert len(files) == 30
    for file in files:
        index = int(file.stem)
        assert names[labels[index]] == file.parent.name
        pixels = np.asarray(Image.open(file))
        assert np.array_equal(pixels[4:-4, 4:-4], pictures[index])
        assert pixels.sum() == pictures[index].sum()
    first = np.flatnonzero(labels == 0)[:3]
    assert [int(file.stem) for file in files if file.parent.name == names[0]] == first.tolist()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no gzip", "not a complete gzip file"),
        (gzip.compress(b"\x00\x00\x0d\x01\x00\x00\x00\x01abcd", mtime=0), "not an IDX file"),
        (gzip.compress(b"\x00\x00\x08\x01\x00\x00\x00\x05abcd", mtime=0), "states 5 values but holds 4"),
        (fashion_mnist.TEST_LABELS.read_bytes()[:1000], "not a complete gzip file"),
    ],
)
def test_damaged_idx_files_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "labels.gz"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        fashion_mnist.read_idx(file)
    assert str(file) in str(caught.value)


def test_composites_repeat(parts: tuple) -> None:
    first, second = (detector.test_composite(5, *parts) for _ in range(2))
    assert np.array_equal(first.picture, second.picture)
    assert np.array_equal(first.owner, second.owner)
    assert not np.array_equal(first.picture, detector.test_composite(6, *parts).picture)


@pytest.mark.parametrize("index", range(8))
def test_boxes_are_tight(parts: tuple, index: int) -> None:
    """Every edge of a box touches its object and nothing of the object lies outside."""
    composite = detector.test_composite(index, *parts)
    boxes = composite.boxes()
    assert 1 <= len(boxes) == len(composite.labels) <= detector.MAX_OBJECTS
    for k, (x, y, w, h) in enumerate(boxes, 1):
        own = composite.owner == k
        inside = own[y : y + h, x : x + w]
        assert inside.sum() == own.sum() > 0
        assert all(edge.any() for edge in (inside[0], inside[-1], inside[:, 0], inside[:, -1]))


def test_objects_are_where_the_boxes_say(parts: tuple) -> None:
    """Independent of `owner`: the same background without objects differs from the picture inside the boxes only."""
    for index in range(4):
        composite = detector.test_composite(index, *parts)
        rng = np.random.default_rng([2026, index])
        height, width = int(rng.integers(300, 421)), int(rng.integers(400, 561))
        if rng.random() < 0.2:
            height, width = width, height
        empty = detector.background(rng, parts[2], height, width).clip(0, 255).round()
        changed = np.abs(composite.picture - empty).max(2) > 40
        covered = np.zeros_like(changed)
        for x, y, w, h in composite.boxes():
            covered[max(0, y - 2) : y + h + 2, max(0, x - 2) : x + w + 2] = True
        assert not (changed & ~covered).any()
        assert (changed & covered).any()


def test_coco_files_are_consistent(test_set: Path) -> None:
    document = json.loads((test_set / "annotations.json").read_text(encoding="utf-8"))
    from_0 = json.loads((test_set / "annotations_from_0.json").read_text(encoding="utf-8"))
    names = (test_set / "classmap.txt").read_text(encoding="utf-8").splitlines()
    sizes = {}
    for image in document["images"]:
        with Image.open(test_set / "images" / image["file_name"]) as picture:
            assert picture.size == (image["width"], image["height"])
        sizes[image["id"]] = picture.size
    assert len(sizes) == 12 == len(list((test_set / "images").iterdir()))
    assert {c["id"]: c["name"] for c in document["categories"]} == dict(enumerate(names, 1))
    assert {c["id"]: c["name"] for c in from_0["categories"]} == dict(enumerate(names))
    for entry, other in zip(document["annotations"], from_0["annotations"], strict=True):
        x, y, w, h = entry["bbox"]
        width, height = sizes[entry["image_id"]]
        assert 0 <= x < x + w <= width
        assert 0 <= y < y + h <= height
        assert entry["category_id"] == other["category_id"] + 1
        assert {**entry, "category_id": 0} == {**other, "category_id": 0}


def test_masks_agree_with_boxes_and_areas(test_set: Path) -> None:
    """By pycocotools-compatible code, not by ours."""
    from faster_coco_eval.core import mask as coco_mask

    document = json.loads((test_set / "annotations.json").read_text(encoding="utf-8"))
    assert len(document["annotations"]) >= 12
    for entry in document["annotations"]:
        height, width = entry["segmentation"]["size"]
        encoded = coco_mask.frPyObjects(entry["segmentation"], height, width)
        assert coco_mask.area(encoded) == entry["area"]
        assert coco_mask.toBbox(encoded).tolist() == entry["bbox"]


@pytest.mark.parametrize("angle", [0.0, 17.0, -25.0])
def test_quadrilaterals_fit_the_ink(angle: float) -> None:
    """Painted text lies inside its quadrilateral and reaches all four sides."""
    import cv2
    from PIL import ImageFont

    mask = ocr.ink("Window 42", ImageFont.load_default(40))
    centre = np.array([200.3, 149.6])
    picture = np.zeros((300, 400, 3), np.float32)
    ocr.paint(picture, mask, centre, angle, np.array([255.0, 255.0, 255.0]))
    quad = ocr.corners(mask, centre, angle)
    y, x = np.nonzero(picture[..., 0] > 127)
    points = np.stack([x + 0.5, y + 0.5], 1).astype(np.float32)
    distance = [cv2.pointPolygonTest(quad.astype(np.float32), tuple(map(float, point)), True) for point in points]
    assert min(distance) > -0.8
    for a, b in zip(quad, np.roll(quad, -1, 0), strict=True):
        normal = np.array([-(b - a)[1], (b - a)[0]]) / np.linalg.norm(b - a)
        assert np.abs((points - a) @ normal).min() < 1.3


def test_rendered_text_repeats_and_differs_by_seed() -> None:
    from PIL import ImageFont

    def fonts(rng: np.random.Generator, size: int) -> ImageFont.FreeTypeFont:
        return ImageFont.load_default(size)

    pages = [ocr.render_page(np.random.default_rng([1, index]), fonts) for index in (0, 0, 1)]
    assert np.array_equal(pages[0][0], pages[1][0])
    assert [text for _, text in pages[0][1]] == [text for _, text in pages[1][1]]
    assert pages[0][0].shape != pages[2][0].shape
    lines = [ocr.render_line(np.random.default_rng([2, index]), fonts) for index in (3, 3)]
    assert np.array_equal(lines[0][0], lines[1][0])
    assert lines[0][1] == lines[1][1]


def test_text_keeps_inside_the_page_and_apart() -> None:
    from PIL import ImageFont
    from shapely.geometry import Polygon

    def fonts(rng: np.random.Generator, size: int) -> ImageFont.FreeTypeFont:
        return ImageFont.load_default(size)

    for index in range(5):
        picture, lines = ocr.render_page(np.random.default_rng([1, index]), fonts)
        height, width = picture.shape[:2]
        assert lines
        shapes = [Polygon(quad) for quad, _ in lines]
        for k, (quad, text) in enumerate(lines):
            assert "," not in text
            assert (quad > 0).all()
            assert (quad < [width, height]).all()
            assert Polygon(quad).exterior.is_ccw  # clockwise on a picture, whose y axis points down
            assert all(not shapes[k].intersects(other) for other in shapes[:k])
