# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""deformable_detr, dino, rtdetr: object detection with a set of queries, one score per query and class."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, List, Optional  # noqa: UP035  (see spec.common)

from nvidia_tao_deploy.data.classmap import KEY as CLASSMAP_KEY
from nvidia_tao_deploy.data.classmap import ClassNames, class_names
from nvidia_tao_deploy.data.coco import OFFICIAL_CATEGORY_IDS
from nvidia_tao_deploy.data.pictures import PictureReader, picture_samples
from nvidia_tao_deploy.engine.contract import DYNAMIC
from nvidia_tao_deploy.errors import EngineError, SpecError
from nvidia_tao_deploy.network import Evaluation, Inference, Network
from nvidia_tao_deploy.signature import Binding, Signature, Tensor
from nvidia_tao_deploy.spec.common import Experiment, GenTrtEngineSection, TaskSection, TensorRTSection
from nvidia_tao_deploy.spec.compose import require
from nvidia_tao_deploy.spec.fields import ignored, option, section
from nvidia_tao_deploy.spec.workspace import LARGE_BACKBONE_WORKSPACE, LARGE_BACKBONES, enough_workspace
from nvidia_tao_deploy.transforms.picture import Normalise, PicturePrepare
from nvidia_tao_deploy.transforms.resize import fit_top_left, stretch
from nvidia_tao_deploy.transforms.statistics import IMAGENET_MEAN, IMAGENET_STD, pixel_statistics

if TYPE_CHECKING:
    import numpy as np

    from nvidia_tao_deploy.data.coco import CocoAnnotations
    from nvidia_tao_deploy.decode.detr import DetrDecode

# ruff: noqa: UP006, UP045
logger = logging.getLogger(__name__)

MANY_LABELS = 1 << 16
"""More than any model has: stands in where the number of labels is open."""


@dataclass
class TestDataSources:
    image_dir: List[str] = option([], "folders that the file names in json_file are relative to")
    json_file: Optional[str] = option(None, "COCO annotations to evaluate on")


@dataclass
class InferDataSources:
    image_dir: List[str] = option([], "folders with pictures (searched recursively), or pictures")
    classmap: Optional[str] = option(None, "class list, one name per line; null: classes are named class_<label>")


@dataclass
class Augmentation:
    exif_orientation: bool = option(False, "turn pictures as their EXIF data says")


@dataclass
class NormalisedAugmentation(Augmentation):
    input_mean: List[float] = option(list(IMAGENET_MEAN), "mean per channel (RGB), for pixels 0..1")
    input_std: List[float] = option(list(IMAGENET_STD), "standard deviation per channel (RGB), for pixels 0..1")


@dataclass
class PlainAugmentation(Augmentation):
    input_mean: Any = ignored("this network takes pixels 0..1 as they are")
    input_std: Any = ignored("this network takes pixels 0..1 as they are")
    preserve_aspect_ratio: bool = option(
        False, "scale pictures to fit, zeros to the right and below; false: stretch them, as TAO Deploy always does"
    )


@dataclass
class Dataset:
    batch_size: int = option(4, "pictures per batch, unless the task's own batch_size is set", minimum=-1)
    test_data_sources: TestDataSources = section(TestDataSources)
    infer_data_sources: InferDataSources = section(InferDataSources)
    eval_class_ids: Optional[List[int]] = option(None, "the only COCO category ids that evaluate counts; null: all")
    contiguous_labels: bool = option(
        False, "evaluate: the model's labels are the categories of json_file numbered by rising id, not the ids"
    )
    augmentation: NormalisedAugmentation = section(NormalisedAugmentation)


@dataclass
class RtdetrDataset(Dataset):
    remap_mscoco_category: bool = option(False, "evaluate: labels 0..79 stand for the 80 COCO category ids 1..90")
    augmentation: PlainAugmentation = section(PlainAugmentation)  # type: ignore[assignment]


@dataclass
class Model:
    num_select: int = option(300, "detections kept per picture, best first", minimum=1)


@dataclass
class ModelWithBackbone(Model):
    backbone: Optional[str] = option(
        "resnet_50", f"{' and '.join(LARGE_BACKBONES)} raise workspace_size to {LARGE_BACKBONE_WORKSPACE} MB"
    )


@dataclass
class Evaluate(TaskSection):
    input_width: Any = ignored("the engine decides")
    input_height: Any = ignored("the engine decides")
    conf_threshold: Any = ignored("average precision counts detections of every score")


@dataclass
class Infer(TaskSection):
    conf_threshold: float = option(0.5, "lowest score that is drawn and written", minimum=0, maximum=1)
    color_map: Any = option(None, "colours by class name: {person: green, dog: [0, 0, 255]}; null: by a rule")
    outline_width: int = option(3, "width of the boxes drawn, in pixels", minimum=1)
    input_width: Any = ignored("the engine decides")
    input_height: Any = ignored("the engine decides")
    is_internal: Any = ignored()


@dataclass
class Spec(Experiment):
    dataset: Dataset = section(Dataset)
    model: Model = section(Model)
    evaluate: Evaluate = section(Evaluate)
    inference: Infer = section(Infer)


@dataclass
class DinoSpec(Spec):
    model: ModelWithBackbone = section(ModelWithBackbone)


@dataclass
class RtdetrGenTrtEngine(GenTrtEngineSection):
    tensorrt: TensorRTSection = section(TensorRTSection, max_batch_size=4)


@dataclass
class RtdetrSpec(Spec):
    gen_trt_engine: RtdetrGenTrtEngine = section(RtdetrGenTrtEngine)
    dataset: RtdetrDataset = section(RtdetrDataset)
    model: ModelWithBackbone = section(ModelWithBackbone)


@dataclass(frozen=True, slots=True)
class Family:
    """What differs between the networks, beside their schemas.

    Attributes:
        first_label: label of the first class: what the first line of the class list names.
        statistics: spec -> (mean, std) of pixels 0..1.
    """

    first_label: int
    statistics: Callable[[Any], tuple[tuple[float, ...], tuple[float, ...]]]

    def prepare(self, spec: Any, binding: Binding, subtask: str, keep_picture: bool = False) -> PicturePrepare:
        info = binding.inputs["inputs"]
        channels, height, width = info.shape[1:]
        if DYNAMIC in (height, width):
            raise EngineError(
                f"The model leaves its picture size open: {info}.",
                hint="Export it with a fixed height and width: the size is part of how it was trained.",
            )
        return PicturePrepare(
            input=info.name,
            shape=(channels, height, width),
            normalise=Normalise(*self.statistics(spec)),
            reader=PictureReader("RGB", spec.dataset.augmentation.exif_orientation),
            resize=fit_top_left if _keeps_aspect(spec) else stretch,
            keep_picture=keep_picture,
        )

    def evaluation(self, spec: Any, binding: Binding) -> Evaluation:
        from nvidia_tao_deploy.data.coco import read_coco
        from nvidia_tao_deploy.metrics.coco import CocoMetric

        sources = spec.dataset.test_data_sources
        annotations = read_coco(require(spec, "dataset.test_data_sources.json_file"))
        samples = annotations.samples(sources.image_dir, "dataset.test_data_sources.image_dir")
        count = binding.size("pred_logits", 2)
        category_ids = self.category_ids(spec, annotations, count if count != DYNAMIC else MANY_LABELS)
        metric = CocoMetric(annotations, category_ids, spec.dataset.eval_class_ids)
        return Evaluation(samples, _decode(spec, binding), metric)

    def category_ids(self, spec: Any, annotations: CocoAnnotations, labels: int) -> np.ndarray:
        """COCO category id of labels 0 to `labels` - 1, -1 for none: the label itself, unless the spec says otherwise.

        With contiguous_labels the categories by rising id are labels `first_label`, `first_label` + 1, ...; where
        the model has exactly as many labels as there are categories, there is no room for a background label and
        they start at 0.

        Raises:
            SpecError: two keys contradict each other.
        """
        import numpy as np

        remap = getattr(spec.dataset, "remap_mscoco_category", False)
        if remap and spec.dataset.contiguous_labels:
            raise SpecError(
                "dataset.remap_mscoco_category and dataset.contiguous_labels are both true; set one of them."
            )
        if not remap and not spec.dataset.contiguous_labels:
            _warn_of_other_numbering(spec, annotations, labels)
            return np.arange(labels)
        ids = np.asarray(OFFICIAL_CATEGORY_IDS) if remap else annotations.category_ids
        others = np.setdiff1d(_annotated_ids(annotations), ids)
        if len(others):
            logger.warning(
                "dataset.remap_mscoco_category: labels stand for COCO's ids 1 to 90, but %s has other categories, "
                "which are never found: id %s. For categories of your own set it to false.",
                annotations.source, ", ".join(map(str, others[:5])),
            )  # fmt: skip
        first = 0 if remap or labels == len(ids) else self.first_label
        table = np.full(labels, -1)
        count = min(len(ids), labels - first)
        table[first : first + count] = ids[:count]
        logger.info("Labels %d to %d are the category ids %d to %d", first, first + count - 1, ids[0], ids[count - 1])
        return table

    def inference(self, spec: Any, binding: Binding, results_dir: Path) -> Inference:
        from nvidia_tao_deploy.render.boxes import AnnotatedPictures
        from nvidia_tao_deploy.render.colours import ClassColours
        from nvidia_tao_deploy.render.kitti import KittiLabels
        from nvidia_tao_deploy.render.names import ResultNames

        key = "dataset.infer_data_sources.image_dir"
        samples = picture_samples(require(spec, key), key=key)
        classes = self.class_names(spec, binding)
        task = spec.inference
        colours = ClassColours(task.color_map, tuple(classes), "inference.color_map")
        names = ResultNames(samples)
        writers = (
            AnnotatedPictures(results_dir, names, classes, colours, task.conf_threshold, task.outline_width),
            KittiLabels(results_dir, names, classes, task.conf_threshold),
        )
        return Inference(samples, _decode(spec, binding), writers)

    def class_names(self, spec: Any, binding: Binding) -> ClassNames:
        classmap = spec.dataset.infer_data_sources.classmap
        if not classmap:
            logger.warning("No class list: classes are named class_<label>. Set %s.", CLASSMAP_KEY)
            return ClassNames()
        return class_names(classmap, self.first_label, binding.size("pred_logits", 2))


def signature(spec: Any) -> Signature:
    return Signature(
        inputs=(Tensor("inputs", ("B", 3, "H", "W"), meaning="RGB, channels first"),),
        outputs=(
            Tensor("pred_logits", ("B", "queries", "classes"), meaning="score per query and class, before the sigmoid"),
            Tensor("pred_boxes", ("B", "queries", 4), meaning="centre x, centre y, width, height, 0..1 of the picture"),
        ),
    )


def batch_size(spec: Any, subtask: str) -> int:
    own = int(getattr(spec, subtask).batch_size)
    return own if own > 0 else int(spec.dataset.batch_size)


def imagenet_statistics(spec: Any) -> tuple[tuple[float, ...], tuple[float, ...]]:
    augmentation = spec.dataset.augmentation
    return pixel_statistics(augmentation.input_mean, augmentation.input_std, 3, "dataset.augmentation", prefix="input_")


def unit_statistics(spec: Any) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)


def _keeps_aspect(spec: Any) -> bool:
    return bool(getattr(spec.dataset.augmentation, "preserve_aspect_ratio", False))


def _decode(spec: Any, binding: Binding) -> DetrDecode:
    """Raises EngineError when there is not one box for each query."""
    from nvidia_tao_deploy.decode.detr import DetrDecode

    scored, boxed = binding.size("pred_logits", 1), binding.size("pred_boxes", 1)
    if DYNAMIC not in (scored, boxed) and scored != boxed:
        raise EngineError(
            f"The model scores {scored} queries and gives boxes of {boxed}: {binding.outputs['pred_logits']}, "
            f"{binding.outputs['pred_boxes']}.",
            hint="Export it again: both come from the same queries.",
        )
    return DetrDecode(spec.model.num_select, _input_size(spec, binding))


def _input_size(spec: Any, binding: Binding) -> tuple[int, int] | None:
    """(height, width) that boxes are relative to, where that is not the picture."""
    height, width = binding.inputs["inputs"].shape[2:]
    return (height, width) if _keeps_aspect(spec) else None


def _warn_of_other_numbering(spec: Any, annotations: CocoAnnotations, labels: int) -> None:
    """Labels are taken for ids: say so where ids are beyond the labels, with the key that may help. Ids that are only
    listed count as well: the others are then numbered in the same way."""
    import numpy as np

    ids = annotations.category_ids
    remappable = hasattr(spec.dataset, "remap_mscoco_category") and labels == len(OFFICIAL_CATEGORY_IDS)
    if remappable and np.array_equal(ids, OFFICIAL_CATEGORY_IDS):
        hint = "If the model was trained with remap_mscoco_category, set dataset.remap_mscoco_category=true."
    elif len(ids) <= labels:
        hint = "If the model numbers the categories in order of their ids, set dataset.contiguous_labels=true."
    else:
        hint = "Is it the annotation file that belongs to this model?"
    for which, of_file in (("annotated", _annotated_ids(annotations)), ("listed", ids)):
        beyond = of_file[of_file >= labels]
        if len(beyond):
            logger.warning(
                "%s: %d %s categories have an id beyond the model's labels 0 to %d, so they are never found: %s. %s",
                annotations.source, len(beyond), which, labels - 1, ", ".join(map(str, beyond[:5])), hint,
            )  # fmt: skip
            return


def _annotated_ids(annotations: CocoAnnotations) -> np.ndarray:
    """Category ids that have a box."""
    import numpy as np

    return np.unique(annotations.category_ids[annotations.box_category])


def for_backbone(spec: Any) -> None:
    """Room for the builder where the backbone needs it."""
    enough_workspace(spec, spec.model.backbone)


def adjust_rtdetr(spec: Any) -> None:
    for_backbone(spec)
    if _keeps_aspect(spec):
        logger.info("dataset.augmentation.preserve_aspect_ratio: pictures keep it here; TAO Deploy stretches them")


def _network(name: str, summary: str, schema: type, family: Family, **more: Any) -> Network:
    return Network(
        name=name,
        summary=summary,
        schema=schema,
        signature=signature,
        prepare=family.prepare,
        batch_size=batch_size,
        evaluation=family.evaluation,
        inference=family.inference,
        **more,
    )


NETWORKS = {
    network.name: network
    for network in (
        _network(
            "deformable_detr",
            "object detection with Deformable DETR",
            Spec,
            Family(first_label=1, statistics=imagenet_statistics),
        ),
        _network(
            "dino",
            "object detection with DINO",
            DinoSpec,
            Family(first_label=1, statistics=imagenet_statistics),
            adjust=for_backbone,
        ),
        _network(
            "rtdetr",
            "real-time object detection with RT-DETR",
            RtdetrSpec,
            Family(first_label=0, statistics=unit_statistics),
            adjust=adjust_rtdetr,
        ),
    )
}
