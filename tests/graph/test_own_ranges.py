# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Models that carry Q/DQ nodes: what becomes of ONNX Runtime's quantiser's, against what they computed before."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType

from nvidia_tao_deploy.engine.contract import LayerPrecision
from nvidia_tao_deploy.graph import own_ranges
from tests.graph import models
from tests.graph.models import FLOAT, Weights, model, value

SCHEMES = {
    "the defaults": {},
    "UINT8 activations": {"activation_type": QuantType.QUInt8},
    "UINT8 throughout": {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QUInt8},
    "UINT8 weights behind pairs": {
        "activation_type": QuantType.QUInt8, "weight_type": QuantType.QUInt8,
        "extra_options": {"AddQDQPairToWeight": True, "QuantizeBias": False},
    },
    "a scale per channel": {"activation_type": QuantType.QUInt8, "per_channel": True},
    "symmetric": {"per_channel": True, "extra_options": {"ActivationSymmetric": True}},
}  # fmt: skip


def run(proto: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    """Without ONNX Runtime's own rewriting of Q/DQ, so that every node does what it says."""
    onnx.checker.check_model(proto, full_check=True)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {"input": x})[0]


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(64, 3, 32, 32)).astype(np.float32)


@pytest.fixture(params=SCHEMES)
def theirs(request: pytest.FixtureRequest, pictures: np.ndarray) -> onnx.ModelProto:
    """A classifier by ONNX Runtime's quantiser."""
    return models.by_onnxruntimes_quantiser(models.classifier(), {"input": pictures}, **SCHEMES[request.param])


def constants(proto: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}


def pairs(proto: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    return (node for node in proto.graph.node if node.op_type in (own_ranges.Q, own_ranges.DQ))


@pytest.mark.parametrize("float_weights", [True, False])
def test_ranges_become_symmetric(theirs: onnx.ModelProto, pictures: np.ndarray, float_weights: bool) -> None:
    before = theirs.SerializeToString()
    result = own_ranges.symmetric(theirs, float_weights)
    assert theirs.SerializeToString() == before
    known = constants(result)
    for node in pairs(result):
        assert known[node.input[2]].dtype == np.int8 and not known[node.input[2]].any(), node
        if float_weights or node.op_type == own_ranges.Q:
            assert node.input[0] not in known or known[node.input[0]].dtype == np.float32
    exact = run(models.classifier(), pictures)
    expected, found = run(theirs, pictures), run(result, pictures)
    assert np.abs(found - exact).mean() < 2.5 * np.abs(expected - exact).mean() + 1e-4
    assert (found.argmax(1) == expected.argmax(1)).mean() > 0.9
    again = own_ranges.symmetric(result, float_weights)
    assert again is result


def test_symmetric_ranges_and_weights_stay_the_very_same(theirs: onnx.ModelProto, pictures: np.ndarray) -> None:
    known = constants(theirs)
    zeros = [known[node.input[2]] for node in pairs(theirs)]
    result = own_ranges.symmetric(theirs, float_weights=True)
    if not any(zero.any() or zero.dtype == np.uint8 for zero in zeros):
        np.testing.assert_array_equal(run(result, pictures), run(theirs, pictures))
    scales = {node.output[0]: known[node.input[1]] for node in pairs(theirs)}
    for node in pairs(result):
        if node.op_type == own_ranges.DQ and node.output[0] in scales:
            old = scales[node.output[0]]
            new = constants(result)[node.input[1]]
            assert new.size == old.size and (new >= old * 0.999).all()


def test_what_a_relu_did_that_was_merged_into_a_range_is_still_done() -> None:
    """UINT8 with zero point 0 is a ReLU; symmetric INT8 is none."""
    w = Weights()
    scale, zero = w.given("s", 0.02, np.float32), w.given("z", 0, np.uint8)
    nodes = [
        helper.make_node("QuantizeLinear", ["input", scale, zero], ["q"], name="q"),
        helper.make_node("DequantizeLinear", ["q", scale, zero], ["d"], name="dq"),
        helper.make_node("Neg", ["d"], ["output"], name="negated"),
    ]
    proto = model(nodes, [value("input", FLOAT, 4)], [value("output", FLOAT, 4)], w.tensors)
    x = np.array([-3, -0.01, 1.0, 9.0], np.float32)
    expected = np.array([0, 0, -1.0, -5.1], np.float32)
    np.testing.assert_allclose(run(proto, x), expected, atol=0.011)
    widened = own_ranges.symmetric(proto, True)
    assert [node.op_type for node in widened.graph.node] == ["Relu", "QuantizeLinear", "DequantizeLinear", "Neg"]
    np.testing.assert_allclose(run(widened, x), expected, atol=0.021)
    freed, _ = own_ranges.released(proto, (LayerPrecision("negated", "fp32"),))
    assert [node.op_type for node in freed.graph.node] == ["Clip", "Neg"]
    np.testing.assert_allclose(run(freed, x), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("zero", "dtype", "between"),
    [(128, np.uint8, []), (127, np.uint8, []), (120, np.uint8, ["Clip"]), (60, np.uint8, ["Clip"]),
     (-128, np.int8, ["Relu"]), (40, np.int8, ["Clip"])],
)  # fmt: skip
def test_ranges_cut_off_where_they_did(zero: int, dtype: type, between: list[str]) -> None:
    w = Weights()
    scale, point = w.given("s", 0.02, np.float32), w.given("z", zero, dtype)
    nodes = [
        helper.make_node("QuantizeLinear", ["input", scale, point], ["q"], name="q"),
        helper.make_node("DequantizeLinear", ["q", scale, point], ["output"], name="dq"),
    ]
    proto = model(nodes, [value("input", FLOAT, 101)], [value("output", FLOAT, 101)], w.tensors)
    x = np.linspace(-10, 10, 101, dtype=np.float32)
    result = own_ranges.symmetric(proto, False)
    assert [node.op_type for node in result.graph.node] == [*between, "QuantizeLinear", "DequantizeLinear"]
    np.testing.assert_allclose(run(result, x), run(proto, x), atol=0.07)
    if zero == 128:
        np.testing.assert_array_equal(run(result, x), run(proto, x))


@pytest.mark.parametrize(("zero", "kept"), [(127, []), (128, []), (100, ["Clip"])])
def test_a_released_range_is_cut_off_only_where_it_is_lopsided(zero: int, kept: list[str]) -> None:
    w = Weights()
    scale, point = w.given("s", 0.02, np.float32), w.given("z", zero, np.uint8)
    nodes = [
        helper.make_node("QuantizeLinear", ["input", scale, point], ["q"], name="q"),
        helper.make_node("DequantizeLinear", ["q", scale, point], ["d"], name="dq"),
        helper.make_node("Neg", ["d"], ["output"], name="negated"),
    ]
    proto = model(nodes, [value("input", FLOAT, 4)], [value("output", FLOAT, 4)], w.tensors)
    freed, _ = own_ranges.released(proto, (LayerPrecision("negated", "fp32"),))
    assert [node.op_type for node in freed.graph.node] == [*kept, "Neg"]


def test_types_of_onnxruntimes_own_domain_are_those_of_their_zero_points() -> None:
    """ONNX knows nothing of what these nodes give; 16 bits must not be taken for 8."""
    for kind, changes in ((np.uint8, True), (np.int16, False)):
        w = Weights()
        operands = [w.given("s", 0.02, np.float32), w.given("z", 3, kind)]
        nodes = [
            helper.make_node("QuantizeLinear", ["input", *operands], ["q"], name="q", domain="com.microsoft"),
            helper.make_node("DequantizeLinear", ["q", *operands], ["output"], name="dq", domain="com.microsoft"),
        ]
        ends = [value("input", FLOAT, 4)], [value("output", FLOAT, 4)]
        proto = model(nodes, *ends, w.tensors, domains=("com.microsoft",))
        assert (own_ranges.symmetric(proto, True) is not proto) == changes


def test_types_that_are_none_of_eight_bits_stay(caplog: pytest.LogCaptureFixture) -> None:
    w = Weights()
    for kind in (TensorProto.FLOAT8E4M3FN, TensorProto.UINT16):
        w.given("s", 0.02, np.float32)
        point = helper.make_tensor(f"z{kind}", kind, [], bytes(1 if kind == TensorProto.FLOAT8E4M3FN else 2), raw=True)
        nodes = [
            helper.make_node("QuantizeLinear", ["input", "s", point.name], ["q"], name="q"),
            helper.make_node("DequantizeLinear", ["q", "s", point.name], ["output"], name="dq"),
        ]
        ends = [value("input", FLOAT, 4)], [value("output", FLOAT, 4)]
        proto = model(nodes, *ends, [w.tensors[-1], point], opset=21)
        with caplog.at_level(logging.INFO):
            assert own_ranges.symmetric(proto, True) is proto
    assert not caplog.records


def chain() -> onnx.ModelProto:
    """Two convolutions and a sum between pairs of symmetric INT8, their weights stored as INT8."""
    w = Weights(1)
    w.given("s", 0.05, np.float32)
    w.given("z", 0, np.int8)
    for name in "ab":
        w.given(f"w{name}", w.random.integers(-127, 128, (3, 3, 3, 3)), np.int8)
        w.given(f"w{name}_s", np.array([0.002, 0.004, 0.001], np.float32))
        w.given(f"w{name}_z", np.zeros(3, np.int8))

    def pair(name: str) -> list[onnx.NodeProto]:
        return [
            helper.make_node("QuantizeLinear", [name, "s", "z"], [f"{name}_q"], name=f"/{name}/q"),
            helper.make_node("DequantizeLinear", [f"{name}_q", "s", "z"], [f"{name}_d"], name=f"/{name}/dq"),
        ]

    def convolution(source: str, name: str) -> list[onnx.NodeProto]:
        weights = [f"w{name}", f"w{name}_s", f"w{name}_z"]
        return [
            helper.make_node("DequantizeLinear", weights, [f"w{name}_d"], name=f"/{name}/wdq", axis=0),
            helper.make_node("Conv", [source, f"w{name}_d"], [name], name=f"/{name}/conv", pads=[1, 1, 1, 1]),
        ]

    nodes = [*pair("input"), *convolution("input_d", "a"), *pair("a"), *convolution("a_d", "b"), *pair("b")]
    nodes.append(helper.make_node("Add", ["b_d", "a_d"], ["output"], name="/sum"))
    shape = (2, 3, 8, 8)
    return model(nodes, [value("input", FLOAT, *shape)], [value("output", FLOAT, *shape)], w.tensors)


def test_a_rule_takes_a_layer_out_of_its_pairs(caplog: pytest.LogCaptureFixture) -> None:
    proto = chain()
    x = np.random.default_rng(2).normal(size=(2, 3, 8, 8)).astype(np.float32)
    with caplog.at_level(logging.INFO):
        result, rules = own_ranges.released(proto, (LayerPrecision("/b/conv", "fp16"),))
    assert "1 layers taken out" in caplog.text
    assert rules == (LayerPrecision("/b/conv", "fp16"),)
    by_name = {node.name: node for node in result.graph.node}
    assert by_name["/b/conv"].input[0] == "a"
    weights = constants(result)[by_name["/b/conv"].input[1]]
    known = constants(proto)
    np.testing.assert_array_equal(weights, known["wb"] * known["wb_s"].reshape(3, 1, 1, 1))
    assert list(by_name["/sum"].input) == ["b_d", "a_d"] and by_name["/a/conv"].input[0] == "input_d"
    assert "/b/wdq" not in by_name and not {"wb", "wb_s", "wb_z"} & set(constants(result))
    # the same as the pair in front of /b/conv left out for it alone
    expected = onnx.ModelProto()
    expected.CopyFrom(proto)
    next(node for node in expected.graph.node if node.name == "/b/conv").input[0] = "a"
    np.testing.assert_allclose(run(result, x), run(expected, x), atol=1e-5)
    assert np.abs(run(result, x) - run(proto, x)).max() > 1e-3


def test_rules_that_say_nothing_of_floats_or_are_our_own_change_nothing(caplog: pytest.LogCaptureFixture) -> None:
    proto = chain()
    ours = (LayerPrecision("/b/conv", "fp32", optional=True),)
    assert own_ranges.released(proto, ours) == (proto, ours)
    unknown = (LayerPrecision("/c/conv", "fp32"), LayerPrecision("/a/dq", "fp32"))
    assert own_ranges.released(proto, unknown) == (proto, unknown)  # whoever applies them says that there is no /c
    assert not caplog.records
    same, rules = own_ranges.released(proto, (LayerPrecision("/b/conv", "int8"),))
    assert same is proto and rules == ()
    assert "':int8' has no effect" in caplog.text


def test_the_first_rule_counts_and_rules_of_pairs_that_are_gone_go_too() -> None:
    proto = chain()
    first = (LayerPrecision("/b/*", "int8"), LayerPrecision("*/conv", "fp32"), LayerPrecision("/input/*", "fp16"))
    result, rules = own_ranges.released(proto, first)
    by_name = {node.name: node for node in result.graph.node}
    assert by_name["/a/conv"].input[0] == "input" and by_name["/b/conv"].input[0] == "a_d"
    assert rules == (LayerPrecision("*/conv", "fp32"),)  # nothing is left that the last one would fit


@pytest.mark.parametrize("pattern", ["*", "/*"])
def test_everything_can_be_taken_out(pattern: str) -> None:
    result, _ = own_ranges.released(chain(), (LayerPrecision(pattern, "fp32"),))
    assert [node.op_type for node in result.graph.node] == ["Conv", "Conv", "Add"]
    assert len(result.graph.initializer) == 2


def test_everything_of_theirs_can_be_taken_out(theirs: onnx.ModelProto, pictures: np.ndarray) -> None:
    result, _ = own_ranges.released(theirs, (LayerPrecision("*", "fp32"),))
    assert not list(pairs(result))
    exact = run(models.classifier(), pictures)
    assert np.abs(run(result, pictures) - exact).mean() <= np.abs(run(theirs, pictures) - exact).mean()
    assert Counter(node.op_type for node in result.graph.node)["Identity"] <= 1  # the model's output keeps its name


@pytest.mark.parametrize("opset", [10, 12])
def test_older_operator_sets(opset: int) -> None:
    """Without scales per channel, and with the bounds of Clip as attributes in the oldest."""
    w = Weights()
    scale, zero = w.given("s", 0.05, np.float32), w.given("z", 100, np.uint8)
    nodes = [
        helper.make_node("QuantizeLinear", ["input", scale, zero], ["q"], name="/q"),
        helper.make_node("DequantizeLinear", ["q", scale, zero], ["d"], name="/dq"),
        helper.make_node("Softmax", ["d"], ["output"], name="/softmax", axis=1),
    ]
    proto = model(nodes, [value("input", FLOAT, 2, 3, 4)], [value("output", FLOAT, 2, 3, 4)], w.tensors, opset=opset)
    result, _ = own_ranges.released(proto, (LayerPrecision("*", "fp32"),))
    assert [node.op_type for node in result.graph.node] == ["Clip", "Softmax"]
    x = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
    powers = np.exp(x)
    np.testing.assert_allclose(run(result, x), powers / powers.sum(axis=(1, 2), keepdims=True), atol=1e-6)
    np.testing.assert_allclose(run(own_ranges.symmetric(proto, True), x), run(result, x), atol=0.03)


def test_a_value_that_a_body_reads_keeps_its_pair() -> None:
    w = Weights()
    w.given("s", 0.5, np.float32)
    w.given("z", 0, np.int8)
    w.given("yes", True)

    def body(name: str, op: str) -> onnx.GraphProto:
        return helper.make_graph([helper.make_node(op, ["d"], [name], name=f"/{name}")], name, [], [value(name, 1, 4)])

    nodes = [
        helper.make_node("QuantizeLinear", ["input", "s", "z"], ["q"], name="/q"),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"], name="/dq"),
        helper.make_node("If", ["yes"], ["i"], name="/if", then_branch=body("t", "Neg"), else_branch=body("e", "Abs")),
        helper.make_node("Add", ["i", "d"], ["output"], name="/add"),
    ]
    proto = model(nodes, [value("input", FLOAT, 4)], [value("output", FLOAT, 4)], w.tensors)
    result, _ = own_ranges.released(proto, (LayerPrecision("/add", "fp32"),))
    x = np.array([0.2, 1.1, -0.9, 5.0], np.float32)
    rounded = np.rint(x / 0.5) * 0.5
    np.testing.assert_allclose(run(result, x), x - rounded, atol=1e-6)
