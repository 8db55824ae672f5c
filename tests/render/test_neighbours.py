# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Strips of neighbours: the frames' colours, the order, odd pictures; the csv."""

from __future__ import annotations

import ast
import csv
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from nvidia_tao_deploy.network import Frame, Sample
from nvidia_tao_deploy.predictions import Neighbours
from nvidia_tao_deploy.render import neighbours as module
from nvidia_tao_deploy.render.names import ResultNames
from nvidia_tao_deploy.render.neighbour_csv import NeighbourCsv
from nvidia_tao_deploy.render.neighbours import NeighbourStrips, shortened, thumbnail
from nvidia_tao_deploy.transforms.geometry import Geometry
from tests.makers import picture

FOUND = Neighbours(np.array([1, 0, 2]), np.array([1, 0, 1]), np.array([0.12347, 0.5, 3.99999]))
CLASSES = ("apple", "pear")


def frame_of(path: Path, truth: int | None, channels: int = 3) -> Frame:
    shown = np.full((30, 20, channels), 90, np.uint8)
    return Frame(Sample("a/q.png", path, truth), (30, 20), Geometry(), shown)


def drawn(root: Path, truth: int | None, count: int = 3, channels: int = 3) -> np.ndarray:
    colours = [(250, 0, 0), (0, 250, 0), (0, 0, 250)]
    samples = [Sample(str(index), picture(root / f"{index}.png", colour)) for index, colour in enumerate(colours)]
    (root / "2.png").write_bytes(b"gone since")
    frame = frame_of(root / "q.png", truth, channels)
    gallery = SimpleNamespace(samples=samples)
    NeighbourStrips(root, ResultNames([frame.sample]), CLASSES, gallery, count).write(frame, FOUND)  # type: ignore[arg-type]
    return np.asarray(Image.open(root / "images_annotated" / "a" / "q.jpg")).astype(int)


def tiles(image: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """(frame's colour, colour of the middle) of each tile, found by position."""
    side = module.TILE + 2 * module.FRAME
    lefts, left = [], module.GAP
    while left + side < image.shape[1]:
        lefts.append(left)
        left += side + module.GAP + (2 * module.GAP if len(lefts) == 1 else 0)
    top, middle = module.GAP + module.FRAME // 2, module.GAP + side // 2
    return [(image[top, left + side // 2], image[middle, left + side // 2]) for left in lefts]


def near(colour: np.ndarray, expected: tuple[int, int, int]) -> bool:
    return bool(np.abs(colour - expected).max() < 40)  # JPEG


@pytest.mark.parametrize(
    ("truth", "frames"),
    [(1, (module.RIGHT, module.WRONG, module.RIGHT)), (0, (module.WRONG, module.RIGHT, module.WRONG)),
     (None, (module.UNKNOWN,) * 3)],
)  # fmt: skip
def test_frames_say_right_and_wrong(tmp_path: Path, truth: int | None, frames: tuple) -> None:
    found = tiles(drawn(tmp_path, truth))
    assert len(found) == 4
    assert near(found[0][0], module.UNKNOWN) and near(found[0][1], (90, 90, 90))
    middles = ((0, 250, 0), (250, 0, 0), module.UNKNOWN)  # nearest first; the last file is gone
    for (frame, middle), wanted, expected in zip(found[1:], frames, middles, strict=True):
        assert near(frame, wanted) and near(middle, expected)


def test_fewer_neighbours_and_grey_queries(tmp_path: Path) -> None:
    assert len(tiles(drawn(tmp_path, 1, count=1, channels=1))) == 2


@pytest.mark.parametrize("size", [(1, 1), (28, 28), (5000, 3), (3, 900), (144, 144), (100, 73)])
def test_thumbnails_fit(size: tuple[int, int]) -> None:
    found = thumbnail(np.zeros((size[1], size[0], 3), np.uint8))
    assert max(found.size) <= module.TILE and min(found.size) >= 1


def test_long_names_are_cut() -> None:
    assert shortened("short", 150) == "short"
    cut = shortened("a very long name of a class that goes on and on", 150)
    assert cut.endswith("...") and module.font_of(module.TEXT).getlength(cut) <= 150


def test_csv(tmp_path: Path) -> None:
    writer = NeighbourCsv(tmp_path / "trt_result.csv", ("it's, an apple", "pear"))
    for name in ("a,b.png", "c.png"):
        frame = frame_of(Path(name), None)
        writer.record(frame, writer.write(frame, FOUND))
    assert writer.finish() == [tmp_path / "trt_result.csv"]
    with (tmp_path / "trt_result.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert [row[0] for row in rows] == [str(Path.cwd() / "a,b.png"), str(Path.cwd() / "c.png")]
    assert ast.literal_eval(rows[0][1]) == ["pear", "it's, an apple", "pear"]
    assert ast.literal_eval(rows[0][2]) == [0.1235, 0.5, 4.0]
