# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Ranges from histograms, against numpy, a plain writing-down of the published search, and ONNX Runtime."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnxruntime.quantization.calibrate import CalibrationDataReader, create_calibrator
from onnxruntime.quantization.calibrate import CalibrationMethod as Method

from nvidia_tao_deploy.engine.calibration import observers
from nvidia_tao_deploy.engine.calibration.observers import BINS, LEVELS, Histogram
from nvidia_tao_deploy.engine.calibration.ranges import observe
from nvidia_tao_deploy.errors import BuildError
from nvidia_tao_deploy.graph.quantise import activations
from tests.graph import models


def histogram(*batches: np.ndarray) -> Histogram:
    result = Histogram()
    for batch in batches:
        result.add(np.asarray(batch, np.float32))
    return result


def of_counts(counts: list[int] | np.ndarray) -> Histogram:
    """A histogram of bins 1 wide."""
    result = Histogram()
    result.counts[: len(counts)] = counts
    result.limit, result.maximum = float(BINS), float(len(counts))
    return result


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(0.01, 1e4), min_size=1, max_size=6), st.integers(0, 2**31))
def test_growing_histogram_is_that_of_all_values_at_once(scales: list[float], seed: int) -> None:
    random = np.random.default_rng(seed)
    batches = [(random.normal(size=500) * scale).astype(np.float32) for scale in scales]
    batches[0][:7] = 0.0
    grown = histogram(*batches)
    sizes = np.abs(np.concatenate(batches))
    expected, _ = np.histogram(sizes[sizes > 0], bins=BINS, range=(0, grown.limit))
    assert grown.maximum == sizes.max() and grown.zeros == 7 and grown.total == sizes.size
    # a value on an edge may fall on either side of it
    assert np.abs(np.cumsum(grown.counts) - np.cumsum(expected)).max() <= 2


def test_at_least_half_of_the_bins_are_in_use() -> None:
    grown = histogram(np.ones(5), np.full(5, 1.01))
    assert grown.limit / 2 < grown.maximum <= grown.limit


@pytest.mark.parametrize(("value", "word"), [(math.nan, "NaN"), (math.inf, "infinity"), (-math.inf, "infinity")])
def test_values_that_are_no_numbers_are_refused(value: float, word: str) -> None:
    with pytest.raises(BuildError, match=word):
        histogram([1.0, value])


def test_tensor_of_zeros_has_no_range() -> None:
    zeros = histogram(np.zeros((2, 3)), np.zeros(4), np.zeros(0))
    assert zeros.total == 10
    assert [observers.amax(zeros, name, 99.9) for name in ("entropy", "minmax", "percentile")] == [0.0, 0.0, 0.0]


def test_constant_tensor_is_covered_whatever_the_algorithm() -> None:
    constant = histogram(np.full(1000, -2.5))
    for name in ("entropy", "minmax", "percentile"):
        assert observers.amax(constant, name, 99.99) == 2.5


@pytest.mark.parametrize("percent", [50.0, 99.0, 99.9, 100.0])
def test_percentile_is_numpys_to_a_bin(percent: float) -> None:
    values = np.random.default_rng(1).normal(size=200_000)
    found = histogram(values)
    expected = np.percentile(np.abs(values.astype(np.float32)), percent)
    assert observers.percentile(found, percent) == pytest.approx(expected, abs=2 * found.width)


def test_percentile_counts_zeros() -> None:
    assert observers.percentile(histogram(np.r_[np.zeros(90), np.arange(1, 11)]), 95.0) == pytest.approx(5, abs=0.01)


def published(counts: np.ndarray, bins: int) -> float:
    """KL(P || Q) of one threshold, as the slides of 2017 write it, element by element, for a multiple of 128 bins."""
    reference = [float(count) for count in counts[:bins]]
    reference[-1] += float(sum(counts[bins:]))
    merged = bins // LEVELS
    candidate = [0.0] * bins
    for level in range(LEVELS):
        part = range(level * merged, (level + 1) * merged)
        filled = [index for index in part if counts[index]]
        for index in filled:
            candidate[index] = sum(float(counts[other]) for other in part) / len(filled)
    p_sum, q_sum = sum(reference), sum(candidate)
    total = 0.0
    for p, q in zip(reference, candidate, strict=True):
        if p:
            if not q:
                return math.inf
            total += p / p_sum * math.log(p / p_sum / (q / q_sum))
    return total


@pytest.mark.parametrize("bins", [128, 256, 512, 1024])
def test_divergence_is_the_published_one(bins: int) -> None:
    counts = np.random.default_rng(bins).geometric(0.02, 1024) * np.random.default_rng(1).integers(0, 2, 1024)
    counts[bins - 1] = 3
    assert observers._divergence(counts.astype(float), bins) == pytest.approx(published(counts, bins), rel=1e-9)


def test_divergence_worked_by_hand() -> None:
    # 256 bins merge in pairs: bins (1, 3) become (2, 2). P = (1/4, 3/4), Q = (1/2, 1/2) within the one filled pair
    counts = np.zeros(256)
    counts[:2] = 1, 3
    expected = 0.25 * math.log(0.25 / 0.5) + 0.75 * math.log(0.75 / 0.5)
    counts[255] = 0
    assert observers._divergence(counts[:256], 256) == pytest.approx(expected)


def test_entropy_keeps_all_of_an_even_distribution() -> None:
    assert observers.entropy(of_counts([1000] * 2048)) == 2048


def test_entropy_cuts_off_a_lonely_outlier() -> None:
    values = np.random.default_rng(0).normal(size=1_000_000)
    values[0] = 60.0
    threshold = observers.entropy(histogram(values))
    assert 3.5 < threshold < 10.0


def test_entropy_does_not_cut_off_a_thin_tail_that_carries_the_signal() -> None:
    # hard-swish before a gate: nearly everything near zero, one value in 100 large
    random = np.random.default_rng(0)
    values = np.r_[random.normal(size=99_000) * 0.05, random.uniform(1, 10, 1_000)]
    found = histogram(values)
    assert observers.entropy(found) >= np.percentile(np.abs(values), 99.98)


class Reader(CalibrationDataReader):
    def __init__(self, feeds: list[dict[str, np.ndarray]]) -> None:
        self.feeds = iter(feeds)

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.feeds, None)


@pytest.fixture
def case(tmp_path: Path) -> tuple[onnx.ModelProto, list[dict[str, np.ndarray]], Path]:
    model = models.classifier()
    onnx.save(model, tmp_path / "model.onnx")
    random = np.random.default_rng(5)
    feeds = [{"input": random.normal(size=(4, 3, 32, 32)).astype(np.float32)} for _ in range(3)]
    return model, feeds, tmp_path / "model.onnx"


def onnxruntime_ranges(path: Path, feeds: list[dict[str, np.ndarray]], method: Method, **options: object) -> dict:
    calibrator = create_calibrator(
        path, ["Conv", "Gemm", "Relu"], str(path.with_name("augmented.onnx")), calibrate_method=method,
        extra_options={"symmetric": True, **options},
    )  # fmt: skip
    calibrator.collect_data(Reader(feeds))
    return {name: float(np.max(np.abs(data.range_value))) for name, data in calibrator.compute_data().items()}


def test_minmax_is_onnxruntimes(case: tuple) -> None:
    model, feeds, path = case
    theirs = onnxruntime_ranges(path, feeds, Method.MinMax)
    ours = observe(model, activations(model), feeds, "minmax")
    common = set(theirs) & set(ours)
    assert {"input", "c1", "r1", "c2", "logits"} <= common
    for name in common:
        assert ours[name] == pytest.approx(theirs[name], rel=1e-5), name


def test_percentile_is_near_onnxruntimes(case: tuple) -> None:
    model, feeds, path = case
    theirs = onnxruntime_ranges(path, feeds, Method.Percentile, percentile=99.9)
    ours = observe(model, activations(model), feeds, "percentile", 99.9)
    for name in ("input", "r1", "r2"):  # theirs has 2048 bins and takes a bin's lower edge
        assert ours[name] == pytest.approx(theirs[name], rel=0.02), name


def test_values_that_only_move_are_measured_once(case: tuple) -> None:
    model, feeds, _ = case
    found = observe(model, ["g", "f"], feeds, "entropy")
    assert found["f"] == found["g"] > 0


def test_not_a_number_names_tensor_node_and_batch(case: tuple) -> None:
    model, feeds, _ = case
    feeds[1]["input"][2, 0, 0, 0] = np.nan
    with pytest.raises(BuildError, match=r"tensor 'input' \(an input of the model\) has NaN .* in batch 2"):
        observe(model, activations(model), feeds, "entropy")


def test_rows_are_run_in_parts_that_fit_memory(case: tuple, monkeypatch: pytest.MonkeyPatch) -> None:
    from nvidia_tao_deploy.engine.calibration import ranges

    model, feeds, _ = case
    whole = observe(model, activations(model), feeds, "entropy")
    monkeypatch.setattr(ranges, "BYTES_AT_ONCE", 1)
    assert observe(model, activations(model), feeds, "entropy") == pytest.approx(whole, rel=1e-4)


@pytest.mark.parametrize("algorithm", ["entropy", "minmax", "percentile"])
def test_values_too_small_for_any_scale_are_zeros(algorithm: str) -> None:
    tiny = histogram(np.full(100, 1e-40), np.full(100, -1e-38))
    assert tiny.total == 200 and observers.amax(tiny, algorithm, 99.0) == 0.0
    tiny.add(np.linspace(0, 1, 100, dtype=np.float32))
    assert 0.9 < observers.amax(tiny, algorithm, 99.9) <= 1.0
