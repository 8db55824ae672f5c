# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Every sample has a result file of its own, inside the folder of results."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nvidia_tao_deploy.network import Sample
from nvidia_tao_deploy.render.names import ResultNames

ROOT = Path("out")


def paths(names: list[str], suffix: str | None) -> list[str]:
    made = ResultNames([Sample(name, Path(name)) for name in names])
    return [made.path(ROOT, name, suffix).as_posix() for name in names]


def test_names_that_lead_out_of_the_folder_stay_inside() -> None:
    names = ["/data/a.png", "../b.png", "x/../../c.png", "data/a.png"]
    assert paths(names, ".txt") == ["out/data/a.txt", "out/b.txt", "out/x/c.txt", "out/2/data/a.txt"]
    assert paths(names, None) == ["out/data/a.png", "out/b.png", "out/x/c.png", "out/2/data/a.png"]


def test_a_name_that_another_result_has() -> None:
    names = ["a.jpg", "a.png", "a.jpg.png", "a.jpg.png.bmp"]
    assert paths(names, ".txt") == [f"out/{name}.txt" for name in names]
    assert paths(["a.jpg", "a.jpg.png"], ".txt") == ["out/a.txt", "out/a.jpg.txt"]


@pytest.mark.parametrize("name", ["scan", "scan.dat", "scan.gif"])
def test_drawn_pictures_have_a_format_that_can_be_written(name: str) -> None:
    assert paths([name], None) == [f"out/{name}.png"]


@given(st.lists(st.text("ab./", min_size=1, max_size=6), unique=True, max_size=8))
def test_one_file_for_each(names: list[str]) -> None:
    plain = [name for name in names if name.strip("./") and not name.endswith((".", "/"))]
    found = paths(list(dict.fromkeys(str(Path(name)) for name in plain)), ".txt")
    assert len(set(found)) == len(found)
    assert all(".." not in Path(path).parts and Path(path).is_relative_to(ROOT) for path in found)
