# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""ICDAR and Uber ground truth: formats, folders, list files, and wrong input."""

from __future__ import annotations

import itertools
import logging
from pathlib import Path

import numpy as np
import pytest
import shapely

from nvidia_tao_deploy.data.lines import natural_key, read_lines
from nvidia_tao_deploy.data.text_detection import clockwise, parse_icdar, parse_uber, text_samples
from nvidia_tao_deploy.errors import DataError

SQUARE = "10,10,90,10,90,40,10,40"
IGNORE = ("*", "###")


def data_set(folder: Path, files: dict[str, str], prefix: str = "gt_", suffix: str = ".jpg") -> Path:
    """`img/` and `gt/` with one ground-truth file per name."""
    (folder / "img").mkdir(parents=True)
    (folder / "gt").mkdir()
    for name, text in files.items():
        (folder / "img" / f"{name}{suffix}").write_bytes(b"not read here")
        (folder / "gt" / f"{prefix}{name}.txt").write_bytes(text.encode())
    return folder


def load(folder: Path, name: str = "ICDAR2015Dataset") -> list:
    return text_samples([str(folder)], name, IGNORE)


def test_icdar_line_with_commas_in_its_text_and_a_byte_order_mark() -> None:
    polygon, text = parse_icdar(f"\ufeff{SQUARE},one, two,\r\n")
    assert text == "one, two,"
    np.testing.assert_array_equal(polygon, [[10, 10], [90, 10], [90, 40], [10, 40]])


def test_icdar_line_without_text() -> None:
    assert parse_icdar(SQUARE)[1] == ""


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_corners_in_any_order_make_the_same_clockwise_quadrilateral(order: tuple[int, ...]) -> None:
    corners = np.array([[12.0, 8], [70, 30], [64, 52], [6, 30]])
    np.testing.assert_array_equal(clockwise(corners[list(order)]), corners)


def test_a_diamond_keeps_its_four_corners() -> None:
    diamond = np.array([[50.0, 0], [100, 50], [50, 100], [0, 50]])
    assert shapely.Polygon(clockwise(diamond)).area == 5000


def test_uber_line() -> None:
    polygon, text = parse_uber("1 2 30 2 31 20 16 25 1 20 0 7\tword\n")
    np.testing.assert_array_equal(polygon, [[1, 2], [30, 2], [31, 20], [16, 25], [1, 20]])
    assert text == "word"


def test_uber_text_of_several_words_is_ignored(tmp_path: Path) -> None:
    lines = "0 0 9 0 9 9 0 9 1 1\ttwo words\n0 0 9 0 9 9 0 9 1 1\tone\n"
    data_set(tmp_path, {"a": lines}, prefix="truth_")
    assert load(tmp_path, "UberDataset")[0].target.ignored == (True, False)


def test_ignore_tags_and_regions_without_area(tmp_path: Path) -> None:
    data_set(tmp_path, {"a": f"{SQUARE},###\n{SQUARE},*\n{SQUARE},# # #\n1,1,2,2,3,3,4,4,flat\n\n"})
    target = load(tmp_path)[0].target
    assert target.ignored == (True, True, False)
    assert len(target.polygons) == 3


def test_names_with_dots_find_their_own_ground_truth_first(tmp_path: Path) -> None:
    data_set(tmp_path, {"a.b.c": f"{SQUARE},whole", "x": f"{SQUARE},first"})
    (tmp_path / "img" / "x.y.jpg").write_bytes(b"")
    samples = {sample.name: sample.target for sample in load(tmp_path)}
    assert set(samples) == {"a.b.c.jpg", "x.jpg", "x.y.jpg"}, "x.y.jpg falls back to gt_x.txt, as in TAO"


def test_natural_order_and_other_files_in_img(tmp_path: Path) -> None:
    data_set(tmp_path, {f"img_{number}": f"{SQUARE},t" for number in (10, 9, 1)}, suffix=".JPG")
    (tmp_path / "img" / "Thumbs.db").write_bytes(b"")
    assert [sample.name for sample in load(tmp_path)] == ["img_1.JPG", "img_9.JPG", "img_10.JPG"]


def test_natural_key_orders_numbers_by_value() -> None:
    names = ["b2", "B10", "a", "2", "10", "b02"]
    assert sorted(names, key=natural_key) == ["2", "10", "a", "b02", "b2", "B10"]


def test_several_data_paths_keep_names_apart(tmp_path: Path) -> None:
    paths = [str(data_set(tmp_path / part, {"a": f"{SQUARE},t"})) for part in ("one", "two")]
    samples = text_samples(paths, "ICDAR2015Dataset", IGNORE)
    assert [sample.name for sample in samples] == ["0/a.jpg", "1/a.jpg"]
    assert [sample.path.parts[-3] for sample in samples] == ["one", "two"]


def test_list_file_with_tabs_blanks_and_relative_names(tmp_path: Path) -> None:
    data_set(tmp_path, dict.fromkeys(("a", "b c", "d"), f"{SQUARE},t"))
    lines = ["img/a.jpg\tgt/gt_a.txt", f"img/b c.jpg {tmp_path}/gt/gt_b c.txt", "", "img/d.jpg  gt/gt_d.txt"]
    listing = tmp_path / "list.txt"
    listing.write_text("\n".join(lines))
    samples = load(listing)
    assert [sample.path for sample in samples] == [tmp_path / f"img/{name}.jpg" for name in ("a", "b c", "d")]


def test_pictures_without_truth_are_left_out_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data_set(tmp_path, {"a": f"{SQUARE},t", "empty": "", "flat": "1,1,1,1,1,1,1,1,t"})
    (tmp_path / "img" / "lonely.png").write_bytes(b"")
    with caplog.at_level(logging.WARNING):
        assert [sample.name for sample in load(tmp_path)] == ["a.jpg"]
    assert "2 pictures without ground truth" in caplog.text
    assert "lonely.png" in caplog.text
    assert "1 pictures without a text region" in caplog.text


def test_a_bad_line_is_named_and_the_others_count(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data_set(tmp_path, {"a": f"{SQUARE},t\n1,2,3\n{SQUARE},u\n1,2,3,4,5,6,7,x,t\n"})
    assert len(load(tmp_path)[0].target.polygons) == 2
    assert "gt_a.txt: 2 lines left out: line 2: 3 comma-separated fields" in caplog.text
    assert "line 4" in caplog.text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hello\n", "gt_a.txt, line 1: 1 comma-separated fields"),
        ("\n1 2 3 4 5 6 7 8 t\n", "gt_a.txt, line 2"),
        ("1,2,3,4,5,6,7,nan,t\n", "not finite"),
    ],
)
def test_a_file_in_another_format_is_an_error(tmp_path: Path, text: str, expected: str) -> None:
    data_set(tmp_path, {"a": text})
    with pytest.raises(DataError, match="line") as caught:
        load(tmp_path)
    assert expected in caught.value.message
    assert "10,10,90,10" in (caught.value.hint or "")


def test_one_wrong_file_is_the_fault_of_its_picture(tmp_path: Path) -> None:
    samples = load(data_set(tmp_path, {"a": f"{SQUARE},t", "b": "hello\n", "c": f"{SQUARE},t"}))
    assert [sample.name for sample in samples] == ["a.jpg", "b.jpg", "c.jpg"]
    assert [bool(sample.fault) for sample in samples] == [False, True, False]
    assert "gt_b.txt, line 1: 1 comma-separated fields" in samples[1].fault


def test_ground_truth_without_a_picture_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data_set(tmp_path, {"a": f"{SQUARE},t"})
    assert len(load(tmp_path)) == 1 and not caplog.messages
    (tmp_path / "gt" / "gt_z.txt").write_text(f"{SQUARE},t")
    assert len(load(tmp_path)) == 1
    assert f"1 ground-truth files have no picture in {tmp_path}/img" in caplog.text and "gt_z.txt" in caplog.text


def test_icdar_files_read_as_uber_are_an_error(tmp_path: Path) -> None:
    data_set(tmp_path, {"a": f"{SQUARE},t"}, prefix="truth_")
    with pytest.raises(DataError, match=r"truth_a\.txt, line 1: no tab"):
        load(tmp_path, "UberDataset")


@pytest.mark.parametrize("missing", ["img", "gt"])
def test_folders_that_are_missing(tmp_path: Path, missing: str) -> None:
    data_set(tmp_path, {})
    (tmp_path / missing).rmdir()
    with pytest.raises(DataError, match=f"no folder '{missing}'"):
        load(tmp_path)


def test_nothing_at_all(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file or folder"):
        load(tmp_path / "nowhere")
    with pytest.raises(DataError, match="no picture with ground truth"):
        load(data_set(tmp_path / "empty", {}))


def test_a_list_line_with_one_name(tmp_path: Path) -> None:
    listing = tmp_path / "list.txt"
    listing.write_text("a.jpg\tgt_a.txt\nb.jpg\n")
    with pytest.raises(DataError, match=r"list\.txt, line 2: 'b\.jpg' names 1 files"):
        load(listing)


def test_a_picture_listed_twice_counts_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data_set(tmp_path, {"a": f"{SQUARE},t"})
    (tmp_path / "list.txt").write_text("img/a.jpg\tgt/gt_a.txt\n" * 2)
    assert len(load(tmp_path / "list.txt")) == 1
    assert "line 2: 'img/a.jpg' is listed already on line 1" in caplog.text


def test_a_file_that_is_not_utf8_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "latin.txt"
    path.write_bytes(b"good\nb\xe9d\n")
    with pytest.raises(DataError, match=r"latin\.txt, line 2: not UTF-8"):
        read_lines(path, "ground truth")
