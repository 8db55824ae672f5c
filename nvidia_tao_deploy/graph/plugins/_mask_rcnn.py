# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Box decoding that Mask R-CNN's proposal and detection plugins share."""

from __future__ import annotations

import numpy as np

from nvidia_tao_deploy.graph.editing import GraphWriter
from nvidia_tao_deploy.graph.plugins._tensors import chain

LARGEST_GROWTH = float(np.log(np.float32(1000.0 / 16.0)))
"""Upper bound of the logarithm of a side's growth."""


def decoded(write: GraphWriter, anchors: str, deltas: str, weights: tuple[float, ...], height: int, width: int) -> str:
    """Corners y1, x1, y2, x2 held inside the picture, of anchors and deltas (dy, dx, log dh, log dw) [N, n, 4].

    Sides count whole pixels: an anchor's side is its distance + 1, a result's second corner is first + side - 1.
    """
    one, other = write.slice(anchors, 2, 0, 2), write.slice(anchors, 2, 2, 4)
    side = chain(write, "Add", write.op("Sub", other, one), 1.0)
    centre = write.op("Add", one, chain(write, "Mul", side, 0.5))
    shift = write.op("Div", write.slice(deltas, 2, 0, 2), write.constant(weights[:2], np.float32))
    growth = write.op("Div", write.slice(deltas, 2, 2, 4), write.constant(weights[2:], np.float32))
    growth = write.op("Exp", write.op("Min", growth, write.constant(LARGEST_GROWTH, np.float32)))
    centre = write.op("Add", centre, write.op("Mul", shift, side))
    side = write.op("Mul", growth, side)
    low = write.op("Sub", centre, chain(write, "Mul", side, 0.5))
    high = chain(write, "Sub", write.op("Add", low, side), 1.0)
    edge = write.constant([height - 1, width - 1], np.float32)
    held = [write.op("Relu", write.op("Min", corner, edge)) for corner in (low, high)]
    return write.op("Concat", *held, axis=2)
