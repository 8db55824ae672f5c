# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""auto_layers_precision: finds the layers that INT8, FP16 or BF16 ruins, and no others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from nvidia_tao_deploy.engine.contract import BuildPlan, LayerPrecision
from nvidia_tao_deploy.engine.onnxruntime.backend import OnnxRuntimeBackend, session
from nvidia_tao_deploy.errors import BuildError
from nvidia_tao_deploy.graph.layers import label
from nvidia_tao_deploy.graph.model import load
from nvidia_tao_deploy.tasks import layer_variants
from nvidia_tao_deploy.tasks.auto_layers import _distance, _squared_error
from nvidia_tao_deploy.tasks.comparing import Comparison
from tests.conftest import ColourJob
from tests.graph import models
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
    ran = build(job, "gen_trt_engine.tensorrt.data_type=fp32")
    assert ran.code == 2 and "auto_layers_precision: found data_type FP32, in which there is nothing" in ran.err
    assert "data_type to FP16, BF16, INT8 or FP8" in ran.err
    ran = build(job, f"{AUTO}metric=kpi", "dataset.test_dataset.images_dir=''")
    assert ran.code == 3 and "no labelled samples: dataset.test_dataset.images_dir is not set" in ran.err
    ran = build(job, f"{AUTO}metric=fastest")
    assert ran.code == 2 and "expected one of agreement, kpi" in ran.err
    assert not job.engine.exists()


def narrow_model(path: Path, factor: float = 6e4) -> None:
    """Four linear layers after a mean per channel; the second makes values of `factor`, the third undoes that.

    6e4 itself is a float16, products of it are beyond: infinity times zero follows. bfloat16 holds them.
    """
    identity = np.eye(3, dtype=np.float32)
    weights = {"first": identity, "large": identity * factor, "back": identity / factor, "last": identity}
    nodes = [
        helper.make_node("GlobalAveragePool", ["input"], ["pooled"], name="pool"),
        helper.make_node("Flatten", ["pooled"], ["flat"], name="flatten"),
    ]
    previous = "flat"
    for name in weights:
        target = "output" if name == "last" else f"{name}_out"
        nodes.append(helper.make_node("MatMul", [previous, name], [target], name=f"/body/{name}"))
        previous = target
    graph = helper.make_graph(
        nodes, "overflow",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 3, 16, 16])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", 3])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))


def search(job: ColourJob, precision: str, *overrides: object) -> object:
    return job.run(
        "gen_trt_engine", f"gen_trt_engine.tensorrt.data_type={precision}", f"{AUTO}enabled=true", *overrides
    )


def weight_types(path: Path) -> dict[str, int]:
    return {tensor.name: tensor.data_type for tensor in load(path).proto.graph.initializer}


def test_layers_that_overflow_in_fp16_are_kept_in_fp32(colours: ColourJob) -> None:
    narrow_model(colours.model)
    ran = search(colours, "fp16")
    assert ran.code == 0, ran.text
    assert "layers_precision: ['/body/large:fp32', '/body/back:fp32']" in ran.text
    assert "loss inf with all layers in FP16, 0.0000 with 2 of 6 kept in FP32" in ran.text
    found = weight_types(colours.engine)
    assert {name for name, kind in found.items() if kind == TensorProto.FLOAT} == {"large", "back"}
    assert {name for name, kind in found.items() if kind == TensorProto.FLOAT16} == {"first__fp16", "last__fp16"}
    built = colours.engine.read_bytes()
    pasted = colours.run(
        "gen_trt_engine", "gen_trt_engine.tensorrt.data_type=fp16",
        "gen_trt_engine.tensorrt.layers_precision=['/body/large:fp32','/body/back:fp32']",
    )  # fmt: skip
    assert pasted.code == 0 and colours.engine.read_bytes() == built


def test_values_that_fp16_rounds_away_are_found(colours: ColourJob) -> None:
    """One layer's sum is 4096 + the answer, from which the next takes the answer: float16 has steps of 4 there."""
    constants = {"one": np.eye(3, dtype=np.float32), "offset": np.full(3, 4096, np.float32)}
    nodes = [
        helper.make_node("GlobalAveragePool", ["input"], ["pooled"], name="pool"),
        helper.make_node("Flatten", ["pooled"], ["flat"], name="flatten"),
        helper.make_node("MatMul", ["flat", "one"], ["a"], name="first"),
        helper.make_node("Add", ["a", "offset"], ["b"], name="up"),
        helper.make_node("Sub", ["b", "offset"], ["output"], name="down"),
    ]
    graph = helper.make_graph(
        nodes, "rounding",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 3, 16, 16])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", 3])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(colours.model))
    for index in range(30):
        noise(colours.images / ("blue", "green", "red")[index % 3] / f"n{index}.png", seed=index)
    ran = search(colours, "fp16")
    assert ran.code == 0, ran.text
    assert "layers_precision: ['up:fp32']" in ran.text  # then `down` is FP32 by itself
    assert set(weight_types(colours.engine)) == {"one__fp16", "offset"}


def test_nothing_is_kept_in_fp16_when_nothing_overflows(colours: ColourJob) -> None:
    narrow_model(colours.model, factor=100)
    ran = search(colours, "fp16")
    assert ran.code == 0 and "loss 0.0000 with all layers in FP16, within the budget of 0.01" in ran.text
    assert TensorProto.FLOAT not in weight_types(colours.engine).values()


def test_bf16_holds_what_fp16_does_not(colours: ColourJob) -> None:
    narrow_model(colours.model)
    ran = search(colours, "bf16")
    assert "loss 0.0000 with all layers in BF16, within the budget" in ran.text
    assert ran.code == 4 and "use FP32 or FP16 here" in ran.text  # ONNX Runtime's own refusal, after the search


def test_bf16_rounds_to_eight_bits(colours: ColourJob) -> None:
    """256 + the answer: eight bits are not enough in BF16, eleven are in FP16."""
    narrow_model(colours.model, factor=1)
    model = load(colours.model).proto
    model.graph.initializer.append(numpy_helper.from_array(np.full(3, 256, np.float32), "offset"))
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in model.graph.node]
    nodes[3].input[0], nodes[4].input[0] = "up", "down"
    nodes.insert(3, helper.make_node("Add", ["first_out", "offset"], ["up"], name="up"))
    nodes.insert(5, helper.make_node("Sub", ["large_out", "offset"], ["down"], name="down"))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.save(model, str(colours.model))
    for index in range(30):
        noise(colours.images / ("blue", "green", "red")[index % 3] / f"n{index}.png", seed=index)
    ran = search(colours, "bf16", f"{AUTO}budget=0.05")
    assert "layers_precision: ['up:fp32', '/body/large:fp32']" in ran.text, ran.text  # then `down` is FP32 by itself
    ran = search(colours, "fp16", f"{AUTO}budget=0.5")
    assert ran.code == 0 and "within the budget of 0.5" in ran.text


def test_users_rules_settle_their_layers_in_fp16_too(colours: ColourJob) -> None:
    narrow_model(colours.model)
    ran = search(colours, "fp16", "gen_trt_engine.tensorrt.layers_precision=['/body/large:fp32']")
    assert ran.code == 0 and "layers_precision: ['/body/back:fp32']" in ran.text
    ran = search(colours, "fp16", "gen_trt_engine.tensorrt.layers_precision=['/body/l*:fp16']")
    assert ran.code == 0 and "is kept only with all layers left out" in ran.text


def test_nodes_without_a_name_go_by_their_output(colours: ColourJob) -> None:
    narrow_model(colours.model)
    model = onnx.load(str(colours.model))
    for node in model.graph.node:
        node.name = ""
    onnx.save(model, str(colours.model))
    ran = search(colours, "fp16")
    assert ran.code == 0 and "layers_precision: ['large_out:fp32', 'back_out:fp32']" in ran.text, ran.text
    built = colours.engine.read_bytes()
    pasted = colours.run(
        "gen_trt_engine", "gen_trt_engine.tensorrt.data_type=fp16",
        "gen_trt_engine.tensorrt.layers_precision=['large_out:fp32','back_out:fp32']",
    )  # fmt: skip
    assert pasted.code == 0 and colours.engine.read_bytes() == built


def test_unreadable_pictures_are_passed_over(colours: ColourJob) -> None:
    narrow_model(colours.model)
    (colours.images / "red" / "0.png").write_bytes(b"no picture")
    ran = search(colours, "fp16", f"gen_trt_engine.tensorrt.calibration.cal_image_dir={colours.images}")
    assert ran.code == 0 and "layers_precision: ['/body/large:fp32', '/body/back:fp32']" in ran.text, ran.text


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_a_replaced_plugin_is_one_layer_under_its_own_name(precision: str) -> None:
    """So what the search prints fits where the real plugin stays, too."""
    model = models.attention()
    found = layer_variants.variants(model, BuildPlan(precision))
    assert found.layers == ["/encoder/attention"]
    feeds, exact = models.attention_feeds(2), models.attention_expected(models.attention_feeds(2))
    errors = [
        np.abs(session(blob).run(None, feeds)[0] - exact).max()
        for blob in (found.without([]), found.only(found.layers), found.without(found.layers), found.only([]))
    ]
    assert min(errors[:2]) > 50 * max(errors[2:])
    rules = (LayerPrecision("/encoder/attention", "fp32"),)
    assert layer_variants.variants(model, BuildPlan(precision, layers_precision=rules)).layers == []


def test_a_rule_for_a_plugin_holds_for_its_replacement() -> None:
    rules = (LayerPrecision("/encoder/attention", "fp32"),)
    built = OnnxRuntimeBackend().build(models.attention(), BuildPlan("fp16", layers_precision=rules))
    assert TensorProto.FLOAT16 not in {
        tensor.data_type for tensor in onnx.ModelProto.FromString(built.blob).graph.initializer
    }
    with pytest.raises(BuildError, match="no layer is named '/encoder/atention'"):
        OnnxRuntimeBackend().build(
            models.attention(), BuildPlan("fp16", layers_precision=(LayerPrecision("/encoder/atention", "fp32"),))
        )


def test_outputs_of_integers_alone() -> None:
    """There is no cosine of ids: what counts is how many changed."""
    exact = {"ids": np.arange(8), "count": np.array([3])}
    found = {**exact, "ids": np.array([0, 1, 2, 3, 4, 5, 7, 6])}
    comparison = Comparison()
    comparison.update((exact, None), (found, None))
    assert _distance(comparison) == pytest.approx(0.25)
    assert _squared_error([exact], [found]) == pytest.approx(2 / 140)
    scores = {"scores": np.array([1.0, 0.0])}  # beside floats, integers do not count
    comparison = Comparison()
    comparison.update(({**exact, **scores}, None), ({**found, **scores}, None))
    assert _distance(comparison) == pytest.approx(0.0)
    assert _squared_error([{**exact, **scores}], [{**found, **scores}]) == 0.0


def test_nodes_of_functions_are_layers_too() -> None:
    """As PyTorch's newer exporter writes them; ONNX's inliner gives them names that the model does not have."""
    inner = helper.make_node("MatMul", ["x", "weights"], ["y"], name="inner")
    opset = helper.make_opsetid("", 17)
    function = helper.make_function("local", "Linear", ["x", "weights"], ["y"], [inner], [opset])
    graph = helper.make_graph(
        [
            helper.make_node("Linear", ["x", "thirds"], ["middle"], domain="local", name="call"),
            helper.make_node("MatMul", ["middle", "same"], ["y"], name="last"),
        ],
        "functions",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3])],
        [
            numpy_helper.from_array(np.eye(3, dtype=np.float32) / 3, "thirds"),
            numpy_helper.from_array(np.eye(3, dtype=np.float32), "same"),
        ],
    )
    opsets = [opset, helper.make_opsetid("local", 1)]
    model = helper.make_model(graph, opset_imports=opsets, functions=[function], ir_version=8)
    found = layer_variants.variants(model, BuildPlan(precision="fp16"))
    (inlined,) = set(found.layers) - {"last"}
    values = np.array([[1, 2, 3]], np.float32)
    (exact,) = session(found.without(found.layers)).run(None, {"x": values})
    (lowered,) = session(found.only([inlined])).run(None, {"x": values})
    assert np.allclose(exact, values / 3, rtol=1e-6, atol=0)
    third = np.float32(np.float16(1 / 3))
    assert np.array_equal(lowered, (values * third).astype(np.float16).astype(np.float32))
