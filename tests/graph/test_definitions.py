# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Operators written as the standard defines them compute what they computed."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from nvidia_tao_deploy.engine.contract import LayerPrecision
from nvidia_tao_deploy.errors import BuildError
from nvidia_tao_deploy.graph import definitions, misread
from nvidia_tao_deploy.graph.lowering import lower
from nvidia_tao_deploy.graph.model import all_nodes
from tests.graph.models import Weights, model, value
from tests.graph.operators import DEFINED, READ_BY_TENSORRT_8_5, SHAPE, lacked_by_tensorrt_8_5, one


@pytest.mark.parametrize("name", DEFINED)
def test_computes_the_same(name: str) -> None:
    original = DEFINED[name]
    before = original.SerializeToString()
    op = original.graph.node[0].op_type
    written, _ = lower(original, {op, "CastLike"}.__contains__)
    onnx.checker.check_model(written, full_check=True)
    assert original.SerializeToString() == before
    assert not {node.op_type for node in all_nodes(written.graph)} & {op, "CastLike"}
    assert all(node.name.startswith("/node/") for node in written.graph.node)
    x = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    expected, found = (ReferenceEvaluator(proto).run(None, {"input": x})[0] for proto in (original, written))
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("proto", DEFINED.values(), ids=DEFINED)
def test_nothing_is_left_that_the_parser_of_tensorrt_8_5_lacks(proto: onnx.ModelProto) -> None:
    """It may lack what a definition is written with, too: that of Gelu has a CastLike."""
    written, _ = lower(proto, lacked_by_tensorrt_8_5, old_parser=True)
    assert {node.op_type for node in all_nodes(written.graph)} <= READ_BY_TENSORRT_8_5
    assert not any(misread.is_misread(node) for node in all_nodes(written.graph))
    assert misread.tidied(written) is written
    assert written.opset_import[0].version <= 17
    onnx.checker.check_model(written, full_check=True)
    x = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    expected, found = (ReferenceEvaluator(case).run(None, {"input": x})[0] for case in (proto, written))
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("version", "operand", "options", "wanted"),
    [("1.21.0", None, {"softcap": 2.0}, "1.22"), ("1.22.0", np.array([3, 2]), {"is_causal": 1}, "1.23")],
)
def test_definitions_that_older_packages_have_wrong_are_refused(
    version: str, operand: np.ndarray | None, options: dict[str, Any], wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    heads = np.ones((2, 4, 3, 5), np.float32)
    operands = [heads, heads] if operand is None else [heads, heads, None, None, None, operand]
    proto = one("Attention", operands, opset=24, **options)
    monkeypatch.setattr(onnx, "__version__", version)
    what = "softcap" if operand is None else "nonpad_kv_seqlen"
    with pytest.raises(BuildError, match=rf"Attention '/node': {what} .* onnx {version} defines it wrongly") as caught:
        lower(proto, {"Attention"}.__contains__)
    assert caught.value.hint == f"pip install 'onnx>={wanted}'"
    monkeypatch.setattr(onnx, "__version__", f"{wanted}.1")
    assert lower(proto, {"Attention"}.__contains__)[0] is not proto


def test_rules_follow() -> None:
    rules = (LayerPrecision("/node", "fp32", optional=True),)
    written, followed = lower(DEFINED["gelu"], {"Gelu", "CastLike"}.__contains__, rules)
    patterns = [rule.pattern for rule in followed]
    assert patterns and all(pattern.startswith("/node/lowered") for pattern in patterns)
    assert {(rule.dtype, rule.optional) for rule in followed} == {("fp32", True)}
    assert any(node.op_type == "Erf" for node in written.graph.node)


@pytest.mark.parametrize(
    ("op", "opset"),
    [
        pytest.param("NonMaxSuppression", 17, id="no definition"),
        pytest.param("EfficientNMS_TRT", 17, id="plugin"),
        pytest.param("Gelu", 19, id="too old an operator set"),
        pytest.param("DynamicQuantizeLinear", 17, id="no simpler"),
    ],
)
def test_what_has_no_use_of_a_definition(op: str, opset: int) -> None:
    assert definitions.are_defined({op}, opset) == set()
    assert definitions.are_defined({op, "HardSwish"}, opset) == {"HardSwish"}


def test_what_cannot_be_written_stays_for_the_parser_to_name() -> None:
    body = helper.make_graph(
        [helper.make_node("HardSwish", ["input"], ["inner"], name="/inner")], "body", [],
        [value("inner", TensorProto.FLOAT, *SHAPE)],
    )  # fmt: skip
    w = Weights()
    w.given("yes", np.True_)
    branch = helper.make_node("If", ["yes"], ["output"], name="/if", then_branch=body, else_branch=body)
    ends = [value(name, TensorProto.FLOAT, *SHAPE) for name in ("input", "output")]
    proto = model([branch], ends[:1], ends[1:], w.tensors)
    assert lower(proto, {"HardSwish"}.__contains__)[0] is proto
