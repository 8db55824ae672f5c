# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Operators and forms that came after operator set 17: TensorRT computes what the standard says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from nvidia_tao_deploy.engine.tensorrt import dialect
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


def test_the_parser_lacks_what_its_documentation_says() -> None:
    """The tests that run without a GPU believe it."""
    found = dialect.load(dialect.TENSORRT)
    if not found.version.startswith("8.5"):
        pytest.skip("the list is TensorRT 8.5's")
    logger = found.trt.Logger()
    parser = found.trt.OnnxParser(found.create_network(found.trt.Builder(logger), False), logger)
    standard = {schema.name for schema in onnx.defs.get_all_schemas() if schema.domain == ""}
    read = {op for op in standard if parser.supports_operator(op)}
    assert read ^ (operators.READ_BY_TENSORRT_8_5 & standard) == set()
