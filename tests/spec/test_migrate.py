# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Moving keys of older releases, on arbitrary trees."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from nvidia_tao_deploy.spec.migrate import Migration, find, megabytes, migrate, put, remove

NAMES = st.sampled_from("abcd")
KEYS = st.lists(NAMES, min_size=1, max_size=3).map(".".join)
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=3), st.lists(st.integers(), max_size=2))
TREES = st.recursive(
    st.dictionaries(NAMES, LEAVES, max_size=3), lambda inner: st.dictionaries(NAMES, inner | LEAVES, max_size=3)
)


def leaves(tree: Any, prefix: str = "") -> dict[str, Any]:
    """Dotted key -> value, for everything that is no dict with something in it."""
    if not isinstance(tree, dict) or not tree:
        return {prefix: tree}
    return {
        key: value
        for name, item in tree.items()
        for key, value in leaves(item, f"{prefix}.{name}" if prefix else name).items()
    }


@given(TREES, KEYS, LEAVES)
def test_put_then_find(tree: dict[str, Any], key: str, value: Any) -> None:
    put(tree, key, value)
    assert find(tree, key) == (True, value)
    remove(tree, key)
    assert not find(tree, key)[0]


def unrelated(a: str, b: str) -> bool:
    return not f"{a}.".startswith(f"{b}.") and not f"{b}.".startswith(f"{a}.")


@given(TREES, KEYS, KEYS)
def test_a_move_changes_nothing_else(tree: dict[str, Any], old: str, new: str) -> None:
    if not unrelated(old, new):
        return
    before = copy.deepcopy(tree)
    had_new, present_new = find(before, new)
    had_old, value = find(before, old)
    moved = migrate(tree, (Migration(old, new),))
    if not had_old:
        assert tree == before and moved == []
        return
    assert not find(tree, old)[0]
    assert find(tree, new) == (True, present_new if had_new else value)
    assert moved == [(old, new, not had_new)]
    for key, item in leaves(before).items():
        if key and unrelated(key, old) and unrelated(key, new) and item != {}:
            assert find(tree, key) == (True, item)


@given(TREES, KEYS, KEYS)
def test_migrating_twice_is_migrating_once(tree: dict[str, Any], old: str, new: str) -> None:
    if not unrelated(old, new):
        return
    migrate(tree, (Migration(old, new),))
    once = copy.deepcopy(tree)
    assert migrate(tree, (Migration(old, new),)) == []
    assert tree == once


def test_conversion_and_condition() -> None:
    step = Migration("a.k", "b.ks", lambda value: [value], lambda value: value != 0)
    tree: dict[str, Any] = {"a": {"k": 5, "other": 1}}
    assert migrate(tree, (step,)) == [("a.k", "b.ks", True)]
    assert tree == {"a": {"other": 1}, "b": {"ks": [5]}}
    for untouched, kept in ((0, {"a": {"k": 0}}), ("???", {"b": {"ks": "???"}}), (None, {"b": {"ks": None}})):
        tree = {"a": {"k": untouched}}
        migrate(tree, (step,))
        assert tree == kept


def test_a_workspace_in_gigabytes() -> None:
    assert megabytes(1.5) == 1536
    for other in (float("inf"), float("-inf"), "2G", None):
        assert megabytes(other) == other
