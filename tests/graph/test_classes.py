# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Whether a single score is a probability, by how a model ends."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from nvidia_tao_deploy.graph import classes

ENDS = {
    "sigmoid": ([("Sigmoid", {})], True),
    "clipped": ([("Sigmoid", {}), ("Clip", {})], True),
    "sliced softmax": ([("Softmax", {"axis": 1}), ("Gather", {"axis": 1})], True),
    "flattened": ([("Sigmoid", {}), ("Flatten", {}), ("Cast", {"to": TensorProto.FLOAT})], True),
    "logits": ([], False),
    "flattened logits": ([("Flatten", {})], False),
    "something else": ([("Abs", {})], None),
}


@pytest.mark.parametrize(("ends", "known"), ENDS.values(), ids=ENDS)
@pytest.mark.parametrize("in_function", [False, True])
def test_how_a_model_ends(ends, known, in_function, tmp_path):
    nodes, last = [helper.make_node("MatMul", ["x", "w"], ["v0"])], "v0"
    for index, (op, options) in enumerate(ends, 1):
        more = ["one"] if op == "Gather" else []
        nodes.append(helper.make_node(op, [last, *more], [f"v{index}"], **options))
        last = f"v{index}"
    functions = []
    if in_function and ends:
        opsets = [helper.make_opsetid("", 17)]
        functions = [helper.make_function("own", "Head", ["v0", "one"], [last], nodes[1:], opsets)]
        nodes = [nodes[0], helper.make_node("Head", ["v0", "one"], [last], domain="own")]
    graph = helper.make_graph(
        nodes, "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 3))],
        [helper.make_tensor_value_info(last, TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.ones((3, 2), np.float32), "w"), numpy_helper.from_array(np.array([1]), "one")],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    model = helper.make_model(graph, opset_imports=opsets, functions=functions, ir_version=8)
    onnx.save(model, tmp_path / "m.onnx")
    assert classes.is_probability(tmp_path / "m.onnx", last) is known


def test_a_plan_does_not_tell(tmp_path):
    (tmp_path / "x.engine").write_bytes(b"ftrt 123")
    assert classes.is_probability(tmp_path / "x.engine", "output") is None
