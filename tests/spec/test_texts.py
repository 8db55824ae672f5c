# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Paths in the home folder, variables in the shell's form, and what is left at ???."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from nvidia_tao_deploy.errors import SpecError
from nvidia_tao_deploy.spec.compose import compose, require
from tests.spec.test_compose import Spec


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def composed(tmp_path: Path, tree: dict, *overrides: str):
    path = tmp_path / "spec.yaml"
    path.write_text(yaml.safe_dump(tree), encoding="utf-8")
    return compose(Spec, path, overrides).spec


def test_home_folder_in_the_file(tmp_path: Path, home: Path) -> None:
    tree = {"results_dir": "~/r", "dataset": {"folder": "~"}, "evaluate": {"trt_engine": "${results_dir}/m.engine"}}
    spec = composed(tmp_path, tree)
    assert (spec.results_dir, spec.dataset.folder) == (f"{home}/r", str(home))
    assert spec.evaluate.results_dir == f"{home}/r/trt_evaluate"
    assert spec.evaluate.trt_engine == f"{home}/r/m.engine"


@pytest.mark.parametrize("text", ["~/a b,c", "~/x=y", "~/plain", "'~/quoted'"])
def test_home_folder_in_an_override(tmp_path: Path, home: Path, text: str) -> None:
    spec = composed(tmp_path, {}, f"dataset.folder={text}", f"evaluate={{trt_engine: '{text.strip(chr(39))}'}}")
    assert spec.dataset.folder == spec.evaluate.trt_engine == str(home) + text.strip("'").removeprefix("~")


def test_home_folders_in_a_list(tmp_path: Path, home: Path) -> None:
    tree = {"gen_trt_engine": {"tensorrt": {"calibration": {"cal_image_dir": ["~/a", "/b", "c~/d"]}}}}
    folders = composed(tmp_path, tree).gen_trt_engine.tensorrt.calibration.cal_image_dir
    assert folders == [f"{home}/a", "/b", "c~/d"]


@pytest.mark.parametrize("override", [(), ("results_dir='$RES/x'",), ("dataset={folder: $RES/x}",)])
def test_a_shell_s_variable_is_refused(tmp_path: Path, override: tuple[str, ...]) -> None:
    with pytest.raises(SpecError) as caught:
        composed(tmp_path, {} if override else {"results_dir": "$RES/x"}, *override)
    assert "'$RES/x' begins with a shell's variable" in caught.value.message
    assert ("Override" if override else "spec.yaml:1: results_dir") in caught.value.message
    assert caught.value.hint == "Write ${oc.env:RES}/x"


@pytest.mark.parametrize("text", ["$", "$/x", "a$B/x", "$B", "$1/x"])
def test_other_dollars_stay(tmp_path: Path, text: str) -> None:
    assert composed(tmp_path, {"dataset": {"folder": text}}).dataset.folder == text


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("${oc.env:NO_SUCH}/x", "the environment variable 'NO_SUCH' is not set", "${oc.env:NO_SUCH,VALUE}"),
        ("${NO_SUCH}/x", "Interpolation key 'NO_SUCH' not found", "${oc.env:NO_SUCH}"),
        ("${there}/x", "Interpolation key 'there' not found", "${oc.env:there}"),
        ("${nowhere}/x", "Interpolation key 'nowhere' not found", None),
        ("${env:HOME}/x", "Unsupported interpolation type env", "${oc.env:NAME}"),
    ],
)
def test_interpolations_that_lead_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str, hint: str | None
) -> None:
    monkeypatch.setenv("there", "/somewhere")
    with pytest.raises(SpecError) as caught:
        composed(tmp_path, {"results_dir": text})
    assert "spec.yaml:1: results_dir: " in caught.value.message and message in caught.value.message
    assert caught.value.hint is None if hint is None else hint in str(caught.value.hint)


def test_a_list_left_at_question_marks_is_not_set(tmp_path: Path) -> None:
    spec = composed(tmp_path, {"gen_trt_engine": {"tensorrt": {"calibration": {"cal_image_dir": ["???"]}}}})
    with pytest.raises(SpecError, match="cal_image_dir is not set"):
        require(spec, "gen_trt_engine.tensorrt.calibration.cal_image_dir")


@pytest.mark.parametrize("value", ["{sizes: 3}", "{sizes: [3]}"])
def test_a_single_value_for_a_list_within_a_section(tmp_path: Path, value: str) -> None:
    assert composed(tmp_path, {}, f"dataset={value}").dataset.sizes == [3]
