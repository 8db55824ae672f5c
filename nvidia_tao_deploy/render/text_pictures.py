# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures with the text that was read in them written below: `images_annotated/<name>`."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from nvidia_tao_deploy.files import write_atomic
from nvidia_tao_deploy.network import Frame, Sample, Writer
from nvidia_tao_deploy.predictions import Text
from nvidia_tao_deploy.render.boxes import FOLDER, encode
from nvidia_tao_deploy.render.captions import captioned, checked_font, has_glyph
from nvidia_tao_deploy.render.names import ResultNames
from nvidia_tao_deploy.render.text_lines import TextLines

logger = logging.getLogger(__name__)


def text_writers(
    results_dir: Path, samples: Sequence[Sample], annotate: bool, font: str, print_confidence: bool = True
) -> list[Writer]:
    """The writers of text recognition: printed lines with predictions.csv, and pictures where they are asked for.

    Raises:
        SpecError: the font cannot be used.
    """
    writers: list[Writer] = [TextLines(results_dir / "predictions.csv", print_confidence)]
    if annotate:
        writers.append(TextPictures(results_dir, ResultNames(samples), font, "inference.annotate_font"))
    return writers


class TextPictures:
    """Writes each picture with its text and the confidence below it.

    Args:
        results_dir: `images_annotated` is made below it.
        names: result file names.
        font: font file, or "" for the built-in one, which has ASCII only.
        key: spec key of the font, for messages.

    Raises:
        SpecError: the font cannot be used.
    """

    keeps_picture = True

    def __init__(self, results_dir: Path, names: ResultNames, font: str, key: str) -> None:
        self._folder, self._names = results_dir / FOLDER, names
        self._font, self._key = checked_font(font, key), key
        self._missing: set[str] = set()

    def write(self, frame: Frame, prediction: Text) -> set[str]:
        """Returns the characters that the font does not have."""
        assert frame.picture is not None
        lines = [prediction.text or "(nothing)", f"{prediction.confidence:.3f}"]
        path = self._names.path(self._folder, frame.sample.name)
        write_atomic(path, encode(captioned(frame.picture, lines, self._font), path.suffix), durable=False)
        return {character for character in prediction.text if not has_glyph(character, self._font)}

    def record(self, frame: Frame, result: set[str]) -> None:
        self._missing |= result

    def finish(self) -> Sequence[Path]:
        if self._missing:
            shown = " ".join(sorted(self._missing)[:20])
            logger.warning("The font has no picture of %s: give one that has, %s=FILE.ttf", shown, self._key)
        return [self._folder]
