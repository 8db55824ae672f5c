# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""What callers of engines wait for, one engine after the other on a machine that does nothing else.

    python benchmarks/engine_latency.py [--json FILE] ENGINE...

Each engine is loaded and gets one batch at a time, of the size that it was tuned for, on random numbers; copies to and
from the device count. Where several engines of one network are named, the last column is their speed over that of the
first of them. The json file beside each engine (`<engine>.json`) tells network, precision and profile.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from nvidia_tao_deploy import logs
from nvidia_tao_deploy.engine import backends
from nvidia_tao_deploy.network import Table
from nvidia_tao_deploy.tasks.report import measure


def main() -> int:
    """Measure, print the table, write the json file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engines", type=Path, nargs="+", metavar="ENGINE")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    parser.add_argument("--seconds", type=float, default=3.0, help="time for each engine")
    arguments = parser.parse_args()
    rows = [latency(path, arguments.seconds) for path in arguments.engines]
    logs.show_table(table(rows))
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    return 0


def latency(path: Path, seconds: float) -> dict[str, Any]:
    """Percentiles of one engine at its profile's optimum, and what its json file says of it."""
    facts = json.loads(path.with_name(f"{path.name}.json").read_text(encoding="utf-8"))
    random = np.random.default_rng(0)
    with backends.load_engine(path) as engine:
        tuned = {name: profile["opt"] for name, profile in facts["profiles"].items()}
        feeds = engine.buffers({info.name: tuple(tuned.get(info.name, info.shape)) for info in engine.inputs})
        for array in feeds.values():
            whole = array.dtype.kind in "iu"
            array[...] = random.integers(0, 255, array.shape) if whole else random.random(array.shape)
        found = measure(engine, "optimum", feeds, seconds)
    return {
        "engine": str(path),
        **{key: facts[key] for key in ("network", "backend", "precision", "engine_bytes", "build_seconds")},
        **found,
    }


def table(rows: list[dict[str, Any]]) -> Table:
    """One line per engine."""
    first: dict[str, float] = {}
    lines = []
    for row in rows:
        base = first.setdefault(row["network"], row["p50"])
        shape = ", ".join("x".join(map(str, shape)) for shape in row["shapes"].values())
        lines.append((row["network"], row["precision"], shape, row["engine_bytes"] / 1e6, row["build_seconds"],
                      row["p50"], row["p95"], row["p99"], f"{base / row['p50']:.2f}"))  # fmt: skip
    columns = ("network", "precision", "input", "engine MB", "build s", "p50 ms", "p95 ms", "p99 ms", "speed")
    return Table("Latency of one batch", columns, tuple(lines))


if __name__ == "__main__":
    sys.exit(main())
