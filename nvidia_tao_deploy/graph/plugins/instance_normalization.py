# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""InstanceNormalization_TRT (versions 1 and 2) as InstanceNormalization, with its optional (leaky) ReLU."""

from __future__ import annotations

import numpy as np
import onnx

from nvidia_tao_deploy.graph.editing import GraphWriter
from nvidia_tao_deploy.graph.plugins._tensors import Node, as_float, give, kind_of

OPS = ("InstanceNormalization_TRT",)
OPSET = 11
REPLACEMENT = "InstanceNormalization"


def rewrite(node: onnx.NodeProto, write: GraphWriter) -> None:
    """Input [N, C, ...], with scale and bias [C] as attributes (or as inputs 1 and 2). Output of the same shape."""
    facts = Node(node, (1, 3), 1)
    picture = facts.inputs[0]
    if len(facts.inputs) == 3:
        scale, bias = (as_float(write, name) for name in facts.inputs[1:])
    else:
        scales, biases = facts.array("scales"), facts.array("bias")
        if len(scales) != len(biases):
            raise facts.error(f"{len(scales)} scales and {len(biases)} biases")
        scale, bias = write.constant(scales, np.float32), write.constant(biases, np.float32)
    result = write.op(
        "InstanceNormalization", as_float(write, picture), scale, bias, epsilon=facts.number("epsilon", 1e-5)
    )
    if facts.flag("relu", False):
        result = write.op("LeakyRelu", result, alpha=facts.number("alpha", 0.0))
    give(write, result, node.output[0], kind_of(write, picture))
