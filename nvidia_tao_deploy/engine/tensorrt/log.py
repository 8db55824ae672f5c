# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""TensorRT's log inside Python's: errors kept for messages, warnings once each, chatter only when asked for."""

from __future__ import annotations

import logging
from functools import cache
from typing import Any

logger = logging.getLogger("nvidia_tao_deploy.tensorrt")

_HARMLESS = (
    "has been generated with INT64 weights",
    "Int64 binding",
    "weights outside the range of INT32 was clamped",
    "CUDA lazy loading is not enabled",
    "TensorRT was linked against",
    "issues when converted to FP16", "weights are affected by this issue", "list of affected weights",
    "modify the weights or retrain", "subnormal FP16 values", "converting weights between types",
    "multiple dynamic values may have poor performance", "(CAST_F_TO_I", "Skipping tactic",
    "Unable to determine GPU memory usage",
    "Tensor DataType is determined at build time",
    "Cast truncates",
    "Empty initializer",
    "scales to fp32",
)  # fmt: skip
"""Parts of warnings that ask nothing of a user; they are shown with verbose only."""


class LogRecords:
    """What TensorRT said.

    Attributes:
        errors: error texts in order.
        warnings: each warning once.
    """

    def __init__(self, verbose: bool) -> None:
        self.errors: list[str] = []
        self.warnings: list[str] = []
        self._verbose = verbose

    def add(self, severity: str, text: str) -> None:
        """Take a message of severity INTERNAL_ERROR, ERROR, WARNING, INFO or VERBOSE."""
        if severity in ("INTERNAL_ERROR", "ERROR"):
            self.errors.append(text.strip())
            logger.log(logging.INFO if self._verbose else logging.DEBUG, "%s", text)  # the exception will say it
        elif severity == "WARNING":
            self._warn(text.strip())
        elif self._verbose:
            logger.info("%s", text)
        elif severity == "INFO":
            logger.debug("%s", text)

    def _warn(self, text: str) -> None:
        if text in self.warnings:
            return
        self.warnings.append(text)
        harmless = any(part in text for part in _HARMLESS)
        logger.log(logging.DEBUG if harmless and not self._verbose else logging.WARNING, "TensorRT: %s", text)

    def told(self, start: int = 0, limit: int = 3) -> str:
        """The first errors since `start` as one line."""
        lines = [" ".join(text.split()) for text in self.errors[start:]]
        return "; ".join(dict.fromkeys(lines[:limit])) or "no reason given"


@cache
def _logger_class(trt: Any) -> type:
    class Logger(trt.ILogger):
        """Hands every message to the current records."""

        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.records = LogRecords(verbose=False)

        def log(self, severity: Any, msg: str) -> None:
            self.records.add(severity.name, msg)

    return Logger


@cache
def shared_logger(trt: Any) -> Any:
    """The logger of a module. TensorRT takes the first one it sees for good, so there is one per process."""
    return _logger_class(trt)()


def record(trt: Any, verbose: bool = False) -> tuple[Any, LogRecords]:
    """TensorRT's logger, and fresh records that it writes to from now on."""
    target = shared_logger(trt)
    target.records = LogRecords(verbose)
    return target, target.records
