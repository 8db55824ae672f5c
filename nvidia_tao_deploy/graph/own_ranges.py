# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Models that carry Q/DQ nodes already (quantisation-aware training, or quantised by another tool).

TensorRT reads symmetric Q/DQ only: INT8 with zero point 0 (and FP8). ONNX Runtime's quantiser writes others by default:
UINT8, zero points, and biases as INT32 behind a DequantizeLinear; `symmetric` writes those as TensorRT can read them.
`released` takes layers that `layers_precision` names out of their pairs, on every backend.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from nvidia_tao_deploy.engine.contract import LayerPrecision
from nvidia_tao_deploy.errors import BuildError
from nvidia_tao_deploy.graph import layers
from nvidia_tao_deploy.graph.editing import GraphReader, attributes, constant_value, drop_unused_constants
from nvidia_tao_deploy.graph.layers import label
from nvidia_tao_deploy.graph.model import QUANTISATION_OPS, all_nodes, first_line, raise_opset
from nvidia_tao_deploy.graph.order import read_by

logger = logging.getLogger(__name__)

Q, DQ = "QuantizeLinear", "DequantizeLinear"
_DOMAINS = ("", "ai.onnx", "com.microsoft")
_LEAST: dict[int, int] = {TensorProto.INT8: -128, TensorProto.UINT8: 0}
"""Types of eight bits -> least stored value; the largest is 255 above it."""
_FLOAT_TYPES = ("fp32", "fp16", "bf16")
_RANGE = "/range"
"""Ends the names of new nodes that keep values within a range."""
_TOLERANCE = 3.0
"""Steps by which a range's end may move before a Clip has to keep it where it was."""


@dataclass(frozen=True, slots=True)
class Scheme:
    """What a Q or DQ node computes with: real value = (stored value - zero) * scale.

    Attributes:
        type: ONNX type of the stored values.
        scale: positive floats: of rank 0, or one per slice along `axis`.
        zero: int32, of the same shape.
        axis: of `scale`; None where one scale serves all.
    """

    type: int
    scale: np.ndarray
    zero: np.ndarray
    axis: int | None

    @property
    def is_symmetric(self) -> bool:
        """Whether zero point 0 stands in the middle of the type's values."""
        return self.type != TensorProto.UINT8 and not self.zero.any()

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Least and largest real value that INT8 or UINT8 can hold."""
        least = _LEAST[self.type]
        return (least - self.zero) * self.scale, (least + 255 - self.zero) * self.scale

    def along(self, rank: int) -> tuple[np.ndarray, np.ndarray]:
        """Scale and zero point in a shape that goes with a tensor of this rank."""
        if self.axis is None:
            return self.scale, self.zero
        shape = [1] * rank
        shape[self.axis] = -1
        return self.scale.reshape(shape), self.zero.reshape(shape)

    def dequantised(self, stored: np.ndarray) -> np.ndarray:
        """Real values, in the scale's type."""
        scale, zero = self.along(stored.ndim)
        return ((stored.astype(np.int64) - zero) * scale.astype(np.float64)).astype(scale.dtype)

    def same(self, other: Scheme | None) -> bool:
        """Whether another node computes with the same numbers."""
        return (
            other is not None
            and (self.type, self.axis) == (other.type, other.axis)
            and np.array_equal(self.scale, other.scale)
            and np.array_equal(self.zero, other.zero)
        )


def released(
    model: onnx.ModelProto, rules: Sequence[LayerPrecision]
) -> tuple[onnx.ModelProto, tuple[LayerPrecision, ...]]:
    """Take the nodes that a user's rule keeps in floating point out of the model's Q/DQ pairs.

    Their operands come from in front of the pairs (weights that are stored quantised become floats); what they give is
    quantised for its readers as before, but not for the model's outputs. A range that cuts values off on one side (as
    where a ReLU was merged into it) still does.

    Returns:
        The model, the same object where no rule changes it, and the rules that are left: without those about pairs that
        are gone, and without those that ask for INT8, of which the model's own pairs decide.

    Raises:
        BuildError: the model is not valid.
    """
    own = tuple(rule for rule in rules if rule.dtype != "int8" or rule.optional)
    if len(own) < len(rules):
        logger.warning("%s: ':int8' has no effect: the model's own Q/DQ nodes say which layers are INT8", layers.KEY)
    wanted = [replace(rule, optional=True) for rule in rules if not rule.optional]  # whoever applies them complains
    if not any(rule.dtype in _FLOAT_TYPES for rule in wanted):
        return model, own
    pairs = _Pairs(model)
    asked = layers.match(wanted, _labels(pairs.model))
    names = {name for name, dtype in asked.items() if dtype in _FLOAT_TYPES}
    named = [node for node in pairs.graph.node if label(node) in names and not _is_pair(node)]
    count = sum([pairs.release(node) | pairs.release_results(node) for node in named])
    if not count:
        return model, own
    gone = pairs.finish()
    logger.info("layers_precision: %d layers taken out of the model's own Q/DQ pairs", count)
    return pairs.model, layers.remaining(own, gone, _labels(pairs.model))


def advice(model: onnx.ModelProto) -> str | None:
    """What to do about a quantised model that TensorRT cannot read; None where it should be able to."""
    found = Counter(node.op_type for node in all_nodes(model.graph) if node.op_type in QUANTISATION_OPS - {Q, DQ})
    wide = {TensorProto.INT16, TensorProto.UINT16} & {tensor.data_type for tensor in model.graph.initializer}
    if found:
        why = f"TensorRT does not compute on integers ({', '.join(f'{op} x {n}' for op, n in found.most_common(3))})"
    elif wide and any(_is_pair(node) for node in model.graph.node):
        why = "TensorRT has no ranges of 16 bits"
    else:
        return None
    return (
        f"{why}: quantise to INT8 with QuantizeLinear/DequantizeLinear pairs around float operators (in ONNX Runtime: "
        "quantize_static with quant_format=QuantFormat.QDQ), or give the float model and let it be calibrated here."
    )


def symmetric(model: onnx.ModelProto, float_weights: bool) -> onnx.ModelProto:
    """The model with Q/DQ pairs as TensorRT reads them; the same object where they are so already.

    * Biases behind a DequantizeLinear become floats.
    * Weights that are stored quantised with a zero point or as UINT8, or all of them where `float_weights` says so,
      become floats behind a pair; those of symmetric INT8 keep their values and scales.
    * Activations with a zero point or of UINT8 get the smallest symmetric INT8 range that covers theirs: up to one bit
      less. Where that range reaches further on one side, a Relu or Clip keeps cutting values off where the old did.

    Pairs of other types, with scales that are computed, or with one scale per channel of an activation stay as they
    are.

    Args:
        float_weights: for parsers that take no weights stored as INT8 (TensorRT 8.5).

    Raises:
        BuildError: the model is not valid.
    """
    pairs = _Pairs(model)
    constants = sum([pairs.constant(node, float_weights) for node in list(pairs.graph.node) if _is(node, DQ)])
    widened = sum([pairs.widen(node) for node in list(pairs.graph.node) if _is(node, Q)])
    if not constants + widened:
        return model
    pairs.finish()
    if constants:
        logger.info("%d quantised weights and biases of the model written as floats for TensorRT", constants)
    if widened:
        logger.warning(
            "%d ranges of the model have a zero point or are UINT8, and TensorRT has symmetric INT8 only: they are "
            "widened, which costs up to one bit. gen_trt_engine.verify=true shows what that does. Better: quantise "
            "with symmetric INT8 (in ONNX Runtime: activation_type=QInt8, ActivationSymmetric=True), or give the float "
            "model and let it be calibrated here", widened,
        )  # fmt: skip
    return pairs.model


def _labels(model: onnx.ModelProto) -> list[str]:
    return [label(node) for node in model.graph.node]


def _is(node: onnx.NodeProto, op: str) -> bool:
    return node.op_type == op and node.domain in _DOMAINS


def _is_pair(node: onnx.NodeProto) -> bool:
    return _is(node, Q) or _is(node, DQ)


class _Pairs:
    """A copy of a model whose Q/DQ pairs are changed; `finish` writes it."""

    def __init__(self, model: onnx.ModelProto) -> None:
        source = raise_opset(model, 11, "Q/DQ nodes with Clip")  # the first whose bounds are operands
        self.model = onnx.ModelProto()
        self.model.CopyFrom(source)
        self.graph = self.model.graph
        try:
            self.reader = GraphReader(source)
        except onnx.shape_inference.InferenceError as error:
            raise BuildError(f"the model is not valid: {first_line(error)}") from None
        self.producers = {name: node for node in self.graph.node for name in node.output if name}
        self.results = {value.name for value in self.graph.output}
        self.in_front: dict[str, list[onnx.NodeProto]] = {}  # result of a Q node -> new nodes
        self.floats: dict[str, str] = {}  # result of a DQ node -> the same values from in front of its pair
        self.new_constants: list[TensorProto] = []
        self.first: list[onnx.NodeProto] = []  # new nodes that read constants only
        self.retyped: set[str] = set()

    @cached_property
    def consumers(self) -> dict[str, list[onnx.NodeProto]]:
        found: dict[str, list[onnx.NodeProto]] = {}
        for node in all_nodes(self.graph):
            for name in node.input:
                found.setdefault(name, []).append(node)
        return found

    # questions

    def scheme(self, node: onnx.NodeProto) -> Scheme | None:
        """None where it is not known while building, or is none of the kind that `Scheme` describes."""
        options = attributes(node)
        scale = self.value(node.input[1])
        if scale is None or options.get("block_size", 0):
            return None
        if len(node.input) > 2 and node.input[2]:  # its type is known in ONNX Runtime's own domain too
            zero = self.value(node.input[2])
            kind = self.reader.elem_types.get(node.input[2], TensorProto.UNDEFINED)
        else:
            zero = np.zeros(scale.shape, np.int32)
            stored = node.output[0] if _is(node, Q) else node.input[0]
            kind = self.reader.elem_types.get(stored) or options.get("output_dtype", 0) or TensorProto.UINT8
        if zero is None or zero.size != scale.size or kind not in (*_LEAST, TensorProto.INT32):
            return None
        if scale.size == 1:
            return Scheme(kind, scale.reshape(()), zero.reshape(()).astype(np.int32), None)
        rank = len(self.reader.shape(node.input[0]) or ())
        axis = options.get("axis", 1)
        return Scheme(kind, scale, zero.astype(np.int32), axis % rank) if -rank <= axis < rank else None

    def value(self, name: str) -> np.ndarray | None:
        """A constant: an initialiser, or what a Constant node holds."""
        stored = self.reader.initialisers.get(name)
        if stored is None and name in self.producers:
            stored = constant_value(self.producers[name])
        return None if stored is None else numpy_helper.to_array(stored)

    def pair_of(self, node: onnx.NodeProto) -> onnx.NodeProto | None:
        """The Q node in front of a DQ node."""
        maker = self.producers.get(node.input[0])
        return maker if maker is not None and _is(maker, Q) else None

    # layers that leave their pairs

    def release(self, node: onnx.NodeProto) -> bool:
        """Let a node read from in front of its pairs. Returns whether it read from behind one."""
        changed = False
        for index, name in enumerate(node.input):
            source = self.float_of(name)
            if source != name:
                node.input[index] = source
                changed = True
        return changed

    def release_results(self, node: onnx.NodeProto) -> bool:
        """Let the model's outputs have what a node gives from in front of its pairs. Returns whether any did not."""
        pairs = [q for name in node.output for q in self.consumers.get(name, ()) if _is(q, Q)]
        changed = False
        for dq in [reader for q in pairs for reader in self.consumers.get(q.output[0], ()) if _is(reader, DQ)]:
            source = self.float_of(dq.output[0])
            if dq.output[0] in self.results and source != dq.output[0]:
                dq.CopyFrom(helper.make_node("Identity", [source], [dq.output[0]], name=label(dq)))
                changed = True
        return changed

    def float_of(self, name: str) -> str:
        """What holds the same values without being quantised; the name itself where nothing does."""
        if name in self.floats:
            return self.floats[name]
        self.floats[name] = name
        node = self.producers.get(name)
        if node is None or not _is(node, DQ):
            return name
        maker = self.pair_of(node)
        if maker is not None and self.reader.elem_types.get(maker.input[0]) == self.reader.elem_types.get(name):
            before = self.float_of(maker.input[0])
            self.floats[name] = self.cut_off(maker, before)
        elif maker is None:
            self.floats[name] = self.dequantised(node) or name
        return self.floats[name]

    def cut_off(self, maker: onnx.NodeProto, source: str) -> str:
        """`source`, cut off as a Q node of a lopsided range does."""
        scheme = self.scheme(maker)
        if scheme is None or scheme.is_symmetric or scheme.axis is not None:
            return source
        least, largest = (float(bound) for bound in scheme.bounds())
        if abs(least + largest) <= _TOLERANCE * float(scheme.scale):
            return source
        return self.clip(maker, source, least, largest, scheme.scale.dtype)

    def dequantised(self, node: onnx.NodeProto) -> str | None:
        """A new constant with what a DQ node makes of a stored one; None where it reads something else."""
        stored, scheme = self.value(node.input[0]), self.scheme(node)
        if stored is None or scheme is None:
            return None
        name = f"{node.output[0]}__float"
        self.new_constants.append(numpy_helper.from_array(scheme.dequantised(stored), name))
        return name

    # pairs that become symmetric

    def constant(self, node: onnx.NodeProto, float_weights: bool) -> bool:
        """Write a DQ node of a stored constant as TensorRT reads it. Returns whether anything changed."""
        if self.pair_of(node) is not None:
            return False
        scheme = self.scheme(node)
        if scheme is None or (scheme.is_symmetric and scheme.type == TensorProto.INT8 and not float_weights):
            return False
        name = self.dequantised(node)
        if name is None:
            return False
        if scheme.type == TensorProto.INT32:  # a bias: TensorRT adds it in floating point
            for reader in self.consumers.get(node.output[0], ()):
                for index, operand in enumerate(reader.input):
                    if operand == node.output[0]:
                        reader.input[index] = name
            return True
        values = numpy_helper.to_array(self.new_constants[-1])
        scale = scheme.scale if scheme.is_symmetric else self._covering(values, scheme)
        q = helper.make_node(Q, [name], [f"{name}__q"], name=f"{node.output[0]}/{Q}")
        self.first.append(q)
        node.input[0] = q.output[0]
        self._set(scale, scheme.axis, q, node)
        return True

    @staticmethod
    def _covering(values: np.ndarray, scheme: Scheme) -> np.ndarray:
        """The symmetric scale of weights: largest magnitude / 127, one where the old one is."""
        others = None if scheme.axis is None else tuple(i for i in range(values.ndim) if i != scheme.axis)
        scale = np.max(np.abs(values), axis=others).reshape(scheme.scale.shape) / 127
        return np.where(scale > 0, scale, scheme.scale).astype(scheme.scale.dtype)

    def widen(self, node: onnx.NodeProto) -> bool:
        """Give a Q node and the DQ nodes behind it a symmetric range that covers theirs. Returns whether it did."""
        scheme = self.scheme(node)
        behind = self.consumers.get(node.output[0], [])
        if scheme is None or scheme.is_symmetric or node.output[0] in self.results:
            return False
        if not all(_is(reader, DQ) and scheme.same(self.scheme(reader)) for reader in behind):
            return False
        stored = self.value(node.input[0])
        if stored is not None:
            scale = self._covering(stored, scheme)
        elif scheme.axis is None:
            scale = self._narrowed(node, scheme)
        else:
            return False
        self._set(scale, scheme.axis, node, *behind)
        return True

    def _narrowed(self, node: onnx.NodeProto, scheme: Scheme) -> np.ndarray:
        """The least scale of INT8 that covers an activation's range; what it covers beyond is cut off in front."""
        least, largest = (float(bound) for bound in scheme.bounds())
        step = max(-least / 128, largest / 127)
        margin = _TOLERANCE * float(scheme.scale)
        low = least if -128 * step < least - margin else None
        high = largest if 127 * step > largest + margin else None
        node.input[0] = self.clip(node, node.input[0], low, high, scheme.scale.dtype)
        return np.asarray(step, scheme.scale.dtype)

    def clip(
        self, node: onnx.NodeProto, source: str, least: float | None, largest: float | None, dtype: np.dtype
    ) -> str:
        """`source` between the bounds, by a new node in front of `node`; Relu where it does."""
        if least is None and largest is None:
            return source
        name = f"{node.output[0]}__range"
        new = helper.make_node("Relu", [source], [name], name=f"{label(node)}{_RANGE}")
        if least != 0 or largest is not None:
            bounds = [(f"{name}_{which}", bound) for which, bound in (("min", least), ("max", largest))]
            for key, bound in bounds:
                if bound is not None:
                    self.new_constants.append(numpy_helper.from_array(np.asarray(bound, dtype), key))
            operands = ["" if bound is None else key for key, bound in bounds]
            new = helper.make_node("Clip", [source, *operands], [name], name=new.name)
        self.in_front.setdefault(node.output[0], []).append(new)
        return name

    def _set(self, scale: np.ndarray, axis: int | None, *nodes: onnx.NodeProto) -> None:
        """Symmetric INT8 with this scale, for a Q node and those behind it."""
        names = [f"{nodes[0].output[0]}__{what}" for what in ("scale", "zero_point")]
        self.new_constants.append(numpy_helper.from_array(scale, names[0]))
        self.new_constants.append(numpy_helper.from_array(np.zeros(scale.shape, np.int8), names[1]))
        self.retyped.add(nodes[0].output[0])
        for node in nodes:
            node.input[:] = [node.input[0], *names]
            kept = [item for item in node.attribute if item.name not in ("output_dtype", "axis")]
            del node.attribute[:]
            node.attribute.extend(kept)
            if axis is not None:
                node.attribute.append(helper.make_attribute("axis", axis))

    # the result

    def finish(self) -> list[str]:
        """Write the graph; returns the names of the Q and DQ nodes that nobody reads any more, which are gone."""
        graph = self.graph
        nodes = [*self.first]
        for node in graph.node:
            nodes.extend([*self.in_front.get(node.output[0], ()), node])
        uses = Counter(name for node in nodes for name in read_by(node))
        uses.update(self.results)
        kept, gone = [], []
        for node in reversed(nodes):  # a node stands in front of those that read it
            if (_is_pair(node) or node.name.endswith(_RANGE)) and not any(uses[name] for name in node.output):
                uses.subtract(node.input)
                gone.append(label(node))
            else:
                kept.append(onnx.NodeProto.FromString(node.SerializeToString()))  # `del` frees those in the graph
        del graph.node[:]
        graph.node.extend(reversed(kept))
        graph.initializer.extend(self.new_constants)
        drop_unused_constants(graph, {name for name, count in uses.items() if count > 0})
        for index in reversed(range(len(graph.value_info))):
            if graph.value_info[index].name in self.retyped:
                del graph.value_info[index]
        return gone
