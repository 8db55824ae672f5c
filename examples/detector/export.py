# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Export trained weights: one ONNX file with TensorRT's plugin node, one with GridSample, from the same weights.

    python export.py detector.pt

Writes `detector_plugin.onnx` and `detector_gridsample.onnx` beside this script and compares the latter with torch.
Needs torch, onnx and onnxruntime.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import helper

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from detector import variants
from detector.model import QUERIES, SIZE, Detector


def export(model: Detector, path: Path, plugin: bool) -> None:
    """Write one ONNX file: `inputs` [B, 3, 320, 320] -> `pred_logits` [B, 100, 11], `pred_boxes` [B, 100, 4]."""
    model.use_plugin(plugin)
    torch.onnx.export(
        model,
        (torch.zeros(2, 3, SIZE, SIZE),),
        str(path),
        input_names=["inputs"],
        output_names=["pred_logits", "pred_boxes"],
        dynamic_axes={name: {0: "batch"} for name in ("inputs", "pred_logits", "pred_boxes")},
        opset_version=17,
        custom_opsets={"nvidia": 1} if plugin else None,
        dynamo=False,
    )
    graph = onnx.load(path)
    name_plugins(graph)
    for output in graph.graph.output:  # the exporter cannot tell that a reshape to [-1, 100, ...] keeps 100
        output.type.tensor_type.shape.dim[1].dim_value = QUERIES
    graph.doc_string = "Detector of Fashion-MNIST items, Apache-2.0, The TAO Deploy authors"
    if not plugin:
        onnx.checker.check_model(graph, full_check=True)
    onnx.save(graph, path)
    print(f"{path.name}: {path.stat().st_size} bytes, {len(graph.graph.node)} nodes")


def name_plugins(model: onnx.ModelProto) -> None:
    """Give plugin nodes the domain and the attributes that TensorRT's parser looks for."""
    for node in model.graph.node:
        node.doc_string = ""
        if node.op_type == variants.PLUGIN:
            node.domain = ""
            del node.attribute[:]
            for key, value in (("name", variants.PLUGIN), ("version", "1"), ("namespace", "")):
                node.attribute.append(helper.make_attribute(key, value))
    kept = [entry for entry in model.opset_import if entry.domain != "nvidia"]
    del model.opset_import[:]
    model.opset_import.extend(kept)


def compare(model: Detector, path: Path) -> None:
    """Largest difference between torch and ONNX Runtime on three random pictures."""
    pictures = torch.rand(3, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0)) * 4 - 2
    with torch.no_grad():
        wanted = model(pictures)
    found = onnxruntime.InferenceSession(path).run(None, {"inputs": pictures.numpy()})
    for name, a, b in zip(("logits", "boxes"), wanted, found, strict=True):
        print(f"  {name}: largest difference from torch {np.abs(a.numpy() - b).max():.2e}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", type=Path)
    args = parser.parse_args()
    weights = torch.load(args.weights, map_location="cpu", weights_only=True)
    model = Detector(len(weights["classify.0.bias"])).eval()
    model.load_state_dict(weights)
    export(model, variants.WITH_PLUGIN, plugin=True)
    export(model, variants.WITH_GRIDSAMPLE, plugin=False)
    model.use_plugin(False)
    compare(model, variants.WITH_GRIDSAMPLE)


if __name__ == "__main__":
    main()
