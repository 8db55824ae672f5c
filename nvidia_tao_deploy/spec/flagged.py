# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Spec sections of commands whose options set them: the defaults are those of the options."""

from __future__ import annotations

from dataclasses import dataclass

from nvidia_tao_deploy.spec.common import (
    CalibrationSection,
    Experiment,
    GenTrtEngineSection,
    TaskSection,
    TensorRTSection,
)
from nvidia_tao_deploy.spec.fields import option, section
from nvidia_tao_deploy.spec.workspace import LARGEST_WORKSPACE


@dataclass
class FlaggedCalibration(CalibrationSection):
    cal_batches: int = option(10, "number of calibration batches", minimum=1)


@dataclass
class FlaggedTensorRT(TensorRTSection):
    workspace_size: int = option(
        2048, "memory that the builder may use for one layer, in MB", minimum=1, maximum=LARGEST_WORKSPACE
    )
    calibration: FlaggedCalibration = section(FlaggedCalibration)


@dataclass
class FlaggedGenTrtEngine(GenTrtEngineSection):
    tensorrt: FlaggedTensorRT = section(FlaggedTensorRT)


@dataclass
class FlaggedTask(TaskSection):
    batch_size: int = option(-1, "pictures per batch; below 1: eval_config.batch_size, else 1", minimum=-1)


@dataclass
class FlaggedExperiment(Experiment):
    gen_trt_engine: FlaggedGenTrtEngine = section(FlaggedGenTrtEngine)
