# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""What benchmarks do with the example models: choose networks on the command line, calibrate, evaluate a change."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import onnx
import yaml

from benchmarks.precision import FIGURES, SPECS, figure, succeed
from nvidia_tao_deploy.graph.plugins import standard


def chosen(description: str, default: str) -> list[str]:
    """The networks that the command line names. Goes to the folder that the specs expect, with only warnings logged."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("demo", type=Path, help="folder that examples/prepare.py filled")
    parser.add_argument("--networks", default=default, help=f"of {','.join(FIGURES)}; default: {default}")
    arguments = parser.parse_args()
    networks: list[str] = arguments.networks.split(",")
    unknown = set(networks) - set(FIGURES)
    if unknown:
        parser.error(f"--networks: {', '.join(sorted(unknown))}; there are: {', '.join(FIGURES)}")
    os.environ.setdefault("TAO_LOGGING_LEVEL", "WARNING")
    os.chdir(arguments.demo.absolute().parent)
    if not Path("demo", "models").is_dir():
        parser.error(f"{arguments.demo}: the specs expect this folder to be named 'demo'")
    return networks


def calibrated(network: str, work: Path, *options: str) -> onnx.ModelProto:
    """The network's example model, without plugins; its INT8 calibration, with these `options`, is left in
    `work`/calibration.cache."""
    spec = SPECS / f"{network}.yaml"
    section = "gen_trt_engine.tensorrt"
    succeed(network, [
        "gen_trt_engine", "-e", str(spec), f"results_dir={work}", "gen_trt_engine.backend=onnxruntime",
        f"gen_trt_engine.trt_engine={work / 'model.engine'}", f"{section}.data_type=INT8",
        f"{section}.calibration.cal_cache_file={work / 'calibration.cache'}",
        *(f"{section}.calibration.{option}" for option in options),
    ])  # fmt: skip
    found = yaml.safe_load(spec.read_text(encoding="utf-8"))["gen_trt_engine"]["onnx_file"]
    return standard(onnx.load(found))


def evaluated(network: str, model: onnx.ModelProto, work: Path) -> float:
    """The accuracy figure of a model on ONNX Runtime, as it is; files go into `work`."""
    path = work / "model.onnx"
    path.write_bytes(model.SerializeToString())
    spec = SPECS / f"{network}.yaml"
    succeed(network, ["evaluate", "-e", str(spec), f"results_dir={work}", f"evaluate.trt_engine={path}"])
    return figure(network, work / "trt_evaluate" / "status.json")[1]
