# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""MultiscaleDeformableAttnPlugin_TRT as GridSample, against the definition written out point by point."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from nvidia_tao_deploy.errors import BuildError
from nvidia_tao_deploy.graph import plugins
from tests.graph import models


def run(model: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, feeds)[0]


@pytest.mark.parametrize("domain", ["nvidia", "", "trt.plugins"])
@pytest.mark.parametrize("opset", [13, 17, 20])
@pytest.mark.parametrize("batch", ["batch", 2])
def test_agrees_with_the_definition(domain, opset, batch):
    model, done = plugins.rewrite(models.attention(domain, opset, batch))
    assert done == ["MultiscaleDeformableAttnPlugin_TRT x1 -> GridSample"]
    assert model.opset_import[0].version == max(opset, 16)
    assert {node.domain for node in model.graph.node} == {""}
    for count in (1, 3) if batch == "batch" else (2,):
        feeds = models.attention_feeds(count)
        np.testing.assert_allclose(run(model, feeds), models.attention_expected(feeds), atol=1e-5)


def test_the_model_given_is_not_changed():
    model = models.attention()
    before = model.SerializeToString(deterministic=True)
    plugins.rewrite(model)
    assert model.SerializeToString(deterministic=True) == before


def test_points_exactly_on_the_border_and_far_outside():
    feeds = models.attention_feeds(1)
    corners = np.array([[0, 0], [1, 1], [0, 1], [-5, 0.5], [0.5, 9], [1e6, -1e6]], np.float32)
    feeds["locations"].reshape(-1, 2)[: len(corners)] = corners
    model, _ = plugins.rewrite(models.attention())
    np.testing.assert_allclose(run(model, feeds), models.attention_expected(feeds), atol=1e-5)


def test_level_sizes_computed_from_the_input_shape():
    """A tracer that kept the arithmetic: sizes of a feature map, read by Shape, stacked to spatial_shapes."""
    w = models.Weights()
    node = helper.make_node
    nodes = [
        node("Shape", ["map"], ["shape"]),
        node("Slice", ["shape", w.given("two", [2], np.int64), w.given("four", [4], np.int64)], ["hw"]),
        node("Unsqueeze", ["hw", w.given("zero", [0], np.int64)], ["shapes64"]),
        node("Cast", ["shapes64"], ["shapes"], to=6),
        node(models.ATTENTION, ["value", "shapes", w.given("starts", [0], np.int32), "locations", "weights"], ["y"],
             name="/attention", domain="nvidia"),
    ]  # fmt: skip
    inputs = [
        models.value("map", 1, "n", 3, 4, 5), models.value("value", 1, "n", 20, 2, 4),
        models.value("locations", 1, "n", 6, 2, 1, 3, 2), models.value("weights", 1, "n", 6, 2, 1, 3),
    ]  # fmt: skip
    proto = models.model(nodes, inputs, [models.value("y", 1, "n", 6, 2, 4)], w.tensors, domains=("nvidia",))
    model, _ = plugins.rewrite(proto)
    random = np.random.default_rng(0)
    feeds = {
        "map": np.zeros((2, 3, 4, 5), np.float32),
        "value": random.normal(size=(2, 20, 2, 4)).astype(np.float32),
        "locations": random.random((2, 6, 2, 1, 3, 2)).astype(np.float32),
        "weights": np.ones((2, 6, 2, 1, 3), np.float32),
    }
    used = {value.name for value in model.graph.input}
    found = run(model, {name: array for name, array in feeds.items() if name in used})
    x, y = (feeds["locations"][1, 5, 1, 0, :, axis] * size - 0.5 for axis, size in ((0, 5), (1, 4)))
    grid = feeds["value"][1, :, 1].reshape(4, 5, 4)
    expected = sum(models._bilinear(grid, x[p], y[p]) for p in range(3))
    np.testing.assert_allclose(found[1, 5, 1], expected, atol=1e-5)


def test_sizes_that_depend_on_the_input_are_refused():
    proto = models.attention()
    del proto.graph.node[0]
    proto.graph.input.append(models.value("shapes", 6, 3, 2))
    with pytest.raises(BuildError, match="'/encoder/attention': spatial_shapes and level_start_index depend") as caught:
        plugins.rewrite(proto)
    assert "fixed height and width" in caught.value.hint


def test_levels_that_need_more_rows_than_there_are():
    proto = models.attention()
    shapes = next(tensor for tensor in proto.graph.initializer if tensor.name == "shapes64")
    shapes.CopyFrom(numpy_helper.from_array(np.array([[8, 6], [4, 3], [20, 2]], np.int64), "shapes64"))
    with pytest.raises(BuildError, match="the levels need 100 rows of value; it has 64"):
        plugins.rewrite(proto)


def test_wrong_number_of_inputs():
    proto = models.attention()
    proto.graph.node[2].input.pop()
    with pytest.raises(BuildError, match="4 inputs and 1 outputs; expected 5 and 1"):
        plugins.rewrite(proto)
