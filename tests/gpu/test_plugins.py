# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""The replacements of TensorRT's plugins against the plugins themselves.

With the variable OUT set, the table goes to $OUT/plugins.json.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nvidia_tao_deploy.engine.tensorrt import dialect
from tests.graph.plugins import cases

ROOT = Path(__file__).parents[2]
SECONDS = 300
LIBRARIES = {"InstanceNormalization_TRT": ("libcudnn.so.8", "cudnnGetVersion"),
             "ModulatedDeformConv2d": ("libcublas.so.11", "cublasGetCudartVersion")}  # fmt: skip
"""Plugins that call other libraries: library, function that tells its version."""


@pytest.fixture(scope="module")
def registered() -> frozenset[str]:
    """Plugins that this TensorRT has."""
    found = dialect.load(dialect.TENSORRT)
    return found.plugin_names(found.trt.Logger(found.trt.Logger.ERROR))


@pytest.fixture(scope="module")
def results(
    request: pytest.FixtureRequest, registered: frozenset[str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, dict[str, Any]]]:
    """Operator (of those selected) -> what the worker found; one that ended the worker has an error saying so."""
    path = tmp_path_factory.mktemp("plugins") / "results.jsonl"
    path.touch()
    selected = {item.callspec.params.get("op") for item in request.session.items if hasattr(item, "callspec")}
    waiting = [op for op in cases.ALL if op in selected & registered and _library_missing(op) is None]
    found: dict[str, dict[str, Any]] = {}
    while waiting:
        command = [sys.executable, "-m", "tests.gpu.plugin_worker", str(path), *waiting]
        try:
            worker = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS)
            ended = f"the process ended with {worker.returncode}: {worker.stderr[-600:]}"
        except subprocess.TimeoutExpired:
            ended = f"no result after {SECONDS} s"
        found = {entry["op"]: entry for entry in map(json.loads, path.read_text().splitlines())}
        missing = [op for op in waiting if op not in found]
        if missing:
            with path.open("a") as file:
                file.write(json.dumps({"op": missing[0], "runs": 0, "wrong": [], "worst": 0.0, "error": ended}) + "\n")
        waiting = missing[1:]
    found = {entry["op"]: entry for entry in map(json.loads, path.read_text().splitlines())}
    _report(found, [op for op in cases.ALL if op in selected])
    yield found


def _library_missing(op: str) -> str | None:
    """Why a plugin cannot run here: a library that it calls is not here, or only a stand-in is."""
    if op not in LIBRARIES:
        return None
    name, function = LIBRARIES[op]
    try:
        ask = getattr(ctypes.CDLL(name), function)
    except (OSError, AttributeError) as error:
        return f"{name}: {error}"
    ask.restype = ctypes.c_size_t
    return None if int(ask()) >= 1000 else f"{name} is a stand-in"


def _report(found: dict[str, dict[str, Any]], selected: list[str]) -> None:
    table = []
    for op in selected:
        entry = found.get(op, {"op": op, "error": _library_missing(op) or "not registered"})
        table.append(entry)
        print(
            f"{op:<30} runs {entry.get('runs', 0):>3}  wrong {len(entry.get('wrong', [])):>2}  "
            f"worst {entry.get('worst', 0.0):.1e}  {entry.get('seconds', 0.0):>5} s  "
            f"replacement on TensorRT: {entry.get('replacement_on_tensorrt', '-')}  {entry.get('error', '')}"
        )
    if os.environ.get("OUT"):
        (Path(os.environ["OUT"]) / "plugins.json").write_text(json.dumps(table, indent=2) + "\n")


@pytest.mark.parametrize("op", list(cases.ALL))
def test_replacement_agrees_with_the_plugin(
    op: str, registered: frozenset[str], results: dict[str, dict[str, Any]]
) -> None:
    if op not in registered:
        pytest.skip(f"this TensorRT has no plugin {op}")
    missing = _library_missing(op)
    if missing is not None:
        pytest.skip(f"{op} needs a library: {missing}")
    entry = results[op]
    assert "error" not in entry, entry["error"]
    assert not entry["wrong"], "\n".join(entry["wrong"][:5])
    assert entry["runs"] >= (40 if op == "VoxelGeneratorPlugin" else 50)
