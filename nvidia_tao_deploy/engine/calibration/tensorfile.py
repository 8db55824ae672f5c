# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""TensorFile: calibration batches in an HDF5 file, as TAO's TF1-era networks keep them.

attributes: count (batches), shape (of every batch)
group /_tensorfile_array_key__<i>, i = 0..count-1
    data set _tensorfile_array_key_ (a file of one input), or one data set per input name; gzip
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nvidia_tao_deploy.errors import DataError, SpecError, TaoDeployError
from nvidia_tao_deploy.files import flush, reason

if TYPE_CHECKING:
    import numpy as np

KEY = "_tensorfile_array_key_"
GZIP_LEVEL = 4
MAGIC = b"\x89HDF\r\n\x1a\n"


def _h5py() -> Any:
    try:
        import h5py
    except ImportError as error:
        raise SpecError(
            f"A TensorFile is an HDF5 file, and the package h5py does not import ({error}).",
            hint="pip install 'nvidia-tao-deploy[tensorfile]'",
        ) from error
    return h5py


class TensorFile:
    """A TensorFile that is read, batch by batch.

    Attributes:
        path: the file.
        count: number of batches.
    """

    def __init__(self, path: Path) -> None:
        """Raises DataError when the file is missing, not HDF5, truncated, or no TensorFile."""
        self.path = path
        if not path.is_file():
            raise DataError(f"{path}: no such TensorFile.")
        with self._open() as file:
            self.count = _count(path, file.attrs.get("count"))
            missing = next((index for index in range(self.count) if f"{KEY}_{index}" not in file), None)
        if missing is not None:
            raise DataError(
                f"{path}: says it has {self.count} batches, but batch {missing} is not in it; the file is damaged."
            )

    def _open(self) -> Any:
        h5py = _h5py()
        try:
            return h5py.File(self.path, "r")
        except OSError as error:
            with self.path.open("rb") as file:
                head = file.read(len(MAGIC))
            what = "truncated or damaged" if head == MAGIC else "not an HDF5 file" if head else "empty"
            raise DataError(f"{self.path}: cannot be read as a TensorFile: {what} ({str(error)[:120]}).") from error

    def batches(self, inputs: list[str]) -> Iterator[dict[str, np.ndarray]]:
        """The batches, float32, by input name. A file with one unnamed array per batch serves one input.

        Raises:
            DataError: the file's names are not the inputs', or a batch cannot be read.
        """
        with self._open() as file:
            for index in range(self.count):
                yield self._batch(file[f"{KEY}_{index}"], index, inputs)

    def _batch(self, group: Any, index: int, inputs: list[str]) -> dict[str, np.ndarray]:
        names = list(group)
        if names == [KEY]:
            if len(inputs) != 1:
                raise DataError(
                    f"{self.path}: holds one unnamed tensor per batch; the model has the inputs {', '.join(inputs)}."
                )
            return {inputs[0]: self._array(group[KEY], index)}
        if set(names) != set(inputs):
            raise DataError(
                f"{self.path}: batch {index} holds {', '.join(names) or 'nothing'}; "
                f"the model's inputs are {', '.join(inputs)}."
            )
        return {name: self._array(group[name], index) for name in inputs}

    def _array(self, data: Any, index: int) -> np.ndarray:
        import numpy as np

        try:
            return np.ascontiguousarray(data[()], np.float32)
        except (OSError, TypeError, ValueError) as error:
            raise DataError(f"{self.path}: batch {index} cannot be read: {str(error)[:120]}.") from error


def _count(path: Path, found: Any) -> int:
    """The number of batches that a file says it has. Raises DataError."""
    import numpy as np

    value = np.asarray(found)
    if value.size != 1 or value.dtype.kind not in "iuf" or not 1 <= value.item() < 1 << 63:
        raise DataError(f"{path}: no TensorFile: its attribute 'count' is {found}; expected a number of at least 1.")
    return int(value.item())


def write(path: Path, batches: Iterable[Mapping[str, np.ndarray]]) -> int:
    """Write batches as they come, beside `path`, then rename onto it; returns their number.

    A batch of one input is stored unnamed, as TAO stores it; several inputs by name. On any failure the old file stays.

    Raises:
        TaoDeployError: the file cannot be written.
        DataError: a batch has another shape than the first, or there is none.
    """
    h5py = _h5py()
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=".", suffix=".part", dir=path.parent)
        os.close(handle)
        with h5py.File(temporary, "w") as file:
            count = _write_batches(path, file, batches)
        Path(temporary).chmod(0o644)
        with Path(temporary).open("rb") as written:
            flush(written.fileno())
        Path(temporary).replace(path)
        temporary = None
    except OSError as error:
        raise TaoDeployError(f"{path}: cannot be written: {reason(error)}.") from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
    return count


def _write_batches(path: Path, file: Any, batches: Iterable[Mapping[str, np.ndarray]]) -> int:
    count = 0
    shapes: dict[str, tuple[int, ...]] = {}
    for batch in batches:
        group = file.create_group(f"{KEY}_{count}")
        for name, array in batch.items():
            if shapes.setdefault(name, array.shape) != array.shape:
                raise DataError(
                    f"{path}: a TensorFile holds batches of one shape; '{name}' has {shapes[name]} in the first and "
                    f"{array.shape} in batch {count}."
                )
            key = KEY if len(batch) == 1 else name
            group.create_dataset(key, data=array, compression="gzip", compression_opts=GZIP_LEVEL)
        count += 1
    if not count:
        raise DataError(f"{path}: there is no batch to write.")
    file.attrs["count"] = count
    file.attrs["shape"] = next(iter(shapes.values()))
    return count
