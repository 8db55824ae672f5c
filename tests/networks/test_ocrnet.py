# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""ocrnet from the command line, on a model whose answers are known.

The model cuts its input into T columns; the class of a column is the one whose grey level is nearest to the column's
mean: class k stands for the level k * 255 / (classes - 1). So a picture of grey columns spells a text.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from nvidia_tao_deploy.engine.contract import TensorInfo
from nvidia_tao_deploy.graph.classes import class_count
from nvidia_tao_deploy.network import Sample
from nvidia_tao_deploy.networks import ocrnet
from nvidia_tao_deploy.signature import Binding
from nvidia_tao_deploy.spec.compose import compose
from tests.makers import Ran, run_here, status_lines, write_yaml
from tests.networks.columns import column_classes

STEPS, COLUMN, HEIGHT = 8, 4, 16
LETTERS = "abcde"


def model(
    classes: int, steps: int = STEPS, channels: int = 1, batch: int | str = "batch", height: int | str = HEIGHT
) -> bytes:
    """The model described above; with three channels it looks at the first."""
    levels = np.linspace(-1, 1, classes, dtype=np.float32).reshape(1, 1, classes)
    constants = {
        "levels": levels,
        "sharpness": np.array(-400.0, np.float32),
        "columns": np.array([0, steps, 1], np.int64),
        "start": np.array([0], np.int64),
        "end": np.array([1], np.int64),
        "axis": np.array([1], np.int64),
        "rows": np.array([2], np.int64),
    }
    nodes = [
        *column_classes("input", COLUMN),
        helper.make_node("ArgMax", ["probabilities"], ["best"], axis=2, keepdims=0),
        helper.make_node("Cast", ["best"], ["output_id"], to=TensorProto.INT32),
        helper.make_node("ReduceMax", ["probabilities"], ["output_prob"], axes=[2], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "columns",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [batch, channels, height, steps * COLUMN])],
        [
            helper.make_tensor_value_info("output_id", TensorProto.INT32, [batch, steps]),
            helper.make_tensor_value_info("output_prob", TensorProto.FLOAT, [batch, steps]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(proto, full_check=True)
    return proto.SerializeToString()


class Bench:
    """Crops, their ground truth, a character list, a model and a spec."""

    def __init__(self, folder: Path, prediction: str = "CTC", letters: str = LETTERS, **model_of: Any) -> None:
        self.folder, self.special = folder, 1 if prediction == "CTC" else 2
        self.letters, self.classes = letters, len(letters) + self.special
        (folder / "crops").mkdir()
        (folder / "model.onnx").write_bytes(model(self.classes, **model_of))
        (folder / "characters.txt").write_text("".join(f"{letter}\n" for letter in letters), encoding="utf-8")
        self.labels: dict[str, str] = {}
        engine = str(folder / "x.engine")
        self.spec: dict[str, Any] = {
            "results_dir": str(folder / "results"),
            "model": {"prediction": prediction},
            "dataset": {"character_list_file": str(folder / "characters.txt")},
            "gen_trt_engine": {"onnx_file": str(folder / "model.onnx"), "trt_engine": engine},
            "evaluate": {
                "trt_engine": engine,
                "test_dataset_dir": str(folder / "crops"), "test_dataset_gt_file": str(folder / "gt.txt"),
            },
            "inference": {"trt_engine": engine, "inference_dataset_dir": str(folder / "crops")},
        }  # fmt: skip

    def ids(self, *parts: str | int) -> list[int]:
        """Classes of letters (and of ids given as such)."""
        return [part if isinstance(part, int) else self.letters.index(part) + self.special for part in parts]

    def add(self, name: str, ids: list[int], label: str, channel: int | None = None) -> None:
        """A crop with one grey column per class id; the rest, up to the model's width, repeats the last."""
        row = np.array(ids + [ids[-1]] * (STEPS - len(ids))) * 255 / (self.classes - 1)
        picture = np.rint(row).astype(np.uint8).repeat(COLUMN)[None].repeat(HEIGHT, axis=0)
        if channel is not None:
            colour = np.zeros((*picture.shape, 3), np.uint8)
            colour[..., channel] = picture
            picture = colour
        Image.fromarray(picture).save(self.folder / "crops" / name)
        self.labels[name] = label

    def run(self, subtask: str, *overrides: str) -> Ran:
        lines = [f"{name}\t{label}\n" for name, label in self.labels.items()]
        (self.folder / "gt.txt").write_text("".join(lines), encoding="utf-8")
        return run_here("ocrnet", subtask, "-e", write_yaml(self.folder / "spec.yaml", self.spec), *overrides)

    def build(self) -> None:
        ran = self.run("gen_trt_engine")
        assert ran.code == 0, ran.text

    @property
    def accuracy(self) -> float:
        return json.loads((self.folder / "results/trt_evaluate/results.json").read_text())["Accuracy"]

    @property
    def rows(self) -> list[list[str]]:
        text = (self.folder / "results/trt_inference/predictions.csv").read_text(encoding="utf-8")
        return list(csv.reader(io.StringIO(text)))


def test_three_subtasks_with_a_partial_last_batch(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    spelled: dict[str, tuple[str | int, ...]] = {word: tuple(word) for word in ("abc", "a", "", "cab", "edcba")}
    spelled |= {"aab": ("a", 0, "a", "b"), "bb": ("b", 0, "b")}
    words = list(spelled)
    for index, (word, parts) in enumerate(spelled.items()):
        bench.add(f"word_{index + 4}.png", [*bench.ids(*parts), 0], word)
    bench.build()
    ran = bench.run("evaluate", "evaluate.batch_size=3")
    assert ran.code == 0, ran.text
    assert bench.accuracy == 1
    assert "1 - normalised edit distance" in ran.out
    ran = bench.run("inference", "inference.batch_size=3")
    assert ran.code == 0
    assert bench.rows[0] == ["image", "text", "confidence"]
    assert [(Path(path).name, text) for path, text, _ in bench.rows[1:]] == [
        (f"word_{index + 4}.png", word) for index, word in enumerate(words)
    ], "natural order: word_9 before word_10"
    printed = [line for line in ran.out.splitlines() if line.startswith(str(tmp_path / "crops"))]
    assert printed == [f"{path}: {text} {confidence}" for path, text, confidence in bench.rows[1:]]
    assert all(0.9 < float(confidence) <= 1 for *_, confidence in bench.rows[1:])


def test_the_confidence_is_the_product_of_all_steps(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.add("a.png", bench.ids("a", "b", 0), "ab")
    grey = round(0.4 * 255 / 5)  # between class 0 and class 1
    picture = np.full((HEIGHT, STEPS * COLUMN), grey, np.uint8)
    Image.fromarray(picture).save(tmp_path / "crops" / "b.png")
    bench.build()
    assert bench.run("inference").code == 0
    levels = np.linspace(-1, 1, 6)
    logits = -400 * (grey / 127.5 - 1 - levels) ** 2
    best = np.exp(logits).max() / np.exp(logits).sum()
    assert float(bench.rows[2][2]) == pytest.approx(best**STEPS, rel=1e-3)


def test_one_wrong_of_four(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    for index, label in enumerate(("ab", "ab", "AB", "ab")):
        bench.add(f"{index}.png", [*bench.ids("a", "b"), 0], label)
    bench.build()
    ran = bench.run("evaluate")
    assert bench.accuracy == 0.75
    assert "1 of 4 labels hold characters that are not in" in ran.out
    assert status_lines(tmp_path / "results/trt_evaluate")[-1]["status"] == "SUCCESS"


def test_attention_without_end_with_an_early_end_and_empty(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "Attn")
    bench.add("early.png", bench.ids("a", "b", 1, "c"), "ab")
    bench.add("empty.png", bench.ids(1, "a"), "")
    bench.add("full.png", bench.ids(*"abcdeabc"), "abcdeabc")
    bench.add("start.png", bench.ids(0, "c", 1), "c")
    bench.build()
    assert bench.run("evaluate").code == 0
    assert bench.accuracy == 1
    assert bench.run("inference").code == 0
    assert [row[1] for row in bench.rows[1:]] == ["ab", "", "abcdeabc", "c"]


def test_a_single_step(tmp_path: Path) -> None:
    bench = Bench(tmp_path, steps=1)
    picture = np.full((HEIGHT, COLUMN), round(2 * 255 / 5), np.uint8)
    Image.fromarray(picture).save(tmp_path / "crops" / "a.png")
    bench.build()
    assert bench.run("inference").code == 0
    assert bench.rows[1][1] == "b"


def test_three_channels_are_red_green_blue(tmp_path: Path) -> None:
    bench = Bench(tmp_path, channels=3)
    bench.add("red.png", [*bench.ids("a", "b", "c"), 0], "abc", channel=0)
    bench.add("grey.png", [*bench.ids("c", "b"), 0], "cb")
    bench.build()
    assert bench.run("evaluate").code == 0
    assert bench.accuracy == 1


def test_labels_with_spaces(tmp_path: Path) -> None:
    bench = Bench(tmp_path, letters="ab ")
    bench.add("a.png", [*bench.ids(*"a b"), 0], "a b")
    bench.add("b.png", [*bench.ids(*" b "), 0], "b")
    bench.build()
    ran = bench.run("evaluate")
    assert ran.code == 0
    assert bench.accuracy == 1
    assert "1 lines of white space stand for characters: that fits the model" in ran.out
    ran = bench.run("evaluate", "dataset.blank_lines=drop")
    assert ran.code == 3
    assert "characters.txt: 2 characters, but the model has 4 classes" in ran.err


def test_a_list_of_another_model(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.add("a.png", bench.ids("a"), "a")
    bench.build()
    (tmp_path / "characters.txt").write_text("a\nb\n")
    for subtask in ("evaluate", "inference"):
        ran = bench.run(subtask)
        assert ran.code == 3
        assert "2 characters, but the model has 6 classes" in ran.err
        assert status_lines(tmp_path / f"results/trt_{subtask}")[-1]["status"] == "FAILURE"
    assert not (tmp_path / "results/trt_inference/predictions.csv").exists()
    ran = bench.run("evaluate", "model.prediction=Attn")
    assert "model.prediction=Attn" in ran.err


def test_aspect_ratio_is_kept_when_the_spec_says_so(tmp_path: Path) -> None:
    """A crop of half the model's width: squashed, each column is two; kept, the last one fills the rest."""
    spec = compose(ocrnet.Spec, None, ["dataset.augmentation.keep_aspect_ratio=true"]).spec
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (32, 32), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    row = np.zeros((1, 16, 32), np.float32)
    ocrnet.prepare(spec, binding(16, 32), "evaluate")(Sample("a", tmp_path / "a.png"), {"input": row})
    small = np.asarray(Image.fromarray(pixels).resize((16, 16), Image.Resampling.BICUBIC), np.float64)
    expected = np.concatenate([small, np.repeat(small[:, -1:], 16, axis=1)], axis=1) / 127.5 - 1
    np.testing.assert_allclose(row[0], expected, atol=1e-5)
    Image.fromarray(pixels[:8]).save(tmp_path / "wide.png")
    ocrnet.prepare(spec, binding(16, 32), "evaluate")(Sample("w", tmp_path / "wide.png"), {"input": row})
    squashed = np.asarray(Image.fromarray(pixels[:8]).resize((32, 16), Image.Resampling.BICUBIC), np.float64)
    np.testing.assert_allclose(row[0], squashed / 127.5 - 1, atol=1e-5)
    for width in range(1, 40):  # rounded up, as math.ceil
        Image.fromarray(np.zeros((20, width), np.uint8)).save(tmp_path / "n.png")
        row[:] = 9
        ocrnet.prepare(spec, binding(16, 32), "evaluate")(Sample("n", tmp_path / "n.png"), {"input": row})
        assert (row == -1).all(), math.ceil(16 * width / 20)


def binding(height: int, width: int, channels: int = 1) -> Binding:
    info = TensorInfo("input", "float32", (-1, channels, height, width))
    steps = TensorInfo("output_id", "int32", (-1, 8))
    return Binding({"input": info}, {"output_id": steps, "output_prob": steps})


@pytest.mark.parametrize("subtask", ["evaluate", "inference", "gen_trt_engine"])
@pytest.mark.parametrize("channels", [1, 3])
def test_preprocessing_equals_pillow_step_by_step(tmp_path: Path, channels: int, subtask: str) -> None:
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (37, 91, 3), np.uint8))
    image.save(tmp_path / "a.png")
    row = np.zeros((channels, 32, 100), np.float32)
    prepare = ocrnet.prepare(compose(ocrnet.Spec, None).spec, binding(32, 100, channels), subtask)
    prepare(Sample("a", tmp_path / "a.png"), {"input": row})
    mode = image.convert("L") if channels == 1 else image
    pixels = np.asarray(mode.resize((100, 32), Image.Resampling.BICUBIC), np.float64).reshape(32, 100, channels)
    np.testing.assert_allclose(row, ((pixels / 255 - 0.5) / 0.5).transpose(2, 0, 1), atol=1e-5)


def test_the_model_decides_its_size(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.add("a.png", [*bench.ids("a", "b"), 0], "ab")
    bench.build()
    ran = bench.run("evaluate", "evaluate.input_width=100", "evaluate.input_height=32")
    assert ran.code == 0
    assert "the spec says 100 x 32, the model takes 32 x 16 only" in ran.out
    assert bench.accuracy == 1
    ran = bench.run("evaluate", "evaluate.input_width=32", "evaluate.input_height=16")
    assert "takes" not in ran.out
    assert "takes" not in bench.run("evaluate").out


def test_open_sizes_come_from_the_task_then_the_model_section() -> None:
    spec = compose(ocrnet.Spec, None, ["model.input_height=48", "evaluate.input_width=320"]).spec
    open_size = binding(-1, -1, -1)
    assert ocrnet.input_shape(spec, open_size, "evaluate") == (1, 48, 320)
    assert ocrnet.input_shape(spec, open_size, "gen_trt_engine") == (1, 48, 100)
    assert ocrnet.axes(spec) == {"C": (1, 1, 1), "H": (48, 48, 48), "W": (100, 100, 100)}


def test_a_fixed_batch_larger_than_the_data_set(tmp_path: Path) -> None:
    bench = Bench(tmp_path, batch=4)
    for index in range(6):
        letter = LETTERS[1 + index % 4]
        bench.add(f"{index}.png", [*bench.ids("a", letter), 0], f"a{letter}")
    bench.build()
    assert bench.run("evaluate").code == 0
    assert bench.accuracy == 1
    assert bench.run("inference").code == 0
    assert len(bench.rows) == 7


def test_a_missing_and_a_broken_crop_are_reported(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.add("a.png", [*bench.ids("a"), 0], "a")
    bench.labels["gone.png"] = "b"
    (tmp_path / "crops" / "broken.png").write_bytes(b"\x89PNG")
    bench.build()
    ran = bench.run("evaluate")
    assert ran.code == 3
    assert "gone.png: no such" in ran.err
    assert bench.accuracy == 1, "of the one that could be read"
    ran = bench.run("inference")
    assert ran.code == 3
    assert "broken.png" in ran.err
    assert len(bench.rows) == 2


@pytest.mark.parametrize(
    ("override", "expected", "code"),
    [
        ("dataset.character_list_file=null", "dataset.character_list_file is not set", 2),
        ("dataset.character_list_file=/nowhere.txt", "/nowhere.txt: no such file", 3),
        ("evaluate.test_dataset_gt_file=null", "evaluate.test_dataset_gt_file is not set", 2),
        ("evaluate.test_dataset_dir=/nowhere", "/nowhere: no such folder", 3),
        ("model.prediction=CRNN", "expected one of CTC, Attn", 2),
        ("evaluate.batch_size=0", "must be at least 1; found 0", 2),
        ("evaluate.batchsize=2", "evaluate.batch_size", 2),
    ],
)
def test_wrong_specs(tmp_path: Path, override: str, expected: str, code: int) -> None:
    bench = Bench(tmp_path)
    bench.add("a.png", bench.ids("a"), "a")
    bench.build()
    ran = bench.run("evaluate", override)
    assert ran.code == code
    assert expected in ran.err


def test_a_bad_ground_truth_line(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.add("a.png", bench.ids("a"), "a")
    bench.build()
    (tmp_path / "bad.txt").write_text("a.png a\nb.png\n")
    ran = bench.run("evaluate", f"evaluate.test_dataset_gt_file={tmp_path}/bad.txt")
    assert ran.code == 3
    assert "bad.txt, line 2: 'b.png' has no text" in ran.err and "the results are of the other 1." in ran.err
    assert bench.accuracy == 1


def test_an_extra_output_is_ignored_and_other_networks_are_refused(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    proto = onnx.load_from_string((tmp_path / "model.onnx").read_bytes())
    proto.graph.output.append(helper.make_tensor_value_info("best", TensorProto.INT64, ["batch", STEPS]))
    onnx.save(proto, tmp_path / "model.onnx")
    bench.add("a.png", [*bench.ids("a"), 0], "a")
    bench.build()
    assert bench.run("evaluate").code == 0
    assert bench.accuracy == 1
    other = {
        "results_dir": f"{tmp_path}/other",
        "evaluate": {"trt_engine": f"{tmp_path}/x.engine"},
        "dataset": {"validate_dataset": {"data_path": str(tmp_path)}},
    }
    ran = run_here("ocdnet", "evaluate", "-e", write_yaml(tmp_path / "other.yaml", other))
    assert ran.code == 5
    assert "Expected inputs: input" in ran.err


def test_class_count(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(model(37))
    assert class_count(tmp_path / "model.onnx", "output_id") == 37
    assert class_count(tmp_path / "model.onnx", "output_prob") is None
    (tmp_path / "plan").write_bytes(b"ftrt" + bytes(100))
    assert class_count(tmp_path / "plan", "output_id") is None
    (tmp_path / "cut.onnx").write_bytes(model(37)[:300])
    assert class_count(tmp_path / "cut.onnx", "output_id") is None


@pytest.mark.parametrize("quantised", [False, True])
def test_class_count_without_shapes(tmp_path: Path, quantised: bool) -> None:
    """Where shape inference gives up, the last layer's weights tell."""
    kind = np.int8 if quantised else np.float32
    weights = [
        numpy_helper.from_array(np.zeros((4, 29), kind), "stored"),
        numpy_helper.from_array(np.array(0.1, np.float32), "step"),
    ]
    unpack = helper.make_node("DequantizeLinear", ["stored", "step"], ["weights"])
    nodes = [
        unpack if quantised else helper.make_node("Identity", ["stored"], ["weights"]),
        helper.make_node("Reshape", ["input", "shape"], ["features"]),
        helper.make_node("MatMul", ["features", "weights"], ["logits"]),
        helper.make_node("Flatten", ["logits"], ["rows"], axis=2),
        helper.make_node("Softmax", ["rows"], ["shares"], axis=1),
        helper.make_node("Reshape", ["shares", "shape"], ["p"]),
        helper.make_node("ArgMax", ["p"], ["output_id"], axis=2, keepdims=0),
    ]
    inputs = [
        helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 1, 8, 8]),
        helper.make_tensor_value_info("shape", TensorProto.INT64, ["rank"]),
    ]
    output = helper.make_tensor_value_info("output_id", TensorProto.INT64, ["batch", "steps"])
    graph = helper.make_graph(nodes, "late", inputs, [output], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), tmp_path / "model.onnx")
    assert class_count(tmp_path / "model.onnx", "output_id") == 29


@pytest.mark.parametrize("release", ["5.5", "6.25"])
def test_sample_specs_load_unchanged(release: str, sample_specs: Callable[[str, str], Path]) -> None:
    folder = sample_specs(release, "ocrnet")
    build, infer, full = (
        compose(ocrnet.Spec, folder / f"{name}.yaml", (), ocrnet.MIGRATIONS).spec
        for name in ("trt", "infer", "experiment")
    )
    assert build.gen_trt_engine.onnx_file == "/workspace/model.etlt"
    assert build.gen_trt_engine.trt_engine == "./trt.engine"
    assert build.gen_trt_engine.tensorrt.workspace_size == 2048, "2 GB, in MB"
    assert infer.inference.trt_engine == "./trt.engine"
    assert infer.inference.inference_dataset_dir == "./test_samples"
    assert infer.dataset.character_list_file == "./character_list.txt"
    assert (full.model.prediction, full.model.input_width, full.model.input_height) == ("CTC", 100, 32)


def test_flat_specs_and_a_model_section_do_not_mix_up(tmp_path: Path) -> None:
    flat = write_yaml(
        tmp_path / "flat.yaml", {"model": "m.onnx", "save_engine_path": "e", "opt_batch_size": 4, "workspace_size": 2}
    )
    spec = compose(ocrnet.Spec, flat, (), ocrnet.MIGRATIONS).spec
    assert (spec.gen_trt_engine.onnx_file, spec.model.prediction) == ("m.onnx", "CTC")
    assert spec.gen_trt_engine.tensorrt.opt_batch_size == 4
    assert spec.gen_trt_engine.tensorrt.workspace_size == 2048, "2 GB, in MB"
    nested = write_yaml(tmp_path / "new.yaml", {"model": {"prediction": "Attn"}, "dataset": {"input_channel": 3}})
    spec = compose(ocrnet.Spec, nested, (), ocrnet.MIGRATIONS).spec
    assert (spec.gen_trt_engine.onnx_file, spec.model.prediction, spec.model.input_channel) == (None, "Attn", 3)


def test_annotated_pictures_are_higher_by_their_caption(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.add("ab.png", bench.ids("a", 0, "b"), "ab")
    bench.build()
    folder = tmp_path / "results/trt_inference/images_annotated"
    assert bench.run("inference").code == 0 and not folder.exists()
    assert bench.run("inference", "inference.annotate=true").code == 0
    with Image.open(folder / "ab.png") as shown, Image.open(tmp_path / "crops/ab.png") as crop:
        assert shown.height > crop.height and shown.width >= crop.width
    font = ("inference.annotate=true", "inference.annotate_font=no.ttf")
    ran = bench.run("inference", *font)
    assert ran.code == 2 and "inference.annotate_font: no.ttf: no such file" in ran.err
