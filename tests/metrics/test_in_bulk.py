# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Counting in bulk: every sample once, in order, and never more than a bounded number kept."""

from __future__ import annotations

import numpy as np

from nvidia_tao_deploy.metrics.in_bulk import COUNTED_AT_ONCE, InBulk


def test_each_sample_is_counted_once_and_few_are_kept() -> None:
    batches: list[tuple[np.ndarray, np.ndarray]] = []
    bulk = InBulk(lambda truths, rows: batches.append((truths, rows)))
    count = 2 * COUNTED_AT_ONCE + 5
    for index in range(count):
        bulk.add(index, np.array([index, -index]))
        assert index + 1 - sum(len(truths) for truths, _ in batches) < COUNTED_AT_ONCE
    bulk.flush()
    bulk.flush()  # nothing is left: nothing is counted again
    assert [len(truths) for truths, _ in batches] == [COUNTED_AT_ONCE, COUNTED_AT_ONCE, 5]
    assert np.array_equal(np.concatenate([truths for truths, _ in batches]), np.arange(count))
    assert np.array_equal(np.concatenate([rows for _, rows in batches])[:, 1], -np.arange(count))
