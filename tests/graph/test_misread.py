# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""What parsers before TensorRT 10 misread: written in other forms, with the same numbers, or refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from nvidia_tao_deploy.engine.contract import LayerPrecision
from nvidia_tao_deploy.errors import BuildError
from nvidia_tao_deploy.graph.editing import attributes
from nvidia_tao_deploy.graph.lowering import lower
from nvidia_tao_deploy.graph.model import all_nodes
from tests.graph import operators
from tests.graph.models import Weights, model, value
from tests.graph.operators import (
    MISREAD,
    SHAPE,
    joined,
    lacked_by_none,
    lacked_by_tensorrt_8_5,
    masked,
    one,
    open_batch,
    run,
)


def for_old_parser(original: onnx.ModelProto, lacks: Callable[[str], bool] = lacked_by_none) -> onnx.ModelProto:
    before = original.SerializeToString()
    written, _ = lower(original, lacks, old_parser=True)
    assert original.SerializeToString() == before
    onnx.checker.check_model(written, full_check=True)
    return written


def output_of(proto: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    results = run(proto, {"input": x})
    assert results is not None
    return results[0]


def nodes_of(proto: onnx.ModelProto, op: str) -> list[dict[str, Any]]:
    return [attributes(node) for node in all_nodes(proto.graph) if node.op_type == op]


@pytest.mark.parametrize("batch", ["fixed", "open"])
@pytest.mark.parametrize("name", MISREAD)
def test_computes_the_same_in_another_form(name: str, batch: str) -> None:
    original = open_batch(MISREAD[name]) if batch == "open" else MISREAD[name]
    written = for_old_parser(original, lacked_by_tensorrt_8_5)
    assert written is not original
    kind = original.graph.input[0].type.tensor_type.elem_type
    x = np.random.default_rng(0).normal(size=SHAPE).astype(helper.tensor_dtype_to_np_dtype(kind))
    x[0, 0, 0, 0], x[1, 1, 5, 0] = 2, -np.inf if name.startswith(("triangle", "infinities")) else 3
    expected, found = (output_of(proto, x) for proto in (original, written))
    assert expected.dtype == found.dtype
    np.testing.assert_allclose(found, expected, rtol=1e-5 if kind == TensorProto.FLOAT else 1e-2, atol=1e-5)
    again, _ = lower(written, lacked_by_tensorrt_8_5, old_parser=True)
    assert again is written


@pytest.mark.parametrize("name", MISREAD)
def test_newer_parsers_get_the_model_as_it_is(name: str) -> None:
    assert lower(MISREAD[name], lacked_by_none)[0] is MISREAD[name]


def test_part_of_a_shape_is_cut_out() -> None:
    written = for_old_parser(MISREAD["shape from the second on"])
    assert nodes_of(written, "Shape") == [{}] and len(nodes_of(written, "Slice")) == 1
    assert for_old_parser(one("Shape", opset=15)).graph.node[0].op_type == "Shape"


def test_sizes_as_newer_exporters_say_them() -> None:
    original = open_batch(joined())
    written = for_old_parser(original)
    assert nodes_of(written, "Shape") == [{}] and list(nodes_of(written, "Constant")[0]) == ["value"]
    x = np.random.default_rng(0).normal(size=(3, 4, 6, 5)).astype(np.float32)
    np.testing.assert_array_equal(output_of(written, x), x.reshape(3, 4, 30))


@pytest.mark.parametrize("values", [{"value_int": 3}, {"value_ints": [1, -2]}])
def test_whole_numbers_of_constants_are_tensors(values: dict[str, Any]) -> None:
    """Also in bodies."""
    body = helper.make_graph([helper.make_node("Constant", [], ["inner"], **values)], "body", [],
                             [helper.make_empty_tensor_value_info("inner")])  # fmt: skip
    w = Weights()
    w.given("yes", np.True_)
    branch = helper.make_node("If", ["yes"], ["output"], name="/if", then_branch=body, else_branch=body)
    proto = model([branch], [], [value("output", TensorProto.INT64, *([None] * len(np.shape(*values.values()))))],
                  w.tensors)  # fmt: skip
    written = for_old_parser(proto)
    assert [list(options) for options in nodes_of(written, "Constant")] == [["value"], ["value"]]
    np.testing.assert_array_equal(ReferenceEvaluator(written).run(None, {})[0], *values.values())


def test_defaults_that_differ_are_stated() -> None:
    (selu,) = nodes_of(for_old_parser(one("Selu", opset=17)), "Selu")
    assert selu == {"alpha": pytest.approx(1.6732632423543772, 1e-7), "gamma": pytest.approx(1.0507009873554805, 1e-7)}
    (selu,) = nodes_of(for_old_parser(one("Selu", opset=17, alpha=2.0)), "Selu")
    assert selu["alpha"] == 2 and "gamma" in selu
    regions = [np.float32([[0, 0, 4, 4]]), np.array([0])]
    (align,) = nodes_of(for_old_parser(one("RoiAlign", regions, opset=16, output_height=2)), "RoiAlign")
    assert align == {"output_height": 2, "sampling_ratio": 0}
    stated = one("RoiAlign", regions, opset=16, sampling_ratio=2)
    assert for_old_parser(stated) is stated


@pytest.mark.parametrize("op", ["QuantizeLinear", "DequantizeLinear"])
def test_the_axis_of_scales_is_stated(op: str) -> None:
    zeros = np.zeros(4, np.int8)
    kind = TensorProto.FLOAT if op == "QuantizeLinear" else TensorProto.INT8
    (node,) = nodes_of(for_old_parser(one(op, [np.full(4, 0.1, np.float32), zeros], opset=13, kind=kind)), op)
    assert node == {"axis": 1}
    for stated in (one(op, [np.float32(0.1), np.int8(0)], opset=13, kind=kind),
                   one(op, [np.full(2, 0.1, np.float32), zeros[:2]], opset=13, kind=kind, axis=0)):  # fmt: skip
        assert for_old_parser(stated) is stated


@pytest.mark.parametrize("name", ["clip", "pad"])
def test_operands_that_are_left_out_at_the_end_are_gone(name: str) -> None:
    original = {
        "clip": one("Clip", [np.float32(0), None], opset=13),
        "pad": one("Pad", [np.array([0, 0, 1, 1, 0, 0, 1, 1]), None, None], opset=18),
    }[name]
    (node,) = for_old_parser(original).graph.node
    assert list(node.input) == ["input", "w0"]


@pytest.mark.parametrize("steps", [[1, 1, 2, 1], [1, -1]])
def test_steps_without_axes(steps: list[int]) -> None:
    starts = [0 if step > 0 else -1 for step in steps]
    ends = [9 if step > 0 else -9 for step in steps]
    original = one("Slice", [np.array(starts), np.array(ends), None, np.array(steps)], opset=13)
    (node,) = for_old_parser(original).graph.node
    assert all(node.input) and len(node.input) == 5
    x = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    found = output_of(for_old_parser(original), x)
    np.testing.assert_array_equal(found, x[tuple(slice(None, None, step) for step in steps)])


@pytest.mark.parametrize("auto_pad", ["SAME_UPPER", "SAME_LOWER", "VALID"])
@pytest.mark.parametrize(
    "options",
    [
        {"output_shape": [12, 15], "strides": [2, 3]},
        {"output_shape": [11, 14], "strides": [2, 3], "output_padding": [1, 1]},
        {"output_shape": [7, 6]},
        {"output_shape": [12, 10], "strides": [2, 2], "dilations": [2, 1], "group": 2},
    ],
    ids=["shape", "shape and padding", "no stride", "groups"],
)
def test_transposed_convolutions_have_their_padding_in_numbers(auto_pad: str, options: dict[str, Any]) -> None:
    random = np.random.default_rng(5)
    weights = [random.normal(size=(4, 2, 3, 4)).astype(np.float32), np.ones(2 * options.get("group", 1), np.float32)]
    original = one("ConvTranspose", weights, opset=11, auto_pad=auto_pad, **options)
    written = for_old_parser(original)
    (stated,) = nodes_of(written, "ConvTranspose")
    assert not {"auto_pad", "output_shape"}.intersection(stated)
    x = random.normal(size=SHAPE).astype(np.float32)
    np.testing.assert_allclose(output_of(written, x), output_of(original, x), atol=1e-5)


def test_transposed_convolutions_without_padding_keep_what_is_added() -> None:
    weights = [np.random.default_rng(5).normal(size=(4, 2, 3, 4)).astype(np.float32)]
    original = one("ConvTranspose", weights, opset=11, auto_pad="VALID", output_padding=[1, 0], strides=[2, 1])
    written = for_old_parser(original)
    (stated,) = nodes_of(written, "ConvTranspose")
    assert stated["pads"] == [0, 0, 0, 0] and stated["output_padding"] == [1, 0]
    x = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    np.testing.assert_allclose(output_of(written, x), output_of(original, x), atol=1e-5)


def test_transposed_convolutions_that_are_read_right_stay() -> None:
    weights = [np.ones((4, 2, 3, 4), np.float32)]
    for options in (
        {"auto_pad": "SAME_UPPER"},
        {"output_shape": [6, 5]},
        {"output_padding": [1, 1], "strides": [2, 2]},
    ):
        original = one("ConvTranspose", weights, opset=11, **options)
        assert for_old_parser(original) is original


def test_sums_with_axes_stay() -> None:
    original = one("ReduceSum", [np.array([1])], opset=13, noop_with_empty_axes=1)
    assert for_old_parser(original) is original


def test_instance_normalisation_in_float32_stays() -> None:
    original = one("InstanceNormalization", [np.float32([1, 2, 3, 4])] * 2, opset=17)
    assert for_old_parser(original) is original


@pytest.mark.parametrize("upper", [0, 1])
@pytest.mark.parametrize("offset", [-2, 0, 1])
@pytest.mark.parametrize("shape", [[2, 4, "rows", "columns"], [2, 4, 6, "columns"]])
def test_a_triangle_of_unknown_size(shape: list[int | str], offset: int, upper: int) -> None:
    original = one("Trilu", [np.array(offset)], opset=14, shape=shape, upper=upper)
    x = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    written = for_old_parser(original)
    assert not nodes_of(written, "Trilu")
    np.testing.assert_array_equal(output_of(written, x), output_of(original, x))


@pytest.mark.parametrize("batch", [2, None])
@pytest.mark.parametrize("offset", [-2, 0, 1, 9])
@pytest.mark.parametrize("upper", [0, 1])
def test_a_triangle_whose_place_is_found_at_run_time(upper: int, offset: int, batch: int | None) -> None:
    original = operators.placed(upper, batch)
    written = for_old_parser(original)
    assert not nodes_of(written, "Trilu")
    feeds = {"input": np.arange(1, 241, dtype=np.float32).reshape(SHAPE), "k": np.array([offset], np.int32)}
    expected, found = (run(proto, feeds) for proto in (original, written))
    assert expected is not None and found is not None
    np.testing.assert_array_equal(found[0], expected[0])


@pytest.mark.parametrize("opset", [16, 20])
def test_volumes_are_not_sampled(opset: int) -> None:
    grid = np.zeros((2, 1, 3, 3, 3), np.float32)
    proto = one("GridSample", [grid], opset=opset, shape=[2, 4, 2, 6, 5])
    with pytest.raises(
        BuildError, match=r"GridSample '/node' samples volumes: 'input' has 5 axes; .* reads 4"
    ) as caught:
        for_old_parser(proto)
    assert "slice by slice" in str(caught.value.hint)
    assert lower(proto, lacked_by_none)[0] is proto


def test_a_causal_mask_of_sizes_found_at_run_time() -> None:
    original = masked()
    written = for_old_parser(original)
    assert not nodes_of(written, "Trilu") and nodes_of(written, "Range")
    x = np.random.default_rng(0).normal(size=(3, 4, 6, 5)).astype(np.float32)
    np.testing.assert_allclose(output_of(written, x), output_of(original, x), atol=1e-6)


def test_large_values_do_not_overflow() -> None:
    written = for_old_parser(MISREAD["log of a sum"])
    x = np.full(SHAPE, 1e4, np.float32)
    np.testing.assert_allclose(output_of(written, x), 1e4 + np.log(30), rtol=1e-6)


def test_rules_follow() -> None:
    rule = LayerPrecision("/node", "fp32")
    _, rules = lower(MISREAD["log of a sum"], lacked_by_none, (rule,), old_parser=True)
    assert [rule.pattern.startswith("/node/lowered") for rule in rules] == [True]


INDICES = np.zeros(SHAPE, np.int64)
ZEROS = np.zeros(SHAPE, np.float32)


@pytest.mark.parametrize(
    ("proto", "message", "hint"),
    [
        (one("ScatterElements", [INDICES, ZEROS], opset=16, reduction="add"),
         "ScatterElements '/node': reduction=add is not read", "TensorRT 10"),
        (one("ScatterND", [np.array([[0]]), ZEROS[:1]], opset=16, reduction="mul"), "reduction=mul", "without it"),
        (one("BatchNormalization", [ZEROS[0, :, 0, 0]] * 4, results=3, opset=15, training_mode=1),
         "training_mode=1 is not read.*stored statistics", "model.eval"),
        (one("RNN", [np.zeros((1, 3, 5), np.float32), np.zeros((1, 3, 3), np.float32)], opset=14, layout=1,
             shape=[2, 4, 5], hidden_size=3), "layout=1 .* takes pictures", "layout=0"),
        (one("ConvTranspose", [np.ones((4, 2, 1, 1), np.float32)], opset=11, auto_pad="SAME_UPPER",
             output_shape=[14, 12], strides=[2, 2]), "auto_pad=SAME_UPPER of a larger output", "pads in numbers"),
    ],
    ids=["elements", "nd", "training", "layout", "larger"],
)  # fmt: skip
def test_what_cannot_be_written_is_refused(proto: onnx.ModelProto, message: str, hint: str) -> None:
    with pytest.raises(BuildError, match=message) as caught:
        for_old_parser(proto)
    assert hint in str(caught.value.hint) and caught.value.exit_code == 4
    assert lower(proto, lacked_by_none)[0] is proto


def test_a_scatter_that_overwrites_is_none_of_these() -> None:
    for options in ({}, {"reduction": "none"}):
        original = one("ScatterElements", [INDICES, ZEROS], opset=16, **options)
        assert for_old_parser(original) is original


def test_part_of_a_shape_in_a_body_is_refused() -> None:
    body = helper.make_graph([helper.make_node("Shape", ["input"], ["inner"], name="/inner", end=1)], "body", [],
                             [value("inner", TensorProto.INT64, 1)])  # fmt: skip
    w = Weights()
    w.given("yes", np.True_)
    branch = helper.make_node("If", ["yes"], ["output"], name="/if", then_branch=body, else_branch=body)
    ends = [value("input", TensorProto.FLOAT, *SHAPE)], [value("output", TensorProto.INT64, 1)]
    with pytest.raises(BuildError, match="Shape '/inner': start or end, in the body of a Loop or If, is not read"):
        for_old_parser(model([branch], *ends, w.tensors))
