# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""From the spec's calibration section to what a backend needs for INT8."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nvidia_tao_deploy import logs
from nvidia_tao_deploy.data.pictures import picture_samples
from nvidia_tao_deploy.engine.calibration import cache, obtain, qat
from nvidia_tao_deploy.engine.calibration.obtain import SECTION
from nvidia_tao_deploy.engine.contract import DYNAMIC, BuildPlan, Calibration, TensorInfo
from nvidia_tao_deploy.errors import BuildError, DataError, EngineError, SpecError
from nvidia_tao_deploy.files import add_content, check_writable
from nvidia_tao_deploy.network import Sample
from nvidia_tao_deploy.pipeline.calibration import CalibrationFeed
from nvidia_tao_deploy.tasks.context import Context

if TYPE_CHECKING:
    import numpy as np

    from nvidia_tao_deploy.engine.calibration.tensorfile import TensorFile
    from nvidia_tao_deploy.graph.model import Model

logger = logging.getLogger(__name__)
QUANTISED = ("int8", "fp8")


def calibration(context: Context, model: Model) -> Calibration | None:
    """What the spec says about ranges; None when none are needed (another precision, or Q/DQ nodes in the model).

    Raises:
        SpecError, DataError: keys that do not fit each other, or data that cannot be used.
    """
    section = context.spec.gen_trt_engine.tensorrt
    keys = section.calibration
    if keys.cal_json_file and (model.quantised or section.data_type.lower() not in QUANTISED):
        why = f"data_type is {section.data_type.upper()}"
        why = "the model has Q/DQ nodes with its own ranges" if model.quantised else why
        logger.warning("%s.cal_json_file has no effect: %s", SECTION, why)
    if section.data_type.lower() == "fp16" and keys.cal_image_dir and not model.quantised:
        return _overflow_check(context, model)
    if section.data_type.lower() not in QUANTISED or model.quantised:
        return None
    facts: dict[str, Any] = {"onnx_sha256": model.sha256, "network": context.network.name}
    cache_file = Path(keys.cal_cache_file) if keys.cal_cache_file else None
    if cache_file is not None and (keys.cal_force or not cache_file.is_file()):  # else it may only be read
        obtain.check_cache_file(cache_file)
    common = {
        "algorithm": keys.cal_algorithm,
        "percentile": keys.cal_percentile,
        "cache_file": cache_file,
        "route": keys.cal_route.lower(),
        "redo": keys.cal_force,
    }
    if keys.cal_json_file and not keys.force_ptq:
        ranges = qat.read(Path(keys.cal_json_file))
        logger.info("INT8 ranges of %d tensors from %s; no calibration is run", len(ranges), keys.cal_json_file)
        facts["cal_json_sha256"] = hashlib.sha256(Path(keys.cal_json_file).read_bytes()).hexdigest()
        return Calibration(ranges=ranges, facts=facts, **common)
    feed = _feed(context, model)
    if feed is None:
        return Calibration(facts=facts, **common)
    facts.update(feed.facts())
    return Calibration(feed.__iter__, len(feed), feed.batch_size, facts=facts, **common)


def record(plan: BuildPlan) -> dict[str, Any] | None:
    """What the engine's json says about where ranges come from: of a cache, what its own json says, and nothing more
    where none describes it. None for engines that have none, and for calibration without a cache file."""
    wanted = plan.calibration
    if plan.precision not in QUANTISED or wanted is None:
        return None
    if wanted.ranges is not None:
        return {"algorithm": qat.ALGORITHM, **wanted.facts}
    if wanted.cache_file is None or not wanted.cache_file.is_file():
        return None
    known = cache.read_facts(wanted.cache_file, told=True)
    return {
        "cache": str(wanted.cache_file),
        "cache_sha256": hashlib.sha256(wanted.cache_file.read_bytes()).hexdigest(),
        **({"made_from": "unknown"} if known is None else {key: known[key] for key in known if key != "format"}),
    }


def _overflow_check(context: Context, model: Model) -> Calibration | None:
    """Pictures that show which values leave FP16's range; None when they cannot be had: FP16 can do without."""
    keys = context.spec.gen_trt_engine.tensorrt.calibration
    try:
        feed = picture_feed(context, model, _batch_size(keys.cal_batch_size, model), keys.cal_batches)
    except (SpecError, DataError, EngineError) as error:
        logger.info("FP16: overflow is not looked for: %s", error.message)
        return None
    return Calibration(feed.__iter__, len(feed), feed.batch_size)


def _feed(context: Context, model: Model) -> CalibrationFeed | TensorFileFeed | None:
    """The data to calibrate with: the TensorFile when it exists, else pictures (kept in it where it is named)."""
    keys = context.spec.gen_trt_engine.tensorrt.calibration
    data_file = Path(keys.cal_data_file) if keys.cal_data_file else None
    batch_size = _batch_size(keys.cal_batch_size, model)
    if data_file is not None and data_file.is_dir():
        raise SpecError(f"{SECTION}.cal_data_file: {data_file} is a folder; expected a TensorFile (HDF5).")
    if data_file is not None and (data_file.exists() or not keys.cal_image_dir):
        from nvidia_tao_deploy.engine.calibration.tensorfile import TensorFile

        return TensorFileFeed(TensorFile(data_file), model.inputs, batch_size, keys.cal_batches)
    if not keys.cal_image_dir:
        return None
    if data_file is not None:
        check_writable(data_file, f"{SECTION}.cal_data_file")
    feed = picture_feed(context, model, batch_size, keys.cal_batches)
    if data_file is not None:
        from nvidia_tao_deploy.engine.calibration import tensorfile

        logger.info("%s: %d batches written", data_file, tensorfile.write(data_file, feed))
        # from now on the file is the data, for the next run as well: the cache is bound to it
        return TensorFileFeed(tensorfile.TensorFile(data_file), model.inputs, feed.batch_size, feed.batches)
    return feed


def samples(context: Context) -> Sequence[Sample]:
    """The samples of `cal_image_dir`: the network's own kind, else pictures. Raises DataError when there are none."""
    key = f"{SECTION}.cal_image_dir"
    if context.network.calibration is not None:
        return context.network.calibration(context.spec)
    return picture_samples(list(context.spec.gen_trt_engine.tensorrt.calibration.cal_image_dir), key=key)


def picture_feed(context: Context, model: Model, batch_size: int, batches: int) -> CalibrationFeed:
    """Batches from `cal_image_dir` by the network's own preprocessing."""
    signature = context.network.signature(context.spec)
    binding = signature.bind(model.inputs, model.outputs, model.source, BuildError, told=True)
    prepare = context.network.prepare(context.spec, binding, "gen_trt_engine", False)
    if prepare.shapes is None and batch_size > 1:
        logger.info("Calibration: every picture has its own size, so batches hold one picture each")
    key = f"{SECTION}.cal_image_dir"
    seed = context.spec.gen_trt_engine.tensorrt.calibration.cal_seed
    return CalibrationFeed(samples(context), prepare, batch_size, batches, seed, key)


def _batch_size(asked: int, model: Model) -> int:
    if model.batch != DYNAMIC and model.batch != asked:
        logger.info("The model's batch size is fixed to %d: cal_batch_size=%d has no effect", model.batch, asked)
        return model.batch
    return asked


@dataclass(frozen=True, slots=True)
class TensorFileFeed:
    """Batches from a TensorFile: the first `batch_size` rows of each of the first `batches`.

    Raises:
        DataError: the file has fewer batches, smaller ones, or of another shape than the model takes.
    """

    source: TensorFile
    inputs: Sequence[TensorInfo]
    batch_size: int
    batches: int

    def __post_init__(self) -> None:
        if self.source.count < self.batches:
            raise DataError(
                f"{self.source.path}: holds {self.source.count} batches; cal_batches asks for {self.batches}.",
                hint="Set a smaller cal_batches, or delete the file to have it made again from cal_image_dir.",
            )

    def __len__(self) -> int:
        return self.batches

    def facts(self) -> dict[str, Any]:
        """The file is the data: its content counts."""
        digest = hashlib.sha256()
        add_content(digest, self.source.path)
        used = self.batches * self.batch_size
        return {"data": {"tensorfile": self.source.path.name, "used": used, "sha256": digest.hexdigest()}}

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        with logs.progress("calibration", self.batches * self.batch_size) as bar:
            for index, batch in enumerate(self.source.batches([info.name for info in self.inputs])):
                if index == self.batches:
                    return
                yield {info.name: self._rows(batch[info.name], info, index) for info in self.inputs}
                bar.advance(self.batch_size)

    def _rows(self, array: np.ndarray, info: TensorInfo, index: int) -> np.ndarray:
        sizes = zip(array.shape[1:], info.shape[1:], strict=False)
        if array.ndim != len(info.shape) or any(have != want != DYNAMIC for have, want in sizes):
            raise DataError(
                f"{self.source.path}: batch {index} is {array.shape}; the model takes {info}.",
                hint="Delete the file to have it made again from cal_image_dir, or name the one made for this model.",
            )
        if len(array) < self.batch_size:
            raise DataError(
                f"{self.source.path}: batch {index} holds {len(array)} pictures; cal_batch_size is {self.batch_size}.",
                hint=f"Set cal_batch_size={len(array)}, or delete the file to have it made again from cal_image_dir.",
            )
        return array[: self.batch_size]
