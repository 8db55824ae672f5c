# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Pooling with ceil_mode, where runtimes have another last window than ONNX and PyTorch.

ONNX (operators, AveragePool-22) has no window that starts behind the picture and its first padding, and counts nothing
that lies behind all padding. TensorRT computes such windows (8.5 and RTX 1.7), and with count_include_pad it divides by
the whole window, as ONNX Runtime does up to 1.24.
"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import onnx

from nvidia_tao_deploy.engine.contract import DYNAMIC
from nvidia_tao_deploy.graph.editing import GraphReader, GraphWriter, attributes
from nvidia_tao_deploy.graph.model import all_nodes, is_standard

logger = logging.getLogger(__name__)
_POOLS = frozenset({"AveragePool", "LpPool", "MaxPool"})


def standard(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with pooling that every runtime takes for the same: with other padding, or a factor behind it.

    Nodes keep their names. Where heights or widths are open and some sizes would differ, a warning says so.

    Args:
        model: not changed; the same object is returned where there is nothing to do.
    """
    result, changed = model, any(_may_differ(node) for node in model.graph.node)
    while changed:  # a node may be concerned twice
        result, changed = _round(result)
    _warn(result)
    return result


def _round(model: onnx.ModelProto) -> tuple[onnx.ModelProto, bool]:
    """The model with each node written otherwise once, and whether there was one."""
    reader = GraphReader(model)
    nodes: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []
    changed = False
    for node in model.graph.node:
        writer = GraphWriter(reader, f"{node.output[0]}/pooling")
        written = _may_differ(node) and _write(node, writer)
        nodes.extend(writer.nodes if written else [node])
        constants.extend(writer.initialisers)
        changed = changed or written
    if not changed:
        return model, False
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.node[:]
    copy.graph.node.extend(nodes)
    copy.graph.initializer.extend(constants)
    _forget_sizes(copy.graph)
    return copy, True


def _forget_sizes(graph: onnx.GraphProto) -> None:
    """Drop what was noted of values: onnx counts windows as TensorRT does up to operator set 21. Of plugins' outputs
    nothing else is known, so theirs stay."""
    told = {name for node in graph.node if not is_standard(node) for name in node.output}
    kept = [value for value in graph.value_info if value.name in told]
    del graph.value_info[:]
    graph.value_info.extend(kept)


def _may_differ(node: onnx.NodeProto) -> bool:
    """Whether sizes of pictures exist for which runtimes give different numbers."""
    return _may_end_behind(node) or _counts_padding(node)


def _write(node: onnx.NodeProto, writer: GraphWriter) -> bool:
    """Returns False, and writes nothing, where the numbers are the same, or a size is open."""
    if _may_end_behind(node) and _write_windows(node, writer):  # first: elements of padding are no longer behind
        return True
    return _counts_padding(node) and _write_padding(node, writer)


def _is_rounded_up(node: onnx.NodeProto) -> bool:
    if node.op_type not in _POOLS or not is_standard(node):
        return False
    options = attributes(node)
    return bool(options.get("ceil_mode", 0)) and options.get("auto_pad", b"NOTSET") == b"NOTSET"


def _may_end_behind(node: onnx.NodeProto) -> bool:
    """Whether a window may start behind the picture: it is small beside its step."""
    if not _is_rounded_up(node):
        return False
    span, step, _, end = _sizes(attributes(node))
    return bool((end + step > span).any())


def _counts_padding(node: onnx.NodeProto) -> bool:
    if node.op_type != "AveragePool" or not _is_rounded_up(node):
        return False
    options = attributes(node)
    return options.get("count_include_pad", 0) == 1 and set(options.get("dilations", (1,))) == {1}


def _write_padding(node: onnx.NodeProto, writer: GraphWriter) -> bool:
    """Without padding in the counts, of which all runtimes think alike, times the share that ONNX divides by more.

    Where the size is open, padding becomes a node of its own.
    """
    size = _size(node, writer.reader)
    span, step, begin, end = _sizes(attributes(node))
    if size is not None and ((_count(size + begin + end, span, step) - 1) * step + span <= size + begin + end).all():
        return False
    if not (begin.any() or end.any()):
        writer.copy(node, count_include_pad=0)
        return True
    if size is None and _may_end_behind(node):
        return False
    if size is None:
        padded = writer.pad(node.input[0], [0, 0, *begin, 0, 0, *end])
        writer.copy(node, [padded], pads=[0] * 2 * len(span), count_include_pad=0)
        return True
    dtype = writer.reader.float_type(node.input[0])
    shares = writer.constant(_shares(size, span, step, begin, end)[None, None], dtype)
    writer.copy(node, count_include_pad=0)
    pooled = writer.nodes[-1].output[0] = writer.name("AveragePool")
    writer.rename(writer.op("Mul", pooled, shares), node.output[0])
    return True


def _shares(size: np.ndarray, span: np.ndarray, step: np.ndarray, begin: np.ndarray, end: np.ndarray) -> np.ndarray:
    """For each window, how many elements of the picture it holds, divided by how many of the padded picture."""
    product = np.ones(())
    for axis, count in enumerate(_count(size + begin + end, span, step)):
        first = np.arange(count) * step[axis] - begin[axis]
        last = first + span[axis]
        inside = np.minimum(last, size[axis]) - np.maximum(first, 0)
        counted = np.minimum(last, size[axis] + end[axis]) - first
        product = np.multiply.outer(product, inside / counted)
    return product


def _write_windows(node: onnx.NodeProto, writer: GraphWriter) -> bool:
    """As many windows as ONNX has: without ceil_mode, or without what lies behind the last of them."""
    size = _size(node, writer.reader)
    if size is None:
        return False
    span, step, begin, end = _sizes(attributes(node))
    count = _count(size + begin + end, span, step)
    behind = (count - 1) * step >= size + begin
    if not behind.any():
        return False
    count -= behind
    if (_count(size + begin + end - step + 1, span, step) == count).all():  # rounded down
        writer.copy(node, ceil_mode=0)
        return True
    needed = (count - 1) * step + span - begin  # up to the end of the last window that stays
    source = node.input[0]
    for axis in np.flatnonzero(behind & (needed < size)):
        source = writer.slice(source, int(axis) + 2, 0, int(needed[axis]))
    shorter = np.where(behind, np.maximum(needed - size, 0), end)
    writer.copy(node, [source], pads=[int(pad) for pad in (*begin, *shorter)])
    return True


def _warn(model: onnx.ModelProto) -> None:
    """Name the nodes that may have a window more than ONNX, and whose pictures have open sizes."""
    nodes = [node for node in all_nodes(model.graph) if _may_end_behind(node)]
    if not nodes:
        return
    reader = GraphReader(model)
    for node in nodes:
        if _size(node, reader) is None:
            logger.warning(
                "%s '%s' has ceil_mode=1 and an open size: for some sizes TensorRT computes one window more than ONNX. "
                "gen_trt_engine.verify=true tells; a model of fixed sizes is built right.", node.op_type, node.name,
            )  # fmt: skip


def _size(node: onnx.NodeProto, reader: GraphReader) -> np.ndarray | None:
    """Height, width and so on of what a node reads; None where one of them is open."""
    shape = reader.shape(node.input[0])
    return None if shape is None or DYNAMIC in shape[2:] else np.array(shape[2:])


def _sizes(options: dict[str, Any]) -> tuple[np.ndarray, ...]:
    """Span of a window, its stride, and padding at the begin and the end, for each axis."""
    kernel = np.array(options["kernel_shape"])
    dilation, step = (np.array(options.get(key, np.ones_like(kernel))) for key in ("dilations", "strides"))
    begin, end = np.array(options.get("pads", [0] * 2 * len(kernel))).reshape(2, -1)
    return (kernel - 1) * dilation + 1, step, begin, end


def _count(padded: np.ndarray, span: np.ndarray, step: np.ndarray) -> np.ndarray:
    """How many windows TensorRT computes."""
    return -(-(padded - span) // step) + 1
