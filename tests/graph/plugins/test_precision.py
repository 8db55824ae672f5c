# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Plugin nodes in low precision: they take float32 and stay as they are, layers in front of them and behind do not."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from nvidia_tao_deploy.engine.calibration import explicit
from nvidia_tao_deploy.engine.contract import BuildPlan, Calibration
from nvidia_tao_deploy.engine.onnxruntime.backend import quantised_blob, session
from nvidia_tao_deploy.engine.tensorrt import build
from nvidia_tao_deploy.graph import plugins, precision, quantise
from nvidia_tao_deploy.graph.editing import FLOAT32_ONLY
from nvidia_tao_deploy.graph.model import infer_shapes, move_plugins_to_own_domain
from tests.graph import models
from tests.graph.plugins import cases
from tests.graph.plugins.cases import FLOAT, Case

OPS = list(cases.ALL)
NARROW = {"fp16": TensorProto.FLOAT16, "bf16": TensorProto.BFLOAT16}


class Sandwich:
    """A plugin between layers: a product with the identity in front of each float input and behind each float output.

    Values that a narrow type can hold pass those layers unchanged, so what the plugin gives is still `case.expected`.
    Inputs that are no batch (weights, anchors) become constants.
    """

    def __init__(self, op: str) -> None:
        self.case: Case = next(iter(cases.ALL[op]()))
        self.runs = [{name: _exact(array) for name, array in run.items()} for run in self.case.runs[:4]]
        self.model = onnx.ModelProto()
        self.model.CopyFrom(self.case.model)
        self.front: list[onnx.NodeProto] = []
        self.behind: list[onnx.NodeProto] = []
        graph = self.model.graph
        node = graph.node[0]
        open_batch = any(value.type.tensor_type.shape.dim[0].dim_param for value in graph.input)
        for value in list(graph.input):
            if open_batch and not value.type.tensor_type.shape.dim[0].dim_param:
                array = self.runs[0][value.name]
                for run in self.runs:
                    run[value.name] = array
                graph.initializer.append(numpy_helper.from_array(array, value.name))
                graph.input.remove(value)
            elif _wide(value):
                index = list(node.input).index(value.name)
                node.input[index] = f"{value.name}_in"
                self.front.append(self._layer(value, value.name, node.input[index], f"front_{value.name}"))
        for value in graph.output:
            if _wide(value):
                index = list(node.output).index(value.name)
                node.output[index] = f"{value.name}_raw"
                self.behind.append(self._layer(value, node.output[index], value.name, f"behind_{value.name}"))
        nodes = [onnx.NodeProto.FromString(item.SerializeToString()) for item in (*self.front, node, *self.behind)]
        del graph.node[:]
        graph.node.extend(nodes)
        move_plugins_to_own_domain(self.model)
        self.plugin = graph.node[len(self.front)]

    @property
    def layers(self) -> list[str]:
        return [node.name for node in (*self.front, *self.behind)]

    @property
    def with_ranges(self) -> list[str]:
        """Those whose values are more than next to nothing, as a count's bits are that stand in a float."""
        return [name for name in self.layers if name != "behind_NMS_1"]

    def _layer(self, value: onnx.ValueInfoProto, source: str, target: str, name: str) -> onnx.NodeProto:
        size = value.type.tensor_type.shape.dim[-1].dim_value
        self.model.graph.initializer.append(numpy_helper.from_array(np.eye(size, dtype=np.float32), f"{name}_weight"))
        return helper.make_node("MatMul", [source, f"{name}_weight"], [target], name=name)

    def feeds(self) -> Iterator[dict[str, np.ndarray]]:
        names = {value.name for value in self.model.graph.input}
        for run in self.runs:
            yield {name: array for name, array in run.items() if name in names}


def _wide(value: onnx.ValueInfoProto) -> bool:
    return value.type.tensor_type.elem_type == FLOAT and len(value.type.tensor_type.shape.dim) >= 2


def _exact(array: np.ndarray) -> np.ndarray:
    """Floats that float16 holds."""
    return array.astype(np.float16).astype(np.float32) if array.dtype == np.float32 else array


def plugin_of(model: onnx.ModelProto) -> onnx.NodeProto:
    (node,) = plugins.plugin_nodes(model)
    return node


def types(model: onnx.ModelProto) -> dict[str, int]:
    graph = infer_shapes(model).graph
    found = {item.name: item.type.tensor_type.elem_type for item in (*graph.input, *graph.value_info, *graph.output)}
    return found | {tensor.name: tensor.data_type for tensor in graph.initializer}


@pytest.mark.parametrize("op", OPS)
def test_types_behind_a_plugin_are_known(op: str) -> None:
    between = Sandwich(op)
    declared = {value.name: value.type.tensor_type for value in between.case.model.graph.output}
    found = {value.name: value.type.tensor_type for value in plugins.described(between.model).graph.value_info}
    for node in between.behind:
        have, want = found[node.input[0]], declared[node.output[0]]
        assert have.elem_type == want.elem_type
        sizes = [(size.dim_value, known.dim_value) for size, known in zip(want.shape.dim, have.shape.dim, strict=True)]
        assert all(known == size for size, known in sizes[1:]), op
    assert plugin_of(between.model) == between.plugin  # nothing is done to the model given


def test_models_without_plugins_and_with_unknown_ones_are_left_as_they_are() -> None:
    proto = models.classifier()
    assert plugins.described(proto) is proto
    for node in proto.graph.node:
        if node.name == "/body/conv":
            node.op_type, node.domain = "OurOwn", "ours"
            del node.attribute[:]
    proto.opset_import.append(helper.make_opsetid("ours", 1))
    assert "c2" not in {value.name for value in plugins.described(proto).graph.value_info}
    typed, report = precision.typed(proto, "fp16")
    assert "/head/fc" in report.kept and "/stem/conv" not in report.kept  # types behind it are anyone's guess
    assert types(typed)["w3"] == FLOAT


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("name", ["int8", "fp8"])
def test_quantising_leaves_the_plugin_alone(op: str, name: str) -> None:
    between = Sandwich(op)
    calibration = Calibration(between.feeds, len(between.runs), 2, algorithm="minmax")
    model = plugins.described(between.model)
    result, details = explicit.quantised(model, BuildPlan(name, calibration=calibration), True, measured=between.model)
    assert plugin_of(result) == between.plugin
    layers = between.with_ranges
    assert details["quantised_nodes"] == len(layers)
    assert set(details["not_quantised"]) == set(between.layers) - set(layers)
    pairs = {node.output[0] for node in result.graph.node if node.op_type == "DequantizeLinear"}
    assert all(set(node.input) <= pairs for node in result.graph.node if node.name in layers)
    assert not pairs & set(plugin_of(result).input)
    standard, _ = plugins.rewrite(result)
    assert all(np.all(np.isfinite(found)) for found in _run(standard, next(between.feeds()), name))


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("name", list(NARROW))
def test_typing_leaves_the_plugin_in_float32(op: str, name: str) -> None:
    between = Sandwich(op)
    typed, report = precision.typed(plugins.described(between.model), name)
    assert sorted(report.narrow) == sorted(between.layers) and between.plugin.name in report.kept
    stays = plugin_of(typed)
    assert list(stays.output) == list(between.plugin.output) and stays.attribute == between.plugin.attribute
    standard, _ = plugins.rewrite(typed)  # refuses mixed types
    found = types(standard)
    before = types(between.model)
    assert [found[item] for item in stays.input if item] == [before[item] for item in between.plugin.input if item]
    for node in standard.graph.node:
        if node.name in between.layers:
            assert {found[item] for item in (*node.input, *node.output)} == {NARROW[name]}


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("name", ["int8", "fp8"])
def test_strongly_typed_engines_quantise_around_the_plugin_too(op: str, name: str) -> None:
    """FP8 on TensorRT 10: Q/DQ pairs and FP16 for the rest, while the real plugin stays."""
    between = Sandwich(op)
    calibration = Calibration(between.feeds, len(between.runs), 2, algorithm="minmax")
    plan = BuildPlan(name, calibration=calibration)
    typed, details = build._typed(plugins.described(between.model), plan, between.model)
    assert details["quantised_nodes"] == len(between.with_ranges) and between.plugin.name in details["kept_fp32"]
    stays, found = plugin_of(typed), types(plugins.rewrite(typed)[0])
    before = types(between.model)
    assert [found[item] for item in stays.input if item] == [before[item] for item in between.plugin.input if item]


@pytest.mark.parametrize("op", OPS)
def test_fp16_layers_around_a_plugin_give_what_its_formula_gives(op: str) -> None:
    """The plugin computes as it would without typing: its inputs come through FP16 unchanged."""
    between = Sandwich(op)
    standard, _ = plugins.rewrite(precision.typed(plugins.described(between.model), "fp16")[0])
    names = [value.name for value in between.model.graph.output]
    for number, (feeds, run) in enumerate(zip(between.feeds(), between.runs, strict=True)):
        for name, found, wanted in zip(names, _run(standard, feeds), between.case.expected(run), strict=True):
            where = f"{between.case.name}, inputs {number}, output {name}"
            np.testing.assert_allclose(found, wanted, rtol=2e-3, atol=1e-4, err_msg=where)


@pytest.mark.parametrize("op", [op for op in OPS if getattr(plugins.rewriters()[op], "FLOAT32", False)])
def test_replacements_that_compute_in_float32_are_not_quantised(op: str) -> None:
    between = Sandwich(op)
    standard, _ = plugins.rewrite(between.model)
    only = {node.name: node for node in standard.graph.node if node.doc_string == FLOAT32_ONLY}
    amax = dict.fromkeys(quantise.activations(standard), 1.0)
    result, report = quantise.quantise(standard, amax)
    assert sorted(report.quantised) == sorted(between.layers) and only
    assert all(node == only[node.name] for node in result.graph.node if node.name in only)


def _run(model: onnx.ModelProto, feeds: dict[str, np.ndarray], quantised: str = "") -> list[np.ndarray]:
    blob = quantised_blob(model, quantised) if quantised else model.SerializeToString()
    return session(blob).run(None, feeds)
