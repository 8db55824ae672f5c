# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Infinities that a model means: attention masks add "minus infinity" to what Softmax must not see."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper

from nvidia_tao_deploy.graph.model import all_nodes
from nvidia_tao_deploy.graph.precision import FOLLOW, POINTWISE

KEEPING = (FOLLOW | POINTWISE | {"Pad", "CastLike", "Constant", "ConstantOfShape"}) - {"Shape", "Size"}
"""Operators whose results may hold an infinity of their operands or attributes. Softmax, for one, does not."""

HALF_OF_ALL = float(np.finfo(np.float32).max) / 2
"""Two masks that write "minus infinity" as float32's least number give one when they are added."""


def reached(model: onnx.ModelProto) -> set[str]:
    """Names of the values that infinite constants of the model get into: an infinity there is no overflow.

    Values in bodies of If and Loop are not named; results of such nodes are, where a body has an infinite constant.
    """
    found = {tensor.name for tensor in model.graph.initializer if _holds(tensor)}
    for node in model.graph.node:
        bodies = [item.g for item in node.attribute if item.HasField("g")]
        inside = any(_states(inner) for body in bodies for inner in all_nodes(body)) or any(
            _holds(tensor) for body in bodies for tensor in body.initializer
        )
        keeps = node.op_type in KEEPING and (_states(node) or not found.isdisjoint(node.input))
        if inside or keeps:
            found.update(name for name in node.output if name)
    return found


def _states(node: onnx.NodeProto) -> bool:
    """Whether an attribute of a node is or holds an infinity."""
    return any(
        (item.HasField("t") and _holds(item.t)) or bool(np.any(np.abs([item.f, *item.floats]) > HALF_OF_ALL))
        for item in node.attribute
    )


def _holds(tensor: onnx.TensorProto) -> bool:
    if tensor.data_type not in (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE):
        return False
    values = numpy_helper.to_array(tensor)
    return bool(values.size) and max(float(values.max()), -float(values.min())) > HALF_OF_ALL
