# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Picture file -> one row of an engine input: read, resize, normalise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nvidia_tao_deploy.data.pictures import PictureReader
from nvidia_tao_deploy.network import Frame, Sample
from nvidia_tao_deploy.transforms.resize import stretch

if TYPE_CHECKING:
    import numpy as np

    from nvidia_tao_deploy.transforms.resize import Resize


def picture_layout(
    shape: tuple[int, ...], channels_last: bool, size: tuple[int, int, int]
) -> tuple[tuple[int, int, int], bool]:
    """((C,H,W), whether channels come last) of a picture input.

    The axis that has the size 1 or 3 is that of the channels; where both or neither could be, `channels_last` decides.

    Args:
        shape: (B,C,H,W) or (B,H,W,C) of the engine's input; -1 where it is open.
        size: (C,H,W) for open axes.
    """
    first, last = shape[1] in (1, 3), shape[3] in (1, 3)
    channels_last = last if first != last else channels_last
    own = (shape[3], shape[1], shape[2]) if channels_last else shape[1:]
    channels, height, width = (want if have < 0 else have for have, want in zip(own, size, strict=True))
    return (channels, height, width), channels_last


class Normalise:
    """y = (x * scale - mean) / std per channel, channels first.

    Args:
        mean, std: one value per channel (or one for all), in units of x * scale, in the network's channel order.
        scale: usually 1/255 for pixels 0..255.
        order: "RGB", or "BGR" when the network's first channel is blue. Ignored for one channel.
    """

    def __init__(
        self,
        mean: tuple[float, ...] = (0.0,),
        std: tuple[float, ...] = (1.0,),
        scale: float = 1 / 255,
        order: str = "RGB",
    ) -> None:
        import numpy as np

        # (x * scale - mean) / std == x * gain + bias: one multiply and one add per value
        self.gain = (scale / np.asarray(std, np.float64)).astype(np.float32)
        self.bias = (-np.asarray(mean, np.float64) / np.asarray(std, np.float64)).astype(np.float32)
        self.order = order

    def __call__(self, picture: np.ndarray, row: np.ndarray) -> None:
        """(H,W,C) uint8 or float32 0..255 RGB -> `row` (C,H,W), in place."""
        import cv2
        import numpy as np

        channels = row.shape[0]
        for channel in range(channels):
            source = channels - 1 - channel if self.order == "BGR" else channel
            gain, bias = self.gain[channel % len(self.gain)], self.bias[channel % len(self.bias)]
            plane = (
                np.ascontiguousarray(picture[:, :, source]) if channels == 1 else cv2.extractChannel(picture, source)
            )
            np.multiply(plane, gain, out=row[channel], casting="unsafe")
            row[channel] += bias


def drawable(picture: np.ndarray) -> np.ndarray:
    """A picture as writers take it, (H,W,3) uint8: grey ones get three equal channels, 16-bit ones become 8-bit."""
    import numpy as np

    shown = picture if picture.dtype == np.uint8 else np.clip(np.rint(picture / 257), 0, 255).astype(np.uint8)
    return shown if shown.shape[2] == 3 else np.repeat(shown, 3, axis=2)


@dataclass(frozen=True)
class PicturePrepare:
    """Preprocessing of networks that take one picture.

    Attributes:
        input: name of the engine input.
        shape: (C,H,W) of a row.
        normalise: pixel values -> network values.
        reader: how the file is read; mode "L" for one channel.
        resize: see `transforms.resize`.
        keep_picture: keep the picture as read for writers that draw.
        channels_last: the engine takes (H,W,C) rows.
    """

    input: str
    shape: tuple[int, int, int]
    normalise: Normalise
    reader: PictureReader = PictureReader()
    resize: Resize = stretch
    keep_picture: bool = False
    channels_last: bool = False

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]] | None:
        return {self.input: (*self.shape[1:], self.shape[0]) if self.channels_last else self.shape}

    def __call__(self, sample: Sample, rows: Mapping[str, np.ndarray]) -> Frame:
        picture = self.reader(sample.path)
        resized, geometry = self.resize(picture, self.shape[1:])
        row = rows[self.input]
        self.normalise(resized, row.transpose(2, 0, 1) if self.channels_last else row)
        size = (picture.shape[0], picture.shape[1])
        return Frame(sample, size, geometry, drawable(picture) if self.keep_picture else None)

    def single(self, sample: Sample) -> tuple[dict[str, np.ndarray], Frame]:
        import numpy as np

        assert self.shapes is not None
        batch = np.empty((1, *self.shapes[self.input]), np.float32)
        return {self.input: batch}, self(sample, {self.input: batch[0]})
