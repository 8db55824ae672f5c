# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""evaluate and inference: engines, data sets and pictures that are not as they should be."""

from __future__ import annotations

import csv
import json
import os
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from tests.conftest import ColourJob
from tests.makers import noise, picture, strict_json, tiny_model, write_yaml


def rows_of(job: ColourJob) -> list[list[str]]:
    with (job.results / "trt_inference" / "result.csv").open(newline="") as file:
        return list(csv.reader(file))


def results_of(job: ColourJob) -> dict[str, float]:
    found = strict_json((job.results / "trt_evaluate" / "results.json").read_text())
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("size", [1, 2, 4, 9, 64])
def test_every_batch_size_scores_every_picture(colours: ColourJob, size: int) -> None:
    """9 pictures: the last batch is partial, or the data set is smaller than one batch."""
    ran = colours.run("evaluate", f"dataset.batch_size={size}")
    assert ran.code == 0, ran.text
    assert results_of(colours) == {"top_k_accuracy": 1.0, "num_samples": 9, "top_1_accuracy": 1.0}
    kpi = [line for line in colours.status("evaluate") if "kpi" in line]
    assert kpi and kpi[-1]["kpi"] == {"top_1_accuracy": 1.0}
    assert "Confusion matrix" in ran.out and "Accuracy" in ran.out
    assert f"Written: {colours.results / 'trt_evaluate' / 'results.json'}" in ran.out


@pytest.mark.parametrize("batch", [1, 4, 16])
def test_engines_with_a_fixed_batch(colours: ColourJob, batch: int) -> None:
    tiny_model(colours.model, batch=batch)
    ran = colours.run("evaluate", "dataset.batch_size=8")
    assert ran.code == 0 and results_of(colours)["num_samples"] == 9
    assert f"the engine has a fixed batch size of {batch}; 8 was asked for" in ran.out


def test_inference_lists_every_picture_in_order(colours: ColourJob) -> None:
    ran = colours.run("inference")
    assert ran.code == 0, ran.text
    rows = rows_of(colours)
    assert [row[0] for row in rows] == sorted(str(path) for path in colours.images.rglob("*.png"))
    assert all(Path(name).parent.name == label and 0.5 < float(chance) <= 1 for name, label, chance in rows)


ODD_PICTURES = {
    "grey.png": lambda path: Image.fromarray(np.full((9, 9), 80, np.uint8)).save(path),
    "sixteen.png": lambda path: Image.fromarray(np.full((9, 9), 30000, np.uint16)).save(path),
    "alpha.png": lambda path: Image.new("RGBA", (9, 9), (250, 0, 0, 3)).save(path),
    "cmyk.jpg": lambda path: Image.new("CMYK", (9, 9), (0, 250, 250, 0)).save(path),
    "one.png": lambda path: picture(path, (250, 0, 0), (1, 1)),
    "wide.jpg": lambda path: picture(path, (250, 0, 0), (20_000, 2)),
    "jpeg.png": lambda path: (picture(path.with_name("x.jpg"), (250, 0, 0)), path.with_name("x.jpg").rename(path)),
    # wider than a WebP can be, so that the annotated picture of this name has to be smaller
    "png.webp": lambda path: (
        picture(path.with_name("x.png"), (250, 0, 0), (20_000, 2)),
        path.with_name("x.png").rename(path),
    ),
}


def test_odd_pictures_are_pictures(colours: ColourJob) -> None:
    shutil.rmtree(colours.images)
    folder = colours.images / "red"
    folder.mkdir(parents=True)
    for name, make in ODD_PICTURES.items():
        make(folder / name)
    classes = colours.root / "classes.txt"
    classes.write_text("blue\ngreen\nred\n")
    ran = colours.run("inference", f"dataset.classes_file={classes}", "inference.annotate=true")
    assert ran.code == 0, ran.text
    assert Image.open(colours.results / "trt_inference/images_annotated/red/png.webp").width == 16_383
    found = {Path(name).name: label for name, label, _ in rows_of(colours)}
    assert set(found) == set(ODD_PICTURES)
    assert all(label == "red" for name, label in found.items() if name not in ("grey.png", "sixteen.png"))


def test_a_class_map_with_numbers_is_a_class_list(colours: ColourJob) -> None:
    """JSON is what the other classification commands take; here it must not be read as lines."""
    classes = colours.root / "classes.json"
    classes.write_text('{"blue": 2, "green": 1, "red": 0}')
    assert colours.run("inference", f"dataset.classes_file={classes}").code == 0
    swapped = {"blue": "red", "red": "blue", "green": "green"}
    assert all(label == swapped[Path(name).parent.name] for name, label, _ in rows_of(colours))


BROKEN = {
    "truncated.jpg": lambda path: (noise(path, (64, 64)), path.write_bytes(path.read_bytes()[:700])),
    "empty.png": lambda path: path.write_bytes(b""),
    "text.bmp": lambda path: path.write_bytes(b"no picture at all"),
}


@pytest.mark.parametrize("subtask", ["evaluate", "inference"])
def test_unreadable_pictures_do_not_stop_the_others(colours: ColourJob, subtask: str) -> None:
    for name, make in BROKEN.items():
        make(colours.images / "green" / name)
    ran = colours.run(subtask, "dataset.batch_size=2")
    assert ran.code == 3, ran.text
    for name in BROKEN:
        assert f"[ERROR] {colours.images}/green/{name}: " in ran.err
    assert "3 of 12 samples could not be used; the results are of the other 9." in ran.err
    lines = colours.status(subtask)
    listed = next(line["failed_samples"] for line in lines if "failed_samples" in line)
    assert isinstance(listed, list) and {item["name"] for item in listed} == {f"green/{name}" for name in BROKEN}
    assert lines[-1]["status"] == "FAILURE"
    if subtask == "inference":
        assert len(rows_of(colours)) == 9
    else:
        assert results_of(colours)["num_samples"] == 9 and lines[-1]["kpi"] == {"top_1_accuracy": 1.0}
        assert results_of(colours)["num_failed"] == 3


def test_a_long_list_of_failures_is_cut_on_the_screen_only(colours: ColourJob) -> None:
    for index in range(30):
        (colours.images / "red" / f"bad{index}.png").touch()
    ran = colours.run("inference")
    assert ran.code == 3 and ran.err.count("the file is empty") == 20 and "... and 10 more, all in" in ran.err
    listed = next(line["failed_samples"] for line in colours.status("inference") if "failed_samples" in line)
    assert isinstance(listed, list) and len(listed) == 30


@pytest.mark.parametrize("subtask", ["evaluate", "inference"])
def test_nothing_readable_at_all(colours: ColourJob, subtask: str) -> None:
    for path in colours.images.rglob("*.png"):
        path.write_bytes(b"")
    ran = colours.run(subtask)
    assert ran.code == 3 and "9 of 9 samples could not be used; there is no result." in ran.err
    assert not (colours.results / "trt_evaluate" / "results.json").exists()


def test_names_that_are_not_utf8(colours: ColourJob) -> None:
    folder = os.fsencode(colours.images / "red")
    for name in (b"good-\xff.png", b"bad-\xfe.png"):
        shutil.copy(os.fsencode(colours.images / "red" / "0.png"), os.path.join(folder, name))  # noqa: PTH118
    Path(os.fsdecode(os.path.join(folder, b"bad-\xfe.png"))).write_bytes(b"")  # noqa: PTH118
    ran = colours.run("inference")
    assert ran.code == 3, ran.text
    content = (colours.results / "trt_inference" / "result.csv").read_bytes()
    assert b"good-\xff.png,red," in content
    colours.status("inference")  # valid JSON


@pytest.mark.parametrize("subtask", ["evaluate", "inference"])
@pytest.mark.parametrize(
    ("overrides", "code", "message"),
    [
        (["dataset.test_dataset.images_dir={root}/nowhere"], 3, "nowhere (dataset.test_dataset.images_dir): no such"),
        (["dataset.test_dataset.images_dir={root}/void"], 3, "no "),
        (["dataset.test_dataset.images_dir=''"], 2, "dataset.test_dataset.images_dir is not set"),
        (["dataset.classes_file={root}/two.txt"], 3, "two.txt: 2 classes (blue, green), but the model has 3"),
        (["dataset.classes_file={root}/none.txt"], 3, "none.txt: no such file"),
        (["{task}.trt_engine=null"], 2, "{task}.trt_engine is not set"),
        (["{task}.trt_engine={root}/none.engine"], 5, "{task}.trt_engine: {root}/none.engine: no such file"),
        (["{task}.trt_engine={root}/two.txt"], 5, "neither a TensorRT engine nor an ONNX model"),
        (["{task}.trt_engine={root}/empty.engine"], 5, "empty.engine: the file is empty"),
        (["{task}.trt_engine={root}/cut.engine"], 5, "cut.engine: ONNX Runtime cannot load it"),
        (["{task}.trt_engine={root}/cut.engine"], 5, "damaged or cut off: copy it again, or build it with"),
        (["{task}.trt_engine={root}/new.onnx"], 5, "new.onnx: operator set 99; supported are 7 to"),
        (["{task}.trt_engine={root}/old.onnx"], 5, "old.onnx: operator set 3; supported are 7 to"),
        (["{task}.trt_engine={root}/other.engine"], 5, "other.engine: the tensors are not those of this network"),
        (["{task}.gpu_ids=[]"], 2, "{task}.gpu_ids"),
        (["{task}.gpu_ids=[-1]"], 2, "{task}.gpu_ids"),
        (["dataset.augmentation.mean=[0.5]"], 2, "dataset.augmentation.mean: [0.5]: expected 3 values"),
        (["dataset.augmentation.resize=squash"], 2, "'squash' is not allowed; expected one of deploy, training"),
        (["dataset.batch_size=0"], 2, "dataset.batch_size=0: 0 is too small; expected at least 1"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(
    colours: ColourJob, subtask: str, overrides: list[str], code: int, message: str
) -> None:
    root = colours.root
    (root / "void").mkdir()
    (root / "two.txt").write_text("blue\ngreen\n")
    (root / "empty.engine").touch()
    (root / "cut.engine").write_bytes(colours.model.read_bytes()[:-50])
    shutil.copy(tiny_model(root / "m4.onnx", batch=1, size=8), root / "other.engine")
    import onnx

    other = onnx.load(str(root / "other.engine"))
    other.graph.output.add().CopyFrom(other.graph.output[0])
    other.graph.input.append(onnx.helper.make_tensor_value_info("second", 1, [1]))
    del other.graph.output[1]
    onnx.save(other, str(root / "other.engine"))
    for name, opset in (("new.onnx", 99), ("old.onnx", 3)):
        model = onnx.load(str(colours.model))
        model.opset_import[0].version = opset
        onnx.save(model, str(root / name))
    words = {"root": root, "task": subtask}
    ran = colours.run(subtask, *(text.format(**words) for text in overrides))
    assert ran.code == code, ran.text
    assert message.format(**words) in ran.err and "Traceback" not in ran.text
    assert colours.status(subtask)[-1]["status"] == "FAILURE"
    assert not {"result.csv", "results.json"} & {path.name for path in colours.results.rglob("*")}


def test_a_class_folder_that_is_not_in_the_list(colours: ColourJob) -> None:
    (colours.root / "classes.txt").write_text("blue\ngreeen\nred\n")
    ran = colours.run("evaluate", f"dataset.root_dir={colours.root}")
    assert ran.code == 3 and "not in the class list: green;" in ran.text
    listed = f"the list ({colours.root}/classes.txt) has 'greeen'"
    assert f"The folder is 'green', {listed}: give both one name." in ran.text
    assert "3 of 9 samples could not be used; the results are of the other 6." in ran.err


def test_class_numbers_follow_the_list_not_the_alphabet(colours: ColourJob) -> None:
    """With red and blue swapped in the list, their pictures count as wrong."""
    (colours.root / "classes.txt").write_text("red\ngreen\nblue\n")
    assert colours.run("evaluate", f"dataset.root_dir={colours.root}").code == 0
    assert results_of(colours)["top_k_accuracy"] == pytest.approx(1 / 3)


def test_inference_without_a_class_list_names_numbers(colours: ColourJob) -> None:
    flat = colours.root / "flat"
    for name in ("blue", "red"):
        picture(flat / f"{name}.png", {"blue": (0, 0, 250), "red": (250, 0, 0)}[name])
    ran = colours.run("inference", f"dataset.test_dataset.images_dir={flat}")
    assert ran.code == 0 and "No class list" in ran.out
    assert [row[1] for row in rows_of(colours)] == ["0", "2"]


def test_an_engine_of_another_network_is_told(colours: ColourJob) -> None:
    assert colours.run("gen_trt_engine").code == 0
    facts = colours.root / "tiny.engine.json"
    facts.write_text(facts.read_text().replace('"classification_pyt"', '"dino"'))
    ran = colours.run("evaluate", f"evaluate.trt_engine={colours.engine}")
    assert "was built for 'dino' and is run as 'classification_pyt'" in ran.out


@pytest.mark.parametrize("subtask", ["evaluate", "inference"])
def test_an_engine_that_gives_nan_is_refused(colours: ColourJob, subtask: str) -> None:
    tiny_model(colours.model, head="nan")
    ran = colours.run(subtask)
    assert ran.code == 5 and "is not a number (NaN) for" in ran.err and "layers_precision" in ran.err


def test_softmax_in_the_model_changes_nothing(colours: ColourJob) -> None:
    colours.run("inference")
    logits = [(name, label, round(float(chance), 5)) for name, label, chance in rows_of(colours)]
    tiny_model(colours.model, head="softmax")
    colours.run("inference")
    assert [(name, label, round(float(chance), 5)) for name, label, chance in rows_of(colours)] == logits


def test_binary_models(tmp_path: Path) -> None:
    job = ColourJob(tmp_path, columns=1)
    shutil.rmtree(job.images / "green")
    ran = job.run("evaluate", "model.head.binary=true")
    assert ran.code == 0, ran.text
    assert results_of(job)["top_k_accuracy"] == 1.0
    assert job.run("inference").code == 0
    assert {row[1] for row in rows_of(job)} == {"blue", "red"}


@pytest.mark.parametrize("head", ["logits", "sigmoid"])
@pytest.mark.parametrize("batch", [1, 3])
def test_binary_scores_are_one_thing_in_every_batch(tmp_path: Path, head: str, batch: int) -> None:
    """Logits of 0 to 0.5 look like probabilities below one half; it is the model that says what they are."""
    job = ColourJob(tmp_path, columns=1)
    tiny_model(job.model, columns=1, head=head)
    shutil.rmtree(job.images)
    for red in (129, 131, 133):  # logits 0.12, 0.27, 0.43
        picture(job.images / "red" / f"{red}.png", (red, 0, 0))
        picture(job.images / "blue" / f"{red}.png", (255 - red, 0, 0))
    assert job.run("gen_trt_engine").code == 0
    for engine in (job.model, job.engine):
        ran = job.run("evaluate", f"dataset.batch_size={batch}", f"evaluate.trt_engine={engine}")
        assert ran.code == 0, ran.text
        assert results_of(job)["top_k_accuracy"] == 1.0


def test_a_score_of_which_nothing_is_known(tmp_path: Path) -> None:
    """An engine whose json says nothing of it, as those built before: values decide, and a warning says so."""
    job = ColourJob(tmp_path, columns=1)
    tiny_model(job.model, columns=1, head="sigmoid")
    shutil.rmtree(job.images)
    for name, colour in {"red": (200, 0, 0), "blue": (20, 0, 0)}.items():
        picture(job.images / name / "one.png", colour)
    assert job.run("gen_trt_engine").code == 0
    facts = strict_json((tmp_path / "tiny.engine.json").read_text())
    assert facts.pop("probabilities") == {"output": True}
    (tmp_path / "tiny.engine.json").write_text(json.dumps(facts))
    model = onnx.load(job.engine)  # ends in something else
    model.graph.node[-1].output[0] = "score"
    model.graph.node.append(onnx.helper.make_node("Abs", ["score"], ["output"]))
    onnx.save(model, job.engine)
    ran = job.run("evaluate", f"evaluate.trt_engine={job.engine}")
    assert ran.code == 0 and results_of(job)["top_k_accuracy"] == 1.0
    assert "nothing tells whether the score 'output' is a logit or a probability" in ran.text


def test_a_font_that_cannot_be_used_is_told_first(colours: ColourJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAO_DEPLOY_FONT", "/none.ttf")
    ran = colours.run("evaluate")
    assert ran.code == 2 and "TAO_DEPLOY_FONT: /none.ttf: no such file" in ran.err and "samples in" not in ran.text


def test_results_beside_class_folders_are_no_class(colours: ColourJob) -> None:
    for _ in range(2):
        ran = colours.run("evaluate", f"results_dir={colours.images}")
        assert ran.code == 0, ran.text


def test_no_k_at_all(colours: ColourJob) -> None:
    ran = colours.run("evaluate", "model.head.topk=[]")
    assert ran.code == 2 and "model.head.topk: empty; expected numbers, such as [1,5]" in ran.err


def test_several_gpus_are_told_and_one_is_used(colours: ColourJob) -> None:
    ran = colours.run("evaluate", "evaluate.gpu_ids=[0,1]")
    assert ran.code == 0 and "evaluate.gpu_ids: [0, 1]: one GPU is used, number 1" in ran.out
    ran = colours.run("evaluate", "evaluate.num_gpus=4")
    assert ran.code == 0 and "evaluate.num_gpus: 4: one GPU is used, number 0" in ran.out


def test_experiment_yaml_runs_again(colours: ColourJob) -> None:
    tree = colours.tree()
    tree["train"] = {"lr": 1e-4, "again": "${train.lr}", "lost": "${nowhere}"}
    write_yaml(colours.spec, tree)
    assert colours.run("evaluate", "dataset.batch_size=2").code == 0
    first = results_of(colours)
    saved = colours.results / "trt_evaluate" / "experiment.yaml"
    assert "batch_size: 2" in saved.read_text()
    shutil.move(saved, colours.spec)
    assert colours.run("evaluate").code == 0 and results_of(colours) == first
