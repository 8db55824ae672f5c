# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""What is written for TensorRT's parsers: the same numbers as the original, and rules that follow the layers."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from nvidia_tao_deploy.engine.contract import LayerPrecision
from nvidia_tao_deploy.errors import BuildError
from nvidia_tao_deploy.graph.lowering import lower
from tests.graph.operators import lacked_by_none

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
    lowered, _ = lower(original, OPS.__contains__)
    onnx.checker.check_model(lowered, full_check=True)
    assert not any(node.op_type in OPS for node in lowered.graph.node)
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
    want = ReferenceEvaluator(original).run(None, {"x": x})[0]
    got = ReferenceEvaluator(lowered).run(None, {"x": x})[0]
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def test_nothing_to_do_returns_the_same_objects():
    original, rules = model(-1, True, 17), (LayerPrecision("relu", "fp32"),)
    lowered, followed = lower(original, lacked_by_none, rules)
    assert lowered is original and followed is rules


@pytest.mark.parametrize(
    ("pattern", "kept"), [("/norm", False), ("*norm", False), ("relu", True), ("*", True), ("*r*", True)]
)
def test_rules_follow_the_layer(pattern, kept):
    from nvidia_tao_deploy.graph.layers import match

    lowered, rules = lower(model(-1, True, 17), OPS.__contains__, (LayerPrecision(pattern, "fp32"),))
    assert (LayerPrecision(pattern, "fp32") in rules) is kept
    found = match(rules, [node.name for node in lowered.graph.node])
    normal = {node.name for node in lowered.graph.node if node.name.startswith("/norm/")}
    assert (normal <= set(found)) is (pattern != "relu")
    assert ("relu" in found) is (pattern in ("relu", "*", "*r*"))


@pytest.mark.parametrize("axis", [-1, 2])
def test_a_mean_in_use(axis):
    original = model(axis, True, 17, outputs=2)
    mean = helper.make_tensor_value_info("mean", TensorProto.FLOAT, ["B", 3, 4, 1] if axis == -1 else ["B", 3, 1, 1])
    original.graph.output.append(mean)
    lowered, _ = lower(original, OPS.__contains__)
    onnx.checker.check_model(lowered, full_check=True)
    assert not any(node.op_type in OPS for node in lowered.graph.node)
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
    want, got = (ReferenceEvaluator(proto).run(None, {"x": x}) for proto in (original, lowered))
    for left, right in zip(got, want, strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-6)


def parts(split: list[int] | int | None, numbers: tuple[int, ...], keepdims: int = 1) -> onnx.ModelProto:
    """The sum of parts of a SplitToSequence along axis 1, as torch.onnx.export(optimize=False) writes chunk()."""
    options = {} if split is not None else {"keepdims": keepdims}
    stored = [numpy_helper.from_array(np.array(number), f"n{index}") for index, number in enumerate(numbers)]
    stored += [numpy_helper.from_array(np.array(split), "split")] if split is not None else []
    nodes = [
        helper.make_node(
            "SplitToSequence", ["x", *["split"][: split is not None]], ["s"], name="cut", axis=1, **options
        ),
        *(helper.make_node("SequenceAt", ["s", f"n{i}"], [f"p{i}"], name=f"at{i}") for i in range(len(numbers))),
        helper.make_node("Sum", [f"p{i}" for i in range(len(numbers))], ["y"], name="sum"),
    ]
    shape = ["B", "n", 2] if split is not None or keepdims else ["B", 2]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["B", 6, 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        stored,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


SEQUENCES = frozenset({"SplitToSequence", "SequenceAt"})


@pytest.mark.parametrize(
    ("split", "numbers", "keepdims"),
    [(3, (0, 1), 1), (3, (-1,), 1), (4, (1,), 1), ([2, 2, 2], (2, 0), 1), (None, (5, 1), 1), (None, (0, -1), 0)],
)
def test_sequences_become_a_split(split, numbers, keepdims):
    original = parts(split, numbers, keepdims)
    lowered, _ = lower(original, SEQUENCES.__contains__)
    onnx.checker.check_model(lowered, full_check=True)
    assert not any(node.op_type in SEQUENCES for node in lowered.graph.node)
    x = np.random.default_rng(0).normal(size=(2, 6, 2)).astype(np.float32)
    feeds = {"x": x}
    want = onnxruntime.InferenceSession(original.SerializeToString()).run(None, feeds)[0]
    np.testing.assert_array_equal(ReferenceEvaluator(lowered).run(None, feeds)[0], want)


def test_a_sequence_of_unknown_length_is_refused():
    model = parts(3, (0, 1))
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "n"
    with pytest.raises(BuildError, match=r"SplitToSequence 'cut'.*not known before") as refused:
        lower(model, SEQUENCES.__contains__)
    assert "optimize=True" in (refused.value.hint or "")


def test_rules_for_what_only_computed_a_constant_are_dropped():
    nodes = [
        helper.make_node("Identity", ["axes"], ["again"], name="again"),
        helper.make_node("ReduceSum", ["x", "again"], ["y"], name="sum"),
    ]
    ends = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, None)] for name in "xy"]
    axes = numpy_helper.from_array(np.array([1]), "axes")
    model = helper.make_model(helper.make_graph(nodes, "g", *ends, [axes]))
    rules = tuple(LayerPrecision(pattern, "fp32") for pattern in ("again", "*", "sum"))
    lowered, followed = lower(model, lacked_by_none, rules)
    assert "again" in {tensor.name for tensor in lowered.graph.initializer}
    assert [rule.pattern for rule in followed] == ["*", "sum"]


def test_attention_may_be_several_kernels():
    shape = [1, 2, 4, 8]
    graph = helper.make_graph(
        [helper.make_node("Attention", ["x", "x", "x"], ["y"], name="attention")],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
    )
    original = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=10)
    lowered, _ = lower(original, lacked_by_none)
    attention = lowered.graph.node[-1]
    assert [(item.name, item.i) for item in attention.attribute] == [("TRT_decomposable", 1)]
    assert attention.input[0] != attention.input[1]  # one tensor for both crashes TensorRT RTX 1.7
    assert len(original.graph.node) == 1 and not original.graph.node[0].attribute
    del attention.attribute[:]
    onnx.checker.check_model(lowered, full_check=True)
    feeds = {"x": np.random.default_rng(0).normal(size=shape).astype(np.float32)}
    want, have = (ReferenceEvaluator(proto).run(None, feeds)[0] for proto in (original, lowered))
    np.testing.assert_array_equal(have, want)
