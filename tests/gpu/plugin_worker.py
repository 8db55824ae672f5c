# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Compares TensorRT's plugins with their replacements; run by test_plugins.py, one line of JSON per operator.

    python -m tests.gpu.plugin_worker RESULTS OPERATOR...

It is a process of its own because a fault inside a plugin ends the process or leaves the GPU context unusable; the
caller then goes on with the next operator.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime

from nvidia_tao_deploy.engine.contract import BuildPlan, Profile
from nvidia_tao_deploy.engine.tensorrt.backend import TensorRTBackend
from nvidia_tao_deploy.errors import TaoDeployError
from nvidia_tao_deploy.graph import plugins
from tests.graph.plugins import cases
from tests.graph.plugins.cases import Case

Outputs = dict[str, np.ndarray]
SPECIAL: dict[str, Callable[[], Iterator[Case]]] = {
    "VoxelGeneratorPlugin": lambda: cases.voxel_generator(crowded=False),
    "PillarScatterPlugin": lambda: cases.pillar_scatter(channels=64),
    "GenerateDetection_TRT": lambda: cases.generate_detection(batch=1),  # with more, the plugin is not used
}
PASSES = 2
"""How often the plugin gets the same inputs, each time elsewhere in memory: 10 inputs, 3 slots of the engine."""
COUNTS = ("NMS_1", "num", "labels", "coords")
"""Outputs that must be equal; NMS_1 holds integer bits in a float tensor."""


def main(results: str, operators: list[str]) -> None:
    backend = TensorRTBackend()
    for op in operators:
        start = time.monotonic()
        entry: dict[str, Any] = {"op": op, "runs": 0, "worst": 0.0, "wrong": []}
        try:
            compare(backend, op, entry)
        except Exception as error:  # whatever it is, it is this operator's result
            entry["error"] = f"{type(error).__name__}: {error}"
        entry["seconds"] = round(time.monotonic() - start, 1)
        with Path(results).open("a") as file:
            file.write(json.dumps(entry) + "\n")


def compare(backend: TensorRTBackend, op: str, entry: dict[str, Any]) -> None:
    """Run every case on the plugin and on its replacement, and note what differs."""
    for number, case in enumerate(SPECIAL.get(op, cases.ALL[op])()):
        ours = replaced(case)
        with engine(backend, case.model, native=True) as loaded:
            theirs = [[loaded.infer(feeds) for feeds in case.runs] for _ in range(PASSES)]
        for turn, found in enumerate(theirs):
            for index, (mine, reference) in enumerate(zip(ours, found, strict=True)):
                problem, worst = difference(op, mine, {name: np.array(value) for name, value in reference.items()})
                entry["worst"] = max(entry["worst"], worst)
                if problem:
                    entry["wrong"].append(f"{case.name}, inputs {index}, pass {turn}: {problem}")
        entry["runs"] += len(ours)
        if number == 0:
            entry["replacement_on_tensorrt"] = on_tensorrt(backend, case, ours)


def engine(backend: TensorRTBackend, model: onnx.ModelProto, native: bool = False) -> Any:
    """An engine; with `native`, one that must have kept the plugin."""
    profiles = {}
    for value in model.graph.input:
        dims = [dim.dim_value or -1 for dim in value.type.tensor_type.shape.dim]
        profiles[value.name] = Profile(*((size if dims[0] == -1 else dims[0], *dims[1:]) for size in (1, 2, 2)))
    built = backend.build(model, BuildPlan(profiles=profiles, tf32=False))
    assert not (native and built.details["plugin_rewrites"]), built.details["plugin_rewrites"]
    return backend.load(built.blob, Path("plugin.engine"))


def replaced(case: Case) -> list[Outputs]:
    """What the replacement computes on ONNX Runtime."""
    standard, _ = plugins.rewrite(case.model)
    session = onnxruntime.InferenceSession(standard.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return [dict(zip(names, session.run(names, feeds), strict=True)) for feeds in case.runs]


def on_tensorrt(backend: TensorRTBackend, case: Case, ours: list[Outputs]) -> str:
    """Whether the replacement computes the same when TensorRT runs it (it does so where there are no plugins)."""
    standard, _ = plugins.rewrite(case.model)
    try:
        with engine(backend, standard) as loaded:
            theirs = [loaded.infer(feeds) for feeds in case.runs]
    except TaoDeployError as error:
        return f"not built: {str(error)[:200]}"
    op = case.name.rsplit("-", 1)[0]
    for mine, reference in zip(ours, theirs, strict=True):
        problem, _ = difference(op, mine, {name: np.array(value) for name, value in reference.items()})
        if problem:
            return f"differs: {problem}"
    return "equal"


def difference(op: str, found: Outputs, wanted: Outputs) -> tuple[str, float]:
    """The first difference ("" for none), and the largest relative error of a float."""
    if op == "VoxelGeneratorPlugin":
        found, wanted = in_order(found), in_order(wanted)
    if op == "DecodeBbox3DPlugin":
        found, wanted = matched(found, wanted)
    worst = 0.0
    for name, value in wanted.items():
        mine = found[name]
        if mine.shape != value.shape or mine.dtype != value.dtype:
            return f"{name}: {mine.dtype}{mine.shape}, the plugin has {value.dtype}{value.shape}", worst
        if name in COUNTS:
            unequal = mine.view(np.int32) != value.view(np.int32)
            if unequal.any():
                return f"{name}: {int(unequal.sum())} of {value.size} differ", worst
            continue
        scale = np.maximum(np.abs(value), 0.1 * max(1.0, float(np.abs(value).max(initial=0.0))))
        error = float((np.abs(mine - value) / scale).max(initial=0.0))
        worst = max(worst, error)
        if not error <= 1e-4:
            place = np.unravel_index(int(np.argmax(np.abs(mine - value) / scale)), value.shape)
            return f"{name}{[int(i) for i in place]}: {mine[place]}, the plugin has {value[place]}", worst
    return "", worst


def in_order(outputs: Outputs) -> Outputs:
    """Pillars by row and column, points within a pillar by their values: the plugin's own order is that of threads."""
    voxels, coords = outputs["voxels"].copy(), outputs["coords"].copy()
    for n, count in enumerate(outputs["num"]):
        order = np.lexsort((coords[n, :count, 3], coords[n, :count, 2]))
        coords[n, :count], voxels[n, :count] = coords[n, order], voxels[n, order]
        coords[n, count:], voxels[n, count:] = 0, 0
        for pillar in voxels[n, :count]:
            pillar[:] = pillar[np.lexsort(pillar[:, :4].T)]
    return {"voxels": voxels, "coords": coords, "num": outputs["num"]}


def matched(found: Outputs, wanted: Outputs) -> tuple[Outputs, Outputs]:
    """The plugin's boxes in the order of ours: each takes the nearest that is left."""
    table = np.zeros_like(wanted["boxes"])
    for n, count in enumerate(wanted["num"]):
        rest = list(range(count))
        for row in range(min(int(count), int(found["num"][n]))):
            distances = np.abs(wanted["boxes"][n, rest] - found["boxes"][n, row]).sum(1)
            table[n, row] = wanted["boxes"][n, rest.pop(int(np.argmin(distances)))]
    return found, {"boxes": table, "num": wanted["num"]}


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
