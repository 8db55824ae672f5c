# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Counting many samples in one go: NumPy's cost per call, paid once for a thousand of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

COUNTED_AT_ONCE = 1024
"""Samples kept at most, so that memory does not grow with the data set."""


class InBulk:
    """Keeps (true class, row of values) of samples until there are enough of them to count.

    Args:
        count: gets the (N,) int64 true classes and the (N,K) rows, N from 1 to `COUNTED_AT_ONCE`.
    """

    def __init__(self, count: Callable[[np.ndarray, np.ndarray], None]) -> None:
        self._count = count
        self._truths: list[int] = []
        self._rows: list[np.ndarray] = []

    def add(self, truth: int, row: np.ndarray) -> None:
        """Keep one sample; `row` (K,) must not change any more."""
        self._truths.append(truth)
        self._rows.append(row)
        if len(self._rows) == COUNTED_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Count what is kept; to be called before the counts are read."""
        import numpy as np

        if self._rows:
            self._count(np.array(self._truths, np.int64), np.stack(self._rows))
            self._truths, self._rows = [], []
