# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""The font of names on pictures, and names that it cannot draw."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import ImageFont

from nvidia_tao_deploy.data.classmap import ClassNames
from nvidia_tao_deploy.errors import SpecError
from nvidia_tao_deploy.render.boxes import AnnotatedPictures
from nvidia_tao_deploy.render.captions import FONT_VARIABLE, check_names, font_of
from nvidia_tao_deploy.render.colours import ClassColours
from nvidia_tao_deploy.render.confusion import matrix_picture
from nvidia_tao_deploy.render.names import ResultNames
from nvidia_tao_deploy.render.top_classes import TopClassPictures

WARNING = "names on pictures: the font has no 子 裙 and draws boxes; TAO_DEPLOY_FONT=FILE.ttf names one that has them"
NAMES = ("dress", "裙子")


def test_the_built_in_font_has_ascii(caplog: pytest.LogCaptureFixture) -> None:
    check_names(["dress", "T-shirt/top", "".join(map(chr, range(32, 127)))])
    assert caplog.messages == []


def boxes(folder: Path) -> None:
    AnnotatedPictures(folder, ResultNames([]), ClassNames(("dress", None, "裙子")), ClassColours({}), 0.5, 1)


@pytest.mark.parametrize(
    "draw",
    [
        boxes,
        lambda folder: TopClassPictures(folder, ResultNames([]), NAMES, 1),
        lambda folder: TopClassPictures(folder, ResultNames([]), {"kind": NAMES}, 1),
        lambda folder: matrix_picture(np.eye(2, dtype=np.int64), NAMES),
    ],
)
def test_names_without_glyphs_are_told(draw, tmp_path, caplog):
    draw(tmp_path)
    assert caplog.messages == [WARNING]


def test_the_variable_names_a_font(tmp_path, monkeypatch, caplog):
    built_in = ImageFont.load_default(24)
    path = tmp_path / "own.ttf"
    path.write_bytes(built_in.path.getvalue())
    monkeypatch.setenv(FONT_VARIABLE, str(path))
    assert font_of(20).path == str(path)
    check_names(NAMES)
    assert caplog.messages == [WARNING]
    monkeypatch.delenv(FONT_VARIABLE)
    assert font_of(20).path != str(path)


@pytest.mark.parametrize(("content", "problem"), [(None, "no such file"), ("text", "not a font")])
def test_a_font_that_cannot_be_used(content, problem, tmp_path, monkeypatch):
    path = tmp_path / "own.ttf"
    if content:
        path.write_text(content)
    monkeypatch.setenv(FONT_VARIABLE, str(path))
    with pytest.raises(SpecError, match=rf"TAO_DEPLOY_FONT: {path}: {problem}; expected a \.ttf or \.otf file"):
        boxes(tmp_path)
