# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Preprocessing of the text networks: what is refused before it takes all memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from nvidia_tao_deploy.data.pictures import PictureReader
from nvidia_tao_deploy.errors import DataError
from nvidia_tao_deploy.network import Sample
from nvidia_tao_deploy.transforms.picture import Normalise
from nvidia_tao_deploy.transforms.text import ShortSidePrepare
from tests.makers import noise


def test_a_strip_does_not_grow_without_bounds(tmp_path: Path) -> None:
    """3000 x 1 with a short side of 736 would be 1.6 billion pixels: 20 GB as floats."""
    prepare = ShortSidePrepare("input", 736, Normalise(), PictureReader())
    path = noise(tmp_path / "strip.png", (3000, 1))
    with pytest.raises(DataError, match=r"strip\.png: 3000 x 1 .* would grow to 2208000 x 736"):
        prepare.single(Sample("strip.png", path))
    arrays, frame = prepare.single(Sample("small.png", noise(tmp_path / "small.png", (30, 20))))
    assert arrays["input"].shape == (1, 3, 736, 1120) and frame.size == (20, 30)
