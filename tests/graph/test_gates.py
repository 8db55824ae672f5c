# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Finding activation functions that are gates, as exporters write them."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper

from nvidia_tao_deploy.graph import gates
from nvidia_tao_deploy.graph.lowering import lower
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
SWISH_BY_DIVISION: list[Step] = [
    ("Neg", "x", "n"), ("Exp", "n", "e"), ("Add", "e one", "a"), ("Div", "x a", "y"),
]  # fmt: skip
QUICK_GELU: list[Step] = [("Mul", "x two", "b"), ("Sigmoid", "b", "s"), ("Mul", "x s", "y")]
QUICK_GELU_BY_DIVISION: list[Step] = [
    ("Mul", "x two", "b"), ("Neg", "b", "n"), ("Exp", "n", "e"), ("Add", "one e", "a"), ("Mul", "half x", "h"),
    ("Div", "h a", "y"),
]  # fmt: skip
HARD_SWISH_BY_MAX_AND_MIN: list[Step] = [
    ("Add", "x three", "a"), ("Max", "a zero", "b"), ("Min", "b six", "c"), ("Mul", "c half", "d"), ("Mul", "x d", "y"),
]  # fmt: skip
HARD_SWISH_BY_RELU: list[Step] = [
    ("Add", "x three", "a"), ("Relu", "a", "b"), ("Min", "b six", "c"), ("Mul", "x half", "h"), ("Mul", "h c", "y"),
]  # fmt: skip
COPIED: list[Step] = [("Identity", "x", "i"), ("Sigmoid", "i", "s"), ("Mul", "x s", "y")]
CAST: list[Step] = [("Cast", "x", "i"), ("Sigmoid", "i", "s"), ("Cast", "s", "t"), ("Mul", "x t", "y")]
MISH: list[Step] = [("Softplus", "x", "p"), ("Tanh", "p", "t"), ("Mul", "x t", "y")]
WHOLE: list[Step] = [("HardSwish", "x", "y")]
SCALED: list[Step] = [("HardSwish", "x", "m"), ("Mul", "m half", "n"), ("Add", "n one", "y")]

ALL = {
    "swish": SWISH, "swish with beta": SWISH_WITH_BETA, "hard-swish": HARD_SWISH, "x hardsigmoid(x)": HARD_SIGMOID,
    "gelu": GELU, "gelu, half first": GELU_HALF_FIRST, "gelu by tanh": GELU_BY_TANH, "mish": MISH,
    "swish by exp": SWISH_BY_EXP, "one operator": WHOLE, "scaled afterwards": SCALED,
    "swish by division": SWISH_BY_DIVISION, "quick gelu": QUICK_GELU, "quick gelu by division": QUICK_GELU_BY_DIVISION,
    "hard-swish by max and min": HARD_SWISH_BY_MAX_AND_MIN, "hard-swish by relu": HARD_SWISH_BY_RELU,
    "an identity inside": COPIED, "casts inside": CAST,
}  # fmt: skip


def network(
    steps: list[Step],
    between: tuple[onnx.NodeProto, ...] = (),
    outputs: tuple[str, ...] = ("out",),
    opset: int = 17,
) -> onnx.ModelProto:
    """Conv -> x -> steps -> y -> Conv; `between` stand in front of the steps."""
    w = Weights()
    for name, number in {"zero": 0, "half": 0.5, "one": 1, "two": 2, "three": 3, "six": 6}.items():
        w.given(name, number, np.float32)
    first = "x" if not between else "raw"
    nodes = [
        helper.make_node("Conv", ["input", w.normal("w1", 4, 3, 1, 1)], [first], name="first"), *between,
        *(
            helper.make_node(kind, operands.split(), [result], name=result, **({"to": FLOAT} if kind == "Cast" else {}))
            for kind, operands, result in steps
        ),
        helper.make_node("Conv", ["y", w.normal("w2", 4, 4, 1, 1)], ["out"], name="second"),
    ]  # fmt: skip
    results = [value(name, FLOAT, 1, None, None, None) for name in outputs]
    return models.model(nodes, [value("input", FLOAT, 1, 3, 8, 8)], results, w.tensors, opset)


@pytest.mark.parametrize("steps", ALL.values(), ids=ALL)
def test_gates_as_exporters_write_them(steps: list[Step]) -> None:
    found = gates.find(network(steps))
    assert found.inside == {result for _, _, result in steps}
    assert found.sources == {"x"}
    assert found.ends == {"y"}  # the second convolution takes it as INT8 anyway


@pytest.mark.parametrize(("kind", "opset"), [("HardSwish", 14), ("Mish", 18), ("Gelu", 20), ("Swish", 24)])
def test_operators_that_were_written_as_the_standard_defines_them(kind: str, opset: int) -> None:
    model = network([(kind, "x", "y")], opset=opset)
    model.ir_version = 10
    written, _ = lower(model, {kind, "CastLike"}.__contains__, old_parser=True)
    found = gates.find(written)
    assert "y" in found.inside and len(found.inside) > 1
    assert (found.sources, found.ends) == ({"x"}, {"y"})


def test_gates_of_a_model_that_is_float16() -> None:
    found = gates.find(models.half(network(HARD_SWISH)))
    assert (found.sources, found.inside) == ({"x"}, {result for _, _, result in HARD_SWISH})


@pytest.mark.parametrize(("kind", "opset"), [("HardSwish", 14), ("Mish", 18), ("Gelu", 20), ("Swish", 24)])
def test_operators_that_are_gates(kind: str, opset: int) -> None:
    model = network([(kind, "x", "y")], opset=opset)
    model.ir_version = 10
    onnx.checker.check_model(model, full_check=True)
    found = gates.find(model)
    assert (found.sources, found.inside, found.ends) == ({"x"}, {"y"}, {"y"})


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param([("Relu", "x", "y")], id="no product"),
        pytest.param([("Mul", "x x", "y")], id="square"),
        pytest.param([("Mul", "x half", "y")], id="scale"),
        pytest.param([("GlobalAveragePool", "x", "g"), ("Sigmoid", "g", "s"), ("Mul", "x s", "y")], id="squeeze"),
        pytest.param(
            [("GlobalAveragePool", "x", "g"), ("Conv", "g w2", "f"), ("HardSigmoid", "f", "h"), ("Mul", "x h", "y")],
            id="squeeze and excite",
        ),
        pytest.param(
            [("Relu", "x", "a"), ("Conv", "x w2", "f"), ("Sigmoid", "f", "s"), ("Mul", "a s", "y")],
            id="sigmoid of another value",
        ),
        pytest.param([("Softmax", "x", "s"), ("Mul", "x s", "y")], id="not by element"),
        pytest.param([("Identity", "x", "i"), ("Mul", "x i", "y")], id="square of a copy"),
        pytest.param([("Greater", "x zero", "b"), ("Cast", "b", "c"), ("Mul", "x c", "y")], id="mask"),
        pytest.param([("Mul", "x half", "m"), ("Div", "m two", "y")], id="scales"),
        pytest.param([("Exp", "x", "e"), ("Add", "e one", "a"), ("Div", "e a", "y")], id="sigmoid by division"),
        pytest.param([("Exp", "x", "e"), ("Add", "e one", "a"), ("Div", "one a", "y")], id="one by a sum"),
        pytest.param(
            [
                ("Exp", "x", "e"),
                ("Neg", "x", "n"),
                ("Exp", "n", "f"),
                ("Sub", "e f", "g"),
                ("Add", "e f", "h"),
                ("Div", "g h", "y"),
            ],
            id="tanh by division",
        ),
        pytest.param([("Abs", "x", "b"), ("Add", "b one", "a"), ("Div", "x a", "y")], id="softsign"),
        pytest.param([("Exp", "x", "e"), ("Add", "e one", "a"), ("Div", "a x", "y")], id="divided by the value"),
        pytest.param([("ReduceL2", "x", "n"), ("Div", "x n", "y")], id="normalisation"),
        pytest.param([("Exp", "x", "e"), ("ReduceMean", "e", "n"), ("Div", "e n", "y")], id="softmax by hand"),
    ],
)
def test_what_is_no_gate(steps: list[Step]) -> None:
    model = network(steps)
    onnx.checker.check_model(model, full_check=True)
    assert not gates.find(model).inside


def test_scales_and_shifts_are_followed_back_to_their_layer() -> None:
    """They may be drawn into the convolution; whether or not, nothing on the way is to be INT8."""
    between = (
        helper.make_node("Mul", ["two", "raw"], ["scaled"], name="scale"),
        helper.make_node("Add", ["scaled", "one"], ["x"], name="shift"),
    )
    found = gates.find(network(SWISH, between))
    assert found.sources == {"raw", "scaled", "x"}


def test_copies_in_front_are_followed_back_to_their_layer() -> None:
    between = (helper.make_node("Identity", ["raw"], ["x"], name="copy"),)
    assert gates.find(network(SWISH, between)).sources == {"raw", "x"}


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
