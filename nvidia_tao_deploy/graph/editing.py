# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Making nodes and finding constants and sizes in a graph: what every rewrite needs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from nvidia_tao_deploy.engine.contract import DYNAMIC
from nvidia_tao_deploy.graph.model import STANDARD, infer_shapes, is_standard

FLOAT32_ONLY = "computes in float32 whatever precision is asked for"
"""In a node's doc_string: typing the graph in a narrower type leaves the node alone."""

_CONSTANT_TYPES = {"value_float": np.float32, "value_floats": np.float32, "value_int": np.int64, "value_ints": np.int64}

Size = int | str
"""A known size, or the name of a one-element int64 tensor that holds it at run time."""


class GraphReader:
    """Answers questions about values of a graph: constant? which sizes? who makes it?"""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model
        self.opset = max(entry.version for entry in model.opset_import if entry.domain in STANDARD)
        inferred = infer_shapes(model).graph
        self.producers = {name: node for node in inferred.node for name in node.output if name}
        self.initialisers = {tensor.name: tensor for tensor in inferred.initializer}
        self._shapes = {
            value.name: tuple(
                dim.dim_value if dim.HasField("dim_value") else DYNAMIC for dim in value.type.tensor_type.shape.dim
            )
            for value in [*inferred.input, *inferred.output, *inferred.value_info]
            if value.type.tensor_type.HasField("shape")
        }
        self._shapes.update({name: tuple(tensor.dims) for name, tensor in self.initialisers.items()})
        self.elem_types = {
            value.name: value.type.tensor_type.elem_type
            for value in [*inferred.input, *inferred.output, *inferred.value_info]
        }
        self.elem_types.update({name: tensor.data_type for name, tensor in self.initialisers.items()})

    def shape(self, name: str) -> tuple[int, ...] | None:
        """Sizes, `DYNAMIC` where open; None when not even the rank is known."""
        return self._shapes.get(name)

    def float_type(self, name: str) -> type[np.floating]:
        """NumPy's type of a tensor of floats; float32 where it is not known."""
        return np.float16 if self.elem_types.get(name) == onnx.TensorProto.FLOAT16 else np.float32

    def constant(self, name: str) -> np.ndarray | None:
        """The value of a tensor that does not depend on the model's inputs; None when it does.

        Sizes count as constant where they are known, so the shape arithmetic that exporters leave behind is seen
        through: the chain is evaluated twice with different stand-ins for open sizes, and must come out the same.
        """
        results = [self._evaluate(name, stand_in, {}) for stand_in in (2, 3)]
        if results[0] is None or results[1] is None or not np.array_equal(results[0], results[1]):
            return None
        return results[0]

    def _evaluate(self, name: str, stand_in: int, known: dict[str, np.ndarray | None]) -> np.ndarray | None:
        if name not in known:
            known[name] = None  # until proved otherwise
            known[name] = self._evaluate_new(name, stand_in, known)
        return known[name]

    def _evaluate_new(self, name: str, stand_in: int, known: dict[str, np.ndarray | None]) -> np.ndarray | None:
        if name in self.initialisers:
            return numpy_helper.to_array(self.initialisers[name])
        node = self.producers.get(name)
        if node is None or not is_standard(node):
            return None
        if node.op_type == "Shape":
            shape = self.shape(node.input[0])
            if shape is None:
                return None
            sizes = np.array([stand_in if size == DYNAMIC else size for size in shape], np.int64)
            options = attributes(node)
            return sizes[options.get("start", 0) : options.get("end", len(sizes))]
        if node.op_type == "CastLike":  # of its second operand only the type counts
            return self._like(node, self._evaluate(node.input[0], stand_in, known))
        operands = [self._evaluate(operand, stand_in, known) for operand in node.input if operand]
        if any(operand is None for operand in operands):
            return None
        return self._run(node, name, [operand for operand in operands if operand is not None])

    def _like(self, node: onnx.NodeProto, value: np.ndarray | None) -> np.ndarray | None:
        elem_type = self.elem_types.get(node.input[1], onnx.TensorProto.UNDEFINED)
        if value is None or elem_type in (onnx.TensorProto.UNDEFINED, onnx.TensorProto.STRING):
            return None
        return value.astype(helper.tensor_dtype_to_np_dtype(elem_type))

    def _run(self, node: onnx.NodeProto, name: str, operands: list[np.ndarray]) -> np.ndarray | None:
        from onnx.reference import ReferenceEvaluator

        names = [operand for operand in node.input if operand]
        feeds = dict(zip(names, operands, strict=True))
        graph = helper.make_graph(
            [node],
            "constant",
            [_declare(key, value) for key, value in feeds.items()],
            [helper.make_value_info(name, onnx.TypeProto())],
        )
        piece = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)
        try:
            return np.asarray(next(iter(ReferenceEvaluator(piece).run([name], feeds))))
        except Exception:  # an operator that the evaluator lacks: then it is no constant to us
            return None


def _declare(name: str, value: np.ndarray) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), list(value.shape))


class GraphWriter:
    """Collects new nodes and initialisers with names that nothing else in the model has."""

    def __init__(self, reader: GraphReader, prefix: str) -> None:
        self.reader = reader
        self.nodes: list[onnx.NodeProto] = []
        self.initialisers: list[onnx.TensorProto] = []
        self._prefix = prefix
        self._count = 0

    def name(self, what: str) -> str:
        """A new name with `what` in it."""
        self._count += 1
        return f"{self._prefix}/{what}_{self._count}"

    def body(self) -> GraphWriter:
        """A writer for the body of a Loop or If. Its names are new to the whole model, and its constants become
        initialisers of the outer graph, which a body may refer to."""
        inner = GraphWriter(self.reader, self.name("body"))
        inner.initialisers = self.initialisers
        return inner

    def op(self, op_type: str, *inputs: str, **options: Any) -> str:
        """Add a node with one output; returns the output's name."""
        return self.ops(op_type, 1, *inputs, **options)[0]

    def ops(self, op_type: str, outputs: int, *inputs: str, **options: Any) -> list[str]:
        """Add a node with several outputs."""
        name = self.name(op_type)
        names = [name] if outputs == 1 else [f"{name}_{index}" for index in range(outputs)]
        self.nodes.append(helper.make_node(op_type, list(inputs), names, name=name, **options))
        return names

    def copy(self, node: onnx.NodeProto, inputs: Sequence[str] | None = None, **changes: Any) -> None:
        """Add a node, its name and outputs included, with other operands and attributes; None removes an attribute."""
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        kept = [item for item in node.attribute if item.name not in changes]
        del copy.attribute[:]
        copy.attribute.extend(kept)
        copy.attribute.extend(helper.make_attribute(key, item) for key, item in changes.items() if item is not None)
        if inputs is not None:
            copy.input[:] = inputs
        self.nodes.append(copy)

    def constant(self, value: Any, dtype: Any = np.int64) -> str:
        """Add an initialiser."""
        name = self.name("constant")
        self.initialisers.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def size(self, tensor: str, axis: int) -> Size:
        """Size of an axis: a number where it is known, else the name of a tensor that will hold it."""
        shape = self.reader.shape(tensor)
        if shape is not None and shape[axis] != DYNAMIC:
            return shape[axis]
        return self.op("Gather", self.op("Shape", tensor), self.constant([axis]), axis=0)

    def reshape(self, tensor: str, sizes: Sequence[Size]) -> str:
        """Reshape to sizes of which one may be -1 and some may only be known at run time."""
        if all(isinstance(size, int) for size in sizes):
            return self.op("Reshape", tensor, self.constant(list(sizes)))
        parts = [size if isinstance(size, str) else self.constant([size]) for size in sizes]
        return self.op("Reshape", tensor, self.op("Concat", *parts, axis=0))

    def slice(self, tensor: str, axis: int, start: int, stop: int) -> str:
        """Elements start to stop - 1 of an axis."""
        return self.op("Slice", tensor, self.constant([start]), self.constant([stop]), self.constant([axis]))

    def reduce(self, op_type: str, tensor: str, *axes: int, keep: bool = True) -> str:
        """ReduceMax and its like over some axes, which newer operator sets take as an operand."""
        if self.reader.opset >= (13 if op_type == "ReduceSum" else 18):
            return self.op(op_type, tensor, self.constant(axes), keepdims=int(keep))
        return self.op(op_type, tensor, axes=axes, keepdims=int(keep))

    def squeeze(self, tensor: str, *axes: int) -> str:
        """Without axes of one element."""
        if self.reader.opset >= 13:
            return self.op("Squeeze", tensor, self.constant(axes))
        return self.op("Squeeze", tensor, axes=axes)

    def split(self, tensor: str, sizes: Sequence[int], axis: int) -> list[str]:
        """Parts of these sizes along an axis."""
        if self.reader.opset >= 13:
            return self.ops("Split", len(sizes), tensor, self.constant(sizes), axis=axis)
        return self.ops("Split", len(sizes), tensor, split=sizes, axis=axis)

    def pad(self, tensor: str, sizes: Sequence[int]) -> str:
        """Zeros at the begin of each axis, then at the end of each."""
        sizes = [int(size) for size in sizes]
        if self.reader.opset >= 11:
            return self.op("Pad", tensor, self.constant(sizes))
        return self.op("Pad", tensor, pads=sizes)

    def rename(self, tensor: str, name: str) -> None:
        """Make the last node write `name` in place of `tensor`."""
        outputs = self.nodes[-1].output
        outputs[list(outputs).index(tensor)] = name


def drop_unused_constants(graph: onnx.GraphProto, used: Collection[str]) -> None:
    """Delete the initialisers whose names are not among `used`, and inputs that stand for them (in place)."""
    gone = {tensor.name for tensor in graph.initializer if tensor.name not in used}
    for part in (graph.initializer, graph.input):
        for index in reversed(range(len(part))):
            if part[index].name in gone:
                del part[index]


def constant_value(node: onnx.NodeProto) -> onnx.TensorProto | None:
    """What a Constant node of numbers holds, named as the node's output; None for any other node."""
    if node.op_type != "Constant" or not is_standard(node):
        return None
    options = attributes(node)
    for name, dtype in _CONSTANT_TYPES.items():
        if name in options:
            return numpy_helper.from_array(np.asarray(options[name], dtype), node.output[0])
    if "value" not in options:
        return None
    tensor = onnx.TensorProto()
    tensor.CopyFrom(options["value"])
    tensor.name = node.output[0]
    return tensor


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """A node's attributes as Python values."""
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
