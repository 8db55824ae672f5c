# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures in one folder, their masks in another, under the same names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePosixPath

from nvidia_tao_deploy.data.pictures import list_pictures, picture_samples
from nvidia_tao_deploy.errors import DataError
from nvidia_tao_deploy.network import Sample

MASK_SUFFIX = ".png"


def masked_samples(images: Path, masks: Path, images_key: str, masks_key: str) -> list[Sample]:
    """The pictures of a folder (sub-folders included) by path; `target` is the path of the mask.

    A mask has the name of its picture, whatever its ending; of several, that with `MASK_SUFFIX`. A picture without a
    mask keeps the path where one is missed, so that reading it says which.

    Args:
        images_key, masks_key: spec keys that named the folders, for messages.

    Raises:
        DataError: a folder is missing or empty, or no picture has a mask.
    """
    samples = picture_samples(images, key=images_key)
    by_name: dict[str, Path] = {}
    for path in list_pictures(masks, key=masks_key):
        name = _plain(path.relative_to(masks).as_posix())
        if name not in by_name or path.suffix.lower() == MASK_SUFFIX:
            by_name[name] = path
    targets = [by_name.get(_plain(sample.name)) for sample in samples]
    if not any(targets):
        raise DataError(
            f"{masks_key}: no picture of {images} has a mask of its name in {masks}: there is no "
            f"{masks / _plain(samples[0].name)}{MASK_SUFFIX}, for one."
        )
    return [
        replace(sample, target=target or masks / f"{_plain(sample.name)}{MASK_SUFFIX}")
        for sample, target in zip(samples, targets, strict=True)
    ]


def _plain(name: str) -> str:
    return name.removesuffix(PurePosixPath(name).suffix)
