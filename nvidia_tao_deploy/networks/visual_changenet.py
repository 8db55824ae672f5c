# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""visual_changenet: what changed between two pictures, per pixel (segment) or as a score (classify)."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, List, Optional  # noqa: UP035  (see spec.common)

from nvidia_tao_deploy.data.change_lists import ChangeFolders
from nvidia_tao_deploy.data.masks import MaskReader
from nvidia_tao_deploy.decode.pairs import DefectProbability, ModelDistance
from nvidia_tao_deploy.decode.segmentation import SIZES, DecodeSegmentation
from nvidia_tao_deploy.engine.contract import DYNAMIC, TensorInfo
from nvidia_tao_deploy.errors import DataError, EngineError, SpecError
from nvidia_tao_deploy.network import Decode, Evaluation, Inference, Network, Prepare, Sample, Writer
from nvidia_tao_deploy.networks import _inspection
from nvidia_tao_deploy.networks._inspection import GOLDEN, UNIT, Inspection, InspectionDataset
from nvidia_tao_deploy.render.colours import Colour
from nvidia_tao_deploy.render.masks import default_colours, read_colours
from nvidia_tao_deploy.signature import Binding, Signature, Tensor
from nvidia_tao_deploy.spec.common import Experiment, GenTrtEngineSection, TaskSection, TensorRTSection
from nvidia_tao_deploy.spec.compose import require
from nvidia_tao_deploy.spec.fields import ignored, option, section
from nvidia_tao_deploy.spec.migrate import Migration
from nvidia_tao_deploy.spec.workspace import LARGE_BACKBONE_WORKSPACE, LARGE_BACKBONES, enough_workspace
from nvidia_tao_deploy.transforms.change import ChangePrepare
from nvidia_tao_deploy.transforms.masks import TargetMasks
from nvidia_tao_deploy.transforms.picture import Normalise
from nvidia_tao_deploy.transforms.statistics import pixel_statistics

# ruff: noqa: UP006, UP045
logger = logging.getLogger(__name__)
BEFORE, AFTER, FINAL, OUTPUT = "input0", "input1", "output_final", "output"
SEGMENT = "dataset.segment"
LANDSCD = "landscd"
LANDSCD_COLOURS: tuple[Colour, ...] = (
    (255, 255, 255), (255, 165, 0), (230, 30, 100), (70, 140, 0), (218, 112, 214),
    (0, 170, 240), (127, 235, 170), (230, 80, 0), (205, 220, 57), (218, 165, 32),
)  # fmt: skip
"""Colours of the ten classes of the LandSCD data set, in TAO's order."""


@dataclass
class SegmentAugmentation:
    mean: List[float] = option([0.5, 0.5, 0.5], "mean per channel (RGB), for pixels 0..1")
    std: List[float] = option([0.5, 0.5, 0.5], "standard deviation per channel (RGB), for pixels 0..1")


@dataclass
class Segment:
    root_dir: Optional[str] = option("", "folder of the data set")
    image_folder_name: str = option("A", "folder below root_dir with the first pictures")
    change_image_folder_name: str = option("B", "folder with the second pictures, of the same names")
    annotation_folder_name: str = option("label", "folder with the masks")
    list_folder_name: str = option("list", "folder with the lists: <split>.txt, a picture name per line")
    test_split: str = option("test", "list for evaluate")
    predict_split: str = option("test", "list for inference")
    label_suffix: str = option(".png", "ending of mask files")
    label_transform: Optional[str] = option(
        "norm", "norm: masks are 0 and 255; none: masks hold class numbers", choices=("norm", "none")
    )
    data_name: str = option("LEVIR", "LandSCD has built-in colours for its ten classes; other names mean nothing here")
    num_classes: int = option(2, "number of classes", minimum=2)
    color_map: Any = option(None, "colour of each class, {0: [r, g, b], ...}: for pictures, and for masks in colour")
    img_size: int = option(224, "height and width, for a model that leaves them open", minimum=1)
    batch_size: int = option(8, "pairs per batch, unless the task's own batch_size is set", minimum=-1)
    augmentation: SegmentAugmentation = section(SegmentAugmentation)
    workers: Any = ignored("all cores read")
    dataset: Any = ignored("there is one kind")


@dataclass
class Classify(InspectionDataset):
    num_golden: int = option(1, "golden pictures per unit; above 1: drawn from the folder golden_path", minimum=1)
    golden_seed: int = option(0, "decides which golden pictures are drawn: same seed, same pictures")
    num_classes: Any = ignored("the model decides")


@dataclass
class Dataset:
    segment: Segment = section(Segment)
    classify: Classify = section(Classify)


@dataclass
class Backbone:
    type: Optional[str] = option(
        "fan_small_12_p4_hybrid",
        f"{' and '.join(LARGE_BACKBONES)} raise workspace_size to {LARGE_BACKBONE_WORKSPACE} MB",
    )


@dataclass
class ClassifyModel:
    difference_module: str = option(
        "euclidean",
        "euclidean: the model gives a distance; learnable: logits of pass and defect",
        choices=("euclidean", "learnable"),
    )
    eval_margin: float = option(2.0, "pairs with a score above it are defects")


@dataclass
class Model:
    backbone: Backbone = section(Backbone)
    classify: ClassifyModel = section(ClassifyModel)


@dataclass
class Evaluate(TaskSection):
    batch_size: int = option(-1, "pairs per batch; -1: batch_size of dataset.segment or dataset.classify", minimum=-1)
    map_size: str = option(
        "original",
        "segment: score at the pictures' size (maps enlarged, nearest) or at the network's (masks reduced)",
        choices=SIZES,
    )
    save_pictures: bool = option(True, "segment: write the pictures that inference writes, with the mask beside them")
    vis_after_n_batches: Any = ignored("every picture is written")


@dataclass
class Infer(TaskSection):
    batch_size: int = option(-1, "pairs per batch; -1: batch_size of dataset.segment or dataset.classify", minimum=-1)
    map_size: str = option("original", "segment: size of the maps written", choices=SIZES)
    vis_after_n_batches: Any = ignored("every picture is written")


@dataclass
class GenTrtEngine(GenTrtEngineSection):
    tensorrt: TensorRTSection = section(TensorRTSection, max_batch_size=8)


@dataclass
class Spec(Experiment):
    task: Optional[str] = option(
        None,
        "segment or classify; null: classify where only dataset.classify is given, else segment",
        choices=("segment", "classify"),
    )
    dataset: Dataset = section(Dataset)
    model: Model = section(Model)
    evaluate: Evaluate = section(Evaluate)
    inference: Infer = section(Infer)
    gen_trt_engine: GenTrtEngine = section(GenTrtEngine)


def adjust(spec: Spec) -> None:
    """Settle the task, and room for the builder where the backbone needs it."""
    if spec.task is None:
        data, plain = spec.dataset, Dataset()
        spec.task = "classify" if data.classify != plain.classify and data.segment == plain.segment else "segment"
        if spec.task == "classify":
            logger.info("task is not set; taken to be classify, because only dataset.classify is given")
    enough_workspace(spec, spec.model.backbone.type)


def fit(spec: Spec, inputs: Sequence[TensorInfo]) -> None:
    """Take task and number of golden pictures from the model: TAO Deploy builds any model, whatever they say."""
    shapes = {info.name: info.shape for info in inputs}
    tasks = {"segment": {BEFORE, AFTER}, "classify": {UNIT, GOLDEN}}
    task = next((name for name, wanted in tasks.items() if wanted == set(shapes)), spec.task)
    if task != spec.task:
        logger.info("task is %s for this engine, not %s: the inputs are %s", task, spec.task, ", ".join(shapes))
        spec.task = task
    golden, data = shapes.get(GOLDEN, ()), spec.dataset.classify
    count = 1 if len(golden) == 4 else golden[1] if len(golden) == 5 else DYNAMIC
    if count not in (DYNAMIC, data.num_golden):
        logger.info("dataset.classify.num_golden is %d for this engine, not %d: by input_2", count, data.num_golden)
        data.num_golden = count


def _classify(spec: Spec) -> bool:
    return spec.task == "classify"


def inspection(spec: Spec) -> Inspection:
    return Inspection(spec.dataset.classify, "dataset.classify", spec.dataset.classify.golden_seed)


def signature(spec: Spec) -> Signature:
    picture = ("B", 3, "H", "W")
    if not _classify(spec):
        return Signature(
            inputs=(
                Tensor(BEFORE, picture, meaning="first picture: RGB, (x/255 - mean) / std"),
                Tensor(AFTER, picture, meaning="second picture, as the first"),
            ),
            outputs=(Tensor(FINAL, ("B", "classes", "H", "W"), meaning="logits per class and pixel", last=True),),
            hint="Check that the model was exported by TAO for visual_changenet with task: segment.",
        )
    count = spec.dataset.classify.num_golden
    golden = picture if count == 1 else ("B", count, 3, "H", "W")
    return Signature(
        inputs=(
            Tensor(UNIT, picture, meaning="unit under test: RGB, lights tiled, (x/255 - mean) / std"),
            Tensor(GOLDEN, golden, meaning="golden picture or pictures (dataset.classify.num_golden), as the unit"),
        ),
        outputs=(Tensor(OUTPUT, ("B", "..."), meaning="distance, or logits of pass and defect"),),
        hint="Check that the model was exported by TAO for visual_changenet with task: classify, and for "
        f"dataset.classify.num_golden={count} golden pictures.",
    )


def prepare(spec: Spec, binding: Binding, subtask: str, keep_picture: bool = False) -> Prepare:
    if _classify(spec):
        return inspection(spec).prepare(binding)
    data = spec.dataset.segment
    sizes = {binding.inputs[name].shape[2:] for name in (BEFORE, AFTER)}
    if len(sizes) > 1:
        raise EngineError(f"The model's inputs differ in size: {', '.join(map(str, binding.inputs.values()))}.")
    height, width = (data.img_size if size == DYNAMIC else size for size in sizes.pop())
    mean, std = pixel_statistics(data.augmentation.mean, data.augmentation.std, 3, f"{SEGMENT}.augmentation")
    return ChangePrepare(
        inputs=(binding.inputs[BEFORE].name, binding.inputs[AFTER].name),
        shape=(3, height, width),
        normalise=Normalise(mean, std),
        masks=target_masks(spec, (height, width)) if subtask == "evaluate" else None,
        keep_picture=keep_picture,
    )


def target_masks(spec: Spec, size: tuple[int, int]) -> TargetMasks:
    return TargetMasks(mask_reader(spec), size if spec.evaluate.map_size == "network" else None)


def mask_reader(spec: Spec) -> MaskReader:
    data = spec.dataset.segment
    norm = data.label_transform == "norm"
    if norm and data.num_classes > 2:
        raise SpecError(
            f"{SEGMENT}.label_transform is norm (masks of 0 and 255), but there are {data.num_classes} classes.",
            hint=f"Set {SEGMENT}.label_transform=none for masks that hold class numbers.",
        )
    colours = known_colours(spec)
    by_colour = None if colours is None else {colour: index for index, colour in colours.items()}
    return MaskReader(data.num_classes, norm, colours=by_colour)


def known_colours(spec: Spec) -> dict[int, Colour] | None:
    """Colours of color_map, else LandSCD's where data_name says so; None when there are none."""
    data = spec.dataset.segment
    given = read_colours(data.color_map, data.num_classes, f"{SEGMENT}.color_map")
    if given is None and data.data_name.lower() == LANDSCD and data.num_classes == len(LANDSCD_COLOURS):
        return dict(enumerate(LANDSCD_COLOURS))
    return given


def batch_size(spec: Spec, subtask: str) -> int:
    data = spec.dataset.classify if _classify(spec) else spec.dataset.segment
    return _inspection.batch_size(getattr(spec, subtask).batch_size, data.batch_size)


def folders(spec: Spec, root: Path) -> ChangeFolders:
    data = spec.dataset.segment
    return ChangeFolders(
        root,
        data.image_folder_name,
        data.change_image_folder_name,
        data.list_folder_name,
        data.annotation_folder_name,
        data.label_suffix,
        SEGMENT,
    )


def decode_segment(spec: Spec, binding: Binding, map_size: str) -> DecodeSegmentation:
    """Raises SpecError when the model has another number of classes than the spec."""
    classes, have = spec.dataset.segment.num_classes, binding.size(FINAL, 1)
    if have not in (DYNAMIC, classes):
        raise SpecError(
            f"{SEGMENT}.num_classes is {classes}, but the model's output has {have} ({binding.outputs[FINAL]}).",
            hint=f"Set {SEGMENT}.num_classes={have}.",
        )
    return DecodeSegmentation(FINAL, map_size == "original")


def decode_classify(spec: Spec, binding: Binding) -> Decode:
    """Raises SpecError when the model's output is not what difference_module makes."""
    module, info = spec.model.classify.difference_module, binding.outputs[OUTPUT]
    if len(info.shape) > 2:
        raise SpecError(f"task is classify, but the model's output is a map: {info}.", hint="Set task=segment.")
    columns = math.prod(info.shape[1:])
    fits = DYNAMIC in info.shape[1:] or columns == (2 if module == "learnable" else 1)
    if not fits:
        other = "learnable" if columns == 2 else "euclidean"
        want = "two logits per pair" if module == "learnable" else "one distance per pair"
        raise SpecError(
            f"model.classify.difference_module is {module}: expected {want}, but the model has {info}.",
            hint=f"Set model.classify.difference_module={other}." if columns in (1, 2) else None,
        )
    return DefectProbability(OUTPUT) if module == "learnable" else ModelDistance(OUTPUT)


def evaluation(spec: Spec, binding: Binding) -> Evaluation:
    if _classify(spec):
        decode = decode_classify(spec, binding)
        return inspection(spec).evaluation("test_dataset", decode, spec.model.classify.eval_margin)
    from nvidia_tao_deploy.metrics.segmentation import SegmentationMetric

    data = spec.dataset.segment
    samples = folders(spec, Path(require(spec, f"{SEGMENT}.root_dir"))).samples(data.test_split, labelled=True)
    names = ("unchanged", "changed") if data.num_classes == 2 else tuple(map(str, range(data.num_classes)))
    return Evaluation(
        samples,
        decode_segment(spec, binding, spec.evaluate.map_size),
        SegmentationMetric(names, _hint_for_masks(data)),
        lambda folder: _writers(spec, samples, folder) if spec.evaluate.save_pictures else (),
    )


def _hint_for_masks(data: Segment) -> str:
    """What may be wrong where masks hold 255 and a class is missing."""
    two = data.num_classes == 2 and data.label_transform != "norm"
    return f"For masks of 0 and 255 set {SEGMENT}.label_transform=norm." if two else ""


def inference(spec: Spec, binding: Binding, results_dir: Path) -> Inference:
    if _classify(spec):
        return inspection(spec).inference(decode_classify(spec, binding), results_dir)
    data = spec.dataset.segment
    samples = folders(spec, Path(require(spec, f"{SEGMENT}.root_dir"))).samples(data.predict_split, labelled=False)
    decode = decode_segment(spec, binding, spec.inference.map_size)
    return Inference(samples, decode, _writers(spec, samples, results_dir))


def _writers(spec: Spec, samples: Any, folder: Path) -> list[Writer]:
    from nvidia_tao_deploy.render.changes import ChangePictures
    from nvidia_tao_deploy.render.masks import ClassMaps
    from nvidia_tao_deploy.render.names import ResultNames

    colours = known_colours(spec) or default_colours(spec.dataset.segment.num_classes)
    return [ChangePictures(folder, colours), ClassMaps(folder / "class_maps", ResultNames(samples))]


def calibration(spec: Spec) -> list[Sample]:
    """segment: the pairs below each folder of cal_image_dir, laid out as root_dir; classify: pairs of a csv file."""
    roots = list(spec.gen_trt_engine.tensorrt.calibration.cal_image_dir)
    if _classify(spec):
        return inspection(spec).calibration(roots)
    try:
        return [sample for root in roots for sample in folders(spec, Path(root)).unlisted()]
    except DataError as error:
        raise DataError(
            f"gen_trt_engine.tensorrt.calibration.cal_image_dir: {error.message}",
            hint="Name folders that are laid out as dataset.segment.root_dir is.",
        ) from error


def axes(spec: Spec) -> dict[str, tuple[int, int, int]]:
    """For models with open height and width: the spec's size."""
    size = inspection(spec).layout.size if _classify(spec) else (spec.dataset.segment.img_size,) * 2
    return {"H": (size[0],) * 3, "W": (size[1],) * 3}


NETWORKS = {
    "visual_changenet": Network(
        name="visual_changenet",
        summary="changes between two pictures, per pixel or as a score",
        schema=Spec,
        signature=signature,
        prepare=prepare,
        batch_size=batch_size,
        evaluation=evaluation,
        inference=inference,
        calibration=calibration,
        axes=axes,
        adjust=adjust,
        fit=fit,
        migrations=(Migration("model.classify.diff_module", "model.classify.difference_module"),),
    )
}
