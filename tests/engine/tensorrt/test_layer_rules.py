# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""`layers_precision` on a weakly typed network, on stand-ins for TensorRT's layers."""

from __future__ import annotations

from enum import Enum
from types import SimpleNamespace
from typing import Any

import onnx
import pytest
from onnx import helper

from nvidia_tao_deploy.engine.contract import BuildPlan, LayerPrecision
from nvidia_tao_deploy.engine.tensorrt import layer_rules
from nvidia_tao_deploy.engine.tensorrt.dialect import TENSORRT, Dialect
from nvidia_tao_deploy.errors import BuildError
from nvidia_tao_deploy.graph.gates import Gates
from tests.graph import models

Kind = Enum(
    "Kind",
    "CONSTANT SHAPE QUANTIZE DEQUANTIZE CAST FILL CONVOLUTION POOLING ACTIVATION ELEMENTWISE MATRIX_MULTIPLY SHUFFLE "
    "LOOP_OUTPUT",
)
Type = Enum("Type", "FLOAT HALF INT8 INT32 BOOL")
TRT = SimpleNamespace(
    __version__="8.5.3.1", LayerType=Kind, DataType=Type, BuilderFlag=SimpleNamespace(PREFER_PRECISION_CONSTRAINTS=1)
)


class Layer:
    """One output, `value` or named as the layer itself; inputs are other values."""

    num_outputs = 1

    def __init__(
        self,
        name: str,
        kind: Kind,
        output: Type = Type.FLOAT,
        last: bool = False,
        inputs: tuple[str, ...] = ("input",),
        value: str = "",
    ) -> None:
        self.name, self.type = name, kind
        self.precision: Type | None = None
        self.set: Type | None = None
        self.num_inputs = len(inputs)
        self._inputs = [tensor(name) for name in inputs]
        self._output = tensor(value or name, output, last)

    def get_input(self, index: int) -> Any:
        return self._inputs[index]

    def get_output(self, index: int) -> Any:
        assert index == 0
        return self._output

    def set_output_type(self, index: int, dtype: Type) -> None:
        assert index == 0
        self.set = dtype


def tensor(name: str, dtype: Type = Type.FLOAT, last: bool = False) -> Any:
    return SimpleNamespace(name=name, dtype=dtype, is_shape_tensor=False, is_network_output=last)


@pytest.fixture
def layers() -> list[Layer]:
    """A convolution between Q/DQ pairs, and a pooling whose output is the network's."""
    return [
        Layer("w", Kind.CONSTANT), Layer("/q", Kind.QUANTIZE, Type.INT8), Layer("/dq", Kind.DEQUANTIZE),
        Layer("/conv", Kind.CONVOLUTION), Layer("/count", Kind.POOLING, Type.INT32),
        Layer("/pool", Kind.POOLING, last=True),
    ]  # fmt: skip


def apply(layers: list[Layer], precision: str, *rules: LayerPrecision, **options: Any) -> set[str]:
    """The reduced precisions alone."""
    return applied(layers, precision, *rules, **options)[0]


def applied(
    layers: list[Layer],
    precision: str,
    *rules: LayerPrecision,
    values: str = "",
    gates: Gates | None = None,
    strict: bool = False,
    flags: list[Any] | None = None,
) -> tuple[set[str], int]:
    """`values`: those that nodes of the model give; by default what each layer gives is one."""
    network = SimpleNamespace(num_layers=len(layers), get_layer=layers.__getitem__)
    config = SimpleNamespace(set_flag=[].append if flags is None else flags.append)
    plan = BuildPlan(precision=precision, layers_precision=rules, strict=strict)
    return layer_rules.apply(Dialect(TRT, TENSORRT), network, config, model(layers, values), plan, gates)


def model(layers: list[Layer], values: str = "") -> onnx.ModelProto:
    """What the parser made the layers of, as far as names go; constants are initialisers."""
    names = values.split() or [layer.get_output(0).name for layer in layers]
    return models.model([helper.make_node("Any", ["input", "bias"], [name]) for name in names], [], [], [])


@pytest.mark.parametrize("rule", [LayerPrecision("*", "fp16"), LayerPrecision("/*", "fp16")])
def test_q_and_dq_nodes_keep_their_types(layers: list[Layer], rule: LayerPrecision) -> None:
    assert apply(layers, "int8", rule) == {"fp16"}
    assert {layer.name: layer.precision for layer in layers if layer.precision} == dict.fromkeys(
        ("/conv", "/pool"), Type.HALF
    )
    assert [layer.name for layer in layers if layer.set] == ["/conv"]  # the network's output keeps its type


def test_exceptions_from_fp32(layers: list[Layer]) -> None:
    assert apply(layers, "fp32", LayerPrecision("/pool", "fp16")) == {"fp16"}
    assert [layer.precision for layer in layers] == [None, None, None, Type.FLOAT, None, Type.HALF]


def test_a_rule_may_name_a_q_node(layers: list[Layer]) -> None:
    assert apply(layers, "int8", LayerPrecision("/dq", "fp32")) == set()
    assert not any(layer.precision for layer in layers)


@pytest.mark.parametrize("rule", [LayerPrecision("*", "fp16"), LayerPrecision("/conv", "fp16")])
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_what_reads_from_a_pair_is_left_to_it(rule: LayerPrecision, precision: str) -> None:
    """The graph lost the pairs of layers that a rule names: those that are left say INT8."""
    layers = [
        Layer("/dq", Kind.DEQUANTIZE), Layer("/conv", Kind.CONVOLUTION, inputs=("/dq", "w")),
        Layer("/pool", Kind.POOLING, inputs=("/conv",)),
    ]  # fmt: skip
    apply(layers, precision, rule)
    assert [layer.name for layer in layers if layer.precision or layer.set] in ([], ["/pool"])
    assert bool(layers[2].precision) == (rule.pattern == "*" or precision == "fp32")


def test_a_rule_that_fits_nothing(layers: list[Layer]) -> None:
    with pytest.raises(BuildError, match="no layer is named '/konv'") as caught:
        apply(layers, "int8", LayerPrecision("/konv", "fp16"))
    assert "/conv" in str(caught.value.hint)


INSIDE = frozenset({"/sigmoid", "/mul", "/scale", "/last"})
GATES = Gates(frozenset({"/conv"}), INSIDE, frozenset({"/scale"}))


def gated() -> list[Layer]:
    names = ("/conv", "/sigmoid", "/mul", "/scale", "/other")
    return [*(Layer(name, Kind.POOLING) for name in names), Layer("/last", Kind.POOLING, last=True)]


def told(layers: list[Layer]) -> dict[str, tuple[Type | None, Type | None]]:
    """Layer -> (compute, store), of the layers that are told anything."""
    return {layer.name: (layer.precision, layer.set) for layer in layers if layer.precision or layer.set}


@pytest.mark.parametrize(("strict", "expected", "reduced"), [(False, Type.HALF, {"fp16"}), (True, Type.FLOAT, set())])
def test_gates_are_kept_out_of_int8(strict: bool, expected: Type, reduced: set[str]) -> None:
    layers = gated()
    assert apply(layers, "int8", gates=GATES, strict=strict) == reduced
    assert told(layers) == {
        "/conv": (None, expected),  # computes in INT8 if it likes
        "/sigmoid": (expected, expected), "/mul": (expected, expected),
        "/scale": (expected, None),  # may be stored as INT8
        "/last": (expected, None),
    }  # fmt: skip


def test_rules_of_the_user_come_before_gates() -> None:
    layers = gated()
    assert apply(layers, "int8", LayerPrecision("/mul", "fp32"), gates=GATES) == {"fp16"}
    assert told(layers)["/mul"] == (Type.FLOAT, Type.FLOAT) and told(layers)["/sigmoid"] == (Type.HALF, Type.HALF)
    layers = gated()
    assert apply(layers, "int8", LayerPrecision("*", "int8"), gates=GATES) == {"int8"}
    assert {types[0] for types in told(layers).values()} == {Type.INT8}


def test_the_layers_that_are_kept_out_are_counted() -> None:
    """Not those of which the user said something."""
    assert applied(gated(), "int8", gates=GATES) == ({"fp16"}, 4)
    assert applied(gated(), "int8", LayerPrecision("/mul", "fp32"), gates=GATES) == ({"fp16"}, 3)
    assert applied(gated(), "int8", LayerPrecision("*", "int8"), gates=GATES) == ({"int8"}, 0)


def test_a_network_without_gates_is_left_alone() -> None:
    layers, flags = gated(), []
    assert apply(layers, "int8", gates=Gates(), flags=flags) == set()
    assert told(layers) == {} and flags == []


# names of layers: as the parsers of TensorRT 8.5 and 10 give them; the values are those of the model


INNER, SHAPED = "(Unnamed Layer* 1) [Matrix Multiply]_output", "(Unnamed Layer* 3) [Shuffle]_output"
SUM = "(Unnamed Layer* 4) [ElementWise]"


def of_a_gemm() -> list[Layer]:
    """Gemm -> x -> Sigmoid -> s, Mul -> y: only the product has the Gemm's name."""
    return [
        Layer("weights", Kind.CONSTANT, inputs=()),
        Layer("/fc", Kind.MATRIX_MULTIPLY, inputs=("input", "weights"), value=INNER),
        Layer("bias", Kind.CONSTANT, inputs=()),
        Layer("(Unnamed Layer* 3) [Shuffle]", Kind.SHUFFLE, inputs=("bias",), value=SHAPED),
        Layer(SUM, Kind.ELEMENTWISE, inputs=(INNER, SHAPED), value="x"),
        Layer("/sigmoid", Kind.ACTIVATION, inputs=("x",), value="s"),
        Layer("/mul", Kind.ELEMENTWISE, inputs=("x", "s"), value="y"),
    ]  # fmt: skip


GEMM_GATES = Gates(*map(frozenset, ({"x"}, {"s", "y"}, {"y"})))


def test_a_sum_behind_a_product_without_a_name_of_the_model() -> None:
    layers = of_a_gemm()
    assert apply(layers, "int8", gates=GEMM_GATES, values="x s y") == {"fp16"}
    assert told(layers) == {
        "/fc": (None, Type.HALF), SUM: (None, Type.HALF),
        "/sigmoid": (Type.HALF, Type.HALF), "/mul": (Type.HALF, None),
    }  # fmt: skip


def test_a_rule_for_one_layer_of_a_node_holds_for_the_others() -> None:
    layers = of_a_gemm()
    assert apply(layers, "int8", LayerPrecision("/fc", "fp32"), gates=GEMM_GATES, values="x s y") == {"fp16"}
    found = told(layers)
    assert found["/fc"] == found[SUM] == (Type.FLOAT, Type.FLOAT)
    assert found["/sigmoid"] == (Type.HALF, Type.HALF)


FLOATS = (Type.FLOAT, Type.FLOAT)
HALVES = (Type.HALF, Type.HALF)


@pytest.mark.parametrize("precision", ["int8", "fp16"])
def test_a_rule_for_a_node_holds_for_all_of_its_layers(precision: str) -> None:
    """With a calibrator or not; not for the bias, which is constant, and the layers of other nodes."""
    layers = of_a_gemm()
    assert apply(layers, precision, LayerPrecision("/fc", "fp32"), values="x s y") == set()
    assert told(layers) == {"/fc": FLOATS, SUM: FLOATS}


def test_rules_of_a_nodes_own_layers_stay() -> None:
    layers = of_a_gemm()
    apply(layers, "int8", LayerPrecision("/fc", "fp32"), LayerPrecision("*ElementWise]", "fp16"), values="x s y")
    assert told(layers) == {"/fc": FLOATS, SUM: HALVES}


def test_the_rule_for_everything_comes_after_those_of_nodes() -> None:
    """The sum is of the Gemm, whatever name the parser gave it."""
    layers = of_a_gemm()
    apply(layers, "int8", LayerPrecision("*", "fp16"), LayerPrecision("/fc", "fp32"), values="x s y")
    assert told(layers) == {
        "/fc": FLOATS, SUM: FLOATS, "/sigmoid": HALVES, "/mul": HALVES, "(Unnamed Layer* 3) [Shuffle]": HALVES,
    }  # fmt: skip


def test_an_exception_from_fp32_is_one_for_all_layers_of_a_node() -> None:
    layers = of_a_gemm()
    assert apply(layers, "fp32", LayerPrecision("/fc", "fp16"), values="x s y") == {"fp16"}
    assert told(layers)["/fc"] == told(layers)[SUM] == HALVES and told(layers)["/mul"] == FLOATS


def test_a_sum_of_the_model_is_no_layer_of_the_product() -> None:
    """MatMul -> m, Add -> x are nodes by themselves."""
    layers = [
        Layer("/matmul", Kind.MATRIX_MULTIPLY, value="m"),
        Layer("/add", Kind.ELEMENTWISE, inputs=("m", "input"), value="x"),
    ]
    apply(layers, "int8", LayerPrecision("/matmul", "fp32"), values="m x")
    assert told(layers) == {"/matmul": FLOATS}
    apply(layers, "int8", LayerPrecision("/add", "fp16"), values="m x")
    assert told(layers) == {"/matmul": FLOATS, "/add": HALVES}


def test_a_bias_that_is_computed_of_constants_is_left_alone() -> None:
    layers = of_a_gemm()
    layers.insert(3, Layer("/negative", Kind.ELEMENTWISE, inputs=("bias", "bias"), value="(Unnamed) 7"))
    layers[4] = Layer("(Unnamed Layer* 3) [Shuffle]", Kind.SHUFFLE, inputs=("(Unnamed) 7",), value=SHAPED)
    apply(layers, "int8", LayerPrecision("/fc", "fp32"), values="x s y")
    assert told(layers) == {"/fc": FLOATS, SUM: FLOATS}


def test_a_scaled_product() -> None:
    """alpha of a Gemm is a layer between."""
    layers = of_a_gemm()
    layers[4] = Layer(SUM, Kind.ELEMENTWISE, inputs=("scaled", SHAPED), value="x")
    layers.insert(2, Layer("alpha", Kind.CONSTANT, inputs=()))
    layers.insert(3, Layer("(Unnamed) 9", Kind.ELEMENTWISE, inputs=(INNER, "alpha"), value="scaled"))
    apply(layers, "int8", LayerPrecision("/fc", "fp32"), values="x s y")
    assert told(layers) == {"/fc": FLOATS, SUM: FLOATS, "(Unnamed) 9": FLOATS}


def test_parts_that_compute_no_floats_are_left_alone() -> None:
    layers = [
        Layer("/fc", Kind.MATRIX_MULTIPLY, value=INNER),
        Layer("(Unnamed) 1", Kind.SHUFFLE, Type.INT32, inputs=(INNER,), value="x"),
    ]
    apply(layers, "int8", LayerPrecision("/fc", "fp32"), values="x")
    assert told(layers) == {"/fc": FLOATS}


@pytest.mark.parametrize("kind", [Kind.CAST, Kind.FILL])
def test_casts_and_fills_keep_the_type_that_the_model_states(kind: Kind) -> None:
    layers = [Layer("/conv", Kind.CONVOLUTION, value="c"), Layer("/cast", kind, inputs=("c",), value="x")]
    apply(layers, "int8", LayerPrecision("*", "fp16"), gates=GEMM_GATES)
    apply(layers, "int8", LayerPrecision("/cast", "fp16"))
    assert told(layers) == {"/conv": HALVES}


def test_an_activation_of_several_layers() -> None:
    """x times its hard sigmoid in one operator: what lies between is never INT8, although what comes out may be."""
    layers = [
        Layer("/conv", Kind.CONVOLUTION, value="x"),
        Layer("/hs", Kind.ACTIVATION, inputs=("x",), value="between"),
        Layer("/hs_7", Kind.ELEMENTWISE, inputs=("x", "between"), value="y"),
    ]
    gates = Gates(*map(frozenset, ({"x"}, {"y"}, {"y"})))
    apply(layers, "int8", gates=gates, values="x y")
    assert told(layers) == {"/conv": (None, Type.HALF), "/hs": (Type.HALF, Type.HALF), "/hs_7": (Type.HALF, None)}


def test_layers_that_share_the_names_of_gates_are_left_alone() -> None:
    """Nodes of a model may all have one name; the parser numbers the layers."""
    layers = [
        Layer("node", Kind.CONVOLUTION, value="x"),
        Layer("node_0", Kind.ACTIVATION, inputs=("x",), value="s"),
        Layer("node_1", Kind.ELEMENTWISE, inputs=("x", "s"), value="y"),
    ]
    apply(layers, "int8", gates=GEMM_GATES, values="x s y")
    assert [layer.precision for layer in layers] == [None, Type.HALF, Type.HALF]


def test_the_inside_of_a_loop_is_left_alone() -> None:
    layers = [
        Layer("(Unnamed Layer* 0) [Matrix Multiply]", Kind.MATRIX_MULTIPLY),
        Layer("/lstm", Kind.LOOP_OUTPUT, inputs=("(Unnamed Layer* 0) [Matrix Multiply]",), value="x"),
        Layer("/sigmoid", Kind.ACTIVATION, inputs=("x",), value="s"),
    ]
    apply(layers, "int8", gates=GEMM_GATES, values="x s y")
    assert told(layers) == {"/lstm": (None, Type.HALF), "/sigmoid": (Type.HALF, Type.HALF)}
