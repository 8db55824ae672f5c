# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""lprnet: licence plate recognition on cropped plates (CTC), with protobuf-text specs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, List  # noqa: UP035  (see spec.common)

from nvidia_tao_deploy.data.pictures import PictureReader
from nvidia_tao_deploy.data.plates import SOURCES, labelled_plates, plates, read_plate_characters
from nvidia_tao_deploy.data.text_recognition import report_unreadable
from nvidia_tao_deploy.decode.ctc import DecodePlate
from nvidia_tao_deploy.errors import SpecError
from nvidia_tao_deploy.network import Evaluation, Inference, Network
from nvidia_tao_deploy.networks.parts.text import AnnotateTextKeys
from nvidia_tao_deploy.signature import Binding, Signature, Tensor
from nvidia_tao_deploy.spec.compose import require
from nvidia_tao_deploy.spec.fields import ignored, option, section
from nvidia_tao_deploy.spec.flagged import FlaggedExperiment, FlaggedTask
from nvidia_tao_deploy.spec.flags import BUILD_FLAGS, GPU, INFERENCE, KEY, MODEL, RESULTS, Flag, batch_flag
from nvidia_tao_deploy.transforms.picture import Normalise, PicturePrepare, picture_layout
from nvidia_tao_deploy.transforms.resize import stretch_rounded

# ruff: noqa: UP006
INPUT, IDS, PROBABILITIES = "image_input", "tf_op_layer_ArgMax", "tf_op_layer_Max"


@dataclass
class LprConfig:
    max_label_length: Any = ignored("nothing reads it but training")


@dataclass
class EvalConfig:
    batch_size: int = option(1, "pictures per batch, unless the task's own batch_size is set", minimum=1)


@dataclass
class DataSource:
    image_directory_path: str = option("", "folder with pictures of plates")
    label_directory_path: str = option("", "folder with <stem>.txt for each picture: its first line is the plate")


@dataclass
class DatasetConfig:
    data_sources: Any = ignored("only training reads it")
    validation_data_sources: List[DataSource] = option(
        [], "image_directory_path and label_directory_path of one or more sources"
    )
    characters_list_file: str = option("", "one character per line, in the order of training (the blank is last)")


@dataclass
class AugmentationConfig:
    output_width: int = option(96, "width of the network input, for a model that leaves it open", minimum=1)
    output_height: int = option(48, "height of the network input, for a model that leaves it open", minimum=1)
    output_channel: int = option(3, "channels, 1 or 3, for a model that leaves them open", choices=(1, 3))


@dataclass
class InferenceSection(FlaggedTask, AnnotateTextKeys):
    image_dir: str = option("", "folder with pictures, or one picture; without: the pictures of the data sources")


@dataclass
class Spec(FlaggedExperiment):
    lpr_config: LprConfig = section(LprConfig)
    augmentation_config: AugmentationConfig = section(AugmentationConfig)
    eval_config: EvalConfig = section(EvalConfig)
    dataset_config: DatasetConfig = section(DatasetConfig)
    evaluate: FlaggedTask = section(FlaggedTask)
    inference: InferenceSection = section(InferenceSection)


def signature(spec: Spec) -> Signature:
    return Signature(
        inputs=(Tensor(INPUT, ("B", "C", "H", "W"), meaning="BGR (or grey), x/255"),),
        outputs=(
            Tensor(IDS, ("B", "T"), ("int32", "int64"), "best class per step"),
            Tensor(PROBABILITIES, ("B", "T"), meaning="its probability, 0..1"),
        ),
    )


def open_size(spec: Spec) -> tuple[int, int, int]:
    """(C,H,W) for a model that leaves sizes open."""
    size = spec.augmentation_config
    return size.output_channel, size.output_height, size.output_width


def prepare(spec: Spec, binding: Binding, subtask: str, keep_picture: bool = False) -> PicturePrepare:
    info = binding.inputs[INPUT]
    shape, channels_last = picture_layout(info.settled, False, open_size(spec))
    return PicturePrepare(
        input=info.name,
        shape=shape,
        normalise=Normalise(order="BGR"),
        reader=PictureReader.for_channels(shape[0], exif=True),  # as OpenCV's imread
        resize=stretch_rounded,
        keep_picture=keep_picture,
        channels_last=channels_last,
    )


def batch_size(spec: Spec, subtask: str) -> int:
    own = int(getattr(spec, subtask).batch_size)
    return own if own > 0 else spec.eval_config.batch_size


def decoder(spec: Spec, binding: Binding) -> DecodePlate:
    """With the character list, checked against the model where its number of classes is known."""
    path = Path(require(spec, "dataset_config.characters_list_file"))
    return DecodePlate(IDS, PROBABILITIES, read_plate_characters(path, binding.classes.get(IDS)), path)


def sources(spec: Spec, labels: bool) -> list[DataSource]:
    """The data sources, each complete. Raises SpecError when there is none or a folder is not given."""
    for index, source in enumerate(require(spec, SOURCES)):
        for name in ("image_directory_path", *(("label_directory_path",) if labels else ())):
            if not getattr(source, name):
                raise SpecError(f"{SOURCES}: number {index + 1} has no {name}")
    return spec.dataset_config.validation_data_sources


def evaluation(spec: Spec, binding: Binding) -> Evaluation:
    from nvidia_tao_deploy.metrics.text_recognition import ExactMatch

    decode = decoder(spec, binding)
    pairs = [(Path(one.image_directory_path), Path(one.label_directory_path)) for one in sources(spec, labels=True)]
    samples = labelled_plates(pairs)
    report_unreadable(samples, "".join(decode.characters), decode.source)
    return Evaluation(samples, decode, ExactMatch())


def inference(spec: Spec, binding: Binding, results_dir: Path) -> Inference:
    from nvidia_tao_deploy.render.text_pictures import text_writers

    decode, keys = decoder(spec, binding), spec.inference
    if keys.image_dir:
        samples = plates([Path(keys.image_dir)], "inference.image_dir")
    else:
        samples = plates([Path(one.image_directory_path) for one in sources(spec, labels=False)], SOURCES)
    writers = text_writers(results_dir, samples, keys.annotate, keys.annotate_font, print_confidence=False)
    return Inference(samples, decode, writers)


FLAGS = (
    MODEL,
    KEY,
    RESULTS,
    *BUILD_FLAGS,
    Flag(("-i", "--image_dir"), {INFERENCE: "inference.image_dir"}, "pictures (those of the spec)", "FOLDER"),
    batch_flag(calibration=False),
    *GPU,
)

NETWORKS = {
    "lprnet": Network(
        name="lprnet",
        summary="licence plate recognition on cropped plates (protobuf-text specs)",
        schema=Spec,
        signature=signature,
        prepare=prepare,
        batch_size=batch_size,
        evaluation=evaluation,
        inference=inference,
        axes=lambda spec: {symbol: (size,) * 3 for symbol, size in zip("CHW", open_size(spec), strict=True)},
        flags=FLAGS,
        without_spec=("gen_trt_engine",),
    )
}
