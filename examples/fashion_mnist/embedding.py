# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""The classifier without its last layer: an embedding model with the tensors of `ml_recog`, and a gallery to search.

The features were trained to classify, not by metric learning; that neighbours in them are alike is what makes the last
layer's work easy.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper
from PIL import Image

from fashion_mnist import data

OUTPUT = "fc_pred"
QUERIES = 1000
"""The last so many test pictures are queries, all before them the gallery."""


def embedding_model(source: Path = data.MODEL) -> onnx.ModelProto:
    """`input` [batch, 3, 112, 112] -> `fc_pred` [batch, features]: what goes into the classifier's last Gemm."""
    model = onnx.load(source)
    graph = model.graph
    last = graph.node[-1]
    if last.op_type != "Gemm":
        raise ValueError(f"{source}: ends in {last.op_type}; expected the Gemm of a classifier")
    weights = {item.name: item for item in graph.initializer}
    features = weights[last.input[1]].dims[1]
    graph.node.remove(last)
    for name in last.input[1:]:
        graph.initializer.remove(weights[name])
    for node in graph.node:
        node.output[:] = [OUTPUT if name == last.input[0] else name for name in node.output]
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["batch", features]))
    model.doc_string = "Features of a Fashion-MNIST classifier, Apache-2.0, The TAO Deploy authors"
    onnx.checker.check_model(model, full_check=True)
    return model


def write_retrieval(folder: Path, count: int | None = None, queries: int = QUERIES) -> tuple[int, int]:
    """Write `gallery/<class>/<number>.png`, `query/<class>/<number>.png` and `classes.yaml`, the class map.

    Args:
        folder: must not hold these.
        count: use the first so many pictures in file order; None takes all 10,000.
        queries: the last so many of them.

    Returns:
        The number of pictures in the gallery and of queries. The number in a file name is the picture's index in the
        original file.
    """
    pictures, labels = (part[:count] for part in data.read_pictures())
    pictures = data.with_border(pictures)
    first_query = len(pictures) - queries
    for index, (picture, label) in enumerate(zip(pictures, labels.tolist(), strict=True)):
        part = "gallery" if index < first_query else "query"
        target = folder / part / data.CLASSES[label]
        target.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.ascontiguousarray(picture)).save(target / f"{index:05d}.png")
    lines = [f"{name}: {name.replace('_', ' ')}\n" for name in data.CLASSES]
    (folder / "classes.yaml").write_text("".join(lines), encoding="utf-8")
    return first_query, queries
