# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Samples wait for their writers in order, and in bounded memory."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from nvidia_tao_deploy.network import Frame, Sample
from nvidia_tao_deploy.pipeline.run import Pipeline
from nvidia_tao_deploy.tasks import writing
from nvidia_tao_deploy.transforms.geometry import Geometry


class AtOnce:
    """A pipeline whose worker does what it is given before `submit` returns."""

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(function(*arguments))
        return future


class Names:
    """Notes which samples were written and which recorded."""

    keeps_picture = True

    def __init__(self) -> None:
        self.written: list[str] = []
        self.recorded: list[str] = []

    def write(self, frame: Frame, prediction: Any) -> str:
        self.written.append(frame.sample.name)
        return frame.sample.name

    def record(self, frame: Frame, result: str) -> None:
        self.recorded.append(result)

    def finish(self) -> list[Path]:
        return []


@pytest.mark.parametrize(("pixels", "waiting"), [(10, 8), (100, 3), (1000, 0)])
def test_bytes_of_waiting_pictures_are_bounded(monkeypatch: pytest.MonkeyPatch, pixels: int, waiting: int) -> None:
    """Of 8 samples that may wait: all, those of 1000 bytes, none, for one alone is larger than that."""
    monkeypatch.setattr(writing, "WAITING_BYTES", 1000)
    monkeypatch.setattr(writing, "worker_count", lambda: 2)
    names = Names()
    ordered = writing.Ordered(cast(Pipeline, AtOnce()), [names])
    for index in range(20):
        picture = np.zeros((1, pixels, 3), np.uint8)
        ordered.add(Frame(Sample(str(index), Path("x")), (1, pixels), Geometry(), picture), None)
    assert len(names.written) == 20 and len(names.recorded) == 20 - waiting
    ordered.drain()
    assert names.recorded == [str(index) for index in range(20)]
