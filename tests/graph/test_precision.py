# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Typing graphs as FP16 and BF16: what becomes narrow, what stays, and that the numbers hold."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from nvidia_tao_deploy.engine.contract import BuildPlan, LayerPrecision
from nvidia_tao_deploy.errors import BuildError
from nvidia_tao_deploy.graph import plugins, precision
from tests.graph import models

RANDOM = np.random.default_rng(11)
HALF = TensorProto.FLOAT16


def run(model: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


def types(model: onnx.ModelProto) -> dict[str, int]:
    """Element type of every value, by onnx's own strict inference."""
    inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True).graph
    found = {value.name: value.type.tensor_type.elem_type for value in [*inferred.value_info, *inferred.output]}
    found.update({tensor.name: tensor.data_type for tensor in inferred.initializer})
    return found


def output_type(model: onnx.ModelProto, name: str) -> int:
    node = next(node for node in model.graph.node if node.name == name)
    return types(model)[node.output[0]]


def test_classifier_is_fp16_inside_and_float32_outside():
    model, report = precision.typed(models.classifier(), "fp16")
    assert output_type(model, "/body/conv") == HALF
    assert output_type(model, "/head/fc") == HALF
    assert model.graph.input[0].type.tensor_type.elem_type == TensorProto.FLOAT
    assert model.graph.output[0].type.tensor_type.elem_type == TensorProto.FLOAT
    assert {tensor.data_type for tensor in model.graph.initializer} == {HALF}
    assert len(report.narrow) == 10
    casts = [node for node in model.graph.node if node.op_type == "Cast"]
    assert len(casts) == 2, "one at each border"
    feeds = {"input": RANDOM.normal(size=(4, 3, 32, 32)).astype(np.float32)}
    found, expected = run(model, feeds)[0], run(models.classifier(), feeds)[0]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=5e-3)
    assert np.abs(found - expected).max() > 1e-6


def test_the_model_given_is_not_changed():
    model = models.awkward()
    before = model.SerializeToString(deterministic=True)
    precision.typed(model, "fp16")
    assert model.SerializeToString(deterministic=True) == before


def test_fp32_is_the_same_object():
    model = models.classifier()
    assert precision.apply(model, BuildPlan()) is model


def test_awkward_model_keeps_what_half_would_break():
    model, report = precision.typed(models.awkward(), "fp16")
    narrow = ["/conv1", "/conv2", "/up", "/down", "/fc", "/softmax", "/topk"]
    wide = ["/scale", "/shape_float", "/wanted", "/floor", "/norm/pow", "/norm/var", "/norm/eps", "/norm/sqrt", "/if"]
    assert {name: output_type(model, name) for name in narrow} == dict.fromkeys(narrow, HALF)
    assert {name: output_type(model, name) for name in wide} == dict.fromkeys(wide, TensorProto.FLOAT)
    assert report.clamped == ["far"]
    assert set(wide) <= set(report.kept)
    feeds = {"x": RANDOM.uniform(0, 255, (2, 3, 16, 16)).astype(np.float32)}
    y, top, which = run(model, feeds)
    y0, top0, which0 = run(models.awkward(), feeds)
    np.testing.assert_allclose(y, y0, atol=2e-3)
    np.testing.assert_allclose(top, top0, atol=2e-3)
    np.testing.assert_array_equal(which, which0)
    assert np.isfinite(y).all()


def test_resize_scales_stay_float32():
    model, _ = precision.typed(models.awkward(), "fp16")
    node = next(node for node in model.graph.node if node.name == "/up")
    assert types(model)[node.input[2]] == TensorProto.FLOAT


def test_large_weights_keep_their_node_in_float32():
    proto = models.classifier()
    weight = next(tensor for tensor in proto.graph.initializer if tensor.name == "w2")
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * 1e6, "w2"))
    model, report = precision.typed(proto, "fp16")
    assert "/body/conv" in report.kept
    assert output_type(model, "/stem/conv") == HALF


def test_tiny_epsilon_keeps_its_node_in_float32():
    w = models.Weights()
    nodes = [
        helper.make_node("Relu", ["x"], ["r"], name="/r"),
        helper.make_node("Add", ["r", w.given("eps", 1e-12, np.float32)], ["a"], name="/add"),
        helper.make_node("Div", ["x", "a"], ["y"], name="/div"),
    ]
    value = models.value
    proto = models.model(nodes, [value("x", 1, "n", 4)], [value("y", 1, "n", 4)], w.tensors)
    _, report = precision.typed(proto, "fp16")
    assert "/add" in report.kept


def test_constant_used_by_both_kinds_exists_twice():
    w = models.Weights()
    w.given("k", [0.3], np.float32)
    nodes = [
        helper.make_node("Conv", ["x", w.normal("w", 2, 2, 1, 1)], ["c"], name="/c"),
        helper.make_node("Mul", ["c", "k"], ["m"], name="/m"),
        helper.make_node("Pow", ["m", "k"], ["y"], name="/p"),
    ]
    shape = ("n", 2, 4, 4)
    proto = models.model(nodes, [models.value("x", 1, *shape)], [models.value("y", 1, *shape)], w.tensors)
    model, _ = precision.typed(proto, "fp16")
    kinds = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    assert (kinds["k"], kinds["k__fp16"]) == (TensorProto.FLOAT, HALF)


def test_coordinates_of_grid_sample_stay_float32():
    rewritten, _ = plugins.rewrite(models.attention())
    model, _ = precision.typed(rewritten, "fp16")
    kinds = types(model)
    samples = [node for node in model.graph.node if node.op_type == "GridSample"]
    assert len(samples) == 3
    for node in samples:
        assert {kinds[name] for name in node.input} == {TensorProto.FLOAT}
    feeds = models.attention_feeds(2)
    np.testing.assert_allclose(run(model, feeds)[0], models.attention_expected(feeds), atol=2e-3)


def test_plugin_nodes_stay_float32():
    model, _ = precision.typed(models.attention(), "fp16")
    node = next(node for node in model.graph.node if node.op_type == models.ATTENTION)
    assert list(node.input) == ["value", "shapes", "starts", "locations", "weights"]


@pytest.mark.parametrize("opset", [9, 11, 13, 16, 18, 20, 21])
def test_operator_sets(opset):
    proto = models.classifier(opset=max(opset, 11))
    proto.opset_import[0].version = opset
    if opset < 13:  # axis -1 of Softmax flattens there, which is the same for two axes
        onnx.checker.check_model(proto)
    model, _ = precision.typed(proto, "fp16")
    assert output_type(model, "/head/fc") == HALF


def test_layers_kept_by_rule():
    rules = (LayerPrecision("/head/*", "fp32"),)
    model, report = precision.typed(models.classifier(), "fp16", rules)
    assert output_type(model, "/head/fc") == TensorProto.FLOAT
    assert output_type(model, "/body/conv") == HALF
    assert "/head/fc" in report.kept


def test_layers_narrowed_by_rule():
    model, report = precision.typed(models.classifier(), "fp32", (LayerPrecision("/body/conv", "fp16"),))
    assert output_type(model, "/body/conv") == HALF
    assert output_type(model, "/stem/conv") == TensorProto.FLOAT
    assert len(report.narrow) == 1


def test_rule_against_a_rule_of_ours():
    model, _ = precision.typed(models.awkward(), "fp16", (LayerPrecision("/norm/pow", "fp16"),))
    assert output_type(model, "/norm/pow") == HALF


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ((LayerPrecision("/body/cov", "fp32"),), "no layer is named '/body/cov'"),
        ((LayerPrecision("/body/conv", "int8"),), "int8 cannot be set for single layers"),
        ((LayerPrecision("/body/conv", "bf16"),), "FP16 and BF16 in one engine"),
    ],
)
def test_rules_that_cannot_be_followed(rules, message):
    with pytest.raises(BuildError, match=message):
        precision.typed(models.classifier(), "fp16", rules)


def test_bf16():
    model, report = precision.typed(models.awkward(), "bf16")
    assert model.opset_import[0].version >= 22
    assert output_type(model, "/conv1") == TensorProto.BFLOAT16
    assert report.clamped == ["far"], "float32's lowest number would be rounded to minus infinity"


def test_bf16_rounds_to_nearest_even():
    values = np.array([1.0, 1.00390625, 1.01171875, -3.14159, 1e-40, 3.4e38, np.inf, np.nan], np.float32)
    tensor = precision._bfloat16(values, "t")
    expected = values.astype(ml_dtypes.bfloat16).view(np.uint16)
    np.testing.assert_array_equal(np.frombuffer(tensor.raw_data, np.uint16)[:-1], expected[:-1])
    assert np.isnan(numpy_helper.to_array(tensor).astype(np.float32)[-1])


def test_quantised_model_in_fp16_keeps_convolution_between_its_pairs():
    model, _ = precision.typed(models.quantised(), "fp16")
    producers = {name: node for node in model.graph.node for name in node.output}
    conv = next(node for node in model.graph.node if node.op_type == "Conv")
    assert [producers[name].op_type for name in conv.input[:2]] == ["DequantizeLinear"] * 2
    assert output_type(model, "/conv") == HALF


def test_functions_are_inlined():
    body = [helper.make_node("Mul", ["a", "a"], ["b"], name="/square")]
    function = helper.make_function("own", "Square", ["a"], ["b"], body, [helper.make_opsetid("", 17)])
    proto = models.model(
        [helper.make_node("Square", ["x"], ["y"], domain="own", name="/call")],
        [models.value("x", 1, 2, 2)], [models.value("y", 1, 2, 2)], [], domains=("own",),
    )  # fmt: skip
    proto.functions.append(function)
    model, _ = precision.typed(proto, "fp16")
    assert not model.functions
    x = RANDOM.normal(size=(2, 2)).astype(np.float32)
    np.testing.assert_allclose(run(model, {"x": x})[0], x * x, rtol=5e-3)


def test_precisions_this_route_does_not_have():
    with pytest.raises(BuildError, match="data_type INT8 is not supported"):
        precision.apply(models.classifier(), BuildPlan(precision="int8"))


def two_products() -> tuple[onnx.ModelProto, np.ndarray, np.ndarray]:
    """x [N, 8] -> tanh(x @ a + 3) @ b, with the tanh as an operator of its own."""
    w = models.Weights(5)
    nodes = [
        helper.make_node("MatMul", ["x", w.normal("a", 8, 8)], ["p"], name="/a"),
        helper.make_node("Add", ["p", w.given("three", 3.0, np.float32)], ["q"], name="/add"),
        helper.make_node("Reshape", ["q", w.given("shape", [-1, 8], np.int64)], ["r"], name="/reshape"),
        helper.make_node("MatMul", ["r", w.normal("b", 8, 4)], ["y"], name="/b"),
    ]
    proto = models.model(nodes, [models.value("x", 1, "n", 8)], [models.value("y", 1, "n", 4)], w.tensors)
    a, b = (numpy_helper.to_array(tensor) for tensor in w.tensors if len(tensor.dims) == 2)
    return proto, a, b


@pytest.mark.parametrize(("name", "dtype"), [("fp16", np.float16), ("bf16", ml_dtypes.bfloat16)])
@pytest.mark.parametrize("kept", ["", "/add"])
def test_simulated_rounding_is_that_of_the_type(name: str, dtype: type, kept: str) -> None:
    def rounded(values: np.ndarray) -> np.ndarray:
        return values.astype(np.float32).astype(dtype).astype(np.float32)

    proto, a, b = two_products()
    x = RANDOM.normal(size=(16, 8)).astype(np.float32)
    rules = (LayerPrecision(kept, "fp32"),) if kept else ()
    simulated, report = precision.typed(proto, name, rules, simulate=True)
    assert report.narrow == ["/a", "/b"] if kept else ["/a", "/add", "/reshape", "/b"]
    added = rounded(rounded(x) @ rounded(a)) + np.float32(3)
    expected = rounded(rounded(added) @ rounded(b))
    np.testing.assert_allclose(run(simulated, {"x": x})[0], expected, rtol=2 * float(ml_dtypes.finfo(dtype).eps))
    exact = run(proto, {"x": x})[0]
    assert np.abs(expected - exact).max() > 5 * np.abs(run(simulated, {"x": x})[0] - expected).max()


def test_simulated_fp16_overflows_where_onnxruntimes_own_does_not() -> None:
    """What the simulation is for: ONNX Runtime runs neighbouring FP16 nodes on a CPU in float32, without rounding."""
    w = models.Weights()
    nodes = [
        helper.make_node("Mul", ["x", w.given("k", 1000.0, np.float32)], ["large"], name="/up"),
        helper.make_node("MatMul", ["large", w.given("w", np.eye(3) / 1000, np.float32)], ["y"], name="/down"),
    ]
    proto = models.model(nodes, [models.value("x", 1, "n", 3)], [models.value("y", 1, "n", 3)], w.tensors)
    rules = (LayerPrecision("*", "fp16"),)
    x = np.full((1, 3), 100, np.float32)
    assert not np.all(np.isfinite(run(precision.typed(proto, "fp16", rules, simulate=True)[0], {"x": x})[0]))
    kept = (LayerPrecision("/up", "fp32"), LayerPrecision("/down", "fp32"))
    np.testing.assert_allclose(run(precision.typed(proto, "fp16", kept, simulate=True)[0], {"x": x})[0], 100, rtol=1e-5)


@pytest.mark.parametrize("make", [models.classifier, models.awkward, models.many_types])
@pytest.mark.parametrize("name", ["fp16", "bf16"])
def test_simulated_graphs_are_float32_and_run(make: object, name: str) -> None:
    proto = make()  # type: ignore[operator]
    simulated, report = precision.typed(proto, name, simulate=True)
    real, same = precision.typed(proto, name)
    assert report.narrow == same.narrow and report.kept == same.kept
    shapes = {
        value.name: [dim.dim_value or 2 for dim in value.type.tensor_type.shape.dim] for value in proto.graph.input
    }
    feeds = {key: RANDOM.random(shape, dtype=np.float32) for key, shape in shapes.items()}
    exact = run(proto, feeds)[0]
    np.testing.assert_allclose(run(simulated, feeds)[0], exact, atol=0.05)
    stored = {tensor.data_type for tensor in simulated.graph.initializer}
    assert not stored & {HALF, TensorProto.BFLOAT16}
    assert [output.name for output in simulated.graph.output] == [output.name for output in real.graph.output]


LOWEST = float(np.finfo(np.float32).min)


@pytest.mark.parametrize("kind", ["fp16", "bf16"])
@pytest.mark.parametrize("as_node", [False, True])
def test_mask_of_float32s_lowest_number_stays_finite(kind, as_node):
    """(1 - mask) * lowest, as text encoders have it: with minus infinity, 0 times it would be NaN."""
    w = models.Weights()
    nodes = [] if as_node else [helper.make_node("Identity", [w.given("lowest", np.float32(LOWEST))], ["low"])]
    if as_node:
        nodes = [helper.make_node("Constant", [], ["low"], value_float=LOWEST)]
    nodes += [
        helper.make_node("Mul", ["x", w.given("one", np.float32(1))], ["score"]),
        helper.make_node("Sub", ["score", "x"], ["zero"]),
        helper.make_node("Mul", ["zero", "low"], ["masked"]),
        helper.make_node("Add", ["score", "masked"], ["sum"]),
        helper.make_node("Softmax", ["sum"], ["y"], axis=1),
    ]
    model = models.model(
        nodes, [models.value("x", 1, 2, 4)], [models.value("y", 1, 2, 4)], w.tensors, opset=22 if kind == "bf16" else 17
    )
    everything = [LayerPrecision("*", kind)]
    result, report = precision.typed(model, kind, everything, simulate=True)
    x = RANDOM.normal(size=(2, 4)).astype(np.float32)
    np.testing.assert_allclose(run(result, {"x": x})[0], run(model, {"x": x})[0], atol=0.02)
    assert report.clamped


def test_names_that_end_like_ours_are_no_twins():
    """A typed model of ours, or of anybody with the same idea of names."""
    w = models.Weights()
    nodes = [
        helper.make_node("Mul", ["x", "x"], ["a"]),
        helper.make_node("Neg", ["a"], ["a__fp16"]),
        helper.make_node("Add", ["a", "a__fp16"], ["b"]),
        helper.make_node("MatMul", ["a", w.normal("w", 4, 3)], ["c"]),
        helper.make_node("MatMul", ["b", w.normal("w2", 4, 3)], ["d"]),
        helper.make_node("Add", ["c", "d"], ["y"]),
    ]
    model = models.model(nodes, [models.value("x", 1, 2, 4)], [models.value("y", 1, 2, 3)], w.tensors)
    x = RANDOM.normal(size=(2, 4)).astype(np.float32)
    result, _ = precision.typed(model, "fp16")
    np.testing.assert_allclose(run(result, {"x": x})[0], run(model, {"x": x})[0], atol=0.01)
