# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""ml_recog: recognition by the nearest pictures of a labelled gallery (metric learning)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, List, Optional  # noqa: UP035  (see spec.common)

from nvidia_tao_deploy.data.pictures import PictureReader
from nvidia_tao_deploy.decode.embedding import DecodeEmbedding, DecodeNeighbours
from nvidia_tao_deploy.errors import SpecError
from nvidia_tao_deploy.network import Evaluation, Inference, Network, Reference, Sample
from nvidia_tao_deploy.signature import Binding, Signature, Tensor
from nvidia_tao_deploy.spec.common import Experiment, TaskSection
from nvidia_tao_deploy.spec.compose import require
from nvidia_tao_deploy.spec.fields import ignored, option, section
from nvidia_tao_deploy.transforms.picture import Normalise, PicturePrepare
from nvidia_tao_deploy.transforms.resize import StretchCrop
from nvidia_tao_deploy.transforms.statistics import pixel_statistics

if TYPE_CHECKING:
    from nvidia_tao_deploy.data.gallery import Gallery
    from nvidia_tao_deploy.data.retrieval import FolderClasses

# ruff: noqa: UP006, UP045
logger = logging.getLogger(__name__)
INPUT, OUTPUT = "input", "fc_pred"
REFERENCE, QUERY = "dataset.val_dataset.reference", "dataset.val_dataset.query"
INPUT_TYPES = ("image", "image_folder", "classification_folder")
SHOWN = 5


@dataclass
class ValDataset:
    reference: Optional[str] = option(None, "gallery: labelled pictures, one folder per class")
    query: Optional[str] = option(None, "evaluate: pictures to recognise, one folder per class")


@dataclass
class Dataset:
    val_dataset: ValDataset = section(ValDataset)
    class_map: Optional[str] = option(
        None, ".yaml: folder -> class name, as for training; else one folder per line; null: the gallery's folders"
    )
    pixel_mean: List[float] = option([0.485, 0.456, 0.406], "mean per channel, for pixels 0..1")
    pixel_std: List[float] = option([0.226, 0.226, 0.226], "standard deviation per channel, for pixels 0..1")
    exif_orientation: bool = option(False, "turn pictures as their EXIF data says")
    gallery_cache: bool = option(True, "keep the embedded gallery and use it again while nothing that matters changes")
    gallery_cache_file: Optional[str] = option(None, "where; null: <trt_engine>.gallery.npz")


@dataclass
class Model:
    input_channels: int = option(3, "channels, for a model that leaves them open: 3, or 1 for grey", minimum=1)
    input_height: int = option(224, "height, for a model that leaves it open", minimum=1)
    input_width: int = option(224, "width, for a model that leaves it open", minimum=1)


@dataclass
class Evaluate(TaskSection):
    batch_size: int = option(4, "pictures per batch", minimum=1)
    topk: int = option(1, "neighbours among which the true class is looked for", minimum=1)
    report_accuracy_per_class: Any = ignored("figures per class are always printed")


@dataclass
class Infer(TaskSection):
    batch_size: int = option(1, "pictures per batch", minimum=1)
    topk: int = option(1, "neighbours listed per picture", minimum=1)
    input_path: Optional[str] = option(None, "picture or folder to recognise; null: dataset.val_dataset.query")
    inference_input_type: str = option(
        "classification_folder",
        "image: one file; image_folder: without sub-folders; classification_folder: with them, their names being the "
        "true classes where they are classes at all",
        choices=INPUT_TYPES,
    )
    drawn_neighbours: int = option(SHOWN, "neighbours drawn beside each picture; 0: no pictures are written", minimum=0)


@dataclass
class Spec(Experiment):
    model: Model = section(Model)
    dataset: Dataset = section(Dataset)
    evaluate: Evaluate = section(Evaluate)
    inference: Infer = section(Infer)


def signature(spec: Spec) -> Signature:
    return Signature(
        inputs=(Tensor(INPUT, ("B", "C", "H", "W"), meaning="RGB or grey, (x/255 - mean) / std"),),
        outputs=(Tensor(OUTPUT, ("B", "features"), meaning="embedding, of any length"),),
    )


def input_shape(spec: Spec, binding: Binding) -> tuple[int, int, int]:
    """(C,H,W) of a row: the model's, and the spec's where the model leaves a size open."""
    asked = (spec.model.input_channels, spec.model.input_height, spec.model.input_width)
    channels, height, width = binding.inputs[INPUT].filled(asked)
    return channels, height, width


def prepare(spec: Spec, binding: Binding, subtask: str, keep_picture: bool = False) -> PicturePrepare:
    shape = input_shape(spec, binding)
    return PicturePrepare(
        input=binding.inputs[INPUT].name,
        shape=shape,
        normalise=Normalise(*statistics(spec, shape[0])),
        reader=PictureReader.for_channels(shape[0], spec.dataset.exif_orientation),
        resize=StretchCrop(),
        keep_picture=keep_picture,
    )


def statistics(spec: Spec, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """(mean, std); for one channel, three values count by their average."""
    mean, std = (
        [sum(values) / len(values)] if channels == 1 and len(values) == 3 else values
        for values in (spec.dataset.pixel_mean, spec.dataset.pixel_std)
    )
    return pixel_statistics(mean, std, channels, "dataset", "pixel_")


def evaluation(spec: Spec, binding: Binding) -> Evaluation:
    from nvidia_tao_deploy.data.retrieval import classes_of, labelled
    from nvidia_tao_deploy.metrics.retrieval import Retrieval

    folder, query = Path(require(spec, REFERENCE)), Path(require(spec, QUERY))
    classes = classes_of(spec.dataset.class_map, folder, query, "dataset.class_map")
    reference, gallery = _gallery(spec, binding, "evaluate", classes)
    samples = labelled(query, classes, QUERY)
    _doubts(samples, reference.samples, classes)
    count = spec.evaluate.topk
    metric = Retrieval(classes.names, count, gallery)
    return Evaluation(samples, DecodeNeighbours(OUTPUT, gallery, count), metric, reference=reference)


def inference(spec: Spec, binding: Binding, results_dir: Path) -> Inference:
    from nvidia_tao_deploy.data.retrieval import classes_of, query_pictures
    from nvidia_tao_deploy.render.names import ResultNames
    from nvidia_tao_deploy.render.neighbour_csv import NeighbourCsv
    from nvidia_tao_deploy.render.neighbours import NeighbourStrips

    section = spec.inference
    key = "inference.input_path" if section.input_path or not spec.dataset.val_dataset.query else QUERY
    path = require(spec, key)
    classes = classes_of(spec.dataset.class_map, Path(require(spec, REFERENCE)), None, "dataset.class_map")
    samples = query_pictures(path, section.inference_input_type, classes, key)
    reference, gallery = _gallery(spec, binding, "inference", classes)
    writers: list[Any] = [NeighbourCsv(results_dir / "trt_result.csv", classes.names)]
    drawn = min(section.drawn_neighbours, section.topk)
    if drawn:
        names, exif = ResultNames(samples), spec.dataset.exif_orientation
        writers.append(NeighbourStrips(results_dir, names, classes.names, gallery, drawn, exif))
    return Inference(samples, DecodeNeighbours(OUTPUT, gallery, section.topk), writers, reference)


def _gallery(spec: Spec, binding: Binding, subtask: str, classes: FolderClasses) -> tuple[Reference, Gallery]:
    """The gallery, and the first pass of a task that fills it.

    Raises:
        DataError: it is empty, or has folders that are no classes.
        SpecError: it has fewer pictures than topk.
    """
    from nvidia_tao_deploy.data.gallery import Gallery, GalleryCache
    from nvidia_tao_deploy.data.retrieval import labelled

    _size_remark(spec, binding)
    samples = labelled(Path(require(spec, REFERENCE)), classes, REFERENCE)
    section = getattr(spec, subtask)
    if section.topk > len(samples):
        raise SpecError(
            f"{subtask}.topk: {section.topk}: the gallery has only {len(samples)} pictures "
            f"({REFERENCE}: {spec.dataset.val_dataset.reference})",
            hint=f"Set {subtask}.topk={len(samples)} or less, or add pictures to the gallery.",
        )
    cache = None
    if spec.dataset.gallery_cache:
        engine = Path(section.trt_engine)
        own = spec.dataset.gallery_cache_file
        file = Path(own) if own else engine.with_name(f"{engine.name}.gallery.npz")
        made_by = prepare(spec, binding, subtask)
        values = (made_by.shape, *made_by.normalise.gain.tolist(), *made_by.normalise.bias.tolist())
        cache = GalleryCache(file, engine, repr((OUTPUT, values, made_by.reader, made_by.resize)))
    gallery = Gallery(samples, cache, section.topk)
    return Reference("gallery", samples, DecodeEmbedding(OUTPUT), gallery), gallery


def _size_remark(spec: Spec, binding: Binding) -> None:
    asked = (spec.model.input_channels, spec.model.input_height, spec.model.input_width)
    taken = input_shape(spec, binding)
    default = Model()
    untouched = asked == (default.input_channels, default.input_height, default.input_width)
    if asked != taken and not untouched:
        logger.warning(
            "model.input_channels, input_height, input_width are %s; the engine takes %s, and that is what it gets",
            " x ".join(map(str, asked)), " x ".join(map(str, taken)),
        )  # fmt: skip


def _doubts(queries: Sequence[Sample], gallery: Sequence[Sample], classes: FolderClasses) -> None:
    """Warn of data that can be scored but hardly as meant."""
    from nvidia_tao_deploy.data.retrieval import absent, overlap

    missing = absent(queries, gallery)
    if missing:
        names = ", ".join(classes.names[label] for label in missing[:SHOWN]) + (" ..." if len(missing) > SHOWN else "")
        lacking = set(missing)
        count = sum(sample.target in lacking for sample in queries)
        swapped = "" if absent(gallery, queries) else f" Are {REFERENCE} and {QUERY} swapped?"
        logger.warning(
            "%d classes of the queries are not in the gallery: %s. Their %d pictures count as misses.%s",
            len(missing), names, count, swapped,
        )  # fmt: skip
    same = overlap(queries, gallery)
    if same:
        logger.warning(
            "%d of %d queries are themselves in the gallery: each finds itself, and the accuracy means nothing",
            same, len(queries),
        )  # fmt: skip


NETWORKS = {
    "ml_recog": Network(
        name="ml_recog",
        summary="recognition by the nearest pictures of a labelled gallery (metric learning)",
        schema=Spec,
        signature=signature,
        prepare=prepare,
        batch_size=lambda spec, subtask: int(getattr(spec, subtask).batch_size),
        evaluation=evaluation,
        inference=inference,
        axes=lambda spec: {
            "H": (spec.model.input_height,) * 3,
            "W": (spec.model.input_width,) * 3,
            "C": (spec.model.input_channels,) * 3,
        },
    )
}
