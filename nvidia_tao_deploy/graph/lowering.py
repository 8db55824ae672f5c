# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Standard operators that an older parser does not know, written with operators that it knows."""

from __future__ import annotations

import logging
from collections.abc import Collection

import numpy as np
import onnx
from onnx import TensorProto

from nvidia_tao_deploy.engine.contract import LayerPrecision
from nvidia_tao_deploy.errors import BuildError
from nvidia_tao_deploy.graph.editing import GraphReader, GraphWriter, attributes
from nvidia_tao_deploy.graph.layers import EVERYTHING, fits
from nvidia_tao_deploy.graph.model import all_nodes

logger = logging.getLogger(__name__)
_FLOATS = {TensorProto.FLOAT: np.float32, TensorProto.FLOAT16: np.float16}


def lower(
    model: onnx.ModelProto, unknown: Collection[str], rules: tuple[LayerPrecision, ...] = ()
) -> tuple[onnx.ModelProto, tuple[LayerPrecision, ...]]:
    """The model without the operators in `unknown`, and the layer rules that mean the same for it.

    Both are returned as they came when there is nothing to do. A layer's replacement has names that begin with the
    layer's own.

    Raises:
        BuildError: an operator that stands in the body of a Loop or If, or in a form that cannot be written otherwise.
    """
    wanted = [op for op in _LOWERINGS if op in unknown]
    if not any(_is(node, wanted) for node in all_nodes(model.graph)):
        return model, rules
    lowered = onnx.ModelProto()
    lowered.CopyFrom(model)
    reader = GraphReader(lowered)
    nodes: list[onnx.NodeProto] = []
    prefixes: dict[str, str] = {}
    for index, node in enumerate(model.graph.node):
        if not _is(node, wanted):
            nodes.append(node)
            continue
        prefixes[node.name] = f"{node.name or node.op_type}/lowered_{index}"
        write = GraphWriter(reader, prefixes[node.name])
        _LOWERINGS[node.op_type](node, write)
        nodes.extend(write.nodes)
        lowered.graph.initializer.extend(write.initialisers)
    del lowered.graph.node[:]
    lowered.graph.node.extend(nodes)
    left = [node for node in all_nodes(lowered.graph) if _is(node, wanted)]
    if left:
        raise BuildError(f"{left[0].op_type} '{left[0].name}' stands in the body of a Loop or If, where it cannot stay")
    logger.info("%d %s nodes written with older operators", len(prefixes), "/".join(wanted))
    return lowered, _follow(rules, prefixes, [node.name for node in nodes])


def _is(node: onnx.NodeProto, ops: Collection[str]) -> bool:
    return node.op_type in ops and node.domain in ("", "ai.onnx")


def _follow(
    rules: tuple[LayerPrecision, ...], prefixes: dict[str, str], names: list[str]
) -> tuple[LayerPrecision, ...]:
    """Rules that fitted a replaced layer fit all of its replacement."""
    followed: list[LayerPrecision] = []
    for rule in rules:
        replaced = [prefix for name, prefix in prefixes.items() if fits(rule.pattern, name)]
        if not replaced or any(fits(rule.pattern, name) for name in names):
            followed.append(rule)
        if rule.pattern != EVERYTHING:
            followed.extend(LayerPrecision(f"{prefix}/*", rule.dtype) for prefix in replaced)
    return tuple(followed)


def _layer_normalisation(node: onnx.NodeProto, write: GraphWriter) -> None:
    """y = (x - mean) / sqrt(variance + epsilon) * scale + bias over the axes from `axis` on
    (ONNX operators, LayerNormalization-17). Only the first output may be used."""
    if any(node.output[1:]):
        raise BuildError(f"LayerNormalization '{node.name}': its mean or deviation is used, which is not supported")
    source, scale, *bias = [name for name in node.input if name]
    options = attributes(node)
    shape = write.reader.shape(source)
    axis = options.get("axis", -1)
    if shape is None:
        raise BuildError(f"LayerNormalization '{node.name}': the rank of its input is not known")
    dtype = _FLOATS.get(write.reader.elem_types.get(source, TensorProto.FLOAT), np.float32)
    axes = list(range(axis % len(shape), len(shape)))
    centred = write.op("Sub", source, _mean(source, axes, write))
    variance = _mean(write.op("Mul", centred, centred), axes, write)
    deviation = write.op("Sqrt", write.op("Add", variance, write.constant(options.get("epsilon", 1e-5), dtype)))
    result = write.op("Mul", write.op("Div", centred, deviation), scale)
    if bias:
        result = write.op("Add", result, bias[0])
    write.rename(result, node.output[0])


def _mean(source: str, axes: list[int], write: GraphWriter) -> str:
    if write.reader.opset >= 18:  # axes became an input
        return write.op("ReduceMean", source, write.constant(axes), keepdims=1)
    return write.op("ReduceMean", source, axes=axes, keepdims=1)


_LOWERINGS = {"LayerNormalization": _layer_normalisation}
