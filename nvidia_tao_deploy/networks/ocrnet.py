# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""ocrnet: text recognition on cropped words and lines, with a CTC or an attention decoder."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from nvidia_tao_deploy.data.characters import BLANK_RULES, SPECIAL, Characters, read_characters
from nvidia_tao_deploy.data.lines import natural_key
from nvidia_tao_deploy.data.pictures import PictureReader, picture_samples
from nvidia_tao_deploy.data.text_recognition import labelled_crops, report_unreadable
from nvidia_tao_deploy.decode.ctc import DecodeText
from nvidia_tao_deploy.network import Evaluation, Inference, Network
from nvidia_tao_deploy.networks.parts.text import AnnotateTextKeys
from nvidia_tao_deploy.signature import Binding, Signature, Tensor
from nvidia_tao_deploy.spec.common import Experiment, TaskSection
from nvidia_tao_deploy.spec.compose import require
from nvidia_tao_deploy.spec.fields import ignored, option, section
from nvidia_tao_deploy.spec.migrate import Migration, megabytes
from nvidia_tao_deploy.transforms.picture import Normalise, PicturePrepare
from nvidia_tao_deploy.transforms.resize import PillowStretch
from nvidia_tao_deploy.transforms.text import fit_height

# ruff: noqa: UP045
logger = logging.getLogger(__name__)


@dataclass
class Model:
    prediction: str = option("CTC", "decoder that the model was trained with", choices=tuple(SPECIAL))
    input_width: int = option(100, "width of the network input, for a model that leaves it open", minimum=1)
    input_height: int = option(32, "height of the network input, for a model that leaves it open", minimum=1)
    input_channel: int = option(1, "1 grey, 3 RGB, for a model that leaves it open", minimum=1, maximum=3)
    feature_channel: Any = ignored("only training reads it")


@dataclass
class Augmentation:
    keep_aspect_ratio: bool = option(
        False, "scale to the height and repeat the last column on the right, as the model was trained; else squash"
    )


@dataclass
class Dataset:
    character_list_file: Optional[str] = option(None, "the characters, one per line, in the order of training")
    blank_lines: str = option(
        "auto",
        "lines of white space in the character list: drop (as training does), keep (as a character), auto (what fits "
        "the model; drop when it does not tell)",
        choices=BLANK_RULES,
    )
    augmentation: Augmentation = section(Augmentation)


@dataclass
class Task(TaskSection):
    batch_size: int = option(1, "pictures per batch; -1: 1", minimum=-1)
    input_width: Optional[int] = option(None, "width of the network input; null: the model's", minimum=1)
    input_height: Optional[int] = option(None, "height of the network input; null: the model's", minimum=1)
    input_channel: Any = ignored("the model decides")


@dataclass
class Evaluate(Task):
    test_dataset_dir: str = option("", "folder that the names in test_dataset_gt_file are relative to")
    test_dataset_gt_file: Optional[str] = option(None, "ground truth: 'name text' or 'name<TAB>text' on each line")


@dataclass
class InferenceSection(Task, AnnotateTextKeys):
    inference_dataset_dir: str = option("", "folder with pictures, without its sub-folders; or one picture")


@dataclass
class Spec(Experiment):
    dataset_convert: Any = ignored("only training reads it")
    model: Model = section(Model)
    dataset: Dataset = section(Dataset)
    evaluate: Evaluate = section(Evaluate)
    inference: InferenceSection = section(InferenceSection)


def signature(spec: Spec) -> Signature:
    return Signature(
        inputs=(Tensor("input", ("B", "C", "H", "W"), meaning="grey or RGB, (x/255 - 0.5) / 0.5"),),
        outputs=(
            Tensor("output_id", ("B", "T"), ("int32", "int64"), "best class per step"),
            Tensor("output_prob", ("B", "T"), meaning="its probability, 0..1"),
        ),
    )


def input_shape(spec: Spec, binding: Binding, subtask: str) -> tuple[int, int, int]:
    """(C,H,W): the model's where it is fixed, else the task's, else that of the model section.

    A size given in the task that the model cannot take is named in a warning. Raises SpecError for a number of channels
    other than 1 and 3.
    """
    info = binding.inputs["input"]
    task = None if subtask == "gen_trt_engine" else getattr(spec, subtask)
    height, width = (task.input_height, task.input_width) if task else (None, None)
    asked = (spec.model.input_channel, height or spec.model.input_height, width or spec.model.input_width)
    shape = info.filled(asked)
    if height not in (None, shape[1]) or width not in (None, shape[2]):
        logger.warning(
            "%s.input_width and input_height: the spec says %s x %s, the model takes %d x %d only: "
            "pictures are resized to that",
            subtask, width or "any", height or "any", shape[2], shape[1],
        )  # fmt: skip
    return shape[0], shape[1], shape[2]


def prepare(spec: Spec, binding: Binding, subtask: str, keep_picture: bool = False) -> PicturePrepare:
    shape = input_shape(spec, binding, subtask)
    return PicturePrepare(
        input=binding.inputs["input"].name,
        shape=shape,
        normalise=Normalise(mean=(0.5,), std=(0.5,)),
        reader=PictureReader.for_channels(shape[0]),
        resize=fit_height if spec.dataset.augmentation.keep_aspect_ratio else PillowStretch("bicubic"),
        keep_picture=keep_picture,
    )


def characters(spec: Spec, binding: Binding) -> Characters:
    """The character list, checked against the model where its number of classes is known."""
    path = Path(require(spec, "dataset.character_list_file"))
    return read_characters(path, spec.model.prediction, spec.dataset.blank_lines, binding.classes.get("output_id"))


def decoder(spec: Spec, binding: Binding) -> DecodeText:
    return DecodeText("output_id", "output_prob", spec.model.prediction, characters(spec, binding))


def evaluation(spec: Spec, binding: Binding) -> Evaluation:
    from nvidia_tao_deploy.metrics.text_recognition import ExactMatch

    truth = Path(require(spec, "evaluate.test_dataset_gt_file"))
    samples = labelled_crops(truth, Path(require(spec, "evaluate.test_dataset_dir")))
    decode = decoder(spec, binding)
    report_unreadable(samples, decode.characters.text, decode.characters.source)
    return Evaluation(samples, decode, ExactMatch())


def inference(spec: Spec, binding: Binding, results_dir: Path) -> Inference:
    from nvidia_tao_deploy.render.text_pictures import text_writers

    key = "inference.inference_dataset_dir"
    samples = picture_samples(require(spec, key), recursive=False, key=key)
    samples.sort(key=lambda sample: natural_key(sample.name))
    writers = text_writers(results_dir, samples, spec.inference.annotate, spec.inference.annotate_font)
    return Inference(samples, decoder(spec, binding), writers)


def batch_size(spec: Spec, subtask: str) -> int:
    own = int(getattr(spec, subtask).batch_size)
    return 1 if own == -1 else own


def axes(spec: Spec) -> dict[str, tuple[int, int, int]]:
    model = spec.model
    return {
        "C": (model.input_channel,) * 3,
        "H": (model.input_height,) * 3,
        "W": (model.input_width,) * 3,
    }


def _is_path(value: Any) -> bool:
    """`model` was a file then and is a section now."""
    return isinstance(value, str)


MIGRATIONS = (
    Migration("model", "gen_trt_engine.onnx_file", applies=_is_path),
    Migration("save_engine_path", "gen_trt_engine.trt_engine"),
    Migration("workspace_size", "gen_trt_engine.tensorrt.workspace_size", megabytes),
    *(
        Migration(f"{which}_batch_size", f"gen_trt_engine.tensorrt.{which}_batch_size")
        for which in ("min", "opt", "max")
    ),
    Migration("engine", "inference.trt_engine"),
    Migration("batch_size", "inference.batch_size"),
    Migration("inference_images_dir", "inference.inference_dataset_dir"),
    Migration("character_list_file", "dataset.character_list_file"),
    *(Migration(f"dataset.input_{what}", f"model.input_{what}") for what in ("width", "height", "channel")),
)
"""Flat specs of releases up to 6.25 (their workspace is in GB), and sizes that stood in `dataset`."""

NETWORKS = {
    "ocrnet": Network(
        name="ocrnet",
        summary="text recognition on word crops (CTC or attention)",
        schema=Spec,
        signature=signature,
        prepare=prepare,
        batch_size=batch_size,
        evaluation=evaluation,
        inference=inference,
        axes=axes,
        migrations=MIGRATIONS,
    )
}
