# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""TensorRT RTX, which has no plugins and no NonMaxSuppression, builds every replacement; on the CPU."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.graph.plugins import cases

ROOT = Path(__file__).parents[3]
BUILD = """
import sys
from nvidia_tao_deploy.engine.contract import BuildPlan, Profile
from nvidia_tao_deploy.engine.tensorrt.backend import TensorRTRTXBackend
from tests.graph.plugins import cases

op, precision = sys.argv[1:]
model = cases.large(op) if op in cases.LARGE else next(iter(cases.ALL[op]())).model
profiles = {}
for value in model.graph.input:
    dims = [dim.dim_value or -1 for dim in value.type.tensor_type.shape.dim]
    profiles[value.name] = Profile(*((size if dims[0] == -1 else dims[0], *dims[1:]) for size in (1, 2, 4)))
built = TensorRTRTXBackend().build(model, BuildPlan(profiles=profiles, precision=precision))
print(len(built.blob), built.details["plugin_rewrites"])
"""


def build(op: str, precision: str) -> str:
    """Build in a process of its own, so that a fault of the compiler is a failure of this test alone."""
    done = subprocess.run(
        [sys.executable, "-c", BUILD, op, precision], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.rtx
@pytest.mark.parametrize("op", list(cases.ALL))
def test_rtx_builds_the_replacement(op: str) -> None:
    assert op in build(op, "fp32")


@pytest.mark.rtx
@pytest.mark.parametrize("op", list(cases.LARGE))
def test_rtx_builds_it_at_real_sizes_in_fp16(op: str) -> None:
    """More candidates than one of TensorRT's TopK layers takes, and tables as large as networks have them."""
    assert op in build(op, "fp16")
