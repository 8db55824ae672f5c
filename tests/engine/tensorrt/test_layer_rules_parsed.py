# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""What a weakly typed network is told, on networks that a real parser made: TensorRT RTX's needs no GPU, and names
layers and tensors as TensorRT's does. What TensorRT makes of it is in tests/gpu."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import onnx
import pytest
from onnx import helper

from nvidia_tao_deploy.engine.calibration import explicit
from nvidia_tao_deploy.engine.contract import BuildPlan, LayerPrecision
from nvidia_tao_deploy.engine.tensorrt import layer_rules
from nvidia_tao_deploy.graph import gates, kernel_shapes, own_ranges
from tests.graph import models
from tests.graph.models import FLOAT, Weights, model, value

pytestmark = pytest.mark.rtx


class Recorder:
    """A layer that notes what it is told: RTX's networks are strongly typed."""

    def __init__(self, layer: Any, said: dict[str, str]) -> None:
        self.__dict__.update(layer=layer, said=said)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.layer, name)

    def __setattr__(self, name: str, told: str) -> None:
        assert name == "precision"
        self.said[self.layer.name] = self.__dict__[name] = told

    def set_output_type(self, index: int, dtype: str) -> None:
        pass


def told(proto: onnx.ModelProto, *rules: str, precision: str = "int8", calibrator: bool = False) -> dict[str, str]:
    """Layer -> precision that the rules 'name:dtype', and the gates with a `calibrator`, ask for."""
    import tensorrt_rtx_bindings as trt

    plan = BuildPlan(precision, layers_precision=tuple(LayerPrecision(*rule.split(":")) for rule in rules))
    found = gates.find(proto) if calibrator else None
    if not calibrator:
        proto, plan = explicit.with_own_ranges(proto, plan)
    proto = kernel_shapes.stated(own_ranges.symmetric(proto, float_weights=True))
    log = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(log)
    network = builder.create_network(0)
    parser = trt.OnnxParser(network, log)
    assert parser.parse(proto.SerializeToString()), [parser.get_error(i).desc() for i in range(parser.num_errors)]
    said: dict[str, str] = {}
    recorders = [Recorder(network.get_layer(index), said) for index in range(network.num_layers)]
    noting = SimpleNamespace(num_layers=len(recorders), get_layer=recorders.__getitem__)
    dialect = SimpleNamespace(trt=trt, data_type=lambda name: name, set_flag=lambda *_: None)
    layer_rules.apply(dialect, noting, None, proto, plan, found)  # type: ignore[arg-type]
    return said


def gated() -> onnx.ModelProto:
    """input [1, 3, 8, 8]: a convolution, hard-swish written out, a convolution, and a linear layer with a bias."""
    w = Weights()
    for name, number in {"zero": 0, "three": 3, "six": 6}.items():
        w.given(name, number, "f4")
    nodes = [
        helper.make_node("Conv", ["input", w.normal("w1", 4, 3, 1, 1)], ["x"], name="/first"),
        helper.make_node("Add", ["x", "three"], ["a"], name="/act/add"),
        helper.make_node("Clip", ["a", "zero", "six"], ["c"], name="/act/clip"),
        helper.make_node("Mul", ["x", "c"], ["m"], name="/act/mul"),
        helper.make_node("Div", ["m", "six"], ["y"], name="/act/div"),
        helper.make_node("Conv", ["y", w.normal("w2", 4, 4, 1, 1)], ["z"], name="/second"),
        helper.make_node("GlobalAveragePool", ["z"], ["g"], name="/pool"),
        helper.make_node("Flatten", ["g"], ["f"], name="/flat"),
        helper.make_node("Gemm", ["f", w.normal("w3", 4, 5), w.normal("b", 5)], ["output"], name="/fc"),
    ]
    return model(nodes, [value("input", FLOAT, 1, 3, 8, 8)], [value("output", FLOAT, 1, 5)], w.tensors)


def test_gates_of_a_parsed_network() -> None:
    assert told(gated(), calibrator=True) == dict.fromkeys(("/act/add", "/act/clip", "/act/mul", "/act/div"), "fp16")


def test_a_rule_for_a_linear_layer_holds_for_its_sum() -> None:
    said = told(gated(), "/fc:fp32", calibrator=True)
    of_the_layer = {name: dtype for name, dtype in said.items() if not name.startswith("/act")}
    assert len(of_the_layer) > 1 and "/fc" in of_the_layer and set(of_the_layer.values()) == {"fp32"}, said


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("/pool:fp16", {"/pool": "fp16"}),
        ("/dq:fp32", {}),
        ("/relu:fp32", {"/relu": "fp32"}),
    ],
)
def test_layers_behind_pairs_are_left_to_them(rule: str, expected: dict[str, str]) -> None:
    assert told(models.quantised(), rule) == expected


def test_everything_else_of_a_quantised_model() -> None:
    said = told(models.quantised(), "*:fp32", precision="fp16")  # the convolution loses its pairs
    assert {"/conv", "/relu", "/pool"} <= set(said) and set(said.values()) == {"fp32"}


def test_a_layer_that_is_to_stay_int8_stays_between_its_pairs() -> None:
    said = told(models.quantised(), "/conv:int8", "/*:fp16")
    assert {"/relu", "/pool"} <= set(said) and "/conv" not in said
