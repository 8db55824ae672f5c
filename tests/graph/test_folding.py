# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Constants that nodes compute become initialisers; what depends on the model's inputs stays, and so do the numbers."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from nvidia_tao_deploy.graph import folding
from nvidia_tao_deploy.graph.folding import fold
from nvidia_tao_deploy.graph.quantise import activations


def ints(name: str, *values: int) -> onnx.NodeProto:
    return helper.make_node("Constant", [], [name], name=name, value_ints=list(values))


def unoptimised(batch: int | str = "batch") -> onnx.ModelProto:
    """A convolution whose bias, and a mean whose axes, nodes compute, as torch.onnx.export(optimize=False) writes."""
    weight = np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Shape", ["weight"], ["channels"], name="channels", start=0, end=1),
        helper.make_node("Constant", [], ["zero"], name="zero", value_float=0.5),
        helper.make_node("CastLike", ["zero", "x"], ["zero_like"], name="zero_like"),
        helper.make_node("Expand", ["zero_like", "channels"], ["bias"], name="bias"),
        helper.make_node("Conv", ["x", "weight", "bias"], ["conv"], name="conv"),
        ints("two", -1),
        ints("axes", 2, 3),
        helper.make_node("Reshape", ["axes", "two"], ["axes_flat"], name="axes_flat"),
        helper.make_node("ReduceMean", ["conv", "axes_flat"], ["mean"], name="mean", keepdims=0),
        helper.make_node("Shape", ["conv"], ["mean_shape"], name="mean_shape", start=0, end=2),
        helper.make_node("Reshape", ["mean", "mean_shape"], ["y"], name="same"),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, 4])],
        [numpy_helper.from_array(weight, "weight")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


@pytest.mark.parametrize("batch", ["batch", 2])
def test_constants_are_stored_and_the_numbers_stay(batch):
    model = unoptimised(batch)
    before = model.SerializeToString()
    folded, gone = fold(model)
    onnx.checker.check_model(folded, full_check=True)
    assert set(gone) == {"channels", "zero_like", "bias", "axes_flat"}
    stored = {tensor.name: numpy_helper.to_array(tensor).tolist() for tensor in folded.graph.initializer}
    assert stored["axes_flat"] == [2, 3] and stored["bias"] == [0.5] * 4
    x = np.random.default_rng(1).normal(size=(2, 3, 8, 8)).astype(np.float32)
    want, have = (ReferenceEvaluator(proto).run(None, {"x": x})[0] for proto in (model, folded))
    np.testing.assert_array_equal(have, want)
    assert model.SerializeToString() == before


def test_a_large_result_is_left_to_the_backend(monkeypatch):
    monkeypatch.setattr(folding, "LARGEST", 3)
    folded, gone = fold(unoptimised())
    assert "bias" not in gone and "axes_flat" in gone
    onnx.checker.check_model(folded, full_check=True)


def test_what_callers_may_replace_is_no_constant():
    model = unoptimised()
    two = next(node for node in model.graph.node if node.name == "two")
    model.graph.node.remove(two)
    model.graph.initializer.append(numpy_helper.from_array(np.array([-1]), "two"))
    model.graph.input.append(helper.make_tensor_value_info("two", TensorProto.INT64, [1]))
    assert "axes_flat" not in fold(model)[1]


def test_bodies_keep_what_they_read():
    body = helper.make_graph([], "body", [], [helper.make_tensor_value_info("bias", TensorProto.FLOAT, [4])])
    model = unoptimised()
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "yes"))
    model.graph.node.append(helper.make_node("If", ["yes"], ["z"], name="if", then_branch=body, else_branch=body))
    folded, _ = fold(model)
    assert "bias" in {tensor.name for tensor in folded.graph.initializer}


def test_a_model_without_such_nodes_is_returned_as_it_came():
    model = unoptimised()
    once, _ = fold(model)
    assert fold(once) == (once, [])
    assert fold(once)[0] is once


def test_a_model_that_is_not_valid_comes_to_the_parser():
    model = unoptimised()
    next(node for node in model.graph.node if node.name == "same").op_type = "NonMaxSuppression"
    assert fold(model) == (model, [])


def test_what_tensorrt_folds_itself_stays():
    """Weights, shapes and whatever else is computed: a graph that was built before is built as it was."""
    nodes = [
        helper.make_node("Identity", ["weight"], ["same"], name="identity"),
        helper.make_node("Conv", ["x", "same"], ["y"], name="conv"),
    ]
    weight = numpy_helper.from_array(np.ones((4, 3, 3, 3), np.float32), "weight")
    ends = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4, None, None])] for name in "xy"]
    model = helper.make_model(helper.make_graph(nodes, "g", *ends, [weight]))
    assert fold(model) == (model, [])


def test_a_type_taken_from_an_activation_makes_no_activation():
    """CastLike of a constant would be reported as "zero on all pictures" and calibrated."""
    assert activations(unoptimised()) == ["x", "conv", "mean", "y"]
