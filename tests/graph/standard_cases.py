# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""The cases by which the ONNX standard tests its operators, those on tensors."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.case.node import collect_testcases
from onnx.backend.test.case.test_case import TestCase

RANDOM = {"Bernoulli", "RandomUniformLike"}
ZERO_BY_ZERO = {"test_l2normalization_axis_0"}  # ONNX Runtime 1.21: NaN in the older form, 0 in the newer


def collect() -> list[TestCase]:
    """Cases of standard operators on tensors, whose results are not left to chance."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = collect_testcases(None)
    return [case for case in found if case.model is not None and _is_plain(case)]


def _is_plain(case: TestCase) -> bool:
    values = [value for part in case.data_sets[0] for value in part]
    return (
        all(entry.domain in ("", "ai.onnx") for entry in case.model.opset_import)
        and all(isinstance(value, (np.ndarray, np.generic)) for value in values)
        and not RANDOM.intersection(node.op_type for node in case.model.graph.node)
        and case.name not in ZERO_BY_ZERO
    )


def stored(model: onnx.ModelProto, inputs: list[Any]) -> onnx.ModelProto:
    """The model with all its inputs but the first as constants, as exported models have axes, sizes and weights."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for value, array in list(zip(model.graph.input, inputs, strict=True))[1:]:
        copy.graph.initializer.append(numpy_helper.from_array(np.asarray(array), value.name))
    del copy.graph.input[1:]
    return copy


def differ(found: list[np.ndarray] | None, expected: list[Any]) -> str | None:
    """In what results differ from the standard's; None where they do not."""
    if found is None:
        return "cannot be run"
    for left, right in zip(found, map(np.asarray, expected), strict=True):
        if (left.dtype, left.shape) != (right.dtype, right.shape):
            return f"{left.dtype} {left.shape} in place of {right.dtype} {right.shape}"
        tolerance = 2e-3 if left.dtype in (np.float32, np.float64) else 3e-2
        if not np.allclose(left.astype(np.float64), right.astype(np.float64), tolerance, tolerance, equal_nan=True):
            return f"largest error {np.nanmax(np.abs(left.astype(np.float64) - right.astype(np.float64)))}"
    return None
