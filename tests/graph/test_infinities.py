# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Where the infinities of attention masks get to."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from nvidia_tao_deploy.graph.infinities import reached


def masked(mask: onnx.NodeProto | None, value: float = 0.0, op: str = "Add") -> onnx.ModelProto:
    """`op` of the input and a mask, from a node or stored; then a Softmax and a Relu."""
    nodes = [
        *([mask] if mask else []),
        helper.make_node(op, ["x", "mask"], ["sum"]),
        helper.make_node("Softmax", ["sum"], ["attention"]),
        helper.make_node("Relu", ["attention"], ["y"]),
    ]
    sizes = [numpy_helper.from_array(np.array([4, 4]), "sizes"), numpy_helper.from_array(np.array(True), "yes")]
    stored = [] if mask else [numpy_helper.from_array(np.full((4, 4), value, np.float32), "mask")]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [4, 4])],
        [*sizes, *stored],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def full(value: float) -> onnx.NodeProto:
    tensor = helper.make_tensor("value", TensorProto.FLOAT, [1], [value])
    return helper.make_node("ConstantOfShape", ["sizes"], ["mask"], value=tensor)


def branch(value: float) -> onnx.NodeProto:
    node = helper.make_node("Constant", [], ["z"], value_float=value)
    body = helper.make_graph([node], "body", [], [helper.make_tensor_value_info("z", TensorProto.FLOAT, [])])
    return helper.make_node("If", ["yes"], ["mask"], then_branch=body, else_branch=body)


LEAST = float(np.finfo(np.float32).min)


@pytest.mark.parametrize("value", [-np.inf, LEAST])
@pytest.mark.parametrize("make", [None, full, branch])
def test_a_mask_reaches_the_softmax_and_no_further(make, value):
    found = reached(masked(make(value) if make else None, value))
    assert found == {"mask", "sum"}


@pytest.mark.parametrize("value", [-100.0, -1e9, np.nan])
def test_a_mask_of_numbers_reaches_nothing(value):
    assert reached(masked(None, value)) == set()
    assert reached(masked(full(value))) == set()


def test_weights_spread_no_infinity():
    assert reached(masked(None, np.inf, "MatMul")) == {"mask"}
