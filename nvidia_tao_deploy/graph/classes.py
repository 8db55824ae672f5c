# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""How many classes a model chooses among, for models that end in arg max and so do not show it in their outputs."""

from __future__ import annotations

from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from nvidia_tao_deploy.graph.model import infer_shapes

ONNX_TAG = b"\x08"
"""First byte of an ONNX file: the tag of ir_version."""


def class_count(path: Path, output: str) -> int | None:
    """Number of classes behind an output of class ids, by the shape of what its ArgMax (or TopK) looks at.

    Args:
        path: an engine file.
        output: name of the output.

    Returns None where it cannot be told: no ONNX file (a TensorRT engine), another way to choose, or an unknown shape.
    """
    with path.open("rb") as file:
        if file.read(1) != ONNX_TAG:
            return None
    try:
        model = onnx.load(str(path))
        inferred = infer_shapes(model)
    except (DecodeError, OSError, ValueError, RuntimeError, onnx.shape_inference.InferenceError):
        return None
    node = _chooser(inferred.graph, output)
    return _axis_size(inferred.graph, node) if node is not None else None


def _chooser(graph: onnx.GraphProto, output: str) -> onnx.NodeProto | None:
    """The nearest ArgMax or TopK upstream of a tensor."""
    makers = {name: node for node in graph.node for name in node.output}
    waiting, seen = [output], set()
    for name in waiting:
        node = makers.get(name)
        if node is None or name in seen:
            continue
        if node.op_type in ("ArgMax", "TopK"):
            return node
        seen.add(name)
        waiting.extend(node.input)
    return None


def _axis_size(graph: onnx.GraphProto, node: onnx.NodeProto) -> int | None:
    default = 0 if node.op_type == "ArgMax" else -1
    axis = next((item.i for item in node.attribute if item.name == "axis"), default)
    for value in [*graph.value_info, *graph.input]:
        if value.name == node.input[0]:
            sizes = value.type.tensor_type.shape.dim
            return int(sizes[axis].dim_value) or None if -len(sizes) <= axis < len(sizes) else None
    return None
