# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Activation functions that are gates: a value times a function of itself, as in swish, hard-swish, GELU and Mish.

Their steps need more than eight bits: the product spans a wide range, most of it is near zero, and scales and shifts by
constants around it (of batch normalisation, of re-parametrised blocks) span another. TensorRT's calibrator gives each
step a range, and the builder may store any of them as INT8; benchmarks/int8_places.py shows what that costs text
recognition. What a gate gives may be INT8 where a convolution or a linear layer takes it as INT8 anyway. Our own Q/DQ
pairs (graph.quantise) never stand inside one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import onnx

from nvidia_tao_deploy.errors import BuildError
from nvidia_tao_deploy.graph.quantise import FLOATS, activations, needed, same_values

POINTWISE = frozenset(
    {
        "Abs", "Add", "Clip", "Div", "Elu", "Erf", "Exp", "HardSigmoid", "LeakyRelu", "Log", "Max", "Min", "Mul", "Neg",
        "Pow", "PRelu", "Reciprocal", "Relu", "Sigmoid", "Softplus", "Sub", "Sum", "Tanh",
    }
)  # fmt: skip
"""Operators that compute each element by itself."""

COPIES = frozenset({"Cast", "Identity"})
"""Operators that give the very values of their operand, where both are floats."""

WHOLE = frozenset({"Gelu", "HardSwish", "Mish", "Swish"})
"""Operators that are gates by themselves."""

SCALING = frozenset({"Add", "BatchNormalization", "Div", "Mul", "Sub"})
"""Operators that TensorRT may draw into the convolution or linear layer before them, where the rest is constant."""

LONGEST = 16
"""Operators between a gate's input and its product; GELU by tanh has eight."""


@dataclass(frozen=True, slots=True)
class Gates:
    """Names of values: a node may become several layers of TensorRT's, but the last of them gives the node's value.

    Attributes:
        sources: what enters a gate, and the layer's result that this scales or shifts: not to be stored as INT8,
            whatever computes it.
        inside: what nodes of gates give, and the scales and shifts by constants that follow: not to be computed in
            INT8.
        ends: those of `inside` that may be stored as INT8: a quantised layer takes them so.
    """

    sources: frozenset[str] = frozenset()
    inside: frozenset[str] = frozenset()
    ends: frozenset[str] = frozenset()


def find(model: onnx.ModelProto) -> Gates:
    """All gates of a float32 or float16 model, with shapes that can be inferred; none is no error."""
    return _Finder(model).run()


class _Finder:
    def __init__(self, model: onnx.ModelProto) -> None:
        self.nodes = list(model.graph.node)
        self.moving = set(activations(model, FLOATS))
        self.makers = {name: node for node in self.nodes for name in node.output}
        self.takers: dict[str, list[onnx.NodeProto]] = {}
        for node in self.nodes:
            for name in set(node.input):
                self.takers.setdefault(name, []).append(node)
        self.uses = Counter(name for node in self.nodes for name in node.input)
        self.uses.update(value.name for value in model.graph.output)
        self.quantised = _enters_quantised(model)

    def run(self) -> Gates:
        sources: set[str] = set()
        inside: set[str] = set()
        ends: set[str] = set()
        for node in self.nodes:
            found = self._gate(node)
            if found is None:
                continue
            entry, steps = found
            steps = [*steps, node, *self._tail(node)]
            inside.update(step.output[0] for step in steps)
            if steps[-1].output[0] in self.quantised:
                ends.add(steps[-1].output[0])
            sources.update(self._sources(entry))
        return Gates(frozenset(sources - inside), frozenset(inside), frozenset(ends - sources))

    def _gate(self, node: onnx.NodeProto) -> tuple[str, list[onnx.NodeProto]] | None:
        """What enters the gate that ends in this node, and the nodes between; None where it ends none."""
        operands = self._operands(node)
        if node.op_type in WHOLE and len(operands) == 1:
            return operands[0], []
        if node.op_type not in ("Mul", "Div") or len(set(operands)) != 2:
            return None
        for entry in self._line(operands[0]):
            first, second = (self._between(entry, operand) for operand in operands)
            if first is None or second is None:
                continue
            if _is_gate_by_division(first, second) if node.op_type == "Div" else _computes(first + second):
                return entry, first + second
        return None

    def _operands(self, node: onnx.NodeProto) -> list[str]:
        return [name for name in node.input if name in self.moving]

    def _line(self, name: str) -> Iterator[str]:
        """The value, what it is a pointwise function of, and so on."""
        for _ in range(LONGEST):
            yield name
            maker = self.makers.get(name)
            if maker is None or not self._is_step(maker) or len(operands := self._operands(maker)) != 1:
                return
            name = operands[0]

    def _between(self, entry: str, name: str) -> list[onnx.NodeProto] | None:
        """Nodes that compute `name` of `entry` alone, element by element; None where others take part."""
        steps: dict[str, onnx.NodeProto] = {}
        open_names = [name]
        while open_names:
            name = open_names.pop()
            if name == entry or name in steps:
                continue
            maker = self.makers.get(name)
            if maker is None or not self._is_step(maker) or len(steps) == LONGEST:
                return None
            steps[name] = maker
            open_names += self._operands(maker)
        return list(steps.values())

    def _is_step(self, node: onnx.NodeProto) -> bool:
        """Not a Cast of integers or truth values: those are no function of what enters."""
        return node.op_type in POINTWISE or (node.op_type in COPIES and node.input[0] in self.moving)

    def _sources(self, entry: str) -> Iterator[str]:
        """A value, and what it scales or shifts by constants; not the model's inputs, which no layer makes."""
        while (maker := self.makers.get(entry)) is not None:
            yield entry
            operands = self._operands(maker)
            if maker.op_type not in SCALING | COPIES or len(operands) != 1 or self.uses[operands[0]] != 1:
                return
            entry = operands[0]

    def _tail(self, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        """Steps behind a gate that nothing else takes part in, or looks into."""
        while self.uses[node.output[0]] == 1 and (takers := self.takers.get(node.output[0])):
            node = takers[0]
            if node.op_type not in POINTWISE or len(self._operands(node)) != 1:
                return
            yield node


def _computes(steps: list[onnx.NodeProto]) -> bool:
    """Otherwise the product is a square."""
    return any(step.op_type not in COPIES for step in steps)


def _is_gate_by_division(above: list[onnx.NodeProto], below: list[onnx.NodeProto]) -> bool:
    """x / (1 + exp(-x)); neither exp(x) / (1 + exp(x)), which is a sigmoid, nor a normalisation."""
    return all(step.op_type in SCALING | COPIES for step in above) and any(step.op_type == "Exp" for step in below)


def _enters_quantised(model: onnx.ModelProto) -> set[str]:
    """Values that convolutions and linear layers take as INT8, where need be after they were moved."""
    try:
        names = needed(model)
    except BuildError:  # nothing in the model can be
        return set()
    origin = same_values(model)
    return {*names, *(origin[name] for name in names if name in origin)}
