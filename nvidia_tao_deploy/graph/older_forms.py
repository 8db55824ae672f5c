# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""What operator sets after 17 changed, in the forms of 17: parsers before TensorRT 10 read those alone.

Given the new forms, some of them ignore what they do not know, without a word: a ReduceMean whose axes are an operand,
as `torch.onnx.export` writes by default, becomes the mean over all axes.
"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import onnx
from onnx import helper

from nvidia_tao_deploy.engine.contract import DYNAMIC
from nvidia_tao_deploy.errors import BuildError
from nvidia_tao_deploy.graph.editing import GraphWriter, attributes
from nvidia_tao_deploy.graph.folding import REDUCTIONS
from nvidia_tao_deploy.graph.model import STANDARD, all_nodes, check, first_line, is_standard

logger = logging.getLogger(__name__)

NEWEST = 17
HINT = "Export the model with operator set 17 (torch.onnx.export: opset_version=17, dynamo=False), or use TensorRT 10."
_OF_NO_EFFECT = frozenset({"round_mode", "saturate", "stash_type"})
"""Attributes about types that no parser before TensorRT 10 reads (float8), or about the type of a sum in between."""
_MODES = {b"linear": "bilinear", b"cubic": "bicubic"}


def is_newer(node: onnx.NodeProto) -> bool:
    """Whether a node of a model of an operator set after 17 says what older parsers would not see."""
    options = attributes(node)
    if not is_standard(node):
        return False
    if node.op_type in REDUCTIONS - {"ReduceSum"}:  # that one has taken its axes as an operand since 13
        return len(node.input) > 1 or "noop_with_empty_axes" in options
    if node.op_type == "Resize":
        stretches = options.get("keep_aspect_ratio_policy", b"stretch") == b"stretch"
        return "axes" in options or bool(options.get("antialias", 0)) or not stretches
    return (
        (node.op_type == "Pad" and len(node.input) > 3 and node.input[3] != "")
        or (node.op_type == "Split" and "num_outputs" in options)
        or (node.op_type == "GridSample" and options.get("mode", b"linear") in _MODES)
    )


def write_older(node: onnx.NodeProto, write: GraphWriter) -> None:
    """Write a node that `is_newer` in the form of operator set 17.

    Raises:
        BuildError: it says something that 17 cannot say, or that depends on the model's inputs.
    """
    options = attributes(node)
    if node.op_type == "Pad":
        _pad(node, write)
    elif node.op_type == "Split":
        _split(node, options, write)
    elif node.op_type == "GridSample":
        write.copy(node, mode=_MODES[options.get("mode", b"linear")])
    elif node.op_type == "Resize":
        _resize(node, options, write)
    else:
        _reduction(node, options, write)


def declared(model: onnx.ModelProto) -> onnx.ModelProto:
    """A model without nodes that are newer, as one of operator set 17: what later sets added, and is as it always was,
    goes. The model as it came, with a warning, where something in it is not of 17 all the same."""
    older = onnx.ModelProto()
    older.CopyFrom(model)
    opset = max(entry.version for entry in model.opset_import if entry.domain in STANDARD)
    for node in all_nodes(older.graph):
        if is_standard(node):
            _without_new_defaults(node, opset)
    for entry in older.opset_import:
        if entry.domain in STANDARD:
            entry.version = NEWEST
    try:
        check(older)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        logger.warning(
            "The model is of operator set %d, and this TensorRT reads those up to %d; it cannot be written as one of "
            "these (%s). If TensorRT builds it all the same, gen_trt_engine.verify=true tells whether it is right. %s",
            opset, NEWEST, first_line(error), HINT,
        )  # fmt: skip
        return model
    return older


def _without_new_defaults(node: onnx.NodeProto, opset: int) -> None:
    """Drop attributes that operator set 17 has not and that say what is the default.

    Raises:
        BuildError: one says something else, which an older parser would not look at.
    """
    try:
        known = onnx.defs.get_schema(node.op_type, NEWEST, "").attributes
        now = onnx.defs.get_schema(node.op_type, opset, "").attributes
    except onnx.defs.SchemaError:  # an operator that came later: the checker says so
        return
    for index in reversed(range(len(node.attribute))):
        item = node.attribute[index]
        if item.name in known or item.name not in now:
            continue
        default = now[item.name].default_value
        if (default.name and helper.get_attribute_value(default) == helper.get_attribute_value(item)) or (
            item.name in _OF_NO_EFFECT
            or (item.name == "dilations" and set(item.ints) == {1})
            or (item.name == "output_dtype" and node.op_type == "QuantizeLinear" and any(node.input[2:]))
        ):
            del node.attribute[index]  # a zero point has the type, too
        else:
            raise refusal(node, f"{item.name}={_text(helper.get_attribute_value(item))}")


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def refusal(node: onnx.NodeProto, what: str) -> BuildError:
    """For a node that cannot be written in an older form."""
    return BuildError(
        f"{node.op_type} '{node.name}': {what} came after operator set {NEWEST}, the newest that this TensorRT reads",
        hint=HINT,
    )


def _constant(node: onnx.NodeProto, position: int, write: GraphWriter) -> np.ndarray | None:
    """An operand that has to be known; None where the node has none there."""
    if len(node.input) <= position or not node.input[position]:
        return None
    value = write.reader.constant(node.input[position])
    if value is None:
        raise refusal(node, f"'{node.input[position]}', an operand that is no constant,")
    return value


def _reduction(node: onnx.NodeProto, options: dict[str, Any], write: GraphWriter) -> None:
    axes = _constant(node, 1, write)
    if axes is not None and axes.size:
        write.copy(node, [node.input[0]], axes=[int(axis) for axis in axes.ravel()], noop_with_empty_axes=None)
    elif options.get("noop_with_empty_axes", 0):
        write.rename(write.op("Identity", node.input[0]), node.output[0])
    else:
        write.copy(node, [node.input[0]], noop_with_empty_axes=None)


def _pad(node: onnx.NodeProto, write: GraphWriter) -> None:
    axes, pads = _constant(node, 3, write), _constant(node, 1, write)
    shape = write.reader.shape(node.input[0])
    if axes is None or pads is None or shape is None:
        raise refusal(node, "axes")
    full = np.zeros((2, len(shape)), np.int64)
    full[:, axes.ravel()] = pads.reshape(2, -1)
    write.copy(node, [node.input[0], write.constant(full.ravel()), *node.input[2:3]])


def _split(node: onnx.NodeProto, options: dict[str, Any], write: GraphWriter) -> None:
    count = options["num_outputs"]
    shape, axis = write.reader.shape(node.input[0]), options.get("axis", 0)
    size = DYNAMIC if shape is None else shape[axis]
    if size == DYNAMIC:  # equal parts, as without any sizes
        write.copy(node, num_outputs=None)
        return
    step = -(-size // count)
    sizes = [max(0, min(step, size - start)) for start in range(0, step * count, step)]
    write.copy(node, [node.input[0], write.constant(sizes)], num_outputs=None)


def _resize(node: onnx.NodeProto, options: dict[str, Any], write: GraphWriter) -> None:
    if options.get("antialias", 0):
        raise refusal(node, "antialias=1")
    policy = options.get("keep_aspect_ratio_policy", b"stretch")
    if policy != b"stretch":
        raise refusal(node, f"keep_aspect_ratio_policy={_text(policy)}")
    shape, axes = write.reader.shape(node.input[0]), options["axes"]
    scales, sizes = _constant(node, 2, write), _constant(node, 3, write)
    if shape is None or node.input[1]:
        raise refusal(node, "axes")
    if scales is not None and scales.size:
        factors = np.ones(len(shape), np.float32)
        factors[axes] = scales
        write.copy(node, [node.input[0], "", write.constant(factors, np.float32)], axes=None)
        return
    if sizes is None or DYNAMIC in shape:
        raise refusal(node, "axes")
    target = np.array(shape, np.int64)
    target[axes] = sizes
    write.copy(node, [node.input[0], "", "", write.constant(target)], axes=None)
