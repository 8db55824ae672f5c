# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Models of operator set 10 and before resize after `raise_opset` as ONNX Runtime resizes with the original."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from nvidia_tao_deploy.graph.model import raise_opset

SIZE = (7, 10)
ENLARGE = [(1.5, 1.5), (2.0, 2.0), (3.0, 3.0), (1.0, 2.3)]
SHRINK = [(0.5, 0.5), (1 / 3, 0.25), (0.9, 0.7), (1.0, 0.4)]
BOTH = [(0.5, 2.0), (1.7, 0.3)]


def model(op: str, opset: int, mode: str, scales: tuple[float, float]) -> onnx.ModelProto:
    """x -> resized y; the scales are an initialiser, of operator set 7 an attribute."""
    values = [1.0, 1.0, *scales]
    options = {"scales": values} if opset == 7 else {}
    node = helper.make_node(op, ["x"] if opset == 7 else ["x", "scales"], ["y"], name="resize", mode=mode, **options)
    stored = [] if opset == 7 else [numpy_helper.from_array(np.array(values, np.float32), "scales")]
    return whole([node], stored, opset)


def whole(nodes: list[onnx.NodeProto], stored: list[onnx.TensorProto], opset: int) -> onnx.ModelProto:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 2, *SIZE])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [None] * 4)
    graph = helper.make_graph(nodes, "resizing", [x], [y], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=7)


def resized(proto: onnx.ModelProto) -> np.ndarray:
    x = np.random.default_rng(0).normal(size=(2, 2, *SIZE)).astype(np.float32)
    return onnxruntime.InferenceSession(proto.SerializeToString()).run(None, {"x": x})[0]


@pytest.mark.parametrize("opset", [11, 13, 19, 22])
@pytest.mark.parametrize("scales", ENLARGE + SHRINK + BOTH)
@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_resize(mode: str, scales: tuple[float, float], opset: int) -> None:
    before = model("Resize", 10, mode, scales)
    after = raise_opset(before, opset, "a test")
    onnx.checker.check_model(after, full_check=True)
    np.testing.assert_array_equal(resized(after), resized(before))


@pytest.mark.parametrize("scales", ENLARGE)
@pytest.mark.parametrize("mode", ["nearest", "linear"])
@pytest.mark.parametrize("opset", [7, 9])
def test_upsample(opset: int, mode: str, scales: tuple[float, float]) -> None:
    before = model("Upsample", opset, mode, scales)
    np.testing.assert_allclose(resized(raise_opset(before, 19, "a test")), resized(before), atol=1e-6)


@pytest.mark.parametrize("scales", [ENLARGE[0], SHRINK[2], BOTH[0]])
def test_scales_that_are_known_at_run_time_only(scales: tuple[float, float]) -> None:
    """Here they hang on a value of the input."""
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["mean"], axes=[0, 1, 2, 3], keepdims=0),
        helper.make_node("Sub", ["mean", "mean"], ["zero"]),
        helper.make_node("Add", ["scales", "zero"], ["moved"]),
        helper.make_node("Resize", ["x", "moved"], ["y"], name="resize", mode="nearest"),
    ]
    before = whole(nodes, [numpy_helper.from_array(np.array([1, 1, *scales], np.float32), "scales")], 10)
    np.testing.assert_array_equal(resized(raise_opset(before, 19, "a test")), resized(before))


def test_what_becomes_two_nodes_keeps_its_name_as_that_of_a_module() -> None:
    """So that rules of `layers_precision` for it still hold."""
    names = [node.name for node in raise_opset(model("Resize", 10, "nearest", BOTH[0]), 13, "a test").graph.node]
    assert sum(name.startswith("resize/") for name in names) == 2


def test_a_resize_in_the_body_of_an_if() -> None:
    def branch(mode: str) -> onnx.GraphProto:
        kept = numpy_helper.from_array(np.array([1, 1, 0.6, 1.5], np.float32), "held")
        nodes = [
            helper.make_node("Constant", [], ["inner"], value=kept),
            helper.make_node("Resize", ["x", "inner"], ["out"], mode=mode),
        ]
        return helper.make_graph(nodes, "branch", [], [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)])

    nodes = [helper.make_node("If", ["yes"], ["y"], then_branch=branch("nearest"), else_branch=branch("linear"))]
    for taken in (True, False):
        before = whole(nodes, [numpy_helper.from_array(np.array(taken), "yes")], 10)
        np.testing.assert_array_equal(resized(raise_opset(before, 13, "a test")), resized(before))
