# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""The pictures of Fashion-MNIST: reading the original files and unpacking them into a folder per class.

The 10,000 test pictures are kept in the compact form in which they were published (IDX files, gzip).
"""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
from PIL import Image

HERE = Path(__file__).resolve().parent
TEST_IMAGES = HERE / "t10k-images-idx3-ubyte.gz"
TEST_LABELS = HERE / "t10k-labels-idx1-ubyte.gz"
MODEL = HERE / "fashion_mnist.onnx"

# Label k of the original files is ORIGINAL_CLASSES[k].
ORIGINAL_CLASSES = (
    "t_shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle_boot",
)

# The network numbers the classes alphabetically, as trainers that read a folder per class do. So the class list, the
# order of the folders and the columns of the output agree, whichever of them a tool goes by.
CLASSES = tuple(sorted(ORIGINAL_CLASSES))
LABEL_OF_ORIGINAL = np.array([CLASSES.index(name) for name in ORIGINAL_CLASSES], np.uint8)

# The classification loader resizes to (size + 32) and cuts the centre: at the network's 112 x 112 it keeps the middle
# 112 / 144 of a picture. With this black border the middle of a 36 x 36 picture is the original 28 x 28, four times
# enlarged, so nothing of the item is lost.
BORDER = 4


def read_idx(path: Path) -> np.ndarray:
    """Read one gzip-compressed IDX file of unsigned bytes.

    Returns:
        uint8 array of the shape that the file states: [N, 28, 28] for pictures, [N] for labels.

    Raises:
        ValueError: the file is not such a file, or is shorter or longer than it states.
    """
    try:
        raw = gzip.decompress(path.read_bytes())
    except (OSError, EOFError) as error:
        raise ValueError(f"{path}: not a complete gzip file ({error})") from error
    if len(raw) < 4 or raw[:3] != b"\x00\x00\x08":
        raise ValueError(f"{path}: not an IDX file of unsigned bytes (starts with {raw[:4].hex()}, expected 000008xx)")
    rank = raw[3]
    shape = struct.unpack_from(f">{rank}I", raw, 4)
    data = np.frombuffer(raw, np.uint8, offset=4 + 4 * rank)
    if data.size != np.prod(shape):
        raise ValueError(f"{path}: states {'x'.join(map(str, shape))} values but holds {data.size}")
    return data.reshape(shape)


def read_pictures(images: Path = TEST_IMAGES, labels: Path = TEST_LABELS) -> tuple[np.ndarray, np.ndarray]:
    """One part of the data set, by default the committed test set.

    Returns:
        Pictures [N, 28, 28] uint8 (0 = background) and their indices into `CLASSES` [N] uint8.
    """
    return read_idx(images), LABEL_OF_ORIGINAL[read_idx(labels)]


def with_border(pictures: np.ndarray) -> np.ndarray:
    """Pad pictures [N, 28, 28] by the black border to [N, 36, 36]."""
    return np.pad(pictures, ((0, 0), (BORDER, BORDER), (BORDER, BORDER)))


def unpack(folder: Path, per_class: int | None = None) -> int:
    """Write the test pictures as `folder/<class>/<number>.png` and the class names as `folder/../classes.txt`.

    Args:
        folder: root of the tree; must not exist or be empty.
        per_class: at most so many pictures of each class, the first in file order; None takes all.

    Returns:
        The number of pictures written. The number in a file name is the picture's index in the original file.
    """
    pictures, labels = read_pictures()
    pictures = with_border(pictures)
    count = 0
    for label, name in enumerate(CLASSES):
        target = folder / name
        target.mkdir(parents=True)
        for index in np.flatnonzero(labels == label)[:per_class]:
            Image.fromarray(pictures[index]).save(target / f"{index:05d}.png")
            count += 1
    (folder.parent / "classes.txt").write_text("".join(f"{name}\n" for name in CLASSES), encoding="utf-8")
    return count
