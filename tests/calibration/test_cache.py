# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""The calibration cache: TensorRT's text, and what says whether it still fits."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nvidia_tao_deploy.engine.calibration import cache
from nvidia_tao_deploy.errors import DataError

# 1.0 is 3f800000 and 0.5 is 3f000000 as IEEE-754 singles
TEXT = b"TRT-8503-EntropyCalibration2\ninput: 3f800000\n/a/b:0: 3f000000\n(Unnamed Layer* 3) [Shuffle]_output: 0\n"


def test_reading_tensorrts_text() -> None:
    found = cache.parse(TEXT, "x")
    assert (found.version, found.algorithm) == (8503, "EntropyCalibration2")
    assert found.amax == {"input": 127.0, "/a/b:0": 63.5, "(Unnamed Layer* 3) [Shuffle]_output": 0.0}


def test_writing_tensorrts_text() -> None:
    text = cache.format_text({"input": 127.0, "/a/b:0": 63.5}, cache.header("entropy"))
    assert text.encode() == b"\n".join(TEXT.split(b"\n")[:3]) + b"\n"


NAMES = st.text("abc/:_. 0", min_size=1).map(lambda name: f"n{name}n")


@given(st.dictionaries(NAMES, st.floats(1e-6, 1e6), min_size=1))
def test_what_is_written_is_read(amax: dict[str, float]) -> None:
    found = cache.parse(cache.format_text(amax, cache.header("minmax")).encode(), "x").amax
    assert list(found) == list(amax)
    np.testing.assert_allclose(list(found.values()), list(amax.values()), rtol=1e-6)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the first line must be like 'TRT-8503-EntropyCalibration2', found an empty file"),
        (b"\x89PNG\r\n\x1a\n\xff\xfe", "binary content"),
        (b"input: 3f800000\n", "the first line must be"),
        (b"TRT-8503-EntropyCalibration2\n", "holds no tensor"),
        (b"TRT-8503-EntropyCalibration2\ninput: 3f800000\nconv 3f80\n", "line 3 is damaged"),
        (b"TRT-8503-EntropyCalibration2\ninput: 7fc00000\n", "line 2 is damaged"),  # NaN
        (b"TRT-8503-EntropyCalibration2\ninput: bf800000\n", "line 2 is damaged"),  # negative
        (b"TRT-8503-EntropyCalibration2\ninput: 3f80000\n", None),
        (b"TRT-8503-EntropyCalibration2\ninput: 3f80000", "line 2 is damaged"),  # the file ends within the number
    ],
)
def test_damaged_files_say_where(content: bytes, message: str | None, tmp_path: Path) -> None:
    path = tmp_path / "cal.cache"
    path.write_bytes(content)
    if message is None:  # fewer digits than eight are a number too: TensorRT writes no leading zeros
        assert cache.read(path).amax["input"] > 0
        return
    with pytest.raises(DataError, match=message.replace("(", r"\(")) as caught:
        cache.read(path)
    assert "cal.cache" in caught.value.message and "cal_force=true" in (caught.value.hint or "")


@pytest.mark.parametrize(("numbers", "code"), [((8, 5, 3, 1), 8503), ((8, 6, 1), 8601), ((10, 3, 0, 26), 100300)])
def test_version_numbers(numbers: tuple[int, ...], code: int) -> None:
    assert cache.version_code(numbers) == code


def test_facts_belong_to_one_content(tmp_path: Path) -> None:
    path = tmp_path / "cal.cache"
    cache.write(path, TEXT, {"onnx_sha256": "abc"})
    assert json.loads((tmp_path / "cal.cache.json").read_text())["onnx_sha256"] == "abc"
    assert (cache.read_facts(path) or {})["onnx_sha256"] == "abc"
    path.write_bytes(TEXT.replace(b"3f800000", b"3f900000"))
    assert cache.read_facts(path) is None
    (tmp_path / "cal.cache.json").write_text("{broken")
    assert cache.read_facts(path) is None


def test_differences_are_named() -> None:
    made = {"onnx_sha256": "a" * 64, "algorithm": "entropy", "data": {"used": 10, "seed": 0}}
    assert cache.differences(made, made) == []
    assert "another model" in cache.differences(made, {**made, "onnx_sha256": "b" * 64})[0]
    assert cache.differences(made, {**made, "algorithm": "minmax"}) == ["algorithm was entropy, now minmax"]
    assert cache.differences(made, {**made, "data": {"used": 20, "seed": 0}}) == ["data changed: used 10, now 20"]
    assert cache.differences({}, made) == []


@pytest.mark.parametrize(("mean", "same"), [(0.5001, True), (0.7, False)])
def test_preprocessing_may_differ_by_rounding_only(mean: float, same: bool) -> None:
    made = {"preprocessing": {"input": {"shape": [3, 8, 8], "mean": [0.5, -1.0], "std": [1.0, 1.0]}}}
    now = {"preprocessing": {"input": {"shape": [3, 8, 8], "mean": [mean, -1.0], "std": [1.0, 1.0]}}}
    assert (cache.differences(made, now) == []) is same
