# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Accuracy, size, build time and latency of the example networks in each precision, against FP32 of the same run.

    python examples/prepare.py demo
    python benchmarks/precision.py demo [--backend onnxruntime] [--networks classification_pyt,ocrnet] [--out FILE.json]

Every line is what the command line gives: `gen_trt_engine` with report=true, then `evaluate`. Columns: the network's
accuracy figure, its difference to FP32 in points, engine size and latency (p50 of the largest batch) over FP32's.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nvidia_tao_deploy import logs
from nvidia_tao_deploy.cli import main as command
from nvidia_tao_deploy.network import Table

SPECS = Path(__file__).resolve().parent.parent / "examples" / "specs"
FIGURES = {
    "classification_pyt": "top_1_accuracy",
    "deformable_detr": "AP",
    "dino": "AP",
    "rtdetr": "AP",
    "ocdnet": "F-measure",
    "ocrnet": "Accuracy",
}
VARIANTS: dict[str, tuple[str, ...]] = {
    "fp32": ("data_type=FP32",),
    "fp16": ("data_type=FP16",),
    "bf16": ("data_type=BF16",),
    "int8 entropy": ("data_type=INT8", "calibration.cal_algorithm=entropy"),
    "int8 minmax": ("data_type=INT8", "calibration.cal_algorithm=minmax"),
    "int8 percentile": ("data_type=INT8", "calibration.cal_algorithm=percentile"),
    "int8 qdq entropy": ("data_type=INT8", "calibration.cal_algorithm=entropy", "calibration.cal_route=qdq"),
    "int8 qdq minmax": ("data_type=INT8", "calibration.cal_algorithm=minmax", "calibration.cal_route=qdq"),
    "fp8": ("data_type=FP8",),
}
ROUNDED = {"fp16 rounded": "fp16", "bf16 rounded": "bf16"}
"""Not engines: the FP32 graph with operands and results rounded at every operator, as a GPU computes. ONNX Runtime on a
CPU computes chains of FP16 operators in FP32."""
DEFAULT = {
    "onnxruntime": ("fp32", "fp16 rounded", "bf16 rounded", "fp16", "int8 entropy", "int8 minmax", "int8 percentile"),
    "tensorrt": ("fp32", "fp16", "int8 entropy", "int8 minmax", "int8 qdq entropy", "int8 qdq minmax"),
}


@dataclass(frozen=True, slots=True)
class Result:
    """One network in one precision."""

    network: str
    variant: str
    figure: str
    accuracy: float
    engine_bytes: float
    build_seconds: float
    p50_ms: float


def rounded(network: str, variant: str, out: Path) -> Result:
    """Evaluate what rounding does to the FP32 engine of ONNX Runtime, an ONNX model. No size, no times: NaN."""
    import onnx

    from nvidia_tao_deploy.graph.precision import typed

    folder = out / network / variant.replace(" ", "_")
    folder.mkdir(parents=True, exist_ok=True)
    model = onnx.load(str(out / network / "fp32" / "model.engine"))
    onnx.save(typed(model, ROUNDED[variant], simulate=True)[0], str(folder / "model.onnx"))
    arguments = [f"results_dir={folder}", f"evaluate.trt_engine={folder / 'model.onnx'}"]
    succeed(network, ["evaluate", "-e", str(SPECS / f"{network}.yaml"), *arguments])
    name, value = figure(network, folder / "trt_evaluate" / "status.json")
    return Result(network, variant, name, value, math.nan, math.nan, math.nan)


def run(network: str, variant: str, backend: str, out: Path) -> Result:
    """Build and evaluate. Raises RuntimeError when a command fails."""
    if variant in ROUNDED:
        return rounded(network, variant, out)
    folder = out / network / variant.replace(" ", "_")
    engine = folder / "model.engine"
    spec = str(SPECS / f"{network}.yaml")
    options = [f"gen_trt_engine.tensorrt.{item}" for item in VARIANTS[variant]]
    options += [
        f"gen_trt_engine.trt_engine={engine}",
        f"gen_trt_engine.backend={backend}",
        f"gen_trt_engine.tensorrt.calibration.cal_cache_file={folder / 'calibration.cache'}",
        f"results_dir={folder}",
    ]
    succeed(network, ["gen_trt_engine", "-e", spec, *options, "gen_trt_engine.report=true"])
    succeed(network, ["evaluate", "-e", spec, f"results_dir={folder}", f"evaluate.trt_engine={engine}"])
    report = json.loads(engine.with_name("model.engine.report.json").read_text(encoding="utf-8"))
    tuned = report["latency_ms"][-1]
    facts = json.loads(engine.with_name("model.engine.json").read_text(encoding="utf-8"))
    name, value = figure(network, folder / "trt_evaluate" / "status.json")
    return Result(network, variant, name, value, report["engine_bytes"], facts["build_seconds"], tuned["p50"])


def figure(network: str, status: Path) -> tuple[str, float]:
    """The network's accuracy figure of the last evaluation."""
    lines = [json.loads(line) for line in status.read_text(encoding="utf-8").splitlines()]
    kpi: dict[str, float] = next(line["kpi"] for line in reversed(lines) if line.get("kpi"))
    return FIGURES[network], float(kpi[FIGURES[network]])


def succeed(network: str, arguments: list[str]) -> None:
    """Run a command; raises RuntimeError when it fails."""
    code = command(network, arguments)
    if code:
        raise RuntimeError(f"{network} {' '.join(arguments)}: exit code {code}")


def table(results: list[Result]) -> Table:
    """Results beside their network's FP32."""
    exact = {result.network: result for result in results if result.variant == "fp32"}
    rows: list[tuple[Any, ...]] = []
    for result in results:
        base = exact[result.network]
        rows.append(
            (
                result.network,
                result.variant,
                result.figure,
                result.accuracy,
                f"{100 * (result.accuracy - base.accuracy):+.2f}",
                *(
                    "-" if math.isnan(number) else f"{number:.2f}"
                    for number in (
                        result.engine_bytes / base.engine_bytes,
                        result.p50_ms / base.p50_ms,
                        result.build_seconds,
                    )
                ),
            )
        )
    columns = ("network", "precision", "figure", "value", "points to FP32", "size x FP32", "latency x FP32", "build s")
    return Table("Precision", columns, tuple(rows))


def main() -> int:
    """Run what is asked for, print the table, write the json file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("demo", type=Path, help="folder that examples/prepare.py filled")
    parser.add_argument("--backend", default="onnxruntime", choices=sorted(DEFAULT))
    parser.add_argument("--networks", default=",".join(FIGURES))
    parser.add_argument("--variants", default="", help=f"of {', '.join([*VARIANTS, *ROUNDED])}")
    parser.add_argument("--out", type=Path, help="write the figures here too")
    arguments = parser.parse_args()
    os.environ.setdefault("TAO_LOGGING_LEVEL", "WARNING")
    out = (arguments.demo / "results" / "precision").absolute()
    os.chdir(arguments.demo.absolute().parent)
    if not Path("demo", "models").is_dir():
        parser.error(f"{arguments.demo}: the specs expect this folder to be named 'demo'")
    variants = arguments.variants.split(",") if arguments.variants else DEFAULT[arguments.backend]
    results = [
        run(network, variant, arguments.backend, out)
        for network in arguments.networks.split(",")
        for variant in dict.fromkeys(("fp32", *variants))
    ]
    logs.show_table(table(results))
    if arguments.out:
        arguments.out.write_text(json.dumps([asdict(result) for result in results], indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
