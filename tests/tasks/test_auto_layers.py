# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""auto_layers_precision: finds the layer that INT8 ruins, and no other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from nvidia_tao_deploy.graph.model import load
from nvidia_tao_deploy.graph.quantise import label
from tests.conftest import ColourJob
from tests.makers import noise

AUTO = "gen_trt_engine.tensorrt.auto_layers_precision."


def fragile_model(path: Path) -> None:
    """Three linear layers after a mean per channel. The middle one's input has one entry a thousand times the others,
    which carry the answer: one INT8 scale cannot serve both."""
    random = np.random.default_rng(0)
    first = np.zeros((3, 4), np.float32)
    first[:, :3] = np.eye(3)
    middle, last = np.zeros((4, 3), np.float32), np.eye(3, dtype=np.float32)
    middle[:3] = np.eye(3)
    constants = {
        "first": first + random.normal(size=first.shape).astype(np.float32) * 1e-3,
        "shift": np.array([0, 0, 0, 3000], np.float32),
        "middle": middle,
        "last": last,
    }
    nodes = [
        helper.make_node("GlobalAveragePool", ["input"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "first"], ["a"], name="first"),
        helper.make_node("Add", ["a", "shift"], ["b"], name="shift"),
        helper.make_node("MatMul", ["b", "middle"], ["c"], name="middle"),
        helper.make_node("MatMul", ["c", "last"], ["output"], name="last"),
    ]
    graph = helper.make_graph(
        nodes, "fragile",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 3, 16, 16])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", 3])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))


@pytest.fixture
def job(colours: ColourJob) -> ColourJob:
    fragile_model(colours.model)
    for index in range(30):
        noise(colours.images / ("blue", "green", "red")[index % 3] / f"n{index}.png", seed=index)
    return colours


def build(job: ColourJob, *overrides: object) -> object:
    calibration = "gen_trt_engine.tensorrt.calibration."
    return job.run(
        "gen_trt_engine", "gen_trt_engine.tensorrt.data_type=int8", f"{calibration}cal_image_dir={job.images}",
        f"{calibration}cal_batches=8", f"{AUTO}enabled=true", *overrides,
    )  # fmt: skip


def quantised_layers(path: Path) -> set[str]:
    return {label(node) for node in load(path).proto.graph.node if any(name.endswith("__dq") for name in node.input)}


def test_finds_the_one_layer(job: ColourJob) -> None:
    ran = build(job, f"{AUTO}budget=0.1")
    assert ran.code == 0, ran.text
    assert "layers_precision: ['middle:fp16']" in ran.text
    assert quantised_layers(job.engine) == {"first", "last"}
    facts = job.engine.with_name("tiny.engine.json").read_text()
    assert '"middle:fp16"' in facts


def test_what_was_printed_can_be_pasted(job: ColourJob) -> None:
    assert build(job, f"{AUTO}budget=0.1").code == 0
    found = job.engine.read_bytes()
    pasted = build(job, f"{AUTO}enabled=false", "gen_trt_engine.tensorrt.layers_precision=['middle:fp16']")
    assert pasted.code == 0 and job.engine.read_bytes() == found


def test_nothing_is_kept_when_the_budget_holds(job: ColourJob) -> None:
    ran = build(job, f"{AUTO}budget=1")
    assert ran.code == 0 and "within the budget of 1" in ran.text
    assert quantised_layers(job.engine) == {"first", "middle", "last"}


def test_dtype_and_metric_of_evaluate(job: ColourJob) -> None:
    ran = build(job, f"{AUTO}budget=0.05", f"{AUTO}metric=kpi", f"{AUTO}dtype=FP32")
    assert ran.code == 0, ran.text
    assert "['middle:fp32']" in ran.text or "within the budget" in ran.text


def test_rules_of_the_user_are_kept(job: ColourJob) -> None:
    ran = build(job, f"{AUTO}budget=0.1", "gen_trt_engine.tensorrt.layers_precision=['first:fp32']")
    assert ran.code == 0 and "layers_precision: ['middle:fp16']" in ran.text
    assert quantised_layers(job.engine) == {"last"}


def test_where_it_makes_no_sense(job: ColourJob) -> None:
    ran = build(job, "gen_trt_engine.tensorrt.data_type=fp16")
    assert ran.code == 2 and "auto_layers_precision: works with data_type INT8 or FP8" in ran.err
    assert "found data_type FP16" in ran.err
    ran = build(job, f"{AUTO}metric=kpi", "dataset.test_dataset.images_dir=''")
    assert ran.code == 3 and "no labelled samples: dataset.test_dataset.images_dir is not set" in ran.err
    ran = build(job, f"{AUTO}metric=fastest")
    assert ran.code == 2 and "expected one of agreement, kpi" in ran.err
    assert not job.engine.exists()
