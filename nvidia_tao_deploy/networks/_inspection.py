# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""What optical_inspection and visual_changenet's classify task share: csv files of pairs, tiled lights, scores."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional  # noqa: UP035  (see spec.common)

from nvidia_tao_deploy.data.pairs import GoldenFolders, Lights, PairSample, PairTable, first_table, lights, read_pairs
from nvidia_tao_deploy.engine.contract import DYNAMIC
from nvidia_tao_deploy.errors import DataError, EngineError, SpecError
from nvidia_tao_deploy.network import Decode, Evaluation, Inference
from nvidia_tao_deploy.signature import Binding
from nvidia_tao_deploy.spec.fields import ignored, option, section
from nvidia_tao_deploy.transforms.picture import Normalise
from nvidia_tao_deploy.transforms.statistics import IMAGENET_MEAN, IMAGENET_STD, pixel_statistics
from nvidia_tao_deploy.transforms.tiles import TileLayout, TilePrepare, tile_layout

# ruff: noqa: UP006, UP045
logger = logging.getLogger(__name__)
UNIT, GOLDEN = "input_1", "input_2"


@dataclass
class Pairs:
    csv_path: Optional[str] = option("", "csv file: input_path, golden_path, object_name; label (PASS, or a defect)")
    images_dir: Optional[str] = option("", "folder that input_path and golden_path are relative to")


@dataclass
class TrainPairs:
    csv_path: Optional[str] = option("", "csv file: INT8 is calibrated with its pairs")
    images_dir: Optional[str] = option("", "only training reads it: calibration takes cal_image_dir")


@dataclass
class Augmentation:
    rgb_input_mean: List[float] = option(list(IMAGENET_MEAN), "mean per channel (RGB), for pixels 0..1")
    rgb_input_std: List[float] = option(list(IMAGENET_STD), "standard deviation per channel (RGB), for pixels 0..1")


@dataclass
class InspectionDataset:
    """Keys of the pairs' data set; networks differ in defaults."""

    train_dataset: TrainPairs = section(TrainPairs)
    validation_dataset: TrainPairs = section(TrainPairs)
    test_dataset: Pairs = section(Pairs)
    infer_dataset: Pairs = section(Pairs)
    image_ext: Optional[str] = option(None, "ending of every picture, such as .jpg")
    batch_size: int = option(8, "pairs per batch, unless the task's own batch_size is set", minimum=-1)
    num_input: int = option(8, "number of lights: pictures that make up one view of an object", minimum=1)
    input_map: Optional[Dict[str, Optional[int]]] = option(
        None, "number of each light, e.g. {Low: 0, White: 1}: tiles follow the numbers; null: one picture, no light"
    )
    concat_type: Optional[str] = option(
        None, "tiles one above the other, or in rows and columns; null: linear", choices=("linear", "grid")
    )
    grid_map: Optional[Dict[str, int]] = option(None, "for grid: {x: columns, y: rows}")
    image_width: int = option(224, "width of one tile", minimum=1)
    image_height: int = option(224, "height of one tile", minimum=1)
    augmentation_config: Augmentation = section(Augmentation)
    workers: Any = ignored("all cores read")
    fpratio_sampling: Any = ignored("only training reads it")


@dataclass(frozen=True, slots=True)
class Inspection:
    """One way to the pairs of a spec.

    Attributes:
        dataset: the section that holds the data set.
        key: its name in the spec.
        seed: for drawing golden pictures.
    """

    dataset: InspectionDataset
    key: str
    seed: int = 0

    @property
    def golden_count(self) -> int:
        """Golden pictures per unit."""
        return int(getattr(self.dataset, "num_golden", 1))

    @property
    def views(self) -> Lights:
        """The lights. Raises SpecError."""
        data = self.dataset
        return lights(data.input_map, data.num_input, data.image_ext, self.key)

    @property
    def layout(self) -> TileLayout:
        """How the lights are tiled. Raises SpecError."""
        data = self.dataset
        count = data.num_input if data.input_map else 1
        return tile_layout(count, (data.image_height, data.image_width), data.concat_type, data.grid_map, self.key)

    def prepare(self, binding: Binding) -> TilePrepare:
        """Raises EngineError when the model takes another size than the spec's tiles make."""
        augmentation = self.dataset.augmentation_config
        where = f"{self.key}.augmentation_config"
        mean, std = pixel_statistics(augmentation.rgb_input_mean, augmentation.rgb_input_std, 3, where, "rgb_input_")
        layout, several = self.layout, self.golden_count > 1
        for name in (UNIT, GOLDEN):
            self._check_size(binding, name, layout)
        return TilePrepare(
            binding.inputs[UNIT].name,
            binding.inputs[GOLDEN].name,
            layout,
            Normalise(mean, std),
            GoldenFolders(self.views, self.golden_count, self.seed) if several else None,
        )

    def _check_size(self, binding: Binding, name: str, layout: TileLayout) -> None:
        info = binding.inputs[name]
        if any(have not in (DYNAMIC, want) for have, want in zip(info.shape[-2:], layout.size, strict=True)):
            raise EngineError(
                f"The model takes {info}, but the spec makes {layout.size[0]} x {layout.size[1]} (height x width) of "
                f"{layout.rows} row{'s' * (layout.rows > 1)} and {layout.columns} column{'s' * (layout.columns > 1)} "
                f"of tiles of {layout.height} x {layout.width}.",
                hint=f"Set {self.key}.image_height, image_width, num_input, input_map and concat_type as in training.",
            )

    def table(self, name: str, labelled: bool) -> PairTable:
        """The csv of `<key>.<name>`. Raises SpecError, DataError."""
        key = f"{self.key}.{name}"
        source: Pairs = getattr(self.dataset, name)
        for part in ("csv_path", "images_dir"):
            if not getattr(source, part):
                raise SpecError(f"{key}.{part} is not set.", hint=f"Set {key}.{part}=...")
        return read_pairs(
            Path(str(source.csv_path)), Path(str(source.images_dir)), self.views, self.golden_count > 1, labelled, key
        )

    def calibration(self, folders: list[str]) -> list[Any]:
        """Pairs of the training csv where it is there, else of validation's, test's or inference's, in `folders`."""
        names = ("train_dataset", "validation_dataset", "test_dataset", "infer_dataset")
        tables = [(f"{self.key}.{name}", getattr(self.dataset, name).csv_path) for name in names]
        found = first_table(tables)
        if found is None:
            raise SpecError(
                f"Calibration needs pairs: none of {', '.join(f'{key}.csv_path' for key, _ in tables)} is there.",
                hint=f"Set {tables[0][0]}.csv_path to a csv file; its pictures are looked up below cal_image_dir.",
            )
        absent = [folder for folder in folders if not Path(folder).is_dir()]
        if absent:
            raise DataError(f"gen_trt_engine.tensorrt.calibration.cal_image_dir: {absent[0]}: no such folder.")
        key, source = found
        logger.info("gen_trt_engine takes the pairs of %s (%s.csv_path)", source, key)
        several = self.golden_count > 1
        samples = [
            sample
            for folder in folders
            for sample in read_pairs(source, Path(folder), self.views, several, False, key).samples
        ]
        self._some_usable(samples, f"{key}.csv_path: {source}")
        return samples

    def _some_usable(self, samples: list[PairSample], where: str) -> None:
        """Raises DataError where no row can be used, with what is wrong with the first. Stops at one that can."""
        problem = ""
        for sample in samples:
            found = sample.fault or next(
                (f"{file}: no such picture" for file in sample.files() if not file.is_file()), ""
            )
            if not found:
                return
            problem = problem or found.rstrip(".")
        picture = f"object_name{self.views.ends[0]}{self.views.suffix}"
        raise DataError(
            f"{where}: no row can be used for calibration; the first: {problem}.",
            hint=f"Each row needs a cell for every column, and the pictures cal_image_dir/input_path/{picture} and "
            f"cal_image_dir/golden_path/{picture}: correct the csv file, or cal_image_dir.",
        )

    def evaluation(self, name: str, decode: Decode, margin: float) -> Evaluation:
        from nvidia_tao_deploy.metrics.inspection import InspectionMetric
        from nvidia_tao_deploy.render.score_csv import ScoreCsv

        table = self.table(name, labelled=True)
        return Evaluation(
            table.samples, decode, InspectionMetric(margin), lambda folder: [ScoreCsv(folder / "evaluate.csv", table)]
        )

    def inference(self, decode: Decode, results_dir: Path) -> Inference:
        from nvidia_tao_deploy.render.score_csv import ScoreCsv

        table = self.table("infer_dataset", labelled=False)
        return Inference(table.samples, decode, [ScoreCsv(results_dir / "inference.csv", table)])


def batch_size(own: int, dataset: int) -> int:
    """The task's batch size; -1 leaves it to the data set's, and that to 1."""
    return own if own > 0 else max(dataset, 1)
