# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Q/DQ graphs, against fake quantisation written down in numpy and onnxruntime's own quantiser."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from nvidia_tao_deploy.engine.contract import LayerPrecision
from nvidia_tao_deploy.errors import BuildError
from nvidia_tao_deploy.graph import precision, quantise
from nvidia_tao_deploy.graph.editing import FLOAT32_ONLY
from nvidia_tao_deploy.graph.model import is_quantised
from tests.graph import models
from tests.graph.models import FLOAT, Weights, model, value


def run(proto: onnx.ModelProto, **feeds: np.ndarray) -> list[np.ndarray]:
    """Without ONNX Runtime's own rewriting of Q/DQ, so that every node does what it says."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


def fake(values: np.ndarray, amax: np.ndarray | float) -> np.ndarray:
    """To the nearest of 255 levels and back."""
    scale = np.asarray(amax, np.float64) / 127
    return np.clip(np.rint(values / scale), -128, 127) * scale


def matmul(a: str = "input", transposed: bool = False, gemm: bool = False) -> onnx.ModelProto:
    w = Weights(3)
    weight = w.normal("w", *((5, 7) if transposed else (7, 5)))
    if gemm:
        node = helper.make_node("Gemm", [a, weight, w.normal("b", 5)], ["y"], name="g", transB=int(transposed))
    else:
        node = helper.make_node("MatMul", [a, weight], ["y"], name="g")
    return model([node], [value("input", FLOAT, "N", 7)], [value("y", FLOAT, "N", 5)], w.tensors)


@pytest.mark.parametrize(("transposed", "gemm"), [(False, False), (False, True), (True, True)])
@pytest.mark.parametrize("float_weights", [True, False])
def test_products_are_those_of_quantised_operands(transposed: bool, gemm: bool, float_weights: bool) -> None:
    proto = matmul(transposed=transposed, gemm=gemm)
    x = np.random.default_rng(0).normal(size=(6, 7)).astype(np.float32) * 2
    result, report = quantise.quantise(proto, {"input": 3.0}, float_weights=float_weights)
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    weight = constants["w"].T if transposed else constants["w"]
    expected = fake(x, 3.0) @ fake(weight, np.abs(weight).max(axis=0)) + constants.get("b", 0)
    np.testing.assert_allclose(run(result, input=x)[0], expected, atol=1e-5)
    assert report.quantised == ["g"] and np.abs(x).max() > 3.0  # so saturation is part of the check


@pytest.mark.parametrize("op", ["Conv", "ConvTranspose"])
@pytest.mark.parametrize("groups", [1, 4])
def test_convolutions_have_a_scale_per_output_channel(op: str, groups: int) -> None:
    w = Weights(1)
    shape = (8, 4 // groups, 1, 1) if op == "Conv" else (4, 8 // groups, 1, 1)
    w.given("w", np.random.default_rng(2).normal(size=shape) * np.logspace(-2, 1, shape[0])[:, None, None, None], "f4")
    node = helper.make_node(op, ["input", "w"], ["y"], name="c", group=groups)
    proto = model([node], [value("input", FLOAT, 1, 4, 3, 3)], [value("y", FLOAT, 1, 8, 3, 3)], w.tensors)
    weight = numpy_helper.to_array(proto.graph.initializer[0])
    if op == "Conv":
        amax: np.ndarray | float = np.abs(weight).max(axis=(1, 2, 3), keepdims=True)
    else:
        amax = np.abs(weight).max(axis=(0, 2, 3), keepdims=True) if groups == 1 else np.abs(weight).max()
    exact = onnx.ModelProto()
    exact.CopyFrom(proto)
    exact.graph.initializer[0].CopyFrom(numpy_helper.from_array(fake(weight, amax).astype(np.float32), "w"))
    x = np.random.default_rng(0).normal(size=(1, 4, 3, 3)).astype(np.float32)
    result, _ = quantise.quantise(proto, {"input": 5.0})
    expected = run(exact, input=fake(x, 5.0).astype(np.float32))[0]
    np.testing.assert_allclose(run(result, input=x)[0], expected, atol=1e-4)


def ranges(proto: onnx.ModelProto, x: np.ndarray) -> dict[str, float]:
    from nvidia_tao_deploy.engine.calibration.ranges import observe

    return observe(proto, quantise.activations(proto), [{"input": x}], "minmax")


def test_as_close_to_fp32_as_onnxruntimes_quantiser() -> None:
    proto = models.classifier()
    x = np.random.default_rng(0).normal(size=(32, 3, 32, 32)).astype(np.float32)
    symmetric = {"ActivationSymmetric": True, "WeightSymmetric": True}
    quantised = models.by_onnxruntimes_quantiser(proto, {"input": x}, per_channel=True, extra_options=symmetric)
    exact = run(proto, input=x)[0]
    theirs = np.abs(run(quantised, input=x)[0] - exact).mean()
    result, _ = quantise.quantise(proto, ranges(proto, x))
    ours = np.abs(run(result, input=x)[0] - exact).mean()
    assert 0 < ours < 1.5 * theirs + 1e-4


def test_float_and_stored_weights_compute_the_same() -> None:
    proto = models.classifier()
    x = np.random.default_rng(0).normal(size=(4, 3, 32, 32)).astype(np.float32)
    amax = ranges(proto, x)
    behind, _ = quantise.quantise(proto, amax, float_weights=True)
    stored, _ = quantise.quantise(proto, amax, float_weights=False)
    np.testing.assert_array_equal(run(behind, input=x)[0], run(stored, input=x)[0])
    sizes = [len(item.SerializeToString()) for item in (proto, behind, stored)]
    assert sizes[2] < 0.6 * sizes[0] and sizes[1] >= sizes[0]
    types = {tensor.name: tensor.data_type for tensor in behind.graph.initializer}
    assert types["w1"] == types["w2"] == TensorProto.FLOAT  # TensorRT 8.5's parser takes no INT8 weights
    assert not is_quantised(proto) and is_quantised(behind)


def residual() -> onnx.ModelProto:
    w = Weights(0)
    nodes = [
        helper.make_node("Conv", ["input", w.normal("w1", 3, 3, 1, 1)], ["a"], name="first"),
        helper.make_node("Relu", ["a"], ["b"], name="relu"),
        helper.make_node("Conv", ["b", w.normal("w2", 3, 3, 1, 1)], ["c"], name="second"),
        helper.make_node("Add", ["c", "b"], ["d"], name="sum"),
        helper.make_node("Sigmoid", ["d"], ["y"], name="boxes"),
    ]
    return model(nodes, [value("input", FLOAT, 1, 3, 4, 4)], [value("y", FLOAT, 1, 3, 4, 4)], w.tensors)


def test_the_branch_added_to_a_convolution_is_quantised_and_nothing_else() -> None:
    proto = residual()
    result, _ = quantise.quantise(proto, dict.fromkeys(("input", "a", "b", "c", "d"), 1.0))
    by_name = {node.name: node for node in result.graph.node}
    assert list(by_name["sum"].input) == ["c", "b__dq"]  # the same pair as the second convolution's
    assert by_name["second"].input[0] == "b__dq" and by_name["boxes"].input[0] == "d"
    assert sum(node.op_type == "QuantizeLinear" for node in result.graph.node) == 4  # input, b, w1, w2


def test_a_rule_about_the_sum_keeps_the_branch_in_floating_point() -> None:
    proto = residual()
    rules = (LayerPrecision("sum", "fp32"),)
    result, _ = quantise.quantise(proto, dict.fromkeys(("input", "a", "b", "c", "d"), 1.0), rules=rules)
    by_name = {node.name: node for node in result.graph.node}
    assert list(by_name["sum"].input) == ["c", "b"] and by_name["second"].input[0] == "b__dq"


def test_layers_kept_out_by_rule_by_name_by_missing_and_by_zero_range() -> None:
    proto = residual()
    amax = dict.fromkeys(("input", "a", "b", "c", "d"), 1.0)
    result, report = quantise.quantise(proto, amax, rules=(LayerPrecision("fir*", "fp16"),))
    assert report.quantised == ["second"] and report.kept == {"first": "fp16 by layers_precision"}
    assert next(node for node in result.graph.node if node.name == "first").input[0] == "input"
    assert quantise.quantise(proto, amax, keep=["second"])[1].quantised == ["first"]
    assert quantise.quantise(proto, {**amax, "b": 0.0})[1].kept == {"second": "'b' is always zero"}
    del amax["b"]
    report = quantise.quantise(proto, amax)[1]
    assert report.kept == {"second": "no range for 'b'"} and report.missing == ["b"]


@pytest.mark.parametrize(("name", "left"), [("second", "second"), ("sum", "")])
def test_nodes_that_compute_in_float32_only_are_left_alone(name: str, left: str) -> None:
    proto = residual()
    marked = next(node for node in proto.graph.node if node.name == name)
    marked.doc_string = FLOAT32_ONLY
    before = list(marked.input)
    result, report = quantise.quantise(proto, dict.fromkeys(("input", "a", "b", "c", "d"), 1.0))
    assert list(next(node for node in result.graph.node if node.name == name).input) == before
    assert report.quantised == [layer for layer in ("first", "second") if layer != left]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rules": (LayerPrecision("*", "fp32"),)}, "no layer can be quantised to INT8: first: fp32"),
        ({"rules": (LayerPrecision("frist", "fp32"),)}, "no layer is named 'frist'"),
        ({"amax": {}}, "no range for 'input'"),
    ],
)
def test_what_cannot_be_quantised_says_why(change: dict, message: str) -> None:
    arguments = {"amax": dict.fromkeys(("input", "b"), 1.0), **change}
    with pytest.raises(BuildError, match=message):
        quantise.quantise(residual(), **arguments)


def test_models_without_weights_or_quantised_already() -> None:
    relu = model([helper.make_node("Relu", ["x"], ["y"])], [value("x", FLOAT, 2)], [value("y", FLOAT, 2)], [])
    with pytest.raises(BuildError, match="nothing in the model can be quantised to INT8: it has no Conv"):
        quantise.quantise(relu, {"x": 1.0})
    done, _ = quantise.quantise(residual(), {"input": 1.0, "b": 1.0})
    with pytest.raises(BuildError, match="carries Q/DQ nodes already"):
        quantise.quantise(done, {"input": 1.0})


def test_weights_that_are_no_numbers_stay_as_they_are() -> None:
    proto = residual()
    broken = numpy_helper.to_array(proto.graph.initializer[0]).copy()
    broken[0] = np.nan
    proto.graph.initializer[0].CopyFrom(numpy_helper.from_array(broken, "w1"))
    report = quantise.quantise(proto, {"input": 1.0, "b": 1.0})[1]
    assert report.kept == {"first": "its weights hold NaN or infinity"}


def test_channels_of_zeros_and_of_tiny_weights_have_a_scale_that_float16_holds() -> None:
    proto = residual()
    weight = numpy_helper.to_array(proto.graph.initializer[0]).copy()
    weight[0], weight[1] = 0.0, weight[1] * 1e-9
    proto.graph.initializer[0].CopyFrom(numpy_helper.from_array(weight, "w1"))
    result, _ = quantise.quantise(proto, {"input": 1.0, "b": 1.0})
    scale = next(tensor for tensor in result.graph.initializer if tensor.name == "w1__axis0__scale")
    assert np.all(numpy_helper.to_array(scale).astype(np.float16) > 0)


def test_weights_in_constant_nodes_are_taken_and_not_left_behind() -> None:
    proto = residual()
    tensors = list(proto.graph.initializer)
    del proto.graph.initializer[:]
    nodes = [helper.make_node("Constant", [], [tensor.name], value=tensor) for tensor in tensors]
    nodes += list(proto.graph.node)
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    result, report = quantise.quantise(proto, {"input": 1.0, "b": 1.0}, float_weights=False)
    assert report.quantised == ["first", "second"]
    assert all(node.op_type != "Constant" for node in result.graph.node)


def test_sizes_are_no_activations() -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Cast", ["s"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Relu", ["x"], ["y"]),
    ]
    outputs = [value("y", FLOAT, 2, 3), value("f", FLOAT, 2)]
    assert quantise.activations(model(nodes, [value("x", FLOAT, 2, 3)], outputs, [])) == ["x", "y"]


def test_fp8_rounds_to_four_significant_bits() -> None:
    proto = matmul()
    x = np.array([[448.0, 17.0, 1.0, 0.3, -3.3, 0.0, 250.0]], np.float32)
    result, report = quantise.quantise(proto, {"input": 448.0}, quantise.FP8)
    import ml_dtypes

    weight = numpy_helper.to_array(proto.graph.initializer[0])
    scale = np.abs(weight).max() / 448
    expected = x.astype(ml_dtypes.float8_e4m3fn).astype(np.float32) @ (
        (weight / scale).astype(ml_dtypes.float8_e4m3fn).astype(np.float32) * scale
    )
    assert report.quantised == ["g"]
    np.testing.assert_allclose(run(result, input=x)[0], expected, rtol=1e-3, atol=1e-3)


def test_the_rest_can_be_typed_as_fp16() -> None:
    proto = models.classifier()
    x = np.random.default_rng(0).normal(size=(4, 3, 32, 32)).astype(np.float32)
    quantised, _ = quantise.quantise(proto, ranges(proto, x))
    typed, _ = precision.typed(quantised, "fp16")
    types = {tensor.name: tensor.data_type for tensor in typed.graph.initializer}
    assert types["input__scale__fp16"] == TensorProto.FLOAT16
    np.testing.assert_allclose(run(typed, input=x)[0], run(proto, input=x)[0], atol=0.05)


@pytest.mark.parametrize("float_weights", [True, False])
@pytest.mark.parametrize("form", ["transposed", "identity", "floats"])
def test_weights_that_nodes_give_are_weights(form: str, float_weights: bool) -> None:
    """Exporters leave Transpose or Identity on a weight, or its numbers in an attribute of a Constant."""
    weight = np.random.default_rng(3).normal(size=(7, 5)).astype(np.float32)
    w = Weights()
    if form == "transposed":
        nodes = [helper.make_node("Transpose", [w.given("stored", weight.T.copy())], ["w"], perm=[1, 0])]
    elif form == "identity":
        nodes = [helper.make_node("Identity", [w.given("stored", weight)], ["w"])]
    else:
        nodes = [
            helper.make_node("Constant", [], ["flat"], value_floats=weight.ravel().tolist()),
            helper.make_node("Reshape", ["flat", w.given("shape", [7, 5], np.int64)], ["w"]),
        ]
    nodes.append(helper.make_node("MatMul", ["input", "w"], ["y"], name="g"))
    proto = model(nodes, [value("input", FLOAT, "N", 7)], [value("y", FLOAT, "N", 5)], w.tensors)
    assert quantise.needed(proto) == ["input"]
    result, report = quantise.quantise(proto, {"input": 3.0}, float_weights=float_weights)
    x = np.random.default_rng(0).normal(size=(6, 7)).astype(np.float32)
    np.testing.assert_allclose(run(result, input=x)[0], run(proto, input=x)[0], atol=0.1)
    assert report.quantised == ["g"]
    assert {node.op_type for node in result.graph.node} == {"QuantizeLinear", "DequantizeLinear", "MatMul"}
    assert "stored" not in {tensor.name for tensor in result.graph.initializer}


def test_computed_weights_that_others_read_stay() -> None:
    w = Weights()
    nodes = [
        helper.make_node("Identity", [w.normal("stored", 7, 7)], ["w"]),
        helper.make_node("MatMul", ["input", "w"], ["product"], name="g"),
        helper.make_node("Add", ["product", "w"], ["y"]),
    ]
    proto = model(nodes, [value("input", FLOAT, 7, 7)], [value("y", FLOAT, 7, 7)], w.tensors)
    result, _ = quantise.quantise(proto, {"input": 3.0}, float_weights=True)
    x = np.random.default_rng(0).normal(size=(7, 7)).astype(np.float32)
    np.testing.assert_allclose(run(result, input=x)[0], run(proto, input=x)[0], atol=0.1)
