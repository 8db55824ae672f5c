# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Class lists and data sets with a folder per class."""

from __future__ import annotations

from pathlib import Path

import pytest

from nvidia_tao_deploy.data.class_folders import folder_classes, labelled_pictures, read_class_list
from nvidia_tao_deploy.errors import DataError
from tests.makers import colour_folders, picture


def test_file_order_counts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "classes.txt"
    path.write_text("\ufeffzebra\r\n\n  ant hill \nüber\n", encoding="utf-8")
    with caplog.at_level("INFO"):
        assert read_class_list(path, "key") == ("zebra", "ant hill", "über")
    assert "numbered in file order" in caplog.text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "classes.txt: no such file"),
        (b"", "no class name in it"),
        (b"\n \n", "no class name in it"),
        (b"a\nb\na\n", "classes.txt:3: class 'a' stands in line 1 already"),
        (b"a\nb\xe4r\n", "classes.txt, line 2: not UTF-8"),
    ],
)
def test_wrong_lists(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "classes.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_class_list(path, "dataset.classes_file")
    assert message in caught.value.message and caught.value.message.startswith("dataset.classes_file: ")


def test_files_beside_the_folders_do_not_shift_the_numbers(tmp_path: Path) -> None:
    colour_folders(tmp_path, per_class=2)
    (tmp_path / "aaa.txt").touch()
    (tmp_path / ".cache").mkdir()
    assert folder_classes(tmp_path) == ("blue", "green", "red")
    assert folder_classes(tmp_path / "nowhere") == ()
    samples = labelled_pictures(tmp_path, ("red", "green", "blue"), "key")
    assert [(sample.name, sample.target) for sample in samples] == [
        ("blue/0.png", 2), ("blue/1.png", 2), ("green/0.png", 1),
        ("green/1.png", 1), ("red/0.png", 0), ("red/1.png", 0),
    ]  # fmt: skip


def test_folders_that_are_not_in_the_list(tmp_path: Path) -> None:
    colour_folders(tmp_path, per_class=1)
    with pytest.raises(DataError) as caught:
        labelled_pictures(tmp_path, ("bleu", "greeen"), "key")
    assert "folders that are not in the class list: blue, green, red; the list has 2 classes: bleu, greeen" in str(
        caught.value
    )
    assert caught.value.hint == "The folder is 'blue', the list has 'bleu': give both one name."


def test_a_folder_that_is_not_in_the_list(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It does not stop the others."""
    colour_folders(tmp_path, per_class=1)
    samples = labelled_pictures(tmp_path, ("blue", "greeen", "red"), "key", "classes.txt")
    assert [(sample.name, sample.target, bool(sample.fault)) for sample in samples] == [
        ("blue/0.png", 0, False), ("green/0.png", None, True), ("red/0.png", 2, False),
    ]  # fmt: skip
    assert "not in the class list: green;" in caplog.text
    assert "The folder is 'green', the list (classes.txt) has 'greeen': give both one name." in caplog.text
    assert samples[1].fault == f"{tmp_path / 'green/0.png'}: its folder 'green' is not in the class list."


def test_folders_that_are_no_classes_are_told_beside_pictures_that_lie_about(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    colour_folders(tmp_path, per_class=1)
    picture(tmp_path / "a.png")
    labelled_pictures(tmp_path, ("blue", "red"), "key")
    assert (
        "not in the class list: green;" in caplog.text and "1 picture beside the class folders: a.png." in caplog.text
    )


def test_a_flat_folder(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    with pytest.raises(DataError, match="no class folders in it"):
        labelled_pictures(tmp_path, folder_classes(tmp_path), "key")
