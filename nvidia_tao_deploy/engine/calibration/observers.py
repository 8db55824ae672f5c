# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""How large the values of a tensor get, in fixed memory, and which range of them INT8 should cover.

A range is a single positive number `amax`: quantisation is symmetric, so values beyond +-amax saturate.
"""

from __future__ import annotations

import math

import numpy as np

from nvidia_tao_deploy.errors import BuildError

BINS = 4096
"""Bins of a histogram. Its limit doubles when values outgrow it, so at least half of them lie within the maximum."""

LEVELS = 128
"""Magnitudes that a signed 8-bit number has (0 to 127)."""

STEP = 16
"""Bins between the thresholds that the entropy search tries: under 1 % of the range."""

TINY = 1e-30
"""Values below count as zeros: no scale is as small as they are (`quantise.SCALE_FLOOR`), and the reciprocal of their
bins' width has no place in a float32."""

GUARD = 99.99
"""Percent of the values other than zero that an entropy threshold covers at least. Where most values are tiny and a few
large ones carry the signal (hard-swish gates), divergence alone would cut those off: PP-OCRv4's recogniser then reads 0
of 200 lines, with the guard 186 (182 in FP32)."""


class Histogram:
    """Magnitudes of a tensor over all batches; 32 kB whatever the number of values.

    Attributes:
        maximum: largest magnitude so far.
        zeros: number of exact zeros. They are outside the bins: every scale represents them exactly.
        counts: int64 [BINS]; bin i counts magnitudes in [i, i + 1) * width, exact zeros excluded.
        limit: upper edge of the last bin; 0 until the first value other than zero.

    With `counting` false only the maximum is kept, which is all that "minmax" needs.
    """

    __slots__ = ("_counting", "counts", "limit", "maximum", "zeros")

    def __init__(self, counting: bool = True) -> None:
        self._counting = counting
        self.maximum = 0.0
        self.zeros = 0
        self.limit = 0.0
        self.counts = np.zeros(BINS, np.int64)

    @property
    def width(self) -> float:
        """Width of a bin, in the tensor's units."""
        return self.limit / BINS

    @property
    def total(self) -> int:
        """Values seen, zeros included."""
        return int(self.counts.sum()) + self.zeros

    def add(self, values: np.ndarray) -> None:
        """Count the values of a float array of any shape. Raises BuildError for NaN and infinities."""
        if values.size == 0:
            return
        sizes = np.abs(values.reshape(-1))
        largest = float(sizes.max())
        if not math.isfinite(largest):
            kind = "NaN" if math.isnan(largest) else "an infinity"
            raise BuildError(f"{kind} among its values")
        if largest < TINY:
            self.zeros += sizes.size
            return
        self.maximum = max(self.maximum, largest)
        if not self._counting:
            return
        self._make_room(largest)
        index = (sizes * np.float32(BINS / self.limit)).astype(np.int32)
        counts = np.bincount(index, minlength=BINS + 1)
        counts[BINS - 1] += counts[BINS:].sum()  # the maximum itself, and what rounding puts beside it
        counts = counts[:BINS]
        zeros = int(sizes.size - np.count_nonzero(sizes))
        counts[0] -= zeros
        self.zeros += zeros
        self.counts += counts

    def _make_room(self, largest: float) -> None:
        if self.limit == 0.0:
            self.limit = largest
        while self.limit < largest:
            half = self.counts.reshape(-1, 2).sum(axis=1)  # two neighbours become one: nothing is approximated
            self.counts[: BINS // 2] = half
            self.counts[BINS // 2 :] = 0
            self.limit *= 2


def minmax(histogram: Histogram) -> float:
    """The largest magnitude seen."""
    return histogram.maximum


def percentile(histogram: Histogram, percent: float) -> float:
    """The magnitude that `percent` (0 to 100) of all values, zeros included, do not exceed; to one bin's width."""
    wanted = histogram.total * percent / 100.0 - histogram.zeros
    if wanted <= 0:
        return histogram.width
    index = int(np.searchsorted(np.cumsum(histogram.counts), wanted))
    return min((index + 1) * histogram.width, histogram.maximum)


def entropy(histogram: Histogram) -> float:
    """The threshold at which the 8-bit distribution loses the least information (Kullback-Leibler divergence).

    As published by Szymon Migacz, "8-bit Inference with TensorRT", GPU Technology Conference 2017: for each threshold
    the reference P is the histogram below it with everything above counted into its last bin, the candidate Q is the
    histogram below it without that, merged into 128 levels and spread again over the bins that were not empty; the
    threshold with the least KL(P || Q) wins. Differences: exact zeros are left out, thresholds are tried every `STEP`
    bins, and none is below the percentile `GUARD`.
    """
    used = max(min(BINS, math.ceil(histogram.maximum / histogram.width - 1e-9)), 1)
    if used <= LEVELS:
        return histogram.maximum
    counts = histogram.counts[:used].astype(np.float64)
    cumulative = np.cumsum(counts)
    least = int(np.searchsorted(cumulative, cumulative[-1] * GUARD / 100.0)) + 1
    candidates = [*range(max(LEVELS, least), used, STEP), used]
    losses = [_divergence(counts, bins) for bins in candidates]
    best = candidates[int(np.argmin(losses))]
    return min((best + 0.5) * histogram.width, histogram.maximum)


def _divergence(counts: np.ndarray, bins: int) -> float:
    """KL(P || Q) in nats for a threshold at the upper edge of bin `bins` - 1; infinite where Q has nothing to offer."""
    inside = counts[:bins]
    reference = inside.copy()
    reference[-1] += counts[bins:].sum()
    total = inside.sum()
    if total == 0:
        return math.inf
    filled = inside > 0
    level = np.arange(bins) * LEVELS // bins
    mass = np.bincount(level, inside, LEVELS)
    room = np.bincount(level, filled, LEVELS)
    spread = np.divide(mass, room, out=np.zeros(LEVELS), where=room > 0)
    candidate = np.where(filled, spread[level], 0.0) / total
    reference /= reference.sum()
    there = reference > 0
    if np.any(candidate[there] == 0):
        return math.inf
    return float(np.sum(reference[there] * np.log(reference[there] / candidate[there])))


def amax(histogram: Histogram, algorithm: str, percent: float) -> float:
    """The range that `algorithm` ("entropy", "minmax", "percentile") chooses; 0 for a tensor of zeros only."""
    if histogram.maximum == 0.0:
        return 0.0
    if algorithm == "minmax":
        return minmax(histogram)
    return percentile(histogram, percent) if algorithm == "percentile" else entropy(histogram)
