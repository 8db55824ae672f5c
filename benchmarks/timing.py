# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""CPU time of ways to compute one thing, and processes that start as an installed package does."""

from __future__ import annotations

import compileall
import math
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def fastest(ways: Mapping[str, Callable[[], Any]], rounds: int) -> tuple[dict[str, float], dict[str, Any]]:
    """Run all ways in turn, `rounds` times: (CPU seconds of the fastest round, last result) by name."""
    seconds, results = dict.fromkeys(ways, math.inf), {}
    for _ in range(rounds):
        for name, way in ways.items():
            start = time.process_time()
            results[name] = way()
            seconds[name] = min(seconds[name], time.process_time() - start)
    return seconds, results


def as_installed() -> dict[str, str]:
    """Environment for processes that run this source tree: with bytecode, as pip compiles it when it installs."""
    packages = [ROOT, ROOT / "runner"]
    for path in (ROOT / "nvidia_tao_deploy", ROOT / "runner"):
        compileall.compile_dir(path, quiet=1)
    path = os.pathsep.join([*map(str, packages), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path}
