# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""ResizeNearest_TRT: enlarging by repetition.

out[y, x] = in[int(y / scale), int(x / scale)], with sizes int(size * scale).
"""

from __future__ import annotations

import numpy as np
import onnx

from nvidia_tao_deploy.graph.editing import GraphWriter
from nvidia_tao_deploy.graph.plugins._tensors import Node, give, kind_of

OPS = ("ResizeNearest_TRT",)
OPSET = 13
REPLACEMENT = "Resize or Gather"


def rewrite(node: onnx.NodeProto, write: GraphWriter) -> None:
    """Input [N, C, h, w]. Output [N, C, int(h * scale), int(w * scale)]."""
    facts = Node(node, (1,), 1)
    picture = facts.inputs[0]
    rank = facts.rank(write, picture, (3, 4))
    scale = facts.number("scale")
    if scale <= 0:
        raise facts.error(f"scale {scale}; expected a positive number")
    if scale == int(scale):
        scales = write.constant([1.0] * (rank - 2) + [scale, scale], np.float32)
        options = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        result = write.op("Resize", picture, "", scales, **options)
    else:  # the plugin's own rounding, which no mode of Resize promises
        result = picture
        for axis in (rank - 2, rank - 1):
            size = facts.static(write, picture, axis, "the size of its input")
            index = np.arange(int(np.float32(size) * np.float32(scale)), dtype=np.float32) / np.float32(scale)
            result = write.op("Gather", result, write.constant(index.astype(np.int64)), axis=axis)
    give(write, result, node.output[0], kind_of(write, picture))
