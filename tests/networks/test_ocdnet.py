# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""ocdnet from the command line, on a model whose answers are known.

The model undoes the normalisation and answers with its first channel, 0..1, as the probability of text. So blocks of
the right colour are text regions, their brightness is their score, and a wrong channel order, mean or scale shows.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
import shapely
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from nvidia_tao_deploy.engine.contract import TensorInfo
from nvidia_tao_deploy.errors import DataError, SpecError
from nvidia_tao_deploy.network import Sample
from nvidia_tao_deploy.networks import ocdnet
from nvidia_tao_deploy.signature import Binding
from nvidia_tao_deploy.spec.compose import compose
from tests.makers import Ran, run_here, status_lines, write_yaml

MEAN = np.array([122.67891434, 116.66876762, 104.00698793])
LEVEL = 230
BLUE, RED, WHITE = (0, 0, LEVEL), (LEVEL, 0, 0), (LEVEL, LEVEL, LEVEL)
Blocks = list[tuple[int, int, int, int]]


@pytest.fixture(autouse=True)
def _no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)


def model(height: int | str = "height", width: int | str = "width", batch: int | str = "batch") -> bytes:
    """The model described above."""
    constants = {
        "gain": np.array(1.0, np.float32),
        "shift": (MEAN / 255).astype(np.float32).reshape(1, 3, 1, 1),
        "start": np.array([0], np.int64),
        "end": np.array([1], np.int64),
        "axis": np.array([1], np.int64),
    }
    nodes = [
        helper.make_node("Mul", ["input", "gain"], ["scaled"]),
        helper.make_node("Add", ["scaled", "shift"], ["pixels"]),
        helper.make_node("Slice", ["pixels", "start", "end", "axis"], ["pred"]),
    ]
    graph = helper.make_graph(
        nodes,
        "first_channel",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [batch, 3, height, width])],
        [helper.make_tensor_value_info("pred", TensorProto.FLOAT, [batch, 1, height, width])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(proto, full_check=True)
    return proto.SerializeToString()


def grown(block: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """Where the detector must find a block (left, top, right, bottom; exclusive): by the formula of the contract."""
    left, top, right, bottom = block[0], block[1], block[2] - 1, block[3] - 1
    wide, high = right - left, bottom - top
    distance = round(wide * high * 1.5 / (2 * (wide + high)))
    return left - distance, top - distance, right + distance, bottom + distance


class Bench:
    """A data set `data/img`, `data/gt`, a model, and a spec."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for part in ("img", "gt"):
            (folder / "data" / part).mkdir(parents=True)
        (folder / "model.onnx").write_bytes(model())
        self.spec: dict[str, Any] = {
            "results_dir": str(folder / "results"),
            "dataset": {"validate_dataset": {"data_path": [str(folder / "data")]}},
            "gen_trt_engine": {
                "onnx_file": str(folder / "model.onnx"), "trt_engine": str(folder / "x.engine"),
                "width": 160, "height": 96,
            },
            "evaluate": {"trt_engine": str(folder / "x.engine")},
            "inference": {
                "trt_engine": str(folder / "x.engine"), "input_folder": str(folder / "data" / "img"),
                "width": 160, "height": 96,
            },
        }  # fmt: skip
        self.resize([160, 96])

    def resize(self, short_size: list[int] | int, **more: Any) -> None:
        step = {"type": "Resize2D", "args": {"short_size": short_size, **more}}
        self.spec["dataset"]["validate_dataset"].setdefault("args", {})["pre_processes"] = [step]

    def add(
        self, name: str, blocks: Blocks, colour: tuple[int, int, int] = BLUE, size: tuple[int, int] = (160, 96),
        labels: list[tuple[int, int, int, int]] | None = None, text: str = "word", **save: Any,
    ) -> None:  # fmt: skip
        """A picture with blocks of a colour, and ground truth that is where they must be found."""
        picture = np.zeros((size[1], size[0], 3), np.uint8)
        for left, top, right, bottom in blocks:
            picture[top:bottom, left:right] = colour
        Image.fromarray(picture).save(self.folder / "data" / "img" / name, **save)
        lines = [
            f"{a},{b},{c},{b},{c},{d},{a},{d},{text}\n" for a, b, c, d in (labels or [grown(block) for block in blocks])
        ]
        (self.folder / "data" / "gt" / f"gt_{Path(name).stem}.txt").write_text("".join(lines))

    def run(self, subtask: str, *overrides: str) -> Ran:
        return run_here("ocdnet", subtask, "-e", write_yaml(self.folder / "spec.yaml", self.spec), *overrides)

    def build(self) -> None:
        assert self.run("gen_trt_engine").code == 0

    @property
    def scores(self) -> dict[str, float]:
        return json.loads((self.folder / "results" / "trt_evaluate" / "results.json").read_text())

    @property
    def found(self) -> Path:
        return self.folder / "results" / "trt_inference"

    def status(self, subtask: str) -> list[dict[str, Any]]:
        return status_lines(self.folder / "results" / subtask)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def fill(bench: Bench, count: int = 7, **how: Any) -> None:
    for index in range(count):
        bench.add(f"img_{index}.png", [(20 + index, 20, 80 + index, 36), (30, 60, 120, 74 + index)], **how)


def test_three_subtasks_with_a_partial_last_batch(bench: Bench) -> None:
    fill(bench)
    bench.build()
    assert bench.run("evaluate", "evaluate.batch_size=3").code == 0
    assert bench.scores == {"Precision": 1.0, "Recall": 1.0, "F-measure": pytest.approx(1, abs=1e-6)}
    assert bench.run("inference", "inference.batch_size=3").code == 0
    files = {path.name for path in bench.found.iterdir()} - {"experiment.yaml", "status.json"}
    assert files == {f"img_{i}{end}" for i in range(7) for end in ("_result.jpg", "_pred.jpg", ".txt")}
    lines = (bench.found / "img_3.txt").read_text().splitlines()
    boxes = {tuple(map(int, (*line.split(",")[:2], *line.split(",")[4:6]))) for line in lines}
    assert boxes == {grown((23, 20, 83, 36)), grown((30, 60, 120, 77))}
    assert all(float(line.split(",")[8]) == pytest.approx(LEVEL / 255, abs=1e-5) for line in lines)
    drawn = np.asarray(Image.open(bench.found / "img_3_result.jpg")).astype(int)
    left, top, *_ = grown((23, 20, 83, 36))
    assert drawn.shape == (96, 160, 3)
    assert drawn[top, left + 10, 0] - drawn[top, left + 10, 1] > 100, "a red outline"
    heat = np.asarray(Image.open(bench.found / "img_3_pred.jpg")).astype(int)
    assert heat.shape == (96, 160)
    assert abs(heat[28, 50] - LEVEL) < 4


def test_missed_and_wrong_regions_lower_the_figures(bench: Bench) -> None:
    blocks = [(20, 20, 80, 36), (30, 60, 120, 74)]
    bench.add("a.png", blocks, labels=[grown(blocks[0]), (130, 70, 150, 90), (1, 1, 9, 9)])
    bench.add("b.png", blocks[:1], text="###")
    bench.build()
    assert bench.run("evaluate").code == 0
    assert bench.scores["Precision"] == 1 / 2
    assert bench.scores["Recall"] == 1 / 3


@pytest.mark.parametrize(("mode", "colour"), [("BGR", BLUE), ("RGB", RED), ("GRAY", WHITE)])
def test_colour_order(bench: Bench, mode: str, colour: tuple[int, int, int]) -> None:
    bench.spec["dataset"]["validate_dataset"]["args"]["img_mode"] = mode
    fill(bench, 2, colour=colour)
    bench.build()
    assert bench.run("evaluate").code == 0
    assert bench.scores["Recall"] == 1
    assert bench.run("inference").code == 0, "inference.img_mode follows the data set's"
    assert len((bench.found / "img_0.txt").read_text().splitlines()) == 2


def test_the_wrong_colour_order_finds_nothing(bench: Bench) -> None:
    fill(bench, 2, colour=RED)
    bench.build()
    assert bench.run("evaluate").code == 0
    assert bench.scores["Recall"] == 0


def test_polygons_end_to_end(bench: Bench) -> None:
    corner = [(20, 20, 120, 36), (20, 20, 36, 80)]
    shape = shapely.Polygon([(20, 20), (119, 20), (119, 35), (35, 35), (35, 79), (20, 79)])
    grown_shape = shape.buffer(shape.area * 1.5 / shape.length)
    bench.add("a.png", corner)
    bench.build()
    assert bench.run("inference", "inference.polygon=true").code == 0
    (line,) = (bench.found / "a.txt").read_text().splitlines()
    values = line.split(",")
    outline = shapely.Polygon(np.array(values[:-1], float).reshape(-1, 2))
    assert len(values) > 9
    assert outline.intersection(grown_shape).area / outline.union(grown_shape).area > 0.9
    # Uber ground truth may have any number of corners
    numbers = " ".join(f"{x:.0f} {y:.0f}" for x, y in shapely.get_coordinates(grown_shape.simplify(2))[:-1])
    (bench.folder / "data" / "gt" / "truth_a.txt").write_text(f"{numbers} 0 0\tword\n")
    uber = "dataset.validate_dataset.data_name=UberDataset"
    assert bench.run("evaluate", uber, "evaluate.metric.args.is_output_polygon=true").code == 0
    assert bench.scores["F-measure"] == pytest.approx(1, abs=1e-6)
    assert bench.run("evaluate", uber, "evaluate.post_processing.args.box_thresh=0.1").code == 0
    assert bench.scores["F-measure"] == 0, "the rectangle around a corner shape is not the shape"


def test_pictures_of_other_sizes_are_mapped_back(bench: Bench) -> None:
    bench.add("wide.png", [(60, 40, 240, 88)], size=(480, 192))
    bench.build()
    assert bench.run("inference").code == 0
    (line,) = (bench.found / "wide.txt").read_text().splitlines()
    points = np.array(line.split(",")[:8], float).reshape(4, 2)
    small = grown((20, 20, 80, 44))
    np.testing.assert_allclose(points[0], (small[0] * 3, small[1] * 2), atol=4)
    np.testing.assert_allclose(points[2], (small[2] * 3, small[3] * 2), atol=4)
    assert Image.open(bench.found / "wide_result.jpg").size == (480, 192)
    assert Image.open(bench.found / "wide_pred.jpg").size == (160, 96)


def test_exif_orientation_is_followed(bench: Bench) -> None:
    """Stored turned by 90 degrees, as phones do; ground truth is of the upright picture."""
    upright = np.zeros((96, 160, 3), np.uint8)
    upright[20:36, 20:80] = BLUE
    exif = Image.Exif()
    exif[0x0112] = 6
    bench.add("a.png", [(20, 20, 80, 36)])
    Image.fromarray(np.rot90(upright)).save(bench.folder / "data/img/a.png", exif=exif)
    bench.build()
    assert bench.run("evaluate").code == 0
    assert bench.scores["Recall"] == 1


def test_names_with_dots_and_equal_stems(bench: Bench) -> None:
    blocks = [(20, 20, 80, 36)]
    bench.add("a.b.png", blocks)
    bench.add("c.png", blocks)
    bench.add("c.bmp", blocks)
    bench.build()
    assert bench.run("inference").code == 0
    texts = {path.name for path in bench.found.glob("*.txt")}
    assert texts == {"a.b.txt", "c.png.txt", "c.bmp.txt"}
    assert (bench.found / "c.png_result.jpg").exists()
    assert bench.run("evaluate").code == 0
    assert bench.scores["Recall"] == 1


def test_a_short_side_leaves_every_picture_its_own_size(bench: Bench) -> None:
    bench.resize(64)
    bench.add("large.png", [(20, 20, 80, 36)], size=(130, 70))
    bench.add("small.png", [(10, 10, 40, 18)], size=(65, 32))
    bench.spec["evaluate"]["trt_engine"] = bench.spec["gen_trt_engine"]["onnx_file"]
    assert bench.run("evaluate", "evaluate.batch_size=4").code == 0
    assert bench.scores["F-measure"] == pytest.approx(1, abs=1e-6)


def test_without_resizing_every_picture_keeps_its_size(bench: Bench) -> None:
    """`pre_processes: null` was the default of releases before 6."""
    bench.add("a.png", [(20, 20, 80, 36)], size=(128, 64))
    bench.spec["dataset"]["validate_dataset"]["args"] = {"pre_processes": None}
    bench.spec["evaluate"]["trt_engine"] = bench.spec["gen_trt_engine"]["onnx_file"]
    ran = bench.run("evaluate")
    assert ran.code == 0, ran.text
    assert bench.scores["F-measure"] == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(
    ("height", "sides", "told"), [(100, (-1, -1), True), (96, (-1, -1), False), (100, (100, 160), False)]
)
def test_sides_that_the_network_may_not_take(
    height: int, sides: tuple[int, int], told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    ocdnet.prepare(spec_of(f"inference.height={height}", "inference.width=160"), binding(*sides), "inference")
    assert (f"160 x {height} (width x height): networks of this kind take multiples of 32" in caplog.text) == told


def test_a_short_side_beyond_the_bounds_of_the_engine(tmp_path: Path) -> None:
    steps = "dataset.validate_dataset.args.pre_processes=[{type: Resize2D, args: {short_size: 40}}]"
    bounded = binding(-1, -1, (1, 3, 32, 32), (1, 3, 64, 96))
    prepare = ocdnet.prepare(spec_of(steps), bounded, "evaluate")
    for size, shape in (((90, 40), (64, 96)), ((30, 20), (64, 64)), ((64, 64), (64, 64))):
        Image.new("RGB", size).save(tmp_path / "a.png")
        arrays, _ = prepare.single(Sample("a", tmp_path / "a.png"))
        assert arrays["input"].shape == (1, 3, *shape)
    Image.new("RGB", (100, 40)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"128 x 64 .* is outside what the engine takes: 32 x 32 to 96 x 64"):
        prepare.single(Sample("a", tmp_path / "a.png"))


def test_ground_truth_in_pixels_of_the_network_input(bench: Bench) -> None:
    bench.add("a.png", [(40, 40, 160, 72)], size=(320, 192), labels=[grown((20, 20, 80, 36))])
    bench.build()
    assert bench.run("evaluate").code == 0
    assert bench.scores["Recall"] == 0
    bench.resize([160, 96], resize_text_polys=False)
    assert bench.run("evaluate").code == 0
    assert bench.scores["Recall"] == 1


def test_one_wrong_label_file_does_not_stop_the_others(bench: Bench) -> None:
    fill(bench, 3)
    truth = bench.folder / "data/gt/gt_img_1.txt"
    truth.write_text("no coordinates\n")
    bench.build()
    ran = bench.run("evaluate")
    assert ran.code == 3, ran.text
    assert f"{truth}, line 1: 1 comma-separated fields" in ran.err and "1 of 3 samples could not be used" in ran.err
    assert bench.scores["Recall"] == 1 and bench.scores["num_failed"] == 1


def test_a_fixed_engine_and_another_size_in_the_spec(bench: Bench) -> None:
    (bench.folder / "model.onnx").write_bytes(model(96, 160))
    fill(bench, 2)
    bench.build()
    bench.resize([320, 192])
    ran = bench.run("evaluate")
    assert ran.code == 0
    assert ran.out.count("320 x 192 (width x height), the engine takes 160 x 96 only") == 1
    assert bench.scores["Recall"] == 1
    bench.resize(96)
    ran = bench.run("evaluate")
    assert ran.code == 2
    assert "pictures keep their own size, but the engine takes input float32[?x3x96x160] only" in ran.err
    assert "short_size: [160, 96]" in ran.err


def test_one_broken_picture_does_not_stop_the_others(bench: Bench) -> None:
    fill(bench, 3)
    (bench.folder / "data/img/img_1.png").write_bytes(b"\x89PNG broken")
    bench.build()
    ran = bench.run("inference")
    assert ran.code == 3
    assert "img_1.png" in ran.err
    assert {path.name for path in bench.found.glob("*.txt")} == {"img_0.txt", "img_2.txt"}
    assert bench.run("evaluate").code == 3
    assert bench.scores["Recall"] == 1, "of the two that could be read; no picture takes the place of another"
    assert bench.status("trt_evaluate")[-1]["status"] == "FAILURE"


def test_a_picture_that_is_too_wide_for_jpeg(bench: Bench) -> None:
    fill(bench, 2)
    wide = Image.new("RGB", (70_000, 40), "white")
    wide.save(bench.folder / "data/img/img_1.png")
    bench.build()
    assert bench.run("inference").code == 0
    assert {path.name for path in bench.found.glob("*.txt")} == {"img_0.txt", "img_1.txt"}
    assert Image.open(bench.found / "img_1_result.jpg").size == (65_500, 37)


def test_show_without_a_display(bench: Bench) -> None:
    fill(bench, 1)
    bench.build()
    ran = bench.run("inference", "inference.show=true")
    assert ran.code == 0
    assert "no display" in ran.out


@pytest.mark.parametrize(
    ("override", "expected", "code"),
    [
        ("dataset.validate_dataset.data_path=[]", "dataset.validate_dataset.data_path is not set", 2),
        ("dataset.validate_dataset.data_path=[/nowhere/at/all]", "/nowhere/at/all: no such file or folder", 3),
        ("dataset.validate_dataset.data_name=COCO", "expected one of ICDAR2015Dataset, UberDataset", 2),
        ("evaluate.post_processing.args.thresh=1.5", "1.5 is too large", 2),
        ("evaluate.post_processing.args.tresh=0.5", "evaluate.post_processing.args.thresh", 2),
        ("dataset.validate_dataset.args.img_mode=HSV", "expected one of BGR, RGB, GRAY", 2),
        (
            "dataset.validate_dataset.args.pre_processes=[{type: Rotate}]",
            "Rotate: expected one step",
            2,
        ),
        (
            "dataset.validate_dataset.args.pre_processes=[{type: Resize2D, args: {short_size: [1, 2, 3]}}]",
            "expected [width, height] or one number",
            2,
        ),
        (
            "dataset.validate_dataset.args.pre_processes=[{type: Resize2D, args: {size: 5}}]",
            "Resize2D has no 'size'",
            2,
        ),
    ],
)
def test_wrong_specs(bench: Bench, override: str, expected: str, code: int) -> None:
    fill(bench, 1)
    bench.build()
    ran = bench.run("evaluate", override)
    assert ran.code == code
    assert expected in ran.err
    assert not (bench.folder / "results/trt_evaluate/results.json").exists()
    assert bench.status("trt_evaluate")[-1]["status"] == "FAILURE"


def spec_of(*overrides: str) -> ocdnet.Spec:
    return compose(ocdnet.Spec, None, overrides).spec


def binding(height: int = 96, width: int = 160, low: tuple | None = None, high: tuple | None = None) -> Binding:
    info = TensorInfo("input", "float32", (-1, 3, height, width), low, low, high)
    return Binding({"input": info}, {"pred": TensorInfo("pred", "float32", (-1, 1, height, width))})


@pytest.mark.parametrize("mode", ["BGR", "RGB"])
def test_preprocessing_equals_opencv_step_by_step(tmp_path: Path, mode: str) -> None:
    rng = np.random.default_rng(0)
    cv2.imwrite(str(tmp_path / "a.png"), rng.integers(0, 256, (133, 217, 3), np.uint8))
    picture = cv2.imread(str(tmp_path / "a.png")).astype(np.float32)
    if mode == "RGB":
        picture = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
    expected = ((cv2.resize(picture, (160, 96)) - MEAN) / 255).transpose(2, 0, 1)
    spec = spec_of(f"inference.img_mode={mode}", f"dataset.validate_dataset.args.img_mode={mode}")
    for subtask in ("evaluate", "inference", "gen_trt_engine"):
        row = np.zeros((3, 96, 160), np.float32)
        ocdnet.prepare(spec, binding(), subtask)(Sample("a", tmp_path / "a.png"), {"input": row})
        np.testing.assert_allclose(row, expected, atol=2e-6, err_msg=subtask)


def test_calibration_follows_inference_unless_told_otherwise() -> None:
    assert ocdnet.image_mode(spec_of("inference.img_mode=RGB"), "gen_trt_engine") == "RGB"
    both = spec_of("inference.img_mode=RGB", "gen_trt_engine.img_mode=bgr")
    assert ocdnet.image_mode(both, "gen_trt_engine") == "BGR"
    assert ocdnet.image_mode(spec_of(), "inference") == "BGR"


def test_sizes_of_engines_with_bounds() -> None:
    bounded = binding(-1, -1, (1, 3, 64, 64), (1, 3, 128, 256)).inputs["input"]
    spec = spec_of("inference.width=256", "inference.height=64")
    assert ocdnet.network_size(spec, bounded, "inference") == (64, 256)
    with pytest.raises(SpecError, match=r"288 x 64 .* is outside what the engine takes: 64 x 64 to 256 x 128"):
        ocdnet.network_size(spec_of("inference.width=288", "inference.height=64"), bounded, "inference")
    settled = binding(-1, -1, (1, 3, 64, 96), (4, 3, 64, 96)).inputs["input"]
    assert ocdnet.network_size(spec, settled, "inference") == (64, 96)


def test_bounds_of_open_height_and_width() -> None:
    spec = spec_of("gen_trt_engine.width=640", "gen_trt_engine.height=480", "gen_trt_engine.max_width=1280")
    assert ocdnet.axes(spec) == {"H": (480, 480, 480), "W": (640, 640, 1280)}


@pytest.mark.parametrize("release", ["5.5", "6.25"])
def test_sample_specs_load_unchanged(release: str, sample_specs: Callable[[str, str], Path]) -> None:
    folder = sample_specs(release, "ocdnet")
    build, evaluate, inference = (
        compose(ocdnet.Spec, folder / f"{task}.yaml") for task in ("gen_trt_engine", "evaluate", "inference")
    )
    calibration = build.spec.gen_trt_engine.tensorrt.calibration
    assert (calibration.cal_image_dir, calibration.cal_batches) == (["/data/train/img"], 2)
    assert build.spec.gen_trt_engine.tensorrt.data_type == "INT8"
    assert ocdnet.resizing(evaluate.spec) == ocdnet.Resizing((736, 1280))
    assert set(evaluate.ignored) >= {"model", "evaluate.checkpoint", "dataset.validate_dataset.args.filter_keys"}
    assert ocdnet.image_mode(inference.spec, "inference") == "BGR"
    assert set(inference.ignored) == {"model", "inference.checkpoint"}


def test_a_size_that_the_model_fixes_is_said_when_building(tmp_path) -> None:
    """The spec's height and width bound open axes only; a model with sizes of its own keeps them, with a warning."""
    import onnx
    from onnx import TensorProto, helper

    from tests.makers import run_here

    graph = helper.make_graph(
        [helper.make_node("ReduceMean", ["input"], ["mean"], axes=[1], keepdims=1),
         helper.make_node("Sigmoid", ["mean"], ["pred"])],
        "fixed",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["B", 3, 64, 96])],
        [helper.make_tensor_value_info("pred", TensorProto.FLOAT, ["B", 1, 64, 96])],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx")
    spec = tmp_path / "spec.yaml"
    spec.write_text(
        f"results_dir: {tmp_path}\ngen_trt_engine:\n  backend: onnxruntime\n  onnx_file: {tmp_path}/m.onnx\n"
        f"  trt_engine: {tmp_path}/m.engine\n  height: 64\n  width: 1248\n"
    )
    ran = run_here("ocdnet", "gen_trt_engine", "-e", str(spec))
    assert ran.code == 0
    assert "W of input 'input' is fixed to 96 in the model; the spec's 1248 has no effect" in ran.text
    assert "H of input" not in ran.text
    ran = run_here("ocdnet", "gen_trt_engine", "-e", str(spec), "gen_trt_engine.width=1280")
    assert ran.code == 0 and "fixed to" not in ran.text  # the default, which nobody need have asked for
