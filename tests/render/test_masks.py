# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Colours of class maps, overlays, pictures beside each other, and the files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nvidia_tao_deploy.errors import SpecError
from nvidia_tao_deploy.network import Frame, Sample
from nvidia_tao_deploy.predictions import Segmentation
from nvidia_tao_deploy.render import masks
from nvidia_tao_deploy.render.changes import ChangePictures
from nvidia_tao_deploy.render.names import ResultNames
from nvidia_tao_deploy.transforms.change import ChangeFrame, ChangeSample
from nvidia_tao_deploy.transforms.geometry import Geometry
from tests.makers import environment


def test_colours_as_specs_give_them() -> None:
    given = {"0": [1, 2, 3], 1: "green", "2": "#0000ff"}
    assert masks.read_colours(given, 3, "k") == {0: (1, 2, 3), 1: (0, 128, 0), 2: (0, 0, 255)}
    assert masks.read_colours(None, 3, "k") is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({0: [0, 0, 0]}, "no colour for class 1; expected one colour for each class, 0 to 1"),
        ({0: [0, 0, 0], 1: [1, 1, 1], 2: [2, 2, 2]}, "no class 2"),
        ({0: [0, 0, 256], 1: [0, 0, 0]}, r"k\.0: \[0, 0, 256\]: expected three numbers from 0 to 255"),
        ({0: [0, 0], 1: [0, 0, 0]}, "expected three numbers"),
        ({0: "grene", 1: [0, 0, 0]}, "k.0: 'grene' is no colour"),
        ({"road": [0, 0, 0]}, "'road' is no class number"),
        ("red", "expected a colour for each class"),
    ],
)
def test_colours_that_cannot_be_used(given: Any, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        masks.read_colours(given, 2, "k")


def test_default_colours_are_the_same_in_every_run() -> None:
    assert masks.default_colours(2) == {0: (0, 0, 0), 1: (255, 255, 255)}
    here = masks.default_colours(12)
    code = "from nvidia_tao_deploy.render.masks import default_colours; print(default_colours(12))"
    env = environment({"PYTHONHASHSEED": "77"})
    there = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout
    assert there.strip() == str(here)
    assert here[0] == (255, 255, 255)
    assert len(set(here.values())) == 12


def test_painting_and_overlay() -> None:
    table = masks.colour_table({0: (0, 0, 0), 1: (200, 100, 50)})
    classes = np.array([[0, 1, 255]], np.uint8)
    assert masks.painted(classes, table).tolist() == [[[0, 0, 0], [200, 100, 50], [128, 128, 128]]]
    picture = np.full((1, 3, 3), 100, np.uint8)
    assert masks.overlay(picture, classes, table)[0, :2].tolist() == [[50, 50, 50], [150, 100, 75]]
    assert masks.overlay(picture, classes, table, clear=0)[0, :2].tolist() == [[100, 100, 100], [150, 100, 75]]


def test_beside() -> None:
    left, right = np.full((4, 3, 3), 9, np.uint8), np.full((4, 5, 3), 7, np.uint8)
    row = masks.beside([left, right])
    assert row.shape == (4, 3 + 10 + 5, 3)
    assert (row[:, :3] == 9).all() and (row[:, 3:13] == 0).all() and (row[:, 13:] == 7).all()


def test_class_maps_are_exact(tmp_path: Path) -> None:
    samples = [Sample("a/b.jpg", Path("b.jpg")), Sample("c.jpg", Path()), Sample("c.png", Path())]
    writer = masks.ClassMaps(tmp_path, ResultNames(samples))
    for index, sample in enumerate(samples):
        classes = np.full((3, 4), index * 100, np.uint8)
        writer.write(Frame(sample, (3, 4), Geometry()), Segmentation(classes))
    found = {path.relative_to(tmp_path).as_posix(): np.asarray(Image.open(path)) for path in tmp_path.rglob("*.png")}
    assert sorted(found) == ["a/b.png", "c.jpg.png", "c.png.png"]
    assert (found["c.png.png"] == 200).all()


@pytest.mark.parametrize("labelled", [False, True])
def test_change_pictures(tmp_path: Path, labelled: bool) -> None:
    before, after = np.full((20, 30, 3), 200, np.uint8), np.full((40, 60, 3), 90, np.uint8)
    found = np.zeros((20, 30), np.uint8)
    found[:, 15:] = 1
    sample = ChangeSample("side/a.png", Path("a.png"), found if labelled else None, Path("a.png"))
    writer = ChangePictures(tmp_path, masks.default_colours(2))
    writer.write(ChangeFrame(sample, (20, 30), Geometry(), before, after), Segmentation(found))
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.jpg")) == [
        "combined_visualisation/side/a.png.jpg", "overlay/side/a.png.jpg", "side/a.png.jpg",
    ]  # fmt: skip
    row = np.asarray(Image.open(tmp_path / "combined_visualisation/side/a.png.jpg")).astype(int)
    assert row.shape == (20, (4 if labelled else 3) * 30 + (3 if labelled else 2) * 10, 3)
    middles = [row[10, x].mean() for x in (15, 55, 87, 102)]
    np.testing.assert_allclose(middles, [200, 90, 0, 255], atol=4)
    over = np.asarray(Image.open(tmp_path / "overlay/side/a.png.jpg")).astype(int)
    np.testing.assert_allclose(over[10, 5], 90, atol=4)
    np.testing.assert_allclose(over[10, 25], [172, 60, 60], atol=6)  # half the picture, half red


def test_colours_of_a_spec_stay_over_the_picture() -> None:
    assert masks.overlay_colours(masks.default_colours(2)) == {0: (0, 0, 0), 1: masks.SIGNAL}
    for given in ({0: (0, 0, 0), 1: (9, 9, 9)}, masks.default_colours(5)):
        assert masks.overlay_colours(given) == given
