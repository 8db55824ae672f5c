# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""The detector's ONNX files and the variant of them that `rtdetr` takes.

As exported, the model has the tensors of `deformable_detr` and `dino`: ImageNet-normalised input, and logits whose
column is the category id (column 0 unused). `rtdetr` wants pixels in 0..1 and labels from 0. That is the same network
with the normalisation in front and the first column cut off, so no second set of weights is kept.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

HERE = Path(__file__).resolve().parent
PLUGIN = "MultiscaleDeformableAttnPlugin_TRT"
WITH_PLUGIN = HERE / "detector_plugin.onnx"
WITH_GRIDSAMPLE = HERE / "detector_gridsample.onnx"

MEAN = np.array([0.485, 0.456, 0.406], np.float32).reshape(1, 3, 1, 1)
STD = np.array([0.229, 0.224, 0.225], np.float32).reshape(1, 3, 1, 1)


def rtdetr_model(path: Path) -> onnx.ModelProto:
    """The model of a file with rtdetr's tensors: `inputs` in 0..1, `pred_logits` [B, 100, 10] with labels from 0."""
    model = onnx.load(path)
    graph = model.graph
    for node in graph.node:
        node.input[:] = ["normalised" if name == "inputs" else name for name in node.input]
        node.output[:] = ["all_logits" if name == "pred_logits" else name for name in node.output]
    logits = next(output for output in graph.output if output.name == "pred_logits")
    columns = logits.type.tensor_type.shape.dim[2]
    constants = {
        "mean": MEAN,
        "std": STD,
        "first": np.array([1], np.int64),
        "end": np.array([columns.dim_value], np.int64),
        "axis": np.array([2], np.int64),
    }
    graph.initializer.extend(numpy_helper.from_array(value, f"rtdetr_{name}") for name, value in constants.items())
    rest, cut = list(graph.node), ["rtdetr_first", "rtdetr_end", "rtdetr_axis"]
    del graph.node[:]
    graph.node.extend(
        [
            helper.make_node("Sub", ["inputs", "rtdetr_mean"], ["centred"], name="subtract_mean"),
            helper.make_node("Div", ["centred", "rtdetr_std"], ["normalised"], name="divide_by_std"),
            *rest,
            helper.make_node("Slice", ["all_logits", *cut], ["pred_logits"], name="drop_column_0"),
        ]
    )
    columns.dim_value -= 1
    model.doc_string += "; with rtdetr's tensors"
    return model


def plugin_nodes(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """The deformable attention nodes of a model."""
    return [node for node in model.graph.node if node.op_type == PLUGIN]
