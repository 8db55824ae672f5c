# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""classification_pyt where class numbers can go wrong: models with raw scores of one, two or more columns, class lists
that are not in alphabetical order, files beside the class folders, pictures without classes. Judged by scikit-learn."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from sklearn.metrics import accuracy_score

from tests.makers import Ran, noise, run_here, status_lines, strict_json, write_yaml
from tests.networks.linear import weights

SIZE, SHARPNESS, COUNT = 12, 40.0, 23
NAMES = ("zebra", "ant", "mole", "bee")  # in the order of training, which is not the alphabet's


class Bench:
    """Pictures of noise in class folders, and a model whose raw scores are a linear function of the pixels."""

    def __init__(self, root: Path, columns: int, classes: int) -> None:
        self.root, self.columns, self.names = root, columns, NAMES[:classes]
        self.files = [
            noise(root / "images" / self.names[index % classes] / f"{index:02d}.png", (SIZE, SIZE), seed=index)
            for index in range(COUNT)
        ]
        self._table, self._offset = SHARPNESS * weights(3 * SIZE * SIZE, columns), np.zeros(columns, np.float32)
        # around 0 for one column; far above 0 for two, where a threshold on the second would take it always
        self._offset = (2 * (columns == 2) - self.scores().mean(axis=0)).astype(np.float32)
        constants = {"table": self._table.astype(np.float32), "offset": self._offset}
        nodes = [
            helper.make_node("Flatten", ["input"], ["flat"], axis=1),
            helper.make_node("MatMul", ["flat", "table"], ["product"]),
            helper.make_node("Add", ["product", "offset"], ["output"]),
        ]
        graph = helper.make_graph(
            nodes,
            "scores",
            [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 3, SIZE, SIZE])],
            [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", columns])],
            [numpy_helper.from_array(value, name) for name, value in constants.items()],
        )
        proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.save(proto, str(root / "m.onnx"))
        (root / "classes.txt").write_text("".join(f"{name}\n" for name in self.names))

    def run(self, subtask: str, images: str = "images", **dataset: Any) -> Ran:
        augmentation = {"mean": [0.0] * 3, "std": [1.0] * 3, "resize": "training"}
        tree = {
            "results_dir": str(self.root / "out"),
            "dataset": {
                "root_dir": str(self.root), "batch_size": 4, "test_dataset": {"images_dir": str(self.root / images)},
                "augmentation": augmentation, **dataset,
            },
            subtask: {"trt_engine": str(self.root / "m.onnx")},
        }  # fmt: skip
        return run_here("classification_pyt", subtask, "-e", write_yaml(self.root / "s.yaml", tree))

    def scores(self) -> np.ndarray:
        """(COUNT,columns) raw scores, computed here; the pictures have the network's size, so nothing is resized."""
        from PIL import Image

        pixels = np.stack([np.asarray(Image.open(file), np.float64).transpose(2, 0, 1) / 255 for file in self.files])
        return pixels.reshape(len(self.files), -1) @ self._table + self._offset

    def predicted(self) -> np.ndarray:
        scores = self.scores()
        return (scores[:, 0] > 0).astype(int) if self.columns == 1 else scores.argmax(axis=1)

    def accuracy(self) -> float:
        return float(accuracy_score([self.names.index(file.parent.name) for file in self.files], self.predicted()))

    def found(self) -> dict[str, float]:
        return strict_json((self.root / "out/trt_evaluate/results.json").read_text())

    def rows(self) -> list[list[str]]:
        return sorted(csv.reader((self.root / "out/trt_inference/result.csv").read_text().splitlines()))


@pytest.mark.parametrize(("columns", "classes"), [(1, 2), (2, 2), (4, 4)])
def test_figures_on_raw_scores(tmp_path: Path, columns: int, classes: int) -> None:
    """One column is the score of the second class; two are compared with each other, not with a threshold; the last
    batch of three counts; classes are numbered as classes.txt lists them."""
    bench = Bench(tmp_path, columns, classes)
    assert 0 < bench.accuracy() < 1 and len(set(bench.predicted())) == classes
    assert columns != 2 or (bench.scores()[:, 1] > 0.5).all()
    (tmp_path / "images/.DS_Store").write_text("stray")
    (tmp_path / "images/a_list.txt").write_text("stray")
    ran = bench.run("evaluate")
    assert ran.code == 0, ran.text
    assert bench.found()["top_k_accuracy"] == pytest.approx(bench.accuracy())
    assert bench.found()["num_samples"] == COUNT
    assert status_lines(tmp_path / "out/trt_evaluate")[-1]["kpi"]["top_1_accuracy"] == pytest.approx(bench.accuracy())


@pytest.mark.parametrize(("columns", "classes"), [(1, 2), (4, 4)])
def test_names_and_probabilities_of_inference(tmp_path: Path, columns: int, classes: int) -> None:
    bench = Bench(tmp_path, columns, classes)
    assert bench.run("inference").code == 0
    scores, best = bench.scores(), bench.predicted()
    powers = np.exp(scores)
    second = 1 / (1 + np.exp(-scores[:, 0]))
    chances = np.maximum(second, 1 - second) if columns == 1 else powers.max(axis=1) / powers.sum(axis=1)
    expected = sorted(zip(map(str, bench.files), [bench.names[k] for k in best], chances, strict=True))
    for (path, name, chance), row in zip(expected, bench.rows(), strict=True):
        assert row[:2] == [path, name] and float(row[2]) == pytest.approx(chance, abs=1e-4)


def test_without_a_class_list_folders_count_in_alphabetical_order(tmp_path: Path) -> None:
    bench = Bench(tmp_path, 4, 4)
    (tmp_path / "images/aaa.txt").write_text("a file is no class")
    bench.names = tuple(sorted(NAMES))
    assert bench.run("evaluate", root_dir="").code == 0
    assert bench.found()["top_k_accuracy"] == pytest.approx(bench.accuracy())


def test_a_flat_folder_without_class_list(tmp_path: Path) -> None:
    bench = Bench(tmp_path, 4, 4)
    for file in bench.files:
        file.rename(tmp_path / "images" / file.name)
    for name in NAMES:
        (tmp_path / "images" / name).rmdir()
    ran = bench.run("inference", root_dir="")
    assert ran.code == 0 and "classes are named by number" in ran.out
    bench.files = [tmp_path / "images" / file.name for file in bench.files]
    assert [row[1] for row in bench.rows()] == [str(best) for best in bench.predicted()]
    ran = bench.run("evaluate", root_dir="")
    assert ran.code == 3 and "no class folders in it" in ran.err


def test_a_class_list_of_another_length(tmp_path: Path) -> None:
    bench = Bench(tmp_path, 4, 4)
    (tmp_path / "classes.txt").write_text("ant\nbee\n")
    for subtask in ("evaluate", "inference"):
        ran = bench.run(subtask)
        assert ran.code == 3 and "2 classes (ant, bee), but the model has 4" in ran.err
        assert status_lines(tmp_path / f"out/trt_{subtask}")[-1]["status"] == "FAILURE"
    assert not (tmp_path / "out/trt_inference/result.csv").exists()
