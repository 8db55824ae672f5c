# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""How long a command takes to answer before there is any work: help, a wrong key, a missing file.

    python benchmarks/start_up.py [--repeat 15]

Prints the median of each, in a process of its own as a user starts it, against its budget; exits 1 above a budget.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.timing import ROOT, as_installed

NETWORK = ["nvidia_tao_deploy", "rtdetr"]


def seconds(arguments: list[str], expected: int, environment: dict[str, str]) -> float:
    """Wall time of one start of a module; raises when the exit code is not the expected one."""
    start = time.perf_counter()
    line = [sys.executable, "-m", *arguments]
    done = subprocess.run(line, capture_output=True, text=True, cwd=ROOT, env=environment, check=False)
    if done.returncode != expected:
        raise SystemExit(f"{' '.join(line)}: exit code {done.returncode}, expected {expected}\n{done.stderr}")
    return time.perf_counter() - start


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeat", type=int, default=15, help="starts of each kind")
    repeat = parser.parse_args().repeat
    environment = as_installed()
    with tempfile.TemporaryDirectory() as folder:
        wrong, broken, fine = (Path(folder) / name for name in ("wrong.yaml", "broken.yaml", "fine.yaml"))
        wrong.write_text("evaluate:\n  trt_engin: x\n")
        broken.write_text("evaluate: [1\n")
        fine.write_text(f"results_dir: {folder}/results\nevaluate:\n  trt_engine: {folder}/nowhere.engine\n")
        cases = {
            "tao_deploy --help": (["tao_deploy", "--help"], 0, 0.15),
            "--help": ([*NETWORK, "--help"], 0, 0.25),
            "evaluate --help": ([*NETWORK, "evaluate", "--help"], 0, 0.25),
            "wrong key": ([*NETWORK, "evaluate", "-e", str(wrong)], 2, 1.5),
            "unreadable spec": ([*NETWORK, "evaluate", "-e", str(broken)], 2, 1.5),
            "missing spec": ([*NETWORK, "evaluate", "-e", f"{folder}/nowhere.yaml"], 2, 1.5),
            "missing engine": ([*NETWORK, "evaluate", "-e", str(fine)], 5, 1.5),
        }
        times: dict[str, list[float]] = {name: [] for name in cases}
        for _ in range(repeat):
            for name, (arguments, code, _) in cases.items():
                times[name].append(seconds(arguments, code, environment))
    late = False
    print(f"{NETWORK[1]} and tao_deploy, median of {repeat} starts (s)")
    for name, (_, _, budget) in cases.items():
        median = statistics.median(times[name])
        late |= median > budget
        print(f"  {name:18} {median:6.3f}   budget {budget:.2f}   {'ok' if median <= budget else 'TOO SLOW'}")
    return int(late)


if __name__ == "__main__":
    sys.exit(main())
