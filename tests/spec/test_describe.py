# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""The table of keys in `--help`, and the walk over schemas that it stands on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Optional  # noqa: UP035

import pytest

from nvidia_tao_deploy import registry
from nvidia_tao_deploy.spec import schema as schemas
from nvidia_tao_deploy.spec.describe import key_table
from nvidia_tao_deploy.spec.fields import MISSING, ignored, option, section

# ruff: noqa: UP006, UP045


@dataclass
class Inner:
    sizes: List[int] = option([1], "sizes of things", minimum=1, maximum=9)
    names: Optional[Dict[str, int]] = option(None, "numbers by name")
    hidden: Any = ignored()


@dataclass
class Spec:
    model: str = option(MISSING, "the model", choices=("a", "b"))
    inner: Inner = section(Inner, sizes=[2, 3])
    evaluate: Inner = section(Inner)


def test_table() -> None:
    assert key_table(Spec, "inference", width=100).splitlines() == [
        "key          type                default   meaning",
        "model        str                 required  the model (a, b)",
        "inner.sizes  list of int         [2, 3]    sizes of things (1 to 9)",
        "inner.names  map to int or null  null      numbers by name",
    ]
    assert "evaluate.sizes" in key_table(Spec, "evaluate")


@pytest.mark.parametrize("width", [60, 80, 200])
def test_long_texts_wrap(width: int) -> None:
    network = registry.load("classification_pyt")
    table = key_table(network.schema, "gen_trt_engine", width=width)
    assert "gen_trt_engine.tensorrt.layers_precision" in "".join(table.split())
    assert max(map(len, table.splitlines())) <= width


def test_a_narrow_terminal_gets_no_table() -> None:
    assert key_table(Spec, "inference", width=50).splitlines() == [
        "model",
        "    str, required: the model (a, b)",
        "inner.sizes",
        "    list of int, [2, 3] by default: sizes of",
        "    things (1 to 9)",
        "inner.names",
        "    map to int or null, null by default: numbers",
        "    by name",
    ]


def test_lookup() -> None:
    assert schemas.lookup(Spec, "inner") is Inner
    found = schemas.lookup(Spec, "inner.sizes")
    assert isinstance(found, schemas.Key) and found.is_list and found.type_name == "list of int"
    assert schemas.lookup(Spec, "inner.nothing") is None
    assert schemas.lookup(Spec, "inner.sizes.deeper") is None
    assert schemas.lookup(Spec, "inner.names.anything") is not None
    assert schemas.lookup(Spec, "inner.hidden.any.thing") is not None


@pytest.mark.parametrize("command", list(registry.NETWORKS))
def test_every_key_of_every_network_is_described(command: str) -> None:
    for key in schemas.keys(registry.load(command).schema):
        assert key.metadata.get("help"), key.name
        if key.used and key.default not in (None, MISSING, "", []):
            assert schemas.check_value(key, key.default, "default") == key.default  # defaults obey their own limits
