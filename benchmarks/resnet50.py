# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""ResNet-50 v1.5 (He et al., CVPR 2016; stride in the 3x3 convolution) as ONNX, random weights, for timing."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

STAGES = ((3, 64, 1), (4, 128, 2), (6, 256, 2), (3, 512, 2))
"""Blocks, width and stride of the four stages."""


class _Builder:
    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def weight(self, name: str, *shape: int, scale: float) -> str:
        data = (self.random.standard_normal(shape, np.float32) * np.float32(scale)).astype(np.float32)
        self.weights.append(numpy_helper.from_array(data, name))
        return name

    def node(self, kind: str, inputs: list[str], name: str, **options: object) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **options))
        return name

    def conv(
        self, x: str, name: str, inside: int, outside: int, kernel: int, stride: int = 1, gain: float = 2.0
    ) -> str:
        w = self.weight(f"{name}.weight", outside, inside, kernel, kernel, scale=(gain / (inside * kernel**2)) ** 0.5)
        b = self.weight(f"{name}.bias", outside, scale=0.01)
        pad = [kernel // 2] * 4
        return self.node("Conv", [x, w, b], name, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=pad)

    def block(self, x: str, name: str, inside: int, width: int, stride: int) -> str:
        y = self.node("Relu", [self.conv(x, f"{name}/conv1", inside, width, 1)], f"{name}/relu1")
        y = self.node("Relu", [self.conv(y, f"{name}/conv2", width, width, 3, stride)], f"{name}/relu2")
        y = self.conv(y, f"{name}/conv3", width, 4 * width, 1, gain=0.2)
        if inside != 4 * width or stride != 1:
            x = self.conv(x, f"{name}/shortcut", inside, 4 * width, 1, stride, gain=1.0)
        return self.node("Relu", [self.node("Add", [x, y], f"{name}/add")], f"{name}/relu3")


def resnet50(batch: int | str = "batch", classes: int = 1000, seed: int = 0) -> onnx.ModelProto:
    """input [B, 3, 224, 224] float32 -> logits [B, classes]; batch normalisation is folded, as exporters do."""
    b = _Builder(seed)
    x = b.node("Relu", [b.conv("input", "stem/conv", 3, 64, 7, 2)], "stem/relu")
    x = b.node("MaxPool", [x], "stem/pool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    inside = 64
    for stage, (count, width, stride) in enumerate(STAGES):
        for index in range(count):
            x = b.block(x, f"stage{stage}/block{index}", inside, width, stride if index == 0 else 1)
            inside = 4 * width
    x = b.node("Flatten", [b.node("GlobalAveragePool", [x], "head/pool")], "head/flatten")
    w, c = b.weight("head.weight", classes, inside, scale=0.02), b.weight("head.bias", classes, scale=0.01)
    b.node("Gemm", [x, w, c], "logits", transB=1)
    graph = helper.make_graph(
        b.nodes,
        "resnet50",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [batch, 3, 224, 224])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, classes])],
        b.weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
