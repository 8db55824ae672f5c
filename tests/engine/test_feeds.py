# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""The check of what an engine is fed: exactly the arrays that fit pass."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nvidia_tao_deploy.engine.contract import DYNAMIC, TensorInfo
from nvidia_tao_deploy.engine.feeds import check_feeds
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
