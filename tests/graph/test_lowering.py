# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""LayerNormalization in older operators: the same numbers as ONNX's own reference, and rules that follow the layer."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from nvidia_tao_deploy.engine.contract import LayerPrecision
from nvidia_tao_deploy.errors import BuildError
from nvidia_tao_deploy.graph.lowering import lower

OPS = frozenset({"LayerNormalization"})


def model(axis: int, bias: bool, opset: int, outputs: int = 1) -> onnx.ModelProto:
    shape = [2, 3, 4, 5]
    part = shape[axis % 4 :]
    rng = np.random.default_rng(axis + 7)
    weights = [numpy_helper.from_array(rng.normal(size=part).astype(np.float32), name) for name in ("scale", "bias")]
    names, operands = ["y", "mean"][:outputs], ["scale", "bias"][: 1 + bias]
    nodes = [
        helper.make_node("Relu", ["x"], ["r"], name="relu"),
        helper.make_node("LayerNormalization", ["r", *operands], names, name="/norm", axis=axis, epsilon=0.01),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["B", *shape[1:]])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["B", *shape[1:]])],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


@pytest.mark.parametrize("opset", [17, 18])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("axis", [-1, -2, 1, 3])
def test_same_numbers(axis, bias, opset):
    original = model(axis, bias, opset)
    lowered, _ = lower(original, OPS)
    onnx.checker.check_model(lowered, full_check=True)
    assert not any(node.op_type in OPS for node in lowered.graph.node)
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
    want = ReferenceEvaluator(original).run(None, {"x": x})[0]
    got = ReferenceEvaluator(lowered).run(None, {"x": x})[0]
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def test_nothing_to_do_returns_the_same_objects():
    original, rules = model(-1, True, 17), (LayerPrecision("relu", "fp32"),)
    lowered, followed = lower(original, frozenset(), rules)
    assert lowered is original and followed is rules


@pytest.mark.parametrize(
    ("pattern", "kept"), [("/norm", False), ("*norm", False), ("relu", True), ("*", True), ("*r*", True)]
)
def test_rules_follow_the_layer(pattern, kept):
    from nvidia_tao_deploy.graph.layers import match

    lowered, rules = lower(model(-1, True, 17), OPS, (LayerPrecision(pattern, "fp32"),))
    assert (LayerPrecision(pattern, "fp32") in rules) is kept
    found = match(rules, [node.name for node in lowered.graph.node])
    normal = {node.name for node in lowered.graph.node if node.name.startswith("/norm/")}
    assert (normal <= set(found)) is (pattern != "relu")
    assert ("relu" in found) is (pattern in ("relu", "*", "*r*"))


def test_a_second_output_in_use_is_refused():
    with pytest.raises(BuildError, match="'/norm': its mean"):
        lower(model(-1, True, 17, outputs=2), OPS)
