# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Finding and reading picture files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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

MAX_PIXELS = 1_000_000_000
"""Pictures with more pixels are refused: they would not fit beside the others that are in flight."""


def is_picture(path: Path) -> bool:
    """Whether the file name ends as a picture's does (and is none of the shadow files, '._name', that macOS leaves)."""
    return _named_as_picture(path.name)


def _named_as_picture(name: str) -> bool:
    stem, dot, suffix = name.rpartition(".")
    return bool(stem) and f"{dot}{suffix}".lower() in SUFFIXES and not name.startswith("._")


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
    samples, seen = [], set()
    for plain, path in _find(folders, recursive, key):
        name, count = plain, 1
        while name in seen:
            count += 1
            name = f"{count}/{plain}"
        seen.add(name)
        samples.append(Sample(name=name, path=path))
    return samples


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

        Raises:
            DataError: the file is missing, empty, truncated, not a picture, or too large.
        """
        import numpy as np
        from PIL import ImageOps

        def convert(opened: Image.Image) -> np.ndarray:
            picture = ImageOps.exif_transpose(opened) if self.exif else opened
            return np.asarray(_to_mode(picture, self.mode))

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
            return convert(opened)
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


def _to_mode(picture: Image.Image, mode: str) -> Image.Image:
    if mode == "I":
        return picture.convert("I")
    if picture.mode.startswith("I;16") or picture.mode in ("I", "F"):
        picture = _eight_bits(picture)
    return picture if picture.mode == mode else picture.convert(mode)


def _eight_bits(picture: Image.Image) -> Image.Image:
    """A 16-bit grey picture as 8 bits: 65535 -> 255. Wider values are clipped; Pillow alone would clip at 255."""
    import numpy as np
    from PIL import Image

    wide = np.asarray(picture).astype(np.float32)
    if picture.mode == "F":
        return Image.fromarray(np.clip(wide, 0, 255).astype(np.uint8), "L")
    return Image.fromarray(np.clip(np.rint(wide / 257.0), 0, 255).astype(np.uint8), "L")
