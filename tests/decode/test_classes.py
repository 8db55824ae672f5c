# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Class scores to probabilities, against scipy's definitions written in float64."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nvidia_tao_deploy.decode.classes import DecodeClasses, binary, softmax

LOGITS = arrays(np.float32, st.tuples(st.integers(1, 4), st.integers(2, 6)), elements=st.floats(-80, 80, width=32))


@settings(deadline=None)
@given(LOGITS)
def test_softmax(logits: np.ndarray) -> None:
    wide = np.exp(logits.astype(np.float64))
    expected = wide / wide.sum(axis=1, keepdims=True)
    already = (logits >= 0).all(axis=1) & (np.abs(logits.sum(axis=1, dtype=np.float64) - 1) < 1e-3)
    result = softmax(logits)
    assert result.dtype == np.float32
    assert np.abs(result - np.where(already[:, None], logits, expected)).max() < 1e-5
    assert np.array_equal(result.argmax(axis=1), np.where(already, logits.argmax(axis=1), result.argmax(axis=1)))


def test_probabilities_stay() -> None:
    values = np.array([[0.2, 0.3, 0.5], [0.0, 0.0, 1.0]], np.float32)
    assert np.array_equal(softmax(values), values)
    assert np.abs(softmax(softmax(np.array([[5.0, 1.0, 0.0]]))).sum() - 1) < 1e-6
    mixed = np.array([[0.25, 0.75], [3.0, -1.0]], np.float32)
    assert np.allclose(softmax(mixed)[0], [0.25, 0.75]) and softmax(mixed)[1, 0] > 0.98


def test_large_logits_and_half_precision() -> None:
    assert np.allclose(softmax(np.array([[60000.0, 0.0]], np.float16)), [[1, 0]])
    assert np.allclose(softmax(np.array([[-1e30, 1e30, 1e30]], np.float32)), [[0, 0.5, 0.5]])


@pytest.mark.filterwarnings("error")
def test_infinite_logits() -> None:
    """An overflow in FP16: NaN would count as right whatever the true class, because nothing compares as larger."""
    top = np.finfo(np.float32).max
    logits = np.array([[np.inf, 3, 4], [3, -np.inf, 3], [np.inf, np.inf, 0], [-top, top, 0]], np.float32)
    assert np.allclose(softmax(logits), [[1, 0, 0], [0.5, 0, 0.5], [0.5, 0.5, 0], [0, 1, 0]])


def test_binary() -> None:
    logits = np.array([[-2.0], [0.0], [800.0]], np.float32)
    assert np.allclose(binary(logits)[:, 1], [1 / (1 + np.e**2), 0.5, 1])
    assert np.allclose(binary(np.array([[0.25], [1.0]], np.float32), probabilities=True), [[0.75, 0.25], [0, 1]])
    assert binary(np.array([[0.25]], np.float32))[0, 1] == np.float32(1 / (1 + np.exp(-0.25)))  # by itself: a logit too


def test_predictions_are_copies() -> None:
    raw = np.array([[1.0, 2.0], [4.0, 3.0]], np.float32)
    predictions = DecodeClasses("output")({"output": raw}, [None, None])  # type: ignore[list-item]
    raw[:] = 0
    assert predictions[0].scores.tolist() == [1, 2] and predictions[1].probabilities.argmax() == 0
