# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Normalisations written with sums, products and roots, for parsers that lack them or a form of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto

from nvidia_tao_deploy.errors import BuildError
from nvidia_tao_deploy.graph import definitions
from nvidia_tao_deploy.graph.editing import GraphWriter, attributes

EPSILON = 1e-5
"""What ONNX adds to a variance where a node does not say."""


def layer(node: onnx.NodeProto, write: GraphWriter) -> None:
    """y = (x - mean) / sqrt(variance + epsilon) * scale + bias over the axes from `axis` on
    (ONNX operators, LayerNormalization-17); as the standard writes it, longer, where its mean or deviation is used.

    Raises:
        BuildError: the rank or type of x is not known.
    """
    if any(node.output[1:]):
        if not definitions.write_out(node, write):
            raise BuildError(
                f"LayerNormalization '{node.name}': its mean or deviation is used, and its type is not known"
            )
        return
    source, scale, *bias = [name for name in node.input if name]
    options = attributes(node)
    rank, axis = _rank(node, write), options.get("axis", -1)
    dtype = write.reader.float_type(source)
    axes = range(axis % rank, rank)
    result = write.op("Mul", _normalised(source, axes, options.get("epsilon", EPSILON), dtype, write), scale)
    if bias:
        result = write.op("Add", result, bias[0])
    write.rename(result, node.output[0])


def instance(node: onnx.NodeProto, write: GraphWriter) -> None:
    """y = (x - mean) / sqrt(variance + epsilon) * scale + bias over the axes after the channels, computed in float32
    (ONNX operators, InstanceNormalization-6).

    Raises:
        BuildError: the rank of x is not known.
    """
    rank = _rank(node, write)
    kind = write.reader.elem_types.get(node.input[0], TensorProto.FLOAT)
    source, epsilon = _as_float(node.input[0], kind, write), attributes(node).get("epsilon", EPSILON)
    scale, bias = (_of_channels(name, kind, rank, write) for name in node.input[1:])
    result = _normalised(source, range(2, rank), epsilon, np.float32, write)
    result = write.op("Add", write.op("Mul", result, scale), bias)
    write.rename(result if kind == TensorProto.FLOAT else write.op("Cast", result, to=kind), node.output[0])


def _as_float(name: str, kind: int, write: GraphWriter) -> str:
    return name if kind == TensorProto.FLOAT else write.op("Cast", name, to=TensorProto.FLOAT)


def _of_channels(name: str, kind: int, rank: int, write: GraphWriter) -> str:
    """A number for each channel, with an axis for each of x after the first."""
    shape = [-1, *[1] * (rank - 2)]
    known = write.reader.constant(name)
    if known is None:
        return write.reshape(_as_float(name, kind, write), shape)
    return write.constant(known.reshape(shape), np.float32)


def _normalised(source: str, axes: Sequence[int], epsilon: float, dtype: type[np.floating], write: GraphWriter) -> str:
    """(x - mean) / sqrt(variance + epsilon) over some axes."""
    centred = write.op("Sub", source, write.reduce("ReduceMean", source, *axes))
    variance = write.reduce("ReduceMean", write.op("Mul", centred, centred), *axes)
    deviation = write.op("Sqrt", write.op("Add", variance, write.constant(epsilon, dtype)))
    return write.op("Div", centred, deviation)


def _rank(node: onnx.NodeProto, write: GraphWriter) -> int:
    shape = write.reader.shape(node.input[0])
    if shape is None:
        raise BuildError(f"{node.op_type} '{node.name}': the rank of its input is not known")
    return len(shape)
