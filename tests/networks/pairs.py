# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Models of two inputs with answers that are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def save(
    path: Path,
    nodes: list[onnx.NodeProto],
    inputs: dict[str, list[int | str]],
    outputs: dict[str, list[int | str]],
    constants: dict[str, np.ndarray],
) -> Path:
    graph = helper.make_graph(
        nodes,
        "pairs",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString())
    return path


def red_of_tiles(source: str, result: str, tile: tuple[int, int]) -> list[onnx.NodeProto]:
    """Mean of red, 0..1, of each tile in rows and columns; needs the constants of `red_constants`."""
    return [
        helper.make_node("AveragePool", [source], [f"{result}_pooled"], kernel_shape=[*tile], strides=[*tile]),
        helper.make_node("Conv", [f"{result}_pooled", "red", "shift"], [f"{result}_map"], kernel_shape=[1, 1]),
        helper.make_node("Flatten", [f"{result}_map"], [result]),
    ]


def red_constants() -> dict[str, np.ndarray]:
    """ImageNet's normalisation of red undone."""
    return {
        "red": np.array([STD[0], 0, 0], np.float32).reshape(1, 3, 1, 1),
        "shift": np.array([MEAN[0]], np.float32),
    }


def embedder(
    path: Path, tile: tuple[int, int], rows: int, columns: int, batch: int | str = "batch",
    names: tuple[str, ...] = ("output_1", "output_2"), spatial: tuple[int | str, int | str] | None = None,
) -> Path:  # fmt: skip
    """optical_inspection: an embedding is the mean red of each tile, row by row."""
    size = spatial or (rows * tile[0], columns * tile[1])
    view: list[int | str] = [batch, 3, *size]
    nodes = [*red_of_tiles("input_1", names[0], tile), *red_of_tiles("input_2", names[1], tile)]
    outputs: dict[str, list[int | str]] = {name: [batch, rows * columns if spatial is None else "n"] for name in names}
    return save(path, nodes, {"input_1": view, "input_2": view}, outputs, red_constants())


def classifier(
    path: Path, tile: tuple[int, int], count: int, module: str = "euclidean", golden: int = 1, width: int = 0
) -> Path:
    """visual_changenet classify: the largest difference of a tile's mean red, or logits 40 * (difference - 0.25).

    Args:
        golden: pictures of input_2; above 1 their mean counts.
        width: 1 gives the distance a second axis.
    """
    view: list[int | str] = ["batch", 3, count * tile[0], tile[1]]
    nodes, source = [], "input_2"
    if golden > 1:
        nodes.append(helper.make_node("ReduceMean", ["input_2"], ["golden"], axes=[1], keepdims=0))
        source = "golden"
    nodes += [*red_of_tiles("input_1", "one", tile), *red_of_tiles(source, "other", tile)]
    nodes += [helper.make_node("Sub", ["one", "other"], ["gap"]), helper.make_node("Abs", ["gap"], ["size"])]
    constants = red_constants()
    if module == "euclidean":
        nodes.append(helper.make_node("ReduceMax", ["size"], ["output"], axes=[1], keepdims=width))
        shape: list[int | str] = ["batch", 1] if width else ["batch"]
    else:
        constants |= {"gain": np.array([[0, 40]], np.float32), "bias": np.array([0, -10], np.float32)}
        nodes.append(helper.make_node("ReduceMax", ["size"], ["largest"], axes=[1], keepdims=1))
        nodes.append(helper.make_node("Gemm", ["largest", "gain", "bias"], ["output"]))
        shape = ["batch", 2]
    second = view if golden == 1 else ["batch", golden, *view[1:]]
    return save(path, nodes, {"input_1": view, "input_2": second}, {"output": shape}, constants)


def segmenter(
    path: Path, size: int = 16, classes: int = 2, batch: int | str = "batch", final: str = "output_final",
    maps: int = 4, spatial: str = "", mean: float = 0.5, std: float = 0.5,
) -> Path:  # fmt: skip
    """visual_changenet segment: the class of a pixel is that whose level is nearest to |B - A| of red, 0..1.

    Class k stands for k / (classes - 1). Auxiliary maps come first.

    Args:
        final, maps: name of the last output, number of those before it.
        spatial: symbol for open height and width.
        mean, std: the normalisation that the model undoes.
    """
    levels = np.linspace(0, 1, classes, dtype=np.float32).reshape(1, classes, 1, 1)
    constants = {"levels": levels, "pick": np.array([std, 0, 0], np.float32).reshape(1, 3, 1, 1)}
    nodes = [
        helper.make_node("Sub", ["input1", "input0"], ["gap"]),
        helper.make_node("Conv", ["gap", "pick"], ["red"], kernel_shape=[1, 1]),
        helper.make_node("Abs", ["red"], ["change"]),
        helper.make_node("Sub", ["change", "levels"], ["distance"]),
        helper.make_node("Mul", ["distance", "distance"], ["square"]),
        helper.make_node("Neg", ["square"], [final]),
    ]
    pixels: list[int | str] = [spatial or size] * 2
    outputs: dict[str, list[int | str]] = {}
    for index in range(maps):
        step = (16, 16, 8, 4)[index]
        nodes.append(
            helper.make_node("AveragePool", [final], [f"output{index}"], kernel_shape=[step] * 2, strides=[step] * 2)
        )
        outputs[f"output{index}"] = [batch, classes, *([f"s{index}"] * 2 if spatial else [size // step] * 2)]
    outputs[final] = [batch, classes, *pixels]
    view: list[int | str] = [batch, 3, *pixels]
    return save(path, nodes, {"input0": view, "input1": view}, outputs, constants)
