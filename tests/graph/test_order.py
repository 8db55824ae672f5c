# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Graphs whose nodes stand in no usable order."""

from __future__ import annotations

import random

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper

from nvidia_tao_deploy.errors import BuildError
from nvidia_tao_deploy.graph import model as graph_model
from nvidia_tao_deploy.graph.order import sort_nodes
from tests.graph import models


def shuffled(proto: onnx.ModelProto, seed: int) -> onnx.ModelProto:
    result = onnx.ModelProto()
    result.CopyFrom(proto)
    nodes = list(proto.graph.node)
    random.Random(seed).shuffle(nodes)
    del result.graph.node[:]
    result.graph.node.extend(nodes)
    return result


@pytest.mark.parametrize("seed", range(4))
def test_a_model_that_onnx_s_checker_refuses_is_loaded(tmp_path, seed):
    proto = models.awkward()  # its If reads values from outside
    mixed = shuffled(proto, seed)
    with pytest.raises(onnx.checker.ValidationError, match="topologically sorted"):
        onnx.checker.check_model(mixed)
    path = tmp_path / "model.onnx"
    onnx.save(mixed, path)
    loaded = graph_model.load(path)
    onnx.checker.check_model(loaded.proto, full_check=True)
    feeds = {"x": np.random.default_rng(seed).uniform(0, 255, (2, 3, 16, 16)).astype(np.float32)}
    expected, found = (
        onnxruntime.InferenceSession(item.SerializeToString()).run(None, feeds) for item in (proto, loaded.proto)
    )
    for want, have in zip(expected, found, strict=True):
        np.testing.assert_array_equal(want, have)


def test_a_model_in_order_is_not_touched():
    proto = models.awkward()
    before = proto.SerializeToString(deterministic=True)
    assert not sort_nodes(proto.graph)
    assert proto.SerializeToString(deterministic=True) == before


def test_the_body_of_an_if():
    proto = models.awkward()
    body = next(node for node in proto.graph.node if node.op_type == "If").attribute[0].g
    body.node.append(body.node[0])
    body.node[0].CopyFrom(helper.make_node("Neg", [body.output[0].name], ["last"]))
    body.output[0].name = "last"
    with pytest.raises(onnx.checker.ValidationError, match="topologically sorted"):
        onnx.checker.check_model(proto)
    assert sort_nodes(proto.graph)
    onnx.checker.check_model(proto)


def test_a_cycle_is_reported_as_such(tmp_path):
    proto = models.classifier()
    proto.graph.node[0].input[0] = proto.graph.node[2].output[0]
    onnx.save(proto, tmp_path / "model.onnx")
    with pytest.raises(BuildError, match="not a valid ONNX model"):
        graph_model.load(tmp_path / "model.onnx")
