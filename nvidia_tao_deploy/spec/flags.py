# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Options of commands whose specs are protobuf text: each is a spec key under a short name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nvidia_tao_deploy.errors import SpecError
from nvidia_tao_deploy.spec.workspace import SMALLEST_WORKSPACE

BUILD, EVALUATE, INFERENCE, DEFAULTS = "gen_trt_engine", "evaluate", "inference", "default_specs"
RUN = (EVALUATE, INFERENCE)
MB_PER_GB = 1024


@dataclass(frozen=True, slots=True)
class Assignment:
    """A value that the command line gives to a key.

    Attributes:
        text: option and value as typed, for messages.
        key: dotted spec key.
        value: text (the schema makes a number of it where the key is one), or whatever `Flag.convert` made of it.
    """

    text: str
    key: str
    value: Any


@dataclass(frozen=True, slots=True)
class Flag:
    """One option.

    Attributes:
        names: "-m", "--model_path"; the long one last.
        keys: subtask -> the spec key that it sets there; other subtasks do not have it.
        help: one line.
        metavar: word for its value in help texts; "" for a switch, which sets True.
        convert: text -> value; raises ValueError for a text that it cannot use.
    """

    names: tuple[str, ...]
    keys: Mapping[str, str]
    help: str
    metavar: str = "FILE"
    convert: Callable[[str], Any] | None = None

    @property
    def name(self) -> str:
        """The long name without dashes."""
        return self.names[-1].lstrip("-")

    def assignment(self, subtask: str, value: str | bool) -> Assignment:
        """What the option says in this subtask. Raises SpecError for a value that `convert` refuses."""
        shown = self.names[-1] if value is True else f"{self.names[-1]} {value}"
        if self.convert is None or isinstance(value, bool):
            return Assignment(shown, self.keys[subtask], value)
        try:
            return Assignment(shown, self.keys[subtask], self.convert(value))
        except ValueError as error:
            raise SpecError(f"Option {shown}: {error}") from error


def _megabytes(text: str) -> int:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value * MB_PER_GB < float("inf"):
        raise ValueError("expected a number of gigabytes above 0")
    return max(SMALLEST_WORKSPACE, int(value * MB_PER_GB))


def _gpus(text: str) -> list[int]:
    if not text.isdecimal():
        raise ValueError("expected the number of a GPU, from 0")
    return [int(text)]


def _engine(key: str, subtasks: tuple[str, ...] = RUN) -> dict[str, str]:
    return {subtask: f"{subtask}.{key}" for subtask in subtasks}


MODEL = Flag(
    ("-m", "--model_path"),
    {BUILD: "gen_trt_engine.onnx_file", **_engine("trt_engine")},
    "gen_trt_engine: the trained model (.onnx); otherwise the engine file, or an .onnx file",
)
RESULTS = Flag(
    ("-r", "--results_dir"),
    {**_engine("results_dir", (BUILD, *RUN)), DEFAULTS: "results_dir"},
    "folder for results, status.json and experiment.yaml",
    "FOLDER",
)
KEY = Flag(
    ("-k", "--key"),
    dict.fromkeys((BUILD, *RUN), "encryption_key"),  # evaluate and inference: out of habit, as training has it there
    "key of an encrypted model (.etlt); those cannot be read here",
    "KEY",
)
GPU = (
    Flag(("--gpu_index",), {BUILD: "gen_trt_engine.gpu_id"}, "GPU, counted among the visible ones", "N"),
    Flag(("--gpu_index",), _engine("gpu_ids"), "GPU, counted among the visible ones", "N", _gpus),
)
GPU_HABITS = ("--gpu", "--gpus", "--gpu_id", "--gpu_ids", "--num_gpus", "-g")
"""What other tools call it, TAO's training commands among them."""

BUILD_FLAGS = (
    Flag(("--engine_file",), {BUILD: "gen_trt_engine.trt_engine"}, "engine file to write"),
    Flag(("--data_type",), {BUILD: "gen_trt_engine.tensorrt.data_type"}, "precision: fp32, fp16 or int8", "TYPE"),
    *(
        Flag(
            (f"--{which}_batch_size",),
            {BUILD: f"gen_trt_engine.tensorrt.{which}_batch_size"},
            f"{meaning} batch of a model with an open batch axis (1)",
            "N",
        )
        for which, meaning in (("min", "smallest"), ("opt", "most usual"), ("max", "largest"))
    ),
    Flag(
        ("--max_workspace_size",),
        {BUILD: "gen_trt_engine.tensorrt.workspace_size"},
        "memory that the builder may use for one layer, in GB (2)",
        "GB",
        _megabytes,
    ),
    Flag(("-v", "--verbose"), {BUILD: "gen_trt_engine.verbose"}, "show the builder's verbose log", ""),
)
_CALIBRATION = "gen_trt_engine.tensorrt.calibration"
CALIBRATION_FLAGS = (
    Flag(("--cal_image_dir",), {BUILD: f"{_CALIBRATION}.cal_image_dir"}, "INT8: folder with pictures", "FOLDER"),
    Flag(("--cal_data_file",), {BUILD: f"{_CALIBRATION}.cal_data_file"}, "INT8: TensorFile, read or written"),
    Flag(("--cal_cache_file",), {BUILD: f"{_CALIBRATION}.cal_cache_file"}, "INT8: calibration cache, read or written"),
    Flag(("--batches",), {BUILD: f"{_CALIBRATION}.cal_batches"}, "INT8: number of calibration batches (10)", "N"),
    Flag(
        ("-s", "--strict_type_constraints"),
        {BUILD: "gen_trt_engine.tensorrt.strict_type_constraints"},
        "INT8 without FP16 for what is not INT8",
        "",
    ),
)
CALIBRATION_BATCH = f"{_CALIBRATION}.cal_batch_size"


def batch_flag(subtasks: tuple[str, ...] = RUN, calibration: bool = True) -> Flag:
    """`-b/--batch_size`: of evaluate and inference, and with `calibration` that of calibration batches."""
    keys = _engine("batch_size", subtasks)
    meaning = "pictures per batch (the spec's, else 1)"
    if calibration:
        keys[BUILD] = CALIBRATION_BATCH
        meaning += "; gen_trt_engine: of calibration (1)"
    return Flag(("-b", "--batch_size"), keys, meaning, "N")


def instead(option: str, subtask: str) -> str | None:
    """The key that an option of the other commands sets; None where there is no such option of the subtask."""
    option = GPU[0].names[0] if option in GPU_HABITS else option
    flags = (MODEL, RESULTS, KEY, *GPU, *BUILD_FLAGS, *CALIBRATION_FLAGS, batch_flag())
    return next((flag.keys[subtask] for flag in flags if option in flag.names and subtask in flag.keys), None)


def flag_for(flags: tuple[Flag, ...], key: str) -> Flag | None:
    """The option that sets a key."""
    return next((flag for flag in flags if key in flag.keys.values()), None)
