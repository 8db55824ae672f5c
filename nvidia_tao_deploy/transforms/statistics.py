# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Mean and standard deviation of pixels, as specs give them."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from nvidia_tao_deploy.errors import SpecError

logger = logging.getLogger(__name__)

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
GREY_MEAN, GREY_STD = (0.449,), (0.224,)


def pixel_statistics(
    mean: Sequence[float], std: Sequence[float], channels: int, key: str, prefix: str = ""
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """(mean, std) for pixels scaled to 0..1, one value per channel.

    Values above 1 are meant for pixels 0..255 and are divided by 255. Three ImageNet values for a model with one
    channel become the usual grey values.

    Raises:
        SpecError: wrong number of values, or a standard deviation that is not positive.
    """
    means, stds = tuple(map(float, mean)), tuple(map(float, std))
    if channels == 1 and means == IMAGENET_MEAN and stds == IMAGENET_STD:
        return GREY_MEAN, GREY_STD
    for name, values in (("mean", means), ("std", stds)):
        if len(values) != channels:
            raise SpecError(f"{key}.{prefix}{name}: {list(values)}: expected {channels} values, one per channel")
    if any(value <= 0 for value in stds):
        raise SpecError(f"{key}.{prefix}std: {list(stds)}: expected values above 0")
    if any(value > 1 for value in means + stds):
        logger.info("%s: mean %s and std %s are taken for pixels 0..255", key, list(means), list(stds))
        return tuple(value / 255 for value in means), tuple(value / 255 if value > 1 else value for value in stds)
    return means, stds
