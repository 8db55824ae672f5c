# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Output that nobody reads, that fills a disk, or that was closed from the start: the work and its exit code stand."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ColourJob
from tests.makers import command_line, environment, run_command


def run_with(redirection: str, colours: ColourJob, *words: str) -> subprocess.CompletedProcess[str]:
    """Evaluate under a shell that redirects its streams."""
    line = command_line("classification_pyt", "evaluate", "-e", colours.spec, *words)
    shell = ["sh", "-c", f'exec "$@" {redirection}', "sh", *line]
    return subprocess.run(shell, capture_output=True, text=True, env=environment(), timeout=120, check=False)


@pytest.mark.parametrize(
    "redirection", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-", ">/dev/full", ">/dev/full 2>/dev/full"]
)
def test_a_task_does_not_depend_on_its_output(colours: ColourJob, redirection: str) -> None:
    done = run_with(redirection, colours)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr
    assert (colours.results / "trt_evaluate" / "results.json").exists()
    last = colours.status("evaluate")[-1]
    assert last["status"] == "SUCCESS" and "kpi" in last


def test_a_full_disk_under_the_log_is_mentioned_once(colours: ColourJob) -> None:
    done = run_with(">/dev/full", colours)
    assert done.stderr.count("cannot be written any more: No space left on device") == 1


def test_a_failure_keeps_its_exit_code_without_output(colours: ColourJob) -> None:
    assert run_with(">&- 2>&-", colours, "evaluate.trt_engine=/nowhere").returncode == 5
    assert run_with(">/dev/full 2>/dev/full", colours, "--no-such-option").returncode == 2


def test_results_do_not_take_the_number_of_a_closed_stream(colours: ColourJob) -> None:
    """What is printed to a stream that was closed must not end in a file that was opened afterwards."""
    whole = run_with("", colours)
    expected = (colours.results / "trt_evaluate" / "results.json").read_bytes()
    assert whole.returncode == 0
    assert run_with("<&- >&- 2>&-", colours).returncode == 0
    assert (colours.results / "trt_evaluate" / "results.json").read_bytes() == expected


def test_a_log_file_on_a_full_disk(colours: ColourJob) -> None:
    ran = run_command(
        "classification_tf1", "evaluate", "-e", colours.spec, "--log_file", "/dev/full", "-m", colours.root / "none"
    )
    assert ran.code == 5, ran.text  # what went wrong with the task, not with its log
    assert ran.err.count("cannot be written any more") == 1 and "no such file" in ran.err
    assert "Traceback" not in ran.err and "Exception ignored" not in ran.err


def test_a_job_log_on_a_full_disk(colours: ColourJob) -> None:
    job = colours.root / "jobs" / "1"
    job.mkdir(parents=True)
    (job / "microservices_log.txt").symlink_to("/dev/full")
    env = {"JOB_ID": "1", "TAO_MICROSERVICES_TTY_LOG": str(job.parent)}
    ran = run_command("classification_pyt", "evaluate", "-e", colours.spec, env=env)
    assert ran.code == 0 and "Confusion matrix" in ran.out, ran.text
    assert "Traceback" not in ran.err and "Exception ignored" not in ran.err


def test_nothing_is_reported_to_the_maker_of_onnx_runtime(colours: ColourJob, tmp_path: Path) -> None:
    """Its telemetry would leave a file in the temporary folder and a folder in the home folder."""
    home, temporary = tmp_path / "home", tmp_path / "temporary"
    for folder in (home, temporary):
        folder.mkdir()
    blocking = ("CI", "TF_BUILD", "GITHUB_ACTIONS", "ORT_DISABLE_TELEMETRY", "ORT_RUNNING_UNIT_TESTS", "XDG_CACHE_HOME")
    kept = {name: os.environ.pop(name) for name in blocking if name in os.environ}
    try:
        ran = run_command(
            "classification_pyt", "evaluate", "-e", colours.spec, env={"HOME": str(home), "TMPDIR": str(temporary)}
        )
    finally:
        os.environ.update(kept)
    assert ran.code == 0, ran.text
    assert [*home.iterdir(), *temporary.iterdir()] == []
