# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Scores of pairs against scikit-learn and SciPy's formulas."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics.pairwise import paired_euclidean_distances

from nvidia_tao_deploy.decode.pairs import DefectProbability, EmbeddingDistance, ModelDistance
from nvidia_tao_deploy.errors import NotANumberError
from nvidia_tao_deploy.network import Frame, Sample
from nvidia_tao_deploy.transforms.geometry import Geometry

RANDOM = np.random.default_rng(5)


def frames(count: int) -> list[Frame]:
    return [Frame(Sample(str(index), Path(str(index))), (4, 4), Geometry()) for index in range(count)]


@pytest.mark.parametrize("kind", [np.float32, np.float16])
def test_distance_of_embeddings(kind: type) -> None:
    one, other = (RANDOM.normal(size=(7, 5)).astype(kind) for _ in range(2))
    found = EmbeddingDistance(("a", "b"))({"a": one, "b": other}, frames(7))
    want = paired_euclidean_distances(one.astype(np.float64), other.astype(np.float64))
    np.testing.assert_allclose([score.value for score in found], want, rtol=1e-6)
    assert all(type(score.value) is float for score in found)


@pytest.mark.parametrize("bad", [np.inf, -np.inf])
def test_an_infinite_embedding_is_no_small_distance(bad: float) -> None:
    """Both infinite: their difference is NaN, which is not above any margin, so the unit would pass."""
    values = np.ones((3, 5), np.float32)
    values[1, 2] = bad
    with pytest.raises(NotANumberError, match=r"output 'a' is an infinity for 1\."):
        EmbeddingDistance(("a", "b"))({"a": values, "b": values}, frames(3))


@pytest.mark.parametrize("shape", [(4,), (4, 1)])
def test_a_distance_that_the_model_computes(shape: tuple[int, ...]) -> None:
    values = RANDOM.random(4).astype(np.float32)
    found = ModelDistance("d")({"d": values.reshape(shape)}, frames(4))
    assert [score.value for score in found] == values.tolist()


def test_defect_probability() -> None:
    logits = np.array([[0.0, 0.0], [2.0, -1.0], [-500.0, 500.0]], np.float32)
    found = [score.value for score in DefectProbability("o")({"o": logits}, frames(3))]
    np.testing.assert_allclose(found, [0.5, 1 / (1 + np.exp(3.0)), 1.0], rtol=1e-6)


def test_one_pair_is_no_special_case() -> None:
    assert len(ModelDistance("d")({"d": np.ones(1, np.float32)}, frames(1))) == 1
