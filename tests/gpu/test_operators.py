# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Operators that parsers lack, misread, or know in older forms: the engines compute what the standard says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper
from onnx.reference import ReferenceEvaluator

from nvidia_tao_deploy.engine.tensorrt import dialect
from nvidia_tao_deploy.graph import pooling
from tests.graph import operators

CASES = {**operators.DEFINED, **operators.NEWER, "no operation": operators.NO_OPERATION}


FIXED = {"resize to sizes"}  # those of all axes have to be known


@pytest.mark.parametrize(
    ("name", "any_batch"), [(name, flag) for name in CASES for flag in (False, True) if not (flag and name in FIXED)]
)
def test_computes_what_the_standard_says(engine: Callable[..., Any], name: str, any_batch: bool) -> None:
    original = CASES[name]
    model = operators.open_batch(original) if any_batch else original
    x = np.random.default_rng(0).uniform(0.1, 1, operators.SHAPE).astype(np.float32)
    expected = ReferenceEvaluator(original).run(None, {"input": x})
    with engine(model, batch=(2, 2, 2)) as loaded:
        found = loaded.infer({"input": x})
    for output, wanted in zip(model.graph.output, expected, strict=True):
        np.testing.assert_allclose(found[output.name], wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", [name for name in operators.MISREAD if not name.startswith("shape")])
def test_computes_what_other_runtimes_do(engine: Callable[..., Any], name: str) -> None:
    original = operators.MISREAD[name]
    kind = helper.tensor_dtype_to_np_dtype(original.graph.input[0].type.tensor_type.elem_type)
    x = np.random.default_rng(0).normal(size=operators.SHAPE).astype(kind)
    if name.startswith(("triangle", "infinities")):
        x[1, 1, 5, 0] = -np.inf
    expected = operators.run(original, {"input": x})
    assert expected is not None
    with engine(operators.open_batch(original), batch=(1, 2, 4)) as loaded:
        found = loaded.infer({"input": x})["output0"]
    np.testing.assert_allclose(found, expected[0], rtol=1e-4 if kind == np.float32 else 1e-2, atol=1e-3)


@pytest.mark.parametrize("geometry", [(3, 2, 1), (2, 2, 0), (2, 2, 1), (3, 3, 1), (1, 2, 0)])
@pytest.mark.parametrize("options", [{}, {"count_include_pad": 1}])
def test_the_last_windows_of_pooling(
    engine: Callable[..., Any], geometry: tuple[int, int, int], options: dict[str, int]
) -> None:
    model = operators.pool("AveragePool", 6, *geometry, **options)
    x = np.random.default_rng(0).uniform(1, 2, (2, 4, 6, 7)).astype(np.float32)
    expected = operators.pooled(model.graph.node[0], x, by_tensorrt=False)
    with engine(pooling.standard(model)) as loaded:
        np.testing.assert_allclose(loaded.infer({"input": x})["output0"], expected, rtol=1e-4)


@pytest.mark.parametrize("upper", [0, 1])
def test_a_triangle_whose_place_is_found_at_run_time(engine: Callable[..., Any], upper: int) -> None:
    x = np.arange(1, 241, dtype=np.float32).reshape(operators.SHAPE)
    with engine(operators.placed(upper)) as loaded:
        for offset in (-2, 0, 1):
            found = loaded.infer({"input": x, "k": np.array([offset], np.int32)})["output"]
            np.testing.assert_array_equal(found, np.triu(x, offset) if upper else np.tril(x, offset))


def test_instances_whose_scales_are_found_at_run_time(
    engine: Callable[..., Any], reference: Callable[..., Any]
) -> None:
    """The parser wants them stored."""
    model = operators.instances([2, 3, 5, 7])
    random = np.random.default_rng(0)
    feeds = {"input": random.normal(size=(2, 3, 5, 7)), "scale": random.normal(size=3), "bias": random.normal(size=3)}
    feeds = {name: array.astype(np.float32) for name, array in feeds.items()}
    with engine(model) as loaded:
        np.testing.assert_allclose(loaded.infer(feeds)["output"], reference(model, feeds)["output"], atol=1e-4)


def test_sizes_as_newer_exporters_say_them(engine: Callable[..., Any]) -> None:
    x = np.random.default_rng(0).normal(size=(3, 4, 6, 5)).astype(np.float32)
    with engine(operators.open_batch(operators.joined()), batch=(1, 2, 4)) as loaded:
        np.testing.assert_array_equal(loaded.infer({"input": x})["output"], x.reshape(3, 4, 30))


def test_a_causal_mask_of_sizes_found_at_run_time(engine: Callable[..., Any], reference: Callable[..., Any]) -> None:
    x = np.random.default_rng(0).normal(size=(3, 4, 6, 5)).astype(np.float32)
    with engine(operators.masked(), batch=(1, 2, 4)) as loaded:
        found = loaded.infer({"input": x})["output"]
    np.testing.assert_allclose(found, reference(operators.masked(), {"input": x})["output"], atol=1e-4)


def test_large_values_do_not_overflow(engine: Callable[..., Any]) -> None:
    x = np.full(operators.SHAPE, 1e4, np.float32)
    with engine(operators.MISREAD["log of a sum"]) as loaded:
        np.testing.assert_allclose(loaded.infer({"input": x})["output0"], 1e4 + np.log(30), rtol=1e-4)


@pytest.mark.parametrize(("precision", "largest"), [("fp32", 1e3), ("fp16", 50.0)])
def test_unlikely_classes_have_a_logarithm(engine: Callable[..., Any], precision: str, largest: float) -> None:
    """The parser makes a Softmax and a Log of LogSoftmax; the builder is said to compute them at once."""
    x = np.zeros(operators.SHAPE, np.float32)
    x[:, 1] = largest
    with engine(operators.one("LogSoftmax", opset=13, axis=1), precision=precision) as loaded:
        np.testing.assert_allclose(loaded.infer({"input": x})["output0"], x - largest, rtol=1e-3, atol=1e-2)


def test_the_parser_lacks_what_its_documentation_says() -> None:
    """The tests that run without a GPU believe it."""
    found = dialect.load(dialect.TENSORRT)
    if not found.version.startswith("8.5"):
        pytest.skip("the list is TensorRT 8.5's")
    logger = found.trt.Logger()
    parser = found.trt.OnnxParser(found.create_network(found.trt.Builder(logger), False), logger)
    # it reads these three and answers that it does not: what they give may have any size
    unsure = {"NonMaxSuppression", "NonZero", "RoiAlign"}
    standard = {schema.name for schema in onnx.defs.get_all_schemas() if schema.domain == ""}
    read = {op for op in standard if parser.supports_operator(op)}
    assert read == (operators.READ_BY_TENSORRT_8_5 & standard) - unsure
