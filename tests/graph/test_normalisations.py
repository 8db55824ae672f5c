# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""InstanceNormalization written with sums and products; LayerNormalization is in test_lowering."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from nvidia_tao_deploy.errors import BuildError
from nvidia_tao_deploy.graph.lowering import lower
from tests.graph.models import value
from tests.graph.operators import instances, run

OPS = frozenset({"InstanceNormalization"})


@pytest.mark.parametrize("opset", [11, 17, 18])
@pytest.mark.parametrize("kind", [TensorProto.FLOAT, TensorProto.FLOAT16])
@pytest.mark.parametrize("shape", [[2, 3, 7], [None, 3, None, None], [2, 3, 4, 5, 2]])
def test_same_numbers(shape: list[int | None], kind: int, opset: int) -> None:
    original = instances(shape, kind, opset)
    written, _ = lower(original, OPS.__contains__)
    onnx.checker.check_model(written, full_check=True)
    assert not any(node.op_type in OPS for node in written.graph.node)
    random, dtype = np.random.default_rng(0), helper.tensor_dtype_to_np_dtype(kind)
    feeds = {
        "input": random.normal(3, 2, [size or 4 for size in shape]).astype(dtype),
        "scale": np.array([1, -2, 0.5], dtype),
        "bias": np.array([0, 1, 5], dtype),
    }
    expected, found = (run(proto, feeds) for proto in (original, written))
    assert expected is not None and found is not None and found[0].dtype == dtype
    tolerance = 1e-5 if kind == TensorProto.FLOAT else 1e-2
    np.testing.assert_allclose(found[0], expected[0], tolerance, tolerance)


def test_stored_operands_are_stored_in_their_new_shape() -> None:
    original = instances([2, 3, 4, 5])
    for name in ("scale", "bias"):
        original.graph.initializer.append(onnx.numpy_helper.from_array(np.ones(3, np.float32), name))
    del original.graph.input[1:]
    written, _ = lower(original, OPS.__contains__)
    assert not any(node.op_type == "Reshape" for node in written.graph.node)


def test_an_unknown_rank_is_refused() -> None:
    original = instances([2, 3, 4])
    original.graph.node.insert(0, helper.make_node("Reshape", ["raw", "sizes"], ["input"], name="/reshape"))
    del original.graph.input[0]
    original.graph.input.extend([value("raw", TensorProto.FLOAT, None), value("sizes", TensorProto.INT64, None)])
    original.graph.output[0].CopyFrom(helper.make_empty_tensor_value_info("output"))
    with pytest.raises(BuildError, match="InstanceNormalization '/node': the rank of its input is not known"):
        lower(original, OPS.__contains__)
