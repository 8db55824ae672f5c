# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""What does it cost to give TensorRT a model that ONNX Runtime's quantiser made?

    python examples/prepare.py demo
    python benchmarks/own_ranges.py demo [--networks classification_pyt,ocrnet]

Quantises the example models with that quantiser's defaults (ranges with zero points), and with symmetric ranges, on the
pictures with which our INT8 is calibrated, and evaluates each on ONNX Runtime: as it is, and as it is written for
TensorRT (nvidia_tao_deploy/graph/own_ranges.py). Exit code 1 when writing a symmetric model changes its figure, or one
of the defaults by a point against what ONNX Runtime's own symmetric ranges give.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

from benchmarks.example_models import calibrated, chosen, evaluated
from nvidia_tao_deploy import logs
from nvidia_tao_deploy.engine.calibration.tensorfile import TensorFile
from nvidia_tao_deploy.graph.own_ranges import symmetric
from nvidia_tao_deploy.network import Table

SCHEMES: dict[str, dict[str, Any]] = {"defaults": {}, "symmetric": {"extra_options": {"ActivationSymmetric": True}}}


class Reader(CalibrationDataReader):
    """Batches as the quantiser asks for them."""

    def __init__(self, feeds: Iterator[dict[str, np.ndarray]]) -> None:
        self._feeds = feeds

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._feeds, None)


def figures(network: str, work: Path) -> dict[str, float]:
    """The network's figure by model: "<scheme>" as the quantiser made it, "<scheme>, for TensorRT" as we write it."""
    model = calibrated(network, work, f"cal_data_file={work / 'calibration.h5'}")
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [value.name for value in model.graph.input if value.name not in constants]
    batches = list(TensorFile(work / "calibration.h5").batches(inputs))
    onnx.save(model, str(work / "float.onnx"))
    found = {"FP32": evaluated(network, model, work)}
    for name, options in SCHEMES.items():
        theirs = work / "quantised.onnx"
        quantize_static(work / "float.onnx", theirs, Reader(iter(batches)), QuantFormat.QDQ, **options)
        quantised = onnx.load(theirs)
        found[name] = evaluated(network, quantised, work)
        found[f"{name}, for TensorRT"] = evaluated(network, symmetric(quantised, float_weights=True), work)
    return found


def main() -> int:
    """Quantise, evaluate, print the table; 0 when writing them otherwise costs what symmetric ranges cost."""
    rows, holds = [], True
    for network in chosen(__doc__, "classification_pyt,ocrnet"):
        with tempfile.TemporaryDirectory(prefix="own_ranges") as folder:
            found = figures(network, Path(folder))
        rows += [(network, name, f"{value:.4f}") for name, value in found.items()]
        holds &= found["symmetric, for TensorRT"] == found["symmetric"]
        holds &= found["defaults, for TensorRT"] > min(found["symmetric"], found["defaults"]) - 0.01
    logs.show_table(Table("Quantised by ONNX Runtime", ("network", "model", "figure"), tuple(rows)))
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
