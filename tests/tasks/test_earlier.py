# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Results of an earlier run are never taken for those of this one."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from nvidia_tao_deploy.files import MATRIX_FILE
from nvidia_tao_deploy.tasks import earlier
from tests.conftest import ColourJob
from tests.makers import ROOT, strict_json, tiny_model

PREVIOUS = "results.json.previous"


def figure(path: Path) -> int:
    return int(strict_json(path.read_text())["num_samples"])


def break_a_picture(colours: ColourJob) -> Path:
    picture = next(colours.images.rglob("*.png"))
    picture.write_bytes(picture.read_bytes()[:20])
    return picture


@pytest.mark.parametrize(
    ("override", "code"),
    [
        ("evaluate.trt_engine=/nowhere", 5),
        ("dataset.test_dataset.images_dir=/nowhere", 3),
        ("evaluate.trt_engine=null", 2),
    ],
)
def test_a_failed_run_leaves_no_figure_that_looks_new(colours: ColourJob, override: str, code: int) -> None:
    assert colours.run("evaluate").code == 0
    folder = colours.results / "trt_evaluate"
    content = (folder / "results.json").read_bytes()
    for _ in range(2):  # a second failure loses nothing either
        ran = colours.run("evaluate", override)
        assert ran.code == code, ran.text
        assert not (folder / "results.json").exists()
        assert (folder / PREVIOUS).read_bytes() == content
        assert PREVIOUS in ran.out
    assert colours.run("evaluate").code == 0
    assert (folder / "results.json").read_bytes() == content
    assert list(folder.glob("*.previous")) == []


@pytest.mark.parametrize("wrong", ["evaluate.no_such_key=1", "evaluate.trt_engine=[", "evaluate.batch_size=many"])
def test_a_run_that_is_refused_touches_nothing(colours: ColourJob, wrong: str) -> None:
    assert colours.run("evaluate").code == 0
    folder = colours.results / "trt_evaluate"
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "status.json"}
    assert colours.run("evaluate", wrong).code == 2
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "status.json"} == before
    assert colours.status("evaluate")[-1]["status"] == "FAILURE"


def test_the_last_good_result_outlives_partial_ones(colours: ColourJob) -> None:
    assert colours.run("evaluate").code == 0
    folder = colours.results / "trt_evaluate"
    whole = figure(folder / "results.json")
    break_a_picture(colours)
    for _ in range(2):
        assert colours.run("evaluate").code == 3
        assert figure(folder / "results.json") == whole - 1
        assert figure(folder / PREVIOUS) == whole


def test_while_no_run_succeeds_the_one_before_is_kept(colours: ColourJob) -> None:
    """A picture that stays broken: each run ends with 3, and the last two results are what one wants to compare."""
    folder = colours.results / "trt_evaluate"
    break_a_picture(colours)
    assert colours.run("evaluate").code == 3
    first = figure(folder / "results.json")
    for fewer in (1, 2):
        next(path for path in sorted(colours.images.rglob("*.png")) if path.stat().st_size > 20).unlink()
        assert colours.run("evaluate").code == 3
        assert figure(folder / "results.json") == first - fewer
        assert figure(folder / PREVIOUS) == first - fewer + 1
    assert colours.run("evaluate", "evaluate.trt_engine=/nowhere").code == 5
    assert figure(folder / PREVIOUS) == first - 2, "the newest result survives a run that gives none"
    next(path for path in colours.images.rglob("*.png") if path.stat().st_size <= 20).unlink()
    assert colours.run("evaluate").code == 0
    assert not [path.name for path in folder.iterdir() if path.suffix in (".previous", ".incomplete")]
    break_a_picture(colours)
    for _ in range(3):
        assert colours.run("evaluate").code == 3
        assert figure(folder / PREVIOUS) == first - 2, "of all pictures that there were"


def test_inference_too(colours: ColourJob) -> None:
    assert colours.run("inference").code == 0
    folder = colours.results / "trt_inference"
    assert colours.run("inference", "inference.trt_engine=/nowhere").code == 5
    assert not (folder / "result.csv").exists() and (folder / "result.csv.previous").exists()


def test_other_tasks_results_in_the_same_folder_stay(colours: ColourJob) -> None:
    both = [f"{task}.results_dir={colours.root / 'one'}" for task in ("evaluate", "inference")]
    assert colours.run("evaluate", *both).code == 0
    assert colours.run("inference", *both, "inference.trt_engine=/nowhere").code == 5
    assert (colours.root / "one" / "results.json").exists()


def test_a_symbolic_link_stays_one(colours: ColourJob) -> None:
    folder, target = colours.results / "trt_evaluate", colours.root / "kept" / "nightly.json"
    folder.mkdir(parents=True)
    target.parent.mkdir()
    target.write_text("{}")
    (folder / "results.json").symlink_to(target)
    assert colours.run("evaluate", "evaluate.trt_engine=/nowhere").code == 5
    assert (target.parent / "nightly.json.previous").read_text() == "{}" and not target.exists()
    assert colours.run("evaluate").code == 0
    assert (folder / "results.json").is_symlink() and figure(target) > 0
    assert sorted(path.name for path in target.parent.iterdir()) == ["nightly.json"]


def test_a_folder_of_that_name_is_left_alone(colours: ColourJob) -> None:
    folder = colours.results / "trt_evaluate" / "results.json"
    folder.mkdir(parents=True)
    ran = colours.run("evaluate")
    assert ran.code == 1 and "not a regular file" in ran.err and folder.is_dir()


def test_results_that_belong_together_are_written_together(colours: ColourJob) -> None:
    folder = colours.results / "trt_evaluate"
    (folder / "confusion_matrix.png").mkdir(parents=True)
    ran = colours.run("evaluate")
    assert ran.code == 1 and "confusion_matrix.png: cannot be written: not a regular file" in ran.err
    assert not (folder / "results.json").exists()


def test_an_engine_of_another_model_is_mentioned(colours: ColourJob) -> None:
    """The night's build failed, and the engine of the day before is scored."""
    engine = f"evaluate.trt_engine={colours.engine}"
    assert colours.run("gen_trt_engine").code == 0
    assert "has changed since" not in colours.run("evaluate", engine).out
    colours.model.write_bytes(colours.model.read_bytes()[:-10])
    later = colours.engine.stat().st_mtime + 10
    os.utime(colours.model, (later, later))
    assert colours.run("gen_trt_engine").code == 4
    tiny_model(colours.model, ballast=9)
    os.utime(colours.model, (later, later))
    ran = colours.run("evaluate", engine)
    assert ran.code == 0 and "[WARNING]" in ran.out and "has changed since" in ran.out
    assert "has changed since" not in colours.run("evaluate", engine, "gen_trt_engine.trt_engine=other").out


def test_files_older_than_the_run_are_counted(tmp_path: Path) -> None:
    start = tmp_path / "start"
    start.touch()
    deep = tmp_path / "labels" / "deep"
    deep.mkdir(parents=True)
    for index, age in enumerate((-10, -1, 0, 5)):
        path = deep / f"{index}.txt"
        path.touch()
        now = start.stat().st_mtime_ns
        os.utime(path, ns=(now, now + age * 1_000_000_000))
    (deep / "gone.txt").symlink_to("nowhere")
    assert earlier.count(tmp_path / "labels", start) == 2


def test_every_summary_file_of_every_network_is_known() -> None:
    """A new network's csv must be set aside, too: all names that the code writes into a results folder are listed."""
    package = ROOT / "nvidia_tao_deploy"
    places = [path for part in ("networks", "render", "metrics") for path in (package / part).rglob("*.py")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in places)
    written = set(re.findall(r'(?:folder|results_dir) / "([\w.]+\.\w+)"', text))
    written |= set(re.findall(r'^[A-Z_]+_FILE = "([\w.]+)"', text, re.MULTILINE))
    written |= {MATRIX_FILE, f"*_{MATRIX_FILE}"} if "MATRIX_FILE" in text else set()
    assert written, "the search finds nothing any more"
    listed = {name for names in earlier.RESULTS.values() for name in names}
    assert written | {"results.json"} == listed
