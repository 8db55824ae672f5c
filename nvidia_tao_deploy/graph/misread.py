# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""What parsers before TensorRT 10 take for something else without a word, in forms that they read right.

Of operator sets up to 17; `older_forms` has what came later. Known from the published source of the parsers of TensorRT
8.5 and 8.6, which never look at these attributes, look at them as another type, or compute another formula.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from nvidia_tao_deploy.engine.contract import DYNAMIC
from nvidia_tao_deploy.errors import BuildError
from nvidia_tao_deploy.graph import normalisations
from nvidia_tao_deploy.graph.editing import GraphWriter, Size, attributes, constant_value
from nvidia_tao_deploy.graph.model import all_nodes, is_standard

_END = np.iinfo(np.int64).max
_DEFAULTS: dict[str, dict[str, Any]] = {
    "Selu": {"alpha": 1.67326319217681884765625, "gamma": 1.05070102214813232421875},  # theirs end after four digits
    "RoiAlign": {"sampling_ratio": 0},  # theirs: 1
}
"""Operator -> attributes that ONNX leaves out where they are the default, and these parsers have another one."""
_QUANTISED = ("QuantizeLinear", "DequantizeLinear")
_SCATTER = ("ScatterElements", "ScatterND")
_RECURRENT = ("GRU", "LSTM", "RNN")


def tidied(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with the same numbers stated as these parsers look for them, in bodies of If and Loop too.

    Constant nodes hold tensors (of whole numbers they read none); defaults on which they disagree are stated; operands
    that are left out at the end are gone (some of their importers end the process there). The same object where all is
    so already.
    """
    scales = _channel_scales(model)
    if not any(_is_untidy(node, scales) for node in all_nodes(model.graph)):
        return model
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for node in all_nodes(copy.graph):
        if _is_untidy(node, scales):
            _tidy(node, scales)
    return copy


def _channel_scales(model: onnx.ModelProto) -> set[str]:
    """Names of the stored scales of Q/DQ nodes that have one for each channel."""
    nodes = list(all_nodes(model.graph))
    scales = {node.input[1] for node in nodes if node.op_type in _QUANTISED}
    makers = [node for node in nodes if not scales.isdisjoint(node.output)]
    stored = [tensor for tensor in model.graph.initializer if tensor.name in scales]
    stored += filter(None, map(constant_value, makers))
    return {tensor.name for tensor in stored if len(tensor.dims) == 1 and tensor.dims[0] > 1}


def _defaults(node: onnx.NodeProto, scales: set[str]) -> dict[str, Any]:
    """Attributes to be stated: ONNX's default where theirs is another."""
    if node.op_type in _QUANTISED and node.input[1] in scales:
        return {"axis": 1}  # theirs: 0
    return _DEFAULTS.get(node.op_type, {})


def _is_untidy(node: onnx.NodeProto, scales: set[str]) -> bool:
    if not is_standard(node):
        return False
    names = {item.name for item in node.attribute}
    return (
        (len(node.input) > 0 and not node.input[-1])
        or not names.issuperset(_defaults(node, scales))
        or (node.op_type == "Constant" and not names.isdisjoint(("value_int", "value_ints")))
    )


def _tidy(node: onnx.NodeProto, scales: set[str]) -> None:
    while node.input and not node.input[-1]:
        del node.input[-1]
    present = {item.name for item in node.attribute}
    defaults = _defaults(node, scales).items()
    node.attribute.extend(helper.make_attribute(key, value) for key, value in defaults if key not in present)
    held = constant_value(node)
    if held is not None:
        held.ClearField("name")
        del node.attribute[:]
        node.attribute.append(helper.make_attribute("value", held))


def refuse(model: onnx.ModelProto) -> None:
    """Stop at what these parsers would take for something else and what cannot be written for them.

    Args:
        model: with its nodes outside of bodies written otherwise.

    Raises:
        BuildError: with the node and what to do.
    """
    for node in all_nodes(model.graph):
        if not is_standard(node):
            continue
        options = attributes(node)
        reduction = options.get("reduction", b"none")
        if node.op_type in _SCATTER and reduction != b"none":
            hint = "Export the model without it (TensorRT 10 and later read that of ScatterElements only)."
            raise _refusal(node, f"reduction={reduction.decode()}", "overwrites where it should combine values", hint)
        if node.op_type == "BatchNormalization" and options.get("training_mode", 0):
            hint = "Export the model for inference: model.eval(), or training=TrainingMode.EVAL in torch.onnx.export."
            raise _refusal(node, "training_mode=1", "uses stored statistics, not those of the batch", hint)
        if node.op_type in _RECURRENT and options.get("layout", 0):
            hint = "Export it with layout=0 (time first), and Transpose around it."
            raise _refusal(node, "layout=1", "takes pictures for points in time", hint)
        if node.op_type == "Shape" and _is_part_of_shape(options):  # others have been written otherwise
            raise _refusal(node, "start or end, in the body of a Loop or If,", "gives all sizes")


def _refusal(node: onnx.NodeProto, what: str, instead: str, hint: str = "Use TensorRT 10 or later.") -> BuildError:
    return BuildError(f"{node.op_type} '{node.name}': {what} is not read by this TensorRT, which {instead}", hint=hint)


def _is_part_of_shape(options: dict[str, Any]) -> bool:
    return bool(options.get("start", 0)) or "end" in options


def is_misread(node: onnx.NodeProto) -> bool:
    """Whether a node may have to be written otherwise."""
    if not is_standard(node) or node.op_type not in _FORMS:
        return False
    options = attributes(node)
    if node.op_type == "Shape":
        return _is_part_of_shape(options)
    if node.op_type == "ReduceSum":
        return bool(options.get("noop_with_empty_axes", 0))
    if node.op_type == "Slice":
        return len(node.input) > 4 and not node.input[3]
    if node.op_type == "ConvTranspose":
        padding = options.get("auto_pad", b"NOTSET")
        longer = padding == b"VALID" and any(options.get("output_padding", ()))
        return longer or (padding != b"NOTSET" and "output_shape" in options)
    return True


def write(node: onnx.NodeProto, writer: GraphWriter) -> bool:
    """Write a node that `is_misread`. Returns False, and writes nothing, where it is read right after all or too little
    is known about it."""
    return _FORMS[node.op_type](node, attributes(node), writer)


def _shape(node: onnx.NodeProto, options: dict[str, Any], writer: GraphWriter) -> bool:
    """All sizes, of which a part is taken. Start and end were left aside."""
    ends = [writer.constant([value]) for value in (options.get("start", 0), options.get("end", _END))]
    sizes = writer.op("Shape", node.input[0])
    writer.rename(writer.op("Slice", sizes, *ends, writer.constant([0])), node.output[0])
    return True


def _sum(node: onnx.NodeProto, options: dict[str, Any], writer: GraphWriter) -> bool:
    """Nothing to do where no axes are named. The sum over all of them was taken."""
    axes = writer.reader.constant(node.input[1]) if len(node.input) > 1 and node.input[1] else np.zeros(0)
    if axes is None or axes.size:
        return False
    writer.rename(writer.op("Identity", node.input[0]), node.output[0])
    return True


def _slice(node: onnx.NodeProto, options: dict[str, Any], writer: GraphWriter) -> bool:
    """Steps without axes: the first axes. The process ended."""
    starts = writer.reader.shape(node.input[1])
    if not starts or starts[0] == DYNAMIC:
        return False
    operands = [*node.input[:3], writer.constant(np.arange(starts[0])), *node.input[4:]]
    writer.rename(writer.op("Slice", *operands), node.output[0])
    return True


def _transposed_convolution(node: onnx.NodeProto, options: dict[str, Any], writer: GraphWriter) -> bool:
    """Padding in numbers (ONNX operators, ConvTranspose-11). Beside auto_pad, output_shape and output_padding were left
    aside."""
    source, weights = (writer.reader.shape(name) for name in node.input[:2])
    if weights is None:
        return False
    kernel = np.array(options.get("kernel_shape", weights[2:]))
    stride, dilation = (np.array(options.get(key, np.ones_like(kernel))) for key in ("strides", "dilations"))
    extra = np.array(options.get("output_padding", np.zeros_like(kernel)))
    total = np.zeros_like(kernel)
    if "output_shape" in options:
        if source is None or DYNAMIC in source[2:]:
            return False
        whole = stride * (np.array(source[2:]) - 1) + (kernel - 1) * dilation + 1 + extra
        total = whole - options["output_shape"][-len(kernel) :]
    if (total < 0).any():
        hint = "Export it with pads in numbers."
        raise _refusal(node, f"auto_pad={options['auto_pad'].decode()} of a larger output", "leaves sizes aside", hint)
    small, large = total // 2, total - total // 2
    pads = [*small, *large] if options["auto_pad"] == b"SAME_UPPER" else [*large, *small]
    numbers: dict[str, Any] = {"kernel_shape": kernel, "strides": stride, "dilations": dilation}
    numbers |= {"pads": pads, "output_padding": extra}
    stated = {key: [int(number) for number in value] for key, value in numbers.items()}
    result = writer.op("ConvTranspose", *node.input, group=options.get("group", 1), **stated)
    writer.rename(result, node.output[0])
    return True


def _triangle(node: onnx.NodeProto, options: dict[str, Any], writer: GraphWriter) -> bool:
    """A choice between the values and zero. Values were multiplied with zero, which makes NaN of an infinity (causal
    masks), tensors of more than three axes refused, and a diagonal found at run time left aside."""
    source, kind = node.input[0], writer.reader.elem_types.get(node.input[0])
    if not kind:
        return False
    named = node.input[1] if len(node.input) > 1 else ""
    first = writer.reader.constant(named) if named else np.array(0)
    rows, columns = (writer.size(source, axis) for axis in (-2, -1))
    upper = options.get("upper", 1)
    if isinstance(rows, int) and isinstance(columns, int) and first is not None:
        right: Any = np.arange(columns) - np.arange(rows)[:, None]  # of the diagonal
        kept = writer.constant(right >= first if upper else right <= first, np.bool_)
    else:
        right = writer.op("Sub", _counted(columns, writer), writer.reshape(_counted(rows, writer), [-1, 1]))
        limit = named if first is None else writer.constant(int(first.ravel()[0]))
        kept = writer.op("GreaterOrEqual" if upper else "LessOrEqual", right, limit)
    zero = writer.constant(0, helper.tensor_dtype_to_np_dtype(kind))
    writer.rename(writer.op("Where", kept, source, zero), node.output[0])
    return True


def _counted(size: Size, writer: GraphWriter) -> str:
    """0, 1, 2 and so on up to a size."""
    if isinstance(size, int):
        return writer.constant(np.arange(size))
    return writer.op("Range", writer.constant(0), writer.squeeze(size, 0), writer.constant(1))


def _instance_normalisation(node: onnx.NodeProto, options: dict[str, Any], writer: GraphWriter) -> bool:
    """Computed in float32. The bits of float16 scales and biases were read as float32."""
    if writer.reader.elem_types.get(node.input[1]) != TensorProto.FLOAT16:
        return False
    normalisations.instance(node, writer)
    return True


def _log_sum_exp(node: onnx.NodeProto, options: dict[str, Any], writer: GraphWriter) -> bool:
    """max + log(sum(exp(x - max))). Without the maximum exponentials overflow: float32 from 88 on, float16 from 11."""
    axes = _axes_of_reduction(node, options, writer)
    if not axes:
        return False
    largest = writer.reduce("ReduceMax", node.input[0], *axes)
    total = writer.reduce("ReduceSum", writer.op("Exp", writer.op("Sub", node.input[0], largest)), *axes)
    result = writer.op("Add", largest, writer.op("Log", total))
    writer.rename(result if options.get("keepdims", 1) else writer.squeeze(result, *axes), node.output[0])
    return True


def _samples(node: onnx.NodeProto, options: dict[str, Any], writer: GraphWriter) -> bool:
    """Nothing to do for pictures. The process ended at volumes."""
    for name in node.input:
        shape = writer.reader.shape(name)
        if shape is not None and len(shape) > 4:
            raise BuildError(
                f"GridSample '{node.name}' samples volumes: '{name}' has {len(shape)} axes; this TensorRT reads 4 "
                "(pictures)",
                hint="Fold depth into the batch or the channels, or sample slice by slice.",
            )
    return False


def _axes_of_reduction(node: onnx.NodeProto, options: dict[str, Any], writer: GraphWriter) -> list[int] | None:
    """None where they are not known, or none is named and nothing is to be done."""
    if "axes" in options:
        return list(options["axes"])
    named = writer.reader.constant(node.input[1]) if len(node.input) > 1 and node.input[1] else np.zeros(0, np.int64)
    if named is None or (not named.size and options.get("noop_with_empty_axes", 0)):
        return None
    shape = writer.reader.shape(node.input[0])
    return [int(axis) for axis in named.ravel()] or (None if shape is None else list(range(len(shape))))


_FORMS: dict[str, Callable[[onnx.NodeProto, dict[str, Any], GraphWriter], bool]] = {
    "ConvTranspose": _transposed_convolution,
    "GridSample": _samples,
    "InstanceNormalization": _instance_normalisation,
    "ReduceLogSumExp": _log_sum_exp,
    "ReduceSum": _sum,
    "Shape": _shape,
    "Slice": _slice,
    "Trilu": _triangle,
}
