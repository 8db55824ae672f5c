# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""`kernel_shape` of convolutions that leave it out."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper

from nvidia_tao_deploy.graph import kernel_shapes, quantise
from nvidia_tao_deploy.graph.editing import attributes
from tests.graph.models import FLOAT, Weights, model, value


def convolution(op: str, *size: int, **options: object) -> onnx.ModelProto:
    w = Weights()
    node = helper.make_node(op, ["input", w.normal("w", 4, 4, *size)], ["output"], name="/c", **options)
    axes = [9] * len(size)
    return model(
        [node], [value("input", FLOAT, 1, 4, *axes)], [value("output", FLOAT, *[None] * (2 + len(size)))], w.tensors
    )


def stated(proto: onnx.ModelProto) -> list[list[int] | None]:
    nodes = kernel_shapes.stated(proto).graph.node
    return [attributes(node).get("kernel_shape") for node in nodes if node.op_type.startswith("Conv")]


@pytest.mark.parametrize("op", ["Conv", "ConvTranspose"])
@pytest.mark.parametrize("size", [(3,), (3, 5), (1, 2, 3)])
def test_comes_from_the_weights(op: str, size: tuple[int, ...]) -> None:
    proto = convolution(op, *size)
    before = proto.SerializeToString()
    assert stated(proto) == [list(size)]
    assert proto.SerializeToString() == before
    onnx.checker.check_model(kernel_shapes.stated(proto), full_check=True)


@pytest.mark.parametrize("float_weights", [True, False])
def test_comes_from_weights_behind_pairs(float_weights: bool) -> None:
    quantised, _ = quantise.quantise(convolution("Conv", 3, 5), {"input": 1.0}, float_weights=float_weights)
    assert stated(quantised) == [[3, 5]]


def test_what_is_stated_stays() -> None:
    proto = convolution("Conv", 3, 5, kernel_shape=[3, 5])
    assert kernel_shapes.stated(proto) is proto


def test_weights_of_unknown_shape_are_left_to_the_parser() -> None:
    w = Weights()
    node = helper.make_node("Conv", ["input", "kernel"], ["output"], name="/c")
    ends = (
        [value("input", FLOAT, 1, 4, 9, 9), value("kernel", FLOAT, 4, 4, "h", "w")],
        [value("output", FLOAT, 1, 4, None, None)],
    )
    assert stated(model([node], *ends, w.tensors)) == [None]


def test_convolutions_in_bodies_count() -> None:
    w = Weights()
    w.normal("w", 4, 4, 3, 3)
    w.given("yes", np.True_)

    def body(name: str) -> onnx.GraphProto:
        node = helper.make_node("Conv", ["input", "w"], [name], name=f"/{name}")
        return helper.make_graph([node], name, [], [value(name, FLOAT, 1, 4, 7, 7)])

    branch = helper.make_node("If", ["yes"], ["output"], then_branch=body("t"), else_branch=body("e"))
    result = kernel_shapes.stated(
        model([branch], [value("input", FLOAT, 1, 4, 9, 9)], [value("output", FLOAT, 1, 4, 7, 7)], w.tensors)
    )
    for attribute in result.graph.node[0].attribute:
        assert attributes(attribute.g.node[0])["kernel_shape"] == [3, 3]
