# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""nvdinov2 and mae: engines of feature extractors with any outputs; a fine-tuned model scored by classification_pyt."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from nvidia_tao_deploy.engine.contract import TensorInfo
from nvidia_tao_deploy.network import Sample
from nvidia_tao_deploy.networks import backbones
from nvidia_tao_deploy.signature import Binding
from nvidia_tao_deploy.spec.compose import compose
from nvidia_tao_deploy.transforms.statistics import GREY_MEAN
from tests.makers import ROOT, Ran, colour_folders, noise, picture, run_here, strict_json, tiny_model, write_yaml

sys.path.insert(0, str(ROOT / "examples"))
from backbones import models

MAKE = {"nvdinov2": models.nvdinov2_model, "mae": models.mae_model}
SECTION = "gen_trt_engine.tensorrt"


@pytest.fixture(params=list(MAKE))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def model(tmp_path: Path, name: str) -> Path:
    onnx.save(MAKE[name](), str(tmp_path / "model.onnx"))
    return tmp_path / "model.onnx"


def build(name: str, folder: Path, *overrides: str) -> Ran:
    tree = {
        "results_dir": str(folder / "results"),
        "gen_trt_engine": {
            "onnx_file": str(folder / "model.onnx"),
            "trt_engine": "${gen_trt_engine.results_dir}/model.engine",
            "tensorrt": {"opt_batch_size": 2, "max_batch_size": 4},
        },
    }
    return run_here(name, "gen_trt_engine", "-e", write_yaml(folder / "spec.yaml", tree), *overrides)


def engine(folder: Path) -> Path:
    """Where the interpolation in the spec leads by the results rule."""
    return folder / "results" / "gen_trt_engine" / "model.engine"


@pytest.mark.parametrize("precision", ["fp32", "FP16"])
def test_builds_with_all_outputs(model: Path, name: str, precision: str) -> None:
    ran = build(name, model.parent, f"{SECTION}.data_type={precision}")
    assert ran.code == 0, ran.text
    names = [output.name for output in onnx.load(str(model)).graph.output]
    assert len(names) == {"nvdinov2": 3, "mae": 1}[name]
    made = onnxruntime.InferenceSession(engine(model.parent).read_bytes())
    assert [output.name for output in made.get_outputs()] == names
    feeds = {"input": np.random.default_rng(0).normal(size=(3, 3, 112, 112)).astype(np.float32)}
    exact = onnxruntime.InferenceSession(str(model)).run(None, feeds)
    for have, want in zip(made.run(None, feeds), exact, strict=True):
        assert np.abs(have - want).max() < (1e-4 if precision == "fp32" else 0.05)


@pytest.mark.rtx
@pytest.mark.parametrize("precision", ["FP32", "FP16", "BF16"])
def test_builds_with_tensorrt_rtx(model: Path, name: str, precision: str) -> None:
    ran = build(name, model.parent, f"{SECTION}.data_type={precision}", "gen_trt_engine.backend=tensorrt_rtx")
    assert ran.code == 0, ran.text
    facts = strict_json(Path(f"{engine(model.parent)}.json").read_text())
    assert (facts["backend"], facts["precision"], facts["network"]) == ("tensorrt_rtx", precision.lower(), name)


def test_int8_without_calibration_data_says_what_is_missing(model: Path, name: str) -> None:
    ran = build(name, model.parent, f"{SECTION}.data_type=int8")
    assert ran.code in (2, 3, 4) and f"Set {SECTION}.calibration.cal_image_dir=[FOLDER]" in ran.err
    assert not engine(model.parent).exists()


def test_verify_without_pictures_names_the_only_key(model: Path, name: str) -> None:
    ran = build(name, model.parent, "gen_trt_engine.verify=true")
    assert ran.code == 3 and f"{SECTION}.calibration.cal_image_dir is not set" in ran.err
    assert f"Set {SECTION}.calibration.cal_image_dir=[FOLDER].\n" in ran.err and "evaluate" not in ran.err
    assert not engine(model.parent).exists()


def test_int8_with_pictures(model: Path, name: str) -> None:
    for index in range(8):
        noise(model.parent / "pictures" / f"{index}.png", (150, 130), seed=index)
    ran = build(
        name, model.parent, f"{SECTION}.data_type=int8", "gen_trt_engine.verify=true",
        f"{SECTION}.calibration.cal_image_dir={model.parent}/pictures", f"{SECTION}.calibration.cal_batches=8",
    )  # fmt: skip
    assert ran.code == 0, ran.text
    facts = strict_json(Path(f"{engine(model.parent)}.json").read_text())
    outputs = facts["verify"]["outputs"]
    assert set(outputs) == {output.name for output in onnx.load(str(model)).graph.output}
    assert all(figures["cosine"] > 0.99 for figures in outputs.values())


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ((f"{SECTION}.data_type=fp23",), "'fp23' is not allowed; expected one of FP32"),
        ((f"{SECTION}.layers_precision=[head]",), "expected 'layer name:dtype'"),
        (("gen_trt_engine.onnx_file=nothing.onnx",), "nothing.onnx"),
        (("gen_trt_engine.batch_sise=2",), "no such key"),
    ],
)
def test_bad_values(model: Path, name: str, overrides: tuple[str, ...], message: str) -> None:
    ran = build(name, model.parent, *overrides)
    assert ran.code in (2, 4) and message in ran.err
    assert not engine(model.parent).exists()


@pytest.mark.parametrize("subtask", ["evaluate", "inference"])
def test_only_engines_are_made(name: str, subtask: str) -> None:
    ran = run_here(name, subtask, "-e", "spec.yaml")
    assert ran.code == 2 and f"unknown subtask '{subtask}'" in ran.err
    assert "gen_trt_engine, default_specs" in ran.err


def test_default_specs(tmp_path: Path, name: str) -> None:
    ran = run_here(name, "default_specs", f"results_dir={tmp_path}")
    assert ran.code == 0, ran.text
    written = compose(MAKE_SPEC[name], tmp_path / "experiment.yaml").spec
    assert list(written.dataset.augmentation.mean) == [0.485, 0.456, 0.406]


MAKE_SPEC = {"nvdinov2": backbones.NvDinoSpec, "mae": backbones.MaeSpec}


def test_open_sizes_come_from_the_spec(tmp_path: Path) -> None:
    """The reference cannot build such exports."""
    tiny_model(tmp_path / "model.onnx", size="side")
    ran = build("nvdinov2", tmp_path, "model.backbone.img_size=28")
    assert ran.code == 0 and "4x3x28x28" in ran.out, ran.text
    ran = build("mae", tmp_path, "dataset.augmentation.input_size=42")
    assert ran.code == 0 and "4x3x42x42" in ran.out, ran.text


def test_preprocessing_for_calibration(tmp_path: Path) -> None:
    path = picture(tmp_path / "p.png", (200, 100, 50), (64, 48))
    binding = Binding({"input": TensorInfo("x", "float32", (-1, 3, 28, 28))}, {})
    spec = compose(backbones.MaeSpec, None, ["dataset.augmentation.mean=[0.5,0.5,0.5]"]).spec
    rows = backbones.prepare(spec, binding, "gen_trt_engine").single(Sample("p", path))[0]["x"]
    expected = (np.array([200, 100, 50]) / 255 - 0.5) / [0.229, 0.224, 0.225]
    assert rows.shape == (1, 3, 28, 28) and np.allclose(rows, expected.reshape(1, 3, 1, 1), atol=1e-5)
    grey = Binding({"input": TensorInfo("x", "float32", (-1, 1, -1, -1))}, {})
    prepare = backbones.prepare(compose(backbones.MaeSpec, None).spec, grey, "gen_trt_engine")
    assert prepare.shapes == {"x": (1, 224, 224)} and prepare.reader.mode == "L"
    assert -prepare.normalise.bias[0] * 0.224 == pytest.approx(GREY_MEAN[0], abs=1e-6)


def test_a_fine_tuned_mae_is_scored_by_classification_pyt(tmp_path: Path) -> None:
    """As the docs say: the same tensors."""
    tiny_model(tmp_path / "model.onnx")
    assert build("mae", tmp_path).code == 0
    images = colour_folders(tmp_path / "images")
    spec = write_yaml(tmp_path / "score.yaml", {"results_dir": str(tmp_path / "results")})
    ran = run_here(
        "classification_pyt", "evaluate", "-e", spec,
        f"evaluate.trt_engine={engine(tmp_path)}", f"dataset.test_dataset.images_dir={images}",
    )  # fmt: skip
    assert ran.code == 0, ran.text
    assert strict_json((tmp_path / "results/trt_evaluate/results.json").read_text())["top_k_accuracy"] == 1.0


def test_sample_specs_of_users_run_unchanged(model: Path, name: str, sample_specs: Callable[[str, str], Path]) -> None:
    """mae's has sections that stand twice, a training path in ${...}, and ${gen_trt_engine.results_dir}."""
    folder = model.parent
    spec = sample_specs("6.25", name) / "gen_trt_engine.yaml"
    own = [] if name == "mae" else [f"gen_trt_engine.trt_engine={engine(folder)}"]
    ran = run_here(
        name, "gen_trt_engine", "-e", spec, f"results_dir={folder}/results", f"gen_trt_engine.onnx_file={model}", *own
    )
    assert ran.code == 0, ran.text
    assert engine(folder).is_file() and "no such key" not in ran.text


def test_the_model_that_export_wrote(tmp_path: Path, sample_specs: Callable[[str, str], Path]) -> None:
    """onnx_file: ${export.onnx_file}, which is ${export.results_dir}/model.onnx."""
    spec = sample_specs("6.25", "mae") / "gen_trt_engine.yaml"
    onnx.save(models.mae_model(), str(tmp_path / "model.onnx"))
    (tmp_path / "export").mkdir()
    (tmp_path / "model.onnx").rename(tmp_path / "export" / "model.onnx")
    ran = run_here("mae", "gen_trt_engine", "-e", spec, f"results_dir={tmp_path}")
    assert ran.code == 0, ran.text
    assert (tmp_path / "gen_trt_engine" / "model.engine").is_file()
