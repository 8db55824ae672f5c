# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""What operator sets after 17 changed, in the forms of 17: valid there, and the same numbers."""

from __future__ import annotations

import logging

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from nvidia_tao_deploy.engine.contract import LayerPrecision
from nvidia_tao_deploy.errors import BuildError
from nvidia_tao_deploy.graph.editing import attributes
from nvidia_tao_deploy.graph.lowering import lower
from tests.graph.models import Weights, model, value
from tests.graph.operators import NEWER, NO_OPERATION, SHAPE, lacked_by_none, one


def older(original: onnx.ModelProto) -> onnx.ModelProto:
    before = original.SerializeToString()
    written, _ = lower(original, lacked_by_none, old_parser=True)
    assert original.SerializeToString() == before
    return written


def opset(proto: onnx.ModelProto) -> int:
    return proto.opset_import[0].version


@pytest.mark.parametrize("name", NEWER)
def test_is_of_operator_set_17_and_computes_the_same(name: str) -> None:
    original = NEWER[name]
    written = older(original)
    assert opset(written) == 17
    onnx.checker.check_model(written, full_check=True)
    x = np.random.default_rng(0).uniform(0.1, 1, SHAPE).astype(np.float32)
    expected, found = (
        onnxruntime.InferenceSession(proto.SerializeToString()).run(None, {"input": x}) for proto in (original, written)
    )
    for left, right in zip(found, expected, strict=True):
        np.testing.assert_allclose(left, right, atol=1e-5)


def test_a_reduction_that_does_nothing() -> None:
    written = older(NO_OPERATION)
    assert opset(written) == 17 and [node.op_type for node in written.graph.node] == ["Identity"]
    onnx.checker.check_model(written, full_check=True)


def test_axes_become_an_attribute() -> None:
    (node,) = older(NEWER["ReduceMean"]).graph.node
    assert list(node.input) == ["input"] and attributes(node) == {"axes": [2, -1], "keepdims": 0}


def test_rules_follow() -> None:
    rule = LayerPrecision("/node", "fp32")
    assert lower(NEWER["ReduceMean"], lacked_by_none, (rule,), old_parser=True)[1] == (rule,)  # the node keeps its name
    _, rules = lower(NO_OPERATION, lacked_by_none, (rule,), old_parser=True)
    assert [rule.pattern.startswith("/node/lowered") for rule in rules] == [True]


def test_definitions_are_written_in_older_forms_too() -> None:
    """GroupNormalization's has a ReduceMean whose axes are an operand."""
    scale = np.ones(4, np.float32)
    original = one("GroupNormalization", [scale, scale], opset=21, num_groups=2)
    written, _ = lower(original, {"GroupNormalization", "CastLike"}.__contains__, old_parser=True)
    assert opset(written) == 17
    onnx.checker.check_model(written, full_check=True)
    x = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    expected, found = (ReferenceEvaluator(proto).run(None, {"input": x})[0] for proto in (original, written))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_older_models_and_newer_parsers_are_left_alone() -> None:
    old = one("ReduceMean", opset=17, axes=[1])
    assert older(old) is old
    assert lower(NEWER["ReduceMean"], lacked_by_none)[0] is NEWER["ReduceMean"]


@pytest.mark.parametrize(
    ("proto", "message"),
    [
        (one("Resize", [None, np.float32([1, 1, 2, 2])], antialias=1, mode="linear"), "Resize '/node': antialias=1"),
        (one("Resize", [None, None, np.array([2, 4, 9, 9])], keep_aspect_ratio_policy="not_larger"),
         "keep_aspect_ratio_policy=not_larger"),
        (one("Resize", [None, None, np.array([9])], axes=[2], shape=["n", 4, 6, 5]), "Resize '/node': axes"),
        (one("AveragePool", kernel_shape=[2, 2], dilations=[2, 1]), r"AveragePool '/node': dilations=\[2, 1\]"),
        (one("LpPool", kernel_shape=[2, 2], ceil_mode=1), "LpPool '/node': ceil_mode=1"),
        (one("QuantizeLinear", [np.ones((2, 4, 6, 1), np.float32)], opset=21, axis=3, block_size=5), "block_size=5"),
        (one("QuantizeLinear", [np.float32(1)], opset=21, output_dtype=TensorProto.INT8), "output_dtype=3"),
    ],
)  # fmt: skip
def test_what_17_cannot_say_is_refused(proto: onnx.ModelProto, message: str) -> None:
    with pytest.raises(BuildError, match=message) as caught:
        older(proto)
    assert "opset_version=17" in str(caught.value.hint) and "came after operator set 17" in caught.value.message


def test_a_type_that_a_zero_point_has_too_is_dropped() -> None:
    written = older(one("QuantizeLinear", [np.float32(1), np.int8(0)], opset=21, output_dtype=TensorProto.INT8))
    assert opset(written) == 17
    assert "output_dtype" not in attributes(written.graph.node[0])


def test_what_is_said_of_float8_is_dropped() -> None:
    written = older(one("Cast", to=TensorProto.FLOAT16, saturate=0))
    assert opset(written) == 17 and attributes(written.graph.node[0]) == {"to": TensorProto.FLOAT16}


def test_axes_that_are_no_constant_are_refused() -> None:
    nodes = [
        helper.make_node("Cast", ["axis"], ["axes"], name="/cast", to=TensorProto.INT64),
        helper.make_node("ReduceMax", ["input", "axes"], ["output"], name="/max"),
    ]
    inputs = [value("input", TensorProto.FLOAT, *SHAPE), value("axis", TensorProto.INT32, 1)]
    proto = model(nodes, inputs, [value("output", TensorProto.FLOAT, *[None] * 4)], [], opset=18)
    with pytest.raises(BuildError, match="ReduceMax '/max': 'axes', an operand that is no constant"):
        older(proto)


def test_in_a_body_it_is_refused() -> None:
    node = helper.make_node("ReduceMean", ["input", "axes"], ["inner"], name="/inner")
    body = helper.make_graph([node], "body", [], [value("inner", TensorProto.FLOAT, *[None] * 4)])
    w = Weights()
    w.given("yes", np.True_)
    w.given("axes", np.array([1]))
    branch = helper.make_node("If", ["yes"], ["output"], name="/if", then_branch=body, else_branch=body)
    ends = [value("input", TensorProto.FLOAT, *SHAPE)], [value("output", TensorProto.FLOAT, *[None] * 4)]
    with pytest.raises(BuildError, match="ReduceMean '/inner' stands in the body of a Loop or If"):
        older(model([branch], *ends, w.tensors, opset=18))


def test_an_operator_that_came_later_is_left_to_the_parser_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    proto = one("Mish", opset=18)
    with caplog.at_level(logging.WARNING):
        written = older(proto)
    assert opset(written) == 18
    assert "The model is of operator set 18, and this TensorRT reads those up to 17" in caplog.text
    assert "Mish" in caplog.text and "verify=true" in caplog.text
