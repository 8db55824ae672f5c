# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Builds on one GPU take turns; on two they do not."""

from __future__ import annotations

import logging
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from nvidia_tao_deploy.engine.tensorrt import cuda, turns

HOLDER = """
import sys, tempfile, time
tempfile.tempdir = sys.argv[1]
from nvidia_tao_deploy.engine.tensorrt import turns
with turns.turn("aa", "GPU 0"):
    print("holds", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The temporary folder of this test."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def holder(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the turn on the GPU "aa" until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "holds\n"
    yield process
    process.kill()
    process.communicate()


@pytest.mark.parametrize("end", ["done", "killed"])
def test_waits_for_the_process_that_builds_and_says_so(holder, end, caplog, monkeypatch):
    polls = []

    def sleep(seconds: float) -> None:
        polls.append(seconds)
        if len(polls) == 2:
            holder.communicate("\n") if end == "done" else holder.kill()
            holder.wait()

    monkeypatch.setattr(time, "sleep", sleep)
    with caplog.at_level(logging.INFO), turns.turn("aa", "GPU 0 (Some GPU)") as waited:
        assert len(polls) == 2 and waited > 0
    (record,) = caplog.records
    assert record.getMessage().startswith(f"process {holder.pid} builds an engine on GPU 0 (Some GPU): waiting")


def test_repeats_itself_once_a_minute(holder, caplog, monkeypatch):
    clock = [0.0]

    def sleep(seconds: float) -> None:
        clock[0] += 25.0
        if clock[0] > 130:
            holder.kill()
            holder.wait()

    monkeypatch.setattr(turns, "time", SimpleNamespace(sleep=sleep, monotonic=lambda: clock[0]))
    with caplog.at_level(logging.INFO), turns.turn("aa", "GPU 0") as waited:
        assert waited == 150
    assert [record.args[2] for record in caplog.records] == [0.0, 75.0]


def test_no_waiting_on_another_gpu(holder):
    with turns.turn("bb", "GPU 1") as waited:
        assert waited < 5 and holder.poll() is None


def test_an_interrupt_ends_the_waiting(holder, folder, monkeypatch):
    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", interrupted)
    with pytest.raises(KeyboardInterrupt), turns.turn("aa", "GPU 0"):
        raise AssertionError("it was not our turn")


def test_the_lock_file_serves_all_users(folder):
    with turns.turn("aa", "GPU 0"):
        assert turns.lock_file("aa").stat().st_mode & 0o777 == 0o666
    with turns.turn("aa", "GPU 0") as waited:  # given back
        assert waited < 5


@pytest.mark.parametrize("kind", ["missing folder", "link"])
def test_without_a_lock_the_build_goes_ahead(kind, folder, monkeypatch):
    victim = folder / "victim"
    if kind == "link":
        victim.write_text("kept")
        turns.lock_file("aa").symlink_to(victim)
    else:
        monkeypatch.setattr(tempfile, "tempdir", str(folder / "none"))
    with turns.turn("aa", "GPU 0") as waited:
        assert waited == 0
    assert kind != "link" or victim.read_text() == "kept"


def test_gpus_are_told_apart_by_uuid(monkeypatch):
    class Runtime:
        @staticmethod
        def cudaGetDeviceProperties(device: int) -> tuple[int, SimpleNamespace]:
            return 0, SimpleNamespace(uuid=SimpleNamespace(bytes=bytes([device, 255] * 8)))

    monkeypatch.setattr(cuda, "runtime", Runtime)
    assert cuda.device_id(3) == "03ff" * 8
