# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""The order of an ONNX graph's nodes."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence

import onnx


def sort_nodes(graph: onnx.GraphProto) -> bool:
    """Put each node behind those whose outputs it reads (in place; bodies of If, Loop and Scan, too).

    The ONNX standard asks for this order, and onnx's checker insists; TensorRT and ONNX Runtime read files without it,
    and common tools (converters to FP16, graph surgeons) write such files. Nodes that are in order keep their places
    as far as that goes. A graph with a cycle is left as it is.

    Returns:
        Whether anything was moved.
    """
    bodies = [body for node in graph.node for body in _bodies(node)]
    moved = [sort_nodes(body) for body in bodies]
    order = _order(graph.node)
    if order is None or order == list(range(len(order))):
        return any(moved)
    nodes = [graph.node[index] for index in order]
    copies = [onnx.NodeProto() for _ in nodes]
    for copy, node in zip(copies, nodes, strict=True):
        copy.CopyFrom(node)
    del graph.node[:]
    graph.node.extend(copies)
    return True


def _order(nodes: Sequence[onnx.NodeProto]) -> list[int] | None:
    """Indices in an order that works, each as early as it can be; None where there is a cycle."""
    producer = {name: index for index, node in enumerate(nodes) for name in node.output if name}
    readers: dict[int, list[int]] = {}
    waiting = [0] * len(nodes)
    for index, node in enumerate(nodes):
        for source in {producer[name] for name in read_by(node) if name in producer}:
            readers.setdefault(source, []).append(index)
            waiting[index] += 1
    ready = [index for index, count in enumerate(waiting) if count == 0]  # sorted, so it is a heap
    order: list[int] = []
    while ready:
        index = heapq.heappop(ready)
        order.append(index)
        for reader in readers.get(index, ()):
            waiting[reader] -= 1
            if waiting[reader] == 0:
                heapq.heappush(ready, reader)
    return order if len(order) == len(nodes) else None


def read_by(node: onnx.NodeProto) -> Iterator[str]:
    """Names that a node reads, those that its bodies take from outside included."""
    yield from node.input
    for body in _bodies(node):
        for inner in body.node:
            yield from read_by(inner)
        yield from (value.name for value in body.output)


def _bodies(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            yield attribute.g
        elif attribute.type == onnx.AttributeProto.GRAPHS:
            yield from attribute.graphs
