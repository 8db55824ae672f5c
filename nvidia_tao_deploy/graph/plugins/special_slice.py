# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""SpecialSlice_TRT: the boxes of Mask R-CNN's detections, [N, D, 6] -> [N, D, 4]."""

from __future__ import annotations

import onnx

from nvidia_tao_deploy.graph.editing import GraphWriter
from nvidia_tao_deploy.graph.plugins._tensors import Node

OPS = ("SpecialSlice_TRT",)
OPSET = 11
REPLACEMENT = "Slice"


def rewrite(node: onnx.NodeProto, write: GraphWriter) -> None:
    """Input rows of (y1, x1, y2, x2, class, score). Output their first four columns."""
    facts = Node(node, (1,), 1)
    write.rename(write.slice(facts.inputs[0], 2, 0, 4), node.output[0])
