# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Every rewriter against a formula of its plugin, on ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import onnxruntime
import pytest

from nvidia_tao_deploy.graph import plugins
from tests.graph.plugins import cases
from tests.graph.plugins.cases import Case

TIES: dict[str, Callable[[], Iterator[Case]]] = {
    "EfficientNMS_TRT": lambda: cases.efficient_nms(ties=True),
    "BatchedNMSDynamic_TRT": lambda: cases.batched_nms(ties=True),
    "NMSDynamic_TRT": lambda: cases.ssd_nms(ties=True),
}


def run_case(case: Case) -> int:
    """Run all inputs of a case and compare; returns how many."""
    model, done = plugins.rewrite(case.model)
    assert len(done) == 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    outputs = session.get_outputs()
    for number, feeds in enumerate(case.runs):
        results, expected = session.run(None, feeds), case.expected(feeds)
        for output, found, wanted in zip(outputs, results, expected, strict=True):
            where = f"{case.name}, inputs {number}, output {output.name}"
            assert found.dtype == wanted.dtype and found.shape == wanted.shape, where
            if output.name in ("NMS_1", "num"):
                np.testing.assert_array_equal(found.view(np.int32), wanted.view(np.int32), err_msg=where)
            else:
                np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=2e-5, err_msg=where)
    return len(case.runs)


@pytest.mark.parametrize("op", list(cases.ALL))
def test_rewriter_computes_what_the_plugin_does(op: str) -> None:
    assert sum(run_case(case) for case in cases.ALL[op]()) >= 50


@pytest.mark.parametrize("op", list(TIES))
def test_equal_scores_come_in_the_order_of_boxes_and_classes(op: str) -> None:
    assert sum(run_case(case) for case in TIES[op]()) >= 50


def test_every_rewriter_has_cases() -> None:
    aliases = {"BatchedNMS_TRT", "NMS_TRT", "SpecialSlice_TRT", "MultiscaleDeformableAttnPlugin_TRT"}
    assert set(plugins.rewriters()) == set(cases.ALL) | aliases


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
@pytest.mark.parametrize("op", list(cases.ALL))
def test_numbers_that_are_none_end_no_run(op: str, value: float) -> None:
    """Of a network that overflows: a picture's results are worthless, but it stops neither the others nor the GPU."""
    case = next(iter(cases.ALL[op]()))
    session = onnxruntime.InferenceSession(
        plugins.standard(case.model).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    for name, array in case.runs[0].items():
        if array.dtype.kind == "f":
            broken = array.copy()
            broken.reshape(-1)[::3] = value
            assert session.run(None, {**case.runs[0], name: broken})
