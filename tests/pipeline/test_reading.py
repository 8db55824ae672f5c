# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Samples whose label has a fault are not read, and count as those that cannot be."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nvidia_tao_deploy.network import Frame, Sample
from nvidia_tao_deploy.pipeline.reading import Failure, Reader
from nvidia_tao_deploy.transforms.picture import Normalise, PicturePrepare
from tests.makers import picture


def test_a_sample_with_a_fault(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.png", (255, 0, 0), (4, 4))
    samples = [Sample("good", path), Sample("bad", path, fault="labels.txt, line 3: no text"), Sample("good", path)]
    reader = Reader(PicturePrepare("x", (3, 4, 4), Normalise()), 1)
    try:
        together = reader.start(samples, {"x": np.zeros((3, 3, 4, 4), np.float32)})
        alone = [reader.start_single(sample) for sample in samples]
        for reading in (together, *alone):
            reading.wait()
    finally:
        reader.close()
    for good, bad, _ in (together.results, [reading.results[0] for reading in alone]):
        assert isinstance(good, Frame)
        assert isinstance(bad, Failure) and bad.message == "labels.txt, line 3: no text"
