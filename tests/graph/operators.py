# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Models of one operator each, such as newer exporters write and older parsers do not read."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from nvidia_tao_deploy.graph.editing import attributes
from tests.graph.models import Weights, model, value

SHAPE = (2, 4, 6, 5)
REDUCTIONS = ("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin",
              "ReduceProd", "ReduceSumSquare")  # fmt: skip


def one(
    op: str,
    operands: Sequence[Any] = (),
    results: int = 1,
    opset: int = 20,
    shape: Sequence[Any] = SHAPE,
    kind: int = TensorProto.FLOAT,
    **options: Any,
) -> onnx.ModelProto:
    """input [2, 4, 6, 5] -> output0 and so on: one node; `operands` follow the input, None leaves one out."""
    w = Weights()
    names = ["" if item is None else w.given(f"w{index}", item) for index, item in enumerate(operands)]
    outputs = [f"output{index}" for index in range(results)]
    node = helper.make_node(op, ["input", *names], outputs, name="/node", **options)
    declared = [helper.make_empty_tensor_value_info(name) for name in outputs]
    made = model([node], [value("input", kind, *shape)], declared, w.tensors, opset=opset)
    made.ir_version = 9 if opset < 21 else 10
    made = onnx.shape_inference.infer_shapes(made)
    for output in made.graph.output:
        if not output.type.HasField("tensor_type"):  # onnx infers nothing of some operators that have a definition
            output.CopyFrom(value(output.name, TensorProto.FLOAT, *[None] * 4))
    onnx.checker.check_model(made, full_check=True)
    return made


def open_batch(original: onnx.ModelProto) -> onnx.ModelProto:
    """The same for any number of pictures."""
    made = onnx.ModelProto()
    made.CopyFrom(original)
    made.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    for output in made.graph.output:
        first = output.type.tensor_type.shape.dim[0]
        if first.dim_value == SHAPE[0]:
            first.Clear()
    del made.graph.value_info[:]
    return made


def run(model: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> list[np.ndarray] | None:
    """By ONNX Runtime, else by ONNX's own evaluator: each lacks some operators or forms. None where both do."""
    older = onnx.ModelProto()
    older.CopyFrom(model)
    older.ir_version = min(model.ir_version, 10)  # the newest that ONNX Runtime 1.21 takes
    for attempt in (_by_onnxruntime, _by_evaluator):
        try:
            return [np.asarray(array) for array in attempt(older, feeds)]
        except Exception:
            continue
    return None


def _by_onnxruntime(model: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, feeds)


def _by_evaluator(model: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    return ReferenceEvaluator(model).run(None, feeds)


def ones(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


_NAMES = """
Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh AveragePool BatchNormalization Cast Ceil Celu Clip Concat
Constant ConstantOfShape Conv ConvTranspose Cos Cosh CumSum DepthToSpace DequantizeLinear Div Dropout Einsum Elu Equal
Erf Exp Expand EyeLike Flatten Floor Gather GatherElements GatherND Gemm GlobalAveragePool GlobalLpPool GlobalMaxPool
Greater GreaterOrEqual GridSample GRU HardSigmoid HardSwish Identity If ImageScaler InstanceNormalization IsNaN
LeakyRelu Less LessOrEqual Log LogSoftmax Loop LpNormalization LpPool LRN LSTM MatMul Max MaxPool Mean
MeanVarianceNormalization Min Mod Mul Neg NonMaxSuppression NonZero Not OneHot Or Pad ParametricSoftplus Pow PRelu
QuantizeLinear RandomNormal RandomNormalLike RandomUniform RandomUniformLike Range Reciprocal ReduceL1 ReduceL2
ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize
ReverseSequence RNN RoiAlign Round ScaledTanh Scan Scatter ScatterElements ScatterND Selu Shape Shrink Sigmoid Sign
Sin Sinh Size Slice Softmax Softplus Softsign SpaceToDepth Split Sqrt Squeeze Sub Sum Tan Tanh ThresholdedRelu Tile
TopK Transpose Trilu Unsqueeze Upsample Where Xor
"""
READ_BY_TENSORRT_8_5 = frozenset(_NAMES.split())
"""Standard operators that the parser of TensorRT 8.5 reads (its documentation, docs/operators.md)."""


def lacked_by_tensorrt_8_5(op: str) -> bool:
    """What its parser answers, the other way round."""
    return op not in READ_BY_TENSORRT_8_5


def lacked_by_none(op: str) -> bool:
    """A parser's that reads everything."""
    return False


GRID = np.random.default_rng(3).uniform(-1, 1, (2, 3, 3, 2)).astype(np.float32)
DEFINED = {
    "gelu": one("Gelu"),
    "gelu by tanh": one("Gelu", approximate="tanh"),
    "mish": one("Mish", opset=18),
    "hard-swish": one("HardSwish", opset=14),
    "celu": one("Celu", opset=12, alpha=0.5),
    "celu by default": one("Celu", opset=12),
    "groups": one("GroupNormalization", [ones(4), ones(4)], opset=21, num_groups=2, epsilon=0.1),
    "rms": one("RMSNormalization", [ones(6, 5)], opset=23, axis=2),
    "layer": one("LayerNormalization", [ones(5), ones(5)], opset=17),
    "cast": one("CastLike", [np.float32(1)], opset=21),
    "mean and variance": one("MeanVarianceNormalization", opset=13, axes=[1, 2]),
    "centre": one("CenterCropPad", [np.array([4, 7])], opset=18, axes=[2, 3]),
    "attention": one("Attention", [ones(2, 4, 3, 5), ones(2, 4, 3, 5)], opset=23),
}
"""Operators that the standard defines by others."""
NO_OPERATION = one("ReduceMean", noop_with_empty_axes=1)  # ONNX Runtime 1.21 cannot run it
NEWER = {
    **{op: one(op, [np.array([2, -1])], keepdims=0) for op in REDUCTIONS},
    "ReduceSum": one("ReduceSum", [np.array([1])]),
    "all axes": one("ReduceMean"),
    "empty axes": one("ReduceMean", [np.zeros(0, np.int64)]),
    "pad": one("Pad", [np.array([1, 2, 0, 3]), np.float32(0.5), np.array([-1, 1])]),
    "pad as ever": one("Pad", [np.array([0, 0, 1, 1, 0, 0, 2, 2])], mode="reflect"),
    "split": one("Split", results=2, axis=1, num_outputs=2),
    "uneven split": one("Split", results=3, axis=3, num_outputs=3),
    "bilinear": one("GridSample", [GRID], mode="linear", padding_mode="border"),
    "bilinear by default": one("GridSample", [GRID]),
    "nearest": one("GridSample", [GRID], mode="nearest"),
    "average": one("AveragePool", opset=19, kernel_shape=[2, 2], dilations=[1, 1]),
    "resize": one("Resize", [None, np.float32([2, 2]), None], axes=[3, 2], mode="linear"),
    "resize to sizes": one("Resize", [None, None, np.array([7, 9])], axes=[2, 3], mode="nearest"),
    "resize as ever": one("Resize", [None, np.float32([1, 1, 2, 2])], antialias=0, keep_aspect_ratio_policy="stretch"),
    "cast": one("Cast", to=TensorProto.FLOAT, saturate=1),
    "relu": one("Relu"),
}
"""Forms that came after operator set 17, and what only has a newer set's number."""


def joined() -> onnx.ModelProto:
    """input [2, 4, 6, 5] -> output [2, 4, 30]: the last axes become one, as newer exporters say it."""
    nodes = [
        helper.make_node("Shape", ["input"], ["front"], name="/front", end=2),
        helper.make_node("Constant", [], ["rest"], name="/rest", value_ints=[-1]),
        helper.make_node("Concat", ["front", "rest"], ["sizes"], name="/sizes", axis=0),
        helper.make_node("Reshape", ["input", "sizes"], ["output"], name="/reshape"),
    ]
    ends = [value("input", TensorProto.FLOAT, *SHAPE)], [value("output", TensorProto.FLOAT, 2, 4, 30)]
    return model(nodes, *ends, [], opset=17)


def masked() -> onnx.ModelProto:
    """input [2, 4, 6, 5] -> output [2, 4, 6, 5]: what a causal mask, whose sizes are found out at run time, leaves."""
    w = Weights()
    w.given("zero", [0], np.int64), w.given("one", [1], np.int64), w.given("two", [2], np.int64)
    w.given("end", [9], np.int64), w.given("rest", [4, -1, 5], np.int64), w.given("below", [-np.inf], np.float32)
    nodes = [
        helper.make_node("Shape", ["input"], ["sizes"], name="/shape"),
        helper.make_node("Slice", ["sizes", "zero", "one"], ["first"], name="/first"),
        helper.make_node("Concat", ["first", "rest"], ["same"], name="/same", axis=0),
        helper.make_node("Reshape", ["input", "same"], ["x"], name="/reshape"),
        helper.make_node("Shape", ["x"], ["all"], name="/all"),
        helper.make_node("Slice", ["all", "two", "end"], ["last"], name="/last"),
        helper.make_node("Expand", ["below", "last"], ["full"], name="/full"),
        helper.make_node("Trilu", ["full", "one_more"], ["mask"], name="/mask"),
        helper.make_node("Add", ["x", "mask"], ["sum"], name="/add"),
        helper.make_node("Softmax", ["sum"], ["output"], name="/softmax", axis=-1),
    ]
    w.given("one_more", 1, np.int64)
    return model(nodes, [value("input", TensorProto.FLOAT, "batch", *SHAPE[1:])],
                 [value("output", TensorProto.FLOAT, "batch", *SHAPE[1:])], w.tensors, opset=17)  # fmt: skip


def placed(upper: int, batch: int | None = 2) -> onnx.ModelProto:
    """input [2, 4, 6, 5], k [1] int32 -> output [2, 4, 6, 5]: a triangle from the diagonal k on."""
    w = Weights()
    nodes = [
        helper.make_node("Cast", ["k"], ["wide"], name="/cast", to=TensorProto.INT64),
        helper.make_node("Reshape", ["wide", w.given("scalar", [], np.int64)], ["offset"], name="/reshape"),
        helper.make_node("Trilu", ["input", "offset"], ["output"], name="/node", upper=upper),
    ]
    inputs = [value("input", TensorProto.FLOAT, batch, *SHAPE[1:]), value("k", TensorProto.INT32, 1)]
    return model(nodes, inputs, [value("output", TensorProto.FLOAT, batch, *SHAPE[1:])], w.tensors)


def pool(op: str, size: int, kernel: int, step: int, pad: int, **options: Any) -> onnx.ModelProto:
    """input [2, 4, size, size + 1] -> output0 [2, 4, ?, ?]: pooling with ceil_mode."""
    numbers = {"kernel_shape": [kernel] * 2, "strides": [step] * 2, "pads": [pad] * 4}
    made = one(op, opset=17, shape=[2, 4, size, size + 1], ceil_mode=1, **numbers, **options)
    made.graph.output[0].CopyFrom(value("output0", TensorProto.FLOAT, 2, 4, None, None))  # onnx counts otherwise
    return made


def pooled(node: onnx.NodeProto, x: np.ndarray, by_tensorrt: bool) -> np.ndarray:
    """The definition, a window at a time; TensorRT's has windows behind the picture and divides by all of a window."""
    options = attributes(node)
    kernel, step = options["kernel_shape"], options["strides"]
    begin, end = np.array(options["pads"]).reshape(2, -1)
    sizes = np.array(x.shape[2:])
    average, counted = node.op_type == "AveragePool", bool(options.get("count_include_pad", 0))
    edge = sizes + begin + end
    rounded = np.ceil if options.get("ceil_mode", 0) else np.floor
    counts = rounded((edge - kernel) / step).astype(int) + 1
    if not by_tensorrt:
        counts -= (counts - 1) * step >= sizes + begin
    result = np.zeros((*x.shape[:2], *counts), np.float32)
    for place in itertools.product(*map(range, counts)):
        first = np.array(place) * step - begin
        low, high = np.maximum(first, 0), np.minimum(first + kernel, sizes)
        values = x[:, :, low[0] : high[0], low[1] : high[1]]
        before_end = np.minimum(first + kernel, sizes + end) - first  # nothing behind all padding counts
        within = kernel if by_tensorrt else before_end
        elements = values[0, 0].size
        if not elements:
            result[(..., *place)] = np.nan
        elif average:
            result[(..., *place)] = values.sum((2, 3)) / (np.prod(within) if counted else elements)
        else:
            result[(..., *place)] = values.max((2, 3))
    return result


def instances(shape: list[int | None], kind: int = TensorProto.FLOAT, opset: int = 17) -> onnx.ModelProto:
    """input, scale [3] and bias [3] -> output: none of them is stored."""
    node = helper.make_node("InstanceNormalization", ["input", "scale", "bias"], ["output"], name="/node", epsilon=0.1)
    inputs = [value("input", kind, *shape), value("scale", kind, 3), value("bias", kind, 3)]
    return model([node], inputs, [value("output", kind, *shape)], [], opset=opset)


HALF = np.float16([1, 2, 3, 4])
MISREAD = {
    "shape from the second on": one("Shape", opset=15, start=1),
    "shape but for two": one("Shape", opset=15, end=-2),
    "shape between": one("Shape", opset=17, start=-3, end=3),
    "sum of nothing": one("ReduceSum", opset=13, noop_with_empty_axes=1),
    "sum of no axes": one("ReduceSum", [np.zeros(0, np.int64)], opset=17, noop_with_empty_axes=1),
    "triangle": one("Trilu", opset=14),
    "triangle below": one("Trilu", [np.array(-1)], opset=14, upper=0),
    "log of a sum": one("ReduceLogSumExp", opset=13, axes=[2, -1], keepdims=0),
    "log of all sums": one("ReduceLogSumExp", opset=11),
    "log of named sums": one("ReduceLogSumExp", [np.array([1])], opset=18),
    "transposed": one(
        "ConvTranspose", [ones(4, 2, 3, 4)], opset=11, auto_pad="SAME_UPPER", output_shape=[12, 15], strides=[2, 3]
    ),
    "infinities": one("IsInf", opset=10),
    "infinities below": one("IsInf", opset=10, detect_positive=0),
    "instances": one("InstanceNormalization", [HALF, HALF[::-1]], opset=17, kind=TensorProto.FLOAT16),
}
"""What parsers before TensorRT 10 take for something else, or lack, in operator sets up to 17, and one of 18."""
