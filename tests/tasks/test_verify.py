# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""gen_trt_engine.verify: figures against numpy, agreement by hand, and that a bad engine is not kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from nvidia_tao_deploy.engine.onnxruntime.backend import OnnxRuntimeBackend
from nvidia_tao_deploy.predictions import Classes, Detections, Text, TextRegions
from nvidia_tao_deploy.tasks.comparing import Comparison, Difference, agreement
from tests.conftest import ColourJob
from tests.makers import strict_json

VERIFY = "gen_trt_engine.verify=true"


def test_figures_are_numpys() -> None:
    random = np.random.default_rng(0)
    want = [random.normal(size=(3, 4)).astype(np.float32) for _ in range(5)]
    have = [array + random.normal(size=(3, 4)).astype(np.float32) * 0.1 for array in want]
    have[0][0, 0] = want[0][0, 0]
    found = Difference()
    for pair in zip(want, have, strict=True):
        found.update(*pair)
    all_want, all_have = np.ravel(want).astype(np.float64), np.ravel(have).astype(np.float64)
    assert found.largest == pytest.approx(np.abs(all_want - all_have).max())
    assert found.mean == pytest.approx(np.abs(all_want - all_have).mean())
    cosine = all_want @ all_have / np.linalg.norm(all_want) / np.linalg.norm(all_have)
    assert found.cosine == pytest.approx(cosine) and found.equal == 1 and found.count == 60


def test_zeros_and_values_that_are_lost() -> None:
    zeros = Difference()
    zeros.update(np.zeros(3), np.zeros(3))
    assert zeros.cosine == 1.0
    lost = Difference()
    lost.update(np.array([1.0, 2.0, np.inf]), np.array([np.nan, 2.0, np.inf]))
    assert lost.lost == 1 and lost.largest == 0.0  # infinite in both is no loss
    other = Difference()
    other.update(np.zeros((2, 4)), np.zeros((3, 4)))
    assert other.shapes == ((2, 4), (3, 4)) and other.count == 0


def boxes(*rows: tuple[float, float, float, float, float, int]) -> Detections:
    table = np.array(rows, np.float32).reshape(-1, 6)
    return Detections(table[:, :4], table[:, 4], table[:, 5].astype(np.int64))


def classes(*scores: float) -> Classes:
    values = np.array(scores, np.float32)
    return Classes(values, values)


def regions(*corners: tuple[float, float, float, float]) -> TextRegions:
    squares = tuple(np.array([[a, b], [c, b], [c, d], [a, d]], np.float32) for a, b, c, d in corners)
    return TextRegions(squares, np.ones(len(squares), np.float32))


A, B = (0, 0, 10, 10, 0.9, 1), (20, 20, 30, 30, 0.8, 2)


@pytest.mark.parametrize(
    ("reference", "candidate", "expected"),
    [
        (classes(0.1, 0.9), classes(0.4, 0.6), 1.0),
        (classes(0.1, 0.9), classes(0.6, 0.4), 0.0),
        (Text("abc", 0.9), Text("abc", 0.2), 1.0),
        (Text("abc", 0.9), Text("abd", 0.9), 2 / 3),  # 2 * 2 common characters of 6
        (Text("", 0.9), Text("", 0.9), 1.0),
        (boxes(A, B), boxes(B, A), 1.0),
        (boxes(A, B), boxes(A), 2 / 3),  # precision 1, recall 1/2
        (boxes(A), boxes((0, 0, 10, 10, 0.9, 2)), 0.0),  # another label
        (boxes(A), boxes((0, 0, 10, 19, 0.9, 1)), 1.0),  # overlap 10/19
        (boxes(A), boxes((0, 0, 10, 21, 0.9, 1)), 0.0),  # overlap 10/21
        (boxes(A), boxes((0, 0, 10, 10, 0.1, 1)), 0.0),  # not seen
        (boxes(), boxes((0, 0, 10, 10, 0.1, 1)), 1.0),
        (regions((0, 0, 10, 10)), regions((1, 0, 10, 10)), 1.0),
        (regions((0, 0, 10, 10)), regions(), 0.0),
        (None, None, None),
        ("some other kind", "some other kind", None),
    ],
)
def test_agreement(reference: object, candidate: object, expected: float | None) -> None:
    found = agreement(reference, candidate)
    assert found is None if expected is None else found == pytest.approx(expected)


def test_comparison_without_predictions() -> None:
    found = Comparison()
    found.update(({"a": np.ones(2)}, None), ({"a": np.ones(2)}, None))
    assert found.agreement is None and found.as_json()["samples"] == 1


def test_good_engine_is_kept_and_the_figures_with_it(colours: ColourJob) -> None:
    pictures = f"gen_trt_engine.tensorrt.calibration.cal_image_dir={colours.images}"
    ran = colours.run("gen_trt_engine", VERIFY, "gen_trt_engine.tensorrt.data_type=int8", pictures)
    assert ran.code == 0 and "predictions agree 100.00 %" in ran.text
    facts = strict_json(colours.engine.with_name("tiny.engine.json").read_text())["verify"]
    assert facts["samples"] == 9 and facts["samples_from"].endswith("cal_image_dir") and facts["agreement"] == 1.0
    assert 0 < facts["outputs"]["output"]["max_error"] < 1


@pytest.fixture
def wrong_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    """A backend whose engines mix up the classes, but for the FP32 reference's."""
    build = OnnxRuntimeBackend.build

    def swapped(self, model, plan):  # type: ignore[no-untyped-def]
        if plan.precision == "fp32":
            return build(self, model, plan)
        copy = onnx.ModelProto()
        copy.CopyFrom(model)
        weight = next(tensor for tensor in copy.graph.initializer if tensor.name == "weight")
        weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight)[::-1].copy(), "weight"))
        return build(self, copy, plan)

    monkeypatch.setattr(OnnxRuntimeBackend, "build", swapped)


def test_wrong_engine_is_not_kept_and_the_old_one_stays(colours: ColourJob, wrong_engines: None) -> None:
    colours.engine.write_bytes(b"the old engine")
    before = {path.name for path in colours.root.iterdir()}
    ran = colours.run("gen_trt_engine", VERIFY, "gen_trt_engine.tensorrt.data_type=fp16")
    assert ran.code == 4 and "predictions agree 33.33 %, less than gen_trt_engine.verify_agreement=0.9" in ran.err
    assert colours.engine.read_bytes() == b"the old engine"
    assert {path.name for path in colours.root.iterdir()} - {"results"} == before
    ran = colours.run(
        "gen_trt_engine", VERIFY, "gen_trt_engine.tensorrt.data_type=fp16", "gen_trt_engine.verify_agreement=0.3"
    )
    assert ran.code == 0


def test_outputs_judge_where_nothing_can_be_decoded(colours: ColourJob, wrong_engines: None) -> None:
    pictures = f"gen_trt_engine.tensorrt.calibration.cal_image_dir={colours.images}"
    fp16, no_data = "gen_trt_engine.tensorrt.data_type=fp16", "dataset.test_dataset.images_dir=''"
    ran = colours.run("gen_trt_engine", VERIFY, fp16, pictures, no_data)
    assert ran.code == 4 and "output 'output': cosine" in ran.err and "gen_trt_engine.verify_cosine=0.99" in ran.err


def test_nothing_to_run_on(colours: ColourJob) -> None:
    ran = colours.run("gen_trt_engine", VERIFY, "dataset.test_dataset.images_dir=''")
    assert ran.code == 3 and "no samples to run on: gen_trt_engine.tensorrt.calibration.cal_image_dir is not" in ran.err
    assert "dataset.test_dataset.images_dir is not set" in ran.err and not colours.engine.exists()


def test_unreadable_pictures_are_left_out(colours: ColourJob) -> None:
    paths = sorted(colours.images.glob("*/*.png"))
    paths[0].write_bytes(b"")
    ran = colours.run("gen_trt_engine", VERIFY)
    assert ran.code == 0 and "It is left out." in ran.text and "on 8 samples" in ran.text
    for path in paths:
        path.write_bytes(b"")
    colours.engine.unlink()
    ran = colours.run("gen_trt_engine", VERIFY)
    assert ran.code == 3 and "none of the 9 samples" in ran.err and not colours.engine.exists()


def test_pictures_that_calibrated_come_last(tmp_path: Path, colours: ColourJob) -> None:
    from nvidia_tao_deploy.data.pictures import picture_samples
    from nvidia_tao_deploy.graph.model import load
    from nvidia_tao_deploy.networks.classification_pyt import NETWORKS
    from nvidia_tao_deploy.pipeline.calibration import order
    from nvidia_tao_deploy.spec.compose import compose
    from nvidia_tao_deploy.tasks import trial
    from nvidia_tao_deploy.tasks.context import Context

    network = NETWORKS["classification_pyt"]
    options = [f"gen_trt_engine.tensorrt.calibration.cal_image_dir=[{colours.images}]"]
    spec = compose(network.schema, colours.spec, options).spec
    plan = trial.plan(Context(network, spec, "gen_trt_engine", tmp_path, None), load(colours.model), 3)  # type: ignore[arg-type]
    expected = order(picture_samples(colours.images), 0)[6:]
    assert [sample.name for sample in plan.samples] == [sample.name for sample in expected]
    assert plan.subtask == "evaluate" and plan.source.endswith("cal_image_dir")


def change_offset(model: onnx.ModelProto, value: float) -> onnx.ModelProto:
    """A copy of the tiny model whose last constant is `value`."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    offset = next(tensor for tensor in copy.graph.initializer if tensor.name == "offset")
    offset.CopyFrom(numpy_helper.from_array(np.full(3, value, np.float32), "offset"))
    return copy


def test_an_engine_that_gives_nan_is_not_kept(colours: ColourJob, monkeypatch: pytest.MonkeyPatch) -> None:
    build = OnnxRuntimeBackend.build

    def broken(self, model, plan):  # type: ignore[no-untyped-def]
        return build(self, model if plan.precision == "fp32" else change_offset(model, np.nan), plan)

    monkeypatch.setattr(OnnxRuntimeBackend, "build", broken)
    colours.engine.write_bytes(b"the old engine")
    ran = colours.run("gen_trt_engine", VERIFY, "gen_trt_engine.tensorrt.data_type=fp16")
    assert ran.code == 4 and "the engine is not kept: its output 'output' is NaN for" in ran.err
    assert "auto_layers_precision.enabled=true" in ran.err and "cannot be run here" not in ran.err
    assert colours.engine.read_bytes() == b"the old engine"


@pytest.mark.parametrize(
    "option", [VERIFY, "gen_trt_engine.tensorrt.auto_layers_precision.enabled=true"], ids=["verify", "search"]
)
def test_a_model_that_gives_nan_itself_is_blamed_itself(colours: ColourJob, option: str) -> None:
    onnx.save(change_offset(onnx.load(str(colours.model)), np.nan), str(colours.model))
    ran = colours.run("gen_trt_engine", option, "gen_trt_engine.tensorrt.data_type=fp16")
    assert ran.code == 4 and f"{colours.model}: the FP32 model itself gives NaN: output 'output' for" in ran.err
    assert "preprocessing" in ran.err and not colours.engine.exists()
