# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""The check of what an engine is fed: exactly the arrays that fit pass."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nvidia_tao_deploy.engine.contract import DYNAMIC, TensorInfo
from nvidia_tao_deploy.engine.feeds import batched, check_feeds, check_rows
from nvidia_tao_deploy.errors import EngineError

SIZES = st.lists(st.integers(1, 3), max_size=4)


@given(SIZES, SIZES, st.lists(st.booleans(), min_size=4, max_size=4), st.sampled_from(["float32", "float16", "int64"]))
def test_shapes_and_types(want: list[int], have: list[int], opened: list[bool], dtype: str) -> None:
    shape = tuple(DYNAMIC if is_open else size for size, is_open in zip(want, opened, strict=False))
    info = TensorInfo("x", "float32", shape)
    array = np.zeros(have, dtype)
    fits = (
        dtype == "float32"
        and len(have) == len(shape)
        and all(size in (DYNAMIC, other) for size, other in zip(shape, have, strict=False))
    )
    if fits:
        check_feeds([info], {"x": array}, "engine")
        return
    with pytest.raises(EngineError) as caught:
        check_feeds([info], {"x": array}, "engine")
    assert str(info) in caught.value.message and dtype in caught.value.message


def test_missing_and_extra() -> None:
    info = TensorInfo("x", "float32", (1,))
    with pytest.raises(EngineError, match="e: input 'x' is not fed; fed: y"):
        check_feeds([info], {"y": np.zeros(1, np.float32)}, "e")
    with pytest.raises(EngineError, match="e: no input named y, z"):
        check_feeds([info], {name: np.zeros(1, np.float32) for name in "xzy"}, "e")


def info(name: str, *shape: int, bounds: tuple[int, int] | None = None) -> TensorInfo:
    limits = [(size, *shape[1:]) for size in bounds] if bounds else [None, None]
    return TensorInfo(name, "float32", shape, minimum=limits[0], optimum=limits[0], maximum=limits[1])


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ([info("boxes", DYNAMIC, 40, 4), info("scores", DYNAMIC, 40), info("anchors", 1, 40, 4)], {"boxes", "scores"}),
        ([info("x", DYNAMIC, 3, bounds=(1, 8)), info("table", DYNAMIC, 3, bounds=(1, 1))], {"x"}),
        ([info("x", DYNAMIC, 3, bounds=(1, 1)), info("size", DYNAMIC, 2, bounds=(1, 1))], {"x", "size"}),
        ([info("x", 4, 3), info("table", 1, 3), info("scale")], {"x"}),
        ([info("x", 4, 3), info("y", 4, 2)], {"x", "y"}),
        ([info("scale")], set()),
    ],
)
def test_which_inputs_have_the_batch(inputs: list[TensorInfo], expected: set[str]) -> None:
    assert batched(inputs) == expected


def test_rows() -> None:
    feeds = {"x": np.zeros((3, 2)), "y": np.zeros((3, 5)), "table": np.zeros((1, 4))}
    assert check_rows(frozenset("xy"), feeds, "e") == 3
    feeds["y"] = feeds["y"][:2]
    with pytest.raises(EngineError, match=r"same number of rows, at least 1, .*: x \(3, 2\), y \(2, 5\)$"):
        check_rows(frozenset("xy"), feeds, "e")
    with pytest.raises(EngineError, match="at least 1"):
        check_rows(frozenset("x"), {"x": np.zeros((0, 2))}, "e")
