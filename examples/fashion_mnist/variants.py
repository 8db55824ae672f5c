# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""The Fashion-MNIST classifier behind the tensors of TAO's TensorFlow classifiers. The weights stay as trained.

* `tf1_model`: `input_1` [B, 3, 112, 112] = BGR - MEAN (Keras's caffe mode) -> `predictions/Softmax` [B, 10].
* `tf2_model`: `input:0` [B, 112, 112, 3] = (RGB / 255 - mean) / 0.224 (torch mode) -> `Identity:0` [B, 10].
* `tasks_model`: `input_1` as tf1 -> `category/Softmax` [B, 10] and `footwear/Softmax` [B, 2], which is no head of its
  own: it adds up the probabilities of the classes that are footwear.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx
from ocr.models import finished, put_in_front, set_tensors
from onnx import TensorProto, helper, numpy_helper

from fashion_mnist.data import CLASSES, MODEL

CAFFE_MEAN = np.array([103.939, 116.779, 123.68])  # blue, green, red
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
TORCH_STD = 0.224
SIZE = 112
FOOTWEAR = ("ankle_boot", "sandal", "sneaker")
TASKS = {"category": CLASSES, "footwear": ("no", "yes")}


def tf1_model() -> onnx.ModelProto:
    """The classifier with classification_tf1's tensors."""
    model = onnx.load(MODEL)
    graph = model.graph
    _from_caffe(graph, "input_1")
    graph.node.append(helper.make_node("Softmax", [graph.output[0].name], ["predictions/Softmax"], axis=1))
    _tensors(graph, "input_1", ["batch", 3, SIZE, SIZE], {"predictions/Softmax": len(CLASSES)})
    return finished(model, "Fashion-MNIST classifier with classification_tf1's tensors, Apache-2.0")


def tf2_model() -> onnx.ModelProto:
    """The classifier with classification_tf2's tensors, channels last."""
    model = onnx.load(MODEL)
    graph = model.graph
    _constant(graph, "to_own_std", (TORCH_STD / STD).reshape(1, 3, 1, 1))
    put_in_front(
        graph,
        [
            helper.make_node("Transpose", ["input:0"], ["channels_first"], name="channels_first", perm=[0, 3, 1, 2]),
            helper.make_node("Mul", ["channels_first", "to_own_std"], [graph.input[0].name], name="normalise"),
        ],
    )
    graph.node.append(helper.make_node("Softmax", [graph.output[0].name], ["Identity:0"], axis=1))
    _tensors(graph, "input:0", ["batch", SIZE, SIZE, 3], {"Identity:0": len(CLASSES)})
    return finished(model, "Fashion-MNIST classifier with classification_tf2's tensors, Apache-2.0")


def tasks_model() -> onnx.ModelProto:
    """The classifier with multitask_classification's tensors."""
    model = onnx.load(MODEL)
    graph = model.graph
    _from_caffe(graph, "input_1")
    is_footwear = np.array([name in FOOTWEAR for name in CLASSES], np.float64)
    _constant(graph, "footwear_columns", np.stack([1 - is_footwear, is_footwear], axis=1))
    graph.node.extend(
        [
            helper.make_node("Softmax", [graph.output[0].name], ["category/Softmax"], axis=1),
            helper.make_node("MatMul", ["category/Softmax", "footwear_columns"], ["footwear/Softmax"], name="footwear"),
        ]
    )
    outputs = {f"{task}/Softmax": len(classes) for task, classes in TASKS.items()}
    _tensors(graph, "input_1", ["batch", 3, SIZE, SIZE], outputs)
    return finished(model, "Fashion-MNIST classifier with multitask_classification's tensors, Apache-2.0")


def write_tables(folder: Path, pictures: Iterable[str]) -> int:
    """Write `labels.csv` (picture, one column per task), `class_mapping.json` and `classmap.json`.

    Args:
        folder: existing folder.
        pictures: names `<class>/<file>`.

    Returns:
        The number of pictures.
    """
    rows = [(name, (label := name.split("/")[0]), "yes" if label in FOOTWEAR else "no") for name in pictures]
    with (folder / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([("fname", *TASKS), *rows])
    mapping = {task: dict(enumerate(classes)) for task, classes in TASKS.items()}
    text = json.dumps({"tasks": list(TASKS), "class_mapping": mapping}, indent=2)
    (folder / "class_mapping.json").write_text(f"{text}\n", encoding="utf-8")
    numbers = {name: index for index, name in enumerate(CLASSES)}
    (folder / "classmap.json").write_text(f"{json.dumps(numbers, indent=2)}\n", encoding="utf-8")
    return len(rows)


def _from_caffe(graph: onnx.GraphProto, name: str) -> None:
    """BGR - CAFFE_MEAN -> (RGB / 255 - MEAN) / STD in front of a graph."""
    scale = 1 / (255 * STD)
    _constant(graph, "rgb", np.array([2, 1, 0]))
    _constant(graph, "normalise_scale", scale.reshape(1, 3, 1, 1))
    _constant(graph, "normalise_shift", (CAFFE_MEAN[::-1] * scale - MEAN / STD).reshape(1, 3, 1, 1))
    put_in_front(
        graph,
        [
            helper.make_node("Gather", [name, "rgb"], ["rgb_order"], name="rgb_order", axis=1),
            helper.make_node("Mul", ["rgb_order", "normalise_scale"], ["normalise_scaled"], name="normalise_mul"),
            helper.make_node("Add", ["normalise_scaled", "normalise_shift"], [graph.input[0].name], name="normalise"),
        ],
    )


def _constant(graph: onnx.GraphProto, name: str, value: np.ndarray) -> None:
    kind = np.int64 if value.dtype.kind == "i" else np.float32
    graph.initializer.append(numpy_helper.from_array(value.astype(kind), name))


def _tensors(graph: onnx.GraphProto, name: str, shape: list[str | int], outputs: dict[str, int]) -> None:
    floats = [(output, TensorProto.FLOAT, ["batch", width]) for output, width in outputs.items()]
    set_tensors(graph, inputs=[(name, TensorProto.FLOAT, shape)], outputs=floats)
