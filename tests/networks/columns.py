# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""A recogniser of text without weights: the level of each column of the picture says which class it is."""

from __future__ import annotations

import onnx
from onnx import helper


def column_classes(picture: str, width: int) -> list[onnx.NodeProto]:
    """Nodes from `picture` [B, C, H, W] to "probabilities" [B, steps, classes], one step per `width` pixels.

    Of the first channel. The graph needs the constants start, end, axis (of the slice), columns (shape of the steps),
    levels (of the classes) and sharpness.
    """
    return [
        helper.make_node("Slice", [picture, "start", "end", "axis"], ["first"]),
        helper.make_node("ReduceMean", ["first"], ["flat"], axes=[2], keepdims=1),
        helper.make_node("AveragePool", ["flat"], ["pooled"], kernel_shape=[1, width], strides=[1, width]),
        helper.make_node("Reshape", ["pooled", "columns"], ["values"]),
        helper.make_node("Sub", ["values", "levels"], ["difference"]),
        helper.make_node("Mul", ["difference", "difference"], ["square"]),
        helper.make_node("Mul", ["square", "sharpness"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=2),
    ]
