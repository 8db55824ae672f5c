# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""What does it cost to store the values around activation functions such as hard-swish as INT8?

    python examples/prepare.py demo
    python benchmarks/int8_places.py demo [--networks ocrnet,ocdnet]

TensorRT's calibrator gives every value a range, and the builder may store any of them as INT8 to save time; our Q/DQ
pairs only stand where convolutions and linear layers take a value. This puts further pairs into the Q/DQ model, in and
in front of gates (see nvidia_tao_deploy/graph/gates.py), and evaluates each model on ONNX Runtime, with min-max ranges.
It is why the builder is told to keep gates out of INT8. Exit code 1 when storing all but the steps of gates, which is
what TensorRT does if it is left alone, costs less than a point.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import onnx
from onnx import helper, numpy_helper

from benchmarks.example_models import calibrated, chosen, evaluated
from nvidia_tao_deploy import logs
from nvidia_tao_deploy.engine.calibration import cache
from nvidia_tao_deploy.graph import gates, quantise
from nvidia_tao_deploy.network import Table


def with_pairs(model: onnx.ModelProto, amax: Mapping[str, float], names: Collection[str]) -> onnx.ModelProto:
    """The model with a Q/DQ pair behind each of these values, for all that read it as a float."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    nodes: list[onnx.NodeProto] = []
    renamed: dict[str, str] = {}
    for node in model.graph.node:
        node = onnx.NodeProto.FromString(node.SerializeToString())
        for index, name in enumerate(node.input):
            if node.op_type != "QuantizeLinear":  # what is a pair already stays the one that it is
                node.input[index] = renamed.get(name, name)
        nodes.append(node)
        for name in (name for name in node.output if name in names and amax.get(name, 0.0) > 0.0):
            scale = np.float32(max(amax[name] / quantise.INT8.largest, quantise.SCALE_FLOOR))
            operands = [f"{name}__stored_scale", f"{name}__stored_zero"]
            for key, value in zip(operands, (scale, np.int8(0)), strict=True):
                copy.graph.initializer.append(numpy_helper.from_array(np.asarray(value), key))
            nodes.append(helper.make_node("QuantizeLinear", [name, *operands], [f"{name}__stored"]))
            nodes.append(helper.make_node("DequantizeLinear", [f"{name}__stored", *operands], [f"{name}__back"]))
            renamed[name] = f"{name}__back"
    del copy.graph.node[:]
    copy.graph.node.extend(nodes)
    return copy


def variants(model: onnx.ModelProto, amax: Mapping[str, float]) -> dict[str, onnx.ModelProto]:
    """FP32, the Q/DQ model, and that with further values stored as INT8."""
    found = gates.find(model)
    steps = found.inside - found.ends
    values = storable(model)
    quantised, _ = quantise.quantise(model, amax)
    return {
        "FP32": model,
        "Q/DQ: what convolutions and linear layers take": quantised,
        "every value but the steps of gates": with_pairs(quantised, amax, values - steps),
        "every value but gates and what enters them": with_pairs(quantised, amax, values - steps - found.sources),
        "Q/DQ and the steps of gates": with_pairs(quantised, amax, steps),
    }


def storable(model: onnx.ModelProto) -> set[str]:
    """Values that TensorRT may store as INT8: not those within a normalisation or a Softmax."""
    roots = {name for node in model.graph.node if node.op_type == "Sqrt" for name in node.input}
    float_only = {"Pow", "ReduceMean", "Softmax", "Sqrt"}
    made = {name for node in model.graph.node if node.op_type not in float_only for name in node.output}
    return made & set(quantise.activations(model)) - roots


def main() -> int:
    """Build, evaluate, print the table; 0 when INT8 everywhere costs a point in each network."""
    rows, costs = [], True
    for network in chosen(__doc__, "ocrnet"):
        with tempfile.TemporaryDirectory(prefix="int8_places") as folder:
            work = Path(folder)
            values = []
            model = calibrated(network, work, "cal_algorithm=minmax")
            for name, variant in variants(model, cache.read(work / "calibration.cache").amax).items():
                values.append(evaluated(network, variant, work))
                rows.append((network, name, f"{values[-1]:.4f}"))
            costs = costs and values[2] <= values[1] - 0.01
    logs.show_table(Table("INT8 by place", ("network", "stored as INT8", "figure"), tuple(rows)))
    return 0 if costs else 1


if __name__ == "__main__":
    sys.exit(main())
