# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""status.json: TAO's keys, one valid JSON object per line, and a FAILURE line whatever goes wrong."""

from __future__ import annotations

import resource
from datetime import datetime
from pathlib import Path

import pytest

from nvidia_tao_deploy.errors import BuildError, DataError, EngineError, SpecError, TaoDeployError, Terminated
from nvidia_tao_deploy.status import State, Status, line
from tests.makers import status_lines, strict_json


def test_keys_and_their_order() -> None:
    now = datetime(2026, 3, 4, 5, 6, 7)
    entry = strict_json(line(State.RUNNING, "hello", {"epoch": 1, "kpi": {"mAP": 0.5}}, now))
    assert list(entry) == ["epoch", "date", "time", "timestamp", "status", "verbosity", "message", "kpi"]
    assert (entry["date"], entry["time"]) == ("3/4/2026", "5:6:7")  # as TAO: no padding
    assert (entry["status"], entry["verbosity"], entry["message"]) == ("RUNNING", "INFO", "hello")
    assert datetime.fromisoformat(entry["timestamp"]).replace(tzinfo=None) == now
    assert datetime.fromisoformat(entry["timestamp"]).tzinfo is not None


def test_empty_parts_are_left_out() -> None:
    assert not {"message", "kpi", "graphical"} & set(strict_json(line(State.RUNNING, "", {"kpi": {}, "graphical": {}})))


def test_success(tmp_path: Path) -> None:
    with Status(tmp_path, "dino", "trt_evaluate") as status:
        status.kpi({"mAP": 0.25, "mAP50": float("nan")})
    lines = status_lines(tmp_path)
    assert [entry["status"] for entry in lines] == ["STARTED", "RUNNING", "SUCCESS"]
    assert lines[0]["message"] == "Starting dino trt_evaluate."
    assert lines[-1]["message"] == "Trt_evaluate finished successfully."
    assert lines[1]["kpi"] == lines[2]["kpi"] == {"mAP": 0.25, "mAP50": None}  # sticky; NaN is not JSON


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (SpecError("s"), "Configuration error: s"),
        (DataError("d"), "Data error: d"),
        (BuildError("b"), "Engine build error: b"),
        (EngineError("e"), "Engine error: e"),
        (TaoDeployError("t"), "t"),
        (NotImplementedError("n"), "Feature not implemented: n"),
        (ValueError("v"), "Parameter validation error: v"),
        (TypeError("t"), "Parameter validation error: t"),
        (
            FileNotFoundError(2, "No such file or directory", "x"),
            "File system error: [Errno 2] No such file or directory: 'x'",
        ),
        (PermissionError("p"), "File system error: p"),
        (RuntimeError("r"), "RuntimeError: r"),
        (KeyError("k"), "KeyError: 'k'"),
        (IndexError("i"), "IndexError: i"),
        (AttributeError("a"), "AttributeError: a"),
        (AssertionError(), "AssertionError"),
        (MemoryError(), "MemoryError"),
        (RecursionError("deep"), "RecursionError: deep"),
        (SystemExit(3), "SystemExit: 3"),
        (KeyboardInterrupt(), "User/System interruption: Gen_trt_engine was interrupted"),
        (Terminated(), "User/System interruption: Gen_trt_engine was terminated"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_every_failure_is_noted_and_passed_on(tmp_path: Path, error: BaseException, message: str) -> None:
    with pytest.raises(type(error)), Status(tmp_path, "dino", "gen_trt_engine"):
        raise error
    lines = status_lines(tmp_path)
    assert [entry["status"] for entry in lines] == ["STARTED", "FAILURE"]
    assert lines[-1]["message"] == message and lines[-1]["verbosity"] == "ERROR"


def test_a_signal_right_after_the_start_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python has not entered the context yet, so it does not leave it either."""
    write = Status.write

    def interrupted(self: Status, state: State, message: str, **data: object) -> None:
        write(self, state, message, **data)
        if state is State.STARTED:
            raise KeyboardInterrupt

    monkeypatch.setattr(Status, "write", interrupted)
    with pytest.raises(KeyboardInterrupt), Status(tmp_path, "dino", "trt_evaluate"):
        pytest.fail("the body must not run")
    assert [entry["status"] for entry in status_lines(tmp_path)] == ["STARTED", "FAILURE"]


def test_a_full_disk_leaves_no_half_line(tmp_path: Path) -> None:
    status = Status(tmp_path, "dino", "trt_evaluate")
    status.write(State.STARTED, "whole")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (status.path.stat().st_size + 40, hard))
    try:
        status.write(State.RUNNING, "there is room for 40 bytes of this line")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    status.write(State.SUCCESS, "there is room again")
    assert [entry["status"] for entry in status_lines(tmp_path)] == ["STARTED", "SUCCESS"]


def test_lines_are_appended_across_runs(tmp_path: Path) -> None:
    for _ in range(2):
        with Status(tmp_path, "dino", "trt_inference") as status:
            status.write(State.RUNNING, "two\nlines", failed_samples=[{"name": "a\udcff.jpg"}])
    lines = status_lines(tmp_path)
    assert len(lines) == 6
    assert lines[1]["message"] == "two\nlines"


def test_a_status_that_cannot_be_written_hides_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "status.json").mkdir()
    with pytest.raises(DataError, match="the real reason"), Status(tmp_path, "dino", "trt_evaluate"):
        raise DataError("the real reason")
    assert "status.json: cannot be written" in caplog.text
