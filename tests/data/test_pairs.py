# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Csv files of pairs, lights, golden folders."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from nvidia_tao_deploy.data.pairs import GoldenFolders, Lights, PairSample, lights, read_pairs
from nvidia_tao_deploy.errors import DataError, SpecError

ONE = Lights((), ".jpg")


def table(folder: Path, text: str, views: Lights = ONE, several: bool = False, labelled: bool = True):
    (folder / "pairs.csv").write_text(text, encoding="utf-8")
    return read_pairs(folder / "pairs.csv", folder, views, several, labelled, "dataset.test_dataset")


HEADER = "input_path,golden_path,object_name,label\n"


def test_object_names_are_text_even_where_they_are_numbers(tmp_path: Path) -> None:
    found = table(tmp_path, f"{HEADER}units/,golden/,007,PASS\n")
    assert found.samples[0].unit == (tmp_path / "units/007.jpg",)
    assert found.samples[0].golden == (tmp_path / "golden/007.jpg",)
    assert found.rows == (("units/", "golden/", "007", "PASS"),)


def test_lights_follow_the_name(tmp_path: Path) -> None:
    found = table(tmp_path, f"{HEADER}/u,g,a b,PASS\n", Lights(("Low", "White"), ".png"))
    assert found.samples[0].unit == (tmp_path / "u/a b_Low.png", tmp_path / "u/a b_White.png")


def test_absolute_paths(tmp_path: Path) -> None:
    """TAO Deploy joins paths by os.path.join; a leading slash alone does not make one absolute."""
    other = tmp_path / "other"
    for folder in ("other/u", "other/g", "images/g"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "pairs.csv").write_text(f"{HEADER}{other}/u,/g,a,PASS\n/u/,{other}/g/,a,PASS\n", encoding="utf-8")
    images = tmp_path / "images"
    found = read_pairs(tmp_path / "pairs.csv", images, Lights((), ".png"), False, True, "k").samples
    assert found[0].unit == (other / "u/a.png",) and found[0].golden == (images / "g/a.png",)
    assert found[1].unit == (images / "u/a.png",) and found[1].golden == (other / "g/a.png",)


@pytest.mark.parametrize(
    ("label", "target"), [("PASS", 0), ("pass", 0), (" PASS ", 0), ("MISSING", 1), ("FAIL", 1), ("PASSED", 1), ("0", 1)]
)
def test_labels(tmp_path: Path, label: str, target: int) -> None:
    assert table(tmp_path, f"{HEADER}u,g,a,{label}\n").samples[0].target == target


def test_columns_in_any_order_with_others_between_and_a_byte_order_mark(tmp_path: Path) -> None:
    found = table(tmp_path, "\ufefflabel,board,object_name, golden_path,input_path\nPASS,7,a,g,u\n\n")
    assert found.samples[0].unit == (tmp_path / "u/a.jpg",)
    assert found.header == ("label", "board", "object_name", "golden_path", "input_path")
    assert len(found.samples) == 1


def test_repeated_pairs_have_names_of_their_own(tmp_path: Path) -> None:
    found = table(tmp_path, f"{HEADER}u,g,a,PASS\nu,g2,a,PASS\n")
    assert [sample.name for sample in found.samples] == ["u/a", "u/a (line 3)"]


def test_inference_needs_no_label(tmp_path: Path) -> None:
    text = "input_path,golden_path,object_name\nu,g,a\n"
    assert table(tmp_path, text, labelled=False).samples[0].target is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("input_path,golden_path,objekt_name,label\nu,g,a,PASS\n", "no column object_name; found: input_path"),
        ("input_path,golden_path,object_name\nu,g,a\n", "no column label"),
        (HEADER.replace(",", ";") + "u;g;a;PASS\n", "no column input_path, golden_path"),
        ("", "the file is empty"),
        (HEADER, "no lines below the header"),
        (f'{HEADER}"u,g,a,PASS\n', "line 2: not csv"),
        (f'{HEADER}u,g,a,PASS\nu,g,b,"PASS\nu,g,c,PASS\nu,g,d,"\n', "line 3: not csv: a quote without an end"),
    ],
)
def test_a_file_that_cannot_be_used(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        table(tmp_path, text)
    assert str(tmp_path / "pairs.csv") in caught.value.message


@pytest.mark.parametrize(("mark", "name"), [(";", "semicolons"), ("\t", "tabs")])
def test_columns_that_something_else_separates(tmp_path: Path, mark: str, name: str) -> None:
    with pytest.raises(DataError) as caught:
        table(tmp_path, f"{HEADER}u,g,a,PASS\n".replace(",", mark))
    assert f"separated by {name}; expected commas" in (caught.value.hint or "")


def test_missing_column_names_the_one_that_is_near(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        table(tmp_path, "input_path,golden_path,object_nam,label\nu,g,a,PASS\n")
    assert caught.value.hint == "Is it 'object_nam'? Its name must be 'object_name'."


def test_a_bad_line_is_a_sample_that_fails(tmp_path: Path) -> None:
    found = table(tmp_path, f"{HEADER}u,g,a\nu,g,b,\nu,g,c,PASS\n")
    assert [bool(sample.fault) for sample in found.samples] == [True, True, False]
    assert found.samples[0].fault == f"{tmp_path / 'pairs.csv'}, line 2: 3 cells; the header has 4."
    assert "line 3: the label is empty" in found.samples[1].fault


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"test_dataset.csv_path.*no such file"):
        read_pairs(tmp_path / "x.csv", tmp_path, ONE, False, True, "dataset.test_dataset")
    with pytest.raises(DataError, match=r"test_dataset.images_dir.*no such folder"):
        read_pairs(tmp_path / "x.csv", tmp_path / "none", ONE, False, True, "dataset.test_dataset")


def test_tiles_follow_the_numbers_not_the_order_of_the_keys(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert lights({"White": 2, "Low": 0, "Solder": 1}, 3, ".jpg").names == ("Low", "Solder", "White")
    assert "not the order of its lines as in TAO Deploy" in caplog.text


def test_keys_in_order_where_numbers_are_missing() -> None:
    assert lights({"White": None, "Low": None}, 2, ".jpg").names == ("White", "Low")


def test_fewer_lights_wanted_than_named() -> None:
    assert lights({"b": 1, "a": 0, "c": 2}, 2, ".jpg").names == ("a", "b")


def test_without_input_map_there_is_one_picture_whatever_num_input() -> None:
    assert lights(None, 8, ".jpg").paths(Path("u"), "a") == (Path("u/a.jpg"),)


@pytest.mark.parametrize(
    ("given", "count", "suffix", "message"),
    [
        ({"a": 0, "b": 0}, 2, ".jpg", "a different number for each light"),
        ({"a": 0, "b": 1}, 8, ".jpg", "names 2 lights .a, b., but dataset.num_input is 8"),
        ({"a": 0}, 1, None, "dataset.image_ext is not set"),
    ],
)
def test_lights_that_do_not_fit(given: dict[str, int | None], count: int, suffix: str | None, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        lights(given, count, suffix)


def golden(folder: Path, *names: str) -> PairSample:
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).write_bytes(b"")
    return PairSample("unit", folder / "unit.jpg", golden_folder=folder)


def test_golden_pictures_are_drawn_by_a_seed(tmp_path: Path) -> None:
    sample = golden(tmp_path / "g", *(f"{index}.jpg" for index in range(9)), "notes.txt")
    first = GoldenFolders(ONE, 3).draw(sample)
    assert first == GoldenFolders(ONE, 3).draw(sample)
    assert len(set(first)) == 3
    draws = {tuple(GoldenFolders(ONE, 3, seed).draw(sample)) for seed in range(8)}
    assert len(draws) > 4


def test_too_few_golden_pictures_are_repeated(tmp_path: Path) -> None:
    sample = golden(tmp_path / "g", "only.jpg")
    assert GoldenFolders(ONE, 3).draw(sample) == [(tmp_path / "g/only.jpg",)] * 3


def test_only_the_end_of_a_name_is_the_light(tmp_path: Path) -> None:
    """TAO Deploy replaces `_Low` wherever it stands in the path, folders included."""
    folder = tmp_path / "board_Low/x"
    views = Lights(("Low", "White"), ".jpg")
    sample = golden(folder, "a_Low_1_Low.jpg", "a_Low_1_White.jpg", "b_Low.jpg")
    drawn = GoldenFolders(views, 2).draw(sample)
    assert drawn == [(folder / "a_Low_1_Low.jpg", folder / "a_Low_1_White.jpg")] * 2


def test_golden_folder_empty_or_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no golden picture in it; expected \*\.jpg"):
        GoldenFolders(ONE, 2).draw(golden(tmp_path / "g", "a.png"))
    with pytest.raises(DataError, match="no such folder of golden pictures"):
        GoldenFolders(ONE, 2).draw(PairSample("u", tmp_path, golden_folder=tmp_path / "none"))
