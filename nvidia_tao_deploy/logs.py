# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Logging, progress bars and tables on stdout: rich on a terminal, plain lines (errors to stderr) elsewhere."""

from __future__ import annotations

import io
import logging
import os
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from nvidia_tao_deploy import streams
from nvidia_tao_deploy.errors import SpecError
from nvidia_tao_deploy.files import visible

if TYPE_CHECKING:
    from rich.console import Console

    from nvidia_tao_deploy.network import Table

LEVEL_VARIABLE = "TAO_LOGGING_LEVEL"
_LEVELS = {"WARN": "WARNING", "FATAL": "CRITICAL"}
PLAIN_PROGRESS_SECONDS = 10.0
FILE_COLUMNS = 120
FOLDED, BORDER = 10, 3
"""Characters: texts in tables may fold to so many, and what stands between two columns."""


def level() -> int:
    """The log level that TAO_LOGGING_LEVEL asks for; INFO without it or for an unknown word."""
    name = os.environ.get(LEVEL_VARIABLE, "INFO").upper()
    value = getattr(logging, _LEVELS.get(name, name), logging.INFO)
    return value if isinstance(value, int) else logging.INFO


@cache
def console() -> Console:
    """The console on stdout; as wide as the terminal, or 120 columns in a file. Shared, so that log lines and a live
    progress bar do not write over each other."""
    from rich.console import Console

    if not sys.stdout.isatty():
        return _file_console(None)
    return Console(highlight=False, markup=False, emoji=False)


def _file_console(file: IO[str] | None) -> Console:
    """A console on a file, or on stdout where that is none."""
    from rich.console import Console

    # names and paths are data: "[red]" and ":key:" in them are no markup
    return Console(file=file, width=FILE_COLUMNS, highlight=False, soft_wrap=True, markup=False, emoji=False)


@contextmanager
def output_to(path: str | None) -> Iterator[None]:
    """Let a file, which is appended to, take what is written to stdout; None changes nothing. Folders are made.

    Raises:
        SpecError: the file cannot be opened.
    """
    if path is None:
        yield
        return
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        file = streams.appended(Path(path))
    except OSError as error:
        raise SpecError(f"--log_file: {path}: cannot be written: {error.strerror}.") from error
    with file, redirect_stdout(file):
        try:
            yield
        finally:
            console.cache_clear()


def setup(to_file: bool = False) -> None:
    """Configure logging once for a command.

    Args:
        to_file: stdout is a log file: it gets the errors too, so that it tells all.
    """
    console.cache_clear()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # file names may hold what the terminal cannot show
    logging.raiseExceptions = False  # a closed pipe is no reason for a traceback
    warnings.filterwarnings("ignore", module="PIL")  # odd metadata in a picture that can be read all the same
    root = logging.getLogger("nvidia_tao_deploy")
    root.setLevel(level())
    root.propagate = False
    for handler in list(root.handlers):
        root.removeHandler(handler)
    for handler in _handlers(to_file):
        root.addHandler(handler)
    _add_job_log(root)


class _Formatter(logging.Formatter):
    """Lines that do nothing to the terminal that shows them, whatever the names of files in them."""

    def format(self, record: logging.LogRecord) -> str:
        return visible(super().format(record))


def _handlers(to_file: bool) -> list[logging.Handler]:
    if sys.stdout.isatty():
        from rich.logging import RichHandler

        shown = RichHandler(console=console(), show_path=False, log_time_format="%H:%M:%S", markup=False)
        shown.setFormatter(_Formatter("%(message)s"))
        return [shown]
    plain, errors = logging.StreamHandler(sys.stdout), logging.StreamHandler(sys.stderr)
    if not to_file:
        plain.addFilter(lambda record: record.levelno < logging.ERROR)
    errors.setLevel(logging.ERROR)
    for handler in (plain, errors):
        handler.setFormatter(_Formatter("%(asctime)s [%(levelname)s] %(message)s", "%Y-%m-%d %H:%M:%S"))
    return [plain, errors]


def _add_job_log(root: logging.Logger) -> None:
    """TAO's service follows a job through a log file named by its id."""
    job = os.environ.get("JOB_ID")
    if not job:
        return
    folder = Path(os.environ.get("TAO_MICROSERVICES_TTY_LOG", "/results")) / job
    if not folder.is_dir():
        root.warning("JOB_ID is set, but there is no folder %s: no job log is written", folder)
        return
    try:
        handler = logging.FileHandler(folder / "microservices_log.txt", encoding="utf-8")
    except OSError as error:
        root.warning("No job log is written: %s", error)
        return
    handler.setFormatter(_Formatter("%(asctime)s [%(levelname)s] %(message)s"))
    root.addHandler(handler)


class _PlainProgress:
    """A line now and then, for logs that nobody watches live."""

    def __init__(self, title: str, total: int) -> None:
        self._title, self._total, self._done = title, total, 0
        self._start = self._shown = time.monotonic()

    def advance(self, count: int) -> None:
        self._done += count
        now = time.monotonic()
        if now - self._shown >= PLAIN_PROGRESS_SECONDS and self._done < self._total:
            self._shown = now
            rate = self._done / (now - self._start)
            left = (self._total - self._done) / rate if rate else 0
            logging.getLogger(__name__).info(
                "%s: %d of %d, %.1f/s, %.0f s left", self._title, self._done, self._total, rate, left
            )


class _RichProgress:
    def __init__(self, bars: Any, task: Any) -> None:
        self._bars, self._task = bars, task
        self._start, self._done = time.monotonic(), 0

    def advance(self, count: int) -> None:
        self._done += count
        rate = self._done / max(time.monotonic() - self._start, 1e-9)
        self._bars.update(self._task, advance=count, rate=f"{rate:.1f}/s")


@contextmanager
def progress(title: str, total: int) -> Iterator[Any]:
    """A progress bar with rate and time left; the value has `advance(count)`."""
    if not sys.stdout.isatty():
        yield _PlainProgress(title, total)
        return
    from rich import progress as rich_progress

    columns = (
        rich_progress.TextColumn("{task.description}"),
        rich_progress.BarColumn(),
        rich_progress.MofNCompleteColumn(),
        rich_progress.TextColumn("{task.fields[rate]}"),
        rich_progress.TimeRemainingColumn(),
    )
    with rich_progress.Progress(*columns, console=console()) as bars:
        task = bars.add_task(title, total=total, rate="")
        yield _RichProgress(bars, task)


def show_table(table: Table) -> None:
    """Print a table; numbers right-aligned, floats with 4 decimals. One that is too wide for the terminal is cut into
    several, each with the first column: numbers stay whole."""
    _print(table, console())
    for handler in logging.getLogger("nvidia_tao_deploy").handlers:
        if isinstance(handler, logging.FileHandler) and handler.stream:  # the job log
            handler.acquire()
            try:
                with suppress(OSError):  # as with its other lines: a full disk under a log fails no task
                    _print(table, _file_console(handler.stream))
                    handler.flush()
            finally:
                handler.release()


def _print(table: Table, target: Console) -> None:
    from rich.table import Table as RichTable

    for places in _side_by_side(table, target.width):
        shown = RichTable(title=visible(table.title), title_justify="left")
        for place in places:
            numeric = _is_numeric(table, place)
            tight = _least_width(table, place) if numeric and not _fits(table, places, target.width) else None
            justify: Any = "right" if numeric else "left"
            shown.add_column(visible(table.columns[place]), justify=justify, overflow="fold", width=tight)
        for row in table.rows:
            shown.add_row(*(_text(row[place]) for place in places))
        target.print(shown)


def _fits(table: Table, places: Sequence[int], width: int) -> bool:
    """Whether the columns have room as they are, nothing folded."""
    cells = [(table.columns[place], *(_text(row[place]) for row in table.rows)) for place in places]
    return sum(max(map(len, column)) + BORDER for column in cells) < width


def _side_by_side(table: Table, width: int) -> list[list[int]]:
    """Places of the columns that fit into a line of `width` characters, the first one in each group."""
    groups = [[0]]
    room = first = width - 1 - _least_width(table, 0) - BORDER
    for place in range(1, len(table.columns)):
        need = _least_width(table, place) + BORDER
        if need > room and len(groups[-1]) > 1:
            groups.append([0])
            room = first
        groups[-1].append(place)
        room -= need
    return groups


def _least_width(table: Table, place: int) -> int:
    """Characters that a column needs: whole numbers and the words above them; texts fold, so of them a few."""
    cells = max((len(_text(row[place])) for row in table.rows), default=0)
    words = max(map(len, table.columns[place].split()), default=0)
    return max(cells, min(words, FOLDED)) if _is_numeric(table, place) else min(max(cells, words), FOLDED)


def _is_numeric(table: Table, place: int) -> bool:
    return bool(table.rows) and all(isinstance(row[place], (int, float)) for row in table.rows)


def _text(cell: object) -> str:
    return f"{cell:.4f}" if isinstance(cell, float) else visible(str(cell))
