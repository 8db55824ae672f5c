# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Ground truth of text detection: ICDAR 2015 and Uber-Text files, found through folders or list files."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nvidia_tao_deploy.data.faults import some_usable
from nvidia_tao_deploy.data.lines import natural_key, numbered
from nvidia_tao_deploy.data.pictures import SUFFIXES, is_picture, is_shadow
from nvidia_tao_deploy.errors import DataError
from nvidia_tao_deploy.network import Sample

if TYPE_CHECKING:
    import numpy as np

logger = logging.getLogger(__name__)
KEY = "dataset.validate_dataset.data_path"
SHOWN = 3
"""How many offending names or lines a message lists."""


@dataclass(frozen=True, slots=True)
class TextTruth:
    """Text regions of one picture.

    Attributes:
        polygons: N arrays of (K,2) float64 x y, in pixels as the file says.
        ignored: N flags; True for regions that count neither for nor against a detector.
    """

    polygons: tuple[np.ndarray, ...]
    ignored: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class TextFormat:
    """A format of ground-truth files.

    Attributes:
        prefix: file name before the picture's name.
        parse: line -> (polygon (K,2) float64, text). Raises ValueError with what is wrong.
        example: a line, for messages.
    """

    prefix: str
    parse: Callable[[str], tuple[np.ndarray, str]]
    example: str


def clockwise(points: np.ndarray) -> np.ndarray:
    """(4,2) corners in any order -> clockwise on the screen (y down), from the corner with the smallest x + y.

    Corners are ordered by their angle around the mean, so that corners of a turned or crossed quadrilateral are neither
    lost nor doubled.
    """
    import numpy as np

    middle = points - points.mean(axis=0)
    ordered = points[np.argsort(np.arctan2(middle[:, 1], middle[:, 0]), kind="stable")]
    return np.roll(ordered, -int(ordered.sum(axis=1).argmin()), axis=0)


def _numbers(fields: Sequence[str]) -> np.ndarray:
    import numpy as np

    values = np.array([float(field) for field in fields])
    if not np.isfinite(values).all():
        raise ValueError("a coordinate is not finite")
    return values.reshape(-1, 2)


def parse_icdar(line: str) -> tuple[np.ndarray, str]:
    """`x1,y1,x2,y2,x3,y3,x4,y4,text`; the text may hold commas, or be missing."""
    fields = line.strip().lstrip("\ufeff").split(",")
    if len(fields) < 8:
        raise ValueError(f"{len(fields)} comma-separated fields; expected 8 numbers and a text")
    return clockwise(_numbers(fields[:8])), ",".join(fields[8:])


def parse_uber(line: str) -> tuple[np.ndarray, str]:
    """`x y x y ... ? ?<TAB>text`: the last two numbers are no corner; a text of several words becomes '###'."""
    corners, tab, text = line.strip().lstrip("\ufeff").partition("\t")
    if not tab:
        raise ValueError("no tab; expected numbers, a tab and a text")
    fields = corners.split()[:-2]
    if len(fields) < 6 or len(fields) % 2:
        raise ValueError(f"{len(fields) + 2} numbers; expected x and y of at least 3 corners and two more numbers")
    text = text.split("\t")[0]
    return _numbers(fields), "###" if len(text.split(" ")) > 1 else text


FORMATS = {
    "ICDAR2015Dataset": TextFormat("gt_", parse_icdar, "10,10,90,10,90,40,10,40,text"),
    "UberDataset": TextFormat("truth_", parse_uber, "10 10 90 10 90 40 10 40 0 0<TAB>text"),
}


def read_truth(path: Path, form: TextFormat, ignore_tags: Sequence[str]) -> TextTruth:
    """Read one ground-truth file. Regions without area are dropped, as TAO does.

    Lines that cannot be read are left out with a warning that names them, because TAO leaves them out too.

    Raises:
        DataError: no line of the file can be read; says the file, the line, and what a line looks like.
    """
    polygons, ignored, problems = [], [], []
    for number, line in numbered(path, "ground truth"):
        try:
            polygon, text = form.parse(line)
        except ValueError as error:
            problems.append(f"line {number}: {error}")
            continue
        if _area(polygon) > 0:
            polygons.append(polygon)
            ignored.append(text in ignore_tags)
    if problems and not polygons:
        raise DataError(f"{path}, {problems[0]}.", hint=f"A line looks like this: {form.example}")
    if problems:
        logger.warning("%s: %d lines left out: %s", path, len(problems), "; ".join(problems[:SHOWN]))
    return TextTruth(tuple(polygons), tuple(ignored))


def _area(polygon: np.ndarray) -> float:
    """Area of a simple polygon (shoelace formula)."""
    import numpy as np

    x, y = polygon.T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


def text_samples(paths: Sequence[str], data_name: str, ignore_tags: Sequence[str]) -> list[Sample]:
    """Pictures with their text regions, in order of data_path and then natural order of names.

    Args:
        paths: folders with `img/` and `gt/`, or list files with a picture and its ground truth on each line.
        data_name: a key of FORMATS.
        ignore_tags: texts of regions that do not count.

    Pictures without ground-truth file and pictures without any region are left out with a warning. A ground-truth file
    of which nothing can be read makes a sample with a `fault`.

    Raises:
        DataError: a path does not exist, a list file cannot be read, nothing is left, or no ground truth can be read.
    """
    form = FORMATS[data_name]
    samples, without_file, without_text = [], [], []
    for index, entry in enumerate(map(Path, paths)):
        for name, picture, truth in _pairs(entry, form):
            if truth is None or not truth.is_file() or truth.stat().st_size == 0:
                without_file.append(str(picture))
                continue
            try:
                target, fault = read_truth(truth, form, ignore_tags), ""
            except DataError as error:
                target, fault = None, error.message
            if fault or (target and target.polygons):
                samples.append(Sample(f"{index}/{name}" if len(paths) > 1 else name, picture, target, fault=fault))
            else:
                without_text.append(str(picture))
    _warn("without ground truth", without_file)
    _warn("without a text region", without_text)
    if not samples:
        raise DataError(
            f"{KEY}: {', '.join(map(str, paths))}: no picture with ground truth.",
            hint=f"Ground truth of img/NAME.jpg is gt/{form.prefix}NAME.txt with lines like: {form.example}",
        )
    return some_usable(samples, hint=f"A line looks like this: {form.example}")


def _warn(what: str, names: list[str]) -> None:
    if names:
        more = ", ..." if len(names) > SHOWN else ""
        logger.warning("%d pictures %s are left out: %s%s", len(names), what, ", ".join(names[:SHOWN]), more)


def _pairs(entry: Path, form: TextFormat) -> Iterator[tuple[str, Path, Path | None]]:
    """(sample name, picture, ground-truth file or None)."""
    if entry.is_file():
        yield from _listed(entry)
        return
    if not entry.is_dir():
        raise DataError(f"{KEY}: {entry}: no such file or folder.")
    pictures, truths = entry / "img", entry / "gt"
    for folder in (pictures, truths):
        if not folder.is_dir():
            raise DataError(
                f"{KEY}: {entry}: no folder '{folder.name}' in it.",
                hint="Give a folder with img/ and gt/, or a file that lists 'picture<TAB>ground truth' on each line.",
            )
    alone = {file for file in truths.glob(f"{form.prefix}*.txt") if not is_shadow(file.name)}
    for picture in sorted(filter(is_picture, pictures.iterdir()), key=lambda path: natural_key(path.name)):
        truth = _truth_of(picture, truths, form.prefix)
        alone.discard(truth or picture)
        yield picture.name, picture, truth
    if alone:
        text = "%d ground-truth files have no picture in %s; the first is %s"
        logger.warning(text, len(alone), pictures, min(alone, key=lambda path: natural_key(path.name)))


def _truth_of(picture: Path, folder: Path, prefix: str) -> Path | None:
    """The file named by the picture's whole stem; else, as TAO looks for it, by the name up to its first dot."""
    for stem in (picture.stem, picture.name.split(".")[0]):
        candidate = folder / f"{prefix}{stem}.txt"
        if candidate.is_file():
            return candidate
    return None


_AFTER_PICTURE = re.compile(rf"(?<=\S)({'|'.join(map(re.escape, SUFFIXES))})\s+", re.IGNORECASE)


def _listed(path: Path) -> Iterator[tuple[str, Path, Path]]:
    """Pairs of a list file: `picture<TAB>truth`, or `picture.jpg truth` (blanks in names are kept).

    Relative names count from the current folder, as in TAO; when nothing is there, from the list file's folder.
    """
    seen: dict[str, int] = {}
    for number, line in numbered(path, KEY):
        text = line.strip()
        fields = [field.strip() for field in text.split("\t") if field.strip()]
        if len(fields) == 1:
            found = _AFTER_PICTURE.search(text)
            fields = [text[: found.end(1)], text[found.end() :]] if found else fields
        if len(fields) != 2:
            raise DataError(
                f"{KEY}: {path}, line {number}: '{text}' names {len(fields)} files; expected a picture, a tab and its "
                "ground truth."
            )
        first = seen.setdefault(fields[0], number)
        if first != number:
            logger.warning("%s: %s, line %d: '%s' is listed already on line %d", KEY, path, number, fields[0], first)
            continue
        picture, truth = (_beside(Path(field), path.parent) for field in fields)
        yield fields[0], picture, truth


def _beside(name: Path, folder: Path) -> Path:
    return name if name.is_absolute() or name.exists() or not (folder / name).exists() else folder / name
