# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Data sets of inspection: csv files with a unit and its golden pictures on each line, a picture per light."""

from __future__ import annotations

import hashlib
import logging
import random
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nvidia_tao_deploy.data.lines import csv_rows, separator_hint
from nvidia_tao_deploy.errors import DataError, SpecError, nearest
from nvidia_tao_deploy.network import Sample

logger = logging.getLogger(__name__)
COLUMNS = ("input_path", "golden_path", "object_name")
LABEL = "label"
PASS = "PASS"


@dataclass(frozen=True, slots=True)
class PairSample(Sample):
    """A unit under test and what it is compared with; `path` is its first picture, `target` 0 (pass) or 1 (defect).

    Attributes:
        unit: the unit's picture under each light.
        golden: as `unit`, for the golden picture; empty where `golden_folder` has several to choose from.
        golden_folder: folder of golden pictures.
        row: which line of the csv, counted from 0 behind the header.
    """

    unit: tuple[Path, ...] = ()
    golden: tuple[Path, ...] = ()
    golden_folder: Path = Path()
    row: int = 0

    def files(self) -> tuple[Path, ...]:
        return (*self.unit, *self.golden)


@dataclass(frozen=True, slots=True)
class Lights:
    """Which pictures make up one view of an object.

    Attributes:
        names: lights in the order of tiling; () where there is one picture without a light in its name.
        suffix: ending of every picture, such as ".jpg".
    """

    names: tuple[str, ...]
    suffix: str

    @property
    def count(self) -> int:
        """Pictures per view."""
        return max(len(self.names), 1)

    def paths(self, base: Path, name: str) -> tuple[Path, ...]:
        """`<base>/<name>[_<light>]<suffix>` for every light."""
        return tuple(base / f"{name}{end}{self.suffix}" for end in self.ends)

    @property
    def ends(self) -> tuple[str, ...]:
        """What stands between an object's name and the suffix, per light."""
        return tuple(f"_{light}" for light in self.names) or ("",)


def lights(
    input_map: Mapping[str, int | None] | None, num_input: int, suffix: str | None, key: str = "dataset"
) -> Lights:
    """The lights in the order of input_map's numbers (in the order of its keys where numbers are missing).

    Of more lights than num_input, the first are used. Without input_map there is one picture per object.

    Raises:
        SpecError: a number stands twice, there are fewer lights than num_input, or image_ext is not set.
    """
    if not suffix:
        raise SpecError(f"{key}.image_ext is not set.", hint=f"Set the pictures' ending, such as {key}.image_ext=.jpg")
    if not input_map:
        return Lights((), suffix)
    names = list(map(str, input_map))
    numbers = list(input_map.values())
    if all(number is not None for number in numbers):
        if len(set(numbers)) < len(numbers):
            raise SpecError(f"{key}.input_map: {dict(input_map)}: expected a different number for each light")
        ordered = [name for _, name in sorted(zip(numbers, names, strict=True))]
        if ordered != names:
            logger.info(
                "%s.input_map: tiles follow its numbers (%s), not the order of its lines as in TAO Deploy",
                key, ", ".join(ordered),
            )  # fmt: skip
        names = ordered
    if len(names) < num_input:
        raise SpecError(
            f"{key}.input_map names {len(names)} lights ({', '.join(names)}), but {key}.num_input is {num_input}.",
            hint=f"Set {key}.num_input={len(names)}, or name all lights.",
        )
    if len(names) > num_input:
        used = ", ".join(names[:num_input])
        logger.info("%s.num_input: of %d lights the first %d are used: %s", key, len(names), num_input, used)
    return Lights(tuple(names[:num_input]), suffix)


@dataclass(frozen=True, slots=True)
class PairTable:
    """A csv file as it stands, for result files, and its pairs.

    Attributes:
        source: the file.
        header: column names.
        rows: cells of every line, as many as there are columns.
        samples: one per line.
    """

    source: Path
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    samples: tuple[PairSample, ...]


def read_pairs(source: Path, images: Path, views: Lights, several: bool, labelled: bool, key: str) -> PairTable:
    """Read a csv file with the columns input_path, golden_path, object_name and, where `labelled`, label.

    All cells are text, so object names may be numbers. A label is a defect unless it is PASS (in any case).

    Args:
        source: the csv file, UTF-8, with a header.
        images: what the paths are relative to; an absolute one that is there counts as it stands, unless it is a folder
            of `images` as well.
        views: how the pictures of an object are named.
        several: golden pictures are all those of the golden folder, whatever their names.
        key: spec section of the file, for messages.

    Raises:
        DataError: the file or the folder is missing, it is no csv, there are no lines, or a column is missing. A line
            with too few or too many cells, or without a label, becomes a sample with a `fault`.
    """
    if not images.is_dir():
        raise DataError(f"{key}.images_dir: {images}: no such folder.")
    header, rows = _table(source, key)
    wanted = (*COLUMNS, LABEL) if labelled else COLUMNS
    places = {name: header.index(name) for name in wanted if name in header}
    missing = [name for name in wanted if name not in places]
    if missing:
        near = nearest(missing[0], [name for name in header if name not in wanted])
        hint = f"Is it '{near[0]}'? Its name must be '{missing[0]}'." if near else None
        raise DataError(
            f"{source}: no column {', '.join(missing)}; found: {', '.join(header)}.",
            hint=separator_hint(",".join(header))
            or hint
            or f"The first line must name the columns {','.join(wanted)}.",
        )
    _refuse_several_lines(source, rows, list(places.values()))
    seen: set[str] = set()
    shared: dict[tuple[str, str], tuple[Path, ...]] = {}
    folders: dict[str, Path] = {}
    samples = []
    for row, (number, cells) in enumerate(rows):
        fault = _fault(cells, header, places.get(LABEL), f"{source}, line {number}")
        cells += [""] * (len(header) - len(cells))
        unit, golden, name = (cells[places[column]].strip() for column in COLUMNS)
        shown = f"{unit.strip('/')}/{name}".lstrip("/")
        shown = shown if shown not in seen else f"{shown} (line {number})"
        seen.add(shown)
        target = int(cells[places[LABEL]].strip().upper() != PASS) if labelled else None
        for cell in (unit, golden):
            folders[cell] = folders.get(cell) or _folder(images, cell)
        folder = folders[golden]
        paths = views.paths(folders[unit], name)
        goldens: tuple[Path, ...] = ()
        if not several:  # many units share a golden picture: its paths are made, and later hashed, once
            goldens = shared.get((golden, name)) or shared.setdefault((golden, name), views.paths(folder, name))
        samples.append(PairSample(shown, paths[0], target, paths, goldens, folder, row, fault=fault))
    return PairTable(source, header, tuple(tuple(cells) for _, cells in rows), tuple(samples))


def _refuse_several_lines(source: Path, rows: list[tuple[int, list[str]]], columns: list[int]) -> None:
    """A quote that is out of place swallows the lines up to the next one. Other columns may hold such text."""
    for number, cells in rows:
        if any("\n" in cell for column, cell in enumerate(cells) if column in columns):
            first = number - "".join(cells).count("\n")
            raise DataError(f"{source}, line {first}: not csv: a quote without an end on its line.")


def _folder(images: Path, cell: str) -> Path:
    """The folder that a cell means: os.path.join, by which TAO Deploy makes it, takes an absolute path as it is."""
    below = images / cell.lstrip("/")
    if cell.startswith("/") and not below.is_dir() and Path(cell).is_dir():
        return Path(cell)
    return below


def _fault(cells: list[str], header: tuple[str, ...], label: int | None, where: str) -> str:
    """What is wrong with a line; "" when nothing is."""
    if len(cells) != len(header):
        return f"{where}: {len(cells)} cells; the header has {len(header)}."
    if label is not None and not cells[label].strip():
        return f"{where}: the label is empty; expected PASS or the name of a defect."
    return ""


def _table(source: Path, key: str) -> tuple[tuple[str, ...], list[tuple[int, list[str]]]]:
    """(header, lines with their numbers); empty lines are dropped."""
    rows = list(csv_rows(source, f"{key}.csv_path:"))
    if not rows:
        raise DataError(f"{source}: the file is empty; expected a header with {', '.join(COLUMNS)}.")
    if len(rows) == 1:
        raise DataError(f"{source}: no lines below the header.")
    return tuple(cell.strip() for cell in rows[0][1]), rows[1:]


@dataclass(frozen=True)
class GoldenFolders:
    """Draws golden pictures from folders that hold several; each folder is listed once.

    Attributes:
        views: how pictures are named.
        count: golden pictures per unit.
        seed: decides which are drawn, together with the unit's name: the same in every run.
    """

    views: Lights
    count: int
    seed: int = 0
    _found: dict[Path, tuple[str, ...]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def draw(self, sample: PairSample) -> list[tuple[Path, ...]]:
        """`count` views, without repetition where there are enough of them.

        Raises:
            DataError: the folder is missing, or holds no picture of that ending under every light.
        """
        names = self._names(sample.golden_folder)
        code = hashlib.sha256(f"{self.seed}:{sample.name}".encode()).digest()
        generator = random.Random(code)
        enough = len(names) >= self.count
        chosen = generator.sample(names, self.count) if enough else generator.choices(names, k=self.count)
        return [self.views.paths(sample.golden_folder, name) for name in chosen]

    def _names(self, folder: Path) -> tuple[str, ...]:
        with self._lock:
            if folder not in self._found:
                self._found[folder] = self._list(folder)
            return self._found[folder]

    def _list(self, folder: Path) -> tuple[str, ...]:
        """Object names that have a picture under every light. Only the end of a name is taken off."""
        if not folder.is_dir():
            raise DataError(f"{folder}: no such folder of golden pictures.")
        files = {item.name for item in folder.iterdir()}
        first, *others = (f"{end}{self.views.suffix}" for end in self.views.ends)
        stems = sorted(name.removesuffix(first) for name in files if name.endswith(first))
        whole = tuple(stem for stem in stems if all(f"{stem}{end}" in files for end in others))
        if not whole:
            ends = ", ".join(f"*{end}" for end in (first, *others))
            raise DataError(f"{folder}: no golden picture in it; expected {ends}.")
        return whole


def first_table(datasets: Iterable[tuple[str, str | None]]) -> tuple[str, Path] | None:
    """(key, file) of the first csv file that is set and exists."""
    for key, path in datasets:
        if path and Path(path).is_file():
            return key, Path(path)
    return None
