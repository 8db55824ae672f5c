# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""How much of a GPU's speed reaches the caller: an engine fed from host memory against bare CUDA graph replay.

Both run in one process on the same engine: ResNet-50 with random weights, or an engine given by name. "replay" queues
captured graphs of the engine back to back, without any copy; that is the most that the engine can do. "fed" submits
batches that lie in host memory and takes every result. Repetitions alternate, and the best of each counts.

    python benchmarks/gpu_engine.py [--engine FILE] [--precision fp16] [--batches 8 32 128 256] [--seconds 1.0]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from nvidia_tao_deploy.engine.contract import DYNAMIC, BuildPlan, Profile
from nvidia_tao_deploy.engine.tensorrt import cuda
from nvidia_tao_deploy.engine.tensorrt.backend import TensorRTBackend

RING = 4
"""Feed buffers in turn: one more than the engine holds in flight."""


def main() -> int:
    """Print one line per batch size; 0 when every ratio reaches --least."""
    arguments = parse()
    backend = TensorRTBackend()
    problem = backend.unavailable()
    if problem:
        print(f"not run: {problem}")
        return 1
    source, blob = engine_file(backend, arguments)
    print(f"{source}; GPU {cuda.device_facts(0)[0]}")
    print(f"{'batch':>6} {'replay/s':>10} {'fed/s':>10} {'ratio':>6} {'pageable/s':>11} {'ratio':>6}")
    worst = 1.0
    with backend.load(blob, source) as engine:
        for batch in arguments.batches:
            replay, fed, pageable = measure(engine, batch, arguments.seconds)
            worst = min(worst, fed / replay)
            print(
                f"{batch:6d} {batch * replay:10.0f} {batch * fed:10.0f} {fed / replay:6.3f} "
                f"{batch * pageable:11.0f} {pageable / replay:6.3f}"
            )
    print(f"worst ratio of fed to replay: {worst:.3f} (asked for: {arguments.least:.2f})")
    return 0 if worst >= arguments.least else 1


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engine", type=Path, help="TensorRT plan; default: ResNet-50 with random weights")
    parser.add_argument("--precision", default="fp16", choices=("fp32", "fp16"))
    parser.add_argument("--batches", type=int, nargs="+", default=[8, 32, 128, 256])
    parser.add_argument("--seconds", type=float, default=1.0, help="time for each measurement")
    parser.add_argument("--least", type=float, default=0.9, help="ratio below which the exit code is 1")
    return parser.parse_args()


def engine_file(backend: TensorRTBackend, arguments: argparse.Namespace) -> tuple[Path, bytes]:
    """(name, plan) to measure."""
    if arguments.engine:
        return arguments.engine, arguments.engine.read_bytes()
    from benchmarks.resnet50 import resnet50

    low, best, high = 1, max(arguments.batches), max(arguments.batches)
    bounds = [(size, 3, 224, 224) for size in (low, best, high)]
    start = time.perf_counter()
    built = backend.build(resnet50(), BuildPlan(arguments.precision, {"input": Profile(*bounds)}, workspace_mb=4096))
    print(f"built in {time.perf_counter() - start:.0f} s with TensorRT {built.details['tensorrt_version']}")
    return Path(f"resnet50-{arguments.precision}"), built.blob


def measure(engine: Any, batch: int, seconds: float) -> tuple[float, float, float]:
    """Batches per second: graph replay, fed from page-locked buffers, fed from ordinary arrays."""
    shapes = {info.name: (batch, *_sizes(info)) for info in engine.inputs}
    random = np.random.default_rng(0)
    ring = [engine.buffers(shapes) for _ in range(RING)]
    for feeds in ring:
        for array in feeds.values():
            array[...] = random.standard_normal(array.shape, np.float32)
    ordinary = [{name: array.copy() for name, array in feeds.items()} for feeds in ring]
    fed(engine, ring, 0.1)
    best = [0.0, 0.0, 0.0]
    for _ in range(3):
        best[0] = max(best[0], replay(engine, seconds))
        best[1] = max(best[1], fed(engine, ring, seconds))
    fed(engine, ordinary, 0.1)
    best[2] = fed(engine, ordinary, seconds)
    return best[0], best[1], best[2]


def _sizes(info: Any) -> tuple[int, ...]:
    return tuple(info.optimum[axis] if size == DYNAMIC else size for axis, size in enumerate(info.shape))[1:]


def replay(engine: Any, seconds: float) -> float:
    """Graphs per second, queued back to back; at most a few ahead, so that the end is sharp."""
    shaped = next(reversed(engine._shaped.values()))
    graphs = [graph for graph in shaped.graphs.values() if graph is not None]
    stream = cuda.stream()
    marks = deque(cuda.event() for _ in range(8))
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        cuda.call("cudaEventSynchronize", marks[0])
        cuda.call("cudaGraphLaunch", graphs[count % len(graphs)], stream)
        cuda.call("cudaEventRecord", marks[0], stream)
        marks.rotate(-1)
        count += 1
    cuda.call("cudaStreamSynchronize", stream)
    return count / (time.perf_counter() - start)


def fed(engine: Any, ring: list[dict[str, np.ndarray]], seconds: float) -> float:
    """Batches per second through `submit`, every result taken."""
    waiting: deque[Any] = deque()
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        if len(waiting) == engine.depth:
            waiting.popleft().result()
        waiting.append(engine.submit(ring[count % len(ring)]))
        count += 1
    while waiting:
        waiting.popleft().result()
    return count / (time.perf_counter() - start)


if __name__ == "__main__":
    sys.exit(main())
