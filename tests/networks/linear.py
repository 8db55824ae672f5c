# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Classifiers whose answers a test can compute by itself: softmax(flattened input @ weights) for each output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def weights(inputs: int, classes: int, seed: int = 0) -> np.ndarray:
    """(inputs, classes) float32, small enough that softmax of pixel values is not all or nothing."""
    return (np.random.default_rng([seed, classes]).normal(size=(inputs, classes)) / inputs).astype(np.float32)


def answer(tensor: np.ndarray, classes: int, sharpness: float, seed: int = 0) -> np.ndarray:
    """What the model says for one input tensor: (classes,) probabilities."""
    logits = sharpness * tensor.reshape(-1).astype(np.float64) @ weights(tensor.size, classes, seed)
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


def model(
    path: Path,
    shape: Sequence[int],
    outputs: Mapping[str, int],
    name: str = "input_1",
    sharpness: float = 1.0,
    batch: int | str = "batch",
) -> Path:
    """Write the model; `shape` is without the batch, `outputs` gives the classes of each."""
    size = int(np.prod(shape))
    nodes = [helper.make_node("Flatten", [name], ["flat"], axis=1)]
    constants = []
    for index, (output, classes) in enumerate(outputs.items()):
        constants.append(numpy_helper.from_array(np.float32(sharpness) * weights(size, classes), f"weights{index}"))
        nodes.append(helper.make_node("MatMul", ["flat", f"weights{index}"], [f"logits{index}"]))
        nodes.append(helper.make_node("Softmax", [f"logits{index}"], [output], axis=1))
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, *shape])],
        [helper.make_tensor_value_info(key, TensorProto.FLOAT, [batch, width]) for key, width in outputs.items()],
        constants,
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(proto, full_check=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(proto, str(path))
    return path
