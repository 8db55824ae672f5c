# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Logging, progress and tables: plain where nobody watches, a terminal's where somebody does."""

from __future__ import annotations

import io
import logging
import os
import pty
import re
import sys
from pathlib import Path

import pytest
from rich.console import Console

from nvidia_tao_deploy import logs
from nvidia_tao_deploy.network import Table
from tests.makers import environment

pytestmark = pytest.mark.usefixtures("logging_as_before")
TABLE = Table(
    "A :smile: [red]", ("name", "n", "x"), (("[bold]a[/bold] :key:", 3, 0.12345), ("b" * 200, 10, float("nan")))
)


@pytest.mark.parametrize(
    ("text", "level"),
    [("debug", 10), ("INFO", 20), ("Warn", 30), ("FATAL", 50), ("nonsense", 20), ("Handler", 20), ("", 20)],
)
def test_level(monkeypatch: pytest.MonkeyPatch, text: str, level: int) -> None:
    monkeypatch.setenv("TAO_LOGGING_LEVEL", text)
    assert logs.level() == level


def test_errors_go_to_stderr_the_rest_to_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    logs.setup()
    logs.setup()  # twice does not double the lines
    logger = logging.getLogger("nvidia_tao_deploy.x")
    logger.info("one")
    logger.warning("two")
    logger.error("three")
    out, err = capsys.readouterr()
    stamp = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
    assert re.fullmatch(rf"{stamp} \[INFO\] one\n{stamp} \[WARNING\] two\n", out)
    assert re.fullmatch(rf"{stamp} \[ERROR\] three\n", err)


def test_tables_take_text_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    logs.setup()
    logs.show_table(TABLE)
    out = capsys.readouterr().out
    assert "A :smile: [red]" in out and "[bold]a[/bold] :key:" in out
    assert "│  3 │ 0.1235 │" in out and "│ 10 │    nan │" in out
    assert out.count("b") >= 200  # folded, not cut


def test_names_of_files_do_nothing_to_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    name = "a\x1b[2J\r\x9b31m.png"
    logs.setup()
    logging.getLogger("nvidia_tao_deploy.x").info("%s: read\n\tand shown", Path(name))
    logs.show_table(Table(name, (name, "é"), ((name, 1),)))
    out = capsys.readouterr().out
    assert "a\\x1b[2J\\x0d\\x9b31m.png: read\n\tand shown" in out and "é" in out
    assert out.count("\\x1b[2J") == 4 and not set(out) & set("\x1b\r\x9b")


def test_a_job_log_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TAO_MICROSERVICES_TTY_LOG", str(tmp_path))
    monkeypatch.setenv("JOB_ID", "7")
    logs.setup()
    assert f"there is no folder {tmp_path / '7'}" in capsys.readouterr().out
    (tmp_path / "7" / "microservices_log.txt").mkdir(parents=True)
    logs.setup()
    assert "No job log is written" in capsys.readouterr().out


def test_job_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAO_MICROSERVICES_TTY_LOG", str(tmp_path))
    monkeypatch.setenv("JOB_ID", "7")
    (tmp_path / "7").mkdir()
    logs.setup()
    logging.getLogger("nvidia_tao_deploy.x").error("ü three")
    logs.show_table(TABLE)
    text = (tmp_path / "7" / "microservices_log.txt").read_text(encoding="utf-8")
    assert "[ERROR] ü three" in text
    assert "A :smile: [red]" in text and "│  3 │ 0.1235 │" in text and text.count("b") >= 200


def test_plain_progress_tells_now_and_then(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(logs.time, "monotonic", lambda: now)
    logs.setup()
    with logs.progress("evaluate", 100) as bar:
        for _ in range(10):
            now += 5
            bar.advance(10)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert lines[0].endswith("evaluate: 20 of 100, 2.0/s, 40 s left")


def on_terminal(code: str) -> str:
    """What a program prints when stdout is a terminal of 80 columns."""
    pid, handle = pty.fork()
    if pid == 0:
        os.execve(sys.executable, [sys.executable, "-c", code], environment({"COLUMNS": "80", "TERM": "xterm"}))
    parts = []
    while True:
        try:
            part = os.read(handle, 4096)
        except OSError:
            break
        if not part:
            break
        parts.append(part)
    os.waitpid(pid, 0)
    os.close(handle)
    return b"".join(parts).decode()


def test_terminal() -> None:
    text = on_terminal(
        "import logging, time\n"
        "from nvidia_tao_deploy import logs\n"
        "logs.setup()\n"
        "log = logging.getLogger('nvidia_tao_deploy.x')\n"
        "with logs.progress('evaluate', 4) as bar:\n"
        "    for i in range(4):\n"
        "        log.info('line [%d] :key:', i); bar.advance(1); time.sleep(0.15)\n"
        "log.error('last of \\x1b[35mall')\n"
    )
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    for index in range(4):
        # a log line stands alone in its line although the bar is alive
        assert re.search(rf"(^|[\r\n])\s*(\d\d:\d\d:\d\d)?\s*INFO\s+line \[{index}\] :key:\s*[\r\n]", plain), plain
    assert "4/4" in plain and re.search(r"\d+\.\d/s", plain) and "last of \\x1b[35mall" in plain


def test_a_table_that_is_too_wide_is_cut_between_columns() -> None:
    names = [f"number {index}" for index in range(15)]
    table = Table("Counts", ("", *names), tuple((name, *range(10**7, 10**7 + 15)) for name in names))
    file = io.StringIO()
    logs._print(table, Console(file=file, width=80))
    lines = file.getvalue().splitlines()
    assert max(map(len, lines)) <= 80 and file.getvalue().count("Counts") == 3
    for number in range(15):
        assert sum(str(10**7 + number) in line for line in lines) == 15
    assert sum(line.startswith("│ number 3 ") for line in lines) == 3


def test_a_table_that_fits_is_one() -> None:
    file = io.StringIO()
    logs._print(Table("Few", ("class", "recall = top-1"), (("a", 0.5), ("b", 1))), Console(file=file, width=80))
    assert "recall = top-1" in file.getvalue() and "0.5000" in file.getvalue()
    assert file.getvalue().count("Few") == 1
