# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""classification_pyt: single-label image classification with PyTorch backbones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, List  # noqa: UP035  (see spec.common)

from nvidia_tao_deploy.data.class_folders import (
    check_count,
    folder_classes,
    labelled_pictures,
    read_class_list,
    read_class_map,
)
from nvidia_tao_deploy.data.pictures import PictureReader, picture_samples
from nvidia_tao_deploy.errors import SpecError
from nvidia_tao_deploy.network import Evaluation, Inference, Network
from nvidia_tao_deploy.networks.parts.classification import AnnotateKeys, class_count, class_writers, decoder, numbered
from nvidia_tao_deploy.signature import Binding, Signature, Tensor
from nvidia_tao_deploy.spec.common import Experiment, TaskSection
from nvidia_tao_deploy.spec.compose import require
from nvidia_tao_deploy.spec.fields import ignored, option, section
from nvidia_tao_deploy.spec.migrate import Migration, listed
from nvidia_tao_deploy.transforms.picture import Normalise, PicturePrepare
from nvidia_tao_deploy.transforms.resize import CentreCrop, PillowStretch
from nvidia_tao_deploy.transforms.statistics import IMAGENET_MEAN, IMAGENET_STD, pixel_statistics

if TYPE_CHECKING:
    from nvidia_tao_deploy.transforms.resize import Resize

# ruff: noqa: UP006
CHANNELS = 3
RESIZES: dict[str, Resize] = {
    "deploy": CentreCrop(margin=32, interpolation="bicubic"),
    "training": PillowStretch("bilinear"),
}


@dataclass
class TestDataset:
    images_dir: str = option("", "pictures for evaluate (one folder per class) and inference")


@dataclass
class Augmentation:
    mean: List[float] = option(list(IMAGENET_MEAN), "mean per channel, for pixels 0..1")
    std: List[float] = option(list(IMAGENET_STD), "standard deviation per channel, for pixels 0..1")
    resize: str = option(
        "deploy",
        "deploy: enlarge to cover size + 32, bicubic, cut the middle (as TAO Deploy); training: stretch, bilinear "
        "(as TAO's training and its own evaluation)",
        choices=tuple(RESIZES),
    )
    exif_orientation: bool = option(False, "turn pictures as their EXIF data says")


@dataclass
class Dataset:
    root_dir: str = option("", "folder with classes.txt, one class per line in the order of training")
    classes_file: str = option("", "class list, or JSON {class: number}; else <root_dir>/classes.txt, else folders")
    batch_size: int = option(8, "pictures per batch, unless the task's own batch_size is set", minimum=1)
    img_size: int = option(224, "height and width, for a model that leaves them open", minimum=1)
    test_dataset: TestDataset = section(TestDataset)
    augmentation: Augmentation = section(Augmentation)


@dataclass
class Head:
    topk: List[int] = option([1], "accuracies to report; the first is top_k_accuracy in results.json", minimum=1)
    binary: Any = ignored("the model says so itself: one output column is the score of the second of two classes")


@dataclass
class Model:
    head: Head = section(Head)


@dataclass
class Task(TaskSection):
    vis_after_n_batches: Any = ignored("only training reads it")
    exp_config: Any = ignored("only training reads it")


@dataclass
class InferenceTask(Task, AnnotateKeys):
    pass


@dataclass
class Spec(Experiment):
    dataset: Dataset = section(Dataset)
    model: Model = section(Model)
    evaluate: Task = section(Task)
    inference: InferenceTask = section(InferenceTask)


def signature(spec: Spec) -> Signature:
    return Signature(
        inputs=(Tensor("input", ("B", "C", "H", "W"), meaning="RGB, (x/255 - mean) / std"),),
        outputs=(Tensor("output", ("B", "classes"), meaning="one score per class, logits or probabilities"),),
    )


def prepare(spec: Spec, binding: Binding, subtask: str, keep_picture: bool = False) -> PicturePrepare:
    info = binding.inputs["input"]
    channels, height, width = info.filled((CHANNELS, spec.dataset.img_size, spec.dataset.img_size))
    augmentation = spec.dataset.augmentation
    mean, std = pixel_statistics(augmentation.mean, augmentation.std, channels, "dataset.augmentation")
    return PicturePrepare(
        input=info.name,
        shape=(channels, height, width),
        normalise=Normalise(mean, std),
        reader=PictureReader.for_channels(channels, augmentation.exif_orientation),
        resize=RESIZES[augmentation.resize],
        keep_picture=keep_picture,
    )


def class_list(spec: Spec, binding: Binding, subtask: str) -> tuple[str, ...]:
    """Class names by the documented rule: dataset.classes_file, else <root_dir>/classes.txt, else folder names.

    Returns () when none of them is there. Raises DataError when their number is not the model's (for `inference`, where
    folders need not be classes, folder names that do not fit are left aside).
    """
    file, folders = _class_file(spec), Path(spec.dataset.test_dataset.images_dir)
    if file is None:
        names = folder_classes(folders)
    elif spec.dataset.classes_file:
        names = read_class_map(file, "dataset.classes_file")
    else:
        names = read_class_list(file, "dataset.root_dir")
    count = class_count(binding, "output")
    if subtask == "inference" and len(names) != count and file is None:
        return ()
    if names:
        check_count(names, count, file or folders, "dataset.classes_file")
    return names


def _class_file(spec: Spec) -> Path | None:
    beside = Path(spec.dataset.root_dir) / "classes.txt"
    if spec.dataset.classes_file:
        return Path(spec.dataset.classes_file)
    return beside if spec.dataset.root_dir and beside.is_file() else None


def batch_size(spec: Spec, subtask: str) -> int:
    own = int(getattr(spec, subtask).batch_size)
    return own if own > 0 else spec.dataset.batch_size


def evaluation(spec: Spec, binding: Binding) -> Evaluation:
    from nvidia_tao_deploy.metrics.classification import TopK

    key = "dataset.test_dataset.images_dir"
    root = Path(require(spec, key))
    classes = class_list(spec, binding, "evaluate")
    if not spec.model.head.topk:
        raise SpecError("model.head.topk: empty; expected numbers, such as [1,5]")
    topk = [k for k in spec.model.head.topk if k <= max(len(classes), 1)]
    if not topk:
        raise SpecError(f"model.head.topk: {spec.model.head.topk}: the model has only {len(classes)} classes")
    samples = labelled_pictures(root, classes, key, _class_file(spec) or "")
    return Evaluation(samples, decoder(binding, "output"), TopK(classes, topk))


def inference(spec: Spec, binding: Binding, results_dir: Path) -> Inference:
    key = "dataset.test_dataset.images_dir"
    samples = picture_samples(require(spec, key), key=key)
    classes = class_list(spec, binding, "inference") or numbered(class_count(binding, "output"), "dataset.classes_file")
    writers = class_writers(spec.inference, samples, classes, results_dir)
    return Inference(samples, decoder(binding, "output"), writers)


NETWORKS = {
    "classification_pyt": Network(
        name="classification_pyt",
        summary="image classification (PyTorch backbones)",
        schema=Spec,
        signature=signature,
        prepare=prepare,
        batch_size=batch_size,
        evaluation=evaluation,
        inference=inference,
        axes=lambda spec: dict.fromkeys(("H", "W"), (spec.dataset.img_size,) * 3),
        migrations=(
            Migration("evaluate.topk", "model.head.topk", listed),
            Migration("dataset.data.test.data_prefix", "dataset.test_dataset.images_dir"),
            Migration("dataset.data.test.classes", "dataset.classes_file"),
            Migration("dataset.img_norm_cfg.mean", "dataset.augmentation.mean"),
            Migration("dataset.img_norm_cfg.std", "dataset.augmentation.std"),
        ),
    )
}
