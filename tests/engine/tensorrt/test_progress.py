# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Running a builder that takes long, fails, or is interrupted; the log."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time

import pytest

from nvidia_tao_deploy.engine.tensorrt import log, progress


def test_result_and_error_come_through():
    assert progress.run(lambda: 5, progress.Progress()) == 5
    with pytest.raises(ZeroDivisionError):
        progress.run(lambda: 1 / 0, progress.Progress())


def test_long_builds_say_what_they_do(monkeypatch, caplog):
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.05)
    state = progress.Progress()
    state.start("Building engine", 6)
    state.step("Building engine", 2)
    with caplog.at_level(logging.INFO):
        progress.run(lambda: time.sleep(0.2), state)
    assert "building the engine: 0 s so far. Building engine 2/6" in caplog.text


def test_phases_end():
    state = progress.Progress()
    state.start("a", 2)
    state.start("b", 3)
    state.finish("b")
    assert str(state) == "a 0/2"


def test_interrupt_cancels_a_builder_that_asks(monkeypatch):
    state, stopped = progress.Progress(), threading.Event()

    def work() -> None:
        while state.step("x", 1):
            time.sleep(0.01)
        stopped.set()

    monkeypatch.setattr(progress, "LINE_SECONDS", 0.05)
    monkeypatch.setattr(progress.logger, "info", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        progress.run(work, state)
    assert stopped.wait(1)


INTERRUPTED = """
import os, signal, threading, time
from nvidia_tao_deploy.engine.tensorrt import progress
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where a shell runs the tests behind `&`
threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    progress.run(lambda: time.sleep(60), progress.Progress())
except KeyboardInterrupt:
    print("interrupted", flush=True)
    raise SystemExit(130)
"""


def test_interrupt_leaves_a_builder_that_cannot_be_stopped():
    start = time.monotonic()
    result = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, timeout=30)
    assert result.returncode == 130
    assert result.stdout == "interrupted\n"
    assert time.monotonic() - start < 10


def test_log_levels(caplog):
    records = log.LogRecords(verbose=False)
    with caplog.at_level(logging.INFO):
        for severity in ("INTERNAL_ERROR", "ERROR", "WARNING", "WARNING", "INFO", "VERBOSE"):
            records.add(severity, f"said {severity}")
        records.add("WARNING", "Your ONNX model has been generated with INT64 weights, while ...")
    assert [record.getMessage() for record in caplog.records] == ["TensorRT: said WARNING"]
    assert records.told() == "said INTERNAL_ERROR; said ERROR"
    assert records.told(1) == "said ERROR"
    assert log.LogRecords(False).told() == "no reason given"
    assert len(records.warnings) == 2
