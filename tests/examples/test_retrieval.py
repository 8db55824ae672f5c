# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""The embedding model is the classifier without its last layer; gallery and queries do not overlap."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from fashion_mnist import data, embedding
from onnx import numpy_helper
from PIL import Image


def test_the_last_layer_on_the_embedding_gives_the_classifier() -> None:
    classifier, cut = onnx.load(data.MODEL), embedding.embedding_model()
    weights = {item.name: numpy_helper.to_array(item) for item in classifier.graph.initializer}
    last = classifier.graph.node[-1]
    pictures = np.random.default_rng(0).normal(size=(4, 3, 112, 112)).astype(np.float32)
    features = onnxruntime.InferenceSession(cut.SerializeToString()).run(["fc_pred"], {"input": pictures})[0]
    logits = onnxruntime.InferenceSession(str(data.MODEL)).run(["output"], {"input": pictures})[0]
    assert np.allclose(features @ weights[last.input[1]].T + weights[last.input[2]], logits, atol=1e-4)
    assert not {last.input[1], last.input[2]} & {item.name for item in cut.graph.initializer}


def test_a_model_that_is_no_classifier_is_refused(tmp_path: Path) -> None:
    model = onnx.load(data.MODEL)
    del model.graph.node[-1]
    onnx.save(model, str(tmp_path / "x.onnx"))
    with pytest.raises(ValueError, match="expected the Gemm of a classifier"):
        embedding.embedding_model(tmp_path / "x.onnx")


def test_gallery_and_queries(tmp_path: Path) -> None:
    assert embedding.write_retrieval(tmp_path, 120, 20) == (100, 20)
    pictures, labels = data.read_pictures()
    for part, numbers in (("gallery", range(100)), ("query", range(100, 120))):
        assert sorted(int(file.stem) for file in (tmp_path / part).rglob("*.png")) == list(numbers)
    for file in (tmp_path / "query").rglob("*.png"):
        index = int(file.stem)
        assert file.parent.name == data.CLASSES[labels[index]]
        assert (np.asarray(Image.open(file))[4:-4, 4:-4] == pictures[index]).all()
    lines = (tmp_path / "classes.yaml").read_text(encoding="utf-8").splitlines()
    assert "ankle_boot: ankle boot" in lines and len(lines) == 10
