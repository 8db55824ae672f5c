# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Operators written as the standard defines them compute what they computed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from nvidia_tao_deploy.engine.contract import LayerPrecision
from nvidia_tao_deploy.graph import definitions
from nvidia_tao_deploy.graph.lowering import lower
from nvidia_tao_deploy.graph.model import all_nodes
from tests.graph.models import Weights, model, value

SHAPE = (2, 4, 6, 5)


def one(op: str, opset: int, operands: Sequence[Any] = (), **options: Any) -> onnx.ModelProto:
    """input [2, 4, 6, 5] -> output: one node; `operands` follow the input."""
    w = Weights()
    names = [w.given(f"w{index}", operand) for index, operand in enumerate(operands)]
    node = helper.make_node(op, ["input", *names], ["output"], name="/node", **options)
    ends = [value("input", TensorProto.FLOAT, *SHAPE)], [value("output", TensorProto.FLOAT, *[None] * 4)]
    made = model([node], *ends, w.tensors, opset=opset)
    made.ir_version = 10
    return made


def ones(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


CASES = {
    "gelu": one("Gelu", 20),
    "gelu by tanh": one("Gelu", 20, approximate="tanh"),
    "mish": one("Mish", 18),
    "hard-swish": one("HardSwish", 14),
    "celu": one("Celu", 12, alpha=0.5),
    "celu by default": one("Celu", 12),
    "groups": one("GroupNormalization", 21, [ones(4), ones(4)], num_groups=2, epsilon=0.1),
    "rms": one("RMSNormalization", 23, [ones(6, 5)], axis=2),
    "layer": one("LayerNormalization", 17, [ones(5), ones(5)]),
    "cast": one("CastLike", 21, [np.float32(1)]),
    "mean and variance": one("MeanVarianceNormalization", 13, axes=[1, 2]),
    "centre": one("CenterCropPad", 18, [np.array([4, 7])], axes=[2, 3]),
    "attention": one("Attention", 23, [ones(2, 4, 3, 5), ones(2, 4, 3, 5)]),
}


@pytest.mark.parametrize("name", CASES)
def test_computes_the_same(name: str) -> None:
    original = CASES[name]
    before = original.SerializeToString()
    op = original.graph.node[0].op_type
    written, _ = lower(original, {op, "CastLike"})
    onnx.checker.check_model(written, full_check=True)
    assert original.SerializeToString() == before
    assert not {node.op_type for node in all_nodes(written.graph)} & {op, "CastLike"}
    assert all(node.name.startswith("/node/") for node in written.graph.node)
    x = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    expected, found = (ReferenceEvaluator(proto).run(None, {"input": x})[0] for proto in (original, written))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_rules_follow() -> None:
    rules = (LayerPrecision("/node", "fp32", optional=True),)
    written, followed = lower(CASES["gelu"], {"Gelu", "CastLike"}, rules)
    patterns = [rule.pattern for rule in followed]
    assert patterns and all(pattern.startswith("/node/lowered") for pattern in patterns)
    assert {(rule.dtype, rule.optional) for rule in followed} == {("fp32", True)}
    assert any(node.op_type == "Erf" for node in written.graph.node)


@pytest.mark.parametrize(
    ("op", "opset"),
    [
        pytest.param("NonMaxSuppression", 17, id="no definition"),
        pytest.param("EfficientNMS_TRT", 17, id="plugin"),
        pytest.param("Gelu", 19, id="too old an operator set"),
        pytest.param("DynamicQuantizeLinear", 17, id="no simpler"),
    ],
)
def test_what_has_no_use_of_a_definition(op: str, opset: int) -> None:
    assert definitions.are_defined({op}, opset) == set()
    assert definitions.are_defined({op, "HardSwish"}, opset) == {"HardSwish"}


def test_what_cannot_be_written_stays_for_the_parser_to_name() -> None:
    body = helper.make_graph(
        [helper.make_node("HardSwish", ["input"], ["inner"], name="/inner")], "body", [],
        [value("inner", TensorProto.FLOAT, *SHAPE)],
    )  # fmt: skip
    w = Weights()
    w.given("yes", np.True_)
    branch = helper.make_node("If", ["yes"], ["output"], name="/if", then_branch=body, else_branch=body)
    ends = [value(name, TensorProto.FLOAT, *SHAPE) for name in ("input", "output")]
    proto = model([branch], ends[:1], ends[1:], w.tensors)
    assert lower(proto, {"HardSwish"})[0] is proto
