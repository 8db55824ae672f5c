# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Finding and reading picture files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from nvidia_tao_deploy.errors import DataError, SpecError
from nvidia_tao_deploy.files import ANNOTATED_FOLDER, MATRIX_FILE, STATUS_FILE
from nvidia_tao_deploy.network import Sample

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
"""File name endings taken for pictures, whatever their case."""

_BITS_PER_SAMPLE = 258
"""TIFF's tag."""

PROGRAMS = ("EPS",)
"""Pillow's kinds of files that Ghostscript runs to make a picture of them. Nobody expects that of a .jpg."""

MAX_PIXELS = 1_000_000_000
"""Pictures with more pixels are refused: they would not fit beside the others that are in flight."""


def is_picture(path: Path) -> bool:
    """Whether the file name ends as a picture's does (and is none of the shadow files, '._name', that macOS leaves)."""
    return _named_as_picture(path.name)


def _named_as_picture(name: str) -> bool:
    stem, dot, suffix = name.rpartition(".")
    return bool(stem) and f"{dot}{suffix}".lower() in SUFFIXES and not is_shadow(name)


def is_shadow(name: str) -> bool:
    """Whether a file is one of those that macOS leaves beside each file on other file systems: '._name' for 'name'."""
    return name.startswith("._")


def list_pictures(folders: str | Path | Sequence[str | Path], recursive: bool = True, key: str = "") -> list[Path]:
    """All pictures of one or more folders (or files), sorted by path within each, without repetition.

    Args:
        folders: a folder, a picture, or several.
        recursive: also look in sub-folders; links are followed.
        key: spec key that named the folders, for messages.

    Raises:
        DataError: a folder does not exist or holds no picture.
    """
    return [path for _, path in _find(folders, recursive, key)]


def picture_samples(folders: str | Path | Sequence[str | Path], recursive: bool = True, key: str = "") -> list[Sample]:
    """The pictures as samples named by their path relative to the folder given.

    With several folders that hold the same relative path, the later ones are prefixed by a number, so names are unique.
    """
    found = _find(folders, recursive, key)
    names = distinct(plain for plain, _ in found)
    return [Sample(name=name, path=path) for name, (_, path) in zip(names, found, strict=True)]


def distinct(names: Iterable[str], mark: str = "/") -> list[str]:
    """The names, those that were there before prefixed by a number and `mark`: a, 2/a, 3/a."""
    seen: set[str] = set()
    counts: Counter[str] = Counter()
    result = []
    for plain in names:
        name = plain
        while name in seen:
            counts[plain] += 1
            name = f"{counts[plain] + 1}{mark}{plain}"
        seen.add(name)
        result.append(name)
    return result


def _find(folders: str | Path | Sequence[str | Path], recursive: bool, key: str) -> list[tuple[str, Path]]:
    """(path relative to the folder given, path) of every picture."""
    roots = [folders] if isinstance(folders, (str, Path)) else list(folders)
    where = f" ({key})" if key else ""
    if not roots or not all(str(root) for root in roots):
        raise DataError(f"No picture folder is given{where}.", hint=f"Set {key}." if key else None)
    found: dict[Path, str] = {}
    for root in map(Path, roots):
        if root.is_file():
            if not is_picture(root):
                raise DataError(f"{root}{where}: not a picture; known endings: {' '.join(SUFFIXES)}")
            found.setdefault(root, root.name)
            continue
        if not root.is_dir():
            raise DataError(f"{root}{where}: no such folder.")
        pictures = _walk(root) if recursive else _top_level(root)
        if not pictures:
            raise DataError(f"{root}{where}: no picture in it; known endings: {' '.join(SUFFIXES)}")
        for parts in sorted(pictures):
            found.setdefault(root.joinpath(*parts), "/".join(parts))
    return [(name, path) for path, name in found.items()]


def cannot_be_listed(error: OSError) -> NoReturn:
    """The DataError of a folder without permission, say."""
    raise DataError(f"{error.filename}: cannot be listed: {error.strerror}.") from error


def _top_level(root: Path) -> list[tuple[str, ...]]:
    """As `_walk`, without sub-folders."""
    import os

    try:
        with os.scandir(root) as entries:
            return [(entry.name,) for entry in entries if _named_as_picture(entry.name) and not entry.is_dir()]
    except OSError as error:
        cannot_be_listed(error)


def _walk(root: Path) -> list[tuple[str, ...]]:
    """Pictures below `root`, each as the parts of its relative path: `Path` objects are slow to sort.

    Hidden folders (a notebook's .ipynb_checkpoints) and what an earlier run drew into its results folder are left out.
    """
    import os

    files: list[tuple[str, ...]] = []
    visited: set[str] = set()
    for folder, folders, names in os.walk(root, followlinks=True, onerror=cannot_be_listed):
        real = os.path.realpath(folder)
        if real in visited:  # a link back to a parent folder
            folders.clear()
            continue
        visited.add(real)
        drawn = STATUS_FILE in names
        folders[:] = [name for name in folders if name[0] != "." and not (drawn and name == ANNOTATED_FOLDER)]
        if drawn:
            names = [name for name in names if not name.endswith(MATRIX_FILE)]
        parts = Path(folder).relative_to(root).parts
        files.extend((*parts, name) for name in names if _named_as_picture(name))
    return files


@dataclass(frozen=True, slots=True)
class PictureReader:
    """Reads a picture file as 8-bit pixels.

    Attributes:
        mode: "RGB" -> (H,W,3), "L" -> (H,W,1) by ITU-R 601 luma (Pillow's conversion); "I" -> (H,W,1) int32, a grey
            picture's own values: 0..65535 of 16 bits, 0..255 of 8.
        exif: turn the picture as its EXIF orientation says. Off by default, as in TAO Deploy.
    """

    mode: str = "RGB"
    exif: bool = False

    @classmethod
    def for_channels(cls, channels: int, exif: bool = False) -> PictureReader:
        """For a network input of so many channels: grey for 1, RGB for 3. Raises SpecError for another number."""
        if channels not in (1, 3):
            raise SpecError(
                f"The model's picture input has {channels} channels; expected 1 (grey) or 3 (colour).",
                hint="Check that this is the model that the command is for.",
            )
        return cls("L" if channels == 1 else "RGB", exif)

    def __call__(self, path: Path) -> np.ndarray:
        """(H,W,C) uint8. 16-bit pictures are scaled to 8 bits, transparency is dropped, CMYK is converted.

        The values of 32-bit grey pictures (TIFF, integers or floating point) are taken as those of 8 bits. There is no
        standard for them, and larger ones are refused: a guess by each picture's own values would treat the dark ones
        of a data set otherwise than the rest.

        Raises:
            DataError: the file is missing, empty, truncated, not a picture, too large, or of 32 bits beyond 0..255.
        """
        import numpy as np
        from PIL import ImageOps

        def convert(opened: Image.Image) -> np.ndarray:
            bits = _sample_bits(opened)
            picture = ImageOps.exif_transpose(opened) if self.exif else opened
            return np.asarray(_to_mode(picture, self.mode, bits))

        pixels = decoded(path, convert)
        return pixels[:, :, None] if pixels.ndim == 2 else pixels


def decoded(path: Path, convert: Callable[[Image.Image], np.ndarray], what: str = "picture") -> np.ndarray:
    """Open a picture file and `convert` it; `what` it is, for messages.

    Raises:
        DataError: the file is missing, empty, truncated, not a picture, or too large.
    """
    from PIL import Image, UnidentifiedImageError

    Image.MAX_IMAGE_PIXELS = MAX_PIXELS // 2  # Pillow raises at twice this
    try:
        if path.is_fifo():  # opening it would wait for somebody to write into it
            raise OSError("a pipe; expected a file")
        with Image.open(path) as opened:
            if opened.format in PROGRAMS:
                raise DataError(f"{path}: {opened.format}, whatever its name says: a program, which is not run here.")
            return convert(opened)
    except DataError:
        raise
    except FileNotFoundError as error:
        gone = f"a link to {path.readlink()}, which does not exist here" if path.is_symlink() else f"no such {what}"
        raise DataError(f"{path}: {gone}.") from error
    except UnidentifiedImageError as error:
        found = "the file is empty" if path.stat().st_size == 0 else "not a picture, or one of an unknown kind"
        raise DataError(f"{path}: {found}.") from error
    except Image.DecompressionBombError as error:
        raise DataError(f"{path}: more than {MAX_PIXELS:,} pixels.") from error
    except Exception as error:  # a broken file makes Pillow's decoders raise nearly anything, MemoryError included
        found = str(error).rstrip(".") or type(error).__name__
        raise DataError(f"{path}: cannot be read: {found}.") from error


def _sample_bits(picture: Image.Image) -> int:
    """Bits per value of a picture with more than 8. Pillow's mode "I" is 16 bits of old PNG readers and signed TIFF
    files, and 32 bits of other TIFF files."""
    if picture.mode == "F":
        return 32
    return int(max(getattr(picture, "tag_v2", {}).get(_BITS_PER_SAMPLE, (16,))))


def _to_mode(picture: Image.Image, mode: str, bits: int) -> Image.Image:
    if mode == "I":
        return picture.convert("I")
    if picture.mode.startswith("I;16") or picture.mode in ("I", "F"):
        picture = _eight_bits(picture, bits)
    return picture if picture.mode == mode else picture.convert(mode)


def _eight_bits(picture: Image.Image, bits: int) -> Image.Image:
    """A grey picture of 16 or 32 bits per value as one of 8; Pillow alone would clip 16 bits at 255."""
    import numpy as np
    from PIL import Image

    wide = np.asarray(picture).astype(np.float32)
    if bits <= 16:
        wide = np.rint(wide / 257.0)
    elif not (wide.min() > -1 and wide.max() < 256):
        raise ValueError(
            f"32 bits per value, from {wide.min():g} to {wide.max():g}; expected 0 to 255. "
            "Save it with 16 bits (0 to 65535) or 8"
        )
    return Image.fromarray(np.clip(wide, 0, 255).astype(np.uint8), "L")
