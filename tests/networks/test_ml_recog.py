# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""ml_recog: Fashion-MNIST features against scikit-learn, and a tiny embedding of colours with known answers."""

from __future__ import annotations

import ast
import csv
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from PIL import Image
from sklearn.metrics import recall_score
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from sklearn.preprocessing import normalize

from examples.fashion_mnist import data
from nvidia_tao_deploy.engine.contract import TensorInfo
from nvidia_tao_deploy.network import Sample
from nvidia_tao_deploy.networks import ml_recog as network
from nvidia_tao_deploy.signature import Binding
from nvidia_tao_deploy.spec.compose import compose
from tests.makers import COLOURS, MEAN, STD, Ran, picture, run_here, status_lines, strict_json, tiny_model, write_yaml

SIDE, GALLERY, QUERIES, TOPK = 112, 540, 60, 5


def spec_of(*overrides: str) -> network.Spec:
    found = compose(network.Spec, None, overrides).spec
    assert isinstance(found, network.Spec)
    return found


def binding_of(*shape: int) -> Binding:
    return Binding(
        {"input": TensorInfo("in", "float32", shape)}, {"fc_pred": TensorInfo("fc_pred", "float32", (-1, 8))}
    )


class ColourRecognition:
    """A gallery of three colours, queries, and a model whose embedding is the mean colour."""

    def __init__(self, root: Path, per_class: int = 3, **model: object) -> None:
        self.root, self.results = root, root / "results"
        self.model = tiny_model(root / "model.onnx", names=("input", "fc_pred"), **model)  # type: ignore[arg-type]
        self.gallery, self.queries = root / "gallery", root / "query"
        for name, colour in COLOURS.items():
            for index in range(per_class):
                picture(self.gallery / name / f"{index}.png", [max(0, value - 3 * index) for value in colour])
            picture(self.queries / name / "q.png", [min(255, value + 4) for value in colour])
        self.spec = write_yaml(
            root / "spec.yaml",
            {
                "results_dir": str(self.results),
                "model": {"input_height": 16, "input_width": 16},
                "dataset": {
                    "val_dataset": {"reference": str(self.gallery), "query": str(self.queries)},
                    "pixel_mean": list(MEAN), "pixel_std": list(STD),
                },
                "gen_trt_engine": {"onnx_file": str(self.model), "trt_engine": str(root / "made.engine")},
                "evaluate": {"trt_engine": str(self.model), "topk": 2},
                "inference": {"trt_engine": str(self.model), "topk": 3},
            },
        )  # fmt: skip

    def run(self, subtask: str, *overrides: object) -> Ran:
        return run_here("ml_recog", subtask, "-e", self.spec, *overrides)

    def scores(self) -> dict[str, float]:
        found = strict_json((self.results / "trt_evaluate" / "results.json").read_text())
        assert isinstance(found, dict)
        return found

    def rows(self) -> list[tuple[str, list[str], list[float]]]:
        with (self.results / "trt_inference" / "trt_result.csv").open(newline="") as file:
            return [(path, ast.literal_eval(names), ast.literal_eval(far)) for path, names, far in csv.reader(file)]


@pytest.fixture
def colours(tmp_path: Path) -> ColourRecognition:
    return ColourRecognition(tmp_path)


# --- the trained model ------------------------------------------------------------------------------------------------


@dataclass
class Job:
    """Fashion-MNIST: pictures, and the embeddings that a computation of its own gives."""

    root: Path
    spec: Path
    gallery: list[Path]
    queries: list[Path]
    embedded: tuple[np.ndarray, np.ndarray]

    def run(self, subtask: str, *overrides: str) -> Ran:
        return run_here("ml_recog", subtask, "-e", self.spec, *overrides)

    @property
    def labels(self) -> tuple[np.ndarray, np.ndarray]:
        first, second = (np.array([path.parent.name for path in part]) for part in (self.gallery, self.queries))
        return first, second


def prepared(path: Path) -> np.ndarray:
    """The contract's preprocessing with Pillow's own crop and float64."""
    image = Image.open(path).convert("RGB")
    large = int(1.14 * SIDE)
    image = image.resize((large, large), Image.Resampling.BILINEAR)
    box = ((large - SIDE) / 2, (large - SIDE) / 2, (large + SIDE) / 2, (large + SIDE) / 2)
    pixels = np.asarray(image.crop(box), np.float64)  # type: ignore[arg-type]
    return ((pixels / 255 - MEAN) / STD).transpose(2, 0, 1).astype(np.float32)


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    import sys

    sys.path.insert(0, str(Path(data.__file__).parents[1]))
    from fashion_mnist import embedding

    root = tmp_path_factory.mktemp("retrieval")
    model = root / "embedding.onnx"
    onnx.save(embedding.embedding_model(), str(model))
    assert embedding.write_retrieval(root / "data", GALLERY + QUERIES, QUERIES) == (GALLERY, QUERIES)
    parts = [sorted((root / "data" / part).rglob("*.png")) for part in ("gallery", "query")]
    session = onnxruntime.InferenceSession(str(model))
    raw = [np.concatenate([session.run(None, {"input": prepared(path)[None]})[0] for path in part]) for part in parts]
    spec = write_yaml(
        root / "spec.yaml",
        {
            "results_dir": str(root / "results"),
            "dataset": {
                "val_dataset": {"reference": str(root / "data/gallery"), "query": str(root / "data/query")},
                "class_map": str(root / "data/classes.yaml"), "pixel_std": list(STD),
            },
            "gen_trt_engine": {
                "onnx_file": str(model), "trt_engine": str(root / "fp32.engine"),
                "tensorrt": {"opt_batch_size": 16, "max_batch_size": 32},
            },
            "evaluate": {"trt_engine": str(root / "fp32.engine"), "batch_size": 16, "topk": TOPK},
            "inference": {"trt_engine": str(root / "fp32.engine"), "batch_size": 16, "topk": TOPK},
        },
    )  # fmt: skip
    made = Job(root, spec, parts[0], parts[1], (normalize(raw[0]), normalize(raw[1])))
    assert made.run("gen_trt_engine").code == 0
    return made


def accuracies(job: Job) -> tuple[float, float]:
    """(top-k, top-1) as means of the classes, by scikit-learn."""
    known, asked = job.labels
    search = KNeighborsClassifier(TOPK, metric="l2").fit(job.embedded[0], known)
    found = known[search.kneighbors(job.embedded[1], return_distance=False)]
    right = (found == asked[:, None]).any(axis=1)
    topk = np.mean([right[asked == name].mean() for name in np.unique(asked)])
    return float(topk), float(recall_score(asked, found[:, 0], average="macro", labels=np.unique(asked)))


def test_evaluate(job: Job) -> None:
    ran = job.run("evaluate")
    assert ran.code == 0, ran.text
    folder = job.root / "results" / "trt_evaluate"
    results = strict_json((folder / "results.json").read_text())
    topk, top1 = accuracies(job)
    assert top1 > 0.8  # the features are trained ones
    assert results["top_k_accuracy"] == pytest.approx(topk, abs=0.02)
    assert results["top_1_accuracy"] == pytest.approx(top1, abs=0.02)
    assert (results["num_queries"], results["num_gallery"]) == (QUERIES, GALLERY)
    assert "ankle boot" in ran.out and "Confusion matrix" in ran.out  # names by the class map
    assert Image.open(folder / "confusion_matrix.png").width > 100
    kpi = [line["kpi"] for line in status_lines(folder) if "kpi" in line][-1]
    assert set(kpi) == {"top_5_accuracy", "top_1_accuracy"}


def test_inference(job: Job) -> None:
    ran = job.run("inference")
    assert ran.code == 0, ran.text
    with (job.root / "results/trt_inference/trt_result.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert [row[0] for row in rows] == [str(path) for path in job.queries]
    far, near = NearestNeighbors(n_neighbors=TOPK, algorithm="brute").fit(job.embedded[0]).kneighbors(job.embedded[1])
    found = np.array([ast.literal_eval(row[2]) for row in rows])
    assert np.abs(found - far**2).max() < 2e-3
    names = np.char.replace(job.labels[0][near].astype(str), "_", " ")
    agree = np.mean([ast.literal_eval(row[1]) == list(want) for row, want in zip(rows, names, strict=True)])
    assert agree > 0.9  # neighbours at nearly the same distance may change places
    strips = sorted((job.root / "results/trt_inference/images_annotated").rglob("*.jpg"))
    assert len(strips) == QUERIES


@pytest.mark.parametrize("precision", ["FP16", "INT8"])
def test_other_precisions(job: Job, precision: str) -> None:
    calibration = "gen_trt_engine.tensorrt.calibration"
    engine = job.root / f"{precision}.engine"
    built = job.run(
        "gen_trt_engine", f"gen_trt_engine.tensorrt.data_type={precision}", f"gen_trt_engine.trt_engine={engine}",
        f"{calibration}.cal_image_dir={job.root}/data/gallery", f"{calibration}.cal_batch_size=16",
        f"{calibration}.cal_batches=8", "gen_trt_engine.verify=true",
    )  # fmt: skip
    assert built.code == 0, built.text
    folder = job.root / precision
    ran = job.run("evaluate", f"evaluate.trt_engine={engine}", f"evaluate.results_dir={folder}")
    assert ran.code == 0, ran.text
    found = strict_json((folder / "results.json").read_text())
    assert found["top_1_accuracy"] == pytest.approx(accuracies(job)[1], abs=0.05)


@pytest.mark.rtx
@pytest.mark.parametrize("precision", ["FP32", "FP16"])
def test_builds_with_tensorrt_rtx(job: Job, precision: str) -> None:
    engine = job.root / f"rtx_{precision}.engine"
    ran = job.run(
        "gen_trt_engine", "gen_trt_engine.backend=tensorrt_rtx", f"gen_trt_engine.trt_engine={engine}",
        f"gen_trt_engine.tensorrt.data_type={precision}",
    )  # fmt: skip
    assert ran.code == 0, ran.text
    facts = strict_json(engine.with_name(f"{engine.name}.json").read_text())
    assert (facts["backend"], facts["precision"]) == ("tensorrt_rtx", precision.lower())


# --- traps and bad input ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 4, 10])
def test_the_tail_of_gallery_and_queries_counts(colours: ColourRecognition, size: int) -> None:
    """Trap 2: with batch 10 the reference would drop the whole gallery of 9."""
    ran = colours.run("evaluate", f"evaluate.batch_size={size}", "dataset.gallery_cache=false")
    assert ran.code == 0, ran.text
    scores = colours.scores()
    assert (scores["num_gallery"], scores["num_queries"], scores["top_1_accuracy"]) == (9, 3, 1.0)


def test_classes_without_queries_do_not_shift_the_others(colours: ColourRecognition) -> None:
    """Trap 3: the ids of the queries are 1 and 2; a class without queries gives no 0/0."""
    shutil.rmtree(colours.queries / "blue")
    ran = colours.run("evaluate")
    assert ran.code == 0, ran.text
    assert colours.scores()["top_1_accuracy"] == colours.scores()["top_k_accuracy"] == 1.0


def test_stray_files_beside_the_folders_do_not_shift_classes(colours: ColourRecognition) -> None:
    (colours.gallery / ".DS_Store").touch()
    (colours.gallery / "classes.txt").write_text("x")
    assert colours.run("evaluate").code == 0
    assert colours.scores()["top_1_accuracy"] == 1.0


@pytest.mark.parametrize("size", [15, 16, 17, 223, 225])
def test_odd_sizes(tmp_path: Path, size: int) -> None:
    """Trap 4: the centre crop has exactly the network's size."""
    colours = ColourRecognition(tmp_path, size=size)
    ran = colours.run("evaluate", f"model.input_height={size}", f"model.input_width={size}")
    assert ran.code == 0, ran.text
    assert colours.scores()["top_1_accuracy"] == 1.0 and "WARNING" not in ran.out


def test_input_types(colours: ColourRecognition) -> None:
    """Trap 5: a single picture too; image_folder takes the top level, classification_folder everything."""
    shutil.copy(colours.queries / "red" / "q.png", colours.queries / "top.png")
    path = "inference.input_path"
    kind = "inference.inference_input_type"
    assert colours.run("inference", f"{path}={colours.queries}/red/q.png", f"{kind}=image").code == 0
    assert [names for _, names, _ in colours.rows()] == [["red", "red", "red"]]
    assert colours.run("inference", f"{path}={colours.queries}", f"{kind}=image_folder").code == 0
    assert [name for name, _, _ in colours.rows()] == [str(colours.queries / "top.png")]
    ran = colours.run("inference", f"{path}={colours.queries}")
    assert ran.code == 0, ran.text
    assert len(colours.rows()) == 4 and all(far == sorted(far) for _, _, far in colours.rows())
    ran = colours.run("inference")  # not set: the queries of evaluate
    assert ran.code == 0 and len(colours.rows()) == 4
    ran = colours.run("inference", f"{path}={colours.queries}", f"{kind}=image")
    assert ran.code == 3 and "a folder; inference_input_type: image takes one picture file" in ran.err
    ran = colours.run("inference", f"{path}={colours.queries}", f"{kind}=movie")
    assert ran.code == 2 and "'movie' is not allowed" in ran.err


def test_class_map_as_training_writes_it(colours: ColourRecognition) -> None:
    """Trap 6: YAML, folder -> name; two folders may be one class."""
    for suffix, text in {
        "yaml": "blue: cold\ngreen: cold\nred: warm\n",
        "txt": "red\ngreen\nblue\n",
    }.items():
        file = colours.root / f"classes.{suffix}"
        file.write_text(text)
        ran = colours.run("inference", f"dataset.class_map={file}", "inference.topk=1")
        assert ran.code == 0, ran.text
        expected = ["cold", "cold", "warm"] if suffix == "yaml" else ["blue", "green", "red"]
        assert [names for _, names, _ in colours.rows()] == [[name] for name in expected]


def test_a_folder_that_is_not_in_the_class_map(colours: ColourRecognition) -> None:
    file = colours.root / "classes.txt"
    file.write_text("blue\ngreen\nredd\n")
    ran = colours.run("evaluate", f"dataset.class_map={file}")
    assert ran.code == 3 and "folders that are not in the class list: red;" in ran.text
    assert f"The folder is 'red', the list ({file}) has 'redd'" in ran.text
    assert "could not be used" in ran.err and "Traceback" not in ran.err
    results = strict_json((colours.results / "trt_evaluate" / "results.json").read_text())
    assert results["num_failed"] == 4, "three of the gallery, one query"
    file.write_text("a\nb\nc\n")
    ran = colours.run("evaluate", f"dataset.class_map={file}")
    assert ran.code == 3 and "folders that are not in the class list: blue, green, red;" in ran.err
    assert not (colours.results / "trt_evaluate" / "results.json").exists()


@pytest.mark.parametrize("subtask", ["evaluate", "inference"])
def test_a_kept_gallery_does_not_stand_for_folders_that_are_no_classes_now(
    colours: ColourRecognition, subtask: str
) -> None:
    file = colours.root / "classes.txt"
    file.write_text("blue\ngreen\nred\n")
    assert colours.run("evaluate", f"dataset.class_map={file}").code == 0
    file.write_text("blue\ngreen\n")
    ran = colours.run(subtask, f"dataset.class_map={file}")
    assert ran.code == 3 and "3 of 9 samples of the gallery" in ran.err and "its folder 'red' is not in" in ran.err
    file.write_text("blue\ngreen\nred\n")
    assert "9 embeddings from" in colours.run("evaluate", f"dataset.class_map={file}").out, "it is still kept"


def test_topk_beyond_the_gallery(colours: ColourRecognition) -> None:
    """Trap 7."""
    for subtask in ("evaluate", "inference"):
        ran = colours.run(subtask, f"{subtask}.topk=10")
        assert ran.code == 2 and f"{subtask}.topk: 10: the gallery has only 9 pictures" in ran.err
        assert f"Set {subtask}.topk=9 or less" in ran.err


def test_roots_that_are_not_set(colours: ColourRecognition) -> None:
    for overrides in (["dataset.val_dataset=null"], ["dataset.val_dataset.reference=null"]):
        ran = colours.run("evaluate", *overrides)
        assert ran.code == 2, ran.text
        assert "dataset.val_dataset" in ran.err


def test_a_workspace_that_can_only_be_meant_as_gb(job: Job) -> None:
    engine = job.root / "g.engine"
    ran = job.run("gen_trt_engine", "gen_trt_engine.tensorrt.workspace_size=8", f"gen_trt_engine.trt_engine={engine}")
    assert ran.code == 0, ran.text
    assert "workspace_size: 8 MB is too little for any network; taken for 8 GB. The unit is MB: write 8192." in ran.text
    assert strict_json((job.root / "g.engine.json").read_text())["workspace_mb"] == 8192


def test_workspace_is_in_mb(job: Job) -> None:
    """Trap 8: less than 1024 is not 0 bytes."""
    ran = job.run(
        "gen_trt_engine", "gen_trt_engine.tensorrt.workspace_size=512", f"gen_trt_engine.trt_engine={job.root}/w.engine"
    )
    assert ran.code == 0
    assert strict_json((job.root / "w.engine.json").read_text())["workspace_mb"] == 512


def test_the_embedded_gallery_is_used_again(colours: ColourRecognition) -> None:
    """Trap 9: until a picture, the engine or the preprocessing changes."""
    first, kept = "gallery: 9 samples in", "9 embeddings from"
    cache = colours.root / "model.onnx.gallery.npz"
    assert first in colours.run("evaluate").out and cache.is_file()
    scores = colours.scores()
    again = colours.run("evaluate")
    assert kept in again.out and first not in again.out and colours.scores() == scores
    assert kept in colours.run("inference").out
    assert first in colours.run("evaluate", "dataset.pixel_std=[0.3,0.3,0.3]").out
    assert first in colours.run("evaluate").out  # the other preprocessing took its place
    picture(colours.gallery / "red" / "0.png", (200, 90, 10))
    assert first in colours.run("evaluate").out
    picture(colours.gallery / "red" / "new.png", (200, 90, 10))
    assert "gallery: 10 samples" in colours.run("evaluate").out
    tiny_model(colours.model, names=("input", "fc_pred"), ballast=10)
    ran = colours.run("evaluate")
    assert "gallery: 10 samples" in ran.out and "engine_sha256 changed" in ran.out
    cache.write_bytes(b"PK\x03\x04 not an archive")
    ran = colours.run("evaluate")
    assert ran.code == 0 and "cannot be read" in ran.out and "gallery: 10 samples" in ran.out
    assert kept.replace("9", "10") in colours.run("evaluate").out
    own = colours.root / "elsewhere" / "g.npz"
    assert colours.run("evaluate", f"dataset.gallery_cache_file={own}").code == 0 and own.is_file()


def test_a_cache_that_cannot_be_written(colours: ColourRecognition) -> None:
    blocked = colours.root / "file"
    blocked.touch()
    ran = colours.run("evaluate", f"dataset.gallery_cache_file={blocked}/g.npz")
    assert ran.code == 0 and "The embedded gallery is not kept for the next run" in ran.out
    assert colours.scores()["top_1_accuracy"] == 1.0


def test_the_engine_decides_sizes(colours: ColourRecognition) -> None:
    """Trap 11."""
    ran = colours.run("evaluate", "model.input_height=224", "model.input_width=200")
    assert ran.code == 0 and colours.scores()["top_1_accuracy"] == 1.0
    assert "3 x 224 x 200; the engine takes 3 x 16 x 16" in ran.out


def test_an_unreadable_gallery_picture(colours: ColourRecognition) -> None:
    """Said in every run, and the gallery is not kept; the rest is scored."""
    (colours.gallery / "red" / "bad.png").write_bytes(b"nothing")
    (colours.queries / "red" / "bad.png").write_bytes(b"nothing")
    for _ in range(2):
        ran = colours.run("evaluate")
        assert ran.code == 3, ran.text
        assert f"{colours.gallery}/red/bad.png: not a picture" in ran.err
        assert f"{colours.queries}/red/bad.png: not a picture" in ran.err
        counts = "1 of 10 samples of the gallery and 1 of 4 samples could not be used"
        assert f"{counts}; the results are of the other 3." in ran.err
        assert (colours.scores()["num_gallery"], colours.scores()["num_queries"]) == (9, 3)
    lines = status_lines(colours.results / "trt_evaluate")
    assert lines[-1]["status"] == "FAILURE"
    assert any(len(line.get("failed_samples", [])) == 2 for line in lines)
    ran = colours.run("inference")
    assert ran.code == 3 and len(colours.rows()) == 3
    (colours.queries / "red" / "bad.png").unlink()
    ran = colours.run("inference")
    assert "1 of 10 samples of the gallery could not be used; the results are without them." in ran.err


def test_a_gallery_that_is_empty_or_unreadable(colours: ColourRecognition) -> None:
    for path in colours.gallery.rglob("*.png"):
        path.write_bytes(b"")
    ran = colours.run("evaluate")
    assert ran.code == 3 and "The gallery has 0 usable pictures of 9; 2 neighbours are asked for." in ran.err
    assert f"{colours.gallery}/red/" in ran.err and ".png: the file is empty" in ran.err
    assert any(len(line.get("failed_samples", [])) == 9 for line in status_lines(colours.results / "trt_evaluate"))
    for path in colours.gallery.rglob("*.png"):
        path.unlink()
    ran = colours.run("evaluate")
    assert ran.code == 3 and f"{colours.gallery} (dataset.val_dataset.reference): no picture in it" in ran.err
    shutil.rmtree(colours.gallery)
    ran = colours.run("evaluate")
    assert ran.code == 3 and str(colours.gallery) in ran.err


def test_query_classes_that_the_gallery_lacks(colours: ColourRecognition) -> None:
    picture(colours.queries / "violet" / "a.png", (160, 30, 200))
    ran = colours.run("evaluate")
    assert ran.code == 0, ran.text
    assert "1 classes of the queries are not in the gallery: violet. Their 1 pictures count as misses." in ran.out
    assert "swapped?" in ran.out  # every class of the gallery has queries, and one more
    scores = colours.scores()
    assert scores["queries_without_gallery_class"] == 1
    assert scores["top_1_accuracy"] == 0.75 and scores["recall_at_1"] == 0.75


def test_queries_that_are_in_the_gallery(colours: ColourRecognition) -> None:
    ran = colours.run("evaluate", f"dataset.val_dataset.query={colours.gallery}/../gallery")
    assert ran.code == 0 and "9 of 9 queries are themselves in the gallery" in ran.out


def test_grey_models() -> None:
    prepare = network.prepare(spec_of(), binding_of(-1, 1, 32, 40), "evaluate")
    assert prepare.shapes == {"in": (1, 32, 40)} and prepare.reader.mode == "L"
    assert prepare.normalise.gain[0] == pytest.approx(1 / 255 / 0.226)
    assert -prepare.normalise.bias[0] * 0.226 == pytest.approx(np.mean([0.485, 0.456, 0.406]), abs=1e-6)


def test_a_grey_model_from_end_to_end(tmp_path: Path) -> None:
    """One channel: shades are told apart only by an embedding with two directions, (grey, 1 - grey)."""
    colours = ColourRecognition(tmp_path)
    nodes = [
        onnx.helper.make_node("GlobalAveragePool", ["input"], ["mean"]),
        onnx.helper.make_node("Flatten", ["mean"], ["flat"]),
        onnx.helper.make_node("Gemm", ["flat", "weight", "bias"], ["fc_pred"]),
    ]
    info = onnx.helper.make_tensor_value_info
    weights = {"weight": np.array([[1, -1]], np.float32), "bias": np.array([2, 2], np.float32)}
    graph = onnx.helper.make_graph(
        nodes, "grey", [info("input", 1, ["b", 1, 16, 16])], [info("fc_pred", 1, ["b", 2])],
        [onnx.numpy_helper.from_array(value, name) for name, value in weights.items()],
    )  # fmt: skip
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(colours.model))
    ran = colours.run(
        "evaluate", "model.input_channels=1", "dataset.pixel_mean=[0.45]", "dataset.pixel_std=[0.226]",
    )  # fmt: skip
    assert ran.code == 0 and colours.scores()["top_1_accuracy"] == 1.0, ran.text
    ran = colours.run("inference", "model.input_channels=1", "dataset.pixel_mean=[0.45]", "dataset.pixel_std=[0.226]")
    assert ran.code == 0, ran.text
    assert len(list((colours.results / "trt_inference/images_annotated").rglob("*.jpg"))) == 3


def test_open_sizes_come_from_the_spec(tmp_path: Path) -> None:
    overrides = ("model.input_height=24", "model.input_width=16")
    assert network.input_shape(spec_of(*overrides), binding_of(-1, -1, -1, -1)) == (3, 24, 16)
    colours = ColourRecognition(tmp_path, size="side")
    ran = colours.run("gen_trt_engine", *overrides)
    assert ran.code == 0 and "3x24x16" in ran.out, ran.text


def test_no_pictures_on_request(colours: ColourRecognition) -> None:
    assert colours.run("inference", "inference.drawn_neighbours=0").code == 0
    assert not (colours.results / "trt_inference" / "images_annotated").exists()
    assert len(colours.rows()) == 3


def test_calibration_normalises_every_channel_of_every_row(tmp_path: Path) -> None:
    """Trap 1: calibration is fed by the same function as inference, whose every pixel is normalised."""
    path = picture(tmp_path / "p.png", (230, 20, 30), (40, 40))
    binding = binding_of(-1, 3, 16, 16)
    made = [network.prepare(spec_of(), binding, subtask) for subtask in ("gen_trt_engine", "evaluate", "inference")]
    rows = [prepare.single(Sample("p", path))[0]["in"] for prepare in made]
    expected = (np.array([230, 20, 30]) / 255 - [0.485, 0.456, 0.406]) / 0.226
    for row in rows:
        assert np.allclose(row, expected.reshape(1, 3, 1, 1), atol=1e-5)


@pytest.mark.parametrize(
    ("release", "name"), [("5.5", "metric_learning_recognition"), ("6.25", "ml_recog")], ids=["5.5", "6.25"]
)
@pytest.mark.parametrize("subtask", ["gen_trt_engine", "evaluate", "inference"])
def test_sample_specs_of_users_run_unchanged(
    colours: ColourRecognition, sample_specs: Callable[[str, str], Path], release: str, name: str, subtask: str
) -> None:
    """Their ??? are filled in by overrides; trap 10 is that the file's name mattered."""
    spec = sample_specs(release, name) / f"{subtask}.yaml"
    calibration = "gen_trt_engine.tensorrt.calibration"
    common = [
        f"results_dir={colours.results}",
        f"dataset.val_dataset.reference={colours.gallery}", f"dataset.val_dataset.query={colours.queries}",
    ]  # fmt: skip
    own = {
        "gen_trt_engine": [
            f"gen_trt_engine.onnx_file={colours.model}", f"gen_trt_engine.trt_engine={colours.root}/int8.engine",
            f"{calibration}.cal_image_dir=[{colours.gallery}]", f"{calibration}.cal_cache_file={colours.root}/c.cache",
            f"{calibration}.cal_batch_size=3", f"{calibration}.cal_batches=2",
        ],
        "evaluate": [f"evaluate.trt_engine={colours.model}"],
        "inference": [f"inference.trt_engine={colours.model}", "inference.topk=9"],
    }[subtask]  # fmt: skip
    ran = run_here("ml_recog", subtask, "-e", spec, *common, *own)
    assert ran.code == 0, ran.text
    assert "no such key" not in ran.text
    ran = run_here("ml_recog", subtask, "-e", spec, f"results_dir={colours.results}")
    assert ran.code == 2 and " is not set." in ran.err
