# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""`gen_trt_engine.report`: latency at each point of the profile, the layers, and sizes of a new engine."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nvidia_tao_deploy import logs
from nvidia_tao_deploy.errors import DataError, EngineError
from nvidia_tao_deploy.files import to_json
from nvidia_tao_deploy.network import Table
from nvidia_tao_deploy.pipeline.reading import Reader
from nvidia_tao_deploy.tasks import trial
from nvidia_tao_deploy.tasks.context import Context

if TYPE_CHECKING:
    import numpy as np

    from nvidia_tao_deploy.engine.contract import Backend, BuildPlan, Built, Engine, LayerFacts
    from nvidia_tao_deploy.graph.model import Model

logger = logging.getLogger(__name__)
WARM_UP = 10
MOST_RUNS = 200
LEAST_RUNS = 20
SECONDS = 3.0
"""Time spent on one point of the profile, unless `LEAST_RUNS` take longer."""
SHOWN_LAYERS = 15
_POINTS = ("minimum", "optimum", "maximum")


def path_of(engine: Path) -> Path:
    """Where an engine's report is written."""
    return engine.with_name(f"{engine.name}.report.json")


def report(context: Context, model: Model, backend: Backend, built: Built, plan: BuildPlan, target: Path) -> str:
    """Measure, print tables, and return the json text.

    Latency is what a caller waits for one batch: copies to and from the device included, one batch at a time. An engine
    that cannot run here is reported without times, with a warning.
    """
    found: dict[str, Any] = {
        "engine_bytes": len(built.blob),
        "weight_bytes": weight_bytes(model),
        "latency_ms": [],
        "layers": [],
    }
    device = context.spec.gen_trt_engine.gpu_id
    try:
        with trial.loaded(backend, built.blob, target, device) as engine:
            rows = _real_rows(context, model, engine)
            points = profile_points(engine, plan)
            found["latency_ms"] = [
                measure(engine, name, _feeds(engine, shapes, rows), SECONDS) for name, shapes in points
            ]
            feeds = _feeds(engine, dict(points).get("optimum", points[0][1]), rows)
        layers = backend.layers(built.blob, target, feeds, device)
        found["layers"] = [_as_json(layer) for layer in layers]
    except EngineError as error:
        logger.warning("report: the engine cannot be run here, so there are no times: %s", error.message)
    _show(found)
    return to_json(found, indent=2) + "\n"


def weight_bytes(model: Model) -> int:
    """Bytes of the constants in the ONNX model."""
    from nvidia_tao_deploy.graph.model import proto_bytes

    return proto_bytes(model.proto)


def profile_points(engine: Engine, plan: BuildPlan) -> list[tuple[str, dict[str, tuple[int, ...]]]]:
    """(name, shape by input) of the profile's minimum, optimum and maximum, equal ones once."""
    points: list[tuple[str, dict[str, tuple[int, ...]]]] = []
    for name in _POINTS:
        shapes = {
            info.name: getattr(plan.profiles[info.name], name) if info.name in plan.profiles else info.shape
            for info in engine.inputs
        }
        if shapes not in [known for _, known in points]:
            points.append((name, shapes))
    return [("static" if len(points) == 1 else name, shapes) for name, shapes in points]


def _real_rows(context: Context, model: Model, engine: Engine) -> dict[str, np.ndarray]:
    """One real sample as the engine's input rows; empty when the spec names none."""
    import numpy as np

    try:
        plan = trial.plan(context, model, 1)
    except DataError as error:
        logger.info("report: latency is measured on zeros: %s", error.message)
        return {}
    signature = context.network.signature(context.spec)
    binding = signature.bind(engine.inputs, engine.outputs, model.source, EngineError, told=True)
    prepare = context.network.prepare(context.spec, binding, plan.subtask, False)
    reader = Reader(prepare, 1)
    try:
        reading = reader.start_single(plan.samples[0])
        reading.wait()
    finally:
        reader.close()
    return {name: np.asarray(array) for name, array in reading.buffers.items()}


def _feeds(
    engine: Engine, shapes: Mapping[str, tuple[int, ...]], rows: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Buffers of these shapes, filled with the real sample again and again where its size fits, else zeros."""
    buffers = engine.buffers(shapes)
    for name, buffer in buffers.items():
        if name in rows and rows[name].shape[1:] == buffer.shape[1:]:
            buffer[...] = rows[name]
    return buffers


def measure(engine: Engine, point: str, feeds: dict[str, np.ndarray], seconds: float) -> dict[str, Any]:
    """Percentiles of the latency of one batch, in milliseconds, of `LEAST_RUNS` to `MOST_RUNS` within `seconds`."""
    import numpy as np

    for _ in range(WARM_UP):
        engine.submit(feeds).result()
    times: list[float] = []
    start = time.perf_counter()
    while len(times) < LEAST_RUNS or (len(times) < MOST_RUNS and time.perf_counter() - start < seconds):
        before = time.perf_counter()
        engine.submit(feeds).result()
        times.append(1000 * (time.perf_counter() - before))
    p50, p95, p99 = np.percentile(times, [50, 95, 99])
    batch = max((array.shape[0] for array in feeds.values() if array.ndim), default=1)
    return {
        "point": point,
        "shapes": {name: list(array.shape) for name, array in feeds.items()},
        "runs": len(times),
        "p50": float(p50),
        "p95": float(p95),
        "p99": float(p99),
        "per_second": 1000 * batch / float(p50),
    }


def _as_json(layer: LayerFacts) -> dict[str, Any]:
    return {
        "name": layer.name,
        "kind": layer.kind,
        "precision": layer.precision,
        "format": layer.format,
        "milliseconds": layer.milliseconds,
    }


def _show(found: Mapping[str, Any]) -> None:
    sizes = f"engine {found['engine_bytes'] / 1e6:.2f} MB, weights of the model {found['weight_bytes'] / 1e6:.2f} MB"
    if found["latency_ms"]:
        rows = tuple(
            (
                item["point"],
                ", ".join("x".join(map(str, shape)) for shape in item["shapes"].values()),
                *(item[key] for key in ("p50", "p95", "p99")),
                round(item["per_second"]),
            )
            for item in found["latency_ms"]
        )
        columns = ("profile point", "input", "p50 ms", "p95 ms", "p99 ms", "samples/s")
        logs.show_table(Table(f"Latency of one batch ({sizes})", columns, rows))
    if found["layers"]:
        logs.show_table(_layer_table(found["layers"]))


def _layer_table(layers: list[dict[str, Any]]) -> Table:
    known = [layer for layer in layers if layer["milliseconds"] is not None]
    total = sum(layer["milliseconds"] for layer in known) or 1.0
    slowest = sorted(known, key=lambda layer: -layer["milliseconds"])[:SHOWN_LAYERS] or layers[:SHOWN_LAYERS]
    rows = tuple(
        (
            layer["name"][:60],
            layer["kind"],
            layer["precision"],
            layer["format"][:40] or "-",
            "-" if layer["milliseconds"] is None else f"{layer['milliseconds']:.4f}",
            "-" if layer["milliseconds"] is None else f"{100 * layer['milliseconds'] / total:.1f}",
        )
        for layer in slowest
    )
    title = f"Slowest {len(rows)} of {len(layers)} layers (all are in the report file)"
    return Table(title, ("layer", "kind", "precision", "format", "ms", "%"), rows)
