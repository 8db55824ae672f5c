# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""The cases by which the ONNX standard tests its operators: what is written for parsers has the same results."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx.backend.test.case.test_case import TestCase

from nvidia_tao_deploy.errors import BuildError
from nvidia_tao_deploy.graph.lowering import lower
from nvidia_tao_deploy.graph.older_forms import NEWEST
from tests.graph import standard_cases
from tests.graph.operators import lacked_by_tensorrt_8_5, run
from tests.graph.standard_cases import differ


@pytest.fixture(scope="module")
def cases() -> list[TestCase]:
    return standard_cases.collect()


@pytest.mark.filterwarnings("ignore:.*:RuntimeWarning")  # of the evaluator's own
@pytest.mark.parametrize("stored", [True, False])
@pytest.mark.parametrize("old_parser", [True, False])
def test_lowered_models_give_the_results_of_the_standard(cases: list[TestCase], old_parser: bool, stored: bool) -> None:
    wrong, count = [], 0
    for case in cases:
        inputs, expected = case.data_sets[0]
        model = standard_cases.stored(case.model, inputs) if stored else case.model
        before = model.SerializeToString()
        try:
            written, _ = lower(model, lacked_by_tensorrt_8_5, old_parser=old_parser)
        except BuildError:
            continue
        assert model.SerializeToString() == before, case.name
        if written is model or (old_parser and written.opset_import[0].version > NEWEST):  # a warning told of these
            continue
        count += 1
        onnx.checker.check_model(written, full_check=True)
        feeds = {value.name: np.asarray(array) for value, array in zip(model.graph.input, inputs, strict=False)}
        problem = differ(run(written, feeds), expected)
        if problem and differ(run(model, feeds), expected) != problem:  # some are beyond both that run models
            wrong.append(f"{case.name}: {problem}")
    assert not wrong
    assert count > (600 if old_parser else 150)
