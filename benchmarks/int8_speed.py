# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Is an INT8 engine faster than an FP16 one, and one with our Q/DQ pairs as fast as one by TensorRT's calibrator?

    python examples/prepare.py demo --only fashion_mnist
    python benchmarks/int8_speed.py demo [--backend tensorrt] [--batch 32] [--timing-cache FILE]

ResNet-50 with random weights, which is large enough that arithmetic counts, calibrated on the example pictures; engines
are built as the command line builds them. Q/DQ pairs cost time where they stand badly: a branch that is added to a
convolution without a pair of its own, for one, keeps TensorRT from fusing the sum. Exit code 1 when an INT8 engine is
slower than FP16's, or the Q/DQ one has less than --least of the other's speed. ONNX Runtime knows FP32 and Q/DQ only,
and is measured without claims.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import onnx

from benchmarks.engine_latency import latency, table
from benchmarks.resnet50 import resnet50
from benchmarks.timing import ROOT
from nvidia_tao_deploy import logs
from nvidia_tao_deploy.cli import main as command

SPEC = ROOT / "examples/specs/classification_pyt.yaml"
VARIANTS = {
    "fp32": ("data_type=FP32",),
    "fp16": ("data_type=FP16",),
    "int8 calibrator": ("data_type=INT8", "calibration.cal_route=calibrator"),
    "int8 qdq": ("data_type=INT8", "calibration.cal_route=qdq"),
}
KNOWN = {"tensorrt": tuple(VARIANTS), "onnxruntime": ("fp32", "int8 qdq")}


def build(variant: str, work: Path, arguments: argparse.Namespace) -> Path:
    """The engine of one variant; raises SystemExit where the build fails."""
    folder = work / variant.replace(" ", "_")
    words = [f"gen_trt_engine.tensorrt.{option}" for option in VARIANTS[variant]]
    words += [f"gen_trt_engine.tensorrt.{point}_batch_size={arguments.batch}" for point in ("opt", "max")]
    images, cache = arguments.demo / "data/fashion_mnist/images", folder / "calibration.cache"
    options = (f"cal_image_dir=[{images}]", f"cal_cache_file={cache}", "cal_batches=4", "cal_algorithm=minmax")
    words += [f"gen_trt_engine.tensorrt.calibration.{option}" for option in options]
    words += [f"results_dir={folder}", f"gen_trt_engine.onnx_file={work / 'resnet50.onnx'}"]
    words += [f"gen_trt_engine.trt_engine={folder / 'model.engine'}", f"gen_trt_engine.backend={arguments.backend}"]
    if arguments.timing_cache:
        words.append(f"gen_trt_engine.timing_cache={arguments.timing_cache.resolve()}")
    code = command("classification_pyt", ["gen_trt_engine", "-e", str(SPEC), *words])
    if code:
        raise SystemExit(f"{variant}: gen_trt_engine ended with {code}")
    return folder / "model.engine"


def main() -> int:
    """Build, measure, print the table; 0 when the claims hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("demo", type=Path, help="folder that examples/prepare.py filled")
    parser.add_argument("--backend", choices=tuple(KNOWN), default="tensorrt")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=3.0, help="time for each engine")
    parser.add_argument("--timing-cache", type=Path)
    parser.add_argument("--least", type=float, default=0.9, help="of the calibrator engine's speed")
    arguments = parser.parse_args()
    arguments.demo = arguments.demo.resolve()
    with tempfile.TemporaryDirectory(prefix="int8_speed") as folder:
        work = Path(folder)
        onnx.save(resnet50(), str(work / "resnet50.onnx"))
        engines = {variant: build(variant, work, arguments) for variant in KNOWN[arguments.backend]}
        rows = {variant: latency(engine, arguments.seconds) for variant, engine in engines.items()}
    logs.show_table(table(list(rows.values())))
    p50 = {variant: row["p50"] for variant, row in rows.items()}
    for variant in p50:
        print(f"{variant:16s} {p50[variant]:8.3f} ms   {p50['fp32'] / p50[variant]:.2f} times FP32's speed")
    if arguments.backend != "tensorrt":
        return 0
    ratio = p50["int8 calibrator"] / p50["int8 qdq"]
    print(f"Q/DQ has {ratio:.2f} of the calibrator engine's speed")
    return 0 if ratio >= arguments.least and max(p50["int8 calibrator"], p50["int8 qdq"]) < p50["fp16"] else 1


if __name__ == "__main__":
    sys.exit(main())
