# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""segformer: a class for every pixel of a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, List, Optional  # noqa: UP035  (see spec.common)

from nvidia_tao_deploy.data.mask_folders import masked_samples
from nvidia_tao_deploy.data.masks import MaskReader
from nvidia_tao_deploy.data.pictures import picture_samples
from nvidia_tao_deploy.decode.segmentation import SIZES, DecodeSegmentation
from nvidia_tao_deploy.engine.contract import DYNAMIC
from nvidia_tao_deploy.errors import SpecError
from nvidia_tao_deploy.network import Evaluation, Inference, Network, Sample, Writer
from nvidia_tao_deploy.networks.parts.segmentation import ClassTable, class_table, read_palette
from nvidia_tao_deploy.signature import FLOATS, Binding, Signature, Tensor
from nvidia_tao_deploy.spec.common import Experiment, TaskSection
from nvidia_tao_deploy.spec.compose import require
from nvidia_tao_deploy.spec.fields import MISSING, ignored, option, section
from nvidia_tao_deploy.spec.migrate import Migration
from nvidia_tao_deploy.transforms.masks import MaskedPrepare, TargetMasks
from nvidia_tao_deploy.transforms.picture import Normalise
from nvidia_tao_deploy.transforms.resize import PillowStretch
from nvidia_tao_deploy.transforms.statistics import pixel_statistics

# ruff: noqa: UP006, UP045
INPUT, OUTPUT = "input", "output"
SEGMENT = "dataset.segment"
PALETTE = f"{SEGMENT}.palette"
DEFAULT_PALETTE = [
    {"seg_class": "foreground", "label_id": 0, "mapping_class": "foreground", "rgb": [0, 0, 0]},
    {"seg_class": "background", "label_id": 1, "mapping_class": "background", "rgb": [1, 1, 1]},
]


@dataclass
class Augmentation:
    mean: List[float] = option([0.5, 0.5, 0.5], "mean per channel (RGB), for pixels 0..1")
    std: List[float] = option([0.5, 0.5, 0.5], "standard deviation per channel (RGB), for pixels 0..1")
    random_flip: Any = ignored("only training reads it")
    random_rotate: Any = ignored("only training reads it")
    random_color: Any = ignored("only training reads it")
    with_scale_random_crop: Any = ignored("only training reads it")
    with_random_crop: Any = ignored("only training reads it")
    with_random_blur: Any = ignored("only training reads it")


@dataclass
class Segment:
    root_dir: Optional[str] = option(
        "", "folder of the data set: pictures in images/<split>/, masks of the same names in masks/<split>/"
    )
    validation_split: str = option("val", "split for evaluate")
    predict_split: str = option("test", "split for inference")
    images_dir: Optional[str] = option(None, "folder of pictures, in place of <root_dir>/images/<split>")
    masks_dir: Optional[str] = option(None, "folder of masks, in place of <root_dir>/masks/<split>")
    palette: Any = option(
        DEFAULT_PALETTE,
        "the classes: seg_class, label_id (its value in masks), mapping_class (the class it counts as), rgb",
    )
    label_transform: Optional[str] = option(
        "norm",
        "norm: masks are 0 and 255, which are label_id 0 and 1; none: masks hold label_id",
        choices=("norm", "none"),
    )
    batch_size: int = option(-1, "pictures per batch, unless the task's own batch_size is set; -1: 1", minimum=-1)
    img_size: int = option(512, "height and width, for a model that leaves them open", minimum=1)
    augmentation: Augmentation = section(Augmentation)
    dataset: Any = ignored("there is one kind")
    num_classes: Any = ignored("the palette says it")
    workers: Any = ignored("all cores read")
    shuffle: Any = ignored("only training reads it")
    train_split: Any = ignored("only training reads it")
    test_split: Any = ignored("evaluate reads validation_split, inference predict_split")
    quant_calibration_dataset: Any = ignored("gen_trt_engine.tensorrt.calibration says what to calibrate with")


@dataclass
class Dataset:
    segment: Segment = section(Segment)
    # of releases up to 6.25
    data_root: Any = ignored("images_dir and masks_dir of dataset.segment say where pictures are")
    img_norm_cfg: Any = ignored("dataset.segment.augmentation has mean and std")
    train_dataset: Any = ignored("only training reads it")
    val_dataset: Any = ignored("only training reads it")
    test_dataset: Any = ignored("pictures are stretched to the model's size")
    workers_per_gpu: Any = ignored("all cores read")
    shuffle: Any = ignored("only training reads it")


@dataclass
class Evaluate(TaskSection):
    batch_size: int = option(-1, "pictures per batch; -1: dataset.segment.batch_size", minimum=-1)
    map_size: str = option(
        "original",
        "score at the pictures' size (maps enlarged, nearest) or at the network's (masks reduced)",
        choices=SIZES,
    )
    vis_after_n_batches: Any = ignored("evaluate writes no pictures")


@dataclass
class Infer(TaskSection):
    batch_size: int = option(-1, "pictures per batch; -1: dataset.segment.batch_size", minimum=-1)
    map_size: str = option("original", "size of the maps and pictures written", choices=SIZES)
    vis_after_n_batches: Any = ignored("every picture is written")


@dataclass
class Spec(Experiment):
    dataset: Dataset = section(Dataset)
    model: Any = ignored("the model file says it")
    evaluate: Evaluate = section(Evaluate)
    inference: Infer = section(Infer)


def signature(spec: Spec) -> Signature:
    return Signature(
        inputs=(Tensor(INPUT, ("B", 3, "H", "W"), meaning="RGB, (x/255 - mean) / std"),),
        outputs=(
            Tensor(
                OUTPUT, ("B", "classes", "h", "w"), (*FLOATS, "int32", "int64"),
                meaning="logits per class and pixel, at the input's size or a part of it; one channel: class numbers",
            ),
        ),
    )  # fmt: skip


def table(spec: Spec) -> ClassTable:
    return class_table(read_palette(spec.dataset.segment.palette, PALETTE), PALETTE)


def shape(spec: Spec, binding: Binding) -> tuple[int, int, int]:
    """(C,H,W) of the network's input."""
    size = spec.dataset.segment.img_size
    channels, height, width = binding.inputs[INPUT].filled((3, size, size))
    return channels, height, width


def prepare(spec: Spec, binding: Binding, subtask: str, keep_picture: bool = False) -> MaskedPrepare:
    given, (channels, height, width) = spec.dataset.segment.augmentation, shape(spec, binding)
    mean, std = pixel_statistics(given.mean, given.std, channels, f"{SEGMENT}.augmentation")
    size = (height, width) if spec.evaluate.map_size == "network" else None
    return MaskedPrepare(
        input=binding.inputs[INPUT].name,
        shape=(channels, height, width),
        normalise=Normalise(mean, std),
        resize=PillowStretch(),
        keep_picture=keep_picture,
        masks=TargetMasks(mask_reader(spec), size) if subtask == "evaluate" else None,
    )


def mask_reader(spec: Spec) -> MaskReader:
    classes, norm = table(spec), spec.dataset.segment.label_transform == "norm"
    if norm and not {0, 1} <= classes.labels.keys():
        raise SpecError(
            f"{SEGMENT}.label_transform is norm (masks of 0 and 255, for label_id 0 and 1), but {PALETTE} has label_id "
            f"{', '.join(map(str, classes.labels))}.",
            hint=f"Set {SEGMENT}.label_transform=none for masks that hold label_id.",
        )
    return MaskReader(len(classes.names), norm, classes.labels, classes.painted, colour_key=PALETTE)


def batch_size(spec: Spec, subtask: str) -> int:
    own = int(getattr(spec, subtask).batch_size)
    return own if own > 0 else max(spec.dataset.segment.batch_size, 1)


def decode(spec: Spec, binding: Binding, map_size: str) -> DecodeSegmentation:
    """Raises SpecError when the model has another number of classes than the palette."""
    classes, have = table(spec), binding.size(OUTPUT, 1)
    if have not in (DYNAMIC, 1, len(classes.names)):
        raise SpecError(
            f"{PALETTE} makes {len(classes.names)} classes ({', '.join(classes.names)}), but the model's output has "
            f"{have} ({binding.outputs[OUTPUT]}).",
            hint="Give it the palette that the model was trained with; rows with one mapping_class are one class.",
        )
    return DecodeSegmentation(OUTPUT, map_size == "original", len(classes.names), shape(spec, binding)[1:])


def folder(spec: Spec, kind: str, split: str) -> tuple[Path, str]:
    """The folder of "images" or "masks" of a split, and the key that named it."""
    own, key = getattr(spec.dataset.segment, f"{kind}_dir"), f"{SEGMENT}.{kind}_dir"
    if own not in (None, "", MISSING):
        return Path(own), key
    return Path(require(spec, f"{SEGMENT}.root_dir")) / kind / split, f"{SEGMENT}.root_dir"


def evaluation(spec: Spec, binding: Binding) -> Evaluation:
    from nvidia_tao_deploy.metrics.segmentation import SegmentationMetric

    split = spec.dataset.segment.validation_split
    (images, images_key), (masks, masks_key) = (folder(spec, kind, split) for kind in ("images", "masks"))
    hint = f"Compare the masks' values with label_id of {PALETTE}."
    return Evaluation(
        masked_samples(images, masks, images_key, masks_key),
        decode(spec, binding, spec.evaluate.map_size),
        SegmentationMetric(table(spec).names, hint),
    )


def inference(spec: Spec, binding: Binding, results_dir: Path) -> Inference:
    images, key = folder(spec, "images", spec.dataset.segment.predict_split)
    samples = picture_samples(images, key=key)
    return Inference(samples, decode(spec, binding, spec.inference.map_size), writers(spec, samples, results_dir))


def writers(spec: Spec, samples: Sequence[Sample], results_dir: Path) -> list[Writer]:
    from nvidia_tao_deploy.render.masks import ClassMaps, MaskOverlays
    from nvidia_tao_deploy.render.names import ResultNames

    names = ResultNames(samples)
    return [
        ClassMaps(results_dir / "mask_labels", names),
        MaskOverlays(results_dir / "vis_overlay", names, table(spec).colours),
    ]


def only(folders: Any) -> Any:
    """A folder that older specs may list."""
    return folders[0] if isinstance(folders, list) and len(folders) == 1 else folders


MIGRATIONS = (
    Migration("dataset.img_norm_cfg.mean", f"{SEGMENT}.augmentation.mean"),
    Migration("dataset.img_norm_cfg.std", f"{SEGMENT}.augmentation.std"),
    Migration("dataset.test_dataset.img_dir", f"{SEGMENT}.images_dir", only),
    Migration("dataset.test_dataset.ann_dir", f"{SEGMENT}.masks_dir", only),
    Migration("dataset.palette", PALETTE),
    Migration("dataset.batch_size", f"{SEGMENT}.batch_size"),
    Migration(
        "dataset.input_type", f"{SEGMENT}.label_transform", lambda kind: "norm" if kind == "grayscale" else "none"
    ),
)
"""Keys of releases up to 6.25."""

NETWORKS = {
    "segformer": Network(
        name="segformer",
        summary="semantic segmentation",
        schema=Spec,
        signature=signature,
        prepare=prepare,
        batch_size=batch_size,
        evaluation=evaluation,
        inference=inference,
        axes=lambda spec: dict.fromkeys("HW", (spec.dataset.segment.img_size,) * 3),
        migrations=MIGRATIONS,
    )
}
