# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Ground truth of text recognition."""

from __future__ import annotations

from pathlib import Path

import pytest

from nvidia_tao_deploy.data.text_recognition import labelled_crops
from nvidia_tao_deploy.errors import DataError


def load(folder: Path, content: str | bytes) -> list:
    truth = folder / "gt.txt"
    truth.write_bytes(content if isinstance(content, bytes) else content.encode())
    return labelled_crops(truth, folder)


@pytest.mark.parametrize(
    ("line", "name", "text"),
    [
        ("a.png word", "a.png", "word"),
        ("a.png   two words ", "a.png", "two words"),
        ("a.png\ttwo  words\r", "a.png", "two  words"),
        ("my crop.png\tword", "my crop.png", "word"),
        ("a.png\t", "a.png", ""),
        ("sub/a.png 1,5 €", "sub/a.png", "1,5 €"),
        ("a.png a\u3000b", "a.png", "a\u3000b"),
        ("a.png a\u2028b", "a.png", "a\u2028b"),
    ],
)
def test_lines(tmp_path: Path, line: str, name: str, text: str) -> None:
    (sample,) = load(tmp_path, f"{line}\n")
    assert (sample.name, sample.target) == (name, text)
    assert sample.path == tmp_path / name


def test_order_byte_order_mark_and_empty_lines(tmp_path: Path) -> None:
    samples = load(tmp_path, b"\xef\xbb\xbfb.png x\n\n  \na.png y")
    assert [(sample.name, sample.target) for sample in samples] == [("b.png", "x"), ("a.png", "y")]


def test_a_line_without_text(tmp_path: Path) -> None:
    samples = load(tmp_path, "a.png x\nb.png\n")
    assert [sample.name for sample in samples] == ["a.png", "b.png"] and not samples[0].fault
    assert samples[1].fault.endswith("gt.txt, line 2: 'b.png' has no text after the name; expected 'name text'.")
    with pytest.raises(DataError, match=r"gt\.txt, line 1: 'b\.png' has no text") as caught:
        load(tmp_path, "b.png\n")
    assert caught.value.exit_code == 3


def test_a_name_with_two_texts(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"line 3: 'a\.png' is listed already on line 1, with another text"):
        load(tmp_path, "a.png x\nb.png x\na.png y\n")


def test_a_repeated_line_counts_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert len(load(tmp_path, "a.png x\na.png x\n")) == 1
    assert "it counts once" in caplog.text


def test_missing_and_empty_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        labelled_crops(tmp_path / "gt.txt", tmp_path)
    with pytest.raises(DataError, match="the file is empty"):
        load(tmp_path, "\n\n")
    with pytest.raises(DataError, match="no such folder"):
        labelled_crops(tmp_path / "gt.txt", tmp_path / "nowhere")


def test_latin_1_is_named_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 2: not UTF-8"):
        load(tmp_path, b"a.png x\nb.png \xe9\n")
