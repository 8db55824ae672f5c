# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""What ONNX Runtime makes of a model: nodes after its optimisation, and their times by its own profiler."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nvidia_tao_deploy.engine.contract import LayerFacts
from nvidia_tao_deploy.errors import EngineError

ROUNDS = 10
_PRECISIONS = {
    "float": "fp32", "float16": "fp16", "bfloat16": "bf16", "int8": "int8", "uint8": "int8", "float8e4m3fn": "fp8",
    "double": "fp64",
}  # fmt: skip


def layers(blob: bytes, source: Path, feeds: Mapping[str, np.ndarray]) -> list[LayerFacts]:
    """Nodes in order of execution, with the mean time of each for a batch of `feeds`.

    A node's precision is the type of its first output. Raises EngineError when the model cannot be run.
    """
    from nvidia_tao_deploy.engine.onnxruntime.backend import session

    with tempfile.TemporaryDirectory(prefix="tao_deploy_") as folder:
        try:
            profiled = session(blob, profile=str(Path(folder) / "profile"))
            for _ in range(ROUNDS + 1):
                profiled.run(None, dict(feeds))
            events = json.loads(Path(profiled.end_profiling()).read_text(encoding="utf-8"))
        except Exception as error:  # onnxruntime raises classes of its own
            raise EngineError(f"{source}: cannot be profiled: {' '.join(str(error).split())[:200]}") from error
    return _collect(events)


def _collect(events: list[dict[str, Any]]) -> list[LayerFacts]:
    times: dict[str, list[float]] = {}
    about: dict[str, dict[str, Any]] = {}
    for event in events:
        name = str(event.get("name", ""))
        if event.get("cat") != "Node" or not name.endswith("_kernel_time"):
            continue
        node = name.removesuffix("_kernel_time")
        times.setdefault(node, []).append(event["dur"] / 1000.0)
        about[node] = event.get("args", {})
    return [_facts(node, about[node], values) for node, values in times.items()]


def _facts(node: str, about: dict[str, Any], times: list[float]) -> LayerFacts:
    shapes = about.get("output_type_shape") or [{}]
    kind, shape = next(iter(shapes[0].items()), ("", []))
    steady = times[1:] or times  # the first run prepares
    return LayerFacts(
        name=node,
        kind=str(about.get("op_name", "")),
        precision=_PRECISIONS.get(kind, kind),
        format="x".join(map(str, shape)),
        milliseconds=sum(steady) / len(steady),
    )
