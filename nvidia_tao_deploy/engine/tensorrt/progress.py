# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Running the builder so that a person sees that it works and can stop it."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from nvidia_tao_deploy.engine.tensorrt.dialect import Dialect

logger = logging.getLogger(__name__)
LINE_SECONDS = 15.0


class Progress:
    """What the builder is doing, as far as it tells: TensorRT 10 and later name phases and count steps."""

    def __init__(self) -> None:
        self.cancelled = False
        self._phases: list[list[Any]] = []  # name, steps done, steps in all; innermost last

    def start(self, name: str, steps: int) -> None:
        self._phases.append([name, 0, steps])

    def step(self, name: str, done: int) -> bool:
        """Returns False when the build should stop."""
        for phase in self._phases:
            if phase[0] == name:
                phase[1] = done
        return not self.cancelled

    def finish(self, name: str) -> None:
        self._phases = [phase for phase in self._phases if phase[0] != name]

    def __str__(self) -> str:
        phases = list(self._phases)
        return "; ".join(f"{name} {done}/{steps}" for name, done, steps in phases[:2])


def attach(dialect: Dialect, config: Any, progress: Progress) -> Any:
    """Let the builder report to `progress`; returns an object to keep alive for as long as the build runs."""
    if not dialect.has_progress:
        return None
    base = dialect.trt.IProgressMonitor

    class Monitor(base):  # type: ignore[misc, valid-type]
        def __init__(self) -> None:
            base.__init__(self)

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            progress.start(phase_name, num_steps)

        def phase_finish(self, phase_name: str) -> None:
            progress.finish(phase_name)

        def step_complete(self, phase_name: str, step: int) -> bool:
            return progress.step(phase_name, step)

    monitor = Monitor()
    config.progress_monitor = monitor
    return monitor


def run(work: Callable[[], Any], progress: Progress) -> Any:
    """Run the builder in a thread of its own and log a line now and then.

    Ctrl-C reaches the caller at once. TensorRT before 10 cannot be stopped, so the process then ends without waiting
    for the thread.
    """
    outcome: dict[str, Any] = {}

    def body() -> None:
        try:
            outcome["result"] = work()
        except BaseException as error:
            outcome["error"] = error

    start = time.monotonic()
    thread = threading.Thread(target=body, name="builder", daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            thread.join(LINE_SECONDS)
            if thread.is_alive():
                logger.info("building the engine: %.0f s so far. %s", time.monotonic() - start, progress)
    except BaseException:
        progress.cancelled = True
        thread.join(1.0)
        if thread.is_alive():
            atexit.register(_leave_now)
        raise
    if "error" in outcome:
        raise outcome["error"]
    return outcome["result"]


def _leave_now() -> None:
    """End the process although TensorRT's threads still run: tearing Python down under them would crash."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(130)
