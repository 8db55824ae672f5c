# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Which ranges a build takes: from quantisation-aware training, from a cache that fits, or from calibration now."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nvidia_tao_deploy.engine.calibration import cache, qat
from nvidia_tao_deploy.engine.contract import Calibration
from nvidia_tao_deploy.errors import BuildError, SpecError
from nvidia_tao_deploy.files import check_writable

if TYPE_CHECKING:
    from pathlib import Path

    import onnx

logger = logging.getLogger(__name__)
SHOWN = 5
FEW = 32
"""Below this many pictures the ranges depend on which ones they are; a warning says so."""
SECTION = "gen_trt_engine.tensorrt.calibration"


@dataclass(frozen=True, slots=True)
class Ranges:
    """Ranges of a model's activations.

    Attributes:
        amax: largest magnitude to cover, by tensor name.
        source: where they come from, one line for the log and the engine's json.
        missing: activations of the model that have none; filled in by `compared`.
        instead: the key by which pictures are used in their place.
    """

    amax: Mapping[str, float]
    source: str
    missing: tuple[str, ...] = ()
    instead: str = "cal_force"


def ranges(model: onnx.ModelProto, calibration: Calibration | None, everything: bool = False) -> Ranges:
    """Ranges for a float32 model without plugins.

    Args:
        model: float32, without plugins.
        calibration: where they come from.
        everything: of all activations; otherwise, where no cache is written, only of those that are quantised.

    Raises:
        SpecError: there is neither calibration data nor a cache.
        DataError: cache or data cannot be used.
        BuildError: the cache is of another model, or calibration fails.
    """
    from nvidia_tao_deploy.engine.calibration.ranges import observe
    from nvidia_tao_deploy.graph.quantise import activations, needed

    known = known_ranges(calibration)
    names = activations(model)
    if calibration is not None and calibration.cache_file is None and not everything:
        names = needed(model)  # nobody else will read the ranges
    if known is not None:
        known = compared(known, model, names)
        keep(calibration, known)
        return known
    wanted = with_data(calibration)
    assert wanted.batches is not None
    logger.info(
        "Calibrating %d tensors with %d pictures (%s), FP32 on ONNX Runtime ...",
        len(names), wanted.count * wanted.batch_size, wanted.algorithm,
    )  # fmt: skip
    amax = observe(model, names, wanted.batches(), wanted.algorithm, wanted.percentile)
    store(wanted, cache.format_text(amax, cache.header(wanted.algorithm)), "onnxruntime")
    return Ranges(amax, describe(wanted))


def known_ranges(calibration: Calibration | None) -> Ranges | None:
    """Ranges that need no calibration: of quantisation-aware training, or of a cache that fits; else None."""
    if calibration is not None and calibration.ranges is not None:
        return Ranges(calibration.ranges, f"{qat.ALGORITHM} (cal_json_file)", instead="force_ptq")
    found = reusable(calibration)
    if found is None:
        if calibration is not None and calibration.batches is not None:
            check_cache_file(calibration.cache_file)
            _warn_of_few(calibration.count * calibration.batch_size)
        return None
    assert calibration is not None and calibration.cache_file is not None
    return Ranges(found.amax, f"cache {calibration.cache_file}")


def reusable(calibration: Calibration | None) -> cache.Cache | None:
    """The cache file's content when it fits the model, the data and the algorithm; None when it must be made.

    Raises:
        DataError: the file is damaged.
        BuildError: it does not fit, and there is no data to make another.
    """
    if calibration is None or calibration.cache_file is None or not calibration.cache_file.exists():
        return None
    path = calibration.cache_file
    if calibration.redo:
        logger.info("%s is made anew (%s.cal_force)", path, SECTION)
        return None
    content = cache.read(path)
    facts = cache.read_facts(path)
    if facts is None:
        logger.warning(
            "%s: no record of what it was made from, so it is used as it is (%d tensors). "
            "%s.cal_force=true calibrates again.", path, len(content.amax), SECTION,
        )  # fmt: skip
        return content
    different = cache.differences(facts, wanted_facts(calibration))
    if not different:
        logger.info("%s fits the model and the data: calibration is not run again", path)
        return content
    if calibration.batches is None:
        raise BuildError(
            f"{path}: the calibration cache does not fit: {'; '.join(different)}.",
            hint=f"Set {SECTION}.cal_image_dir to calibrate again, or name the right cal_cache_file.",
        )
    logger.info("%s does not fit any more and is replaced: %s", path, "; ".join(different))
    return None


def _warn_of_few(pictures: int) -> None:
    if pictures < FEW:
        logger.warning(
            "Calibrating with %d picture%s: ranges of a whole network need more, 100 to 500 as a rule. "
            "Raise %s.cal_batches.", pictures, "" if pictures == 1 else "s", SECTION,
        )  # fmt: skip


def check_cache_file(path: Path | None) -> None:
    """Find out before calibration that its result could not be kept.

    Raises:
        SpecError: cal_cache_file names a folder.
        TaoDeployError: the file cannot be written.
    """
    if path is not None:
        for file in (path, cache.facts_path(path)):
            check_writable(file, f"{SECTION}.cal_cache_file")


def wanted_facts(calibration: Calibration) -> dict[str, object]:
    """What the cache would be made from now."""
    facts = dict(calibration.facts)
    if calibration.batches is not None:  # without data, whatever algorithm made the cache is the one
        facts["algorithm"] = calibration.algorithm
        if calibration.algorithm == "percentile":
            facts["percentile"] = calibration.percentile
    return facts


def with_data(calibration: Calibration | None) -> Calibration:
    """Raises SpecError unless there is data to calibrate with."""
    if calibration is not None and calibration.batches is not None:
        return calibration
    file = calibration.cache_file if calibration is not None else None
    missing = f" ({file}: no such file)" if file is not None else ""
    raise SpecError(
        f"INT8 and FP8 need ranges, and there is neither calibration data nor a cache{missing}.",
        hint=f"Set {SECTION}.cal_image_dir=[FOLDER] with typical pictures, or cal_cache_file=FILE from an earlier run.",
    )


def store(calibration: Calibration, content: str | bytes, calibrated_by: str) -> None:
    """Write the cache file, where one is asked for, with what it was made from beside it."""
    if calibration.cache_file is None:
        logger.info("No %s.cal_cache_file: the ranges are not kept.", SECTION)
        return
    cache.write(calibration.cache_file, content, {**wanted_facts(calibration), "calibrated_by": calibrated_by})
    logger.info("Written: %s", calibration.cache_file)


def keep(calibration: Calibration | None, known: Ranges) -> None:
    """Write ranges of quantisation-aware training as a cache file, where one is named and none is there yet."""
    if calibration is None or calibration.ranges is None or calibration.cache_file is None:
        return
    path, text = calibration.cache_file, cache.format_text(known.amax, cache.header("entropy"))
    if path.exists():
        if path.read_bytes() != text.encode():
            logger.warning("%s: there already, and left as it is; the ranges of cal_json_file are used", path)
        return
    cache.write(path, text, {**calibration.facts, "algorithm": qat.ALGORITHM, "calibrated_by": known.source})
    logger.info("Written: %s", path)


def describe(calibration: Calibration) -> str:
    """One line about a calibration that was run."""
    return f"calibration ({calibration.algorithm}, {calibration.count * calibration.batch_size} pictures)"


def compared(known: Ranges, model: onnx.ModelProto, activations: Collection[str]) -> Ranges:
    """The ranges with `missing` filled in; says which of the model's activations those are, and which ranges belong to
    nothing. Activations with infinities that the model means, those of attention masks, need none.

    TensorRT names what it fuses or adds "(Unnamed Layer* 7) [...]"; such entries are no reason for doubt.

    Raises:
        BuildError: none of the names is the model's: the ranges are of another network.
    """
    from nvidia_tao_deploy.graph import infinities

    masks = infinities.reached(model)
    tensors = [name for name in activations if name in known.amax or name not in masks]
    have, ours = set(known.amax), set(tensors)
    lacking = [name for name in tensors if name not in have]
    foreign = [name for name in known.amax if name not in ours and not name.startswith("(Unnamed Layer")]
    if len(lacking) == len(tensors):
        raise BuildError(
            f"{known.source}: none of its {len(have)} tensors is in the model: it is of another network. It has "
            f"{_some(sorted(have))}; the model has {_some(list(tensors))}.",
            hint=f"Name the right file, or set {SECTION}.cal_image_dir and {known.instead}=true to calibrate again.",
        )
    if lacking:
        logger.warning(
            "%s: no range for %d of the model's %d activations: %s",
            known.source, len(lacking), len(tensors), _some(lacking),
        )  # fmt: skip
    if foreign:
        logger.info("%s: %d tensors are not in the model: %s", known.source, len(foreign), _some(foreign))
    return replace(known, missing=tuple(lacking))


def _some(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
