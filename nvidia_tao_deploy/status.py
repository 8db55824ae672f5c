# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""status.json: JSON lines that TAO's services and users' scripts read to follow a task; see also status_callback."""

from __future__ import annotations

import enum
import logging
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from nvidia_tao_deploy import signals, status_callback
from nvidia_tao_deploy.errors import HungUp, TaoDeployError, Terminated
from nvidia_tao_deploy.files import STATUS_FILE, flush, reason, to_json

logger = logging.getLogger(__name__)


_PREFIXES = {2: "Configuration error", 3: "Data error", 4: "Engine build error", 5: "Engine error"}
_CLASSES: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    ((NotImplementedError,), "Feature not implemented"),
    ((OSError,), "File system error"),
    ((ValueError, TypeError), "Parameter validation error"),
)


class State(enum.IntEnum):
    """TAO's status codes; the file carries the names."""

    SUCCESS = 0
    FAILURE = 1
    STARTED = 2
    RUNNING = 3
    SKIPPED = 4


def line(state: State, message: str, data: Mapping[str, Any], now: datetime | None = None) -> str:
    """One status line, without the newline.

    Keys as TAO writes them: `date` M/D/YYYY and `time` H:M:S in local time without padding, `status`, `verbosity`,
    `message`; then `kpi`, `categorical`, `graphical` where there are any. `timestamp` (ISO 8601 with the time zone) is
    ours.
    """
    now = (now or datetime.now()).astimezone()
    last = ("categorical", "graphical", "kpi")
    entry: dict[str, Any] = {key: value for key, value in data.items() if key not in last}
    entry["date"] = f"{now.month}/{now.day}/{now.year}"
    entry["time"] = f"{now.hour}:{now.minute}:{now.second}"
    entry["timestamp"] = now.isoformat(timespec="seconds")
    entry["status"] = state.name
    entry["verbosity"] = "ERROR" if state is State.FAILURE else "INFO"
    if message:
        entry["message"] = message
    entry.update({key: data[key] for key in last if data.get(key)})
    return to_json(entry)


class Status:
    """Writes the status file of one task; a context manager that notes how the task ends.

    Args:
        folder: the task's results folder; must exist.
        network: command name.
        task: name of the results sub-folder: gen_trt_engine, trt_evaluate, trt_inference.
    """

    def __init__(self, folder: Path, network: str, task: str) -> None:
        self.path = folder / STATUS_FILE
        self._network, self._task = network, task
        self._kpi: dict[str, float] = {}
        self._ended = False
        self._callback = status_callback.from_environment()

    def __enter__(self) -> Status:
        try:
            self.write(State.STARTED, f"Starting {self._network} {self._task}.")
        except BaseException as error:  # a signal: Python calls __exit__ only from here on
            self.__exit__(type(error), error, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if not self._ended:
            self._end(error)
        if self._callback:
            self._callback.close()

    def _end(self, error: BaseException | None) -> None:
        if error is not None:
            self.failed(error)
            return
        signals.done()
        if status_callback.in_cloud():
            self.write(State.RUNNING, "Job artifacts in results dir are being uploaded to the cloud")
        self.write(State.SUCCESS, f"{self._task.capitalize()} finished successfully.")

    def failed(self, error: BaseException) -> None:
        """Note how the task failed; nothing more is written when the context ends."""
        signals.done()
        if isinstance(error, (KeyboardInterrupt, Terminated)):
            how = "interrupted" if isinstance(error, KeyboardInterrupt) else "terminated"
            how = "hung up" if isinstance(error, HungUp) else how
            self.write(State.FAILURE, f"User/System interruption: {self._task.capitalize()} was {how}")
        else:
            self.write(State.FAILURE, describe(error))
        self._ended = True

    def kpi(self, values: Mapping[str, float]) -> None:
        """Record figures; they stand in this line and all later ones, as in TAO."""
        self._kpi.update(values)
        self.write(State.RUNNING, "")

    def write(self, state: State, message: str, **data: Any) -> None:
        """Append one line. A status file that cannot be written does not hide the error being reported."""
        if self._kpi:
            data["kpi"] = self._kpi
        text = line(state, message, data)
        if self._callback:
            self._callback.post(text)
        try:
            _append(self.path, f"{text}\n".encode())
        except OSError as error:
            logger.error("%s: cannot be written: %s", self.path, reason(error))


def _append(path: Path, data: bytes) -> None:
    """Add `data` to a file, or nothing of it: half a line, where the disk is full, would spoil the next one as well."""
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        before = os.fstat(handle).st_size
        try:
            while data:
                data = data[os.write(handle, data) :]
            flush(handle)
        except OSError:
            os.ftruncate(handle, before)
            raise
    finally:
        os.close(handle)


def describe(error: BaseException) -> str:
    """The FAILURE message of an exception, with TAO's prefixes where it has one for the class."""
    name = type(error).__name__
    text = str(error) or name
    if isinstance(error, TaoDeployError):
        prefix = _PREFIXES.get(error.exit_code)
        return f"{prefix}: {text}" if prefix else text
    for kinds, prefix in _CLASSES:
        if isinstance(error, kinds):
            return f"{prefix}: {text}"
    return text if text == name else f"{name}: {text}"
