# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Finding a network's tensors in a model."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nvidia_tao_deploy.engine.contract import TensorInfo
from nvidia_tao_deploy.errors import BuildError, EngineError
from nvidia_tao_deploy.signature import Signature, Tensor

SIGNATURE = Signature(
    inputs=(Tensor("inputs", ("B", 3, "H", "W")),),
    outputs=(Tensor("pred_logits", ("B", "queries", "classes")), Tensor("pred_boxes", ("B", "queries", 4))),
)


def info(name: str, *shape: int, dtype: str = "float32") -> TensorInfo:
    return TensorInfo(name, dtype, shape)


IMAGE, LOGITS, BOXES = info("inputs", -1, 3, 64, 64), info("pred_logits", -1, 300, 91), info("pred_boxes", -1, 300, 4)


def test_by_name_in_any_order() -> None:
    binding = SIGNATURE.bind([IMAGE], [BOXES, info("extra", 1), LOGITS], "m.onnx", BuildError)
    assert binding.inputs["inputs"] is IMAGE
    assert binding.outputs == {"pred_logits": LOGITS, "pred_boxes": BOXES}
    assert binding.size("pred_logits", 2) == 91 and binding.size("inputs", 0) == -1


def test_by_position_with_a_log_line(caplog: pytest.LogCaptureFixture) -> None:
    outputs = [info("a", -1, 300, 91), info("b", -1, 300, 4)]
    with caplog.at_level("INFO"):
        binding = SIGNATURE.bind([IMAGE], outputs, "m.onnx", BuildError)
    assert [binding.outputs[name].name for name in ("pred_logits", "pred_boxes")] == ["a", "b"]
    assert "m.onnx: no tensor named 'pred_logits'; using 'a' by its position" in caplog.text


def test_outputs_without_a_known_name_and_one_too_many_are_doubtful(caplog: pytest.LogCaptureFixture) -> None:
    one = Signature(SIGNATURE.inputs, (Tensor("output", ("B", "classes")),))
    one.bind([IMAGE], [info("scores", -1, 10)], "m.onnx", BuildError)
    one.bind([IMAGE], [info("output", -1, 10), info("features", -1, 64)], "m.onnx", BuildError)
    assert not caplog.records
    one.bind([IMAGE], [info("ids", -1, 40, dtype="int32"), info("probabilities", -1, 40)], "m.onnx", BuildError)
    assert (
        "none of its 2 outputs is named output: ids int32[?x40], probabilities float32[?x40]. Is it a model of this"
        in caplog.text
    )
    caplog.clear()
    one.bind([IMAGE], [info("scores", -1, 10), info("features", -1, 64)], "m.onnx", BuildError, told=True)
    assert not caplog.records


def test_a_name_that_is_there_is_never_taken_for_another() -> None:
    outputs = [BOXES, info("scores", -1, 300, 91)]
    binding = SIGNATURE.bind([IMAGE], outputs, "m.onnx", BuildError)
    assert binding.outputs["pred_boxes"] is BOXES and binding.outputs["pred_logits"].name == "scores"


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [
        ([IMAGE], [LOGITS]),
        ([IMAGE], []),
        ([], [LOGITS, BOXES]),
        ([IMAGE, info("mask", -1, 1)], [LOGITS, BOXES]),
        ([info("inputs", -1, 1, 64, 64)], [LOGITS, BOXES]),
        ([info("inputs", -1, 3, 64)], [LOGITS, BOXES]),
        ([info("inputs", -1, 3, 64, 64, dtype="int64")], [LOGITS, BOXES]),
        ([IMAGE], [LOGITS, info("pred_boxes", -1, 300, 5)]),
        ([IMAGE], [info("a", -1, 300, 4), info("b", -1, 300, 91)]),
    ],
)
def test_refusal_says_expected_and_found(inputs: list[TensorInfo], outputs: list[TensorInfo]) -> None:
    with pytest.raises(EngineError) as caught:
        SIGNATURE.bind(inputs, outputs, "m.engine", EngineError)
    message = caught.value.message
    assert message.startswith("m.engine: the tensors are not those of this network")
    assert "pred_boxes float32/float16/bfloat16[BxqueriesX4]".replace("X", "x") in message
    for found in (*inputs, *outputs):
        assert str(found) in message
    assert caught.value.exit_code == 5


def test_how_tensors_are_written() -> None:
    assert str(IMAGE) == "inputs float32[?x3x64x64]"


@given(st.permutations([LOGITS, BOXES, info("x", 5), info("y", -1, 300, 4)]))
def test_order_never_matters_when_names_agree(outputs: list[TensorInfo]) -> None:
    assert SIGNATURE.bind([IMAGE], outputs, "m", BuildError).outputs == {"pred_logits": LOGITS, "pred_boxes": BOXES}


CHANGE = Signature(
    inputs=(Tensor("input0", ("B", 3, "H", "W")),),
    outputs=(Tensor("output_final", ("B", "classes", "H", "W"), last=True),),
)
SMALL, LARGE = info("output0", -1, 2, 4, 4), info("9876", -1, 2, 64, 64)
PICTURE = info("input0", -1, 3, 64, 64)


@pytest.mark.parametrize("outputs", [[SMALL, LARGE], [LARGE], [SMALL, info("x", -1, 2, 8, 8), LARGE]])
def test_the_last_tensor_where_the_name_is_missing(outputs: list[TensorInfo]) -> None:
    assert CHANGE.bind([PICTURE], outputs, "m.onnx", BuildError).outputs["output_final"] is LARGE


def test_the_name_wins_over_the_last_place() -> None:
    named = info("output_final", -1, 2, 64, 64)
    assert CHANGE.bind([PICTURE], [named, SMALL], "m.onnx", BuildError).outputs["output_final"] is named


@pytest.mark.parametrize(("shape", "fits"), [((-1,), True), ((-1, 2), True), ((-1, 2, 3), True), ((), False)])
def test_any_number_of_further_axes(shape: tuple[int, ...], fits: bool) -> None:
    assert Tensor("output", ("B", "...")).accepts(info("output", *shape)) is fits
