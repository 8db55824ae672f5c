# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Reading COCO annotation files: what is read, what is an error, what is one warning with a count."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nvidia_tao_deploy.data.coco import OFFICIAL_CATEGORY_IDS, read_coco
from nvidia_tao_deploy.errors import DataError


def content(**changes: Any) -> dict[str, Any]:
    """Two pictures, two categories (ids out of order), three boxes, with `changes`."""
    whole: dict[str, Any] = {
        "images": [
            {"id": 7, "file_name": "b.png", "height": 30, "width": 40},
            {"id": 3, "file_name": "sub/a.png", "height": 50, "width": 60},
        ],
        "annotations": [
            {"id": 1, "image_id": 3, "category_id": 5, "bbox": [1, 2, 10, 20], "area": 150, "iscrowd": 0},
            {"id": 2, "image_id": 7, "category_id": 2, "bbox": [0.5, 0, 9.5, 30], "area": 285, "iscrowd": 1},
            {"id": 3, "image_id": 7, "category_id": 5, "bbox": [0, 0, 40, 30]},
        ],
        "categories": [{"id": 5, "name": "dog"}, {"id": 2, "name": "cat"}],
    }
    return {**whole, **changes}


def write(folder: Path, value: Any) -> Path:
    path = folder / "truth.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def changed(section: str, index: int, **changes: Any) -> dict[str, Any]:
    """The content with one entry changed; a value of None removes the key."""
    whole = content()
    entry = {**whole[section][index], **changes}
    whole[section][index] = {key: value for key, value in entry.items() if value is not None}
    return whole


def test_reads_what_is_there(tmp_path: Path) -> None:
    truth = read_coco(write(tmp_path, content()))
    assert truth.image_ids.tolist() == [7, 3]
    assert truth.file_names == ("b.png", "sub/a.png")
    assert truth.sizes.tolist() == [[30, 40], [50, 60]]
    assert (truth.category_ids.tolist(), truth.category_names) == ([2, 5], ("cat", "dog"))
    assert truth.box_image.tolist() == [1, 0, 0]
    assert truth.box_category.tolist() == [1, 0, 1]
    np.testing.assert_array_equal(truth.xywh, [[1, 2, 10, 20], [0.5, 0, 9.5, 30], [0, 0, 40, 30]])
    assert truth.area.tolist() == [150, 285, 1200]  # the last one has no area: width * height
    assert truth.crowd.tolist() == [False, True, False]


def test_a_good_file_gives_no_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        read_coco(write(tmp_path, content()))
    assert not caplog.records


def test_picture_size_may_be_missing(tmp_path: Path) -> None:
    truth = read_coco(write(tmp_path, changed("images", 0, height=None, width=None)))
    assert truth.sizes.tolist() == [[0, 0], [50, 60]]


@pytest.mark.parametrize("size", [0, -3, "40", float("inf"), float("nan"), 1e12])
def test_picture_size_that_is_none(tmp_path: Path, size: Any) -> None:
    truth = read_coco(write(tmp_path, changed("images", 0, height=size)))
    assert truth.sizes.tolist() == [[0, 0], [50, 60]]


def test_ids_of_64_bits(tmp_path: Path) -> None:
    """Beyond 2^53 a number is no longer exact as a float; annotation tools use such ids."""
    whole = changed("images", 1, id=(1 << 62) + 1)
    whole["annotations"][0]["image_id"] = str((1 << 62) + 1)
    truth = read_coco(write(tmp_path, whole))
    assert truth.image_ids.tolist() == [7, (1 << 62) + 1] and truth.box_image.tolist() == [1, 0, 0]


def test_crowd_as_a_text_or_null(tmp_path: Path) -> None:
    whole = content()
    for entry, crowd in zip(whole["annotations"], ("0", "1", None), strict=True):
        entry["iscrowd"] = crowd
    assert read_coco(write(tmp_path, whole)).crowd.tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("", "not a JSON file"),
        ('{"images": [', "not a JSON file: .*line 1"),
        ("[1, 2]", "missing: images, annotations, categories; found: a list"),
        ({"images": []}, "missing: annotations, categories; found: images"),
        (content(images={"a": 1}), "missing: images"),
        (content(images=[]), "'images' is empty"),
        (content(annotations=[]), "'annotations' is empty"),
        (content(categories=[]), "'categories' is empty"),
        (changed("images", 1, id=None), r"images\[1\]: 'id' is missing or of the wrong form: found 'nothing'"),
        (changed("images", 1, id="x7"), r"images\[1\]: 'id' .* found 'x7'"),
        (changed("images", 0, file_name=5), r"images\[0\]: 'file_name' .* found 5"),
        (changed("images", 1, id=7), "two pictures have the id 7: 'b.png' and 'sub/a.png'"),
        (changed("categories", 1, id=5), "two categories have the id 5: 'dog' and 'cat'"),
        (changed("categories", 1, id=2.5), r"categories\[1\]: 'id' .* found 2.5"),
        (changed("annotations", 2, bbox=None), r"annotations\[2\]: 'bbox' .* found 'nothing'"),
        (changed("annotations", 2, bbox=[1, 2, 3]), r"annotations\[2\]: 'bbox' .* found \[1, 2, 3\]"),
        (changed("annotations", 2, bbox=[1, 2, 3, float("nan")]), r"annotations\[2\]: 'bbox'"),
        (changed("annotations", 2, bbox=["1", 2, 3, 4]), r"annotations\[2\]: 'bbox'"),
        (changed("annotations", 0, image_id=None), r"annotations\[0\]: 'image_id'"),
        (content(categories=[{"id": 9, "name": "bird"}]), "none of its 3 annotations belongs to a listed picture"),
        (content(annotations=["text"]), r"annotations\[0\]: 'image_id' .* found 'text'"),
        (changed("images", 1, id="img_7"), r"images\[1\]: 'id' .* found 'img_7'; expected a whole number"),
        (changed("images", 1, id=1 << 63), r"images\[1\]: 'id' .* found 9223372036854775808; expected a whole"),
        (changed("images", 1, id=float("inf")), r"images\[1\]: 'id' .* found inf"),
        (changed("annotations", 1, iscrowd="no"), r"annotations\[1\]: 'iscrowd' .* found 'no'; expected 0 or 1"),
        (
            changed("annotations", 1, bbox=[10**400, 0, 1, 1]),
            r"annotations\[1\]: 'bbox' .* expected four finite numbers",
        ),
    ],
)
def test_errors_name_the_file_and_the_entry(value: Any, message: str, tmp_path: Path) -> None:
    path = write(tmp_path, value)
    with pytest.raises(DataError, match=message) as caught:
        read_coco(path)
    assert str(path) in caught.value.message
    assert caught.value.exit_code == 3


def test_file_that_is_not_there_or_a_folder_or_binary(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such annotation file"):
        read_coco(tmp_path / "none.json")
    with pytest.raises(DataError, match="a folder; expected a COCO annotation file"):
        read_coco(tmp_path)
    for content in (b"\xff\xfe\x80\x81", b"[" * 100_000, b'{"images": ' + b"9" * 5000 + b"}"):
        (tmp_path / "binary.json").write_bytes(content)
        with pytest.raises(DataError, match="not a JSON file"):
            read_coco(tmp_path / "binary.json")


@pytest.mark.parametrize(
    ("value", "message", "boxes"),
    [
        (changed("annotations", 0, image_id=99), "1 annotations of pictures that the file does not list", 2),
        (changed("annotations", 1, category_id=99), "1 annotations of categories that the file does not list", 2),
        (
            changed("annotations", 1, id=1),
            r"1 annotations with an id that another one has; all are used \(first: id 1\)",
            3,
        ),
        (
            {**content(), "annotations": [{**entry, "id": [1]} for entry in content()["annotations"]]},
            r"2 annotations with an id that another one has; all are used \(first: id \[1\]\)",
            3,
        ),
        (changed("annotations", 0, bbox=[1, 2, 0, 20]), r"1 boxes without area.*\(first: annotation id 1\)", 3),
        (changed("annotations", 2, bbox=[0, 0, 44, 30]), r"1 boxes that reach beyond.*\(first: annotation id 3\)", 3),
        (changed("annotations", 2, bbox=[-5, 0, 4, 3]), "1 boxes that reach beyond", 3),
        (changed("images", 1, id=7, file_name="b.png"), "1 pictures listed twice, used once", 2),
        (changed("categories", 1, id=5, name="dog"), "1 categories listed twice", 2),
    ],
)
def test_oddities_are_one_warning_with_a_count(
    value: Any, message: str, boxes: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path, value)
    with caplog.at_level(logging.WARNING):
        truth = read_coco(path)
    assert len(truth.xywh) == boxes
    lines = [record.getMessage() for record in caplog.records if str(path) in record.getMessage()]
    assert any(re.search(message, line) for line in lines), caplog.text


def test_many_oddities_of_a_kind_are_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole = content()
    whole["annotations"] += [{**whole["annotations"][0], "id": 10 + n, "image_id": 1000 + n} for n in range(500)]
    with caplog.at_level(logging.WARNING):
        read_coco(write(tmp_path, whole))
    assert len(caplog.records) == 1
    assert "500 annotations of pictures that the file does not list, left out (first: image_id 1000)" in caplog.text


class TestSamples:
    def folder(self, tmp_path: Path, *names: str) -> str:
        for name in names:
            (tmp_path / "pictures" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "pictures" / name).touch()
        (tmp_path / "pictures").mkdir(exist_ok=True)
        return str(tmp_path / "pictures")

    def test_in_order_of_the_file_with_the_index_as_target(self, tmp_path: Path) -> None:
        folder = self.folder(tmp_path, "b.png", "sub/a.png")
        samples = read_coco(write(tmp_path, content())).samples([folder])
        assert [(s.name, s.path, s.target) for s in samples] == [
            ("b.png", Path(folder, "b.png"), 0),
            ("sub/a.png", Path(folder, "sub/a.png"), 1),
        ]

    def test_several_folders(self, tmp_path: Path) -> None:
        folder = self.folder(tmp_path, "b.png")
        (tmp_path / "more" / "sub").mkdir(parents=True)
        (tmp_path / "more" / "sub" / "a.png").touch()
        samples = read_coco(write(tmp_path, content())).samples([folder, str(tmp_path / "more")])
        assert samples[1].path == tmp_path / "more" / "sub" / "a.png"

    def test_absolute_names_and_names_from_the_current_folder(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = self.folder(tmp_path, "b.png", "sub/a.png")
        truth = read_coco(write(tmp_path, changed("images", 0, file_name=f"{folder}/b.png")))
        monkeypatch.chdir(folder)
        assert [sample.path.resolve() for sample in truth.samples([])] == [
            Path(folder, "b.png").resolve(),
            Path(folder, "sub/a.png").resolve(),
        ]

    def test_two_entries_with_one_file_have_two_names(self, tmp_path: Path) -> None:
        folder = self.folder(tmp_path, "b.png")
        truth = read_coco(write(tmp_path, changed("images", 1, file_name="b.png")))
        assert [sample.name for sample in truth.samples([folder])] == ["b.png#7", "b.png#3"]

    def test_missing_pictures_are_counted_and_named(self, tmp_path: Path) -> None:
        folder = self.folder(tmp_path, "b.png")
        truth = read_coco(write(tmp_path, content()))
        with pytest.raises(DataError, match=r"1 of 2 pictures do not exist, the first is 'sub/a\.png'") as caught:
            truth.samples([folder], "dataset.test_data_sources.image_dir")
        assert folder in caught.value.message
        assert "dataset.test_data_sources.image_dir" in (caught.value.hint or "")

    @pytest.mark.parametrize("prefix", ["val2017/", "/old/place/", "C:\\data\\"])
    def test_names_with_a_folder_too_many(self, tmp_path: Path, prefix: str) -> None:
        folder = self.folder(tmp_path, "b.png", "a.png")
        whole = content(images=[{"id": 7, "file_name": f"{prefix}b.png"}, {"id": 3, "file_name": f"{prefix}gone.png"}])
        with pytest.raises(DataError, match="2 of 2 pictures do not exist") as caught:
            read_coco(write(tmp_path, whole)).samples([folder])
        hint = caught.value.hint or ""
        assert f"1 of them lie in {folder} without the folder in their file_name" in hint
        assert f"take '{prefix}' out of the file names in {tmp_path / 'truth.json'}" in hint

    @pytest.mark.parametrize(
        ("name", "given", "right"), [("val/b.png", "pictures/val", "pictures"), ("b.png", "pictures", "pictures/val")]
    )
    def test_the_right_folder_is_above_or_below(self, tmp_path: Path, name: str, given: str, right: str) -> None:
        self.folder(tmp_path, "val/b.png")
        whole = content(images=[{"id": 7, "file_name": name}])
        with pytest.raises(DataError) as caught:
            read_coco(write(tmp_path, whole)).samples([str(tmp_path / given)], "the.key")
        assert caught.value.hint == f"'{name}' lies below {tmp_path / right}: set the.key=[{tmp_path / right}]."

    def test_a_second_folder_is_needed(self, tmp_path: Path) -> None:
        folder = self.folder(tmp_path, "b.png", "more/sub/a.png")
        with pytest.raises(DataError, match="1 of 2 pictures do not exist") as caught:
            read_coco(write(tmp_path, content())).samples([folder], "the.key")
        assert caught.value.hint == f"'sub/a.png' lies below {folder}/more: set the.key=[{folder},{folder}/more]."

    def test_a_folder_without_permission(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder = self.folder(tmp_path)

        def refuse(path: Path) -> None:
            raise PermissionError(13, "Permission denied", str(path))

        monkeypatch.setattr(Path, "iterdir", refuse)  # root may list everything
        with pytest.raises(DataError, match=f"{folder}: cannot be listed: Permission denied"):
            read_coco(write(tmp_path, content())).samples([folder])

    def test_missing_folder(self, tmp_path: Path) -> None:
        truth = read_coco(write(tmp_path, content()))
        with pytest.raises(DataError, match=r"/nowhere \(the\.key\): no such folder"):
            truth.samples(["/nowhere"], "the.key")


def test_official_ids() -> None:
    """The ids that COCO's list of 91 things skips, from its paper's appendix."""
    assert len(OFFICIAL_CATEGORY_IDS) == 80
    assert set(range(1, 91)) - set(OFFICIAL_CATEGORY_IDS) == {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}
    assert (OFFICIAL_CATEGORY_IDS[0], OFFICIAL_CATEGORY_IDS[11], OFFICIAL_CATEGORY_IDS[79]) == (1, 13, 90)
