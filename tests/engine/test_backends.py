# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Choosing a backend, and telling engine files apart by their content."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nvidia_tao_deploy.engine import backends
from nvidia_tao_deploy.engine.backends import choose, get, load_engine
from nvidia_tao_deploy.errors import EngineError, SpecError
from tests.makers import tiny_model


def without_tensorrt(monkeypatch: pytest.MonkeyPatch, reason: str | None = "no GPU here") -> None:
    monkeypatch.setattr(type(get("tensorrt")), "unavailable", lambda self: reason)


def test_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAO_DEPLOY_BACKEND", "tensorrt")
    assert choose("onnxruntime").name == "onnxruntime"  # the spec beats the variable
    monkeypatch.setenv("TAO_DEPLOY_BACKEND", " OnnxRuntime ")
    assert choose("auto").name == "onnxruntime"


def test_auto_takes_tensorrt_where_it_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TAO_DEPLOY_BACKEND", raising=False)
    without_tensorrt(monkeypatch, None)
    assert choose("auto").name == "tensorrt"


def test_auto_falls_back_with_one_warning(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.delenv("TAO_DEPLOY_BACKEND", raising=False)
    without_tensorrt(monkeypatch)
    assert choose("auto").name == "onnxruntime"
    warnings = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert warnings == ["Building for ONNX Runtime instead of TensorRT: no GPU here"]


def test_what_is_asked_for_by_name_is_never_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    without_tensorrt(monkeypatch)
    with pytest.raises(SpecError, match=r"gen_trt_engine\.backend=tensorrt, but .*: no GPU here"):
        choose("tensorrt")
    monkeypatch.setenv("TAO_DEPLOY_BACKEND", "tensorrt")
    with pytest.raises(SpecError, match="TAO_DEPLOY_BACKEND=tensorrt, but"):
        choose("auto")
    monkeypatch.setenv("TAO_DEPLOY_BACKEND", "trt")
    with pytest.raises(SpecError, match="TAO_DEPLOY_BACKEND: unknown backend 'trt'; known: auto, onnxruntime"):
        choose("auto")


def test_content_counts_not_the_name(tmp_path: Path) -> None:
    path = tiny_model(tmp_path / "x.engine")
    with load_engine(path) as engine:
        assert engine.outputs[0].name == "output"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "evaluate.trt_engine: {path}: no such file"),
        (lambda path: path.mkdir(), "evaluate.trt_engine: {path}: cannot be read: Is a directory"),
        (lambda path: path.write_bytes(b""), "evaluate.trt_engine: {path}: the file is empty"),
        (lambda path: path.write_bytes(b"words and no engine" * 9), "neither a TensorRT engine nor an ONNX model"),
        (lambda path: path.write_bytes(b"\x08"), "neither a TensorRT engine nor an ONNX model"),
    ],
)
def test_files_that_are_no_engine(tmp_path: Path, make: object, message: str) -> None:
    path = tmp_path / "x.engine"
    make(path)  # type: ignore[operator]
    with pytest.raises(EngineError) as caught:
        load_engine(path, key="evaluate.trt_engine")
    assert message.format(path=path) in caught.value.message
    assert caught.value.exit_code == 5 and "gen_trt_engine" in str(caught.value.hint)


@pytest.mark.parametrize("cut", [20, 200, -30, -1])
def test_a_truncated_or_damaged_onnx_engine(tmp_path: Path, cut: int) -> None:
    path = tiny_model(tmp_path / "x.engine")
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(EngineError) as caught:
        load_engine(path)
    assert str(path) in caught.value.message and "\n" not in caught.value.message
    path.write_bytes(path.read_bytes()[:10] + os.urandom(500))
    with pytest.raises(EngineError):
        load_engine(path)


def test_names_and_modules_agree() -> None:
    for name in backends.BACKENDS:
        assert get(name).name == name


def test_no_file_is_two_backends(tmp_path: Path) -> None:
    model = tiny_model(tmp_path / "m.onnx").read_bytes()[:64]
    for head in (model, b"ftrt" + bytes(60), b"vtrt" + bytes(60), bytes(64), b"PK\x03\x04" + bytes(60)):
        assert sum(get(name).recognises(head) for name in backends.BACKENDS) <= 1
    assert get("onnxruntime").recognises(model)
