# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Which tests pytest finds: those for a GPU only when they are named."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests import makers
from tests.gpu.devices import visible_gpu


def collected(*arguments: str) -> str:
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(command, cwd=makers.ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


ENGINE = "tests/gpu/test_engine.py"


@pytest.mark.parametrize("named", ["tests/gpu", ENGINE, f"{ENGINE}::test_wrong_feeds"])
def test_tests_for_a_gpu_are_found_when_they_are_named(named: str) -> None:
    found = collected(named)
    assert f"{ENGINE}::test_wrong_feeds" in found
    assert ("tests/gpu/test_plugins.py" in found) == (named == "tests/gpu")


def test_tests_for_a_gpu_are_left_out_otherwise() -> None:
    kept = ("gpu", "test_files.py")
    others = [f"--ignore={path}" for path in (makers.ROOT / "tests").iterdir() if path.name not in kept]
    found = collected("tests", *others)
    assert "tests/test_files.py" in found and "gpu" not in found


@pytest.mark.parametrize(
    ("worker", "visible", "gpus", "expected"),
    [
        (None, None, 4, None),
        (None, "1", 4, "1"),
        ("master", "1", 4, "1"),
        ("gw0", None, 4, "0"),
        ("gw5", None, 4, "1"),
        ("gw1", "2,3", 4, "3"),
        ("gw1", None, 0, None),
    ],
)
def test_workers_share_the_gpus(worker, visible, gpus, expected):
    assert visible_gpu(worker, visible, gpus) == expected
