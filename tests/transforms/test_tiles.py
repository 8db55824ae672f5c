# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Tiles: sizes, order, kinds of pictures, the cache of golden views."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nvidia_tao_deploy.data.pairs import GoldenFolders, Lights, PairSample
from nvidia_tao_deploy.data.pictures import PictureReader
from nvidia_tao_deploy.errors import SpecError
from nvidia_tao_deploy.transforms.picture import Normalise
from nvidia_tao_deploy.transforms.tiles import TileLayout, TilePrepare, ViewCache, tile_layout


def test_grid_is_rows_of_columns_as_in_training() -> None:
    """x columns, y rows, row by row; TAO Deploy swaps x and y and skips or repeats lights where they differ."""
    layout = tile_layout(6, (4, 5), "grid", {"x": 3, "y": 2})
    assert layout.size == (8, 15)
    corners = [(rows.start, columns.start) for rows, columns in map(layout.place, range(6))]
    assert corners == [(0, 0), (0, 5), (0, 10), (4, 0), (4, 5), (4, 10)]


def test_linear_is_one_above_the_other() -> None:
    layout = tile_layout(3, (4, 5), None, None)
    assert layout.size == (12, 5)
    assert [rows.start for rows, _ in map(layout.place, range(3))] == [0, 4, 8]


def test_an_odd_number_is_always_linear() -> None:
    assert tile_layout(3, (4, 5), "grid", {"x": 3, "y": 1}).size == (12, 5)


@pytest.mark.parametrize("grid", [None, {"x": 2}, {"x": 3, "y": 3}])
def test_a_grid_that_does_not_fit(grid: dict[str, int] | None) -> None:
    with pytest.raises(
        SpecError, match=r"grid_map: .* expected x \(columns\) times y \(rows\) to be dataset.num_input, 4"
    ):
        tile_layout(4, (4, 5), "grid", grid)


def prepare(layout: TileLayout, **more: object) -> TilePrepare:
    return TilePrepare("u", "g", layout, Normalise((0.0,), (1.0,)), **more)  # type: ignore[arg-type]


def grey(path: Path, value: int, mode: str = "RGB", size: tuple[int, int] = (6, 4)) -> Path:
    Image.new("L", size, value).convert(mode).save(path)
    return path


def test_width_and_height_are_not_swapped(tmp_path: Path) -> None:
    """A picture with a bright right half keeps it on the right in tiles that are wider than high."""
    pixels = np.zeros((10, 20, 3), np.uint8)
    pixels[:, 10:] = 255
    Image.fromarray(pixels).save(tmp_path / "a.png")
    paths = (tmp_path / "a.png",) * 2
    rows, frame = prepare(TileLayout(2, 1, 10, 20)).single(PairSample("a", paths[0], None, paths, paths))
    assert rows["u"].shape == (1, 3, 20, 20)
    assert rows["u"].dtype == np.float32
    np.testing.assert_array_equal(rows["u"][0, 0], np.concatenate([pixels[..., 0]] * 2) / np.float32(255))
    assert frame.sample.name == "a"


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1", "LA", "CMYK"])
def test_every_kind_of_picture(tmp_path: Path, mode: str) -> None:
    suffix = "tif" if mode == "CMYK" else "png"
    paths = (grey(tmp_path / f"a.{suffix}", 255, mode),)
    rows, _ = prepare(TileLayout(1, 1, 4, 6)).single(PairSample("a", paths[0], None, paths, paths))
    np.testing.assert_allclose(rows["u"], 1)


def test_tiles_lie_where_the_layout_says(tmp_path: Path) -> None:
    paths = tuple(grey(tmp_path / f"{index}.png", 51 * index) for index in range(4))
    rows, _ = prepare(tile_layout(4, (4, 6), "grid", {"x": 2, "y": 2})).single(
        PairSample("a", paths[0], None, paths, paths)
    )
    centres = np.rint(rows["u"][0, 0, 2::4, 3::6] * 5)
    assert centres.tolist() == [[0, 1], [2, 3]]


def test_several_golden_pictures(tmp_path: Path) -> None:
    (tmp_path / "g").mkdir()
    for index in range(3):
        grey(tmp_path / f"g/{index}.png", 51 * index)
    unit = (grey(tmp_path / "u.png", 255),)
    folders = GoldenFolders(Lights((), ".png"), 2)
    sample = PairSample("u", unit[0], None, unit, (), tmp_path / "g")
    made = prepare(TileLayout(1, 1, 4, 6), folders=folders)
    rows, _ = made.single(sample)
    assert rows["g"].shape == (1, 2, 3, 4, 6)
    drawn = [int(paths[0].stem) for paths in folders.draw(sample)]
    assert np.rint(rows["g"][0, :, 0, 0, 0] * 5).tolist() == drawn


class CountingReader(PictureReader):
    __slots__ = ()
    reads: list[Path] = []  # noqa: RUF012

    def __call__(self, path: Path) -> np.ndarray:
        self.reads.append(path)
        return PictureReader.__call__(self, path)


def test_a_golden_picture_is_read_once(tmp_path: Path) -> None:
    golden = (grey(tmp_path / "g.png", 100),)
    reader = CountingReader()
    reader.reads.clear()
    made = prepare(TileLayout(1, 1, 4, 6), reader=reader)
    for index in range(5):
        unit = (grey(tmp_path / f"{index}.png", index),)
        rows, _ = made.single(PairSample(str(index), unit[0], None, unit, golden))
        np.testing.assert_allclose(rows["g"], 100 / 255, rtol=1e-6)
    assert reader.reads.count(golden[0]) == 1
    assert len(reader.reads) == 6


def test_the_cache_is_bounded_and_drops_the_oldest() -> None:
    cache = ViewCache(limit=3 * 40)
    views = {(Path(str(index)),): np.full(10, index, np.float32) for index in range(5)}
    for index, (key, view) in enumerate(views.items()):
        cache.put(key, view)
        if index == 2:
            assert cache.get((Path("0"),)) is not None  # used again: the next to go is 1
    assert [cache.get(key) is not None for key in views] == [True, False, False, True, True]
    cache.put((Path("large"),), np.zeros(31, np.float32))
    assert cache.get((Path("large"),)) is None


def test_the_cache_in_several_threads() -> None:
    cache = ViewCache(limit=40 * 8)

    def work(seed: int) -> None:
        for index in np.random.default_rng(seed).integers(0, 20, 500).tolist():
            key = (Path(str(index)),)
            view = cache.get(key)
            if view is not None:
                assert (view == index).all()
            cache.put(key, np.full(10, index, np.float32))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    held = sum(cache.get((Path(str(index)),)) is not None for index in range(20))
    assert held == 8
