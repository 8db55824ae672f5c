# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""mae, nvdinov2: self-supervised backbones, of which engines are built; what the outputs mean is the user's affair."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, List  # noqa: UP035  (see spec.common)

from nvidia_tao_deploy.data.pictures import PictureReader
from nvidia_tao_deploy.network import Network
from nvidia_tao_deploy.signature import Binding, Signature, Tensor
from nvidia_tao_deploy.spec.common import Experiment
from nvidia_tao_deploy.spec.fields import ignored, option, section
from nvidia_tao_deploy.transforms.picture import Normalise, PicturePrepare
from nvidia_tao_deploy.transforms.resize import CentreCrop
from nvidia_tao_deploy.transforms.statistics import IMAGENET_MEAN, IMAGENET_STD, pixel_statistics

# ruff: noqa: UP006
INPUT = "input"
CHANNELS = 3


@dataclass
class Augmentation:
    mean: List[float] = option(list(IMAGENET_MEAN), "INT8 and verify: mean per channel, for pixels 0..1")
    std: List[float] = option(list(IMAGENET_STD), "INT8 and verify: standard deviation per channel, for pixels 0..1")


@dataclass
class Dataset:
    augmentation: Augmentation = section(Augmentation)


@dataclass
class Spec(Experiment):
    evaluate: Any = ignored("only training reads it")
    inference: Any = ignored("only training reads it")


@dataclass
class SizedAugmentation(Augmentation):
    input_size: int = option(224, "height and width, for a model that leaves them open", minimum=1)


@dataclass
class MaeDataset:
    augmentation: SizedAugmentation = section(SizedAugmentation)


@dataclass
class MaeSpec(Spec):
    model: Any = ignored("the ONNX model says it all")
    dataset: MaeDataset = section(MaeDataset)


@dataclass
class Backbone:
    img_size: int = option(518, "height and width, for a model that leaves them open", minimum=1)


@dataclass
class Model:
    backbone: Backbone = section(Backbone)


@dataclass
class NvDinoSpec(Spec):
    model: Model = section(Model)
    dataset: Dataset = section(Dataset)


def signature(spec: Any) -> Signature:
    return Signature((Tensor(INPUT, ("B", "C", "H", "W"), meaning="RGB or grey, (x/255 - mean) / std"),), outputs=())


def _size(spec: Any) -> int:
    """Height and width where the model leaves them open."""
    return int(spec.model.backbone.img_size if isinstance(spec, NvDinoSpec) else spec.dataset.augmentation.input_size)


def prepare(spec: Any, binding: Binding, subtask: str, keep_picture: bool = False) -> PicturePrepare:
    """The usual preprocessing of such backbones: enlarge to cover size + 32, cut the middle, ImageNet's statistics."""
    info = binding.inputs[INPUT]
    channels, height, width = info.filled((CHANNELS, _size(spec), _size(spec)))
    augmentation = spec.dataset.augmentation
    mean, std = pixel_statistics(augmentation.mean, augmentation.std, channels, "dataset.augmentation")
    return PicturePrepare(
        input=info.name,
        shape=(channels, height, width),
        normalise=Normalise(mean, std),
        reader=PictureReader.for_channels(channels),
        resize=CentreCrop(margin=32, interpolation="bicubic"),
        keep_picture=keep_picture,
    )


def _network(name: str, summary: str, schema: type) -> Network:
    return Network(
        name=name,
        summary=summary,
        schema=schema,
        signature=signature,
        prepare=prepare,
        batch_size=lambda spec, subtask: 1,
        axes=lambda spec: {"C": (CHANNELS,) * 3, "H": (_size(spec),) * 3, "W": (_size(spec),) * 3},
        subtasks=("gen_trt_engine",),
    )


NETWORKS = {
    "mae": _network("mae", "masked auto-encoder backbones and what is fine-tuned from them (engines only)", MaeSpec),
    "nvdinov2": _network("nvdinov2", "DINOv2 backbones, feature extractors (engines only)", NvDinoSpec),
}
