# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""The calibration cache: TensorRT's text file, and a json beside it that says what it was made from.

    TRT-8503-EntropyCalibration2
    input: 3c010a14
    /conv1/Relu_output_0: 3d2b81f0

Each value is the IEEE-754 single, as eight hexadecimal digits with the most significant first, of scale = amax / 127.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nvidia_tao_deploy.errors import DataError
from nvidia_tao_deploy.files import to_json, write_together

logger = logging.getLogger(__name__)

INT8_MAX = 127.0
FORMAT = 1
PORTABLE_VERSION = 8503
"""TensorRT version in the first line of caches that are made without TensorRT. The calibrators here put the version of
the TensorRT that reads them in its place, so any version takes them."""

ALGORITHM_NAMES = {
    "entropy": "EntropyCalibration2",
    "minmax": "MinMaxCalibration",
    "percentile": "EntropyCalibration2",  # TensorRT has none of its own that fits; this is what it reads it as
}
_HEADER = re.compile(r"TRT-(\d+)-(\w+)")
_LINE = re.compile(r"(.+): ?([0-9a-fA-F]{1,8})")
_CONTENT = "sha256"
"""Of the data; it changes with everything else about them."""
_REDO = "Delete it, or calibrate again with gen_trt_engine.tensorrt.calibration.cal_force=true."


@dataclass(frozen=True, slots=True)
class Cache:
    """Content of a cache file.

    Attributes:
        version: TensorRT's version as in the first line, for example 8503.
        algorithm: as in the first line, for example "EntropyCalibration2".
        amax: tensor name -> largest magnitude that INT8 covers.
    """

    version: int
    algorithm: str
    amax: Mapping[str, float]


def header(algorithm: str, version: int = PORTABLE_VERSION) -> str:
    """The first line, for one of our algorithm names."""
    return f"TRT-{version}-{ALGORITHM_NAMES[algorithm]}"


def version_code(numbers: tuple[int, ...]) -> int:
    """TensorRT's number for its version: 8503 for 8.5.3, 100300 for 10.3.0."""
    major, minor, patch = (*numbers, 0, 0, 0)[:3]
    return major * (10000 if major >= 10 else 1000) + minor * 100 + patch


def format_text(amax: Mapping[str, float], first_line: str) -> str:
    """The file's content."""
    lines = [f"{name}: {struct.pack('>f', value / INT8_MAX).hex()}" for name, value in amax.items()]
    return "\n".join([first_line, *lines]) + "\n"


def parse(content: bytes, source: Path | str) -> Cache:
    """Read a cache file's content.

    Raises:
        DataError: it is no calibration cache, or damaged; says which line.
    """
    try:
        lines = content.decode("utf-8").splitlines()
    except UnicodeDecodeError:
        raise DataError(f"{source}: not a calibration cache (binary content).", hint=_REDO) from None
    first = _HEADER.fullmatch(lines[0].strip()) if lines else None
    if first is None:
        found = f"'{lines[0][:60]}'" if lines else "an empty file"
        raise DataError(
            f"{source}: not a calibration cache: the first line must be like '{header('entropy')}', found {found}.",
            hint=_REDO,
        )
    amax: dict[str, float] = {}
    for number, line in enumerate(lines[1:], 2):
        if not line.strip():
            continue
        entry = _LINE.fullmatch(line.strip())
        scale = struct.unpack(">f", bytes.fromhex(entry[2].zfill(8)))[0] if entry else math.nan
        if number == len(lines) and not content.endswith(b"\n") and entry and len(entry[2]) < 8:
            scale = math.nan  # the file ends within a number: what is left of it would be a scale of next to nothing
        if entry is None or not math.isfinite(scale) or scale < 0:
            raise DataError(
                f"{source}: line {number} is damaged: expected 'tensor: hex of a positive float32', found "
                f"'{line.strip()[:80]}'.",
                hint=_REDO,
            )
        amax[entry[1]] = scale * INT8_MAX
    if not amax:
        raise DataError(f"{source}: the calibration cache holds no tensor.", hint=_REDO)
    return Cache(int(first[1]), first[2], amax)


def read(path: Path) -> Cache:
    """Read a cache file. Raises DataError."""
    return parse(_content(path), path)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"cal_cache_file: {path}: cannot be read: {error.strerror}.") from error


def facts_path(path: Path) -> Path:
    """The json file that belongs to a cache file."""
    return path.with_name(f"{path.name}.json")


def write(path: Path, content: str | bytes, facts: Mapping[str, Any]) -> None:
    """Write the cache and what it was made from: both, or neither."""
    data = content.encode() if isinstance(content, str) else content
    bound = {"format": FORMAT, "cache_sha256": hashlib.sha256(data).hexdigest(), **facts}
    write_together({path: data, facts_path(path): to_json(bound, indent=2) + "\n"})


def read_facts(path: Path, told: bool = False) -> dict[str, Any] | None:
    """What a cache was made from; None when nothing (or nothing about this very content) is beside it. A warning says
    why a json is left aside, unless that was `told` before."""
    beside = facts_path(path)
    if not beside.is_file():
        return None
    try:
        facts = json.loads(beside.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        if not told:
            logger.warning("%s: cannot be read and is left aside: %s", beside, error)
        return None
    if not isinstance(facts, dict) or facts.get("cache_sha256") != hashlib.sha256(_content(path)).hexdigest():
        if not told:
            logger.warning("%s is about another content of %s, and is left aside", beside, path.name)
        return None
    return facts


def differences(facts: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """What a cache was made from that is not what is wanted now, as text; keys that either side lacks are not compared.

    `preprocessing` holds statistics of the first prepared sample; they agree within 1 %, so that libraries of another
    version, which round differently, do not count as another preprocessing.
    """
    found = []
    for key, value in wanted.items():
        have = facts.get(key)
        if value is None or have is None:
            continue
        same = _alike(have, value) if key == "preprocessing" else have == _as_json(value)
        if not same:
            found.append(_difference(key, have, value))
    return found


def _difference(key: str, have: Any, want: Any) -> str:
    if key == "onnx_sha256":
        return f"it is of another model (ONNX sha256 {str(have)[:12]}, now {str(want)[:12]})"
    if key == "preprocessing":
        return "the preprocessing changed"
    if isinstance(have, dict) and isinstance(want, Mapping):
        changed = [name for name in want if have.get(name) != _as_json(want[name])]
        told = [name for name in changed if name != _CONTENT and name in have]
        if not told:
            return f"{key} changed: the files are others, or hold something else"
        return f"{key} changed: " + ", ".join(f"{name} {have.get(name)}, now {want[name]}" for name in told)
    return f"{key} was {have}, now {want}"


def _as_json(value: Any) -> Any:
    return json.loads(to_json(value))


def _alike(have: Any, want: Any) -> bool:
    if isinstance(have, Mapping) and isinstance(want, Mapping):
        return have.keys() == want.keys() and all(_alike(have[key], want[key]) for key in have)
    if isinstance(have, (list, tuple)) and isinstance(want, (list, tuple)):
        return len(have) == len(want) and all(_alike(*pair) for pair in zip(have, want, strict=True))
    if isinstance(have, (int, float)) and isinstance(want, (int, float)):
        return math.isclose(have, want, rel_tol=0.01, abs_tol=0.01)
    return bool(have == want)
