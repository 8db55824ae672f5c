# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Several pictures of one object as tiles of one network input, and pairs of such inputs."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from nvidia_tao_deploy.data.pairs import GoldenFolders, PairSample
from nvidia_tao_deploy.data.pictures import PictureReader
from nvidia_tao_deploy.errors import DataError, SpecError
from nvidia_tao_deploy.network import Frame, Sample
from nvidia_tao_deploy.transforms.geometry import Geometry
from nvidia_tao_deploy.transforms.picture import Normalise
from nvidia_tao_deploy.transforms.resize import stretch

if TYPE_CHECKING:
    import numpy as np

logger = logging.getLogger(__name__)
CACHE_BYTES = 256 << 20
"""Memory for golden pictures that are kept; many units share one."""


@dataclass(frozen=True, slots=True)
class TileLayout:
    """Tiles of equal size in rows and columns; tile k lies in row k // columns, column k % columns, as in training.

    Attributes:
        rows, columns: numbers of tiles.
        height, width: of one tile, in pixels.
    """

    rows: int
    columns: int
    height: int
    width: int

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the whole."""
        return self.rows * self.height, self.columns * self.width

    def place(self, index: int) -> tuple[slice, slice]:
        """Rows and columns of pixels that tile `index` takes."""
        top, left = index // self.columns * self.height, index % self.columns * self.width
        return slice(top, top + self.height), slice(left, left + self.width)


def tile_layout(
    count: int, tile: tuple[int, int], concat_type: str | None, grid: Mapping[str, int] | None, key: str = "dataset"
) -> TileLayout:
    """Linear: one above the other. Grid: grid_map.y rows of grid_map.x tiles. An odd number of tiles is always linear.

    Args:
        count: number of tiles.
        tile: (height, width) of each.

    Raises:
        SpecError: a grid whose x times y is not the number of tiles.
    """
    height, width = tile
    if concat_type != "grid":
        return TileLayout(count, 1, height, width)
    if count % 2:
        if count > 1:
            logger.info("%s.concat_type: grid, but %d tiles are an odd number: linear, as in training", key, count)
        return TileLayout(count, 1, height, width)
    sides = (dict(grid or {}).get("x"), dict(grid or {}).get("y"))
    if None in sides or sides[0] * sides[1] != count:  # type: ignore[operator]
        raise SpecError(
            f"{key}.grid_map: {dict(grid or {})}: expected x (columns) times y (rows) to be {key}.num_input, {count}"
        )
    return TileLayout(int(sides[1]), int(sides[0]), height, width)  # type: ignore[arg-type]


class ViewCache:
    """The views used last, by their files, up to a number of bytes. Safe for several threads."""

    def __init__(self, limit: int = CACHE_BYTES) -> None:
        self._limit, self._held = limit, 0
        self._views: OrderedDict[tuple[Path, ...], np.ndarray] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[Path, ...]) -> np.ndarray | None:
        with self._lock:
            if key in self._views:
                self._views.move_to_end(key)
            return self._views.get(key)

    def put(self, key: tuple[Path, ...], view: np.ndarray) -> None:
        """Keep a view, dropping those that were not used for longest; one that is larger than the limit is not kept."""
        with self._lock:
            if key in self._views or view.nbytes > self._limit:
                return
            self._views[key] = view
            self._held += view.nbytes
            while self._held > self._limit:
                self._held -= self._views.popitem(last=False)[1].nbytes


@dataclass(frozen=True)
class TilePrepare:
    """Preprocessing of networks that compare a unit with golden pictures.

    Attributes:
        unit, golden: names of the engine inputs.
        layout: how the lights are tiled.
        normalise: pixel values -> network values.
        folders: draws golden pictures where there are several per unit; None for one.
        reader: how pictures are read.
        cache: golden views that are kept.
    """

    unit: str
    golden: str
    layout: TileLayout
    normalise: Normalise
    folders: GoldenFolders | None = None
    reader: PictureReader = PictureReader()
    cache: ViewCache = field(default_factory=ViewCache)

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]] | None:
        view = (3, *self.layout.size)
        return {self.unit: view, self.golden: view if self.folders is None else (self.folders.count, *view)}

    def __call__(self, sample: Sample, rows: Mapping[str, np.ndarray]) -> Frame:
        assert isinstance(sample, PairSample)
        self._fill(sample.unit, rows[self.unit])
        try:
            self._fill_golden(sample, rows[self.golden])
        except DataError as error:  # its path alone does not tell which lines of the csv name it
            raise DataError(f"{error.message} It is what {sample.name} is compared with.") from error
        return Frame(sample, self.layout.size, Geometry())

    def single(self, sample: Sample) -> tuple[dict[str, np.ndarray], Frame]:
        import numpy as np

        assert self.shapes is not None
        batch = {name: np.empty((1, *shape), np.float32) for name, shape in self.shapes.items()}
        return batch, self(sample, {name: array[0] for name, array in batch.items()})

    def _fill_golden(self, sample: PairSample, row: np.ndarray) -> None:
        if self.folders is None:
            self._copy(sample.golden, row)
            return
        for place, paths in zip(row, self.folders.draw(sample), strict=True):
            self._copy(paths, place)

    def _fill(self, paths: tuple[Path, ...], row: np.ndarray) -> None:
        """Read the lights of one view into (3,H,W)."""
        size = (self.layout.height, self.layout.width)
        for index, path in enumerate(paths):
            tile, _ = stretch(self.reader(path), size)
            rows, columns = self.layout.place(index)
            self.normalise(tile, row[:, rows, columns])

    def _copy(self, paths: tuple[Path, ...], row: np.ndarray) -> None:
        """As `_fill`, for views that are likely to be needed again."""
        view = self.cache.get(paths)
        if view is None:
            import numpy as np

            view = np.empty(row.shape, np.float32)
            self._fill(paths, view)
            self.cache.put(paths, view)
        row[...] = view
