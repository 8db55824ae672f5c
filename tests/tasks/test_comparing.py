# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""How far class maps and scores of two engines agree."""

from __future__ import annotations

import numpy as np
import pytest

from nvidia_tao_deploy.predictions import Score, Segmentation
from nvidia_tao_deploy.tasks.comparing import agreement


def test_class_maps_agree_by_their_share_of_equal_pixels() -> None:
    one = np.zeros((4, 5), np.uint8)
    other = one.copy()
    other[0] = 1
    assert agreement(Segmentation(one), Segmentation(one)) == 1
    assert agreement(Segmentation(one), Segmentation(other)) == 0.75


@pytest.mark.parametrize(
    ("one", "other", "want"), [(2.0, 2.0, 1), (2.0, 1.9, 0.95), (0.01, 0.03, 0.98), (1.0, -3.0, 0)]
)
def test_scores_agree_by_their_difference(one: float, other: float, want: float) -> None:
    assert agreement(Score(one), Score(other)) == pytest.approx(want)
