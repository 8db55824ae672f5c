# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Finding activation functions that are gates, as exporters write them."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper

from nvidia_tao_deploy.graph import gates
from tests.graph import models
from tests.graph.models import FLOAT, Weights, value

Step = tuple[str, str, str]
"""Operator, operands, result; the result's name is the node's as well."""

SWISH: list[Step] = [("Sigmoid", "x", "s"), ("Mul", "x s", "y")]
SWISH_WITH_BETA: list[Step] = [("Mul", "x one", "b"), ("Sigmoid", "b", "s"), ("Mul", "s x", "y")]
HARD_SWISH: list[Step] = [
    ("Add", "x three", "a"), ("Clip", "a zero six", "c"), ("Mul", "x c", "m"), ("Div", "m six", "y"),
]  # fmt: skip
HARD_SIGMOID: list[Step] = [("HardSigmoid", "x", "h"), ("Mul", "x h", "y")]
GELU: list[Step] = [
    ("Div", "x two", "d"), ("Erf", "d", "e"), ("Add", "e one", "a"), ("Mul", "x a", "m"), ("Mul", "m half", "y"),
]  # fmt: skip
GELU_HALF_FIRST: list[Step] = [
    ("Mul", "x half", "p"), ("Div", "x two", "d"), ("Erf", "d", "e"), ("Add", "e one", "a"), ("Mul", "p a", "y"),
]  # fmt: skip
GELU_BY_TANH: list[Step] = [
    ("Pow", "x three", "p"), ("Mul", "p half", "q"), ("Add", "x q", "r"), ("Mul", "r two", "t"), ("Tanh", "t", "u"),
    ("Add", "u one", "v"), ("Mul", "half x", "h"), ("Mul", "h v", "y"),
]  # fmt: skip
SWISH_BY_EXP: list[Step] = [
    ("Neg", "x", "n"), ("Exp", "n", "e"), ("Add", "e one", "a"), ("Reciprocal", "a", "r"), ("Mul", "x r", "y"),
]  # fmt: skip
MISH: list[Step] = [("Softplus", "x", "p"), ("Tanh", "p", "t"), ("Mul", "x t", "y")]
WHOLE: list[Step] = [("HardSwish", "x", "y")]
SCALED: list[Step] = [("HardSwish", "x", "m"), ("Mul", "m half", "n"), ("Add", "n one", "y")]

ALL = {
    "swish": SWISH, "swish with beta": SWISH_WITH_BETA, "hard-swish": HARD_SWISH, "x hardsigmoid(x)": HARD_SIGMOID,
    "gelu": GELU, "gelu, half first": GELU_HALF_FIRST, "gelu by tanh": GELU_BY_TANH, "mish": MISH,
    "swish by exp": SWISH_BY_EXP, "one operator": WHOLE, "scaled afterwards": SCALED,
}  # fmt: skip


def network(
    steps: list[Step], between: tuple[onnx.NodeProto, ...] = (), outputs: tuple[str, ...] = ("out",)
) -> onnx.ModelProto:
    """Conv -> x -> steps -> y -> Conv; `between` stand in front of the steps."""
    w = Weights()
    for name, number in {"zero": 0, "half": 0.5, "one": 1, "two": 2, "three": 3, "six": 6}.items():
        w.given(name, number, np.float32)
    first = "x" if not between else "raw"
    nodes = [
        helper.make_node("Conv", ["input", w.normal("w1", 4, 3, 1, 1)], [first], name="first"), *between,
        *(helper.make_node(kind, operands.split(), [result], name=result) for kind, operands, result in steps),
        helper.make_node("Conv", ["y", w.normal("w2", 4, 4, 1, 1)], ["out"], name="second"),
    ]  # fmt: skip
    results = [value(name, FLOAT, 1, None, None, None) for name in outputs]
    return models.model(nodes, [value("input", FLOAT, 1, 3, 8, 8)], results, w.tensors)


@pytest.mark.parametrize("steps", ALL.values(), ids=ALL)
def test_gates_as_exporters_write_them(steps: list[Step]) -> None:
    found = gates.find(network(steps))
    assert found.inside == {result for _, _, result in steps}
    assert found.sources == {"x"}
    assert found.ends == {"y"}  # the second convolution takes it as INT8 anyway


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param([("Relu", "x", "y")], id="no product"),
        pytest.param([("Mul", "x x", "y")], id="square"),
        pytest.param([("Mul", "x half", "y")], id="scale"),
        pytest.param([("GlobalAveragePool", "x", "g"), ("Sigmoid", "g", "s"), ("Mul", "x s", "y")], id="squeeze"),
        pytest.param([("Softmax", "x", "s"), ("Mul", "x s", "y")], id="not by element"),
    ],
)
def test_what_is_no_gate(steps: list[Step]) -> None:
    assert not gates.find(network(steps)).inside


def test_scales_and_shifts_are_followed_back_to_their_layer() -> None:
    """They may be drawn into the convolution; whether or not, nothing on the way is to be INT8."""
    between = (
        helper.make_node("Mul", ["two", "raw"], ["scaled"], name="scale"),
        helper.make_node("Add", ["scaled", "one"], ["x"], name="shift"),
    )
    found = gates.find(network(SWISH, between))
    assert found.sources == {"raw", "scaled", "x"}


def test_a_layer_that_others_look_at_is_not_followed() -> None:
    between = (helper.make_node("Add", ["raw", "one"], ["x"], name="shift"),)
    found = gates.find(network(SWISH, between, outputs=("out", "raw")))
    assert found.sources == {"x"}


def test_a_sum_of_two_branches_enters() -> None:
    between = (
        helper.make_node("Relu", ["raw"], ["other"], name="other"),
        helper.make_node("Add", ["raw", "other"], ["x"], name="sum"),
    )
    assert gates.find(network(SWISH, between)).sources == {"x"}


def test_a_gate_whose_result_is_looked_at_ends_there() -> None:
    steps: list[Step] = [("Sigmoid", "x", "s"), ("Mul", "x s", "m"), ("Mul", "m half", "y")]
    found = gates.find(network(steps, outputs=("out", "m")))
    assert found.inside == {"s", "m"} and found.ends == set()


def test_a_gate_that_feeds_no_quantised_layer_has_no_end() -> None:
    steps: list[Step] = [("Sigmoid", "x", "s"), ("Mul", "x s", "m"), ("GlobalAveragePool", "m", "y")]
    found = gates.find(network(steps))
    assert found.inside == {"s", "m"} and found.ends == set()


def test_a_gate_whose_result_is_moved_first() -> None:
    steps: list[Step] = [("Sigmoid", "x", "s"), ("Mul", "x s", "m"), ("Identity", "m", "y")]
    assert gates.find(network(steps)).ends == {"m"}


def test_gates_one_behind_the_other() -> None:
    """What the first gives enters the second."""
    steps: list[Step] = [("Sigmoid", "x", "s"), ("Mul", "x s", "m"), ("Tanh", "m", "t"), ("Mul", "m t", "y")]
    found = gates.find(network(steps))
    assert found.inside == {"s", "m", "t", "y"} and found.sources == {"x"} and found.ends == {"y"}


def test_what_enters_a_gate_and_a_quantised_layer_stays_float() -> None:
    steps: list[Step] = [
        ("Sigmoid", "x", "s"), ("Mul", "x s", "m"), ("Tanh", "m", "t"), ("Mul", "m t", "n"), ("Add", "n k", "y"),
    ]  # fmt: skip
    model = network(steps)
    model.graph.node.append(helper.make_node("Conv", ["m", "w2"], ["k"], name="third"))
    model.graph.node.sort(key=lambda node: ["first", "s", "m", "third", "t", "n", "y", "second"].index(node.name))
    found = gates.find(model)
    assert "m" in found.inside and "m" not in found.ends


def test_a_model_without_layers_to_quantise() -> None:
    nodes = [helper.make_node("Sigmoid", ["input"], ["s"]), helper.make_node("Mul", ["input", "s"], ["y"])]
    model = models.model(nodes, [value("input", FLOAT, 1, 4)], [value("y", FLOAT, 1, 4)], [])
    found = gates.find(model)
    assert found.inside == {"s", "y"} and not found.ends and not found.sources  # no layer gives the model's input


def test_what_enters_is_the_value_and_not_the_first_that_its_node_gives() -> None:
    steps: list[Step] = [("Sigmoid", "b", "s"), ("Mul", "b s", "m"), ("Mul", "a m", "n"), ("Identity", "n", "y")]
    model = network(steps)
    model.graph.node.insert(1, helper.make_node("Split", ["x"], ["a", "b"], name="split", axis=1))
    found = gates.find(model)
    assert found.sources == {"b"} and found.inside == {"s", "m"}


def test_the_models_floats_are_listed() -> None:
    assert gates.find(network(SWISH)).values == {"input", "x", "s", "y", "out"}
