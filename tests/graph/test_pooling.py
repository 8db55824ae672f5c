# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Pooling with ceil_mode: what is written, computed by TensorRT's rules, is what ONNX computes of the original."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from nvidia_tao_deploy.graph.editing import attributes
from nvidia_tao_deploy.graph.pooling import standard
from tests.graph.operators import one, open_batch, pool, pooled

GEOMETRIES = [(3, 2, 1), (2, 2, 0), (2, 2, 1), (3, 3, 1), (1, 2, 0), (3, 2, 0), (2, 3, 1), (1, 3, 0), (2, 3, 0)]


def by_tensorrt(proto: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    """A model of pooling, Pad, Slice and Mul."""
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    for node in proto.graph.node:
        if node.op_type == "Pad":
            x = np.pad(x, constants[node.input[1]].reshape(2, -1).T)
        elif node.op_type == "Slice":
            (start,), (stop,), (axis,) = (constants[name] for name in node.input[1:])
            x = x.take(range(start, stop), axis)
        elif node.op_type == "Mul":
            x = x * constants[node.input[1]]
        else:
            x = pooled(node, x, by_tensorrt=True)
    return x


@pytest.mark.parametrize("size", [4, 5, 6, 7])
@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize(
    ("op", "options"), [("MaxPool", {}), ("AveragePool", {}), ("AveragePool", {"count_include_pad": 1})]
)
def test_has_the_windows_and_divisors_of_onnx(
    op: str, options: dict[str, Any], geometry: tuple[int, int, int], size: int
) -> None:
    original = pool(op, size, *geometry, **options)
    x = np.random.default_rng(0).uniform(1, 2, (2, 4, size, size + 1)).astype(np.float32)
    expected = pooled(original.graph.node[0], x, by_tensorrt=False)
    before = original.SerializeToString()
    written = standard(original)
    assert original.SerializeToString() == before
    onnx.checker.check_model(written, full_check=True)
    assert [node.name for node in written.graph.node if node.op_type == op] == ["/node"]
    np.testing.assert_allclose(by_tensorrt(written, x), expected, rtol=1e-5)
    (by_onnxruntime,) = onnxruntime.InferenceSession(written.SerializeToString()).run(None, {"input": x})
    np.testing.assert_allclose(by_onnxruntime, expected, rtol=1e-5)
    differs = by_tensorrt(original, x)
    if differs.shape == expected.shape and np.allclose(differs, expected):
        assert written is original
    assert standard(written) is written


@pytest.mark.parametrize("options", [{}, {"count_include_pad": 1}])
@pytest.mark.parametrize("geometry", [(3, 2, 1), (2, 2, 0), (3, 2, 0)])
def test_open_sizes_that_all_divide_right(geometry: tuple[int, int, int], options: dict[str, Any], caplog: Any) -> None:
    original = open_sizes(pool("AveragePool", 6, *geometry, **options))
    with caplog.at_level(logging.WARNING):
        written = standard(original)
    assert not caplog.records
    for size in (5, 6, 7, 8):
        x = np.random.default_rng(0).uniform(1, 2, (2, 4, size, size + 1)).astype(np.float32)
        expected = pooled(original.graph.node[0], x, by_tensorrt=False)
        np.testing.assert_allclose(by_tensorrt(written, x), expected, rtol=1e-5)


@pytest.mark.parametrize("op", ["MaxPool", "AveragePool"])
def test_open_sizes_that_may_differ_are_told(op: str, caplog: pytest.LogCaptureFixture) -> None:
    original = open_sizes(pool(op, 6, 1, 2, 0))
    with caplog.at_level(logging.WARNING):
        assert standard(original) is original
    assert f"{op} '/node' has ceil_mode=1 and an open size" in caplog.text
    assert "gen_trt_engine.verify=true" in caplog.text


def test_an_open_batch_is_no_open_size() -> None:
    written = standard(open_batch(pool("MaxPool", 6, 1, 2, 0)))
    assert attributes(written.graph.node[0])["ceil_mode"] == 0


def test_sizes_that_onnx_had_noted_of_other_windows_are_forgotten() -> None:
    original = pool("MaxPool", 6, 1, 2, 0)
    original.graph.node[0].output[0] = "pooled"
    original.graph.node.append(onnx.helper.make_node("Relu", ["pooled"], ["output0"], name="/relu"))
    noted = onnx.shape_inference.infer_shapes(original)
    assert [dim.dim_value for dim in noted.graph.value_info[0].type.tensor_type.shape.dim] == [2, 4, 4, 4]
    noted.graph.output[0].CopyFrom(original.graph.output[0])
    onnx.checker.check_model(standard(noted), full_check=True)


def test_other_pooling_is_left_alone() -> None:
    for proto in (
        one("MaxPool", opset=17, kernel_shape=[1, 1], strides=[2, 2]),
        one("AveragePool", opset=17, kernel_shape=[2, 2], auto_pad="SAME_UPPER", ceil_mode=1, count_include_pad=1),
        one("GlobalAveragePool", opset=17),
    ):
        assert standard(proto) is proto


def open_sizes(original: onnx.ModelProto) -> onnx.ModelProto:
    made = onnx.ModelProto()
    made.CopyFrom(original)
    for item in (*made.graph.input, *made.graph.output):
        for axis, name in ((2, "height"), (3, "width")):
            dim = item.type.tensor_type.shape.dim[axis]
            dim.Clear()
            if item.name == "input":
                dim.dim_param = name
    return made
