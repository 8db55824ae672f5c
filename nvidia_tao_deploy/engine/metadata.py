# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""<engine>.json: what an engine was made from, and the check of it at load time."""

from __future__ import annotations

import hashlib
import json
import logging
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nvidia_tao_deploy.engine.contract import BuildPlan, Built
from nvidia_tao_deploy.files import to_json
from nvidia_tao_deploy.version import __version__

if TYPE_CHECKING:
    from nvidia_tao_deploy.graph.model import Model

logger = logging.getLogger(__name__)
FORMAT = 1


def path_of(engine: Path) -> Path:
    """The json file that belongs to an engine file."""
    return engine.with_name(f"{engine.name}.json")


def facts(network: str, backend: str, model: Model, plan: BuildPlan, built: Built, seconds: float) -> dict[str, Any]:
    """What there is to say about an engine that was just built."""
    return {
        "format": FORMAT,
        "tool": f"nvidia-tao-deploy {__version__}",
        "network": network,
        "backend": backend,
        "built": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "build_seconds": round(seconds, 3),
        "precision": plan.precision,
        "onnx": {"file": model.source.name, "sha256": model.sha256, "opset": model.opset, "quantised": model.quantised},
        "classes": _classes(model),
        "probabilities": _probabilities(model),
        "engine_bytes": len(built.blob),
        "engine_sha256": hashlib.sha256(built.blob).hexdigest(),
        "profiles": {
            name: {"min": profile.minimum, "opt": profile.optimum, "max": profile.maximum}
            for name, profile in plan.profiles.items()
        },
        "workspace_mb": plan.workspace_mb,
        "layers_precision": [f"{item.pattern}:{item.dtype}" for item in plan.layers_precision],
        "details": dict(built.details),
    }


def _classes(model: Model) -> dict[str, int]:
    """Class counts by output, for outputs of class ids: a plan does not tell them any more."""
    from nvidia_tao_deploy.graph.classes import classes_of

    counts = {info.name: classes_of(model.proto, info.name) for info in model.outputs if info.dtype.startswith("int")}
    return {name: count for name, count in counts.items() if count}


def _probabilities(model: Model) -> dict[str, bool]:
    """Whether outputs come from a sigmoid or softmax, as far as the model shows it: a plan does not tell any more."""
    from nvidia_tao_deploy.graph.classes import ends_in_probability

    found = {info.name: ends_in_probability(model.proto, info.name) for info in model.outputs}
    return {name: told for name, told in found.items() if told is not None}


def is_probability(engine: Path, output: str) -> bool | None:
    """Whether an output comes from a sigmoid or softmax, by the file itself or the json beside it; None where neither
    tells."""
    from nvidia_tao_deploy.graph.classes import is_probability as in_file

    found = in_file(engine, output)
    if found is None and _is_of(engine, facts := read(engine) or {}):
        found = _part(facts, "probabilities").get(output)
    return found if isinstance(found, bool) else None


def class_count(engine: Path, output: str) -> int | None:
    """How many classes the model behind an engine file chooses among for an output of class ids.

    From the file itself if it is an ONNX model, else from the json beside it; None where neither tells.
    """
    from nvidia_tao_deploy.graph.classes import class_count as in_file

    found = in_file(engine, output)
    if found is None and _is_of(engine, facts := read(engine) or {}):
        found = _part(facts, "classes").get(output)
    return found if isinstance(found, int) else None


def _is_of(engine: Path, facts: dict[str, Any]) -> bool:
    """Whether facts are those of this very file, told by its size: hashing gigabytes at each start costs too much."""
    return facts.get("engine_bytes") in (None, engine.stat().st_size)


def _part(facts: dict[str, Any], name: str) -> dict[str, Any]:
    """A part of the facts; empty where the json is somebody else's and has another thing by this name."""
    part = facts.get(name)
    return part if isinstance(part, dict) else {}


def text(facts: dict[str, Any]) -> str:
    """The json file's content."""
    return to_json(facts, indent=2) + "\n"


def read(engine: Path) -> dict[str, Any] | None:
    """The facts of an engine file; None where there are none or they cannot be read (with a warning)."""
    path = path_of(engine)
    if not path.is_file():
        return None
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        logger.warning("%s: cannot be read and is left aside: %s", path, error)
        return None
    if not isinstance(facts, dict):
        logger.warning("%s: is not what gen_trt_engine writes, and is left aside", path)
        return None
    return facts


def mismatch(engine: Path, network: str) -> str | None:
    """What the json beside an engine says that does not fit the file or the command; None when all is well."""
    facts = read(engine)
    if facts is None:
        return None
    if not _is_of(engine, facts):
        return f"{path_of(engine)} describes another file: the engine was replaced since it was written"
    if facts.get("network") not in (None, network):
        return f"{engine} was built for '{facts['network']}' and is run as '{network}'"
    return None


def outdated(engine: Path, model: Path) -> str | None:
    """Whether an engine was left over when its model was exported anew (a build that failed leaves the old engine);
    None when all is well or nothing tells. Reads the model only if it is the newer file.

    Args:
        engine: an engine file.
        model: the ONNX file that the spec builds this engine from; need not exist.
    """
    facts = read(engine)
    if facts is None or not model.is_file() or model.stat().st_mtime_ns <= engine.stat().st_mtime_ns:
        return None
    known = _part(facts, "onnx").get("sha256")
    from nvidia_tao_deploy.graph.model import file_sha256

    try:
        if not known or known == file_sha256(model):
            return None
    except Exception:  # whatever is wrong with the model is the business of the next build
        return None
    return (
        f"{engine} was built {facts.get('built', 'earlier')} from another {model.name}: {model} has changed since. "
        "Run gen_trt_engine again to have figures of the new model."
    )
