# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""The json file beside an engine: what it says, and what it is checked for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nvidia_tao_deploy.engine import metadata
from nvidia_tao_deploy.engine.contract import BuildPlan, Built, LayerPrecision, Profile
from nvidia_tao_deploy.graph import model as graph
from tests.makers import strict_json, tiny_model


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    model = graph.load(tiny_model(tmp_path / "m.onnx"))
    size = (1, 3, 16, 16)
    plan = BuildPlan("fp16", {"input": Profile(size, size, size)}, layers_precision=(LayerPrecision("*", "fp32"),))
    facts = metadata.facts("dino", "onnxruntime", model, plan, Built(b"12345", {"loss": float("nan")}), 1.5)
    path = tmp_path / "x.engine"
    path.write_bytes(b"12345")
    metadata.path_of(path).write_text(metadata.text(facts))
    return path


def test_content(engine: Path) -> None:
    assert metadata.path_of(engine).name == "x.engine.json"
    facts = strict_json(metadata.path_of(engine).read_text())
    assert facts == metadata.read(engine)
    assert facts["precision"] == "fp16" and facts["layers_precision"] == ["*:fp32"] and facts["engine_bytes"] == 5
    assert facts["details"] == {"loss": None} and facts["onnx"]["file"] == "m.onnx"
    assert str(engine.parent) not in metadata.path_of(engine).read_text()  # no path of the machine that built it


def test_mismatch(engine: Path) -> None:
    assert metadata.mismatch(engine, "dino") is None
    assert "was built for 'dino' and is run as 'rtdetr'" in str(metadata.mismatch(engine, "rtdetr"))
    engine.write_bytes(b"123456")
    assert "describes another file" in str(metadata.mismatch(engine, "dino"))


def test_an_engine_without_facts_is_fine(tmp_path: Path) -> None:
    (tmp_path / "y.engine").write_bytes(b"1")
    assert metadata.mismatch(tmp_path / "y.engine", "dino") is None


def age(path: Path, seconds: int) -> None:
    now = path.stat().st_mtime_ns + seconds * 1_000_000_000
    os.utime(path, ns=(now, now))


def test_a_json_of_somebody_else(engine: Path) -> None:
    """Beside engines of other tools lie files of the same name."""
    content = '{"classes": ["a", "b"], "probabilities": 1, "onnx": "m.onnx", "network": ["x"]}'
    metadata.path_of(engine).write_text(content)
    assert metadata.class_count(engine, "output") is None and metadata.is_probability(engine, "output") is None
    os.utime(engine, (0, 0))
    assert metadata.outdated(engine, engine.parent / "m.onnx") is None


def test_a_model_that_changed_since(engine: Path) -> None:
    model = engine.parent / "m.onnx"
    age(model, 100)
    assert metadata.outdated(engine, model) is None  # newer, the same content
    model.write_bytes(model.read_bytes() + b"\x12\x01x")  # producer_name: x
    age(model, 100)
    text = str(metadata.outdated(engine, model))
    assert str(engine) in text and str(model) in text and "Run gen_trt_engine again" in text
    age(model, -1000)
    assert metadata.outdated(engine, model) is None  # older than the engine: not read at all


@pytest.mark.parametrize("content", [None, b"no model"])
def test_a_model_that_tells_nothing(engine: Path, content: bytes | None) -> None:
    model = engine.parent / "other.onnx"
    if content is not None:
        model.write_bytes(content)
        age(model, 100)
    assert metadata.outdated(engine, model) is None


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b"null"])
def test_broken_facts_are_left_aside_with_a_warning(
    engine: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    metadata.path_of(engine).write_bytes(content)
    assert metadata.mismatch(engine, "rtdetr") is None
    assert "x.engine.json" in caplog.text and "left aside" in caplog.text


@pytest.mark.parametrize("head", ["logits", "sigmoid"])
def test_whether_a_score_is_a_probability(tmp_path: Path, head: str) -> None:
    """From the model, for a plan from the json beside it; a json of another file must not be believed."""
    model = graph.load(tiny_model(tmp_path / "m.onnx", columns=1, head=head))
    assert metadata.is_probability(model.source, "output") is (head == "sigmoid")
    plan = tmp_path / "x.engine"
    plan.write_bytes(b"12345")
    assert metadata.is_probability(plan, "output") is None
    facts = metadata.facts("classification_pyt", "tensorrt", model, BuildPlan(), Built(b"12345", {}), 1.0)
    metadata.path_of(plan).write_text(metadata.text(facts))
    assert metadata.is_probability(plan, "output") is (head == "sigmoid")
    plan.write_bytes(b"another file")
    assert metadata.is_probability(plan, "output") is None


@pytest.mark.parametrize(("content", "count"), [(b"12345", 7), (b"another file", None)])
def test_class_count_of_a_plan_comes_from_the_json(tmp_path: Path, content: bytes, count: int | None) -> None:
    """A plan does not show how many classes its ArgMax chooses among; a json of another file must not be believed."""
    import onnx
    from onnx import TensorProto, helper

    nodes = [helper.make_node("ArgMax", ["scores"], ["ids"], axis=2, keepdims=0)]
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["B", 5, 7])
    ids = helper.make_tensor_value_info("ids", TensorProto.INT64, ["B", 5])
    made = helper.make_model(
        helper.make_graph(nodes, "ctc", [scores], [ids]), opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )
    onnx.save(made, tmp_path / "m.onnx")
    model = graph.load(tmp_path / "m.onnx")
    assert metadata.class_count(tmp_path / "m.onnx", "ids") == 7
    plan = tmp_path / "x.engine"
    plan.write_bytes(content)
    assert metadata.class_count(plan, "ids") is None  # nothing beside it yet
    facts = metadata.facts("ocrnet", "tensorrt", model, BuildPlan(), Built(b"12345", {}), 1.0)
    metadata.path_of(plan).write_text(metadata.text(facts))
    assert metadata.class_count(plan, "ids") == count
