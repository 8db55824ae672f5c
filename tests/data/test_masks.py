# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Masks in every form of storage, and what is said about those that cannot be used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nvidia_tao_deploy.data.masks import IGNORED, MaskReader
from nvidia_tao_deploy.errors import DataError

CHANGED = np.array([[0, 1, 1], [0, 0, 1]], np.uint8)
SEVEN = np.array([[0, 3, 6], [1, 1, 2]], np.uint8)
COLOURS = {(255, 255, 255): 0, (255, 0, 0): 1, (0, 0, 255): 2}


def save(path: Path, values: np.ndarray, mode: str | None = None) -> Path:
    Image.fromarray(values, mode).save(path)
    return path


def test_black_and_white(tmp_path: Path) -> None:
    found = MaskReader(2, True)(save(tmp_path / "m.png", CHANGED * 255))
    assert found.dtype == np.uint8 and np.array_equal(found, CHANGED)


def test_class_numbers(tmp_path: Path) -> None:
    assert np.array_equal(MaskReader(7)(save(tmp_path / "m.png", SEVEN)), SEVEN)


def test_one_bit(tmp_path: Path) -> None:
    Image.fromarray(CHANGED * 255).convert("1").save(tmp_path / "m.png")
    assert np.array_equal(MaskReader(2, True)(tmp_path / "m.png"), CHANGED)
    assert np.array_equal(MaskReader(2)(tmp_path / "m.png"), CHANGED)


def test_palette_means_the_index_not_the_colour(tmp_path: Path) -> None:
    image = Image.fromarray(SEVEN, "P")
    image.putpalette([200, 10, 10, 5, 5, 5, 255, 255, 255, *[9] * 750])
    image.save(tmp_path / "m.png")
    assert np.array_equal(MaskReader(7)(tmp_path / "m.png"), SEVEN)


def test_sixteen_bits(tmp_path: Path) -> None:
    wide = np.array([[0, 300], [299, 7]], np.uint16)
    found = MaskReader(301)(save(tmp_path / "m.png", wide))
    assert found.dtype == np.uint16 and np.array_equal(found, wide)


@pytest.mark.parametrize("extra", [(), (CHANGED * 0 + 255,)], ids=["RGB", "RGBA"])
def test_grey_stored_as_colour(tmp_path: Path, extra: tuple[np.ndarray, ...]) -> None:
    stored = np.stack([CHANGED * 255] * 3 + list(extra), axis=2)
    assert np.array_equal(MaskReader(2, True)(save(tmp_path / "m.png", stored)), CHANGED)


def test_colours_by_the_map(tmp_path: Path) -> None:
    classes = np.array([[2, 0], [1, 1]])
    stored = np.array(list(COLOURS), np.uint8)[classes]
    assert np.array_equal(MaskReader(3, colours=COLOURS)(save(tmp_path / "m.png", stored)), classes)


def test_255_does_not_count(tmp_path: Path) -> None:
    values = np.array([[0, 255, 2]], np.uint8)
    assert MaskReader(3)(save(tmp_path / "m.png", values)).tolist() == [[0, IGNORED, 2]]


@pytest.mark.parametrize(
    ("values", "reader", "message"),
    [
        (SEVEN, MaskReader(3), "the mask holds 3, 6; expected 0 to 2, or 255 for pixels that do not count."),
        (CHANGED, MaskReader(2, True), "holds 1; expected 0 and 255 .label_transform: norm.*label_transform=none"),
        (CHANGED * 254, MaskReader(2), "holds 254; .* For masks of 0 and 255 set dataset.segment.label_transform=norm"),
        (np.arange(12, dtype=np.uint8)[None], MaskReader(2), "holds 2, 3, 4, 5, 6, 7 and 4 more"),
    ],
)  # fmt: skip
def test_values_that_are_no_class(tmp_path: Path, values: np.ndarray, reader: MaskReader, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        reader(save(tmp_path / "m.png", values))
    assert str(tmp_path / "m.png") in caught.value.message


LABELS = {0: 1, 7: 0, 300: 1}


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_labels_say_the_class(tmp_path: Path, kind: type) -> None:
    labels = {label: index for label, index in LABELS.items() if label <= np.iinfo(kind).max}
    stored = np.array([[*labels, 255]], kind)
    found = MaskReader(2, labels=labels)(save(tmp_path / "m.png", stored))
    assert found.dtype == np.uint8 and found.tolist() == [[*labels.values(), IGNORED]]


def test_255_may_be_a_label(tmp_path: Path) -> None:
    found = MaskReader(2, labels={255: 0, 0: 1})(save(tmp_path / "m.png", CHANGED * 255))
    assert np.array_equal(found, 1 - CHANGED)


def test_black_and_white_are_labels_0_and_1(tmp_path: Path) -> None:
    found = MaskReader(2, True, labels={0: 1, 1: 0})(save(tmp_path / "m.png", CHANGED * 255))
    assert np.array_equal(found, 1 - CHANGED)


def test_values_that_are_no_label(tmp_path: Path) -> None:
    reader = MaskReader(2, labels=LABELS, colour_key="dataset.segment.palette")
    message = (
        r"the mask holds 3; expected label_id of dataset.segment.palette \(0, 7, 300\), or 255 for pixels that do not"
    )
    with pytest.raises(DataError, match=message):
        reader(save(tmp_path / "m.png", np.array([[0, 3, 7]], np.uint8)))


@pytest.mark.parametrize("count", [2, 12, 300])
def test_any_number_of_colours(tmp_path: Path, count: int) -> None:
    random = np.random.default_rng(count)
    colours = {index: (index % 256, index // 256 * 40, 255 - index % 256) for index in range(count)}
    classes = random.integers(0, count, (50, 61))
    path = save(tmp_path / "m.png", np.array([colours[index] for index in range(count)], np.uint8)[classes])
    found = MaskReader(count, colours={colour: index for index, colour in colours.items()})(path)
    assert np.array_equal(found, classes) and found.dtype == (np.uint8 if count < 256 else np.uint16)


def test_colours_that_nobody_explained(tmp_path: Path) -> None:
    stored = np.array([[(255, 255, 255), (1, 2, 3)]], np.uint8)
    with pytest.raises(DataError, match=r"a mask in colour \(\(1, 2, 3\), \(255, 255, 255\)\).*color_map would say"):
        MaskReader(3)(save(tmp_path / "m.png", stored))
    with pytest.raises(DataError, match=r"with colours that dataset.segment.color_map lacks: \(1, 2, 3\)\."):
        MaskReader(3, colours=COLOURS)(tmp_path / "m.png")


def test_files_that_are_no_masks(tmp_path: Path) -> None:
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.png").write_text("no picture")
    save(tmp_path / "whole.png", np.zeros((64, 64), np.uint8))
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:60])
    for name, message in [
        ("none.png", "no such mask"), ("empty.png", "empty"),
        ("text.png", "not a picture"), ("cut.png", "cannot be read"),
    ]:  # fmt: skip
        with pytest.raises(DataError, match=message):
            MaskReader(2)(tmp_path / name)
