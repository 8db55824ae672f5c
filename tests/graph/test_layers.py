# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""`layers_precision`: reading items, matching names."""

from __future__ import annotations

import time

import pytest

from nvidia_tao_deploy.engine.contract import LayerPrecision
from nvidia_tao_deploy.errors import BuildError, SpecError
from nvidia_tao_deploy.graph import layers


def test_the_last_colon_splits():
    assert layers.parse(["a:b/conv:FP16", "*:fp32"]) == (
        LayerPrecision("a:b/conv", "fp16"),
        LayerPrecision("*", "fp32"),
    )


@pytest.mark.parametrize("item", ["conv", ":fp16", "conv:", "conv:half"])
def test_items_that_are_wrong(item):
    with pytest.raises(SpecError, match=r"layers_precision: '"):
        layers.parse([item])


def test_first_rule_wins_and_the_star_comes_last():
    rules = layers.parse(["*:fp32", "/head/*:fp16", "/head/a:int8"])
    assert layers.match(rules, ["/head/a", "/body/b"]) == {"/head/a": "fp16", "/body/b": "fp32"}


def test_brackets_are_no_wildcards():
    rules = layers.parse(["conv[0]:fp16", "r?lu*:fp32"])
    assert layers.match(rules, ["conv[0]", "conv0", "relu_7", "rlu"]) == {"conv[0]": "fp16", "relu_7": "fp32"}


def test_rule_that_fits_nothing_names_the_nearest():
    with pytest.raises(BuildError, match="no layer is named '/haed/fc'") as caught:
        layers.match(layers.parse(["/haed/fc:fp32"]), ["/head/fc", "/body/conv"])
    assert caught.value.hint == "Nearest: /head/fc."


def test_a_name_that_others_go_on_from_stands_for_them() -> None:
    names = ["/head/fc", "/head/relu", "/header", "/head2/fc", "/body"]
    assert layers.match([LayerPrecision("/head", "fp32")], names) == {"/head/fc": "fp32", "/head/relu": "fp32"}
    assert layers.match([LayerPrecision("/head", "fp32")], [*names, "/head"]) == {"/head": "fp32"}
    assert layers.match([LayerPrecision("/head/", "fp32")], names) == {"/head/fc": "fp32", "/head/relu": "fp32"}
    with pytest.raises(BuildError, match="no layer is named '/hea'"):
        layers.match([LayerPrecision("/hea", "fp32")], names)


def test_rules_for_single_layers_take_no_time() -> None:
    """The search for layers makes a rule for each node, again and again."""
    names = [f"/backbone/stage.{index}/Conv" for index in range(20000)]
    start = time.perf_counter()
    found = layers.match([LayerPrecision(name, "fp32", optional=True) for name in names], names)
    assert time.perf_counter() - start < 10 and found == dict.fromkeys(names, "fp32")  # each rule by each name: minutes
