# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""multitask_classification: several classifications of one picture, with protobuf-text specs."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nvidia_tao_deploy.data.multitask import ClassMapping, TaskTable, read_class_mapping, read_task_table
from nvidia_tao_deploy.data.pictures import PictureReader, picture_samples
from nvidia_tao_deploy.decode.classes import DecodeTasks
from nvidia_tao_deploy.engine.contract import DYNAMIC
from nvidia_tao_deploy.errors import DataError, SpecError
from nvidia_tao_deploy.network import Evaluation, Inference, Network
from nvidia_tao_deploy.networks.parts.classification import InputSizeKey, class_count, fixed_axes, open_size
from nvidia_tao_deploy.signature import FLOATS, Binding, Signature, Tensor
from nvidia_tao_deploy.spec.compose import require
from nvidia_tao_deploy.spec.fields import option, section
from nvidia_tao_deploy.spec.flagged import FlaggedExperiment, FlaggedGenTrtEngine, FlaggedTask
from nvidia_tao_deploy.spec.flags import (
    BUILD,
    BUILD_FLAGS,
    CALIBRATION_FLAGS,
    GPU,
    KEY,
    MODEL,
    RESULTS,
    RUN,
    Flag,
    batch_flag,
)
from nvidia_tao_deploy.transforms.modes import mode_normalise
from nvidia_tao_deploy.transforms.picture import PicturePrepare, picture_layout
from nvidia_tao_deploy.transforms.resize import PillowStretch

if TYPE_CHECKING:
    from nvidia_tao_deploy.network import Writer

logger = logging.getLogger(__name__)
INPUT = "input_1"


@dataclass
class ModelConfig(InputSizeKey):
    resize_interpolation_method: str = option("bilinear", "how pictures are resized", choices=("bilinear", "bicubic"))


@dataclass
class DatasetConfig:
    image_directory_path: str = option("", "folder that the names in val_csv_path are relative to")
    val_csv_path: str = option("", "labels: a header, then picture name and one label per task on each line")


@dataclass
class EvalConfig:
    batch_size: int = option(1, "pictures per batch, unless the task's own batch_size is set", minimum=1)


_CLASS_MAP = "class_mapping.json of the training: tasks, and the classes of each"


@dataclass
class Build(FlaggedGenTrtEngine):
    class_map: str = option("", f"{_CLASS_MAP}; not needed for a build")


@dataclass
class Task(FlaggedTask):
    image_dir: str = option("", "instead of dataset_config.image_directory_path")
    class_map: str = option("", f"{_CLASS_MAP}; without, the sorted labels of val_csv_path are the classes")


@dataclass
class InferenceSection(Task):
    annotate: bool = option(False, "also write images_annotated/: each picture with the class of every task on it")


@dataclass
class Spec(FlaggedExperiment):
    model_config: ModelConfig = section(ModelConfig)
    dataset_config: DatasetConfig = section(DatasetConfig)
    eval_config: EvalConfig = section(EvalConfig)
    gen_trt_engine: Build = section(Build)
    evaluate: Task = section(Task)
    inference: InferenceSection = section(InferenceSection)


def signature(spec: Spec) -> Signature:
    return Signature(
        inputs=(Tensor(INPUT, ("B", "C", "H", "W"), meaning="BGR - mean, channels first or last"),),
        outputs=(),  # one per task, <task>/Softmax or the like, (B,classes): see `task_outputs`
    )


def prepare(spec: Spec, binding: Binding, subtask: str, keep_picture: bool = False) -> PicturePrepare:
    info = binding.inputs[INPUT]
    shape, channels_last = picture_layout(info.settled, False, open_size(spec.model_config.input_image_size))
    return PicturePrepare(
        input=info.name,
        shape=shape,
        normalise=mode_normalise("caffe", (), shape[0]),
        reader=PictureReader.for_channels(shape[0]),
        resize=PillowStretch(spec.model_config.resize_interpolation_method),
        keep_picture=keep_picture,
        channels_last=channels_last,
    )


def batch_size(spec: Spec, subtask: str) -> int:
    own = int(getattr(spec, subtask).batch_size)
    return own if own > 0 else spec.eval_config.batch_size


@dataclass(frozen=True, slots=True)
class Tasks:
    """The tasks of a model.

    Attributes:
        outputs: output name by task, tasks sorted.
        classes: class names by task.
    """

    outputs: Mapping[str, str]
    classes: Mapping[str, tuple[str, ...]]


def task_outputs(tasks: tuple[str, ...], binding: Binding, source: object) -> dict[str, str]:
    """Output by task: by name (`<task>`, `<task>/Softmax`, `<task>:0`), else in the order of the sorted task names.

    Raises:
        DataError: another number of outputs than tasks, or names that fit some tasks only.
    """
    heads = {
        name: name.partition(":")[0].partition("/")[0]
        for name, info in binding.outputs.items()
        if len(info.shape) == len(("B", "classes")) and info.dtype in FLOATS
    }
    if len(heads) != len(tasks):
        raise DataError(
            f"{source}: {len(tasks)} task{'s' * (len(tasks) != 1)} ({', '.join(tasks)}), but the model has "
            f"{len(heads)} outputs (B x classes): {', '.join(heads) or 'none'}.",
            hint="Give the class map or the CSV file that belongs to this model.",
        )
    named = {head: name for name, head in heads.items()}
    missing = [task for task in tasks if task not in named]
    if not missing:
        return {task: named[task] for task in tasks}
    if len(missing) < len(tasks):
        raise DataError(
            f"{source}: no output of the model is named after {', '.join(missing)}; it has {', '.join(heads)}."
        )
    pairs = dict(zip(tasks, heads, strict=True))
    told = ", ".join(f"{task}: {name}" for task, name in pairs.items())
    logger.warning("The model's outputs are not named after the tasks; taken in alphabetical order: %s", told)
    return pairs


def model_tasks(mapping: ClassMapping | None, table: TaskTable | None, binding: Binding) -> Tasks:
    """Tasks and classes by the class map, else by the CSV file, checked against the widths of the outputs.

    Raises:
        DataError: they do not fit the model or each other.
    """
    assert mapping or table
    tasks = mapping.tasks if mapping else table.tasks if table else ()
    source = mapping.source if mapping else table.source if table else ""
    if mapping and table and set(table.tasks) != set(tasks):
        lacking = [task for task in tasks if task not in table.tasks]
        problem = f"no column {', '.join(lacking)}; " if lacking else ""
        raise DataError(
            f"{table.source}: {problem}the columns are {', '.join(table.tasks)}; the tasks of {source} are "
            f"{', '.join(tasks)}.",
            hint="The csv file needs a column for each task, and the class map must be that of the model's training.",
        )
    outputs = task_outputs(tasks, binding, source)
    classes = {}
    for task, output in outputs.items():
        given = mapping.classes.get(task) if mapping else None
        names = given or (table.values(task) if table else ())
        width = class_count(binding, output)
        if width not in (DYNAMIC, len(names)):
            counted = f"{len(names)} class{'es' * (len(names) != 1)} ({', '.join(names[:10])})"
            own = "own " if given else ""
            raise DataError(
                f"{source if given else table.source if table else source}: task {task} has {counted}, but the model's "
                f"output '{output}' has {width}.",
                hint=f"Class numbers are those of training: give its {own}class_mapping.json (-cm FILE).",
            )
        classes[task] = names
    return Tasks(outputs, classes)


def _mapping(spec: Spec, subtask: str) -> ClassMapping | None:
    path = getattr(spec, subtask).class_map or spec.gen_trt_engine.class_map
    return read_class_mapping(Path(path), f"{subtask}.class_map") if path else None


def _folder(spec: Spec, subtask: str) -> tuple[Path, str]:
    """The folder with the pictures, and the key that names it."""
    own, shared = f"{subtask}.image_dir", "dataset_config.image_directory_path"
    key = shared if spec.dataset_config.image_directory_path and not getattr(spec, subtask).image_dir else own
    return Path(require(spec, key)), key


def evaluation(spec: Spec, binding: Binding) -> Evaluation:
    from nvidia_tao_deploy.metrics.multitask import TaskAccuracy

    table = read_task_table(Path(require(spec, "dataset_config.val_csv_path")))
    tasks = model_tasks(_mapping(spec, "evaluate"), table, binding)
    samples = table.samples(*_folder(spec, "evaluate"), tasks.classes)
    return Evaluation(samples, DecodeTasks(tasks.outputs, binding.probabilities), TaskAccuracy(tasks.classes))


def inference(spec: Spec, binding: Binding, results_dir: Path) -> Inference:
    """On the pictures of the CSV file, whose labels only name the classes where the class map does not; without a CSV
    file on all pictures of the folder."""
    from nvidia_tao_deploy.render.names import ResultNames
    from nvidia_tao_deploy.render.task_csv import TaskCsv
    from nvidia_tao_deploy.render.top_classes import TopClassPictures

    mapping, path = _mapping(spec, "inference"), spec.dataset_config.val_csv_path
    told = mapping is not None and bool(mapping.classes)
    table = read_task_table(Path(path), labels=not told) if path else None
    if table is None and not told:
        raise SpecError(
            "Nothing says what the classes are: neither inference.class_map nor dataset_config.val_csv_path is set.",
            hint="Give the class_mapping.json that training wrote: -cm FILE.",
        )
    tasks = model_tasks(mapping, None if told else table, binding)
    folder, key = _folder(spec, "inference")
    samples = table.samples(folder, key, None) if table else picture_samples(folder, key=key)
    writers: list[Writer] = [TaskCsv(results_dir / "result.csv", tasks.classes)]
    if spec.inference.annotate:
        writers.append(TopClassPictures(results_dir, ResultNames(samples), tasks.classes, 1))
    return Inference(samples, DecodeTasks(tasks.outputs, binding.probabilities), writers)


FLAGS = (
    MODEL,
    KEY,
    RESULTS,
    Flag(("-cm", "--class_map"), {task: f"{task}.class_map" for task in (BUILD, *RUN)}, "class_mapping.json"),
    *BUILD_FLAGS,
    *CALIBRATION_FLAGS,
    Flag(("-i", "--image_dir"), {task: f"{task}.image_dir" for task in RUN}, "pictures (the spec's)", "FOLDER"),
    batch_flag(),
    *GPU,
)

NETWORKS = {
    "multitask_classification": Network(
        name="multitask_classification",
        summary="several classifications of one picture (TensorFlow 1 networks, protobuf-text specs)",
        schema=Spec,
        signature=signature,
        prepare=prepare,
        batch_size=batch_size,
        evaluation=evaluation,
        inference=inference,
        axes=lambda spec: fixed_axes(open_size(spec.model_config.input_image_size)),
        flags=FLAGS,
        without_spec=("gen_trt_engine",),
    )
}
