# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Reading spec files: positions in messages, and the readings in which YAML differs from what people mean."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from nvidia_tao_deploy.errors import SpecError
from nvidia_tao_deploy.spec import yaml_file


def read(tmp_path: Path, content: str | bytes) -> yaml_file.SpecFile:
    path = tmp_path / "spec.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return yaml_file.read(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the file is empty"),
        ("# only a comment\n", "the file is empty"),
        ("just words", "expected 'key: value' lines"),
        ("- a\n- b", "expected 'key: value' lines"),
        ("a: [1\nb: 2", ":2:2: not YAML"),
        ("a: 1\n\tb: 2", ":2:1: not YAML"),
        ("a: 'x\nb: 2", ":2:5: not YAML"),
        ("a: 1\n---\nb: 2", ":2:1: not YAML"),
        ("a: !!python/object/apply:os.system [id]", ":1:4: not YAML"),
        (b"\x00\x01\x02", "not YAML: unacceptable character"),
        (b"\x89PNG\r\n\x1a\n", "not a text file (byte 0 is not UTF-8)"),
        ("a: &x {b: *x}", "nested too deeply, or an anchor that contains itself"),
        ("a: " + "[" * 3000, "nested too deeply"),
    ],
)
def test_what_cannot_be_read(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        read(tmp_path, content)
    assert message in caught.value.message
    assert caught.value.message.startswith(str(tmp_path / "spec.yaml"))


def test_missing_file_names_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "right.yaml").touch()
    with pytest.raises(SpecError, match="no such spec file") as caught:
        yaml_file.read(tmp_path / "wrong.yaml")
    assert "right.yaml" in str(caught.value.hint)
    with pytest.raises(SpecError, match="a folder, not a spec file"):
        yaml_file.read(tmp_path)


def test_values_and_lines(tmp_path: Path) -> None:
    spec = read(tmp_path, "\ufeffa:\r\n  lr: 1e-4\r\n  day: 2024-01-02\r\n  flag: yes\r\nb: null\r\n")
    assert spec.tree == {"a": {"lr": 1e-4, "day": "2024-01-02", "flag": True}, "b": None}
    assert spec.lines == {"a": 1, "a.lr": 2, "a.day": 3, "a.flag": 4, "b": 5}
    assert spec.where("a.lr").endswith("spec.yaml:2: a.lr")
    assert spec.where("c").endswith("spec.yaml: c")


def test_repeated_sections_merge_and_are_told(tmp_path: Path) -> None:
    text = "a: {x: 1, y: 2, in: {p: 1, q: [1, 2]}}\na: {y: 3, in: {q: [3]}}\nb: 1\nb: 2\n"
    spec = read(tmp_path, text)
    assert spec.tree == {"a": {"x": 1, "y": 3, "in": {"p": 1, "q": [3]}}, "b": 2}
    assert spec.repeated == ["a", "b"]


def test_anchors_and_merge_keys(tmp_path: Path) -> None:
    spec = read(tmp_path, "base: &base {x: 1, y: 2}\nuse:\n  <<: *base\n  y: 3\n")
    assert spec.tree["use"] == {"x": 1, "y": 3}
    assert not spec.repeated


def test_merge_keys_mean_what_they_mean_in_yaml(tmp_path: Path) -> None:
    text = "a: &a {x: 1, in: {p: 1, q: 2}}\nb: &b {x: 2, z: 5}\nc: &c\n  <<: [*a, *b]\n  in: {q: 3}\nd:\n  e: *c\n"
    spec = read(tmp_path, text)
    assert spec.tree == yaml.safe_load(text)
    assert spec.tree["d"]["e"] == {"x": 1, "z": 5, "in": {"q": 3}}
    assert not spec.repeated
