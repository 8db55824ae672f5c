# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Explicit INT8 and FP8: ranges become QuantizeLinear/DequantizeLinear pairs (Q/DQ) in the graph.

What is quantised: the activations that enter Conv, ConvTranspose, Gemm and MatMul with constant weights, and those
weights; and where a convolution's result is added to another branch, that branch, so that TensorRT can fuse the sum
into the convolution. Nothing else: what feeds Softmax, normalisation or a box decoder stays as it was, and products of
two activations (attention) lose more accuracy than they gain speed.

Scheme: symmetric, zero point 0. Activations have one scale per tensor, amax / 127; weights one per output channel,
largest magnitude / 127. Biases stay in floating point. FP8 (E4M3) divides by 448 in place of 127.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from nvidia_tao_deploy.engine.contract import LayerPrecision
from nvidia_tao_deploy.errors import BuildError
from nvidia_tao_deploy.graph import layers
from nvidia_tao_deploy.graph.editing import FLOAT32_ONLY, GraphReader, attributes, drop_unused_constants
from nvidia_tao_deploy.graph.layers import label
from nvidia_tao_deploy.graph.model import check, first_line, is_quantised, is_standard, raise_opset
from nvidia_tao_deploy.graph.order import read_by

WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
"""Operators that are quantised: operand 0 is an activation, operand 1 the weights."""

ADDED_TO = ("Conv", "ConvTranspose")
"""Operators that TensorRT fuses with an Add of another branch."""

MOVES = frozenset(
    {"Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout", "DepthToSpace", "SpaceToDepth"}
)
"""Operators whose first output holds the very values of their first operand."""

FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16)
"""Types of activations to which TensorRT's calibrator gives ranges."""

SIZES = frozenset({"Shape", "Size", "ConstantOfShape", "Range"})
"""Operators whose results are no activations although they depend on the model's inputs."""

SCALE_FLOOR = 2.0**-20
"""Least scale: below it float16, in which the scales may end up, has too few bits. A channel of zeros takes it too."""


@dataclass(frozen=True, slots=True)
class Format:
    """A type to quantise to.

    Attributes:
        name: "int8" or "fp8".
        type: ONNX element type.
        largest: magnitude that amax is mapped to.
        opset: oldest operator set whose Q/DQ have the type.
    """

    name: str
    type: int
    largest: float
    opset: int


INT8 = Format("int8", TensorProto.INT8, 127.0, 13)
FP8 = Format("fp8", TensorProto.FLOAT8E4M3FN, 448.0, 19)
FORMATS = {"int8": INT8, "fp8": FP8}


@dataclass(slots=True)
class Report:
    """What `quantise` did.

    Attributes:
        quantised: names of the nodes that compute on quantised operands.
        kept: names of nodes that could have been quantised -> why they were not.
        missing: activations without a range.
    """

    quantised: list[str] = field(default_factory=list)
    kept: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)


def same_values(model: onnx.ModelProto) -> dict[str, str]:
    """Output of an operator that only moves values -> the value that they come from."""
    origin: dict[str, str] = {}
    for node in model.graph.node:
        if node.op_type in MOVES and is_standard(node) and node.input:
            origin[node.output[0]] = origin.get(node.input[0], node.input[0])
    return origin


def activations(model: onnx.ModelProto, types: Collection[int] = (TensorProto.FLOAT,)) -> list[str]:
    """Every float32 value (or of the `types` given) that depends on the model's inputs, the inputs included, in graph
    order."""
    return _activations(GraphReader(model), types)


def _activations(reader: GraphReader, types: Collection[int] = (TensorProto.FLOAT,)) -> list[str]:
    graph = reader.model.graph
    constants = {tensor.name for tensor in graph.initializer}
    moving = [value.name for value in graph.input if value.name not in constants]
    known = set(moving)
    for node in graph.node:
        operands = node.input[:1] if node.op_type == "CastLike" else node.input  # its second only gives a type
        if node.op_type in SIZES or not any(name in known for name in operands):
            continue
        for name in node.output:
            if name:
                known.add(name)
                moving.append(name)
    return [name for name in moving if reader.elem_types.get(name) in types]


def needed(model: onnx.ModelProto, to: Format = INT8) -> list[str]:
    """Activations whose ranges `quantise` uses. Raises BuildError when nothing in the model can be quantised."""
    quantiser = _Quantiser(model, {}, to, True, {})
    return list(dict.fromkeys(name for _, name in quantiser.places(quantiser.possible())))


def quantise(
    model: onnx.ModelProto,
    amax: Mapping[str, float],
    to: Format = INT8,
    rules: Sequence[LayerPrecision] = (),
    float_weights: bool = True,
    keep: Collection[str] = (),
) -> tuple[onnx.ModelProto, Report]:
    """Put Q/DQ pairs into a float32 graph.

    Args:
        model: not changed; without Q/DQ nodes.
        amax: largest magnitude to cover, by activation; an activation without one, or with 0, is left alone.
        to: INT8 or FP8.
        rules: `layers_precision`: nodes given another type than `to` are left alone.
        float_weights: keep the weights in float32 behind a Q/DQ pair (TensorRT 8.5's parser takes no others);
            otherwise they are stored quantised, a quarter of the size.
        keep: names of further nodes to leave alone.

    Raises:
        BuildError: the model is quantised already, nothing in it can be quantised, a rule fits no layer, or the result
            is not valid.
    """
    if is_quantised(model):
        raise BuildError("the model carries Q/DQ nodes already: it is built as it is, without calibration")
    source = raise_opset(model, to.opset, to.name.upper())
    copy = onnx.ModelProto()
    copy.CopyFrom(source)
    asked = layers.match(rules, [label(node) for node in copy.graph.node]) if rules else {}
    foreign = sorted({dtype for dtype in asked.values() if dtype in FORMATS} - {to.name})
    if foreign:
        raise BuildError(
            f"{layers.KEY}: {foreign[0]} cannot be set for single layers of an {to.name.upper()} engine; "
            "possible: fp32, fp16"
        )
    asked.update(dict.fromkeys(keep, "float"))
    quantiser = _Quantiser(copy, amax, to, float_weights, asked)
    report = quantiser.run()
    try:
        check(copy)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise BuildError(f"not valid after quantising to {to.name.upper()}: {first_line(error)}") from None
    return copy, report


class _Quantiser:
    """One pass over a graph, in place."""

    def __init__(
        self,
        model: onnx.ModelProto,
        amax: Mapping[str, float],
        to: Format,
        float_weights: bool,
        asked: Mapping[str, str],
    ) -> None:
        self.model, self.to, self.asked = model, to, asked
        self.float_weights = float_weights
        self.reader = GraphReader(model)
        origin = same_values(model)
        self.amax = {name: amax.get(name, amax.get(origin.get(name, name), 0.0)) for name in self.reader.elem_types}
        self.known = {name for name in self.amax if name in amax or origin.get(name) in amax}
        self.moving = set(_activations(self.reader))
        self.consumers = Counter(name for node in model.graph.node for name in node.input)
        self.results = {value.name for value in model.graph.output}
        self.constants = {tensor.name: tensor for tensor in model.graph.initializer}
        self.computed: dict[str, TensorProto | None] = {}  # constants that nodes give: Constant, a transposed weight
        self.pairs: dict[str, list[onnx.NodeProto]] = {}  # quantised value -> its Q/DQ nodes
        self.weights: dict[tuple[str, int | None], str] = {}
        self.weight_nodes: list[onnx.NodeProto] = []
        self.new_constants: list[TensorProto] = []

    # what

    def candidates(self) -> list[onnx.NodeProto]:
        """Nodes with an activation and constant weights."""
        return [node for node in self.model.graph.node if self._can(node)]

    def possible(self) -> list[onnx.NodeProto]:
        """`candidates`; raises BuildError when there is none."""
        found = self.candidates()
        if not found:
            raise BuildError(
                f"nothing in the model can be quantised to {self.to.name.upper()}: it has no "
                f"{', '.join(WEIGHTED)} with constant float32 weights",
                hint="Build it as FP16 or FP32; a model that is FP16 already must be exported again as FP32.",
            )
        return found

    def _can(self, node: onnx.NodeProto) -> bool:
        if node.op_type not in WEIGHTED or not is_standard(node) or len(node.input) < 2:
            return False
        if node.doc_string == FLOAT32_ONLY:
            return False
        weights = self._constant(node.input[1])
        return (
            node.input[0] in self.moving
            and weights is not None
            and weights.data_type == TensorProto.FLOAT
            and len(weights.dims) >= 2
        )

    def _constant(self, name: str) -> TensorProto | None:
        if name in self.constants:
            return self.constants[name]
        if name not in self.computed:
            value = self.reader.constant(name) if name and name not in self.moving else None
            self.computed[name] = None if value is None else numpy_helper.from_array(np.ascontiguousarray(value), name)
        return self.computed[name]

    def places(self, nodes: Sequence[onnx.NodeProto]) -> list[tuple[tuple[onnx.NodeProto, int], str]]:
        """((node, operand), activation) that get a Q/DQ pair when `nodes` are quantised."""
        found = [((node, 0), node.input[0]) for node in nodes]
        convolutions = {node.output[0] for node in nodes if node.op_type in ADDED_TO}
        for node in self.model.graph.node:
            branch = self._other_branch(node, convolutions)
            if branch is not None:
                found.append(((node, branch), node.input[branch]))
        return found

    def _other_branch(self, node: onnx.NodeProto, convolutions: set[str]) -> int | None:
        """Of an Add of a convolution and another activation that no rule keeps in floating point: the operand that is
        not fused with the sum."""
        if node.op_type != "Add" or not all(name in self.moving for name in node.input):
            return None
        if node.doc_string == FLOAT32_ONLY or self.asked.get(label(node), self.to.name) != self.to.name:
            return None
        fused = [
            index
            for index, name in enumerate(node.input)
            if name in convolutions and self.consumers[name] == 1 and name not in self.results
        ]
        return 1 - fused[0] if fused and node.input[0] != node.input[1] else None

    # how

    def run(self) -> Report:
        report = Report()
        possible = self.possible()
        chosen = [node for node in possible if self._choose(node, report)]
        report.quantised = [label(node) for node in chosen]
        if not chosen:
            reasons = "; ".join(f"{name}: {why}" for name, why in list(report.kept.items())[:3])
            raise BuildError(f"no layer can be quantised to {self.to.name.upper()}: {reasons}")
        for (node, operand), name in self.places(chosen):
            if self.amax.get(name, 0.0) > 0.0:  # an Add's branch may lack one; then it stays as it was
                node.input[operand] = self._activation(name)
        for node in chosen:
            node.input[1] = self._weight(node)
        self._write()
        return report

    def _choose(self, node: onnx.NodeProto, report: Report) -> bool:
        name = node.input[0]
        dtype = self.asked.get(label(node), self.to.name)
        if dtype != self.to.name:
            report.kept[label(node)] = f"{dtype} by layers_precision"
        elif name not in self.known:
            report.kept[label(node)] = f"no range for '{name}'"
            report.missing.append(name)
        elif self.amax[name] <= 0.0:
            report.kept[label(node)] = f"'{name}' is always zero"
        elif not np.all(np.isfinite(self._values(node.input[1]))):
            report.kept[label(node)] = "its weights hold NaN or infinity"
        else:
            return True
        return False

    def _activation(self, name: str) -> str:
        if name not in self.pairs:
            scale = max(self.amax[name] / self.to.largest, SCALE_FLOOR)
            self.pairs[name] = self._pair(name, np.asarray(scale, np.float32), None)
        return self.pairs[name][-1].output[0]

    def _weight(self, node: onnx.NodeProto) -> str:
        axis = self._channel_axis(node)
        key = (node.input[1], axis)
        if key not in self.weights:
            self.weights[key] = self._quantised_weight(node.input[1], axis)
        return self.weights[key]

    def _channel_axis(self, node: onnx.NodeProto) -> int | None:
        """Axis of the output channels in the weights; None where one scale serves all."""
        options = attributes(node)
        if self.to is FP8:  # TensorRT's FP8 kernels take one scale per tensor
            return None
        if node.op_type == "Conv":
            return 0
        if node.op_type == "ConvTranspose":  # (in, out / groups, ...): with groups, a channel is not one slice
            return 1 if options.get("group", 1) == 1 else None
        if node.op_type == "Gemm":
            return 0 if options.get("transB", 0) else 1
        return 1 if self._values(node.input[1]).ndim == 2 else None

    def _values(self, name: str) -> np.ndarray:
        tensor = self._constant(name)
        assert tensor is not None
        return numpy_helper.to_array(tensor)

    def _quantised_weight(self, name: str, axis: int | None) -> str:
        values = self._values(name)
        others = None if axis is None else tuple(index for index in range(values.ndim) if index != axis)
        scale = np.maximum(np.max(np.abs(values), axis=others) / self.to.largest, SCALE_FLOOR).astype(np.float32)
        suffix = "" if axis is None else f"__axis{axis}"
        if self.float_weights or self.to is not INT8:
            nodes = self._pair(name, scale, axis, suffix, self._stored(name))
            self.weight_nodes.extend(nodes)
            return nodes[-1].output[0]
        shape = [-1 if index == axis else 1 for index in range(values.ndim)] if axis is not None else []
        stored = np.clip(np.rint(values / scale.reshape(shape)), -127, 127).astype(np.int8)
        target = f"{name}{suffix}__int8"
        self.new_constants.append(numpy_helper.from_array(stored, target))
        operands = self._scale(f"{name}{suffix}", scale)
        node = self._node("DequantizeLinear", target, f"{name}{suffix}__dq", operands, axis)
        self.weight_nodes.append(node)
        return str(node.output[0])

    def _stored(self, name: str) -> str:
        """The initialiser that holds these weights; a new one where nodes compute them, for those may come later."""
        if name in self.constants:
            return name
        stored = f"{name}__value"
        if stored not in self.constants:
            tensor = TensorProto()
            tensor.CopyFrom(self.computed[name])
            tensor.name = stored
            self.constants[stored] = tensor
            self.new_constants.append(tensor)
        return stored

    def _pair(
        self, name: str, scale: np.ndarray, axis: int | None, suffix: str = "", source: str = ""
    ) -> list[onnx.NodeProto]:
        operands = self._scale(f"{name}{suffix}", scale)
        q, dq = f"{name}{suffix}__q", f"{name}{suffix}__dq"
        return [
            self._node("QuantizeLinear", source or name, q, operands, axis),
            self._node("DequantizeLinear", q, dq, operands, axis),
        ]

    @staticmethod
    def _node(op: str, source: str, target: str, operands: list[str], axis: int | None) -> onnx.NodeProto:
        options: dict[str, Any] = {} if axis is None else {"axis": axis}
        return helper.make_node(op, [source, *operands], [target], name=f"{target}/{op}", **options)

    def _scale(self, prefix: str, scale: np.ndarray) -> list[str]:
        """Names of new constants: scale and zero point."""
        names = [f"{prefix}__scale", f"{prefix}__zero_point"]
        shape = list(np.shape(scale))
        self.new_constants.append(numpy_helper.from_array(np.asarray(scale, np.float32), names[0]))
        zeros = bytes(max(1, int(np.prod(shape, dtype=np.int64))))
        self.new_constants.append(helper.make_tensor(names[1], self.to.type, shape, zeros, raw=True))
        return names

    def _write(self) -> None:
        """Put each pair behind what makes its value, the weights' in front, and drop constants that nobody reads."""
        graph = self.model.graph
        constants_inside = [node for node in graph.node if node.op_type == "Constant"]
        rest = [node for node in graph.node if node.op_type != "Constant"]
        nodes = [*constants_inside, *self.weight_nodes]
        nodes.extend(new for value in graph.input for new in self.pairs.get(value.name, ()))
        for node in rest:
            nodes.append(node)
            nodes.extend(new for name in node.output for new in self.pairs.get(name, ()))
        nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]  # `del` below frees the old
        del graph.node[:]
        graph.node.extend(nodes)
        graph.initializer.extend(self.new_constants)
        drop_unused_constants(graph, self._without_unused_weights())

    def _without_unused_weights(self) -> set[str]:
        """Drop nodes that computed nothing but weights which are stored quantised now; returns the names in use."""
        graph = self.model.graph
        uses = Counter(name for node in graph.node for name in read_by(node))
        uses.update(self.results)
        weights = {name for name, value in self.computed.items() if value is not None}
        for index in reversed(range(len(graph.node))):  # a node stands in front of those that read it
            node = graph.node[index]
            if weights.isdisjoint(node.output) or any(uses[name] for name in node.output if name):
                continue
            uses.subtract(node.input)
            weights.update(node.input)
            del graph.node[index]
        return {name for name, count in uses.items() if count}
