# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""COCO annotation files for detection: reading, checking, and the samples to evaluate on.

What would make a figure wrong is an error (DataError): no boxes, a box without numbers, two pictures with one id, a
picture file that is not there. What leaves it right is one warning line with a count: annotations of pictures or
classes that the file does not list, repeated ids, boxes without area or beyond the picture (scored as pycocotools
scores them).
"""

from __future__ import annotations

import json
import logging
import math
import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nvidia_tao_deploy.data.pictures import cannot_be_listed
from nvidia_tao_deploy.errors import DataError
from nvidia_tao_deploy.network import Sample

if TYPE_CHECKING:
    import numpy as np

logger = logging.getLogger(__name__)

OFFICIAL_CATEGORY_IDS = tuple(sorted(set(range(1, 91)) - {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}))
"""The 80 category ids of the COCO 2017 detection task, in order."""


@dataclass(frozen=True, slots=True)
class CocoAnnotations:
    """An annotation file as arrays; pictures in the order of the file, categories by id.

    Attributes:
        source: the file.
        image_ids: (P,) int64.
        file_names: P names as in the file.
        sizes: (P,2) int32, height and width as the file says; 0 where it does not.
        category_ids: (C,) int64, rising.
        category_names: C names.
        box_image: (N,) int32, index of the picture.
        box_category: (N,) int32, index of the category.
        xywh: (N,4) float64, left, top, width, height in pixels.
        area: (N,) float64, square pixels; width * height where the file does not say.
        crowd: (N,) bool.
    """

    source: Path
    image_ids: np.ndarray
    file_names: tuple[str, ...]
    sizes: np.ndarray
    category_ids: np.ndarray
    category_names: tuple[str, ...]
    box_image: np.ndarray
    box_category: np.ndarray
    xywh: np.ndarray
    area: np.ndarray
    crowd: np.ndarray

    def samples(self, image_dirs: Sequence[str], key: str = "image_dir") -> list[Sample]:
        """One sample per picture; `target` is the picture's index here.

        A file name is looked up below each of `image_dirs`, then as it stands (absolute, or from the current folder).

        Args:
            key: spec key of `image_dirs`, for messages.

        Raises:
            DataError: folders or picture files are missing (says how many, names the first).
        """
        for folder in image_dirs:
            if not Path(folder).is_dir():
                raise DataError(f"{folder} ({key}): no such folder.")
        samples, missing = [], []
        for index, name in enumerate(self.file_names):
            path = _find(name, image_dirs)
            if path is None:
                missing.append(name)
            else:
                samples.append(Sample(name=f"{name}#{self.image_ids[index]}", path=Path(path), target=index))
        if missing:
            raise DataError(
                f"{self.source}: {len(missing)} of {len(self.file_names)} pictures do not exist, the first is "
                f"'{missing[0]}' (looked in {', '.join(map(str, image_dirs)) or 'the current folder'}).",
                hint=self._way_out(missing, list(image_dirs) or ["."], key),
            )
        return _plain_names(samples)

    def _way_out(self, missing: Sequence[str], folders: Sequence[str], key: str) -> str:
        """What to change, by where the missing pictures are: file names often have a folder too many or too few."""
        for folder in folders:
            other = _holding(missing[0], Path(folder))
            if other:
                right = [str(other)] if len(missing) == len(self.file_names) else [*map(str, folders), str(other)]
                return f"'{missing[0]}' lies below {other}: set {key}=[{','.join(right)}]."
        bare = [re.split(r"[/\\]", name)[-1] for name in missing]
        prefix = missing[0][: len(missing[0]) - len(bare[0])]
        there = [folder for folder in folders if _below(folder, bare[0])]
        if prefix and there:
            count = sum(any(_below(folder, name) for folder in folders) for name in bare)
            return (
                f"{count} of them lie in {there[0]} without the folder in their file_name: take '{prefix}' out of the "
                f"file names in {self.source}."
            )
        return f"Set {key} to the folder that the file names in the annotation file are relative to."


def _find(name: str, folders: Sequence[str]) -> str | None:
    return next((path for folder in (*folders, "") if (path := _below(folder, name))), None)


def _below(folder: str | Path, name: str) -> str | None:
    path = os.path.join(folder, name)  # noqa: PTH118  (thousands of names)
    return path if os.path.isfile(path) else None  # noqa: PTH113


def _holding(name: str, folder: Path) -> Path | None:
    """A folder above or right below `folder` that a file name is relative to.

    Raises:
        DataError: no permission to list `folder`: then nothing is known of what is missing.
    """
    try:
        inside = sorted(item for item in folder.iterdir() if item.is_dir())
    except OSError as error:
        cannot_be_listed(error)
    return next((place for place in (*folder.absolute().parents, *inside) if _below(place, name)), None)


def _plain_names(samples: list[Sample]) -> list[Sample]:
    """Drop '#id' from names, except where two entries share a file."""
    plain = [sample.name.rpartition("#")[0] for sample in samples]
    count = Counter(plain)
    return [
        sample if count[name] > 1 else Sample(name, sample.path, sample.target)
        for name, sample in zip(plain, samples, strict=True)
    ]


def read_coco(path: str | Path) -> CocoAnnotations:
    """Read and check a COCO annotation file.

    Raises:
        DataError: see the module's text; the message names the file, the entry and what is expected.
    """
    source = Path(path)
    content = _load(source)
    remarks = _Remarks(source)
    image_ids, file_names, sizes = _read_images(source, content["images"], remarks)
    category_ids, category_names = _read_categories(source, content["categories"], remarks)
    boxes = _read_boxes(source, content["annotations"], image_ids, category_ids, remarks)
    _remark_on_shapes(boxes, sizes, remarks)
    remarks.report()
    return _as_arrays(source, image_ids, file_names, sizes, category_ids, category_names, boxes)


class _Remarks:
    """Counts oddities of a file; one warning line for each kind."""

    def __init__(self, source: Path) -> None:
        self._source = source
        self._found: dict[str, tuple[int, str]] = {}

    def add(self, kind: str, example: object, count: int = 1) -> None:
        before, first = self._found.get(kind, (0, str(example)))
        self._found[kind] = (before + count, first)

    def report(self) -> None:
        for kind, (count, first) in self._found.items():
            logger.warning("%s: %d %s (first: %s)", self._source, count, kind, first)


@dataclass(slots=True)
class _BoxColumns:
    ids: list[Any]
    images: list[int]
    categories: list[int]
    xywh: list[list[float]]
    areas: list[float]
    crowds: list[bool]


def _load(source: Path) -> dict[str, list[Any]]:
    try:
        with source.open("rb") as file:
            content = json.load(file)
    except FileNotFoundError as error:
        raise DataError(f"{source}: no such annotation file.") from error
    except IsADirectoryError as error:
        raise DataError(f"{source}: a folder; expected a COCO annotation file (.json).") from error
    except (ValueError, RecursionError) as error:  # of the text, its encoding, an endless number, brackets in brackets
        raise DataError(f"{source}: not a JSON file: {error}.") from error
    except OSError as error:
        raise DataError(f"{source}: cannot be read: {error.strerror}.") from error
    wanted = ("images", "annotations", "categories")
    missing = [key for key in wanted if not isinstance(content, dict) or not isinstance(content.get(key), list)]
    if missing:
        found = ", ".join(content) if isinstance(content, dict) else f"a {type(content).__name__}"
        raise DataError(
            f"{source}: not a COCO annotation file: expected the lists images, annotations and categories; "
            f"missing: {', '.join(missing)}; found: {found or 'nothing'}."
        )
    for key in wanted:
        if not content[key]:
            raise DataError(f"{source}: '{key}' is empty: there is nothing to evaluate against.")
    return content


def _field(entry: Any, key: str, convert: Callable[[Any], Any], where: Callable[[], str]) -> Any:
    """`entry[key]` converted, or a DataError that says what is there."""
    try:
        return convert(entry[key])
    except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
        found = repr(entry.get(key, "nothing")) if isinstance(entry, dict) else repr(entry)
        raise DataError(
            f"{where()}: '{key}' is missing or of the wrong form: found {found[:80]}; expected {_EXPECTED[convert]}."
        ) from error


def _identifier(value: Any) -> int:
    number = int(value)
    if isinstance(value, bool) or (isinstance(value, float) and value != number) or abs(number) >= 1 << 63:
        raise ValueError(value)
    return number


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(value)
    return value


def _four_numbers(value: Any) -> list[float]:
    x, y, width, height = value
    if not math.isfinite(x + y + width + height):  # one sum: NaN and infinity survive it
        raise ValueError(value)
    return [x, y, width, height]


def _flag(value: Any) -> bool:
    return bool(int(value or 0))  # "0" is no


_EXPECTED: dict[Callable[[Any], Any], str] = {
    _identifier: "a whole number below 2^63",
    _text: "a file name",
    _four_numbers: "four finite numbers",
    _flag: "0 or 1",
}


def _pixels(value: Any) -> int:
    """A size as the file says it; 0 where it says nothing that can be one."""
    return int(value) if isinstance(value, (int, float)) and 0 < value < 1 << 31 else 0


def _read_images(
    source: Path, entries: list[Any], remarks: _Remarks
) -> tuple[dict[int, int], list[str], list[tuple[int, int]]]:
    """(id -> index, file names, (height, width))."""
    index: dict[int, int] = {}
    names: list[str] = []
    sizes: list[tuple[int, int]] = []
    for number, entry in enumerate(entries):
        where = lambda number=number: f"{source}: images[{number}]"  # noqa: E731
        identifier = _field(entry, "id", _identifier, where)
        name = _field(entry, "file_name", _text, where)
        if identifier in index:
            if names[index[identifier]] != name:
                raise DataError(
                    f"{source}: two pictures have the id {identifier}: '{names[index[identifier]]}' and '{name}'; "
                    "it is not known which of them the annotations describe."
                )
            remarks.add("pictures listed twice, used once", name)
            continue
        index[identifier] = len(names)
        names.append(name)
        height, width = _pixels(entry.get("height")), _pixels(entry.get("width"))
        sizes.append((height, width) if height and width else (0, 0))
    return index, names, sizes


def _read_categories(source: Path, entries: list[Any], remarks: _Remarks) -> tuple[dict[int, int], list[str]]:
    """(id -> index in order of ids, names)."""
    names: dict[int, str] = {}
    for number, entry in enumerate(entries):
        where = lambda number=number: f"{source}: categories[{number}]"  # noqa: E731
        identifier = _field(entry, "id", _identifier, where)
        name = str(entry.get("name") or f"class_{identifier}")
        if names.setdefault(identifier, name) != name:
            raise DataError(f"{source}: two categories have the id {identifier}: '{names[identifier]}' and '{name}'.")
        if number >= len(names):
            remarks.add("categories listed twice", name)
    ordered = sorted(names)
    return {identifier: index for index, identifier in enumerate(ordered)}, [names[key] for key in ordered]


def _read_boxes(
    source: Path, entries: list[Any], images: dict[int, int], categories: dict[int, int], remarks: _Remarks
) -> _BoxColumns:
    columns = _BoxColumns([], [], [], [], [], [])
    seen: set[Any] = set()
    for number, entry in enumerate(entries):
        where = lambda number=number: f"{source}: annotations[{number}]"  # noqa: E731
        image = images.get(_field(entry, "image_id", _identifier, where))
        category = categories.get(_field(entry, "category_id", _identifier, where))
        identifier = entry.get("id", number)
        if not isinstance(identifier, (int, str)):
            identifier = str(identifier)  # a list, say: only compared and shown
        if image is None:
            remarks.add(
                "annotations of pictures that the file does not list, left out", f"image_id {entry['image_id']}"
            )
            continue
        if category is None:
            remarks.add(
                "annotations of categories that the file does not list, left out", f"category_id {entry['category_id']}"
            )
            continue
        if identifier in seen:
            remarks.add("annotations with an id that another one has; all are used", f"id {identifier}")
        seen.add(identifier)
        box = _field(entry, "bbox", _four_numbers, where)
        area = entry.get("area")
        columns.ids.append(identifier)
        columns.images.append(image)
        columns.categories.append(category)
        columns.xywh.append(box)
        columns.areas.append(float(area) if isinstance(area, (int, float)) else box[2] * box[3])
        crowd = entry.get("iscrowd", 0)
        columns.crowds.append(crowd == 1 if crowd in (0, 1) else _field(entry, "iscrowd", _flag, where))
    if not columns.ids:
        raise DataError(f"{source}: none of its {len(entries)} annotations belongs to a listed picture and category.")
    return columns


def _remark_on_shapes(boxes: _BoxColumns, sizes: list[tuple[int, int]], remarks: _Remarks) -> None:
    import numpy as np

    xywh = np.asarray(boxes.xywh, np.float64)
    empty = np.flatnonzero((xywh[:, 2] <= 0) | (xywh[:, 3] <= 0))
    if len(empty):
        remarks.add(
            "boxes without area; no detection can match them, they count as missed",
            f"annotation id {boxes.ids[empty[0]]}",
            len(empty),
        )
    bounds = np.asarray(sizes, np.float64)[boxes.images][:, ::-1]
    tolerance = 1.0  # annotation tools round outwards
    beyond = (xywh[:, :2] < -tolerance) | (xywh[:, :2] + xywh[:, 2:] > bounds + tolerance)
    outside = np.flatnonzero(beyond.any(axis=1) & bounds.all(axis=1))
    if len(outside):
        remarks.add(
            "boxes that reach beyond their picture; used as they stand",
            f"annotation id {boxes.ids[outside[0]]}",
            len(outside),
        )


def _as_arrays(
    source: Path,
    image_ids: dict[int, int],
    file_names: list[str],
    sizes: list[tuple[int, int]],
    category_ids: dict[int, int],
    category_names: list[str],
    boxes: _BoxColumns,
) -> CocoAnnotations:
    import numpy as np

    return CocoAnnotations(
        source=source,
        image_ids=np.fromiter(image_ids, np.int64, len(image_ids)),
        file_names=tuple(file_names),
        sizes=np.asarray(sizes, np.int32).reshape(-1, 2),
        category_ids=np.fromiter(category_ids, np.int64, len(category_ids)),
        category_names=tuple(category_names),
        box_image=np.asarray(boxes.images, np.int32),
        box_category=np.asarray(boxes.categories, np.int32),
        xywh=np.asarray(boxes.xywh, np.float64).reshape(-1, 4),
        area=np.asarray(boxes.areas, np.float64),
        crowd=np.asarray(boxes.crowds, bool),
    )
