# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""What the text recognition commands share."""

from __future__ import annotations

from dataclasses import dataclass

from nvidia_tao_deploy.spec.fields import option


@dataclass
class AnnotateTextKeys:
    """Keys of `inference` for pictures with the text below them."""

    annotate: bool = option(False, "also write images_annotated/: each picture with what was read below it")
    annotate_font: str = option("", "font file (.ttf, .otf) for characters other than ASCII")
