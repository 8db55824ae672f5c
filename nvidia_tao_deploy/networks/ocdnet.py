# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""ocdnet: text detection with DBNet. A probability map becomes quadrilaterals or polygons."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional  # noqa: UP035  (see spec.common)

from nvidia_tao_deploy.data.lines import natural_key
from nvidia_tao_deploy.data.pictures import PictureReader, picture_samples
from nvidia_tao_deploy.data.text_detection import FORMATS, text_samples
from nvidia_tao_deploy.decode.db import DecodeRegions
from nvidia_tao_deploy.engine.contract import DYNAMIC, TensorInfo
from nvidia_tao_deploy.errors import SpecError
from nvidia_tao_deploy.network import Evaluation, Inference, Network
from nvidia_tao_deploy.signature import Binding, Signature, Tensor
from nvidia_tao_deploy.spec.common import Experiment, GenTrtEngineSection, TaskSection
from nvidia_tao_deploy.spec.compose import require
from nvidia_tao_deploy.spec.fields import ignored, option, section
from nvidia_tao_deploy.transforms.picture import Normalise, PicturePrepare
from nvidia_tao_deploy.transforms.text import MULTIPLE, GreyNormalise, ShortSidePrepare

# ruff: noqa: UP006, UP045
logger = logging.getLogger(__name__)
MODES = ("BGR", "RGB", "GRAY")
MEAN = (122.67891434, 116.66876762, 104.00698793)
"""Subtracted by channel position whatever the colour order, because training does so."""
WIDTH, HEIGHT = 1280, 736
PRE_PROCESSES = "dataset.validate_dataset.args.pre_processes"


@dataclass
class PostProcessingArgs:
    thresh: float = option(0.3, "a map pixel above it is text", minimum=0, maximum=1)
    box_thresh: float = option(0.55, "least mean probability of a region", minimum=0, maximum=1)
    max_candidates: int = option(1000, "contours looked at per picture", minimum=1)
    unclip_ratio: float = option(1.5, "how far regions grow, in units of area / perimeter", minimum=0)


@dataclass
class PostProcessing:
    type: str = option("SegDetectorRepresenter", "post-processing", choices=("SegDetectorRepresenter",))
    args: PostProcessingArgs = section(PostProcessingArgs)


@dataclass
class MetricArgs:
    is_output_polygon: bool = option(False, "score polygons with any number of corners instead of quadrilaterals")


@dataclass
class QuadMetric:
    type: str = option("QuadMetric", "metric", choices=("QuadMetric",))
    args: MetricArgs = section(MetricArgs)


@dataclass
class Evaluate(TaskSection):
    batch_size: int = option(-1, "pictures per batch; -1: dataset.validate_dataset.loader.batch_size", minimum=-1)
    post_processing: PostProcessing = section(PostProcessing)
    metric: QuadMetric = section(QuadMetric)


@dataclass
class InferenceSection(TaskSection):
    batch_size: int = option(1, "pictures per batch; -1: 1", minimum=-1)
    input_folder: str = option("", "folder with pictures, without its sub-folders; or one picture")
    width: int = option(WIDTH, "width of the network input, for an engine that leaves it open", minimum=32)
    height: int = option(HEIGHT, "height of the network input, for an engine that leaves it open", minimum=32)
    img_mode: Optional[str] = option(
        None, "colour order of training; null: that of dataset.validate_dataset.args.img_mode", choices=MODES
    )
    polygon: bool = option(False, "write polygons with any number of corners instead of quadrilaterals")
    show: bool = option(False, "also open the pictures with the desktop's viewer")
    post_processing: PostProcessing = section(PostProcessing)


@dataclass
class GenTrtEngine(GenTrtEngineSection):
    width: int = option(WIDTH, "width of the network input", minimum=32)
    height: int = option(HEIGHT, "height of the network input", minimum=32)
    min_width: Optional[int] = option(None, "smallest width; null: width", minimum=32)
    max_width: Optional[int] = option(None, "largest width; null: width", minimum=32)
    min_height: Optional[int] = option(None, "smallest height; null: height", minimum=32)
    max_height: Optional[int] = option(None, "largest height; null: height", minimum=32)
    img_mode: Optional[str] = option(
        None, "colour order of calibration pictures; null: that of inference, else of evaluate", choices=MODES
    )


def _default_pre_processes() -> List[Any]:
    return [{"type": "Resize2D", "args": {"short_size": [WIDTH, HEIGHT], "resize_text_polys": True}}]


@dataclass
class ValidateArgs:
    img_mode: str = option("BGR", "colour order that the model was trained with", choices=MODES)
    filter_keys: Any = ignored("training's own book-keeping")
    ignore_tags: List[str] = option(["*", "###"], "texts of regions that count neither for nor against")
    pre_processes: Optional[List[Dict[str, Any]]] = option(
        _default_pre_processes(),
        "Resize2D: short_size [width, height] squashes; a number enlarges pictures whose short side is below it; "
        "null: pictures keep their size",
    )


@dataclass
class Loader:
    batch_size: int = option(1, "pictures per batch of evaluate", minimum=1)
    shuffle: Any = ignored("pictures are scored in a fixed order")
    pin_memory: Any = ignored()
    num_workers: Any = ignored("one reading thread per core; TAO_DEPLOY_WORKERS changes it")
    collate_fn: Any = ignored()


@dataclass
class ValidateDataset:
    data_name: str = option("ICDAR2015Dataset", "format of the ground truth", choices=tuple(FORMATS))
    data_path: List[str] = option([], "folders with img/ and gt/, or files that list pictures and ground truth")
    args: ValidateArgs = section(ValidateArgs)
    loader: Loader = section(Loader)


@dataclass
class Dataset:
    validate_dataset: ValidateDataset = section(ValidateDataset)


@dataclass
class Spec(Experiment):
    model: Any = ignored("only training reads it")
    dataset: Dataset = section(Dataset)
    gen_trt_engine: GenTrtEngine = section(GenTrtEngine)
    evaluate: Evaluate = section(Evaluate)
    inference: InferenceSection = section(InferenceSection)


@dataclass(frozen=True, slots=True)
class Resizing:
    """What `pre_processes` asks for.

    Attributes:
        size: (height, width) to squash to, or None.
        short_side: without `size`: enlarge until the short side has so many pixels; 0: never.
        resize_truth: whether the ground truth is in pixels of the original picture.
    """

    size: tuple[int, int] | None
    short_side: int = 0
    resize_truth: bool = True


def resizing(spec: Spec) -> Resizing:
    """Read `pre_processes`. Raises SpecError for a step or a size that does not exist."""
    steps = spec.dataset.validate_dataset.args.pre_processes
    if not steps:
        return Resizing(None)
    if len(steps) > 1 or steps[0].get("type") != "Resize2D":
        found = ", ".join(str(step.get("type")) for step in steps)
        raise SpecError(f"{PRE_PROCESSES}: {found}: expected one step of type Resize2D (or none)")
    arguments = steps[0].get("args") or {}
    unknown = set(arguments) - {"short_size", "resize_text_polys"}
    if unknown:
        raise SpecError(f"{PRE_PROCESSES}: Resize2D has no '{min(unknown)}'; it has short_size and resize_text_polys")
    size, resize_truth = arguments.get("short_size", [WIDTH, HEIGHT]), bool(arguments.get("resize_text_polys", True))
    if isinstance(size, int) and not isinstance(size, bool) and size > 0:
        return Resizing(None, size, resize_truth)
    if isinstance(size, list) and len(size) == 2 and all(isinstance(side, int) and side > 0 for side in size):
        return Resizing((size[1], size[0]), resize_truth=resize_truth)
    raise SpecError(f"{PRE_PROCESSES}: Resize2D.short_size: {size}: expected [width, height] or one number of pixels")


def signature(spec: Spec) -> Signature:
    return Signature(
        inputs=(Tensor("input", ("B", 3, "H", "W"), meaning="(x - mean) / 255, in the order of img_mode"),),
        outputs=(Tensor("pred", ("B", 1, "H'", "W'"), meaning="probability of text, 0..1"),),
    )


def image_mode(spec: Spec, subtask: str) -> str:
    """Colour order of a subtask. Calibration follows inference, then evaluate, unless it is told otherwise."""
    validate = spec.dataset.validate_dataset.args.img_mode
    if subtask == "evaluate":
        return validate
    asked = spec.inference.img_mode or validate
    return spec.gen_trt_engine.img_mode or asked if subtask == "gen_trt_engine" else asked


def asked_size(spec: Spec, subtask: str) -> tuple[int, int] | None:
    """(height, width) that the spec asks for; None: each picture in its own."""
    if subtask == "evaluate":
        return resizing(spec).size
    own = getattr(spec, subtask)
    return own.height, own.width


def network_size(spec: Spec, info: TensorInfo, subtask: str) -> tuple[int, int] | None:
    """(height, width) to resize to: the engine's where it is fixed, else what the spec asks for; None: no fixed size.

    Raises:
        SpecError: the size is outside what the engine takes, or pictures keep their own size and the engine is fixed.
    """
    asked, fixed = asked_size(spec, subtask), info.settled[2:]
    if asked is None:
        if fixed != (DYNAMIC, DYNAMIC):
            raise SpecError(
                f"{PRE_PROCESSES}: pictures keep their own size, but the engine takes {info} only.",
                hint=f"Give Resize2D the engine's size, short_size: [{fixed[1]}, {fixed[0]}], or build an engine from "
                "a model with open height and width, with gen_trt_engine.{min,max}_{height,width}.",
            )
        return None
    height, width = (want if have == DYNAMIC else have for want, have in zip(asked, fixed, strict=True))
    _check_bounds(info, (height, width), subtask)
    return height, width


def _check_bounds(info: TensorInfo, size: tuple[int, int], subtask: str) -> None:
    if info.minimum is None or info.maximum is None:
        return
    low, high = info.minimum[2:], info.maximum[2:]
    if not all(a <= b <= c for a, b, c in zip(low, size, high, strict=True)):
        raise SpecError(
            f"{subtask}: {size[1]} x {size[0]} (width x height) is outside what the engine takes: "
            f"{low[1]} x {low[0]} to {high[1]} x {high[0]}."
        )


def prepare(
    spec: Spec, binding: Binding, subtask: str, keep_picture: bool = False
) -> PicturePrepare | ShortSidePrepare:
    info = binding.inputs["input"]
    mode = image_mode(spec, subtask)
    # EXIF: pictures are turned as their data says, because OpenCV's reader in training does so
    reader = PictureReader("RGB", exif=True)
    mean = tuple(value / 255 for value in MEAN)
    normalise = GreyNormalise(mean) if mode == "GRAY" else Normalise(mean, order=mode)
    size = network_size(spec, info, subtask)
    if size is None:
        limits = (info.minimum[2:], info.maximum[2:]) if info.minimum and info.maximum else None
        return ShortSidePrepare(info.name, resizing(spec).short_side, normalise, reader, limits, keep_picture)
    asked = asked_size(spec, subtask)
    if asked != size:
        logger.warning(
            "%s: the spec says %d x %d (width x height), the engine takes %d x %d only: pictures are resized to that",
            PRE_PROCESSES if subtask == "evaluate" else f"{subtask}.width and height",
            *(asked or size)[::-1], *size[::-1],
        )  # fmt: skip
    elif DYNAMIC in info.settled[2:] and any(side % MULTIPLE for side in size):
        text = "%s: %d x %d (width x height): networks of this kind take multiples of %d"
        logger.warning(text, subtask, *size[::-1], MULTIPLE)
    return PicturePrepare(info.name, (3, *size), normalise, reader, keep_picture=keep_picture)


def decoder(spec: Spec, binding: Binding, subtask: str, polygons: bool, keep_map: bool) -> DecodeRegions:
    arguments = getattr(spec, subtask).post_processing.args
    return DecodeRegions(
        output="pred",
        input_size=network_size(spec, binding.inputs["input"], subtask),
        threshold=arguments.thresh,
        box_threshold=arguments.box_thresh,
        max_candidates=arguments.max_candidates,
        unclip_ratio=arguments.unclip_ratio,
        polygons=polygons,
        keep_map=keep_map,
    )


def evaluation(spec: Spec, binding: Binding) -> Evaluation:
    from nvidia_tao_deploy.metrics.text_detection import RegionScores

    data = spec.dataset.validate_dataset
    samples = text_samples(require(spec, "dataset.validate_dataset.data_path"), data.data_name, data.args.ignore_tags)
    decode = decoder(spec, binding, "evaluate", spec.evaluate.metric.args.is_output_polygon, keep_map=False)
    return Evaluation(samples, decode, RegionScores(resizing(spec).resize_truth))


def inference(spec: Spec, binding: Binding, results_dir: Path) -> Inference:
    from nvidia_tao_deploy.render.polygons import RegionWriter

    key = "inference.input_folder"
    samples = picture_samples(require(spec, key), recursive=False, key=key)
    samples.sort(key=lambda sample: natural_key(sample.name))
    decode = decoder(spec, binding, "inference", spec.inference.polygon, keep_map=True)
    return Inference(samples, decode, [RegionWriter(results_dir, samples, spec.inference.show)])


def batch_size(spec: Spec, subtask: str) -> int:
    own = int(getattr(spec, subtask).batch_size)
    if own != -1:
        return own
    return spec.dataset.validate_dataset.loader.batch_size if subtask == "evaluate" else 1


def axes(spec: Spec) -> dict[str, tuple[int, int, int]]:
    own = spec.gen_trt_engine
    return {
        "H": (own.min_height or own.height, own.height, own.max_height or own.height),
        "W": (own.min_width or own.width, own.width, own.max_width or own.width),
    }


NETWORKS = {
    "ocdnet": Network(
        name="ocdnet",
        summary="text detection with DBNet",
        schema=Spec,
        signature=signature,
        prepare=prepare,
        batch_size=batch_size,
        evaluation=evaluation,
        inference=inference,
        axes=axes,
    )
}
