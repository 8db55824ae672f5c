# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""KITTI label files and the names of result files."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nvidia_tao_deploy.data.classmap import ClassNames
from nvidia_tao_deploy.errors import TaoDeployError
from nvidia_tao_deploy.network import Frame, Sample
from nvidia_tao_deploy.predictions import Detections
from nvidia_tao_deploy.render.kitti import KittiLabels, kitti_line, kitti_name
from nvidia_tao_deploy.render.names import ResultNames
from nvidia_tao_deploy.transforms.geometry import Geometry


def frame(name: str) -> Frame:
    return Frame(Sample(name, Path(name)), (100, 100), Geometry())


def found(*rows: tuple[float, int]) -> Detections:
    """Detections with these scores and labels."""
    boxes = np.array([[1.5, 2, 30.25, 40]] * len(rows), np.float32).reshape(-1, 4)
    scores, labels = [row[0] for row in rows], [row[1] for row in rows]
    return Detections(boxes, np.array(scores, np.float32), np.array(labels, np.int64))


def writer(folder: Path, *names: str, classes: tuple = ("cat", "traffic light")) -> KittiLabels:
    return KittiLabels(folder, ResultNames([Sample(name, Path(name)) for name in names]), ClassNames(classes), 0.5)


def test_file_as_tao_deploy_writes_it(tmp_path: Path) -> None:
    labels = writer(tmp_path, "a.jpg")
    labels.record(frame("a.jpg"), labels.write(frame("a.jpg"), found((0.98765, 0), (0.5, 1), (0.4999, 0))))
    assert (tmp_path / "labels" / "a.txt").read_text() == (
        "cat 0.00 0 0.00 1.500 2.000 30.250 40.000 0.00 0.00 0.00 0.00 0.00 0.00 0.00 0.988\n"
        "traffic_light 0.00 0 0.00 1.500 2.000 30.250 40.000 0.00 0.00 0.00 0.00 0.00 0.00 0.00 0.500\n"
    )
    assert list(labels.finish()) == [tmp_path / "labels"]


def test_empty_file_where_nothing_is_found(tmp_path: Path) -> None:
    writer(tmp_path, "a.jpg").write(frame("a.jpg"), found((0.1, 0)))
    assert (tmp_path / "labels" / "a.txt").read_text() == ""


@given(st.text(max_size=30), st.tuples(*[st.floats(0, 1e5)] * 4), st.floats(0, 1))
def test_a_line_always_has_sixteen_columns(name: str, corners: tuple, score: float) -> None:
    line = kitti_line(name, corners, score)
    assert len(line.split()) == 16
    assert len(line.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "column"), [("traffic light", "traffic_light"), (" a \t b\n", "a_b"), ("", "_"), ("犬", "犬")]
)
def test_names_with_blanks(name: str, column: str) -> None:
    assert kitti_name(name) == column


def test_labels_without_a_name_are_written_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    labels = writer(tmp_path, "a.jpg", "b.jpg")
    for name in ("a.jpg", "b.jpg"):
        labels.record(frame(name), labels.write(frame(name), found((0.9, 7), (0.8, 0), (0.7, 99), (0.2, 55))))
    assert [line.split()[0] for line in (tmp_path / "labels" / "a.txt").read_text().splitlines()] == [
        "class_7", "cat", "class_99",
    ]  # fmt: skip
    with caplog.at_level(logging.WARNING):
        labels.finish()
    assert "4 of 6 objects have a label that the class list does not name" in caplog.text
    assert "label 7 (2), 99 (2)" in caplog.text


def test_no_warning_when_all_labels_have_names(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    labels = writer(tmp_path, "a.jpg")
    labels.record(frame("a.jpg"), labels.write(frame("a.jpg"), found((0.9, 1))))
    with caplog.at_level(logging.WARNING):
        labels.finish()
    assert not caplog.records


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "labels").write_text("a file where the folder should be")
    with pytest.raises(TaoDeployError, match=r"labels/a\.txt: cannot be written"):
        writer(tmp_path, "a.jpg").write(frame("a.jpg"), found((0.9, 0)))


def test_same_name_in_two_folders_and_two_endings_keep_their_own_files() -> None:
    given_names = ["a/x.jpg", "b/x.jpg", "y.jpg", "y.png", "no_ending", "dots.in.name.jpg"]
    names = ResultNames([Sample(name, Path(name)) for name in given_names])
    root = Path("labels")
    paths = [names.path(root, name, ".txt").as_posix() for name in given_names]
    assert paths == [
        "labels/a/x.txt", "labels/b/x.txt", "labels/y.jpg.txt", "labels/y.png.txt", "labels/no_ending.txt",
        "labels/dots.in.name.txt",
    ]  # fmt: skip
    assert names.path(root, "a/x.jpg") == Path("labels/a/x.jpg")
