# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""What Resize and Upsample did before operator set 11, in the terms of operator set 11.

Source = target / scale without half pixels; and of nearest neighbours, as ONNX Runtime has it, the one before on an
axis that grows, the one behind on an axis that shrinks. onnx's converter leaves the new default, half a pixel further.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper

from nvidia_tao_deploy.graph.editing import GraphReader, GraphWriter, attributes
from nvidia_tao_deploy.graph.model import is_standard

_MODE = "coordinate_transformation_mode"
_SCALES = 2
"""Which input of Resize-11 holds the scales."""


def keep_resizing(model: onnx.ModelProto) -> None:
    """Complete the Resize nodes of a model that onnx's converter raised from before operator set 11 (in place)."""
    reader = GraphReader(model)
    initialisers: list[onnx.TensorProto] = []
    _complete(model.graph, reader, initialisers)
    model.graph.initializer.extend(initialisers)


def _complete(graph: onnx.GraphProto, reader: GraphReader, initialisers: list[onnx.TensorProto]) -> None:
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        for attribute in node.attribute:
            for body in [attribute.g] if attribute.HasField("g") else attribute.graphs:
                _complete(body, reader, initialisers)
        old = node.op_type == "Resize" and is_standard(node) and _MODE not in attributes(node)
        nodes.extend(_completed(node, reader, initialisers) if old else [node])
    del graph.node[:]
    graph.node.extend(nodes)


def _completed(node: onnx.NodeProto, reader: GraphReader, initialisers: list[onnx.TensorProto]) -> list[onnx.NodeProto]:
    """The node; or, since `nearest_mode` holds for all axes of a node, one that enlarges and one that shrinks."""
    scales = reader.constant(node.input[_SCALES])
    shrinks, grows = (True, True) if scales is None else ((scales < 1).any(), (scales > 1).any())
    if attributes(node).get("mode") == b"linear" or not (shrinks and grows):
        return [_resize(node, "ceil" if shrinks else "floor")]
    write = GraphWriter(reader, f"{node.name or node.output[0]}/split_{len(initialisers)}")  # bodies may share names
    enlarged, shrunk = _resize(node, "floor"), _resize(node, "ceil")
    if scales is None:
        one = write.constant(1, np.float32)
        parts = [write.op(limit, node.input[_SCALES], one) for limit in ("Max", "Min")]
    else:
        parts = [write.constant(limit(scales, 1), np.float32) for limit in (np.maximum, np.minimum)]
    enlarged.input[_SCALES], shrunk.input[_SCALES] = parts
    enlarged.name, shrunk.name = write.name("enlarged"), write.name("shrunk")
    enlarged.output[0] = shrunk.input[0] = f"{enlarged.name}_output"
    initialisers.extend(write.initialisers)
    return [*write.nodes, enlarged, shrunk]


def _resize(node: onnx.NodeProto, nearest: str) -> onnx.NodeProto:
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    copy.attribute.extend([helper.make_attribute(_MODE, "asymmetric"), helper.make_attribute("nearest_mode", nearest)])
    return copy
