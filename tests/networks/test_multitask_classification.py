# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""multitask_classification: figures as scikit-learn has them, files, and what it says about wrong input."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import accuracy_score

from nvidia_tao_deploy.data.multitask import read_task_table
from nvidia_tao_deploy.errors import DataError
from nvidia_tao_deploy.metrics.multitask import file_stems
from tests.makers import Ran, noise, run_here, status_lines, strict_json
from tests.networks import linear

HEIGHT, WIDTH, SHARPNESS = 16, 24, 0.5
CLASSES = {"colour": ("blue", "green", "red", "white"), "age": ("new", "old"), "kind": ("bag", "coat", "shoe")}
TASKS = sorted(CLASSES)
MEAN = np.array([103.939, 116.779, 123.68]).reshape(3, 1, 1)


class Bench:
    """Random pictures with random labels, a linear model with a head per task, a spec."""

    def __init__(self, root: Path, outputs: dict[str, int] | None = None, channels_last: bool = False) -> None:
        self.root, self.images, self.results = root, root / "images", root / "results"
        self.channels_last = channels_last
        rng = np.random.default_rng(1)
        self.rows = []
        for index in range(21):
            noise(self.images / f"{index:02d}.png", (WIDTH + index, HEIGHT), seed=index)
            labels = {task: CLASSES[task][rng.integers(len(CLASSES[task]))] for task in CLASSES}
            self.rows.append({"fname": f"{index:02d}.png", **labels})
        self.heads = outputs or {f"{task}/Softmax": len(CLASSES[task]) for task in CLASSES}
        shape = (HEIGHT, WIDTH, 3) if channels_last else (3, HEIGHT, WIDTH)
        self.model = linear.model(root / "m.onnx", shape, self.heads, sharpness=SHARPNESS)
        self.mapping = root / "class_mapping.json"
        numbers = {task: {str(number): name for number, name in enumerate(names)} for task, names in CLASSES.items()}
        self.mapping.write_text(json.dumps({"tasks": list(CLASSES), "class_mapping": numbers}))
        self.csv, self.spec = root / "val.csv", root / "spec.txt"
        self.spec.write_text(
            f'dataset_config {{ image_directory_path: "{self.images}" val_csv_path: "{self.csv}" }}\n'
            "training_config { batch_size_per_gpu: 16 learning_rate { soft_start { soft_start: 0.1 } } }"
        )

    def run(self, subtask: str, *more: object) -> Ran:
        with self.csv.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(self.rows[0]))
            writer.writeheader()
            writer.writerows(self.rows)
        common = ("-e", self.spec, "-m", self.model, "-r", self.results)
        return run_here("multitask_classification", subtask, *common, *more)

    def scores(self, name: str, classes: int) -> np.ndarray:
        image = Image.open(self.images / name).convert("RGB").resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR)
        tensor = np.asarray(image, np.float64).transpose(2, 0, 1)[::-1] - MEAN
        return linear.answer(tensor.transpose(1, 2, 0) if self.channels_last else tensor, classes, SHARPNESS)

    def best(self, task: str) -> list[str]:
        """Predicted class name of every row, computed here."""
        names = CLASSES[task]
        return [names[int(self.scores(row["fname"], len(names)).argmax())] for row in self.rows]

    def accuracy(self) -> dict[str, float]:
        return {task: accuracy_score([row[task] for row in self.rows], self.best(task)) for task in TASKS}

    def found(self) -> Any:
        return strict_json((self.results / "results.json").read_text())


@pytest.mark.parametrize("channels_last", [False, True])
def test_evaluate(tmp_path: Path, channels_last: bool) -> None:
    bench = Bench(tmp_path, channels_last=channels_last)
    ran = bench.run("evaluate", "-cm", bench.mapping, "-b", "8")
    assert ran.code == 0, ran.text
    assert bench.found() == pytest.approx(bench.accuracy())
    assert all((bench.results / f"{task}_confusion_matrix.png").is_file() for task in CLASSES)
    assert status_lines(bench.results)[-1]["kpi"] == pytest.approx(bench.accuracy())


def test_tasks_whose_names_differ_in_characters_that_file_names_replace(tmp_path: Path) -> None:
    outputs = {"a": 4, "b": 2, "c": 3}
    bench = Bench(tmp_path, outputs)
    named = dict(zip(["a b", "a/b", "a_b"], CLASSES, strict=True))  # sorted, as the outputs are
    bench.rows = [{"fname": row["fname"], **{new: row[old] for new, old in named.items()}} for row in bench.rows]
    numbers = {new: {str(index): name for index, name in enumerate(CLASSES[old])} for new, old in named.items()}
    bench.mapping.write_text(json.dumps({"tasks": list(named), "class_mapping": numbers}))
    bench.heads.update({name: len(CLASSES[old]) for name, old in zip(outputs, CLASSES, strict=True)})
    ran = bench.run("evaluate", "-cm", bench.mapping)
    assert ran.code == 0, ran.text
    files = sorted(file.name for file in bench.results.glob("*_confusion_matrix.png"))
    assert files == [f"{stem}_confusion_matrix.png" for stem in ("2_a_b", "3_a_b", "a_b")]
    assert set(bench.found()) == set(named)


def test_names_of_files_that_tasks_could_share() -> None:
    """A task whose name needs no change keeps it, whatever the others are called."""
    assert file_stems(["colour", "kind-1"]) == {"colour": "colour", "kind-1": "kind-1"}
    assert file_stems(["a b", "a_b", "2_a_b", "a:b"]) == {
        "a_b": "a_b",
        "2_a_b": "2_a_b",
        "a b": "3_a_b",
        "a:b": "4_a_b",
    }


def test_grey_models(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.model = linear.model(tmp_path / "grey.onnx", (1, HEIGHT, WIDTH), bench.heads, sharpness=SHARPNESS)
    ran = bench.run("inference", "-cm", bench.mapping)
    assert ran.code == 0, ran.text
    rows = list(csv.DictReader((bench.results / "result.csv").read_text().splitlines()))
    for row in rows:
        grey = Image.open(row["filename"]).convert("L").resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR)
        scores = linear.answer(np.asarray(grey, np.float64)[None] - 117.3786, 4, SHARPNESS)
        assert row["colour"] == f"{CLASSES['colour'][int(scores.argmax())]} ({scores.max():.4f})"


@pytest.mark.parametrize("options", [("-b", "0"), ("-b", "500"), ()])
def test_any_batch_size_scores_every_picture(tmp_path: Path, options: tuple[str, ...]) -> None:
    """None is taken from a field that the message does not have, and none is larger than the data set."""
    bench = Bench(tmp_path)
    ran = bench.run("evaluate", "-cm", bench.mapping, *options)
    assert ran.code == 0, ran.text
    assert bench.found() == pytest.approx(bench.accuracy())


def test_a_folder_that_is_not_there_is_named_by_its_key(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    ran = bench.run("evaluate", "-cm", bench.mapping, "-i", tmp_path / "none")
    assert ran.code == 3 and f"evaluate.image_dir: {tmp_path / 'none'}: no such folder" in ran.err
    ran = bench.run("inference", f"dataset_config.image_directory_path={tmp_path / 'none'}")
    assert ran.code == 3 and f"dataset_config.image_directory_path: {tmp_path / 'none'}: no such" in ran.err


def test_without_class_map_the_labels_of_the_csv_are_the_classes(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    assert bench.run("evaluate").code == 0
    assert bench.found() == pytest.approx(bench.accuracy())


def test_numbers_as_labels_are_sorted_by_value(tmp_path: Path) -> None:
    """As pandas, training's reader, has them: 9 before 10. As text 10 would come first and all classes would move."""
    bench = Bench(tmp_path, outputs={"colour/Softmax": 4})
    numbers = dict(zip(CLASSES["colour"], ("2", "9", "10", "31"), strict=True))
    expected = accuracy_score([row["colour"] for row in bench.rows], bench.best("colour"))
    bench.rows = [{"fname": row["fname"], "colour": numbers[row["colour"]]} for row in bench.rows]
    assert bench.run("evaluate").code == 0
    assert bench.found() == {"colour": pytest.approx(expected)}
    mapping = {str(index): int(name) for index, name in enumerate(numbers.values())}  # names that json keeps as numbers
    bench.mapping.write_text(json.dumps({"tasks": ["colour"], "class_mapping": {"colour": mapping}}))
    ran = bench.run("evaluate", "-cm", bench.mapping)
    assert ran.code == 0, ran.text
    assert bench.found() == {"colour": pytest.approx(expected)}


def test_blanks_around_labels_do_not_count(tmp_path: Path) -> None:
    """Training's reader keeps the blank of 'a.png, red', so that its class map has ' red'."""
    bench = Bench(tmp_path)
    numbers = {task: {str(number): f" {name}" for number, name in enumerate(CLASSES[task])} for task in TASKS}
    bench.mapping.write_text(json.dumps({"tasks": TASKS, "class_mapping": numbers}))
    want = bench.accuracy()
    bench.rows = [{key: value if key == "fname" else f" {value}" for key, value in row.items()} for row in bench.rows]
    ran = bench.run("evaluate", "-cm", bench.mapping)
    assert ran.code == 0, ran.text
    assert bench.found() == pytest.approx(want)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("04.png,new", "line 6: 2 columns; the header has 4"),
        ("04.png,,red,bag", "line 6: nothing in column 'age'"),
        ("04.png,new,redd,bag", "line 6: 'redd' is no class of colour; those are blue, green, red, white. Did"),
    ],
)
def test_a_line_without_usable_labels_stops_no_other(tmp_path: Path, line: str, message: str) -> None:
    bench = Bench(tmp_path)
    order = ["fname", "age", "colour", "kind"]
    lines = [",".join(order), *(",".join(row[name] for name in order) for row in bench.rows)]
    lines[5] = line
    other = tmp_path / "other.csv"
    other.write_text("\n".join(lines) + "\n")
    ran = bench.run("evaluate", "-cm", bench.mapping, f"dataset_config.val_csv_path={other}")
    assert ran.code == 3 and message in ran.err
    assert "1 of 21 samples could not be used; the results are of the other 20." in ran.err
    del bench.rows[4]
    results = bench.found()
    assert results.pop("num_failed") == 1 and results == pytest.approx(bench.accuracy())


@pytest.mark.parametrize("label", ["old", "new"])
def test_a_picture_that_is_listed_twice(tmp_path: Path, label: str) -> None:
    """As in ocrnet: the same labels count once, others make a picture that cannot be used."""
    bench = Bench(tmp_path)
    row = bench.rows[3]
    bench.rows.append(row | {"age": label})
    same = row["age"] == label
    ran = bench.run("evaluate", "-cm", bench.mapping)
    where = f"line 23: '{row['fname']}' is listed already on line 5"
    assert ran.code == (0 if same else 3) and where + ("; it counts once" if same else ", with other") in ran.text
    assert same or "1 of 21 samples could not be used" in ran.err
    ran = bench.run("inference", "-cm", bench.mapping)
    assert ran.code == 0 and "it counts once" in ran.text
    assert len((bench.results / "result.csv").read_text().splitlines()) == 22


def test_a_failed_run_leaves_no_matrix_that_looks_new(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    assert bench.run("evaluate").code == 0
    assert bench.run("evaluate", "-i", tmp_path / "none").code == 3
    assert not list(bench.results.glob("*.png")) and len(list(bench.results.glob("*_matrix.png.previous"))) == 3
    assert bench.run("evaluate").code == 0
    assert len(list(bench.results.glob("*.png"))) == 3 and not list(bench.results.glob("*.previous"))


def test_a_csv_that_lacks_a_class_needs_the_class_map(tmp_path: Path) -> None:
    """Numbers ranked anew from such a file would shift: TAO Deploy scores wrong classes without a word."""
    bench = Bench(tmp_path)
    bench.rows = [row for row in bench.rows if row["colour"] != "blue"]
    ran = bench.run("evaluate")
    assert ran.code == 3 and "task colour has 3 classes (green, red, white)" in ran.err and "-cm FILE" in ran.err
    assert bench.run("evaluate", "-cm", bench.mapping).code == 0
    assert bench.found() == pytest.approx(bench.accuracy())


def test_a_listed_picture_that_is_absent_shifts_no_label(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    (bench.images / "03.png").unlink()
    ran = bench.run("evaluate", "-cm", bench.mapping)
    assert ran.code == 3 and "03.png: no such picture" in ran.err and "1 of 21 samples" in ran.err
    bench.rows = [row for row in bench.rows if row["fname"] != "03.png"]
    assert bench.found() == pytest.approx({**bench.accuracy(), "num_failed": 1})


@pytest.mark.parametrize(
    "names",
    [
        {"kind:0": 3, "colour": 4, "age/Softmax:0": 2},  # by name, whatever the order
        {"a": 2, "b": 4, "c": 3},  # by position: age, colour, kind
    ],
)
def test_outputs_by_name_or_order(tmp_path: Path, names: dict[str, int]) -> None:
    bench = Bench(tmp_path, outputs=names)
    ran = bench.run("evaluate", "-cm", bench.mapping)
    assert ran.code == 0, ran.text
    assert bench.found() == pytest.approx(bench.accuracy())
    assert ("age: a, colour: b, kind: c" in ran.out) == ("a" in names)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"a": 4, "b": 2, "c": 3}, "task age has 2 classes (new, old), but the model's output 'a' has 4"),
        ({"age": 2, "colour": 4}, "3 tasks (age, colour, kind), but the model has 2 outputs (B x classes): age, co"),
        ({"age": 2, "colour": 4, "x": 3}, "no output of the model is named after kind; it has age, colour, x"),
    ],
)
def test_outputs_that_do_not_fit(tmp_path: Path, names: dict[str, int], message: str) -> None:
    bench = Bench(tmp_path, outputs=names)
    ran = bench.run("evaluate", "-cm", bench.mapping)
    assert ran.code == 3 and message in ran.err
    assert ("give its own class_mapping.json" in ran.err) == ("but the model's output" in message)
    assert not (bench.results / "results.json").exists()


def test_inference(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    for row in bench.rows:
        row["age"] = "unknown"  # labels are not used, so they need not be classes
    ran = bench.run("inference", "-cm", bench.mapping, "-b", "4", "inference.annotate=true")
    assert ran.code == 0, ran.text
    header, *rows = csv.reader((bench.results / "result.csv").read_text().splitlines())
    assert header == ["filename", "age", "colour", "kind"]
    assert [row[0] for row in rows] == [str(bench.images / row["fname"]) for row in bench.rows]
    for column, task in enumerate(TASKS, 1):
        chances = [found.max() for found in (bench.scores(row["fname"], len(CLASSES[task])) for row in bench.rows)]
        for cell, name, chance in zip([row[column] for row in rows], bench.best(task), chances, strict=True):
            text, _, number = cell.partition(" (")
            assert text == name and float(number.rstrip(")")) == pytest.approx(chance, abs=1e-3) and len(number) == 7
    assert len(list((bench.results / "images_annotated").glob("*.png"))) == len(bench.rows)


def test_pictures_outside_the_folder_are_not_replaced_by_drawn_ones(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    outside, absolute = noise(tmp_path / "beside.png"), bench.images / "00.png"
    (bench.images / "no_ending").write_bytes(outside.read_bytes())
    bench.rows = [bench.rows[0] | {"fname": name} for name in (str(absolute), "../beside.png", "no_ending")]
    before = absolute.read_bytes(), outside.read_bytes()
    ran = bench.run("inference", "-cm", bench.mapping, "inference.annotate=true")
    assert ran.code == 0, ran.text
    assert (absolute.read_bytes(), outside.read_bytes()) == before
    drawn = bench.results / "images_annotated"
    found = sorted(path.relative_to(drawn).as_posix() for path in drawn.rglob("*.png"))
    assert found == sorted(["beside.png", "no_ending.png", str(absolute).lstrip("/")])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("fname,age\ra.png,old\r", "line 1: not csv: new-line character"),
        ('fname,age\na.png,old\n"b.png,old\nc.png,old\n', "the quote that begins on line 3 has no end there"),
        ('fname,age\na.png,"old\nb.png,"old\nc.png,old\n', "the quote that begins on line 2 has no end there"),
        ('fname,age\n"a.png,old\n' + "b.png,old\n" * 20000, "not csv: field larger than field limit"),
    ],
)
def test_a_csv_file_that_is_none(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "val.csv"
    path.write_text(content, newline="")
    with pytest.raises(DataError, match=f"val.csv, .*{message}"):
        read_task_table(path)


@pytest.mark.parametrize("columns", [("fname",), ("fname", "age", "note")])
def test_inference_on_a_csv_file_without_labels(tmp_path: Path, columns: tuple[str, ...]) -> None:
    bench = Bench(tmp_path)
    bench.rows = [dict.fromkeys(columns, "") | {"fname": row["fname"]} for row in bench.rows[:5]]
    ran = bench.run("inference", "-cm", bench.mapping)
    assert ran.code == 0, ran.text
    rows = list(csv.DictReader((bench.results / "result.csv").read_text().splitlines()))
    assert [Path(row["filename"]).name for row in rows] == [row["fname"] for row in bench.rows]
    assert [row["colour"].split(" (")[0] for row in rows] == bench.best("colour")
    ran = bench.run("inference")
    assert ran.code == 3 and ("expected a header" in ran.err or "nothing in column" in ran.err)


def test_inference_on_a_folder_needs_no_labels(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.spec.write_text("")
    ran = bench.run("inference", "-cm", bench.mapping, "-i", bench.images)
    assert ran.code == 0, ran.text
    assert len((bench.results / "result.csv").read_text().splitlines()) == 22
    ran = bench.run("inference", "-i", bench.images)
    assert ran.code == 2 and "neither inference.class_map nor dataset_config.val_csv_path" in ran.err


def test_a_build_needs_neither_spec_nor_class_map(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    engine = tmp_path / "e.engine"
    ran = run_here(
        "multitask_classification", "gen_trt_engine", "-m", bench.model, "-r", bench.results, "--engine_file", engine,
        "--data_type", "int8", "--cal_image_dir", bench.images, "--batches", 2, "--max_batch_size", 4,
    )  # fmt: skip
    assert ran.code == 0, ran.text
    assert engine.is_file()
    bench.model = engine
    assert bench.run("evaluate", "-cm", bench.mapping).code == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a header with the picture's column and one per task"),
        ("fname;age\n00.png;old\n", "The columns are separated by semicolons; expected commas"),
        ("fname\n00.png\n", "expected a header with the picture's column and one per task"),
        ("fname,age,age\n00.png,old,old\n", "the header needs a different name for each task"),
        ("fname,age\n", "no picture is listed"),
        ("fname,age\n00.png\n", "line 2: 1 columns; the header has 2"),
        ("fname,age\n00.png,\n", "line 2: nothing in column 'age'"),
        ("fname,age\n\n00.png,old\n00.png,new\n", "line 4: '00.png' is listed already on line 3"),
        ("fname,age\n00.png,olt\n", "line 2: 'olt' is no class of age; those are new, old"),
        ("fname,size\n00.png,old\n", "no column age; the columns are size; the tasks of"),
    ],
)
def test_wrong_csv_files(tmp_path: Path, text: str, message: str) -> None:
    bench = Bench(tmp_path, outputs={"age": 2})
    bench.mapping.write_text('{"tasks": ["age"], "class_mapping": {"age": {"0": "new", "1": "old"}}}')
    bench.run("evaluate")
    bench.csv.write_text(text)
    ran = run_here(
        "multitask_classification", "evaluate", "-e", bench.spec, "-m", bench.model, "-r", bench.results / "new",
        "-cm", bench.mapping,
    )  # fmt: skip
    assert ran.code == 3 and message in ran.err, ran.text
    assert not (bench.results / "new/results.json").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ('{"age": 1}', 'expected {"tasks"'),
        ('{"tasks": ["age"], "class_mapping": {"x": {}}}', "class_mapping must have an entry for each of the tasks"),
        ('{"tasks": ["age"], "class_mapping": {"age": {"0": "a", "2": "b"}}}', "2 classes, but none has the number 1"),
        ('{"tasks": ["age"], "class_mapping": {"age": {"zero": "a"}}}', "'zero' is no class number"),
        ('{"tasks": ["age"], "class_mapping": {"age": {"0": "a", "1": "a"}}}', "class 'a' has the numbers 0 and 1"),
    ],
)
def test_wrong_class_maps(tmp_path: Path, text: str, message: str) -> None:
    bench = Bench(tmp_path)
    bench.mapping.write_text(text)
    ran = bench.run("evaluate", "-cm", bench.mapping)
    assert ran.code == 3 and message in ran.err
