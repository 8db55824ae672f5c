# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Keys of older releases, moved to where they are today. Works on plain dicts, before the schema sees them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nvidia_tao_deploy.spec.fields import MISSING


@dataclass(frozen=True, slots=True)
class Migration:
    """One moved key.

    Attributes:
        old, new: dotted keys. A value already at `new` wins.
        convert: old value -> new value.
        applies: whether this value is of the old form (a key may mean something else today).
    """

    old: str
    new: str
    convert: Callable[[Any], Any] = lambda value: value
    applies: Callable[[Any], bool] = lambda value: True

    def converted(self, value: Any) -> Any:
        """The value in today's form; null and ??? mean the same in every form."""
        return value if value is None or value == MISSING else self.convert(value)


def listed(value: Any) -> Any:
    """A value where a list of such values is expected today."""
    return value if isinstance(value, list) else [value]


def megabytes(gigabytes: Any) -> Any:
    """A workspace in GB, as releases up to 6.25 have it, in MB; what is no number stays for the schema to refuse."""
    finite = isinstance(gigabytes, (int, float)) and math.isfinite(gigabytes)
    return int(gigabytes * 1024) if finite else gigabytes


COMMON = (
    Migration("gen_trt_engine.tensorrt.calibration.cal_num_batches", "gen_trt_engine.tensorrt.calibration.cal_batches"),
    *(Migration(f"{subtask}.gpu_id", f"{subtask}.gpu_ids", listed) for subtask in ("evaluate", "inference")),
)


def find(tree: Any, key: str) -> tuple[bool, Any]:
    """(whether the dotted key is in the nested dict, its value)."""
    for part in key.split("."):
        if not isinstance(tree, dict) or part not in tree:
            return False, None
        tree = tree[part]
    return True, tree


def put(tree: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted key, making the dicts on the way (replacing what is there and is no dict)."""
    *parents, last = key.split(".")
    for part in parents:
        if not isinstance(tree.get(part), dict):
            tree[part] = {}
        tree = tree[part]
    tree[last] = value


def remove(tree: dict[str, Any], key: str) -> None:
    """Delete a dotted key and the dicts that it leaves empty."""
    head, _, rest = key.partition(".")
    if rest:
        remove(tree[head], rest)
        if not tree[head]:
            del tree[head]
    else:
        del tree[head]


def migrate(tree: dict[str, Any], migrations: tuple[Migration, ...]) -> list[tuple[str, str, bool]]:
    """Apply the migrations in place; returns the (old, new) keys that were found, and whether the old one's value
    counts: not where the new one is set, too."""
    moved = []
    for step in migrations:
        present, value = find(tree, step.old)
        if not present or not step.applies(value):
            continue
        remove(tree, step.old)
        counts = not find(tree, step.new)[0]
        if counts:
            put(tree, step.new, step.converted(value))
        moved.append((step.old, step.new, counts))
    return moved
