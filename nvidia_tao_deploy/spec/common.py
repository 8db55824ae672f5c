# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Spec sections that all networks share. Networks subclass them where a default or a key differs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, List, Optional  # noqa: UP035  (OmegaConf reads these annotations on Python 3.10 too)

from nvidia_tao_deploy.spec.fields import MISSING, ignored, option, section
from nvidia_tao_deploy.spec.workspace import LARGEST_WORKSPACE

# OmegaConf resolves annotations at run time: `Optional[str]` and `List[int]` are the forms that it knows everywhere.
# ruff: noqa: UP006, UP045

DATA_TYPES = ("FP32", "FP16", "BF16", "INT8", "FP8")
CALIBRATION_ALGORITHMS = ("entropy", "minmax", "percentile")
CALIBRATION_ROUTES = ("auto", "calibrator", "qdq")
BACKENDS = ("auto", "tensorrt", "tensorrt_rtx", "onnxruntime")


@dataclass
class CalibrationSection:
    """INT8 calibration."""

    cal_image_dir: List[str] = option([], "folders with pictures to calibrate with (searched recursively)")
    cal_cache_file: Optional[str] = option(None, "calibration cache: read when it fits the model, else written")
    cal_batch_size: int = option(1, "pictures per calibration batch", minimum=1)
    cal_batches: int = option(1, "number of calibration batches", minimum=1)
    cal_algorithm: str = option(
        "entropy",
        "how a range is chosen: least information loss, largest value, or cal_percentile",
        choices=CALIBRATION_ALGORITHMS,
    )
    cal_route: str = option(
        "auto",
        "calibrator: TensorRT's own; qdq: Q/DQ nodes in the graph; auto: calibrator where TensorRT has it",
        choices=CALIBRATION_ROUTES,
    )
    cal_percentile: float = option(99.99, "percent of values within the range, for percentile", minimum=50, maximum=100)
    cal_seed: int = option(0, "decides which pictures are taken: same seed, same pictures")
    cal_force: bool = option(False, "calibrate again although the cache fits")
    cal_data_file: Optional[str] = option(
        None, "TensorFile (HDF5) with prepared batches: read when it exists, else written from cal_image_dir"
    )
    cal_json_file: Optional[str] = option(None, "json with tensor_scales from quantisation-aware training")
    force_ptq: bool = option(False, "calibrate although cal_json_file is given")


@dataclass
class AutoLayersSection:
    """Search for the layers that low precision hurts; keeps them in another precision and prints the list."""

    enabled: bool = option(False, "search before building")
    budget: float = option(0.01, "loss allowed: share of predictions that change, or drop of the metric", minimum=0)
    metric: str = option(
        "agreement",
        "agreement: with the FP32 model's predictions; kpi: evaluate's first figure (needs its labels)",
        choices=("agreement", "kpi"),
    )
    samples: int = option(256, "pictures to judge with", minimum=1)
    dtype: str = option(
        "FP16", "precision of the layers kept out of INT8 and FP8; FP16 and BF16 engines keep them in FP32",
        choices=("FP16", "FP32"),
    )  # fmt: skip


@dataclass
class TensorRTSection:
    """How the engine is built."""

    data_type: str = option("FP32", "precision of the engine", choices=DATA_TYPES)
    workspace_size: int = option(
        1024, "memory that the builder may use for one layer, in MB", minimum=1, maximum=LARGEST_WORKSPACE
    )
    min_batch_size: int = option(1, "smallest batch (model with an open batch axis)", minimum=1)
    opt_batch_size: int = option(1, "batch size that the engine is tuned for", minimum=1)
    max_batch_size: int = option(1, "largest batch", minimum=1)
    layers_precision: List[str] = option([], "layers to keep in another precision, 'name:dtype'; '*' matches any text")
    tactic_sources: Optional[List[str]] = option(
        None, "libraries that TensorRT may take kernels from, e.g. [CUBLAS, CUDNN]; null: TensorRT's own default"
    )
    strict_type_constraints: bool = option(False, "INT8 without FP16 for what is not INT8; layer precisions preferred")
    tf32: bool = option(True, "let FP32 layers use TF32 on GPUs that have it (TensorRT's default)")
    calibration: CalibrationSection = section(CalibrationSection)
    auto_layers_precision: AutoLayersSection = section(AutoLayersSection)


@dataclass
class GenTrtEngineSection:
    """`gen_trt_engine`: ONNX model -> engine."""

    onnx_file: str = option(MISSING, "the trained model (.onnx)")
    trt_engine: str = option(MISSING, "engine file to write")
    results_dir: Optional[str] = option(None, "folder for logs of this task; default <results_dir>/gen_trt_engine")
    backend: str = option("auto", "what to build for", choices=BACKENDS)
    gpu_id: int = option(0, "GPU to build on, counted among the visible ones", minimum=0)
    timing_cache: Optional[str] = option(
        None, "timing cache: makes later builds faster; read when present, updated after each build"
    )
    batch_size: int = option(
        -1, "fixed batch for a model with an open batch axis; no effect where tensorrt.*_batch_size say otherwise"
    )
    plugins: List[str] = option(
        [], "libraries (.so) with TensorRT plugins of your own; evaluate and inference load them, too"
    )
    verbose: bool = option(False, "show the builder's verbose log")
    verify: bool = option(False, "run the new engine and the FP32 model on real pictures; keep it only if they agree")
    verify_samples: int = option(64, "pictures for verify", minimum=1)
    verify_agreement: float = option(0.9, "least share of predictions that must agree", minimum=0, maximum=1)
    verify_cosine: float = option(
        0.99, "least cosine of each output, where predictions cannot be decoded", minimum=0, maximum=1
    )
    report: bool = option(False, "measure latency and layers; table, and <trt_engine>.report.json")
    input_channel: Any = ignored("the model decides")
    input_width: Any = ignored("the model decides")
    input_height: Any = ignored("the model decides")
    opset_version: Any = ignored("the model says so itself")
    tensorrt: TensorRTSection = section(TensorRTSection)


@dataclass
class TaskSection:
    """Keys that `evaluate` and `inference` share."""

    trt_engine: Optional[str] = option(None, "engine file, or an .onnx file to run with ONNX Runtime")
    results_dir: Optional[str] = option(None, "folder for the results of this task; default below the top results_dir")
    gpu_ids: List[int] = option([0], "GPU to run on, counted among the visible ones; of several the highest")
    num_gpus: int = option(1, "number of GPUs (one is used)", minimum=1)
    batch_size: int = option(-1, "pictures per batch; -1: dataset.batch_size", minimum=-1)
    checkpoint: Any = ignored("only training reads it")
    num_nodes: Any = ignored("only training reads it")
    is_quantized: Any = ignored("the engine says so itself")


@dataclass
class Experiment:
    """Top level of every spec."""

    results_dir: str = option("", "root folder of results: <results_dir>/{gen_trt_engine,trt_evaluate,trt_inference}")
    encryption_key: Optional[str] = option(None, "key of an encrypted model (.etlt); those cannot be read here")
    model_name: Any = ignored("the command says it")
    gen_trt_engine: GenTrtEngineSection = section(GenTrtEngineSection)
