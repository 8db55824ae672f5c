# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""model_agnostic: the network that the spec names, with all that its own command does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from nvidia_tao_deploy import registry
from tests.conftest import ColourJob
from tests.makers import Ran, run_command, run_here, status_lines, strict_json, write_yaml


def agnostic(*words: object) -> Ran:
    return run_here(registry.AGNOSTIC, "", *words)


def named(colours: ColourJob, name: Any) -> Path:
    return write_yaml(colours.root / "named.yaml", {"model_name": name, **colours.tree()})


def test_all_subtasks(colours: ColourJob) -> None:
    spec = named(colours, "classification_pyt")
    for subtask in ("gen_trt_engine", "evaluate", "inference"):
        ran = agnostic(subtask, "-e", spec)
        assert ran.code == 0, ran.text
    results = strict_json((colours.results / "trt_evaluate" / "results.json").read_text())
    assert results["top_k_accuracy"] == 1.0
    lines = status_lines(colours.results / "trt_evaluate")
    assert lines[0]["message"] == "Starting classification_pyt trt_evaluate."
    assert colours.engine.is_file()


@pytest.mark.parametrize(
    "words", [["-e=SPEC", "evaluate"], ["evaluate", "--experiment_spec_file=SPEC"], ["evaluate", "-eSPEC"]]
)
def test_forms_of_the_command_line(colours: ColourJob, words: list[str]) -> None:
    spec = named(colours, "classification_pyt")
    ran = agnostic(*(word.replace("SPEC", str(spec)) for word in words), "dataset.batch_size=2")
    assert ran.code == 0, ran.text


def test_as_a_process(colours: ColourJob) -> None:
    ran = run_command(registry.AGNOSTIC, "evaluate", "-e", named(colours, "classification_pyt"))
    assert ran.code == 0 and "Accuracy" in ran.out, ran.text


def test_the_name_on_the_command_line_wins(colours: ColourJob) -> None:
    spec = named(colours, "dino")
    for words in (["--model_name", "classification_pyt"], ["model_name=classification_pyt"]):
        ran = agnostic("evaluate", "-e", spec, *words)
        assert ran.code == 0, ran.text


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (None, "model_name is not set"),
        ("", "model_name is not set"),
        ("???", "model_name is not set"),
        (3, "model_name is '3'"),
        ("classification_pty", "'classification_pty' is not a supported model"),
        ("os", "'os' is not a supported model"),
        ("model_agnostic", "'model_agnostic' is not a supported model"),
    ],
)
def test_names_that_are_none(colours: ColourJob, name: Any, message: str) -> None:
    ran = agnostic("evaluate", "-e", named(colours, name))
    assert ran.code == 2 and message in ran.err
    assert all(network in ran.err for network in registry.NETWORKS)
    last = colours.status("evaluate")[-1]
    assert last["status"] == "FAILURE" and message in str(last["message"])
    assert ("Did you mean 'classification_pyt'?" in ran.err) == (name == "classification_pty")


def test_a_spec_without_the_key(colours: ColourJob) -> None:
    ran = agnostic("evaluate", "-e", colours.spec)
    assert ran.code == 2 and f"{colours.spec}: model_name is not set" in ran.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("evaluate",), "no spec file is given"),
        (("evaluate", "-e", "/nothing/at/all.yaml"), "no such spec file"),
        (("default_specs", "-m"), "-m needs the name of a model"),
        (("default_specs",), "default_specs needs the name of a model: -m MODEL"),
        (("default_specs", "-m", "nothing"), "'nothing' is not a supported model"),
        (("default_specs", "-m", "mae"), "results_dir is not set"),
        (("evaluate", "-m", "mae"), "unknown subtask 'evaluate'"),
    ],
)
def test_bad_command_lines(words: tuple[str, ...], message: str) -> None:
    ran = agnostic(*words)
    assert ran.code == 2 and message in ran.err


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('model_name: "lprnet"', "Give -m or --model_path FILE"),
        ('model_name: "lprnt"', "'lprnt' is not a supported model"),
        ("", "spec.txt: model_name is not set"),
        ("eval_config {", "spec.txt:"),
    ],
)
def test_protobuf_text_names_it_too(tmp_path: Path, line: str, message: str) -> None:
    spec = tmp_path / "spec.txt"
    spec.write_text(f"{line}\neval_config {{\n  batch_size: 2\n}}\n")
    ran = agnostic("evaluate", "-e", spec, "-r", tmp_path / "results")
    assert ran.code == 2 and message in ran.err and "not YAML" not in ran.err, ran.text


@pytest.mark.parametrize("option", [["-m", "ml_recog"], ["--model_name=ml_recog"]])
def test_default_specs(tmp_path: Path, option: list[str]) -> None:
    ran = agnostic("default_specs", *option, f"results_dir={tmp_path}")
    assert ran.code == 0, ran.text
    written = yaml.safe_load((tmp_path / "experiment.yaml").read_text())
    assert written["dataset"]["pixel_std"] == [0.226, 0.226, 0.226] and written["evaluate"]["batch_size"] == 4


def test_the_key_that_names_the_network_is_not_called_ignored(colours: ColourJob) -> None:
    ran = agnostic("evaluate", "-e", named(colours, "classification_pyt"), "train.lr=1")
    assert ran.code == 0 and "Ignored (read only by training or by other tools): train.lr\n" in ran.out


def test_help(colours: ColourJob) -> None:
    for words in ((), ("--help",), ("evaluate", "-h")):
        ran = agnostic(*words)
        assert ran.code == 0 and all(network in ran.out for network in registry.NETWORKS)
    ran = agnostic("evaluate", "-m", "ml_recog", "--help")
    assert ran.code == 0 and "dataset.val_dataset.reference" in ran.out


def test_exit_codes_are_the_network_s(colours: ColourJob) -> None:
    spec = named(colours, "classification_pyt")
    assert agnostic("evaluate", "-e", spec, "dataset.test_dataset.images_dir=/nothing").code == 3
    assert agnostic("evaluate", "-e", spec, "evaluate.trt_engine=/nothing").code == 5


def test_a_name_does_nothing_to_the_terminal(tmp_path: Path) -> None:
    ran = run_here("model_agnostic", "evaluate", "-e", write_yaml(tmp_path / "spec.yaml", {"model_name": "x\x1b[2J"}))
    assert ran.code == 2 and "'x\\x1b[2J' is not a supported model" in ran.err
