# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Explicit FP16 and BF16: the graph itself is typed, so that no backend has a choice left.

TensorRT 11, TensorRT RTX and ONNX Runtime take the types that the graph states. Here every node of the standard domain
gets the narrow type unless a rule keeps it in float32; casts stand where the two meet; inputs and outputs of the model
stay float32. The result has passed onnx's strict type inference, so a node of mixed types cannot reach a backend.

Naming: a float32 value keeps its name and its narrow twin is called `<name>__fp16`, whichever of the two is computed.
Graph outputs and bodies of If and Loop therefore find what they refer to without renaming.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from nvidia_tao_deploy.engine.contract import BuildPlan, LayerPrecision
from nvidia_tao_deploy.errors import BuildError
from nvidia_tao_deploy.graph import layers
from nvidia_tao_deploy.graph.editing import FLOAT32_ONLY, constant_value
from nvidia_tao_deploy.graph.model import (
    STANDARD,
    all_nodes,
    check,
    first_line,
    infer_shapes,
    inlined,
    is_quantised,
    is_standard,
    raise_opset,
)

logger = logging.getLogger(__name__)

NARROW = {"fp16": TensorProto.FLOAT16, "bf16": TensorProto.BFLOAT16}
_TYPE_TEXT: dict[int, str] = {TensorProto.FLOAT16: "tensor(float16)", TensorProto.BFLOAT16: "tensor(bfloat16)"}
HALF_MAX = 65504.0
BF16_MAX = 3.3895313892515355e38
"""(2 - 2**-7) * 2**127. float32's own largest number would be rounded up, to infinity."""
NO_LIMIT = 1e9
"""Constants beyond this stand for "minus infinity" in a mask or "no bound" in a Clip; float16 says that by +-65504."""

KEEP = frozenset(
    {
        # sums over many terms, or powers, that leave float16's range or lose small terms
        "Pow", "Exp", "Log", "ReduceMean", "ReduceSum", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceSumSquare",
        "ReduceLogSum", "ReduceLogSumExp", "CumSum", "MeanVarianceNormalization", "LpNormalization", "LRN",
        "InstanceNormalization", "LayerNormalization", "GroupNormalization", "RMSNormalization",
        # states that are carried over all steps; ONNX Runtime 1.32 crashes on them in float16
        "LSTM", "GRU", "RNN",
        # coordinates and counting: float16 has integers up to 2048 only
        "GridSample", "RoiAlign", "MaxRoiPool", "NonMaxSuppression", "Range", "Sin", "Cos", "Mod",
        "AffineGrid", "ImageDecoder", "DFT", "STFT", "MelWeightMatrix",
        # types set by an attribute, or not worth typing
        "Cast", "CastLike", "ConstantOfShape", "EyeLike", "RandomNormal", "RandomUniform", "RandomNormalLike",
        "RandomUniformLike", "Multinomial", "Bernoulli", "Constant",
    }
)  # fmt: skip
"""Operators that compute in float32 whatever precision is asked for."""

KEEP_BF16 = frozenset({"ConvTranspose", "HardSwish", "Mish", "LpPool", "GlobalLpPool"})
"""More of them for BF16: TensorRT RTX 1.7 has no kernel, or its parser takes no BF16 for them."""

FOLLOW = frozenset(
    {
        "Reshape", "Transpose", "Slice", "Gather", "GatherElements", "GatherND", "Concat", "Split", "Squeeze",
        "Unsqueeze", "Flatten", "Identity", "Expand", "Tile", "Where", "Compress", "DepthToSpace", "SpaceToDepth",
        "ReverseSequence", "ScatterElements", "ScatterND", "Scatter", "Trilu", "Shape", "Size",
    }
)  # fmt: skip
"""Operators that only move values: they stay float32 when all they move is float32, which saves casts."""

POINTWISE = frozenset(
    {
        "Add", "Sub", "Mul", "Div", "Neg", "Abs", "Min", "Max", "Clip", "Sqrt", "Reciprocal", "Floor", "Ceil", "Round",
        "Sigmoid", "Log", "Exp", "Sin", "Cos", "Mod", "Pow", "Cast",
    }
)  # fmt: skip
"""Cheap operators. With one operand, float32 so far, they stay float32: picture scaling at the start of a graph, and
"variance + epsilon, square root" after a reduction, which may leave float16's range."""

EXACT_OPERANDS = {"GridSample": (1,), "RoiAlign": (1,), "NonMaxSuppression": (0,), "Sin": (0,), "Cos": (0,)}
"""Operands that are coordinates or angles: what leads to them through pointwise operators is float32 as well."""

SHAPE_OPERANDS = {
    "Reshape": (1,), "Expand": (1,), "Tile": (1,), "Slice": (1, 2, 3, 4), "Pad": (1, 3), "Resize": (1, 2, 3),
    "Upsample": (1,), "ConstantOfShape": (0,), "Range": (0, 1, 2), "TopK": (1,), "Split": (1,), "Squeeze": (1,),
    "Unsqueeze": (1,), "OneHot": (1,), "CenterCropPad": (1,),
}  # fmt: skip
"""Operands that are sizes: what computes them from shapes is float32 (or integer), for the exact number matters."""


@dataclass(slots=True)
class Report:
    """What `typed` did, for the engine's json file.

    Attributes:
        narrow: names of nodes that compute in the narrow type.
        kept: names of nodes with floats that stay in float32.
        clamped: constants that stood for infinity and became the type's largest number.
        vanished: constants of which some elements became 0.
    """

    narrow: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    clamped: list[str] = field(default_factory=list)
    vanished: list[str] = field(default_factory=list)


def apply(model: onnx.ModelProto, plan: BuildPlan) -> onnx.ModelProto:
    """The model typed as the plan asks; the same object for fp32. Raises BuildError for what cannot be typed."""
    return apply_with_report(model, plan)[0]


def apply_with_report(model: onnx.ModelProto, plan: BuildPlan) -> tuple[onnx.ModelProto, Report]:
    """`apply`, and what it did."""
    if plan.precision == "fp32" and not plan.layers_precision:
        return model, Report()
    if plan.precision not in ("fp32", *NARROW):
        raise BuildError(
            f"data_type {plan.precision.upper()} is not supported by this backend; supported: FP32, FP16, BF16",
            hint="A model that already carries Q/DQ nodes is built as it is with data_type FP32 or FP16.",
        )
    result, report = typed(model, plan.precision, plan.layers_precision)
    if result is not model:
        name = plan.precision.upper()
        logger.info("%s: %d nodes narrow, %d kept in FP32", name, len(report.narrow), len(report.kept))
    return result, report


def typed(
    model: onnx.ModelProto, precision: str, rules: Sequence[LayerPrecision] = (), simulate: bool = False
) -> tuple[onnx.ModelProto, Report]:
    """Type a float32 graph in `precision` ("fp16", "bf16"; "fp32" with rules that name another).

    Args:
        model: not changed. Nodes that are already of another type stay as they are.
        precision: type of all nodes that no rule keeps.
        rules: `layers_precision`; names are those of nodes. They win over the rules of this module.
        simulate: give a float32 graph instead, in which operands and results of narrow nodes are rounded to the narrow
            type and back: sums in float32, as tensor cores do them. ONNX Runtime needs this on a CPU: it has no BF16,
            and runs neighbouring FP16 nodes in float32 without rounding between them, so that nothing overflows.

    Raises:
        BuildError: a layer pattern that fits nothing, a type this route does not have, or a graph that is not valid
            after typing (which would be a bug of ours; it says where).
    """
    asked = layers.match(rules, [layers.label(node) for node in model.graph.node]) if rules else {}
    narrow_name = _narrow_type(precision, set(asked.values()))
    if narrow_name is None:
        return model, Report()
    narrow = NARROW[narrow_name]
    source = prepared(model, narrow_name)
    kind = _Simulated if simulate else _Typing
    typing = kind(source, narrow, narrow_name, default_narrow=precision != "fp32", asked=asked)
    result = typing.run()
    try:
        check(result)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise BuildError(
            f"the model is not valid after typing it as {precision.upper()}: {first_line(error)}",
            hint="Keep the node in FP32 with gen_trt_engine.tensorrt.layers_precision=['<node>:fp32'].",
        ) from None
    return result, typing.report


def _narrow_type(precision: str, asked: set[str]) -> str | None:
    foreign = asked - {"fp32", *NARROW}
    if foreign:
        raise BuildError(
            f"{layers.KEY}: {', '.join(sorted(foreign))} cannot be set for single layers by this backend; "
            "possible: fp32, fp16, bf16"
        )
    wanted = (asked | {precision}) & set(NARROW)
    if len(wanted) > 1:
        raise BuildError(f"{layers.KEY}: FP16 and BF16 in one engine are not supported; choose one of them")
    return wanted.pop() if wanted else None


def prepared(model: onnx.ModelProto, narrow: str) -> onnx.ModelProto:
    """A copy that can be typed: functions inlined, constants as initialisers, an operator set that has the type.

    `typed` does this by itself; to type one model many times, begin with this. Raises BuildError.
    """
    source = model
    if source.functions:
        copy = onnx.ModelProto()
        copy.CopyFrom(source)
        source = inlined(copy, "the model")
    if NARROW[narrow] == TensorProto.BFLOAT16:  # Conv, MatMul & co. have it in the standard since 22
        source = raise_opset(source, 22, "BF16")
    elif is_quantised(source):  # Q/DQ with float16 scales; casts between Q/DQ and Conv would undo the quantisation
        source = raise_opset(source, 19, "FP16 with Q/DQ nodes")
    copy = onnx.ModelProto()
    copy.CopyFrom(source)
    kept = []
    for node in copy.graph.node:
        value = constant_value(node)
        if value is not None:
            copy.graph.initializer.add().CopyFrom(value)
        else:
            kept.append(node)
    del copy.graph.node[:]
    copy.graph.node.extend(kept)
    return copy


class _Typing:
    """One pass over a graph: decide which nodes are narrow, then rebuild the node list with casts between."""

    def __init__(
        self, model: onnx.ModelProto, narrow: int, suffix: str, default_narrow: bool, asked: dict[str, str]
    ) -> None:
        self.model = model
        self.narrow = narrow
        self.keep = KEEP | KEEP_BF16 if narrow == TensorProto.BFLOAT16 else KEEP
        self.suffix = _unused_suffix(model, f"__{suffix}")
        self.default_narrow = default_narrow
        self.asked = asked
        self.report = Report()
        self.opset = max(entry.version for entry in model.opset_import if entry.domain in STANDARD)
        graph = infer_shapes(model).graph
        self.types = {
            value.name: value.type.tensor_type.elem_type
            for value in [*graph.input, *graph.value_info, *graph.output]
            if value.type.HasField("tensor_type")
        }
        self.constants = {tensor.name: tensor for tensor in model.graph.initializer}
        self.types.update({name: tensor.data_type for name, tensor in self.constants.items()})
        self.producers = {name: node for node in model.graph.node for name in node.output if name}
        self.exact = self._exact_nodes()
        self.narrow_values: set[str] = set()  # computed in the narrow type
        self.available: set[str] = set()  # names that exist so far in the rebuilt graph
        self.narrow_constants: dict[str, TensorProto | None] = {}
        self.nodes: list[onnx.NodeProto] = []

    def run(self) -> onnx.ModelProto:
        """The typed model."""
        graph = self.model.graph
        self.available.update(value.name for value in graph.input)
        self.available.update(self.constants)
        for node in graph.node:
            self._add(node)
        for value in graph.output:
            self._have_wide(value.name)
        used = {name for node in self.nodes for name in [*node.input, *_captured(node)]}
        used.update(value.name for value in graph.output)
        constants = [tensor for tensor in graph.initializer if tensor.name in used]
        constants += [tensor for tensor in self.narrow_constants.values() if tensor is not None and tensor.name in used]
        result = onnx.ModelProto()
        result.CopyFrom(self._without_weights())
        result.graph.node.extend(self.nodes)
        result.graph.initializer.extend(constants)
        if any(tensor.name not in used for tensor in graph.initializer):
            gone = {tensor.name for tensor in graph.initializer} - used
            inputs = [value for value in graph.input if value.name not in gone]
            del result.graph.input[:]
            result.graph.input.extend(inputs)
        return result

    def _without_weights(self) -> onnx.ModelProto:
        shell = onnx.ModelProto(
            ir_version=self.model.ir_version,
            producer_name=self.model.producer_name,
            producer_version=self.model.producer_version,
            opset_import=self.model.opset_import,
            metadata_props=self.model.metadata_props,
        )
        shell.graph.name = self.model.graph.name
        shell.graph.input.extend(self.model.graph.input)
        shell.graph.output.extend(self.model.graph.output)
        return shell

    # which nodes

    def _exact_nodes(self) -> set[str]:
        """First outputs of nodes that must be float32 because they compute sizes or coordinates."""
        exact: set[str] = set()
        waiting = [
            node.input[index]
            for node in self.model.graph.node
            for index in (*SHAPE_OPERANDS.get(node.op_type, ()), *EXACT_OPERANDS.get(node.op_type, ()))
            if index < len(node.input)
        ]
        while waiting:
            node = self.producers.get(waiting.pop())
            if node is None or node.output[0] in exact or node.op_type not in (POINTWISE | FOLLOW) - {"Shape", "Size"}:
                continue
            exact.add(node.output[0])
            waiting.extend(node.input)
        return exact

    def _is_narrow(self, node: onnx.NodeProto) -> bool:
        floats = [name for name in node.input if name and self._is_float(name)]
        if not floats or not self._has_narrow_form(node):
            return False
        if any(name and name not in self.types for name in node.input):  # behind a plugin that nobody here knows
            return False
        wish = self.asked.get(layers.label(node))
        if wish is not None:
            return wish != "fp32"
        if not self.default_narrow or node.op_type in self.keep or node.output[0] in self.exact:
            return False
        if node.doc_string == FLOAT32_ONLY:
            return False
        moving = [name for name in floats if name not in self.constants]
        if (
            moving
            and not any(name in self.narrow_values for name in moving)
            and (node.op_type in FOLLOW or (node.op_type in POINTWISE and len(moving) == 1))
        ):
            return False
        return all(self._narrow_constant(name) is not None for name in floats if name in self.constants)

    def _has_narrow_form(self, node: onnx.NodeProto) -> bool:
        if not is_standard(node) or any(item.HasField("g") for item in node.attribute):
            return False
        return bool(self._typed_inputs(node))

    def _typed_inputs(self, node: onnx.NodeProto) -> set[int]:
        """Positions of float32 inputs that the operator's schema takes in the narrow type."""
        schema = self._schema(node)
        if schema is None:
            return set()
        allowed = {item.type_param_str: item.allowed_type_strs for item in schema.type_constraints}
        positions = set()
        for index, name in enumerate(node.input):
            if not name or not self._is_float(name) or not schema.inputs:
                continue
            formal = schema.inputs[min(index, len(schema.inputs) - 1)]
            is_size = index in SHAPE_OPERANDS.get(node.op_type, ())
            if not is_size and _TYPE_TEXT[self.narrow] in allowed.get(formal.type_str, ()):
                positions.add(index)
        return positions

    def _typed_outputs(self, node: onnx.NodeProto, typed_inputs: set[int]) -> set[int]:
        """Positions of outputs whose type is that of a narrowed input."""
        schema = onnx.defs.get_schema(node.op_type, self.opset, "")
        last = len(schema.inputs) - 1
        parameters = {schema.inputs[min(index, last)].type_str for index in typed_inputs}
        last = len(schema.outputs) - 1
        return {index for index in range(len(node.output)) if schema.outputs[min(index, last)].type_str in parameters}

    def _schema(self, node: onnx.NodeProto) -> onnx.defs.OpSchema | None:
        try:
            return onnx.defs.get_schema(node.op_type, self.opset, "")
        except onnx.defs.SchemaError:
            return None

    def _is_float(self, name: str) -> bool:
        return self.types.get(name) == TensorProto.FLOAT

    # building

    def _add(self, node: onnx.NodeProto) -> None:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        if self._is_narrow(node):
            self._add_narrow(copy)
        else:
            self._add_wide(copy)
        self.available.update(copy.output)

    def _add_narrow(self, node: onnx.NodeProto) -> None:
        self.report.narrow.append(layers.label(node))
        positions = self._typed_inputs(node)
        outputs = self._typed_outputs(node, positions)
        for index, name in enumerate(node.input):
            if index in positions:
                node.input[index] = self._have_narrow(name)
            elif name:
                self._have_wide(name)
        for index in outputs:
            if node.output[index]:
                self.narrow_values.add(node.output[index])
                node.output[index] += self.suffix
        self.nodes.append(node)

    def _add_wide(self, node: onnx.NodeProto) -> None:
        if node.op_type == "Cast" and node.input[0] in self.narrow_values:
            node.input[0] += self.suffix  # a cast takes any type: no need to widen first
        for name in [*node.input, *_captured(node)]:
            self._have_wide(name)
        if any(self._is_float(name) for name in [*node.input, *node.output]) and self.default_narrow:
            self.report.kept.append(layers.label(node))
        self.nodes.append(node)

    def _have_wide(self, name: str) -> None:
        """Make sure that the float32 value `name` exists."""
        if name in self.narrow_values and name not in self.available:
            self._cast(name + self.suffix, name, TensorProto.FLOAT)

    def _have_narrow(self, name: str) -> str:
        """Make sure that the narrow twin of `name` exists; returns its name."""
        twin = name + self.suffix
        if name in self.constants:
            if self._narrow_constant(name) is None:  # only when a layer rule insists: then the cast may overflow
                self._cast(name, twin, self.narrow)
        elif twin not in self.available and name not in self.narrow_values:
            self._cast(name, twin, self.narrow)
        return twin

    def _cast(self, source: str, target: str, to: int) -> None:
        if target in self.available:
            return
        self.nodes.append(helper.make_node("Cast", [source], [target], name=f"{target}/cast", to=to))
        self.available.add(target)

    def _narrow_constant(self, name: str) -> TensorProto | None:
        """The constant in the narrow type; None when it holds values that the type cannot."""
        if name not in self.narrow_constants:
            self.narrow_constants[name] = self._convert(self.constants[name])
        return self.narrow_constants[name]

    def _convert(self, tensor: TensorProto) -> TensorProto | None:
        values = numpy_helper.to_array(tensor)
        if self.narrow == TensorProto.BFLOAT16:
            if np.any(np.isfinite(values) & (np.abs(values) > BF16_MAX)):  # a mask's "minus infinity": 0 * it must be 0
                self.report.clamped.append(tensor.name)
                values = np.where(np.isfinite(values), np.clip(values, -BF16_MAX, BF16_MAX), values)
            return _bfloat16(values, tensor.name + self.suffix)
        size = np.abs(values, where=np.isfinite(values), out=np.zeros_like(values))
        if np.any((size > HALF_MAX) & (size < NO_LIMIT)):
            return None
        if np.any(size >= NO_LIMIT):
            self.report.clamped.append(tensor.name)
            values = np.where(size >= NO_LIMIT, np.sign(values) * HALF_MAX, values)
        half = values.astype(np.float16)
        lost = (half == 0) & (values != 0)
        if np.any(lost):
            if np.all(lost | (values == 0)):  # an epsilon: as 0 it would no longer guard a division
                return None
            self.report.vanished.append(tensor.name)
        return numpy_helper.from_array(half, tensor.name + self.suffix)


class _Simulated(_Typing):
    """The same graph in float32: what would be narrow is rounded to the narrow type and back."""

    def _add_narrow(self, node: onnx.NodeProto) -> None:
        super()._add_narrow(node)
        if node.op_type in FOLLOW:  # its values are rounded already
            return
        for index, name in enumerate(node.output):
            if name.removesuffix(self.suffix) in self.narrow_values and name.endswith(self.suffix):
                node.output[index] = f"{name}__exact"
                self._cast(node.output[index], name, self.narrow)

    def _cast(self, source: str, target: str, to: int) -> None:
        if to == self.narrow and target not in self.available:
            super()._cast(source, f"{target}__narrow", to)
            source, to = f"{target}__narrow", TensorProto.FLOAT
        super()._cast(source, target, to)

    def _convert(self, tensor: TensorProto) -> TensorProto | None:
        narrow = super()._convert(tensor)
        if narrow is None:
            return None
        return numpy_helper.from_array(numpy_helper.to_array(narrow).astype(np.float32), narrow.name)


def _unused_suffix(model: onnx.ModelProto, suffix: str) -> str:
    """A suffix that no name has: the model may be a typed one of ours."""
    names = {name for node in all_nodes(model.graph) for name in (*node.input, *node.output)}
    while any(name.endswith(suffix) for name in names):
        suffix += "_"
    return suffix


def _bfloat16(values: np.ndarray, name: str) -> TensorProto:
    """Round to nearest even on the bits: bfloat16 is the upper half of float32."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    rounded = ((bits + (0x7FFF + ((bits >> 16) & 1))) >> 16).astype(np.uint16)
    rounded = np.where(np.isnan(values), np.uint16(0x7FC0), rounded)
    return helper.make_tensor(name, TensorProto.BFLOAT16, values.shape, rounded.astype("<u2").tobytes(), raw=True)


def _captured(node: onnx.NodeProto) -> set[str]:
    """Names of outer values that bodies of a node (If, Loop, Scan) refer to."""
    return {
        name
        for attribute in node.attribute
        for body in ([attribute.g] if attribute.HasField("g") else attribute.graphs)
        for name in _free_names(body)
    }


def _free_names(graph: onnx.GraphProto) -> set[str]:
    inside = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
    free: set[str] = set()
    for node in graph.node:
        free.update(name for name in [*node.input, *_captured(node)] if name and name not in inside)
        inside.update(node.output)
    free.update(value.name for value in graph.output if value.name not in inside)
    return free
