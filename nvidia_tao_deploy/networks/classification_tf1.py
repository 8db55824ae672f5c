# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""classification_tf1: single-label image classification of TAO's TensorFlow 1 networks, with protobuf-text specs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Dict  # noqa: UP035  (see spec.common)

from nvidia_tao_deploy.data.pictures import PictureReader
from nvidia_tao_deploy.errors import SpecError
from nvidia_tao_deploy.network import Evaluation, Inference, Network
from nvidia_tao_deploy.networks.parts.classification import (
    AnnotateKeys,
    InputSizeKey,
    fixed_axes,
    folder_evaluation,
    folder_inference,
    open_size,
)
from nvidia_tao_deploy.signature import Binding, Signature, Tensor
from nvidia_tao_deploy.spec.compose import require
from nvidia_tao_deploy.spec.fields import option, section
from nvidia_tao_deploy.spec.flagged import FlaggedExperiment, FlaggedTask
from nvidia_tao_deploy.spec.flags import (
    BUILD_FLAGS,
    CALIBRATION_FLAGS,
    GPU,
    KEY,
    MODEL,
    RESULTS,
    RUN,
    Flag,
    batch_flag,
)
from nvidia_tao_deploy.transforms.modes import MODES, mode_normalise
from nvidia_tao_deploy.transforms.picture import PicturePrepare, picture_layout
from nvidia_tao_deploy.transforms.resize import CentreCrop, PillowStretch

# ruff: noqa: UP006
INPUT, OUTPUT = "input_1", "predictions/Softmax"
INTERPOLATIONS = ("bilinear", "bicubic")
"""In the order of their numbers in the protobuf enumeration."""


@dataclass
class ModelConfig(InputSizeKey):
    resize_interpolation_method: str = option("bilinear", "how pictures are resized", choices=INTERPOLATIONS)


@dataclass
class TrainConfig:
    preprocess_mode: str = option("caffe", "normalisation that the model was trained with", choices=MODES)
    image_mean: Dict[str, float] = option(
        {}, "mean by channel, keys r, g, b (or l, for grey); without: the mode's own; for torch only if all are below 1"
    )


@dataclass
class EvalConfig:
    eval_dataset_path: str = option("", "one folder of pictures per class, where evaluate.image_dir is not set")
    top_k: int = option(5, "a picture counts as right when its class is among so many best", minimum=1)
    batch_size: int = option(1, "pictures per batch, unless the task's own batch_size is set", minimum=1)
    enable_center_crop: bool = option(False, "enlarge to cover size + 32 and cut the middle; else stretch")


@dataclass
class Evaluate(FlaggedTask):
    image_dir: str = option("", "one folder of pictures per class; without: eval_config.eval_dataset_path")
    classmap: str = option("", "JSON {class: number}; without, folder names in alphabetical order")


@dataclass
class InferenceSection(FlaggedTask, AnnotateKeys):
    image_dir: str = option("", "folder with pictures, or one picture")
    classmap: str = option("", "JSON {class: number}; without, folder names where they fit the model, else numbers")


@dataclass
class Spec(FlaggedExperiment):
    model_config: ModelConfig = section(ModelConfig)
    train_config: TrainConfig = section(TrainConfig)
    eval_config: EvalConfig = section(EvalConfig)
    evaluate: Evaluate = section(Evaluate)
    inference: InferenceSection = section(InferenceSection)


def signature(spec: Spec) -> Signature:
    return Signature(
        inputs=(Tensor(INPUT, ("B", "C", "H", "W"), meaning="normalised by train_config.preprocess_mode"),),
        outputs=(Tensor(OUTPUT, ("B", "classes"), meaning="probability of each class"),),
    )


def image_mean(spec: Spec) -> tuple[float, ...]:
    """The mean in the order blue, green, red, as training passes it on; () where none is given.

    Raises:
        SpecError: a channel is missing.
    """
    given = {str(name): value for name, value in spec.train_config.image_mean.items()}
    if set(given) == {"l"}:
        return (given["l"],)
    missing = [name for name in "rgb" if name not in given]
    if given and missing:
        raise SpecError(f"train_config.image_mean: no value for {', '.join(missing)}; expected the keys r, g and b")
    return tuple(given[name] for name in "bgr") if given else ()


def prepare(spec: Spec, binding: Binding, subtask: str, keep_picture: bool = False) -> PicturePrepare:
    info = binding.inputs[INPUT]
    shape, channels_last = picture_layout(info.settled, False, open_size(spec.model_config.input_image_size))
    interpolation = spec.model_config.resize_interpolation_method
    crop = spec.eval_config.enable_center_crop
    mode, key = spec.train_config.preprocess_mode or "caffe", "train_config.image_mean"
    return PicturePrepare(
        input=info.name,
        shape=shape,
        # in training, too, a mean that is given for torch comes without a standard deviation
        normalise=mode_normalise(mode, image_mean(spec), shape[0], key=key, divide=False),
        reader=PictureReader.for_channels(shape[0]),
        resize=CentreCrop(32, interpolation) if crop else PillowStretch(interpolation),
        keep_picture=keep_picture,
        channels_last=channels_last,
    )


def batch_size(spec: Spec, subtask: str) -> int:
    own = int(getattr(spec, subtask).batch_size)
    return own if own > 0 else spec.eval_config.batch_size


def evaluation(spec: Spec, binding: Binding) -> Evaluation:
    key = "evaluate.image_dir"
    root = spec.evaluate.image_dir or spec.eval_config.eval_dataset_path or require(spec, key)
    top_k = spec.eval_config.top_k
    return folder_evaluation(Path(root), key, binding, OUTPUT, spec.evaluate.classmap, "evaluate.classmap", top_k)


def inference(spec: Spec, binding: Binding, results_dir: Path) -> Inference:
    key = "inference.image_dir"
    root, keys = require(spec, key), spec.inference
    return folder_inference(root, key, binding, OUTPUT, keys.classmap, "inference.classmap", keys, results_dir)


FLAGS = (
    MODEL,
    KEY,
    RESULTS,
    *BUILD_FLAGS,
    *CALIBRATION_FLAGS,
    Flag(("-i", "--image_dir"), {task: f"{task}.image_dir" for task in RUN}, "pictures", "FOLDER"),
    batch_flag(),
    Flag(("-c", "--classmap"), {task: f"{task}.classmap" for task in RUN}, "JSON {class: number}"),
    *GPU,
)

NETWORKS = {
    "classification_tf1": Network(
        name="classification_tf1",
        summary="image classification (TensorFlow 1 networks, protobuf-text specs)",
        schema=Spec,
        signature=signature,
        prepare=prepare,
        batch_size=batch_size,
        evaluation=evaluation,
        inference=inference,
        axes=lambda spec: fixed_axes(open_size(spec.model_config.input_image_size)),
        flags=FLAGS,
    )
}
