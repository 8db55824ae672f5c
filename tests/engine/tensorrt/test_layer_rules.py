# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""`layers_precision` on a weakly typed network, on stand-ins for TensorRT's layers."""

from __future__ import annotations

from enum import Enum
from types import SimpleNamespace
from typing import Any

import pytest

from nvidia_tao_deploy.engine.contract import BuildPlan, LayerPrecision
from nvidia_tao_deploy.engine.tensorrt import layer_rules
from nvidia_tao_deploy.engine.tensorrt.dialect import TENSORRT, Dialect
from nvidia_tao_deploy.errors import BuildError
from nvidia_tao_deploy.graph.gates import Gates

Kind = Enum("Kind", "CONSTANT SHAPE QUANTIZE DEQUANTIZE CONVOLUTION POOLING")
Type = Enum("Type", "FLOAT HALF INT8 INT32 BOOL")
TRT = SimpleNamespace(
    __version__="8.5.3.1", LayerType=Kind, DataType=Type, BuilderFlag=SimpleNamespace(PREFER_PRECISION_CONSTRAINTS=1)
)


class Layer:
    """One input, one output."""

    num_inputs = num_outputs = 1

    def __init__(self, name: str, kind: Kind, output: Type = Type.FLOAT, last: bool = False) -> None:
        self.name, self.type = name, kind
        self.precision: Type | None = None
        self.set: Type | None = None
        self._tensor = SimpleNamespace(dtype=output, is_shape_tensor=False, is_network_output=last)

    def get_input(self, index: int) -> Any:
        return self._tensor

    get_output = get_input

    def set_output_type(self, index: int, dtype: Type) -> None:
        self.set = dtype


@pytest.fixture
def layers() -> list[Layer]:
    """A convolution between Q/DQ pairs, and a pooling whose output is the network's."""
    return [
        Layer("w", Kind.CONSTANT), Layer("/q", Kind.QUANTIZE, Type.INT8), Layer("/dq", Kind.DEQUANTIZE),
        Layer("/conv", Kind.CONVOLUTION), Layer("/count", Kind.POOLING, Type.INT32),
        Layer("/pool", Kind.POOLING, last=True),
    ]  # fmt: skip


def apply(
    layers: list[Layer],
    precision: str,
    *rules: LayerPrecision,
    gates: Gates | None = None,
    strict: bool = False,
    flags: list[Any] | None = None,
) -> set[str]:
    network = SimpleNamespace(num_layers=len(layers), get_layer=layers.__getitem__)
    config = SimpleNamespace(set_flag=[].append if flags is None else flags.append)
    plan = BuildPlan(precision=precision, layers_precision=rules, strict=strict)
    return layer_rules.apply(Dialect(TRT, TENSORRT), network, config, plan, gates)


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


def test_a_rule_that_fits_nothing(layers: list[Layer]) -> None:
    with pytest.raises(BuildError, match="no layer is named '/konv'") as caught:
        apply(layers, "int8", LayerPrecision("/konv", "fp16"))
    assert "/conv" in str(caught.value.hint)


GATES = Gates(frozenset({"/conv"}), frozenset({"/sigmoid", "/mul", "/scale", "/last"}), frozenset({"/scale"}))


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


def test_a_network_without_gates_is_left_alone() -> None:
    layers, flags = gated(), []
    assert apply(layers, "int8", gates=Gates(frozenset(), frozenset(), frozenset()), flags=flags) == set()
    assert told(layers) == {} and flags == []
