# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Embeddings that cannot be compared are refused, in the gallery and among the queries."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nvidia_tao_deploy.data.gallery import Gallery
from nvidia_tao_deploy.decode.embedding import DecodeEmbedding, DecodeNeighbours
from nvidia_tao_deploy.errors import NotANumberError
from nvidia_tao_deploy.network import Frame, Sample
from nvidia_tao_deploy.transforms.geometry import Geometry


@pytest.mark.parametrize("decode", [DecodeEmbedding("e"), DecodeNeighbours("e", Gallery([]), 1)])
def test_an_infinity(decode: DecodeEmbedding | DecodeNeighbours) -> None:
    frames = [Frame(Sample(name, Path(name)), (4, 4), Geometry()) for name in ("one", "two")]
    values = np.array([[1, 2], [1, np.inf]], np.float16)
    with pytest.raises(NotANumberError, match="output 'e' is an infinity for two"):
        decode({"e": values}, frames)
