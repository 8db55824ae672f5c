# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Small vision transformers with the tensors of `nvdinov2` and `mae`.

THE WEIGHTS ARE RANDOM: nothing is recognised by them. They have the operators of the real backbones (patch embedding,
layer normalisation, attention, GELU) and outputs by the number and names that exports give them, which is all that
building an engine needs.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

PATCH, WIDTH, HEADS, BLOCKS = 14, 64, 4, 2


class _Graph:
    """Nodes and weights, written down in order."""

    def __init__(self, seed: int) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self._random = np.random.default_rng(seed)

    def node(self, kind: str, *inputs: str, **attributes: object) -> str:
        name = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def constant(self, value: object, kind: type = np.float32) -> str:
        name = f"weight_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(value, kind), name))
        return name

    def random(self, *shape: int) -> str:
        return self.constant(self._random.normal(0, 1 / np.sqrt(shape[0]), shape))

    def linear(self, rows: str, inputs: int, outputs: int) -> str:
        product = self.node("MatMul", rows, self.random(inputs, outputs))
        return self.node("Add", product, self.constant(np.zeros(outputs)))

    def normalised(self, rows: str) -> str:
        scale, bias = self.constant(np.ones(WIDTH)), self.constant(np.zeros(WIDTH))
        return self.node("LayerNormalization", rows, scale, bias, axis=-1, epsilon=1e-6)


def _attention(graph: _Graph, rows: str) -> str:
    def heads(values: str, order: list[int]) -> str:
        split = graph.node("Reshape", values, graph.constant([0, -1, HEADS, WIDTH // HEADS], np.int64))
        return graph.node("Transpose", split, perm=order)

    query, value = (heads(graph.linear(rows, WIDTH, WIDTH), [0, 2, 1, 3]) for _ in range(2))
    key = heads(graph.linear(rows, WIDTH, WIDTH), [0, 2, 3, 1])
    scores = graph.node("MatMul", query, key)
    scaled = graph.node("Mul", scores, graph.constant((WIDTH // HEADS) ** -0.5))
    mixed = graph.node("MatMul", graph.node("Softmax", scaled, axis=-1), value)
    joined = graph.node("Transpose", mixed, perm=[0, 2, 1, 3])
    merged = graph.node("Reshape", joined, graph.constant([0, -1, WIDTH], np.int64))
    return graph.linear(merged, WIDTH, WIDTH)


def _mlp(graph: _Graph, rows: str) -> str:
    wide = graph.linear(rows, WIDTH, 4 * WIDTH)
    bent = graph.node("Erf", graph.node("Mul", wide, graph.constant(0.5**0.5)))
    gate = graph.node("Mul", graph.node("Add", bent, graph.constant(1)), graph.constant(0.5))
    return graph.linear(graph.node("Mul", wide, gate), 4 * WIDTH, WIDTH)


def _tokens(graph: _Graph, side: int) -> str:
    """[B, 1 + patches, WIDTH]: a class token in front of the embedded patches, after all blocks, not normalised."""
    kernel = graph.random(WIDTH, 3, PATCH, PATCH)
    patches = graph.node("Conv", "input", kernel, kernel_shape=[PATCH, PATCH], strides=[PATCH, PATCH])
    flat = graph.node("Reshape", patches, graph.constant([0, WIDTH, -1], np.int64))
    rows = graph.node("Transpose", flat, perm=[0, 2, 1])
    batch = graph.node("Slice", graph.node("Shape", rows), *(graph.constant([k], np.int64) for k in (0, 1)))
    shape = graph.node("Concat", batch, graph.constant([1, WIDTH], np.int64), axis=0)
    first = graph.node("Expand", graph.random(1, 1, WIDTH), shape)
    rows = graph.node("Concat", first, rows, axis=1)
    rows = graph.node("Add", rows, graph.random(1, 1 + (side // PATCH) ** 2, WIDTH))
    for _ in range(BLOCKS):
        rows = graph.node("Add", rows, _attention(graph, graph.normalised(rows)))
        rows = graph.node("Add", rows, _mlp(graph, graph.normalised(rows)))
    return rows


def _finished(graph: _Graph, side: int, outputs: dict[str, tuple[str, list[int | str]]]) -> onnx.ModelProto:
    """The model; `outputs`: name -> (node that makes it, shape)."""
    nodes = [*graph.nodes, *(helper.make_node("Identity", [made], [name]) for name, (made, _) in outputs.items())]
    made = helper.make_graph(
        nodes,
        "random_weights",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 3, side, side])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, (_, shape) in outputs.items()],
        graph.weights,
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    model.doc_string = "Vision transformer with random weights, Apache-2.0, The TAO Deploy authors"
    onnx.checker.check_model(model, full_check=True)
    return model


def _part(graph: _Graph, rows: str, first: int, last: int) -> str:
    bounds = (graph.constant([value], np.int64) for value in (first, last, 1))
    return graph.node("Slice", rows, *bounds)


def nvdinov2_model(side: int = 112, seed: int = 0) -> onnx.ModelProto:
    """`input` [batch, 3, side, side] -> `output` (tokens), `412` (class token), `413` (patch tokens): a dictionary of
    three tensors exported under one name gives the others numbers."""
    graph = _Graph(seed)
    rows = _tokens(graph, side)
    patches = (side // PATCH) ** 2
    normalised = graph.normalised(rows)
    first = graph.node("Squeeze", _part(graph, normalised, 0, 1), graph.constant([1], np.int64))
    others = _part(graph, normalised, 1, 1 + patches)
    outputs: dict[str, tuple[str, list[int | str]]] = {
        "output": (rows, ["batch", 1 + patches, WIDTH]),
        "412": (first, ["batch", WIDTH]),
        "413": (others, ["batch", patches, WIDTH]),
    }
    return _finished(graph, side, outputs)


def mae_model(side: int = 112, classes: int = 0, seed: int = 1) -> onnx.ModelProto:
    """`input` [batch, 3, side, side] -> `output` [batch, WIDTH], the mean of the patch tokens; with `classes`, as after
    fine-tuning, [batch, classes] scores of a random layer."""
    graph = _Graph(seed)
    rows = _part(graph, graph.normalised(_tokens(graph, side)), 1, 1 + (side // PATCH) ** 2)
    pooled = graph.node("ReduceMean", rows, axes=[1], keepdims=0)
    made = graph.linear(pooled, WIDTH, classes) if classes else pooled
    return _finished(graph, side, {"output": (made, ["batch", classes or WIDTH])})
