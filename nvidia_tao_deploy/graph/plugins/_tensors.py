# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""What the plugin rewriters share: attributes, sizes, and small pieces of graph that every operator set from 11 on has.

Squeeze, Unsqueeze and Split changed their form between operator sets, so Reshape and Slice stand in for them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from nvidia_tao_deploy.engine.contract import DYNAMIC
from nvidia_tao_deploy.errors import BuildError
from nvidia_tao_deploy.graph.editing import GraphWriter, Size, attributes

TOPK_LIMIT = 3840
"""TensorRT and TensorRT RTX take no larger K in one TopK."""

LOWEST = -3.0e38
"""Stands for "no candidate" among scores; real scores are above `FLOOR`."""

FLOOR = -1.0e38


class Node:
    """A plugin node's attributes and operands, with errors that name the node.

    Raises BuildError when the number of operands is not one of `inputs`, or that of the results is not `outputs`.
    """

    def __init__(self, node: onnx.NodeProto, inputs: Sequence[int], outputs: int) -> None:
        self.op = node.op_type
        self.label = f"{node.op_type} '{node.name or node.output[0]}'"
        self.inputs = [name for name in node.input if name]
        self.outputs = list(node.output)
        self._values = attributes(node)
        if len(self.inputs) not in inputs or len(self.outputs) != outputs:
            expected = " or ".join(str(count) for count in inputs)
            raise BuildError(
                f"{self.label}: {len(self.inputs)} inputs and {len(self.outputs)} outputs; "
                f"expected {expected} and {outputs}"
            )

    def error(self, text: str, hint: str | None = None) -> BuildError:
        """An error about this node."""
        return BuildError(f"{self.label}: {text}", hint=hint)

    def has(self, name: str) -> bool:
        """Whether the attribute is given."""
        return name in self._values

    def integer(self, name: str, default: int | None = None) -> int:
        """An attribute that holds one integer or boolean."""
        return int(self._one(name, default))

    def flag(self, name: str, default: bool | None = None) -> bool:
        """An attribute that is 0 or 1."""
        return bool(self._one(name, default))

    def number(self, name: str, default: float | None = None) -> float:
        """An attribute that holds one number, as float32."""
        return float(np.float32(self._one(name, default)))

    def array(self, name: str, length: int | None = None) -> np.ndarray:
        """An attribute that holds a list of numbers, as float32."""
        values = np.atleast_1d(np.asarray(self._get(name, None), np.float32))
        if length is not None and len(values) != length:
            raise self.error(f"attribute {name} has {len(values)} values; expected {length}")
        return values

    def _one(self, name: str, default: Any) -> Any:
        value = self._get(name, default)
        if isinstance(value, (list, tuple)):
            if len(value) != 1:
                raise self.error(f"attribute {name} has {len(value)} values; expected one")
            value = value[0]
        if not isinstance(value, (int, float)):
            raise self.error(f"attribute {name} is {value!r}; expected a number")
        return value

    def _get(self, name: str, default: Any) -> Any:
        value = self._values.get(name, default)
        if value is None:
            raise self.error(f"attribute {name} is missing", hint="TensorRT's plugin needs it: export the model again.")
        return value

    def static(self, write: GraphWriter, tensor: str, axis: int, what: str) -> int:
        """Size of an axis that must not be open; `what` names it in the error."""
        size = write.reader.shape(tensor)
        if size is None or size[axis] == DYNAMIC:
            raise self.error(f"{what} is open; it must be fixed to replace the plugin", hint=FIXED_HINT)
        return size[axis]

    def rank(self, write: GraphWriter, tensor: str, allowed: Sequence[int]) -> int:
        """Number of axes of an operand, which must be known and allowed."""
        shape = write.reader.shape(tensor)
        if shape is None:
            raise self.error(f"the shape of its input '{tensor}' is not known", hint=FIXED_HINT)
        if len(shape) not in allowed:
            raise self.error(f"input '{tensor}' has shape {list(shape)}; expected {list(allowed)} axes")
        return len(shape)


FIXED_HINT = "Export the model with fixed sizes except for the batch."


# types and results


def as_float(write: GraphWriter, tensor: str) -> str:
    """The tensor in float32: the replacements compute in float32 whatever the plugin's input type."""
    if write.reader.elem_types.get(tensor, TensorProto.FLOAT) == TensorProto.FLOAT:
        return tensor
    return write.op("Cast", tensor, to=TensorProto.FLOAT)


def kind_of(write: GraphWriter, tensor: str) -> int:
    """ONNX element type of a plugin's floating-point input."""
    return write.reader.elem_types.get(tensor, TensorProto.FLOAT) or TensorProto.FLOAT


def give(write: GraphWriter, tensor: str, name: str, kind: int = TensorProto.FLOAT) -> None:
    """Make `tensor` the node's output `name`, in type `kind`."""
    if name:
        write.rename(write.op("Cast", tensor, to=kind), name)


# shapes


def sizes(write: GraphWriter, *parts: Size) -> str:
    """A shape as a tensor."""
    if all(isinstance(part, int) for part in parts):
        return write.constant(list(parts))
    return write.op("Concat", *(part if isinstance(part, str) else write.constant([part]) for part in parts), axis=0)


def full(write: GraphWriter, value: Any, dtype: Any, *parts: Size) -> str:
    """A tensor of one value."""
    return write.op("Expand", write.constant(value, dtype), sizes(write, *parts))


def count_up(write: GraphWriter, size: Size) -> str:
    """0, 1, ... size - 1 as int64 [size, 1]."""
    if isinstance(size, int):
        return write.constant(np.arange(size)[:, None])
    stop = write.op("Reshape", size, write.constant([], np.int64))
    numbers = write.op("Range", write.constant(0), stop, write.constant(1))
    return write.reshape(numbers, [-1, 1])


# arithmetic


def chain(write: GraphWriter, op_type: str, first: str, *others: str | float) -> str:
    """first op second op third ...; numbers become float32 constants."""
    for other in others:
        operand = other if isinstance(other, str) else write.constant(other, np.float32)
        first = write.op(op_type, first, operand)
    return first


def clamp(write: GraphWriter, tensor: str, low: float, high: float) -> str:
    """Values held between low and high."""
    return write.op("Clip", tensor, write.constant(low, np.float32), write.constant(high, np.float32))


def at_least(write: GraphWriter, left: str, right: str) -> str:
    """left >= right."""
    if write.reader.opset >= 12:
        return write.op("GreaterOrEqual", left, right)
    return write.op("Not", write.op("Less", left, right))


# choosing rows


def take_rows(write: GraphWriter, table: str, index: str, batch: Size, rows: int, width: int, count: int) -> str:
    """Rows of a table that every picture has its own of.

    Args:
        table: [batch, rows, width] in any shape of that order.
        index: int64 [batch, count], row numbers within the picture.

    Returns:
        [batch, count, width]
    """
    flat = write.reshape(table, [-1, width])
    if batch != 1:
        index = write.op("Add", index, write.op("Mul", count_up(write, batch), write.constant(rows)))
    return write.reshape(write.op("Gather", flat, index, axis=0), [-1, count, width])


def take(write: GraphWriter, values: str, index: str) -> str:
    """values [batch, n] at index [batch, m]."""
    return write.op("GatherElements", values, index, axis=1)


def best(write: GraphWriter, scores: str, count: int, rows: int) -> tuple[str, str]:
    """The `count` largest of each row, in descending order; of equal ones the first.

    Args:
        scores: float32 [n, rows], above `LOWEST`. Beyond `TOPK_LIMIT` it takes several rounds, each over what is left.

    Returns:
        Values and int64 positions, both [n, min(count, rows)].
    """
    count = min(count, rows)
    values, places = [], []
    while count:
        part = min(count, TOPK_LIMIT)
        top, place = write.ops("TopK", 2, scores, write.constant([part]), axis=1, largest=1, sorted=1)
        values.append(top)
        places.append(place)
        count -= part
        if count:
            gone = chain(write, "Add", chain(write, "Mul", top, 0.0), LOWEST)
            scores = write.op("ScatterElements", scores, place, gone, axis=1)
    if len(values) == 1:
        return values[0], places[0]
    return write.op("Concat", *values, axis=1), write.op("Concat", *places, axis=1)


# loops


@dataclass(frozen=True, slots=True)
class State:
    """A value that a loop carries.

    Attributes:
        start: name of its value before the first turn.
        kind: ONNX element type.
        shape: sizes, None where open.
    """

    start: str
    kind: int
    shape: tuple[int | None, ...]


Step = Callable[[GraphWriter, str, list[str]], tuple[str | None, list[str]]]
"""(writer of the body, turn number as an int64 scalar, states) -> (whether to go on, or None; new states)."""


def loop(write: GraphWriter, turns: int | str, states: Sequence[State], step: Step) -> list[str]:
    """Run `step` at most `turns` times (a number, or the name of an int64 scalar); returns the final states."""
    body = write.body()
    turn, go_on = body.name("turn"), body.name("go_on")
    before = [body.name("state") for _ in states]
    wanted, after = step(body, turn, before)
    after = [body.op("Identity", name) for name in after]
    wanted = body.op("Identity", wanted or go_on)
    declare = helper.make_tensor_value_info
    graph = helper.make_graph(
        body.nodes,
        "body",
        [
            declare(turn, TensorProto.INT64, []),
            declare(go_on, TensorProto.BOOL, []),
            *(declare(name, state.kind, state.shape) for name, state in zip(before, states, strict=True)),
        ],
        [
            declare(wanted, TensorProto.BOOL, []),
            *(declare(name, state.kind, state.shape) for name, state in zip(after, states, strict=True)),
        ],
    )
    limit = write.constant(turns) if isinstance(turns, int) else turns
    start = write.constant(True, np.bool_)
    return write.ops("Loop", len(states), limit, start, *(state.start for state in states), body=graph)


def with_all_read(write: GraphWriter, result: str, unread: Sequence[str], kind: int) -> str:
    """`result` of a loop, unchanged, in a form that depends on the loop's other final states too.

    TensorRT RTX 1.7 runs out of memory or crashes, now and then, when it compiles a loop whose final states are not all
    read.
    """
    for state in unread:
        most = write.op("ReduceMax", write.op("Cast", state, to=TensorProto.FLOAT), keepdims=0)
        nothing = write.op("Cast", chain(write, "Mul", most, 0.0), to=kind)
        result = write.op("Add", result, nothing)
    return result
