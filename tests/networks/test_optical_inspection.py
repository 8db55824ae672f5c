# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""optical_inspection from the command line: embeddings are the mean red of each tile, so distances are known."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nvidia_tao_deploy.networks.optical_inspection import NETWORKS, Spec
from nvidia_tao_deploy.spec.compose import compose
from tests.makers import Ran, picture, run_here, status_lines, write_yaml
from tests.networks.pairs import embedder

TILE = (4, 6)  # height, width
LIGHTS = ("Low", "Solder", "Uniform", "White")


class Bench:
    """Units and golden pictures of known red, a csv, a model and a spec."""

    def __init__(self, folder: Path, rows: int = 4, columns: int = 1, **model: Any) -> None:
        self.folder = folder
        self.lines: list[tuple[str, str, str, str]] = []
        self.want: list[float] = []
        embedder(folder / "model.onnx", TILE, rows, columns, **model)
        pairs = {"csv_path": str(folder / "pairs.csv"), "images_dir": str(folder / "images")}
        self.spec: dict[str, Any] = {
            "results_dir": str(folder / "results"),
            "model": {"margin": 0.5},
            "dataset": {
                "infer_dataset": dict(pairs), "image_ext": ".png", "num_input": 4,
                "input_map": {light: index for index, light in enumerate(LIGHTS)}, "concat_type": "linear",
                "image_width": TILE[1], "image_height": TILE[0],
            },
            "gen_trt_engine": {"onnx_file": str(folder / "model.onnx"), "trt_engine": str(folder / "x.engine")},
            "evaluate": {"trt_engine": str(folder / "model.onnx")},
            "inference": {"trt_engine": str(folder / "model.onnx")},
        }  # fmt: skip

    def add(self, name: str, unit: tuple[int, ...], golden: tuple[int, ...], label: str = "PASS") -> None:
        """A pair of which light k has these reds, 0..255."""
        for kind, reds in (("units", unit), ("golden", golden)):
            for light, red in zip(LIGHTS, reds, strict=False):
                picture(self.folder / "images" / kind / f"{name}_{light}.png", (red, 7, 90), (13, 9))
        self.lines.append(("units/", "golden/", name, label))
        self.want.append(float(np.linalg.norm((np.array(unit, float) - np.array(golden, float)) / 255)))

    def run(self, subtask: str, *overrides: str) -> Ran:
        with (self.folder / "pairs.csv").open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(("input_path", "golden_path", "object_name", "label"))
            rows.writerows(self.lines)
        return run_here(
            "optical_inspection", subtask, "-e", write_yaml(self.folder / "spec.yaml", self.spec), *overrides
        )

    def table(self, subtask: str) -> list[dict[str, str]]:
        with (self.folder / f"results/trt_{subtask}/{subtask}.csv").open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    @property
    def results(self) -> dict[str, Any]:
        return json.loads((self.folder / "results/trt_evaluate/results.json").read_text())


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path)
    made.add("001", (10, 20, 30, 40), (10, 20, 30, 40))
    made.add("002", (10, 20, 30, 240), (10, 20, 30, 40), "MISSING")
    made.add("003", (10, 220, 30, 40), (10, 20, 30, 40))
    made.add("a b", (10, 90, 30, 40), (10, 20, 30, 40), "WRONG")
    made.add("005", (0, 0, 0, 0), (0, 0, 0, 0))
    return made


@pytest.mark.parametrize("batch", [1, 2, 3, 5, 16, -1])
def test_every_batch_size_scores_every_pair(bench: Bench, batch: int) -> None:
    """TAO Deploy evaluates with batch size 1 only."""
    ran = bench.run("evaluate", f"evaluate.batch_size={batch}")
    assert ran.code == 0, ran.text
    rows = bench.table("evaluate")
    assert [row["object_name"] for row in rows] == ["001", "002", "003", "a b", "005"]
    np.testing.assert_allclose([float(row["output_score"]) for row in rows], bench.want, atol=1e-5)
    # above 0.5: 002 (a defect, found) and 003 (good); the defect "a b" is missed
    assert bench.results["total_accuracy"] == 60
    assert bench.results["defect_accuracy"] == bench.results["false_negative"] == 50
    assert bench.results["false_alarm"] == pytest.approx(100 / 3)
    assert bench.results["false_alarm_of_all"] == bench.results["false_negative_of_all"] == 20
    assert "false_alarm" in ran.out
    assert status_lines(bench.folder / "results/trt_evaluate")[-1]["kpi"]["total_accuracy"] == 60


@pytest.mark.parametrize("precision", ["FP32", "FP16"])
def test_three_subtasks(bench: Bench, precision: str) -> None:
    ran = bench.run(
        "gen_trt_engine", f"gen_trt_engine.tensorrt.data_type={precision}", "gen_trt_engine.tensorrt.max_batch_size=4"
    )
    assert ran.code == 0, ran.text
    for subtask in ("evaluate", "inference"):
        ran = bench.run(subtask, f"{subtask}.trt_engine={bench.folder / 'x.engine'}", f"{subtask}.batch_size=4")
        assert ran.code == 0, ran.text
        scores = [float(row["output_score"]) for row in bench.table(subtask)]
        np.testing.assert_allclose(scores, bench.want, atol=1e-5 if precision == "FP32" else 5e-3)


def test_a_fixed_batch(tmp_path: Path) -> None:
    bench = Bench(tmp_path, batch=2)
    for index in range(3):
        bench.add(str(index), (index * 50,) * 4, (0,) * 4)
    ran = bench.run("inference")
    assert ran.code == 0, ran.text
    scores = [float(row["output_score"]) for row in bench.table("inference")]
    np.testing.assert_allclose(scores, bench.want, atol=1e-5)


def test_evaluate_takes_test_dataset_where_it_is_given(bench: Bench) -> None:
    ran = bench.run("evaluate")
    assert "dataset.infer_dataset is scored" in ran.text
    other = bench.folder / "test.csv"
    other.write_text("input_path,golden_path,object_name,label\nunits,golden,001,PASS\n", encoding="utf-8")
    images = f"dataset.test_dataset.images_dir={bench.folder / 'images'}"
    ran = bench.run("evaluate", f"dataset.test_dataset.csv_path={other}", images)
    assert ran.code == 0, ran.text
    assert "dataset.test_dataset is scored (TAO Deploy scores infer_dataset)" in ran.text
    assert bench.results["num_pairs"] == 1
    ran = bench.run("evaluate", "dataset.test_dataset.csv_path=gone.csv", images)
    assert ran.code == 3 and "dataset.test_dataset.csv_path: gone.csv: no such file." in ran.err
    assert "dataset.test_dataset.csv_path=null scores dataset.infer_dataset" in ran.err
    assert bench.run("evaluate", "dataset.test_dataset.csv_path=null", images).code == 0
    assert bench.results["num_pairs"] == 5


def test_grid_of_two_rows_and_three_columns(tmp_path: Path) -> None:
    """The model gives each tile's red in order of rows and columns; two embeddings differ in one of them."""
    bench = Bench(tmp_path, rows=2, columns=3)
    names = [f"L{index}" for index in range(6)]
    bench.spec["dataset"] |= {
        "num_input": 6, "input_map": {name: index for index, name in enumerate(names)},
        "concat_type": "grid", "grid_map": {"x": 3, "y": 2},
    }  # fmt: skip
    for index, name in enumerate(names):
        picture(tmp_path / f"images/units/a_{name}.png", (40 * index, 0, 0), (6, 4))
        picture(tmp_path / f"images/golden/a_{name}.png", (0, 0, 0), (6, 4))
    bench.lines.append(("units", "golden", "a", "PASS"))
    network = NETWORKS["optical_inspection"]
    assert bench.run("inference").code == 0
    want = np.linalg.norm(40 * np.arange(6) / 255)
    assert float(bench.table("inference")[0]["output_score"]) == pytest.approx(want, abs=1e-5)
    assert network.axes(compose(Spec, tmp_path / "spec.yaml").spec) == {"H": (8,) * 3, "W": (18,) * 3}


def test_no_light_in_the_name(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rows=1)
    bench.spec["dataset"] |= {"input_map": None}
    bench.spec["dataset"].pop("num_input")  # 8 by default, as in TAO
    picture(tmp_path / "images/units/1.png", (255, 0, 0))
    picture(tmp_path / "images/golden/1.png", (0, 0, 0))
    bench.lines.append(("units", "golden", "1", "PASS"))
    ran = bench.run("inference")
    assert ran.code == 0, ran.text
    assert float(bench.table("inference")[0]["output_score"]) == pytest.approx(1, abs=1e-5)


def test_older_output_names(tmp_path: Path) -> None:
    bench = Bench(tmp_path, names=("207", "208"))
    bench.add("a", (0, 0, 0, 51), (0, 0, 0, 0))
    ran = bench.run("inference")
    assert ran.code == 0, ran.text
    assert "no tensor named 'output_1'; using '207' by its position" in ran.text
    assert float(bench.table("inference")[0]["output_score"]) == pytest.approx(0.2, abs=1e-5)


def test_open_height_and_width(tmp_path: Path) -> None:
    bench = Bench(tmp_path, spatial=("h", "w"))
    bench.add("a", (0, 51, 0, 0), (0, 0, 0, 0))
    ran = bench.run("gen_trt_engine")
    assert ran.code == 0, ran.text
    assert "1x3x16x6 | 1x3x16x6 | 1x3x16x6" in ran.out
    assert bench.run("inference", f"inference.trt_engine={tmp_path / 'x.engine'}").code == 0
    assert float(bench.table("inference")[0]["output_score"]) == pytest.approx(0.2, abs=1e-5)


def test_tiles_that_are_not_the_model_s(bench: Bench) -> None:
    """Swapped or wrong sizes are refused; TAO Deploy fills the input's memory with what there is."""
    ran = bench.run("inference", "dataset.image_width=4", "dataset.image_height=6")
    assert ran.code == 5
    assert "input_1 float32[?x3x16x6], but the spec makes 24 x 4 (height x width) of 4 rows" in ran.err
    assert "Set dataset.image_height, image_width, num_input, input_map and concat_type as in training." in ran.err


def test_pairs_that_cannot_be_used_do_not_stop_the_others(bench: Bench) -> None:
    (bench.folder / "images/units/002_Low.png").unlink()
    (bench.folder / "images/golden/003_White.png").write_bytes(b"")
    bench.lines[4] = ("units/", "golden/", "005", "")
    ran = bench.run("evaluate")
    assert ran.code == 3
    for text in (
        "units/002_Low.png: no such picture",
        "golden/003_White.png: the file is empty. It is what units/003 is compared with.",
        "line 6: the label is empty",
        "3 of 5 samples could not be used; the results are of the other 2.",
    ):
        assert text in ran.err
    rows = bench.table("evaluate")
    assert [bool(row["output_score"]) for row in rows] == [True, False, False, True, False]
    assert bench.results["num_pairs"] == 2
    failed = next(line for line in status_lines(bench.folder / "results/trt_evaluate") if "failed_samples" in line)
    assert [item["name"] for item in failed["failed_samples"]] == ["units/002", "units/003", "units/005"]


def test_when_none_can_be_used_the_csv_is_there_all_the_same(bench: Bench) -> None:
    ran = bench.run("evaluate", "dataset.image_ext=.bmp")
    assert ran.code == 3
    assert "5 of 5 samples could not be used; there is no result." in ran.err
    assert [row["output_score"] for row in bench.table("evaluate")] == [""] * 5


@pytest.mark.parametrize(
    ("override", "code", "message"),
    [
        ("dataset.num_input=8", 2, "names 4 lights (Low, Solder, Uniform, White), but dataset.num_input is 8"),
        ("dataset.image_ext=null", 2, "dataset.image_ext is not set"),
        ("dataset.infer_dataset.csv_path=null", 2, "dataset.infer_dataset.csv_path is not set"),
        ("dataset.infer_dataset.images_dir=/none", 3, "infer_dataset.images_dir: /none: no such folder"),
        ("dataset.infer_dataset.csv_path=/none.csv", 3, "/none.csv: no such file"),
        ("dataset.concat_type=round", 2, "'round' is not allowed; expected one of linear, grid"),
        ("dataset.augmentation_config.rgb_input_std=[1,1]", 2, "rgb_input_std: [1.0, 1.0]: expected 3 values"),
        ("inference.trt_engine=/none", 5, "/none: no such file"),
    ],
)
def test_bad_input(bench: Bench, override: str, code: int, message: str) -> None:
    ran = bench.run("inference", override)
    assert (ran.code, message in ran.err) == (code, True), ran.text
    assert not (bench.folder / "results/trt_inference/inference.csv").exists()


def test_missing_column(bench: Bench) -> None:
    (bench.folder / "other.csv").write_text("input_path,object_name,label\nunits,001,PASS\n", encoding="utf-8")
    ran = bench.run("evaluate", f"dataset.infer_dataset.csv_path={bench.folder / 'other.csv'}")
    assert ran.code == 3
    assert "other.csv: no column golden_path; found: input_path, object_name, label." in ran.err


@pytest.mark.parametrize(
    "override",
    [
        "dataset.infer_dataset.csv_path=/nothing",
        "gen_trt_engine.tensorrt.calibration.cal_image_dir=[/nothing]",
        "gen_trt_engine.tensorrt.calibration.cal_image_dir=[.]",
        "dataset.num_input=3",
    ],
)
def test_fp16_can_do_without_calibration_data(bench: Bench, override: str) -> None:
    """TAO Deploy reads the calibration section for INT8 only: what is left in it must not stop FP16."""
    ran = bench.run(
        "gen_trt_engine",
        "gen_trt_engine.tensorrt.data_type=FP16",
        f"gen_trt_engine.tensorrt.calibration.cal_image_dir=[{bench.folder / 'images'}]",
        override,
    )
    assert ran.code == 0, ran.text
    assert "FP16: overflow is not looked for: " in ran.text and (bench.folder / "x.engine").is_file()


def test_int8_names_the_folder_s_own_key(bench: Bench) -> None:
    folder = "gen_trt_engine.tensorrt.calibration.cal_image_dir"
    ran = bench.run("gen_trt_engine", "gen_trt_engine.tensorrt.data_type=INT8", f"{folder}=[/nothing]")
    assert ran.code == 3 and f"{folder}: /nothing: no such folder." in ran.err and "images_dir" not in ran.err


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("units/,golden/,{}", "other.csv, line 2: 3 cells; the header has 4."),
        ("nowhere/,golden/,{},PASS", "images/nowhere/000_Low.png: no such picture."),
    ],
)
def test_int8_with_a_csv_of_which_no_row_can_be_used(bench: Bench, row: str, problem: str) -> None:
    """The folders of pictures are right: it is the csv file, and its first row, that are named."""
    other = bench.folder / "other.csv"
    rows = [row.format(f"{number:03d}") for number in range(20)]
    other.write_text("\n".join(["input_path,golden_path,object_name,label", *rows]), encoding="utf-8")
    ran = bench.run(
        "gen_trt_engine",
        "gen_trt_engine.tensorrt.data_type=INT8",
        f"gen_trt_engine.tensorrt.calibration.cal_image_dir=[{bench.folder / 'images'}]",
        "gen_trt_engine.tensorrt.calibration.cal_batches=5",
        f"dataset.train_dataset.csv_path={other}",
    )
    assert ran.code == 3, ran.text
    assert f"dataset.train_dataset.csv_path: {other}: no row can be used for calibration; the first: " in ran.err
    assert problem in ran.err and "cal_image_dir/input_path/object_name_Low.png" in ran.err


def test_int8_takes_pairs(bench: Bench) -> None:
    """Two inputs are calibrated by the same preparation that runs."""
    overrides = [
        "gen_trt_engine.tensorrt.data_type=INT8",
        f"gen_trt_engine.tensorrt.calibration.cal_image_dir=[{bench.folder / 'images'}]",
        "gen_trt_engine.tensorrt.calibration.cal_batches=5",
        f"gen_trt_engine.tensorrt.calibration.cal_cache_file={bench.folder / 'cal.cache'}",
        "gen_trt_engine.tensorrt.calibration.cal_algorithm=minmax",
    ]
    ran = bench.run("gen_trt_engine", *overrides, "gen_trt_engine.verify=true")
    assert ran.code == 0, ran.text
    assert "predictions agree" in ran.out
    assert "gen_trt_engine takes the pairs of" in ran.text
    cache = (bench.folder / "cal.cache").read_text()
    assert "input_1:" in cache and "input_2:" in cache
    ran = bench.run("inference", f"inference.trt_engine={bench.folder / 'x.engine'}")
    assert ran.code == 0, ran.text
    scores = [float(row["output_score"]) for row in bench.table("inference")]
    np.testing.assert_allclose(scores, bench.want, atol=0.05)


@pytest.mark.parametrize("release", ["5.5", "6.25"])
def test_users_sample_specs_load(sample_specs: Callable[[str, str], Path], release: str) -> None:
    path = sample_specs(release, "optical_inspection") / "experiment.yaml"
    spec = compose(Spec, path, ["results_dir=/r"]).spec
    assert spec.dataset.input_map == {"LowAngleLight": 0, "SolderLight": 1, "UniformLight": 2, "WhiteLight": 3}
    network = NETWORKS["optical_inspection"]
    assert network.batch_size(spec, "inference") == network.batch_size(spec, "evaluate") == 32
    assert spec.model.margin == 2 and spec.dataset.image_width == 100
    assert spec.gen_trt_engine.batch_size == 32
    assert spec.dataset.test_dataset.csv_path == "/data/dataset_convert/test_combined.csv"
