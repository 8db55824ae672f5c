# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""classification_tf1 and classification_tf2: preprocessing by the published formulas, accuracy as scikit-learn has it,
the command lines, and what they say about wrong input."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support, top_k_accuracy_score

from nvidia_tao_deploy import registry
from nvidia_tao_deploy.engine.contract import TensorInfo
from nvidia_tao_deploy.errors import SpecError
from nvidia_tao_deploy.network import Sample
from nvidia_tao_deploy.signature import Binding
from nvidia_tao_deploy.spec.compose import compose
from tests.makers import Ran, noise, picture, run_here, status_lines, strict_json, write_yaml
from tests.networks import linear

SIZE, CLASSES = 20, 5
NAMES = [f"class_{index}" for index in range(CLASSES)]


def expected(path: Path, mode: str, mean: list[float] | None, std: float, crop: bool, method: str, grey: bool) -> Any:
    """(C,H,W): the preprocessing of the contract, written out with Pillow and numpy."""
    image = Image.open(path).convert("L" if grey else "RGB")
    resampling = getattr(Image.Resampling, method.upper())
    if crop:
        wanted = SIZE + 32
        ratio = max(wanted / image.width, wanted / image.height)
        image = image.resize((int(image.width * ratio), int(image.height * ratio)), resampling)
        left, top = round(image.width / 2) - round(SIZE / 2), round(image.height / 2) - round(SIZE / 2)
        image = image.crop((left, top, left + SIZE, top + SIZE))
    else:
        image = image.resize((SIZE, SIZE), resampling)
    pixels = np.asarray(image, np.float64)
    pixels = pixels[None] if grey else pixels.transpose(2, 0, 1)
    if mode == "tf":
        return pixels / 127.5 - 1
    means = np.array(mean, np.float64).reshape(-1, 1, 1)
    return (pixels / 255 - means) / std if mode == "torch" else pixels[::-1] - means


def prepared(network: str, tree: dict[str, Any], path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """What the network's own preprocessing makes of a picture."""
    declared = registry.load(network)
    spec_file = write_yaml(path.with_suffix(".spec.yaml"), tree)
    spec = compose(declared.schema, spec_file, (), declared.migrations, bool(declared.flags)).spec
    name = declared.signature(spec).inputs[0].name
    prepare = declared.prepare(spec, Binding({name: TensorInfo(name, "float32", (-1, *shape))}, {}), "evaluate")
    assert prepare.shapes == {name: shape}
    row = np.zeros(shape, np.float32)
    prepare(Sample("x", path), {name: row})
    return row


CAFFE, TORCH = [103.939, 116.779, 123.68], [0.485, 0.456, 0.406]


@pytest.mark.parametrize("crop", [False, True])
@pytest.mark.parametrize("method", ["bilinear", "bicubic"])
@pytest.mark.parametrize(
    ("mode", "given", "mean", "std", "grey"),
    [
        ("caffe", {}, CAFFE, 1, False),
        ("caffe", {"r": 3, "g": 2, "b": 1}, [1, 2, 3], 1, False),
        ("caffe", {}, [117.3786], 1, True),
        ("caffe", {"r": 123.68, "g": 116.779, "b": 103.939}, [117.3786], 1, True),
        ("caffe", {"l": 7}, [7], 1, True),
        ("torch", {}, TORCH, 0.224, False),
        ("torch", {"r": 123.68, "g": 116.779, "b": 103.939}, TORCH, 0.224, False),
        ("torch", {"r": 0.1, "g": 0.2, "b": 0.3}, [0.3, 0.2, 0.1], 1, False),  # as it is trained: b, g, r and no std
        ("torch", {}, [0.449], 0.224, True),
        ("tf", {}, None, 1, False),
        ("tf", {"r": 1, "g": 2, "b": 3}, None, 1, True),
    ],
)
def test_tf1_preprocessing(
    tmp_path: Path,
    mode: str,
    given: dict[str, float],
    mean: list[float],
    std: float,
    grey: bool,
    method: str,
    crop: bool,
) -> None:
    path = noise(tmp_path / "x.png", (41, 27))
    tree = {
        "train_config": {"preprocess_mode": mode, "image_mean": given},
        "eval_config": {"enable_center_crop": crop},
        "model_config": {"resize_interpolation_method": method},
    }
    row = prepared("classification_tf1", tree, path, (1 if grey else 3, SIZE, SIZE))
    np.testing.assert_allclose(row, expected(path, mode, mean, std, crop, method, grey), atol=1e-4)


@pytest.mark.parametrize(
    ("mode", "given", "mean", "std"),
    [
        ("caffe", None, CAFFE, 1),
        ("caffe", [1, 2, 3], [1, 2, 3], 1),
        ("torch", None, TORCH, 0.224),
        ("torch", TORCH, TORCH, 0.224),  # the sample spec's; TAO Deploy forgets the division, training does not
        ("torch", [0.5, 0.4, 0.3], [0.5, 0.4, 0.3], 0.224),
        ("tf", None, None, 1),
    ],
)
@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
def test_tf2_preprocessing(
    tmp_path: Path, mode: str, given: list[float] | None, mean: list[float], std: float, layout: str
) -> None:
    path = noise(tmp_path / "x.png", (33, 50))
    tree: dict[str, Any] = {"data_format": layout, "dataset": {"preprocess_mode": mode}}
    if given:
        tree["dataset"]["image_mean"] = given
    shape = (3, SIZE, SIZE) if layout == "channels_first" else (SIZE, SIZE, 3)
    row = prepared("classification_tf2", tree, path, shape)
    want = expected(path, mode, mean, std, True, "bilinear", False)
    np.testing.assert_allclose(row, want if layout == "channels_first" else want.transpose(1, 2, 0), atol=1e-4)


def test_tf2_sixteen_bits(tmp_path: Path) -> None:
    path = tmp_path / "deep.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 65536, (SIZE, SIZE), np.uint16)).save(path)
    pixels = np.asarray(Image.open(path), np.float64)
    dataset: dict[str, Any] = {"augmentation": {"enable_center_crop": False}}
    tree: dict[str, Any] = {"model": {"input_image_depth": 16}, "dataset": dataset}
    for mode, want in (
        ("caffe", pixels - 30048.9216),
        ("torch", (pixels / 65535 - 0.449) / 0.224),
        ("tf", pixels / 32767.5 - 1),
    ):
        tree["dataset"]["preprocess_mode"] = mode
        row = prepared("classification_tf2", tree, path, (1, SIZE, SIZE))
        np.testing.assert_allclose(row[0], want, rtol=1e-5, atol=1e-2)
    with pytest.raises(SpecError, match="16-bit pictures are grey"):
        prepared("classification_tf2", tree, path, (3, SIZE, SIZE))


def test_a_shape_that_tells_wins_over_data_format(tmp_path: Path) -> None:
    path = noise(tmp_path / "x.png")
    assert prepared("classification_tf2", {"data_format": "channels_first"}, path, (SIZE, SIZE, 3)).std() > 0


@pytest.mark.parametrize(
    ("network", "tree", "message"),
    [
        ("classification_tf1", {"train_config": {"image_mean": {"r": 1, "b": 2}}}, "image_mean: no value for g"),
        ("classification_tf1", {"train_config": {"preprocess_mode": "cafe"}}, "expected one of caffe, torch, tf"),
        ("classification_tf1", {"model_config": {"input_image_size": "9"}}, "'9': expected 'channels,height,width'"),
        ("classification_tf2", {"dataset": {"image_mean": [1, 2]}}, "dataset.image_mean: [1.0, 2.0]: expected 3 value"),
        ("classification_tf2", {"data_format": "NCHW"}, "expected one of channels_first, channels_last"),
        ("classification_tf2", {"model": {"input_image_depth": 12}}, "expected one of 8, 16"),
    ],
)
def test_wrong_values(tmp_path: Path, network: str, tree: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        prepared(network, tree, noise(tmp_path / "x.png"), (3, SIZE, SIZE))
    assert message in caught.value.message


@pytest.mark.parametrize("network", ["classification_tf1", "classification_tf2", "multitask_classification", "lprnet"])
def test_models_that_take_no_picture(tmp_path: Path, network: str) -> None:
    with pytest.raises(SpecError, match=r"has 5 channels; expected 1 \(grey\) or 3"):
        prepared(network, {}, noise(tmp_path / "x.png"), (5, SIZE, SIZE))


class Bench:
    """Random pictures in class folders, a linear model, a protobuf-text spec."""

    def __init__(self, root: Path, counts: tuple[int, ...] = (5, 4, 3, 6, 4)) -> None:
        self.root = root
        self.images = root / "images"
        for label, count in enumerate(counts):
            (self.images / NAMES[label]).mkdir(parents=True)
            for index in range(count):
                noise(self.images / NAMES[label] / f"{index}.png", (SIZE, SIZE), seed=100 * label + index)
        self.model = linear.model(root / "m.onnx", (3, SIZE, SIZE), {"predictions/Softmax": CLASSES}, sharpness=0.5)
        self.classmap = root / "classmap.json"
        self.classmap.write_text(json.dumps({name: index for index, name in enumerate(NAMES)}), encoding="utf-8")
        self.spec = root / "spec.txt"
        self.spec.write_text(
            'train_config { preprocess_mode: "caffe" }\n'
            f'eval_config {{ eval_dataset_path: "{self.images}" top_k: 2 }}',
            encoding="utf-8",
        )
        self.results = root / "results"

    def run(self, subtask: str, *more: object) -> Ran:
        common = ("-e", self.spec, "-m", self.model, "-r", self.results)
        return run_here("classification_tf1", subtask, *common, *more)

    def truth(self) -> tuple[list[Path], np.ndarray, np.ndarray]:
        """Files, true classes, (N,C) probabilities computed here."""
        files = sorted(self.images.glob("*/*.png"))
        labels = np.array([NAMES.index(file.parent.name) for file in files])
        tensors = [expected(file, "caffe", CAFFE, 1, False, "bilinear", False) for file in files]
        return files, labels, np.array([linear.answer(tensor, CLASSES, 0.5) for tensor in tensors])


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def cells(out: str, title: str) -> list[list[str]]:
    """Rows of a printed table."""
    lines = out[out.index(title) :].splitlines()[1:]
    body = lines[: next(index for index, line in enumerate(lines) if line.startswith("└"))]
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in body if line.startswith("│")]


def test_tf1_evaluate_says_what_scikit_learn_says(bench: Bench) -> None:
    (bench.images / ".DS_Store").write_text("stray")
    (bench.images / "a_list.txt").write_text("stray")
    ran = bench.run("evaluate", "-b", "4")  # 22 pictures: the last batch holds two
    assert ran.code == 0, ran.text
    _, labels, scores = bench.truth()
    results = strict_json((bench.results / "results.json").read_text())
    for k in (1, 2):
        assert results[f"top_{k}_accuracy"] == pytest.approx(top_k_accuracy_score(labels, scores, k=k))
    assert results["top_k_accuracy"] == results["top_2_accuracy"] and results["num_samples"] == 22
    matrix = cells(ran.out, "Confusion matrix")
    assert [list(map(int, row[1:])) for row in matrix] == confusion_matrix(labels, scores.argmax(1)).tolist()
    precision, recall, f1, _ = precision_recall_fscore_support(labels, scores.argmax(1), zero_division=0)
    for index, row in enumerate(cells(ran.out, "Per class")[:CLASSES]):
        assert list(map(float, row[1:4])) == pytest.approx([precision[index], recall[index], f1[index]], abs=6e-5)
    with Image.open(bench.results / "confusion_matrix.png") as image:
        assert image.width > 300
    assert status_lines(bench.results)[-1]["kpi"]["top_1_accuracy"] == results["top_1_accuracy"]


def test_a_class_without_pictures(tmp_path: Path) -> None:
    bench = Bench(tmp_path, counts=(3, 0, 2, 0, 4))
    ran = bench.run("evaluate", "-c", bench.classmap)
    assert ran.code == 0, ran.text
    _, labels, scores = bench.truth()
    want = top_k_accuracy_score(labels, scores, k=2, labels=range(CLASSES))
    assert strict_json((bench.results / "results.json").read_text())["top_k_accuracy"] == pytest.approx(want)


def test_two_classes(tmp_path: Path) -> None:
    bench = Bench(tmp_path, counts=(4, 5))
    linear.model(bench.model, (3, SIZE, SIZE), {"predictions/Softmax": 2}, sharpness=0.5)
    assert bench.run("evaluate").code == 0
    files, labels, _ = bench.truth()
    scores = [linear.answer(expected(f, "caffe", CAFFE, 1, False, "bilinear", False), 2, 0.5) for f in files]
    results = strict_json((bench.results / "results.json").read_text())
    assert results["top_1_accuracy"] == pytest.approx(np.mean(np.argmax(scores, axis=1) == labels))


def test_tf1_inference(bench: Bench) -> None:
    ran = bench.run("inference", "-i", bench.images, "-c", bench.classmap, "inference.annotate=true", "--batch_size=4")
    assert ran.code == 0, ran.text
    files, _, scores = bench.truth()
    rows = list(csv.reader((bench.results / "result.csv").read_text().splitlines()))
    assert [row[:2] for row in rows] == [
        [str(file), NAMES[best]] for file, best in zip(files, scores.argmax(1), strict=True)
    ]
    assert [float(row[2]) for row in rows] == pytest.approx(scores.max(1).tolist(), abs=1e-4)
    shown = [Image.open(bench.results / "images_annotated" / file.relative_to(bench.images)) for file in files]
    factor = shown[0].width // SIZE
    assert all(image.width == SIZE * factor and image.height > SIZE * factor for image in shown)
    enlarged = Image.open(files[0]).resize((SIZE * factor,) * 2, Image.Resampling.NEAREST)
    np.testing.assert_array_equal(np.asarray(shown[0])[: SIZE * factor], np.asarray(enlarged))


def test_tf1_inference_on_a_flat_folder_without_class_map(bench: Bench) -> None:
    ran = bench.run("inference", "-i", bench.images / NAMES[0])
    assert ran.code == 0 and "classes are named by number" in ran.out
    rows = list(csv.reader((bench.results / "result.csv").read_text().splitlines()))
    assert {row[1] for row in rows} <= set("01234")


def test_options_stand_anywhere_and_win_over_the_spec(bench: Bench) -> None:
    first = run_here(
        "classification_tf1", "", "--gpu_index", "0", f"-r{bench.results}", "evaluate", "--experiment_spec",
        bench.spec, f"--model={bench.model}", "-i", bench.images / "..", "eval_config.top_k=1",
    )  # fmt: skip
    assert first.code == 3 and "1 class (images), but the model has 5" in first.err  # -i won
    assert bench.run("evaluate", "eval_config.top_k=1").code == 0
    assert set(strict_json((bench.results / "results.json").read_text())) == {
        "top_k_accuracy", "num_samples", "top_1_accuracy",
    }  # fmt: skip


def test_a_key_and_a_gpu_out_of_habit(bench: Bench) -> None:
    """Training's commands want -k everywhere; a script that gives it goes on working."""
    options = {"gen_trt_engine": ("--engine_file", bench.root / "e.engine"), "inference": ("-i", bench.images)}
    for subtask in ("gen_trt_engine", "evaluate", "inference"):
        ran = bench.run(subtask, "-k", "nvidia_tlt", "--gpu_index", "0", *options.get(subtask, ()))
        assert ran.code == 0, ran.text


def test_paths_in_the_result_file_are_absolute(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(bench.images)
    assert bench.run("inference", "-i", NAMES[0]).code == 0
    rows = list(csv.reader((bench.results / "result.csv").read_text().splitlines()))
    assert [row[0] for row in rows] == [str(file) for file in sorted((bench.images / NAMES[0]).glob("*.png"))]


@pytest.mark.parametrize(
    ("network", "tree"),
    [
        ("classification_tf1", {"model_config": {"input_image_size": "1,18,26"}}),
        ("multitask_classification", {"model_config": {"input_image_size": "1,18,26"}}),
        ("classification_tf2", {"model": {"input_channels": 1, "input_height": 18, "input_width": 26}}),
        ("classification_tf2", {"model": {"input_channels": 1, "input_height": 18, "input_width": 26},
                                "data_format": "channels_last"}),
    ],
)  # fmt: skip
def test_sizes_of_an_open_model_come_from_the_spec(tmp_path: Path, network: str, tree: dict[str, Any]) -> None:
    declared = registry.load(network)
    spec_file = write_yaml(tmp_path / "s.yaml", tree)
    spec = compose(declared.schema, spec_file, (), declared.migrations, bool(declared.flags)).spec
    tensor = declared.signature(spec).inputs[0]
    prepare = declared.prepare(spec, Binding({tensor.name: TensorInfo("x", "float32", (-1,) * 4)}, {}), "evaluate")
    sizes = {"C": 1, "H": 18, "W": 26}
    assert prepare.shapes == {"x": tuple(sizes[symbol] for symbol in tensor.shape[1:])}
    assert declared.axes(spec) == {symbol: (size,) * 3 for symbol, size in sizes.items()}


def test_yaml_form_of_the_spec(bench: Bench) -> None:
    new = bench.root / "new.yaml"
    assert run_here("classification_tf1", "", "convert_specs", bench.spec, new).code == 0
    assert bench.run("evaluate").code == 0
    first = (bench.results / "results.json").read_bytes()
    bench.spec = new
    (bench.results / "results.json").unlink()
    assert bench.run("evaluate").code == 0
    assert (bench.results / "results.json").read_bytes() == first


def test_int8_build_calibrates_with_the_preprocessing_of_inference(bench: Bench) -> None:
    bench.spec.write_text('train_config { preprocess_mode: "torch" } eval_config { enable_center_crop: true }')
    data, engine = bench.root / "cal.tensorfile", bench.root / "e.engine"
    ran = bench.run(
        "gen_trt_engine", "--data_type", "int8", "--engine_file", engine, "--cal_image_dir", bench.images,
        "--cal_data_file", data, "--cal_cache_file", bench.root / "cal.cache", "--batch_size", 2, "--batches", "3",
        "--max_batch_size", 4, "--max_workspace_size", "1.5",
    )  # fmt: skip
    assert ran.code == 0, ran.text
    assert engine.is_file() and (bench.root / "cal.cache").is_file()
    known = [expected(f, "torch", TORCH, 0.224, True, "bilinear", False) for f in bench.images.glob("*/*.png")]
    with h5py.File(data) as file:
        assert file.attrs["count"] == 3
        rows = [row for index in range(3) for row in file[f"_tensorfile_array_key__{index}/_tensorfile_array_key_"]]
    assert len(rows) == 6
    assert all(min(np.abs(row - want).max() for want in known) < 1e-4 for row in rows)
    facts = strict_json(engine.with_name(engine.name + ".json").read_text())
    assert facts["precision"] == "int8"
    bench.model = engine
    assert bench.run("inference", "-i", bench.images, "-c", bench.classmap).code == 0


def test_workspace_is_in_gigabytes(bench: Bench) -> None:
    ran = bench.run("gen_trt_engine", "--engine_file", bench.root / "e.engine", "--max_workspace_size", "1.5")
    assert ran.code == 0, ran.text
    assert "workspace_size: 1536" in (bench.results / "experiment.yaml").read_text()


@pytest.mark.parametrize(
    ("subtask", "more", "code", "message"),
    [
        ("gen_trt_engine", [], 2, "gen_trt_engine.trt_engine is not set.|Give --engine_file FILE"),
        ("gen_trt_engine", ["--engine_file", "x", "--data_type", "int7"], 2, "--data_type int7: 'int7' is not allowed"),
        ("gen_trt_engine", ["--engine_file", "x", "--max_workspace_size", "2G"], 2, "expected a number of gigabytes"),
        ("gen_trt_engine", ["--engine_file", "x", "--max_batch_size", "a"], 2, "Option --max_batch_size a"),
        ("gen_trt_engine", ["--engine_file", "x", "--data_type", "int8"], 2, "neither calibration data nor a cache"),
        (
            "gen_trt_engine",
            ["--engine_file", "x", "--data_type", "int8", "--cal_image_dir", "nowhere"],
            3,
            "nowhere (gen_trt_engine.tensorrt.calibration.cal_image_dir): no such folder",
        ),
        ("gen_trt_engine", ["-i", "x"], 2, "--image_dir is no option of gen_trt_engine|belongs to evaluate, inference"),
        ("evaluate", ["--gpus", "1"], 2, "unknown option --gpus|Did you mean '--gpu_index'?"),
        ("evaluate", ["--batch_sise", "2"], 2, "unknown option --batch_sise|Did you mean '--batch_size'?"),
        ("evaluate", ["--gpu_index", "-1"], 2, "gpu_index"),
        ("evaluate", ["-b"], 2, "-b/--batch_size: expected one argument"),
        ("evaluate", ["-e", "other"], 2, "two spec files are given"),
        ("evaluate", ["twice"], 2, "'twice' is neither an option nor an override"),
        ("inference", [], 2, "inference.image_dir is not set.|Give -i or --image_dir FOLDER"),
        ("inference", ["-i", "nowhere"], 3, "nowhere (inference.image_dir): no such folder"),
        ("evaluate", ["-c", "missing.json"], 3, "missing.json: no such file"),
        ("evaluate", ["--log_file", "/proc/no/log"], 2, "--log_file: /proc/no/log: cannot be written"),
    ],
)
def test_wrong_command_lines(bench: Bench, subtask: str, more: list[str], code: int, message: str) -> None:
    ran = bench.run(subtask, *more)
    assert ran.code == code, ran.text
    for part in message.split("|"):
        assert part in ran.err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[1]", "expected a JSON object"),
        ("{", "not JSON"),
        ('{"class_0": "0"}', "class 'class_0' has the number '0'"),
        ('{"class_0": 0, "class_1": 0}', "classes 'class_0' and 'class_1' both have the number 0"),
        ('{"class_0": 0, "class_1": 2}', "2 classes, but none has the number 1"),
        ('{"class_0": 0, "class_1": 1}', "2 classes (class_0, class_1), but the model has 5"),
        ('{"a": 0, "b": 1, "c": 2, "d": 3, "e": 4}', "folders that are not in the class list: class_0"),
    ],
)
def test_wrong_class_maps(bench: Bench, content: str, message: str) -> None:
    bench.classmap.write_text(content)
    ran = bench.run("evaluate", "-c", bench.classmap)
    assert ran.code == 3 and message in ran.err
    assert not (bench.results / "results.json").exists()
    assert status_lines(bench.results)[-1]["status"] == "FAILURE"


def test_pictures_beside_and_below_the_class_folders(bench: Bench) -> None:
    noise(bench.images / "logo.png")
    ran = bench.run("evaluate")
    assert ran.code == 3 and "1 picture beside the class folders: logo.png" in ran.text
    results = strict_json((bench.results / "results.json").read_text())
    assert (results["num_samples"], results["num_failed"]) == (22, 1), "the others are scored"
    (bench.images / "logo.png").unlink()
    noise(bench.images / NAMES[0] / "more" / "x.png")
    ran = bench.run("evaluate")
    assert ran.code == 3 and "folders that are not in the class list: more" in ran.text
    assert "its folder 'more' is not in the class list" in ran.err
    ran = bench.run("evaluate", "-i", bench.images / NAMES[1], "-c", bench.classmap)  # its own folder is a class
    assert ran.code == 0 and strict_json((bench.results / "results.json").read_text())["num_samples"] == 4


def test_a_run_does_not_take_its_own_pictures_for_input(bench: Bench) -> None:
    bench.results = bench.images / "results"
    for _ in range(2):
        ran = bench.run("inference", "-i", bench.images, "-c", bench.classmap, "inference.annotate=true")
        assert ran.code == 0, ran.text
        assert len((bench.results / "result.csv").read_text().splitlines()) == 22


@pytest.mark.parametrize(("option", "field", "size"), [(0, 7, 7), (3, 7, 3), (0, 0, 1)])
def test_batch_size_is_the_option_s_else_the_spec_s(tmp_path: Path, option: int, field: int, size: int) -> None:
    for network in ("classification_tf1", "multitask_classification", "lprnet"):
        declared = registry.load(network)
        spec_file = tmp_path / "s.txt"
        spec_file.write_text(f"eval_config {{ batch_size: {field} }}")
        for subtask in ("evaluate", "inference"):
            spec = compose(declared.schema, spec_file, [f"{subtask}.batch_size={option}"], (), True).spec
            assert declared.batch_size(spec, subtask) == size


def test_a_broken_picture_does_not_stop_the_others(bench: Bench) -> None:
    (bench.images / NAMES[1] / "1.png").write_bytes(b"no picture")
    ran = bench.run("evaluate")
    assert ran.code == 3 and "1.png: not a picture" in ran.err and "1 of 22 samples could not be used" in ran.err
    assert strict_json((bench.results / "results.json").read_text())["num_samples"] == 21


def test_top_k_beyond_the_classes_and_an_unset_one(bench: Bench) -> None:
    bench.spec.write_text(f'eval_config {{ eval_dataset_path: "{bench.images}" top_k: 9 batch_size: 0 }}')
    ran = bench.run("evaluate")
    assert ran.code == 0 and "top_k is 9, but there are only 5 classes" in ran.out
    assert strict_json((bench.results / "results.json").read_text())["top_k_accuracy"] == 1


def test_log_file_takes_the_output(bench: Bench) -> None:
    log = bench.root / "logs" / "log.txt"
    ran = bench.run("evaluate", "--log_file", log)
    assert ran.code == 0 and ran.out == ""
    assert "Confusion matrix" in log.read_text()
    bench.model = bench.root / "none.engine"
    ran = bench.run("evaluate", "--log_file", log)
    assert ran.code == 5 and "no such file" in ran.err and ran.out == ""
    assert "Confusion matrix" in log.read_text() and "no such file" in log.read_text()


def test_a_broken_spec_leaves_a_failure_line(bench: Bench) -> None:
    bench.spec.write_text("eval_config {\n  top_k: three\n}")
    ran = bench.run("evaluate")
    assert ran.code == 2 and "spec.txt:2:3: eval_config.top_k: found three; expected a whole number." in ran.err
    assert status_lines(bench.results)[-1]["status"] == "FAILURE"


def test_help_lists_the_options() -> None:
    ran = run_here("classification_tf1", "gen_trt_engine", "--help")
    assert ran.code == 0 and "-s, --strict_type_constraints" in ran.out
    assert "--image_dir" not in ran.out.split("spec keys")[0]
    ran = run_here("classification_tf1", "")
    assert ran.code == 0 and "convert_specs" in ran.out


@pytest.mark.parametrize("release", ["5.5", "6.25"])
@pytest.mark.parametrize("network", ["classification_tf1", "classification_tf2", "multitask_classification", "lprnet"])
def test_sample_specs(sample_specs: Callable[[str, str], Path], release: str, network: str) -> None:
    declared = registry.load(network)
    files = sorted(sample_specs(release, network).glob("*.*"))
    assert files
    for file in files:
        composed = compose(declared.schema, file, (), declared.migrations, bool(declared.flags))
        if network == "classification_tf1":
            assert composed.spec.eval_config.top_k == 3 and composed.spec.eval_config.enable_center_crop
            assert composed.spec.model_config.input_image_size == "3,224,224"
        elif network == "classification_tf2":
            tensorrt = composed.spec.gen_trt_engine.tensorrt
            assert (tensorrt.workspace_size, tensorrt.max_batch_size, tensorrt.data_type) == (2048, 16, "FP16")
            assert (tensorrt.calibration.cal_batch_size, tensorrt.calibration.cal_batches) == (16, 3125)
            assert composed.spec.gen_trt_engine.batch_size == -1 and composed.spec.gen_trt_engine.verbose
        elif network == "lprnet":
            assert len(composed.spec.dataset_config.validation_data_sources) == 1


class Tf2:
    """A channels-last model and its spec."""

    def __init__(self, root: Path) -> None:
        self.bench = Bench(root)
        self.model = linear.model(root / "tf2.onnx", (SIZE, SIZE, 3), {"Identity:0": CLASSES}, "input:0", sharpness=60)
        self.results = root / "out"
        self.tree: dict[str, Any] = {
            "results_dir": str(self.results),
            "data_format": "channels_last",
            "dataset": {"preprocess_mode": "torch", "image_mean": TORCH},
            "gen_trt_engine": {"onnx_file": str(self.model), "trt_engine": str(root / "e")},
            "evaluate": {"dataset_path": str(self.bench.images), "trt_engine": str(root / "e"), "top_k": 2},
            "inference": {"image_dir": str(self.bench.images), "trt_engine": str(root / "e")},
        }  # fmt: skip

    def run(self, subtask: str, *more: str) -> Ran:
        spec = write_yaml(self.bench.root / "tf2.yaml", self.tree)
        return run_here("classification_tf2", subtask, "-e", spec, *more)

    def scores(self) -> np.ndarray:
        tensors = [expected(file, "torch", TORCH, 0.224, True, "bilinear", False) for file in self.bench.truth()[0]]
        return np.array([linear.answer(tensor.transpose(1, 2, 0), CLASSES, 60) for tensor in tensors])


def test_tf2_all_subtasks(tmp_path: Path) -> None:
    """Batch 64 by default, an engine that takes one picture, 22 pictures, no class map: all of it works."""
    job = Tf2(tmp_path)
    for subtask in ("gen_trt_engine", "evaluate", "inference"):
        ran = job.run(subtask)
        assert ran.code == 0, ran.text
    labels, scores = job.bench.truth()[1], job.scores()
    results = strict_json((job.results / "trt_evaluate/results.json").read_text())
    assert results["top_k_accuracy"] == pytest.approx(top_k_accuracy_score(labels, scores, k=2))
    assert results["top_1_accuracy"] == pytest.approx(np.mean(scores.argmax(1) == labels))
    rows = list(csv.reader((job.results / "trt_inference/result.csv").read_text().splitlines()))
    assert [row[1] for row in rows] == [NAMES[best] for best in scores.argmax(1)]
    assert [float(row[2]) for row in rows] == pytest.approx(scores.max(1).tolist(), abs=1e-4)
    assert not (job.results / "trt_inference/images_annotated").exists()


def test_tf2_wrong_keys(tmp_path: Path) -> None:
    job = Tf2(tmp_path)
    ran = job.run("evaluate", "evaluate.batchsize=3")
    assert ran.code == 2 and "'evaluate.batch_size'" in ran.err
    ran = job.run("evaluate", "evaluate.dataset_path=''")
    assert ran.code in (2, 5)
    picture(tmp_path / "flat" / "x.png")
    job.run("gen_trt_engine")
    ran = job.run("evaluate", f"evaluate.dataset_path={tmp_path / 'flat'}")
    assert ran.code == 3 and "no class folders in it" in ran.err


def test_tf2_int8_calibrates_with_the_preprocessing_of_inference(tmp_path: Path) -> None:
    job = Tf2(tmp_path)
    job.tree["dataset"] = {"preprocess_mode": "tf"}
    cache, data = tmp_path / "cal.cache", tmp_path / "cal.tensorfile"
    keys = {"cal_image_dir": str(job.bench.images), "cal_data_file": str(data), "cal_cache_file": str(cache)}
    tensorrt = {"data_type": "int8", "max_workspace_size": 2, "calibration": {**keys, "cal_batches": 3}}
    job.tree["gen_trt_engine"]["tensorrt"] = tensorrt
    ran = job.run("gen_trt_engine")
    assert ran.code == 0, ran.text
    files = job.bench.truth()[0]
    known = [expected(file, "tf", None, 1, True, "bilinear", False).transpose(1, 2, 0) for file in files]
    with h5py.File(data) as file:
        rows = [row for index in range(3) for row in file[f"_tensorfile_array_key__{index}/_tensorfile_array_key_"]]
    assert len(rows) == 3 and all(min(np.abs(row - want).max() for want in known) < 1e-4 for row in rows)
    # the values that stand for nothing in TAO's default_specs: the cache alone will do, without it there is no guess
    tensorrt["calibration"] = {"cal_image_dir": "", "cal_data_file": "", "cal_cache_file": str(cache)}
    ran = job.run("gen_trt_engine")
    assert ran.code == 0, ran.text
    ran = job.run("gen_trt_engine", "gen_trt_engine.tensorrt.calibration.cal_cache_file=''")
    assert ran.code == 2 and "neither calibration data nor a cache" in ran.err


@pytest.mark.parametrize("qat", [True, False])
def test_tf2_a_model_with_ranges_of_its_own_needs_no_calibration(tmp_path: Path, qat: bool) -> None:
    job = Tf2(tmp_path)
    folder = f"[{job.bench.images}]"
    int8 = "gen_trt_engine.tensorrt.data_type=int8"
    assert job.run("gen_trt_engine", int8, f"gen_trt_engine.tensorrt.calibration.cal_image_dir={folder}").code == 0
    quantised = (tmp_path / "e").rename(tmp_path / "quantised.onnx")
    ran = job.run("gen_trt_engine", int8, f"gen_trt_engine.onnx_file={quantised}", f"train.qat={qat}")
    assert ran.code == 0 and "its own ranges count, no calibration is run" in ran.out, ran.text


def test_tf2_without_an_engine_to_write_nothing_is_built_and_that_is_an_error(tmp_path: Path) -> None:
    job = Tf2(tmp_path)
    del job.tree["gen_trt_engine"]["trt_engine"]
    ran = job.run("gen_trt_engine")
    assert ran.code == 2 and "gen_trt_engine.trt_engine is not set" in ran.err
    assert status_lines(job.results / "gen_trt_engine")[-1]["status"] == "FAILURE"
