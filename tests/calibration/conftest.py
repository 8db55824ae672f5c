# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""INT8 from the command line on small models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from tests import makers
from tests.conftest import ColourJob

CALIBRATION = "gen_trt_engine.tensorrt.calibration."


class Int8Job(ColourJob):
    """The job on the tiny model, in INT8: nine pictures in three folders, a cache file."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.cache = root / "calibration.cache"
        self.facts = root / "calibration.cache.json"

    def build(self, *overrides: object, data: bool = True, cache: bool = True) -> makers.Ran:
        options: list[object] = ["gen_trt_engine.tensorrt.data_type=int8"]
        if data:
            options += [f"{CALIBRATION}cal_image_dir={self.images}", f"{CALIBRATION}cal_batch_size=3"]
            options += [f"{CALIBRATION}cal_batches=2"]
        if cache:
            options.append(f"{CALIBRATION}cal_cache_file={self.cache}")
        return self.run("gen_trt_engine", *options, *overrides)

    def change_model(self, value: float = 1.01) -> None:
        """Other weights in the same graph."""
        model = onnx.load(str(self.model))
        weight = next(tensor for tensor in model.graph.initializer if tensor.name == "weight")
        weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * np.float32(value), "weight"))
        onnx.save(model, str(self.model))


@pytest.fixture
def int8(tmp_path: Path) -> Int8Job:
    return Int8Job(tmp_path)
