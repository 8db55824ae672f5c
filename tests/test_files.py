# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Files appear whole or not at all; JSON is JSON."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nvidia_tao_deploy import files
from nvidia_tao_deploy.errors import TaoDeployError
from nvidia_tao_deploy.files import to_json, write_atomic, write_together
from nvidia_tao_deploy.status import Status
from tests.makers import environment, status_lines, strict_json


def names(folder: Path) -> list[str]:
    return sorted(item.name for item in folder.iterdir())


@pytest.fixture(params=["nameless", "named"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways of staging: Linux's nameless files, and named ones where a file system lacks those."""
    if request.param == "named":
        real = os.open

        def refuse(path: object, flags: int, *more: int, **others: int) -> int:
            if flags & os.O_TMPFILE == os.O_TMPFILE:
                raise OSError(errno.EOPNOTSUPP, "not supported")
            return real(path, flags, *more, **others)  # type: ignore[arg-type, call-overload, no-any-return]

        monkeypatch.setattr(files.os, "open", refuse)
    return str(request.param)


@pytest.mark.usefixtures("way")
class TestWriting:
    def test_content_permissions_and_nothing_else(self, tmp_path: Path) -> None:
        old = os.umask(0o027)
        try:
            write_atomic(tmp_path / "deep" / "er" / "a.bin", b"\x00\xff")
            write_atomic(tmp_path / "deep" / "er" / "b.txt", "ü\udcff")
        finally:
            os.umask(old)
        folder = tmp_path / "deep" / "er"
        assert names(folder) == ["a.bin", "b.txt"]
        assert (folder / "a.bin").read_bytes() == b"\x00\xff"
        assert (folder / "b.txt").read_bytes() == b"\xc3\xbc\xff"  # the bytes of a file name that is not UTF-8
        assert (folder / "a.bin").stat().st_mode & 0o777 == 0o640

    def test_replaces_and_follows_links(self, tmp_path: Path) -> None:
        (tmp_path / "real").write_text("old")
        (tmp_path / "link").symlink_to("real")
        write_atomic(tmp_path / "link", "new", durable=False)
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "real").read_text() == "new"
        assert names(tmp_path) == ["link", "real"]

    def test_the_longest_name_that_there_is(self, tmp_path: Path) -> None:
        name = "図" * 84 + "abc"  # 255 bytes
        write_atomic(tmp_path / name, "old")
        write_atomic(tmp_path / name, "new")
        assert names(tmp_path) == [name] and (tmp_path / name).read_text() == "new"

    def test_a_failure_keeps_the_old_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "a").write_text("old")

        def full(_: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(files.os, "fsync", full)
        with pytest.raises(TaoDeployError, match=r"a: cannot be written: No space left on device; free some space"):
            write_atomic(tmp_path / "a", "new")
        assert names(tmp_path) == ["a"] and (tmp_path / "a").read_text() == "old"

    def test_a_file_system_that_cannot_flush_is_written_to(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def unable(_: int) -> None:
            raise OSError(errno.EINVAL, "Invalid argument")

        monkeypatch.setattr(files.os, "fsync", unable)
        write_atomic(tmp_path / "a", "new")
        with Status(tmp_path, "dino", "trt_evaluate"):
            pass
        assert (tmp_path / "a").read_text() == "new"
        assert [line["status"] for line in status_lines(tmp_path)] == ["STARTED", "SUCCESS"]

    @pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit, MemoryError])
    def test_a_signal_keeps_the_old_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: type[BaseException]
    ) -> None:
        (tmp_path / "a").write_text("old")

        def interrupted(_: int) -> None:
            raise stop

        monkeypatch.setattr(files.os, "fsync", interrupted)
        with pytest.raises(stop):
            write_atomic(tmp_path / "a", "new")
        assert names(tmp_path) == ["a"] and (tmp_path / "a").read_text() == "old"

    def test_together_or_not_at_all(self, tmp_path: Path) -> None:
        (tmp_path / "a").write_text("old")
        (tmp_path / "b").mkdir()
        with pytest.raises(TaoDeployError, match="not a regular file"):
            write_together({tmp_path / "a": "new", tmp_path / "b": "new"})
        assert (tmp_path / "a").read_text() == "old" and names(tmp_path) == ["a", "b"]
        write_together({tmp_path / "a": "new", tmp_path / "c": "new"})
        assert names(tmp_path) == ["a", "b", "c"] and (tmp_path / "a").read_text() == "new"

    def test_no_descriptor_leaks(self, tmp_path: Path) -> None:
        before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
        for index in range(20):
            write_atomic(tmp_path / str(index % 3), "x")
        assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_devices_and_folders_are_not_replaced(tmp_path: Path) -> None:
    for path in (Path("/dev/null"), tmp_path):
        with pytest.raises(TaoDeployError, match="not a regular file"):
            write_atomic(path, "x")
    assert Path("/dev/null").is_char_device()
    (tmp_path / "file").touch()
    with pytest.raises(TaoDeployError, match=r"x: cannot be written: (Not a directory|File exists)"):
        write_atomic(tmp_path / "file" / "x", "x")


WRITER = """
import resource, signal, sys
from pathlib import Path
from nvidia_tao_deploy.errors import TaoDeployError
from nvidia_tao_deploy.files import write_atomic
if sys.argv[2] == "limit":
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
print("ready", flush=True)
try:
    while True:
        write_atomic(Path(sys.argv[1]), b"n" * 30_000_000)
        print("written", flush=True)
except TaoDeployError as error:
    print(error)
    sys.exit(9)
"""


def test_a_full_disk(tmp_path: Path) -> None:
    target = tmp_path / "a"
    target.write_text("old")
    done = subprocess.run(
        [sys.executable, "-c", WRITER, str(target), "limit"],
        env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 9 and "cannot be written: File too large" in done.stdout
    assert names(tmp_path) == ["a"] and target.read_text() == "old"


@contextlib.contextmanager
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB; skips where mounting is not allowed."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"mounting is not allowed here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_really_full_disk(tmp_path: Path) -> None:
    with small_disk(tmp_path) as disk:
        (disk / "a").write_text("old")
        with pytest.raises(TaoDeployError, match="No space left on device; free some space"):
            write_atomic(disk / "a", b"n" * 5_000_000)
        assert names(disk) == ["a"] and (disk / "a").read_text() == "old"


@pytest.mark.parametrize("delay", [0.0, 0.004, 0.02, 0.05])
def test_killed_while_writing(tmp_path: Path, delay: float) -> None:
    """SIGKILL cannot be caught: whatever is on disk then is the old content or the new, and no rest lies beside it."""
    target = tmp_path / "a"
    target.write_bytes(b"old")
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(target), "free"], env=environment(), stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert target.read_bytes() in (b"old", b"n" * 30_000_000)
    # the new content has a name only between linking and renaming: then it is complete
    assert all(item.stat().st_size == 30_000_000 for item in tmp_path.iterdir() if item != target)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner)
        | st.dictionaries(st.text(st.characters(), max_size=3) | st.integers(), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(VALUES)
def test_json_is_always_valid_text(value: object) -> None:
    text = to_json(value)
    strict_json(text)
    text.encode("utf-8")
    assert "\n" not in text


def test_json_of_numpy_paths_and_nan() -> None:
    value = {
        "a": np.float32(0.5), "b": np.array([[1, 2]]), "c": float("nan"), "d": np.float64("inf"), "e": Path("/x"),
        "f": np.array([1.0, np.nan]), "g": np.bool_(True), "h": "\udcff", 3: (1, None),
    }  # fmt: skip
    assert strict_json(to_json(value)) == {
        "a": 0.5, "b": [[1, 2]], "c": None, "d": None, "e": "/x", "f": [1.0, None], "g": True, "h": "�", "3": [1, None],
    }  # fmt: skip
