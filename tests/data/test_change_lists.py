# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""List files of change detection."""

from __future__ import annotations

from pathlib import Path

import pytest

from nvidia_tao_deploy.data.change_lists import ChangeFolders
from nvidia_tao_deploy.errors import DataError


def folders(root: Path, listed: str, *names: str) -> ChangeFolders:
    """A data set of empty files."""
    for part in ("A", "B", "label", "list"):
        (root / part).mkdir()
    for name in names:
        for path in (root / "A" / name, root / "B" / name, (root / "label" / name).with_suffix(".png")):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
    (root / "list/test.txt").write_text(listed, encoding="utf-8")
    return ChangeFolders(root)


def names(found: ChangeFolders) -> list[str]:
    return [sample.name for sample in found.samples("test", labelled=True)]


def test_one_line(tmp_path: Path) -> None:
    found = folders(tmp_path, "a.jpg", "a.jpg")
    (sample,) = found.samples("test", labelled=True)
    assert (sample.path, sample.after, sample.target) == (
        tmp_path / "A/a.jpg", tmp_path / "B/a.jpg", tmp_path / "label/a.png",
    )  # fmt: skip
    assert found.samples("test", labelled=False)[0].target is None


def test_names_with_blanks_and_in_folders(tmp_path: Path) -> None:
    listed = "north side/a 1.jpg\r\n\r\nb.jpg\r\n"
    assert names(folders(tmp_path, listed, "north side/a 1.jpg", "b.jpg")) == ["north side/a 1.jpg", "b.jpg"]


def test_further_columns(tmp_path: Path) -> None:
    listed = "a.jpg B/a.jpg 1\nb c.jpg\tx\nmissing.jpg label.png\nnot there.jpg\n"
    found = names(folders(tmp_path, listed, "a.jpg", "b c.jpg"))
    assert found == ["a.jpg", "b c.jpg", "missing.jpg", "not there.jpg"]


def test_a_repeated_name_counts_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert names(folders(tmp_path, "a.jpg\na.jpg\n", "a.jpg")) == ["a.jpg"]
    assert "1 lines repeat a name" in caplog.text


@pytest.mark.parametrize("name", ["a.png", "a.jpeg", "sub.jpg/a.jpg"])
def test_masks_by_suffix(tmp_path: Path, name: str) -> None:
    """TAO Deploy replaces `.jpg` wherever it stands, and nothing else."""
    found = folders(tmp_path, name, name).samples("test", labelled=True)
    assert found[0].target == (tmp_path / "label" / name).with_suffix(".png")
    assert found[0].target.is_file()


def test_a_mask_of_the_picture_s_own_name(tmp_path: Path) -> None:
    found = folders(tmp_path, "a.tif", "a.tif")
    (tmp_path / "label/a.png").rename(tmp_path / "label/a.tif")
    assert found.samples("test", labelled=True)[0].target == tmp_path / "label/a.tif"


@pytest.mark.parametrize("name", ["../a.jpg", "/etc/passwd", "x/../../a.jpg"])
def test_names_that_lead_out(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"test.txt, line 2: .* leads out of the data set"):
        names(folders(tmp_path, f"a.jpg\n{name}\n", "a.jpg"))


def test_empty_list_and_missing_parts(tmp_path: Path) -> None:
    found = folders(tmp_path, "\n \n", "a.jpg")
    with pytest.raises(DataError, match="the list is empty"):
        names(found)
    with pytest.raises(DataError, match=r"dataset.segment: list .*val.txt: no such file"):
        found.samples("val", labelled=True)
    with pytest.raises(DataError, match=r"change_image_folder_name: .*C: no such folder") as caught:
        ChangeFolders(tmp_path, after="C").samples("test", labelled=False)
    assert caught.value.hint == f"In {tmp_path}: A, B, label, list."
    with pytest.raises(DataError, match=r"root_dir: .*: no such folder"):
        ChangeFolders(tmp_path / "none").samples("test", labelled=False)


def test_unlisted_pairs(tmp_path: Path) -> None:
    found = folders(tmp_path, "", "a.jpg", "sub/b.jpg", "c.jpg")
    (tmp_path / "B/c.jpg").unlink()
    assert sorted(sample.name for sample in found.unlisted()) == ["a.jpg", "sub/b.jpg"]
