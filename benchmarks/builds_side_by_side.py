# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""What it is worth that builds on one GPU take turns: the same builds at once with and without.

    python examples/prepare.py demo
    python benchmarks/builds_side_by_side.py demo [--processes 3] [--precision FP16]

Starts several `classification_pyt gen_trt_engine` at the same moment, none with a timing cache: first as they are, one
build at a time, then each with a temporary folder of its own, where it sees no lock of the others. Prints the time
until the last one ends, and the latency of the engines, each measured afterwards on the idle GPU.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.engine_latency import latency  # noqa: E402


def main() -> int:
    """Print one line for each way, and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("demo", type=Path, help="folder that examples/prepare.py filled")
    parser.add_argument("--processes", type=int, default=3, help="builds at once")
    parser.add_argument("--precision", default="FP16")
    arguments = parser.parse_args()
    seconds = {}
    print(f"{'':14} {'all done after':>14} {'each builds for':>16} {'median latency, worst':>24}")
    for way in ("taking turns", "side by side"):
        with tempfile.TemporaryDirectory() as folder:
            seconds[way] = builds(arguments, Path(folder), apart=way == "side by side")
            rows = [latency(path, 1.0) for path in sorted(Path(folder).glob("*/model.engine"))]
        times = [row["p50"] for row in rows]
        each = statistics.median(row["build_seconds"] for row in rows)
        middle = statistics.median(times)
        print(f"{way:14} {seconds[way]:12.1f} s {each:14.1f} s {middle:11.3f} ms {max(times):8.3f} ms")
    print(f"side by side / taking turns: {seconds['side by side'] / seconds['taking turns']:.2f}")
    return 0


def builds(arguments: argparse.Namespace, folder: Path, apart: bool) -> float:
    """Seconds until all builds are done. Raises CalledProcessError when one fails."""
    start = time.perf_counter()
    running = []
    for index in range(arguments.processes):
        own = folder / str(index)
        own.mkdir()
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
        if apart:
            environment["TMPDIR"] = str(own)
        line = [
            sys.executable, "-m", "nvidia_tao_deploy", "classification_pyt", "gen_trt_engine",
            "-e", str(ROOT / "examples" / "specs" / "classification_pyt.yaml"), "gen_trt_engine.backend=tensorrt",
            f"gen_trt_engine.tensorrt.data_type={arguments.precision}", f"results_dir={own}",
            f"gen_trt_engine.trt_engine={own / 'model.engine'}",
        ]  # fmt: skip
        running.append(subprocess.Popen(line, cwd=arguments.demo.absolute().parent, env=environment,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))  # fmt: skip
    for process in running:
        output, _ = process.communicate()
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, process.args, output)
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
