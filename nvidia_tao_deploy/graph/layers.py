# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""`layers_precision`: which layers are kept in which precision."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from nvidia_tao_deploy.engine.contract import LayerPrecision
from nvidia_tao_deploy.errors import BuildError, SpecError, nearest

if TYPE_CHECKING:
    import onnx

LAYER_DTYPES = ("fp32", "fp16", "bf16", "int8", "int32")
KEY = "gen_trt_engine.tensorrt.layers_precision"
EVERYTHING = "*"
_WILDCARDS = frozenset("*?")


def label(node: onnx.NodeProto) -> str:
    """A node's name for `layers_precision`: that of its first output where it has none."""
    return node.name or node.output[0]


def parse(items: Iterable[str]) -> tuple[LayerPrecision, ...]:
    """Items 'name:dtype' of the spec; the last colon splits, so a name may hold colons. Raises SpecError."""
    parsed = []
    for item in items:
        pattern, _, dtype = (part.strip() for part in str(item).rpartition(":"))
        if not pattern or dtype.lower() not in LAYER_DTYPES:
            raise SpecError(
                f"{KEY}: '{item}'; expected 'layer name:dtype', for example '/head/*:fp32', "
                f"with dtype one of {', '.join(LAYER_DTYPES)}"
            )
        parsed.append(LayerPrecision(pattern, dtype.lower()))
    return tuple(parsed)


def match(rules: Sequence[LayerPrecision], names: Iterable[str]) -> dict[str, str]:
    """Layer name -> dtype. The first rule that fits a name wins; a plain '*' serves those that no other rule fits.

    Only '*' and '?' are wildcards: layer names hold brackets. A name that is no layer, but that some names go on from
    with '/', stands for all of those: a module, or a plugin node that was replaced. Raises BuildError for a rule that
    fits no layer.
    """
    known = dict.fromkeys(names)
    found: dict[str, str] = {}
    for rule in sorted(rules, key=lambda rule: rule.pattern == EVERYTHING):  # stable: order kept otherwise
        named = fitting(rule.pattern, known)
        if not named and not rule.optional:
            close = nearest(rule.pattern.replace("*", ""), known, 3)
            raise BuildError(
                f"{KEY}: no layer is named '{rule.pattern}'",
                hint=f"Nearest: {', '.join(close)}." if close else "gen_trt_engine.verbose=true lists the layers.",
            )
        for name in named:
            found.setdefault(name, rule.dtype)
    return found


def fitting(pattern: str, known: Collection[str]) -> list[str]:
    """The names that a rule's pattern stands for: see `match`."""
    if not _WILDCARDS & set(pattern) and pattern in known:  # the usual rule: no need to look at every name
        return [pattern]
    return [name for name in known if fits(pattern, name)] or [
        name for name in known if name.startswith(f"{pattern.rstrip('/')}/")
    ]


def remaining(
    rules: Iterable[LayerPrecision], gone: Collection[str], left: Collection[str]
) -> tuple[LayerPrecision, ...]:
    """The rules without those about nothing but layers that are gone."""
    return tuple(rule for rule in rules if fitting(rule.pattern, left) or not fitting(rule.pattern, gone))


def fits(pattern: str, name: str) -> bool:
    """Whether a layer's name is `pattern`, in which '*' stands for any text and '?' for one character."""
    if pattern == name or not _WILDCARDS & set(pattern):
        return pattern == name
    expression = "".join(".*" if char == "*" else "." if char == "?" else re.escape(char) for char in pattern)
    return re.fullmatch(expression, name, re.DOTALL) is not None
