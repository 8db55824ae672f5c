# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""CPU time of ways to compute one thing."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any


def fastest(ways: Mapping[str, Callable[[], Any]], rounds: int) -> tuple[dict[str, float], dict[str, Any]]:
    """Run all ways in turn, `rounds` times: (CPU seconds of the fastest round, last result) by name."""
    seconds, results = dict.fromkeys(ways, math.inf), {}
    for _ in range(rounds):
        for name, way in ways.items():
            start = time.process_time()
            results[name] = way()
            seconds[name] = min(seconds[name], time.process_time() - start)
    return seconds, results
