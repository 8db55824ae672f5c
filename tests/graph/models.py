# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Small ONNX models with seeded weights, and what they compute written down in numpy."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
CLASSES = 10
LEVELS = ((8, 6), (4, 3), (2, 2))
STARTS = (0, 48, 60)
ROWS, HEADS, DEPTH, QUERIES, POINTS = 64, 4, 8, 7, 3
ATTENTION = "MultiscaleDeformableAttnPlugin_TRT"


class Weights:
    """Hands out named initialisers."""

    def __init__(self, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self.tensors: list[onnx.TensorProto] = []

    def normal(self, name: str, *shape: int, scale: float = 0.2) -> str:
        return self.given(name, (self.random.normal(size=shape) * scale).astype(np.float32))

    def given(self, name: str, value: object, dtype: object = None) -> str:
        self.tensors.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name


def model(
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    weights: list[onnx.TensorProto],
    opset: int = 17,
    domains: tuple[str, ...] = (),
) -> onnx.ModelProto:
    """A model from its parts."""
    graph = helper.make_graph(nodes, "test", inputs, outputs, weights)
    imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    return helper.make_model(graph, opset_imports=imports, ir_version=8)


def value(name: str, kind: int, *shape: int | str | None) -> onnx.ValueInfoProto:
    """A declared tensor."""
    return helper.make_tensor_value_info(name, kind, list(shape))


def classifier(batch: int | str = "batch", opset: int = 17, seed: int = 0) -> onnx.ModelProto:
    """input [B, 3, 32, 32] -> probabilities [B, 10]: two convolutions, batch normalisation, pooling, a linear layer."""
    w = Weights(seed)
    nodes = [
        helper.make_node("Conv", ["input", w.normal("w1", 16, 3, 3, 3), w.normal("b1", 16)], ["c1"],
                         name="/stem/conv", pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["c1", w.given("scale", np.ones(16, np.float32)), w.normal("shift", 16),
                         w.normal("mean", 16), w.given("var", np.linspace(0.5, 2, 16, dtype=np.float32))], ["n1"],
                         name="/stem/bn"),
        helper.make_node("Relu", ["n1"], ["r1"], name="/stem/relu"),
        helper.make_node("MaxPool", ["r1"], ["p1"], name="/stem/pool", kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Conv", ["p1", w.normal("w2", 32, 16, 3, 3)], ["c2"], name="/body/conv", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c2"], ["r2"], name="/body/relu"),
        helper.make_node("GlobalAveragePool", ["r2"], ["g"], name="/head/pool"),
        helper.make_node("Flatten", ["g"], ["f"], name="/head/flatten"),
        helper.make_node("Gemm", ["f", w.normal("w3", CLASSES, 32), w.normal("b3", CLASSES)], ["logits"],
                         name="/head/fc", transB=1),
        helper.make_node("Softmax", ["logits"], ["probabilities"], name="/head/softmax", axis=-1),
    ]  # fmt: skip
    return model(
        nodes, [value("input", FLOAT, batch, 3, 32, 32)], [value("probabilities", FLOAT, batch, CLASSES)], w.tensors,
        opset,
    )  # fmt: skip


def attention(domain: str = "nvidia", opset: int = 17, batch: int | str = "batch") -> onnx.ModelProto:
    """Multi-scale deformable attention as TAO exports it: the plugin, with int64 constants cast to int32."""
    w = Weights()
    w.given("shapes64", LEVELS, np.int64)
    w.given("starts64", STARTS, np.int64)
    w.given("flat", [0, 0, HEADS * DEPTH], np.int64)
    nodes = [
        helper.make_node("Cast", ["shapes64"], ["shapes"], to=TensorProto.INT32),
        helper.make_node("Cast", ["starts64"], ["starts"], to=TensorProto.INT32),
        helper.make_node(ATTENTION, ["value", "shapes", "starts", "locations", "weights"], ["sampled"],
                         name="/encoder/attention", domain=domain, version="1"),
        helper.make_node("Reshape", ["sampled", "flat"], ["output"], name="/encoder/reshape"),
    ]  # fmt: skip
    inputs = [
        value("value", FLOAT, batch, ROWS, HEADS, DEPTH),
        value("locations", FLOAT, batch, QUERIES, HEADS, len(LEVELS), POINTS, 2),
        value("weights", FLOAT, batch, QUERIES, HEADS, len(LEVELS), POINTS),
    ]
    outputs = [value("output", FLOAT, batch, QUERIES, HEADS * DEPTH)]
    return model(nodes, inputs, outputs, w.tensors, opset, (domain,) if domain else ())


def attention_feeds(batch: int, seed: int = 1) -> dict[str, np.ndarray]:
    """Feeds of `attention`; some sampling points lie outside the maps."""
    random = np.random.default_rng(seed)
    weights = random.random((batch, QUERIES, HEADS, len(LEVELS) * POINTS))
    weights /= weights.sum(-1, keepdims=True)
    return {
        "value": random.normal(size=(batch, ROWS, HEADS, DEPTH)).astype(np.float32),
        "locations": random.uniform(-0.2, 1.2, (batch, QUERIES, HEADS, len(LEVELS), POINTS, 2)).astype(np.float32),
        "weights": weights.reshape(batch, QUERIES, HEADS, len(LEVELS), POINTS).astype(np.float32),
    }


def attention_expected(feeds: dict[str, np.ndarray]) -> np.ndarray:
    """Multi-scale deformable attention by its definition, point by point in float64."""
    value_, locations, weights = feeds["value"], feeds["locations"], feeds["weights"]
    out = np.zeros((len(value_), QUERIES, HEADS, DEPTH))
    for n, q, m, level, p in np.ndindex(*weights.shape):
        height, width = LEVELS[level]
        grid = value_[n, STARTS[level] : STARTS[level] + height * width, m].reshape(height, width, DEPTH)
        x, y = locations[n, q, m, level, p].astype(np.float64) * (width, height) - 0.5
        out[n, q, m] += weights[n, q, m, level, p] * _bilinear(grid, x, y)
    return out.reshape(len(value_), QUERIES, HEADS * DEPTH)


def _bilinear(grid: np.ndarray, x: float, y: float) -> np.ndarray:
    height, width, depth = grid.shape
    total = np.zeros(depth)
    for row in (int(np.floor(y)), int(np.floor(y)) + 1):
        for column in (int(np.floor(x)), int(np.floor(x)) + 1):
            if 0 <= row < height and 0 <= column < width:
                total += (1 - abs(y - row)) * (1 - abs(x - column)) * grid[row, column]
    return total


def quantised(batch: int | str = "batch", floats: bool = False) -> onnx.ModelProto:
    """input [B, 3, 16, 16] -> output [B, 8]: a convolution between Q/DQ pairs (not with `floats`), float32 weights."""
    w = Weights()
    w.normal("w", 8, 3, 3, 3)
    w.given("xs", 0.02, np.float32)
    w.given("ws", np.full(8, 0.006, np.float32))
    w.given("z", 0, np.int8)
    w.given("zs", np.zeros(8, np.int8))
    nodes = [
        helper.make_node("QuantizeLinear", ["input", "xs", "z"], ["xq"], name="/q"),
        helper.make_node("DequantizeLinear", ["xq", "xs", "z"], ["xd"], name="/dq"),
        helper.make_node("QuantizeLinear", ["w", "ws", "zs"], ["wq"], name="/wq", axis=0),
        helper.make_node("DequantizeLinear", ["wq", "ws", "zs"], ["wd"], name="/wdq", axis=0),
        helper.make_node(
            "Conv",
            ["input", "w"] if floats else ["xd", "wd"],
            ["c"],
            name="/conv",
            kernel_shape=[3, 3],
            pads=[1, 1, 1, 1],
        ),
        helper.make_node("Relu", ["c"], ["r"], name="/relu"),
        helper.make_node("GlobalAveragePool", ["r"], ["g"], name="/pool"),
        helper.make_node("Flatten", ["g"], ["output"], name="/flatten"),
    ]
    return model(nodes, [value("input", FLOAT, batch, 3, 16, 16)], [value("output", FLOAT, batch, 8)], w.tensors)


def newer(batch: int | str = "batch") -> onnx.ModelProto:
    """input [B, 3, 16, 16] -> output [B, 4], of operator set 20: Gelu, parts without sizes, axes as an operand."""
    w = Weights()
    nodes = [
        helper.make_node("Conv", ["input", w.normal("w", 8, 3, 3, 3), w.normal("b", 8)], ["c"], name="/conv"),
        helper.make_node("Gelu", ["c"], ["g"], name="/gelu"),
        helper.make_node("Split", ["g"], ["first", "second"], name="/split", axis=1, num_outputs=2),
        helper.make_node("Mul", ["first", "second"], ["m"], name="/mul"),
        helper.make_node("ReduceMean", ["m", w.given("axes", [2, 3], np.int64)], ["output"], name="/mean", keepdims=0),
    ]
    ends = [value("input", FLOAT, batch, 3, 16, 16)], [value("output", FLOAT, batch, 4)]
    made = model(nodes, *ends, w.tensors, opset=20)
    made.ir_version = 9
    return made


def half(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The model in float16 throughout, as exported after `.half()`."""
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    for value in [*copy.graph.input, *copy.graph.output]:
        value.type.tensor_type.elem_type = TensorProto.FLOAT16
    for tensor in copy.graph.initializer:
        if tensor.data_type == FLOAT:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), tensor.name))
    onnx.checker.check_model(copy, full_check=True)
    return copy


def by_onnxruntimes_quantiser(proto: onnx.ModelProto, feeds: dict[str, np.ndarray], **options: Any) -> onnx.ModelProto:
    """The model with Q/DQ pairs by ONNX Runtime's static quantiser, calibrated with one batch."""

    class Reader(CalibrationDataReader):
        batches = iter([feeds])

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self.batches, None)

    with TemporaryDirectory() as folder:
        files = Path(folder, "in.onnx"), Path(folder, "out.onnx")
        onnx.save(proto, files[0])
        quantize_static(*files, Reader(), QuantFormat.QDQ, **options)
        return onnx.load(files[1])


def many_types(batch: int | str = "batch") -> onnx.ModelProto:
    """input [B, 8] float32 -> half, whole (int32), flag (bool), byte (uint8): twice the input and derived values."""
    w = Weights()
    w.given("two", 2.0, np.float32)
    w.given("zero", 0.0, np.float32)
    nodes = [
        helper.make_node("Mul", ["input", "two"], ["double"], name="/double"),
        helper.make_node("Cast", ["double"], ["half"], name="/half", to=TensorProto.FLOAT16),
        helper.make_node("Cast", ["double"], ["whole"], name="/whole", to=TensorProto.INT32),
        helper.make_node("Greater", ["double", "zero"], ["flag"], name="/flag"),
        helper.make_node("Abs", ["double"], ["size"], name="/abs"),
        helper.make_node("Cast", ["size"], ["byte"], name="/byte", to=TensorProto.UINT8),
    ]
    outputs = [
        value("half", TensorProto.FLOAT16, batch, 8), value("whole", TensorProto.INT32, batch, 8),
        value("flag", TensorProto.BOOL, batch, 8), value("byte", TensorProto.UINT8, batch, 8),
    ]  # fmt: skip
    return model(nodes, [value("input", FLOAT, batch, 8)], outputs, w.tensors)


def awkward(batch: int | str = "batch", with_if: bool = True, with_mask: bool = True) -> onnx.ModelProto:
    """Everything that makes half precision hard: resizing by float arithmetic on shapes, a decomposed layer
    normalisation with a tiny epsilon, a mask filled with -3.4e38 (`with_mask`), an If whose bodies read outer values
    (`with_if`), TopK.

    x [B, 3, 16, 16] in 0..255 -> y [B, 10] probabilities, top [B, 3], which [B, 3] int64.
    """
    w = Weights()
    node = helper.make_node
    for name, item in {
        "k255": 1 / 255, "two": 2.0, "eps": 1e-12, "far": -3.4e38, "nothing": 0.0, "tenth": 0.1,
        "up": [1, 1, 2, 2], "down": [1, 1, 0.5, 0.5],
    }.items():  # fmt: skip
        w.given(name, item, np.float32)
    w.given("mask", [True] * 9 + [False])
    w.given("three", [3], np.int64)
    then = helper.make_graph([node("Add", ["p", "nothing"], ["t"])], "then", [], [value("t", FLOAT, None, None)])
    other = helper.make_graph([node("Identity", ["p"], ["e"])], "else", [], [value("e", FLOAT, None, None)])
    nodes = [
        node("Mul", ["x", "k255"], ["xs"], name="/scale"),
        node("Conv", ["xs", w.normal("w1", 8, 3, 3, 3), w.normal("b1", 8)], ["c1"], name="/conv1", pads=[1, 1, 1, 1]),
        node("Resize", ["c1", "", "up"], ["large"], name="/up", mode="linear"),
        node("Shape", ["large"], ["shape"], name="/shape"),
        node("Cast", ["shape"], ["shape_float"], name="/shape_float", to=FLOAT),
        node("Mul", ["shape_float", "down"], ["wanted_float"], name="/wanted"),
        node("Floor", ["wanted_float"], ["wanted_floor"], name="/floor"),
        node("Cast", ["wanted_floor"], ["wanted"], name="/whole", to=INT64),
        node("Resize", ["large", "", "", "wanted"], ["small"], name="/down", mode="nearest"),
        node("Conv", ["small", w.normal("w2", 12, 8, 3, 3)], ["c2"], name="/conv2", pads=[1, 1, 1, 1]),
        node("GlobalAveragePool", ["c2"], ["g"], name="/pool"),
        node("Flatten", ["g"], ["flat"], name="/flatten"),
        node("Gemm", ["flat", w.normal("w3", 10, 12, scale=1.0), w.normal("b3", 10)], ["z"], name="/fc", transB=1),
        node("ReduceMean", ["z"], ["m"], name="/norm/mean", axes=[-1]),
        node("Sub", ["z", "m"], ["d"], name="/norm/sub"),
        node("Pow", ["d", "two"], ["sq"], name="/norm/pow"),
        node("ReduceMean", ["sq"], ["v"], name="/norm/var", axes=[-1]),
        node("Add", ["v", "eps"], ["ve"], name="/norm/eps"),
        node("Sqrt", ["ve"], ["sd"], name="/norm/sqrt"),
        node("Div", ["d", "sd"], ["normal"], name="/norm/div"),
        node("Where", ["mask", "normal", "far"], ["masked"], name="/mask")
        if with_mask
        else node("Identity", ["normal"], ["masked"], name="/no_mask"),
        node("Softmax", ["masked"], ["p"], name="/softmax", axis=-1),
        node("ReduceMax", ["p"], ["most"], name="/most", keepdims=0),
        node("Greater", ["most", "tenth"], ["condition"], name="/greater"),
        node("If", ["condition"], ["y"], name="/if", then_branch=then, else_branch=other)
        if with_if
        else node("Identity", ["p"], ["y"], name="/same"),
        node("TopK", ["p", "three"], ["top", "which"], name="/topk", axis=-1),
    ]
    outputs = [value("y", FLOAT, batch, 10), value("top", FLOAT, batch, 3), value("which", INT64, batch, 3)]
    return model(nodes, [value("x", FLOAT, batch, 3, 16, 16)], outputs, w.tensors)


def products(factor: float) -> onnx.ModelProto:
    """x [B, 8] -> four products, of which the second multiplies by `factor` and the third by its inverse."""
    w = Weights()
    nodes, last = [], "x"
    for name, scale in (("a", 1.0), ("up", factor), ("down", 1 / factor), ("b", 1.0)):
        target = "y" if name == "b" else f"{name}_out"
        weight = w.given(name, np.eye(8, dtype=np.float32) * scale)
        nodes.append(onnx.helper.make_node("MatMul", [last, weight], [target], name=f"/{name}"))
        last = target
    return model(nodes, [value("x", 1, "n", 8)], [value("y", 1, "n", 8)], w.tensors)
