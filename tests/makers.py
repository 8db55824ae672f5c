# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""What tests are made of: running commands, tiny models with known answers, pictures, status files.

Imported as `from tests.makers import ...`; the fixtures of `conftest.py` give the same to tests that want fixtures.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import yaml
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
COLOURS = {"blue": (20, 30, 220), "green": (10, 200, 40), "red": (230, 20, 30)}
"""Classes of `tiny_model` in alphabetical order, and a colour of each."""


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended: exit code, what it printed to stdout and stderr."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out + self.err


FOREIGN = ("TAO_", "JOB_ID", "CLOUD_BASED", "COLUMNS")
"""Starts of the names of variables that would change what a command under test does."""


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a command under test: this tree's code on ONNX Runtime, whatever is set outside."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    return {**kept, "PYTHONPATH": str(ROOT), "TAO_DEPLOY_BACKEND": "onnxruntime", **(extra or {})}


def command_line(network: str, subtask: str, *args: object) -> list[str]:
    return [sys.executable, "-m", "nvidia_tao_deploy", network, *([subtask] if subtask else []), *map(str, args)]


def run_command(
    network: str,
    subtask: str,
    *args: object,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    **more: Any,
) -> Ran:
    """Run a network command as a process of its own; `more` goes to subprocess.run."""
    done = subprocess.run(
        command_line(network, subtask, *args),
        capture_output=True, text=True, env=environment(env), cwd=cwd, timeout=120, check=False, **more,
    )  # fmt: skip
    return Ran(done.returncode, done.stdout, done.stderr)


def start_command(
    network: str, subtask: str, *args: object, env: Mapping[str, str] | None = None, **more: Any
) -> subprocess.Popen[str]:
    """Start a network command and return at once; its output goes to pipes."""
    pipe = subprocess.PIPE
    line = command_line(network, subtask, *args)
    return subprocess.Popen(line, stdout=pipe, stderr=pipe, text=True, env=environment(env), **more)


def run_here(network: str, subtask: str, *args: object) -> Ran:
    """Run a network command in this process (the front end's `main`): quicker, and Python's coverage sees it."""
    from nvidia_tao_deploy.cli import main

    out, err = io.StringIO(), io.StringIO()
    variables = {name: os.environ.get(name) for name in ("TAO_DEPLOY_BACKEND",)}
    os.environ["TAO_DEPLOY_BACKEND"] = "onnxruntime"
    try:
        with logging_as_before(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(network, [*([subtask] if subtask else []), *map(str, args)])
    finally:
        for name, value in variables.items():
            os.environ.pop(name)
            os.environ.update({name: value} if value is not None else {})
    return Ran(code, out.getvalue(), err.getvalue())


@contextlib.contextmanager
def logging_as_before() -> Iterator[None]:
    """Undo what a command does to logging, for the tests that follow."""
    root = logging.getLogger("nvidia_tao_deploy")
    handlers, level, propagate, raising = list(root.handlers), root.level, root.propagate, logging.raiseExceptions
    try:
        yield
    finally:
        root.handlers[:], root.propagate, logging.raiseExceptions = handlers, propagate, raising
        root.setLevel(level)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def strict_json(text: str) -> Any:
    """Parse JSON as the standard has it: no NaN, no Infinity."""
    return json.loads(text, parse_constant=_no_constant)


def status_lines(folder: Path) -> list[dict[str, Any]]:
    """The lines of a task's status.json; each must be one JSON object with TAO's keys."""
    lines = [strict_json(line) for line in (folder / "status.json").read_text(encoding="utf-8").splitlines()]
    for line in lines:
        assert {"date", "time", "status", "verbosity"} <= set(line)
    return lines


def write_yaml(path: Path, tree: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(tree), encoding="utf-8")
    return path


def score_module() -> ModuleType:
    """examples/score.py: the examples' figures, computed apart from the package."""
    spec = importlib.util.spec_from_file_location("examples_score", ROOT / "examples/score.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def tiny_model(
    path: Path,
    *,
    batch: int | str = "batch",
    size: int | str = 16,
    columns: int = 3,
    names: tuple[str, str] = ("input", "output"),
    opset: int = 17,
    head: str = "logits",
    ballast: int = 0,
) -> Path:
    """A classifier of colours with a known answer: blue, green and red score 10 times the mean of their channel.

    Args:
        path: where the .onnx goes.
        batch, size: sizes, or symbols for open axes. The input is (batch, 3, size, size), ImageNet-normalised RGB.
        columns: 3; or 1 for a binary model whose score is that of "red" (its logit 20 * (red - 0.5)).
        names: of the input and the output.
        opset: version of the standard operators.
        head: "logits", "softmax", "sigmoid", or "nan" (a model that overflows).
        ballast: bytes of weights that do nothing, for tests that need a large file.
    """
    rows = [[0, 0, 10], [0, 10, 0], [10, 0, 0]] if columns == 3 else [[20, 0, 0]]
    constants = {
        "mean": np.array(MEAN, np.float32).reshape(1, 3, 1, 1),
        "std": np.array(STD, np.float32).reshape(1, 3, 1, 1),
        "weight": np.array(rows, np.float32).T,
        "offset": np.full(len(rows), -10 if columns == 1 else 0, np.float32),
    }
    if ballast:
        constants["ballast"] = np.random.default_rng(0).integers(0, 255, ballast, np.uint8)
    nodes = [
        helper.make_node("Mul", [names[0], "std"], ["scaled"]),
        helper.make_node("Add", ["scaled", "mean"], ["pixels"]),
        helper.make_node("GlobalAveragePool", ["pixels"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weight"], ["product"]),
        helper.make_node("Add", ["product", "offset"], ["logits"]),
    ]
    last = {
        "logits": [helper.make_node("Identity", ["logits"], [names[1]])],
        "softmax": [helper.make_node("Softmax", ["logits"], [names[1]], axis=1)],
        "sigmoid": [
            helper.make_node("Sigmoid", ["logits"], ["chance"]),
            helper.make_node("Identity", ["chance"], [names[1]]),
        ],
        "nan": [
            helper.make_node("Neg", ["logits"], ["negative"]),
            helper.make_node("Log", ["negative"], [names[1]]),
        ],
    }
    graph = helper.make_graph(
        nodes + last[head],
        "tiny",
        [helper.make_tensor_value_info(names[0], TensorProto.FLOAT, [batch, 3, size, size])],
        [helper.make_tensor_value_info(names[1], TensorProto.FLOAT, [batch, columns])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(path))
    return path


def picture(path: Path, colour: Sequence[int] = (230, 20, 30), size: tuple[int, int] = (24, 24), **save: Any) -> Path:
    """A picture file of one colour; `size` is (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, tuple(colour)).save(path, **save)
    return path


def noise(path: Path, size: tuple[int, int] = (40, 30), seed: int = 0, **save: Any) -> Path:
    """A picture file of random colours; `size` is (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(pixels).save(path, **save)
    return path


def colour_folders(root: Path, per_class: int = 3) -> Path:
    """`root/<class>/<number>.png` for the classes of `tiny_model`."""
    for name, colour in COLOURS.items():
        for index in range(per_class):
            shade = [max(0, value - 3 * index) for value in colour]
            picture(root / name / f"{index}.png", shade)
    return root
