# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""TensorFiles (HDF5) and the json of quantisation-aware training."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from nvidia_tao_deploy.engine.calibration import qat, tensorfile
from nvidia_tao_deploy.errors import DataError

KEY = "_tensorfile_array_key_"


def as_tao_writes(path: Path, batches: list[np.ndarray]) -> Path:
    """The layout of the contract, by plain h5py: float64, gzip level 4."""
    with h5py.File(path, "w") as file:
        file.attrs["count"] = len(batches)
        file.attrs["shape"] = batches[0].shape
        for index, batch in enumerate(batches):
            group = file.create_group(f"{KEY}_{index}")
            group.create_dataset(KEY, data=batch.astype(np.float64), compression="gzip", compression_opts=4)
    return path


def random_batches(count: int = 3) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.normal(size=(2, 3, 4, 5)).astype(np.float32) for _ in range(count)]


def test_reading_what_tao_wrote(tmp_path: Path) -> None:
    batches = random_batches()
    source = tensorfile.TensorFile(as_tao_writes(tmp_path / "c.tensorfile", batches))
    assert source.count == 3
    for found, expected in zip(source.batches(["Input"]), batches, strict=True):
        np.testing.assert_array_equal(found["Input"], expected)
        assert found["Input"].dtype == np.float32


def test_writing_as_tao_reads(tmp_path: Path) -> None:
    batches = random_batches()
    assert tensorfile.write(tmp_path / "c", ({"x": batch} for batch in batches)) == 3
    with h5py.File(tmp_path / "c") as file:
        assert int(file.attrs["count"]) == 3 and tuple(file.attrs["shape"]) == (2, 3, 4, 5)
        for index, batch in enumerate(batches):
            data = file[f"{KEY}_{index}"][KEY]
            assert data.compression == "gzip"
            np.testing.assert_array_equal(data[()], batch)


def test_several_inputs_by_name(tmp_path: Path) -> None:
    batch = {"left": np.ones((1, 2), np.float32), "right": np.zeros((1, 3), np.float32)}
    tensorfile.write(tmp_path / "c", [batch])
    (found,) = tensorfile.TensorFile(tmp_path / "c").batches(["left", "right"])
    assert found["right"].shape == (1, 3)
    with pytest.raises(DataError, match="batch 0 holds left, right; the model's inputs are input"):
        list(tensorfile.TensorFile(tmp_path / "c").batches(["input"]))


def test_unnamed_tensor_for_two_inputs(tmp_path: Path) -> None:
    source = tensorfile.TensorFile(as_tao_writes(tmp_path / "c", random_batches()))
    with pytest.raises(DataError, match="one unnamed tensor per batch; the model has the inputs a, b"):
        list(source.batches(["a", "b"]))


def test_the_longest_name_that_there_is(tmp_path: Path) -> None:
    path = tmp_path / ("図" * 84 + ".h5")
    assert tensorfile.write(path, [{"x": np.zeros((1, 2), np.float32)}]) == 1
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


def test_failed_writing_leaves_the_old_file(tmp_path: Path) -> None:
    path = as_tao_writes(tmp_path / "c", random_batches())
    before = path.read_bytes()

    def batches() -> Iterator[dict[str, np.ndarray]]:
        yield {"x": np.ones((2, 2), np.float32)}
        raise DataError("picture 7 cannot be read")

    with pytest.raises(DataError, match="picture 7"):
        tensorfile.write(path, batches())
    with pytest.raises(DataError, match=r"batches of one shape; 'x' has \(1, 2\) in the first and \(1, 3\) in batch 1"):
        tensorfile.write(path, [{"x": np.ones((1, 2))}, {"x": np.ones((1, 3))}])
    with pytest.raises(DataError, match="no batch to write"):
        tensorfile.write(path, [])
    assert path.read_bytes() == before and [item.name for item in tmp_path.iterdir()] == ["c"]


def damage(path: Path, how: str) -> None:
    if how == "empty":
        path.write_bytes(b"")
    elif how == "truncated":
        path.write_bytes(path.read_bytes()[:700])
    elif how == "text":
        path.write_text("hello, I am no HDF5 file")
    elif how == "missing":
        path.unlink()
    else:
        with h5py.File(path, "r+") as file:
            if how == "no count":
                del file.attrs["count"]
            elif how in ("nan", "1e18"):
                file.attrs["count"] = float(how)
            else:
                del file[f"{KEY}_1"]


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("empty", "cannot be read as a TensorFile: empty"),
        ("truncated", "truncated or damaged"),
        ("text", "not an HDF5 file"),
        ("missing", "no such TensorFile"),
        ("no count", "its attribute 'count' is None"),
        ("nan", "its attribute 'count' is nan"),
        ("1e18", "says it has 1000000000000000000 batches, but batch 3 is not in it"),
        ("a batch", "says it has 3 batches, but batch 1 is not in it"),
    ],
)
def test_damaged_tensorfiles(how: str, message: str, tmp_path: Path) -> None:
    path = as_tao_writes(tmp_path / "c", random_batches())
    damage(path, how)
    with pytest.raises(DataError, match=message):
        tensorfile.TensorFile(path)


def test_ranges_of_quantisation_aware_training(tmp_path: Path) -> None:
    path = tmp_path / "cal.json"
    path.write_text(json.dumps({"tensor_scales": {"input": 2.5, "conv": 7}}))
    assert qat.read(path) == {"input": 2.5, "conv": 7.0}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "found list"),
        ('{"scales": {}}', "found keys scales"),
        ('{"tensor_scales": {}}', "expected"),
        ('{"tensor_scales": {"a": 0}}', "tensor_scales.a is 0; expected a positive number"),
        ('{"tensor_scales": {"a": "x"}}', "tensor_scales.a is x"),
        ('{"tensor_scales": {"a": NaN}}', "tensor_scales.a is nan"),
    ],
)
def test_wrong_json(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "cal.json"
    path.write_text(content)
    with pytest.raises(DataError, match=message) as caught:
        qat.read(path)
    assert "cal.json" in caught.value.message
    with pytest.raises(DataError, match="no such file"):
        qat.read(tmp_path / "other.json")
