# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Normalisation by the modes of Keras's `imagenet_utils`, as TAO's TensorFlow networks are trained with:

    caffe   BGR, x - mean                                   mean 103.939 116.779 123.68
    torch   RGB, (x / 255 - mean) / 0.224                   mean 0.485 0.456 0.406
    tf      RGB, x / 127.5 - 1                              mean not used

x is 0..255. A grey picture of 16 bits has x in 0..65535 and is scaled by that instead.
"""

from __future__ import annotations

from collections.abc import Sequence

from nvidia_tao_deploy.errors import SpecError
from nvidia_tao_deploy.transforms.picture import Normalise
from nvidia_tao_deploy.transforms.statistics import GREY_MEAN, IMAGENET_MEAN

MODES = ("caffe", "torch", "tf")
CAFFE_MEAN = (103.939, 116.779, 123.68)
LUMA = (0.114, 0.587, 0.299)
"""Weights of B, G, R in a grey level (ITU-R 601): with them CAFFE_MEAN gives the usual 117.3786."""
TORCH_STD = 0.224
LARGEST = {8: 255.0, 16: 65535.0}


def mode_normalise(
    mode: str, mean: Sequence[float], channels: int, depth: int = 8, key: str = "image_mean", divide: bool = True
) -> Normalise:
    """The normalisation of a mode.

    Args:
        mode: one of MODES.
        mean: as given in the spec, () for the mode's own; three values in the order of the network's channels (blue
            first for caffe), or one for a grey network, for which three are weighted to one.
        channels: 1 or 3.
        depth: bits of a pixel, 8 or 16; 16 for grey only.
        key: spec key of the mean, for messages.
        divide: whether a mean that is given for torch still goes with the standard deviation 0.224.

    Raises:
        SpecError: a wrong number of values, or 16 bits with colour.
    """
    if depth == 16 and channels != 1:
        raise SpecError("16-bit pictures are grey: the model takes 3 channels, so the depth must be 8.")
    scale = 1 / LARGEST[depth]
    if mode == "tf":
        return Normalise(mean=(1.0,), scale=2 * scale)
    given = tuple(map(float, mean))
    if given and len(given) not in (channels, 3):
        raise SpecError(f"{key}: {list(given)}: expected {channels} value{'s' if channels > 1 else ''}")
    if mode == "torch":
        own = bool(given) and len(given) == channels and max(given) <= 1
        means = given if own else GREY_MEAN if channels == 1 else IMAGENET_MEAN
        std = (TORCH_STD,) if divide or not own else (1.0,)
        return Normalise(mean=means, std=std, scale=scale)
    means = given or CAFFE_MEAN
    if channels == 1 and len(means) == 3:
        means = (sum(weight * value for weight, value in zip(LUMA, means, strict=True)),)
    factor = 256 if depth == 16 and max(means) <= LARGEST[8] else 1  # as in training: 30048.9216 is 256 * 117.3786
    return Normalise(mean=tuple(value * factor for value in means), scale=1.0, order="BGR")
