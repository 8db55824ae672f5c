# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""optical_inspection: a unit under test against a golden picture, by the distance of two embeddings."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nvidia_tao_deploy.decode.pairs import EmbeddingDistance
from nvidia_tao_deploy.errors import DataError
from nvidia_tao_deploy.network import Evaluation, Inference, Network, Sample
from nvidia_tao_deploy.networks import _inspection
from nvidia_tao_deploy.networks._inspection import GOLDEN, UNIT, Inspection, InspectionDataset
from nvidia_tao_deploy.signature import Binding, Signature, Tensor
from nvidia_tao_deploy.spec.common import Experiment, TaskSection
from nvidia_tao_deploy.spec.fields import ignored, option, section
from nvidia_tao_deploy.transforms.tiles import TilePrepare

logger = logging.getLogger(__name__)
EMBEDDINGS = ("output_1", "output_2")


@dataclass
class Dataset(InspectionDataset):
    batch_size: int = option(32, "pairs per batch, unless the task's own batch_size is set", minimum=-1)
    image_width: int = option(128, "width of one tile", minimum=1)
    image_height: int = option(128, "height of one tile", minimum=1)


@dataclass
class Model:
    margin: float = option(2.0, "pairs whose distance is above it are defects")
    model_type: Any = ignored("the model decides")
    model_backbone: Any = ignored("the model decides")
    embedding_vectors: Any = ignored("the model decides")
    imagenet_pretrained: Any = ignored("only training reads it")


@dataclass
class Infer(TaskSection):
    batch_size: int = option(1, "pairs per batch; -1: dataset.batch_size", minimum=-1)


@dataclass
class Spec(Experiment):
    dataset: Dataset = section(Dataset)
    model: Model = section(Model)
    inference: Infer = section(Infer)
    evaluate: TaskSection = section(TaskSection)


def inspection(spec: Spec) -> Inspection:
    return Inspection(spec.dataset, "dataset")


def signature(spec: Spec) -> Signature:
    view = ("B", 3, "H", "W")
    return Signature(
        inputs=(
            Tensor(UNIT, view, meaning="unit under test: RGB, lights tiled, (x/255 - mean) / std"),
            Tensor(GOLDEN, view, meaning="golden picture, as the unit"),
        ),
        outputs=tuple(
            Tensor(name, ("B", "vector"), meaning=f"embedding of {source}")
            for name, source in zip(EMBEDDINGS, (UNIT, GOLDEN), strict=True)
        ),
    )


def prepare(spec: Spec, binding: Binding, subtask: str, keep_picture: bool = False) -> TilePrepare:
    return inspection(spec).prepare(binding)


def batch_size(spec: Spec, subtask: str) -> int:
    return _inspection.batch_size(getattr(spec, subtask).batch_size, spec.dataset.batch_size)


def evaluation(spec: Spec, binding: Binding) -> Evaluation:
    """Over dataset.test_dataset where it is set, else over infer_dataset as TAO Deploy does."""
    table = spec.dataset.test_dataset.csv_path
    name = "test_dataset" if table else "infer_dataset"
    if not table:
        logger.info("evaluate: dataset.test_dataset.csv_path is not set, so dataset.infer_dataset is scored")
    elif Path(table).is_file():
        logger.info("evaluate: dataset.test_dataset is scored (TAO Deploy scores infer_dataset)")
    else:
        raise DataError(
            f"dataset.test_dataset.csv_path: {table}: no such file.",
            hint="dataset.test_dataset.csv_path=null scores dataset.infer_dataset, as TAO Deploy does.",
        )
    return inspection(spec).evaluation(name, EmbeddingDistance(EMBEDDINGS), spec.model.margin)


def inference(spec: Spec, binding: Binding, results_dir: Path) -> Inference:
    return inspection(spec).inference(EmbeddingDistance(EMBEDDINGS), results_dir)


def calibration(spec: Spec) -> list[Sample]:
    return inspection(spec).calibration(list(spec.gen_trt_engine.tensorrt.calibration.cal_image_dir))


def axes(spec: Spec) -> dict[str, tuple[int, int, int]]:
    """For models with open height and width: what the tiles make."""
    height, width = inspection(spec).layout.size
    return {"H": (height,) * 3, "W": (width,) * 3}


NETWORKS = {
    "optical_inspection": Network(
        name="optical_inspection",
        summary="defects by comparing units with golden pictures (siamese network)",
        schema=Spec,
        signature=signature,
        prepare=prepare,
        batch_size=batch_size,
        evaluation=evaluation,
        inference=inference,
        calibration=calibration,
        axes=axes,
    )
}
