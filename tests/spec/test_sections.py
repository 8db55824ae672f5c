# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Interpolations that stand for sections, and results folders that interpolations refer to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from nvidia_tao_deploy.errors import SpecError
from nvidia_tao_deploy.spec.common import Experiment, TaskSection
from nvidia_tao_deploy.spec.compose import Composed, compose
from nvidia_tao_deploy.spec.fields import option, section
from tests.makers import write_yaml


@dataclass
class Post:
    threshold: float = option(0.5, "t", minimum=0, maximum=1)
    count: int = option(10, "c")


@dataclass
class Task(TaskSection):
    post: Post = section(Post)


@dataclass
class Spec(Experiment):
    evaluate: Task = section(Task)
    inference: Task = section(Task)


def composed(tmp_path: Path, tree: Any, *overrides: str) -> Composed:
    return compose(Spec, write_yaml(tmp_path / "spec.yaml", tree), overrides)


SHARED = {"evaluate": {"post": {"threshold": 0.3}}, "inference": {"post": "${evaluate.post}"}}


def test_a_section_may_stand_for_another(tmp_path: Path) -> None:
    spec = composed(tmp_path, SHARED).spec
    assert spec.inference.post == spec.evaluate.post == Post(0.3, 10)


def test_overrides_of_the_one_reach_the_other(tmp_path: Path) -> None:
    spec = composed(tmp_path, SHARED, "evaluate.post.threshold=0.4").spec
    assert spec.inference.post.threshold == spec.evaluate.post.threshold == 0.4


def test_overrides_below_the_interpolation_leave_the_other_alone(tmp_path: Path) -> None:
    spec = composed(tmp_path, SHARED, "inference.post.count=3").spec
    assert spec.inference.post == Post(0.3, 3) and spec.evaluate.post == Post(0.3, 10)


def test_a_whole_task_may_stand_for_another(tmp_path: Path) -> None:
    """Its results still go to the folder of the task."""
    tree = {"results_dir": "/r", "evaluate": {"batch_size": 7, "post": {"count": 2}}, "inference": "${evaluate}"}
    spec = composed(tmp_path, tree).spec
    assert spec.inference.batch_size == 7 and spec.inference.post.count == 2
    assert (spec.evaluate.results_dir, spec.inference.results_dir) == ("/r/trt_evaluate", "/r/trt_inference")


def test_a_section_of_training_may_be_referred_to(tmp_path: Path) -> None:
    tree = {"train": {"post": {"threshold": 0.2, "more": 1}}, "evaluate": {"post": "${train.post}"}}
    assert composed(tmp_path, tree).spec.evaluate.post == Post(0.2, 10)


def test_as_an_override(tmp_path: Path) -> None:
    spec = composed(tmp_path, {"evaluate": {"post": {"count": 4}}}, "inference.post=${evaluate.post}").spec
    assert spec.inference.post.count == 4


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("${nothing}", "inference.post: Interpolation key 'nothing' not found"),
        ("${results_dir}", "inference.post: expected a section with keys, found '/r'"),
        ("plain", "inference.post: expected a section with keys, found 'plain'"),
    ],
)
def test_what_it_stands_for_must_be_a_section(tmp_path: Path, value: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        composed(tmp_path, {"results_dir": "/r", "inference": {"post": value}})
    assert message in caught.value.message and "spec.yaml" in caught.value.message


def test_values_are_checked_where_they_arrive(tmp_path: Path) -> None:
    tree = {"train": {"post": {"threshold": 7}}, "evaluate": {"post": "${train.post}"}}
    with pytest.raises(SpecError, match="7 is too large"):
        composed(tmp_path, tree)


# --- results folders --------------------------------------------------------------------------------------------------

ENGINE = {"gen_trt_engine": {"trt_engine": "${gen_trt_engine.results_dir}/m.engine"}}


@pytest.mark.parametrize(
    ("tree", "engine"),
    [
        ({"results_dir": "/r"}, "/r/gen_trt_engine/m.engine"),
        ({"results_dir": "/r/"}, "/r/gen_trt_engine/m.engine"),
        ({"results_dir": "${base}/x", "base": "/b"}, "/b/x/gen_trt_engine/m.engine"),
    ],
)
def test_an_unset_results_dir_means_what_the_rule_gives(tmp_path: Path, tree: dict[str, Any], engine: str) -> None:
    assert composed(tmp_path, {**tree, **ENGINE}).spec.gen_trt_engine.trt_engine == engine


def test_overrides_count(tmp_path: Path) -> None:
    spec = composed(tmp_path, {"results_dir": "/r", **ENGINE}, "results_dir=/other").spec
    assert spec.gen_trt_engine.trt_engine == "/other/gen_trt_engine/m.engine"
    spec = composed(tmp_path, {"results_dir": "/r", **ENGINE}, "gen_trt_engine.results_dir=/own").spec
    assert spec.gen_trt_engine.trt_engine == "/own/m.engine"


def test_tasks_may_refer_to_each_other_s_folders(tmp_path: Path) -> None:
    tree = {
        "results_dir": "/r",
        "export": {"onnx_file": "${export.results_dir}/model.onnx"},
        "gen_trt_engine": {"onnx_file": "${export.onnx_file}", "results_dir": None},
        "evaluate": {"trt_engine": "${gen_trt_engine.results_dir}/m.engine", "results_dir": "???"},
    }
    found = composed(tmp_path, tree)
    assert found.spec.gen_trt_engine.onnx_file == "/r/export/model.onnx"
    assert found.spec.evaluate.trt_engine == "/r/gen_trt_engine/m.engine"
    assert found.spec.evaluate.results_dir == "/r/trt_evaluate"
    assert OmegaConf.to_container(found.config)["export"]["results_dir"] == "/r/export"


@pytest.mark.parametrize("top", ["", "???", None])
def test_without_a_top_folder_nothing_is_set(tmp_path: Path, top: str | None) -> None:
    spec = composed(tmp_path, {"results_dir": top} if top is not None else {"train": {}}).spec
    assert spec.evaluate.results_dir is None and spec.gen_trt_engine.results_dir is None


def test_a_circle_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SpecError):
        composed(tmp_path, {"results_dir": "${evaluate.results_dir}", "evaluate": {"results_dir": "${results_dir}"}})
