# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""classification_tf2: single-label image classification of TAO's TensorFlow 2 (Keras) networks."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, List, Optional  # noqa: UP035  (see spec.common)

from nvidia_tao_deploy.data.pictures import PictureReader
from nvidia_tao_deploy.network import Evaluation, Inference, Network
from nvidia_tao_deploy.networks.parts.classification import (
    OPEN_SIZE,
    AnnotateKeys,
    fixed_axes,
    folder_evaluation,
    folder_inference,
)
from nvidia_tao_deploy.signature import Binding, Signature, Tensor
from nvidia_tao_deploy.spec.common import Experiment, GenTrtEngineSection, TaskSection, TensorRTSection
from nvidia_tao_deploy.spec.compose import require
from nvidia_tao_deploy.spec.fields import ignored, option, section
from nvidia_tao_deploy.spec.migrate import Migration, megabytes
from nvidia_tao_deploy.transforms.modes import CAFFE_MEAN, MODES, mode_normalise
from nvidia_tao_deploy.transforms.picture import PicturePrepare, picture_layout
from nvidia_tao_deploy.transforms.resize import CentreCrop, PillowStretch
from nvidia_tao_deploy.transforms.statistics import IMAGENET_MEAN

# ruff: noqa: UP006, UP045
logger = logging.getLogger(__name__)
INPUT, OUTPUT = "input:0", "Identity:0"
FORMATS = ("channels_first", "channels_last")


@dataclass
class Augmentation:
    enable_center_crop: bool = option(True, "enlarge to cover size + 32 and cut the middle; else stretch")


@dataclass
class Dataset:
    preprocess_mode: str = option("caffe", "normalisation that the model was trained with", choices=MODES)
    image_mean: List[float] = option(
        list(CAFFE_MEAN), "mean by channel, blue first for caffe; torch: RGB, above 1 stands for ImageNet's; tf: none"
    )
    augmentation: Augmentation = section(Augmentation)


@dataclass
class Model:
    input_channels: int = option(OPEN_SIZE[0], "channels, for a model that leaves them open", choices=(1, 3))
    input_height: int = option(OPEN_SIZE[1], "height, for a model that leaves it open", minimum=1)
    input_width: int = option(OPEN_SIZE[2], "width, for a model that leaves it open", minimum=1)
    resize_interpolation_method: str = option("bilinear", "how pictures are resized", choices=("bilinear", "bicubic"))
    input_image_depth: int = option(8, "bits of a pixel: 8, or 16 (grey only)", choices=(8, 16))


@dataclass
class Train:
    qat: Any = ignored("the model says so itself: it has Q/DQ nodes")


@dataclass
class Evaluate(TaskSection):
    dataset_path: str = option("", "one folder of pictures per class")
    batch_size: int = option(64, "pictures per batch", minimum=1)
    top_k: int = option(3, "a picture counts as right when its class is among so many best", minimum=1)
    classmap: Optional[str] = option("", "JSON {class: number}; without, folder names in alphabetical order")
    n_workers: Any = ignored("TAO_DEPLOY_WORKERS sets the number of reading threads")


@dataclass
class InferenceSection(TaskSection, AnnotateKeys):
    image_dir: str = option("", "folder with pictures, or one picture")
    batch_size: int = option(-1, "pictures per batch; below 1: evaluate.batch_size", minimum=-1)
    classmap: Optional[str] = option(
        "", "JSON {class: number}; without, folders of evaluate.dataset_path or image_dir if they fit, else numbers"
    )


@dataclass
class GenTrtEngine(GenTrtEngineSection):
    tensorrt: TensorRTSection = section(TensorRTSection, workspace_size=2048)  # as max_workspace_size: 2 (GB)


@dataclass
class Spec(Experiment):
    data_format: str = option(
        "channels_first", "layout of the model's input, where its shape does not tell", choices=FORMATS
    )
    dataset: Dataset = section(Dataset)
    model: Model = section(Model)
    train: Train = section(Train)
    evaluate: Evaluate = section(Evaluate)
    inference: InferenceSection = section(InferenceSection)
    gen_trt_engine: GenTrtEngine = section(GenTrtEngine)


def signature(spec: Spec) -> Signature:
    order = ("H", "W", "C") if spec.data_format == "channels_last" else ("C", "H", "W")
    return Signature(
        inputs=(Tensor(INPUT, ("B", *order), meaning="normalised by dataset.preprocess_mode"),),
        outputs=(Tensor(OUTPUT, ("B", "classes"), meaning="probability of each class"),),
    )


def open_size(spec: Spec) -> tuple[int, int, int]:
    """(C,H,W) for a model that leaves sizes open."""
    return spec.model.input_channels, spec.model.input_height, spec.model.input_width


def prepare(spec: Spec, binding: Binding, subtask: str, keep_picture: bool = False) -> PicturePrepare:
    info = binding.inputs[INPUT]
    asked = spec.data_format == "channels_last"
    shape, channels_last = picture_layout(info.settled, asked, open_size(spec))
    if channels_last != asked:
        logger.info("data_format is %s, but the model's input is %s: its shape decides", spec.data_format, info)
    depth, interpolation = spec.model.input_image_depth, spec.model.resize_interpolation_method
    reader = PictureReader("I") if depth == 16 and shape[0] == 1 else PictureReader.for_channels(shape[0])
    return PicturePrepare(
        input=info.name,
        shape=shape,
        normalise=mode_normalise(spec.dataset.preprocess_mode, _mean(spec), shape[0], depth, "dataset.image_mean"),
        reader=reader,
        resize=CentreCrop(32, interpolation) if spec.dataset.augmentation.enable_center_crop
        else PillowStretch(interpolation),
        keep_picture=keep_picture,
        channels_last=channels_last,
    )  # fmt: skip


def _mean(spec: Spec) -> list[float]:
    mean = list(spec.dataset.image_mean)
    given = spec.dataset.preprocess_mode == "torch" and mean and max(mean) <= 1
    if given and len(mean) == 3 and tuple(mean) != IMAGENET_MEAN:
        logger.warning(
            "dataset.image_mean: %s is used; TAO trains in torch mode with %s, whatever the spec says",
            mean, list(IMAGENET_MEAN),
        )  # fmt: skip
    return mean


def batch_size(spec: Spec, subtask: str) -> int:
    own = int(getattr(spec, subtask).batch_size)
    return own if own > 0 else spec.evaluate.batch_size


def evaluation(spec: Spec, binding: Binding) -> Evaluation:
    key = "evaluate.dataset_path"
    root, classmap = Path(require(spec, key)), spec.evaluate.classmap or ""
    return folder_evaluation(root, key, binding, OUTPUT, classmap, "evaluate.classmap", spec.evaluate.top_k)


def inference(spec: Spec, binding: Binding, results_dir: Path) -> Inference:
    key, keys = "inference.image_dir", spec.inference
    root = require(spec, key)
    folders = Path(spec.evaluate.dataset_path or root)
    return folder_inference(
        root, key, binding, OUTPUT, keys.classmap or "", "inference.classmap", keys, results_dir, folders
    )


_TENSORRT = "gen_trt_engine.tensorrt"
MIGRATIONS = (
    Migration(f"{_TENSORRT}.max_workspace_size", f"{_TENSORRT}.workspace_size", megabytes),
    *(
        Migration(f"gen_trt_engine.{name}", f"{_TENSORRT}.calibration.{name}")
        for name in ("cal_image_dir", "cal_cache_file", "cal_data_file")
    ),
    Migration("gen_trt_engine.batch_size", f"{_TENSORRT}.calibration.cal_batch_size"),
    Migration("gen_trt_engine.batches", f"{_TENSORRT}.calibration.cal_batches"),
    *(
        Migration(f"gen_trt_engine.{name}", f"{_TENSORRT}.{name}")
        for name in ("min_batch_size", "opt_batch_size", "max_batch_size", "data_type")
    ),
    Migration("inference.model_path", "inference.trt_engine"),
    Migration("evaluate.model_path", "evaluate.trt_engine"),
    Migration("verbose", "gen_trt_engine.verbose"),
)
"""Workspace in GB, and keys that stood elsewhere in releases 5.x and 6.x."""

NETWORKS = {
    "classification_tf2": Network(
        name="classification_tf2",
        summary="image classification (TensorFlow 2 networks)",
        schema=Spec,
        signature=signature,
        prepare=prepare,
        batch_size=batch_size,
        evaluation=evaluation,
        inference=inference,
        axes=lambda spec: fixed_axes(open_size(spec)),
        migrations=MIGRATIONS,
    )
}
