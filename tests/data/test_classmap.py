# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Class lists of the DETR family: which line names which label, and lists that do not fit."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from nvidia_tao_deploy.data.classmap import class_names
from nvidia_tao_deploy.errors import DataError


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "classes.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    ("text", "first", "labels", "names"),
    [
        ("cat\ndog\n", 1, 3, (None, "cat", "dog")),
        ("cat\ndog\n", 0, 2, ("cat", "dog")),
        ("cat\ndog", 0, 80, ("cat", "dog")),
        ("cat\ndog\n", 0, -1, ("cat", "dog")),
        ("background\ncat\ndog\n", 1, 3, ("background", "cat", "dog")),
        ("background\ncat\ndog\n", 0, 3, ("background", "cat", "dog")),
        ("Background\ncat\ndog\n", 0, 2, ("cat", "dog")),
        ("\ufefftraffic light \r\n  stop sign\r\n\r\n", 0, 2, ("traffic light", "stop sign")),
        ("cat\n\nbird\n", 0, 3, ("cat", None, "bird")),
        ("Straße\n犬\n", 0, 2, ("Straße", "犬")),
    ],
)
def test_rule(text: str, first: int, labels: int, names: tuple, tmp_path: Path) -> None:
    found = class_names(write(tmp_path, text), first, labels)
    assert found.names == names
    assert [found.known(label) for label in range(len(names))] == [name is not None for name in names]


def test_labels_without_a_name(tmp_path: Path) -> None:
    found = class_names(write(tmp_path, "cat\n"), 1, 91)
    assert [found[label] for label in (0, 1, 2, 90, -1)] == ["class_0", "cat", "class_2", "class_90", "class_-1"]
    assert list(found) == ["cat"]


@pytest.mark.parametrize(
    ("text", "first", "labels", "message", "hint"),
    [
        ("a\nb\nc\n", 0, 2, r"3 class names, but the model has 2 labels \(0 to 1\)", "TAO Deploy's rtdetr ignored it"),
        ("a\nb\nc\nd\n", 0, 2, "4 class names, but the model has 2 labels", "that the model was trained with"),
        ("a\nb\nc\n", 1, 2, "3 class names, but the model has 2 labels", "that the model was trained with"),
        ("", 0, 2, "the class list is empty", None),
        ("\n\n", 0, 2, "the class list is empty", None),
        (b"a\n\xff\xfe\x00b", 0, 2, "line 2: not UTF-8", "Save the file as UTF-8"),
    ],
)
def test_lists_that_cannot_be_used(
    text: str | bytes, first: int, labels: int, message: str, hint: str | None, tmp_path: Path
) -> None:
    path = write(tmp_path, text)
    with pytest.raises(DataError, match=message) as caught:
        class_names(path, first, labels)
    assert caught.value.message.startswith("dataset.infer_data_sources.classmap: ")
    assert str(path) in caught.value.message
    assert caught.value.exit_code == 3
    if hint:
        assert hint in (caught.value.hint or "")


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"infer_data_sources\.classmap: class list .*none\.txt: no such file"):
        class_names(tmp_path / "none.txt", 0)
    with pytest.raises(DataError, match="cannot be read"):
        class_names(tmp_path, 0)


def test_last_line_beyond_the_last_label_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        class_names(write(tmp_path, "cat\ndog\n"), 1, 2)
    assert "line 1 names label 1, so 'dog' would be label 2; the model's last label is 1" in caplog.text
