# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Character lists: what lines mean, and whether the list fits the model."""

from __future__ import annotations

from pathlib import Path

import pytest

from nvidia_tao_deploy.data.characters import read_characters
from nvidia_tao_deploy.errors import DataError


def write(folder: Path, content: str) -> Path:
    path = folder / "characters.txt"
    path.write_bytes(content.encode())
    return path


def training(content: str) -> str:
    """What TAO's training makes of a list, by its documented behaviour: lines stripped, then joined."""
    return "".join(line.strip() for line in content.split("\n"))


@pytest.mark.parametrize(
    "content", ["a\nb\n", "a\r\nb\r\n", "a\n\nb", "a\n \nb\n", "ab\nc\n", " a \n\tb", "é\n漢\n😀\n"]
)
def test_unknown_class_count_follows_training(tmp_path: Path, content: str) -> None:
    assert read_characters(write(tmp_path, content), "CTC").text == training(content)


def test_byte_order_mark_is_no_character(tmp_path: Path) -> None:
    assert read_characters(write(tmp_path, "\ufeffa\nb\n"), "CTC").text == "ab"


def test_unicode_line_separators_are_characters(tmp_path: Path) -> None:
    text = read_characters(write(tmp_path, "a\n\u2028\n\x85\nb\n"), "CTC", "keep").text
    assert text == "a\u2028\x85b"


@pytest.mark.parametrize(("prediction", "special"), [("CTC", 1), ("Attn", 2)])
def test_white_space_lines_are_decided_by_the_model(tmp_path: Path, prediction: str, special: int) -> None:
    path = write(tmp_path, "a\n\u3000\nb\n \n\n")
    assert read_characters(path, prediction, classes=special + 4).text == "a\u3000b "
    assert read_characters(path, prediction, classes=special + 2).text == "ab"


def test_white_space_lines_by_rule(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path, "a\n \n")
    assert read_characters(path, "CTC", "keep").text == "a "
    assert read_characters(path, "CTC", "drop").text == "a"
    assert not caplog.text
    assert read_characters(path, "CTC", "auto").text == "a"
    assert "dataset.blank_lines=keep" in caplog.text


@pytest.mark.parametrize("rule", ["auto", "drop", "keep"])
def test_a_list_of_another_length_is_an_error(tmp_path: Path, rule: str) -> None:
    with pytest.raises(DataError) as caught:
        read_characters(write(tmp_path, "a\nb\nc\n"), "CTC", rule, classes=37)
    assert "characters.txt: 3 characters, but the model has 37 classes: 36 characters" in caught.value.message
    assert "model.prediction=CTC" in (caught.value.hint or "")
    assert caught.value.exit_code == 3


def test_a_rule_that_does_not_fit_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read_characters(write(tmp_path, "a\n \n"), "CTC", "drop", classes=3)
    assert "dataset.blank_lines=drop" in (caught.value.hint or "")


def test_missing_and_empty_lists(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_characters(tmp_path / "none.txt", "CTC")
    with pytest.raises(DataError, match="holds no character"):
        read_characters(write(tmp_path, "\n\n"), "CTC")
