# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Forms of plugin nodes: operator sets, FP16, networks with several plugins, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from nvidia_tao_deploy.errors import BuildError
from nvidia_tao_deploy.graph import plugins, precision
from nvidia_tao_deploy.graph.editing import FLOAT32_ONLY
from nvidia_tao_deploy.graph.model import all_nodes
from tests.graph.plugins import cases, formulas
from tests.graph.plugins.cases import FLOAT, INT32, Case, one_node


def run(model: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


def first_case(op: str) -> Case:
    return next(iter(cases.ALL[op]()))


def changed(model: onnx.ModelProto, **attributes: Any) -> onnx.ModelProto:
    """The model with attributes of its node replaced, or taken away (None)."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    node = copy.graph.node[0]
    kept = [item for item in node.attribute if item.name not in attributes]
    del node.attribute[:]
    node.attribute.extend(kept)
    node.attribute.extend(helper.make_attribute(key, value) for key, value in attributes.items() if value is not None)
    return copy


@pytest.mark.parametrize("op", list(cases.ALL))
@pytest.mark.parametrize("opset", [11, 13, 17, 21])
def test_every_operator_set_gives_the_same(op: str, opset: int) -> None:
    case = first_case(op)
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    model.opset_import[0].version = opset
    rewritten, _ = plugins.rewrite(model)
    feeds = case.runs[0]
    for found, wanted in zip(run(rewritten, feeds), case.expected(feeds), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("op", list(cases.ALL))
def test_nothing_unused_is_left_in_the_graph(op: str) -> None:
    model, _ = plugins.rewrite(first_case(op).model)
    used = {name for node in all_nodes(model.graph) for name in node.input}
    used |= {output.name for output in model.graph.output}
    bodies = [item.g for node in model.graph.node for item in node.attribute if item.HasField("g")]
    used |= {output.name for body in bodies for output in body.output}
    assert not [tensor.name for tensor in model.graph.initializer if tensor.name not in used]
    assert not [node.name for node in all_nodes(model.graph) if not used & set(node.output)]


@pytest.mark.parametrize("op", ["EfficientNMS_TRT", "BatchedNMSDynamic_TRT", "CropAndResizeDynamic"])
def test_outputs_have_the_type_of_the_inputs(op: str) -> None:
    case = first_case(op)
    node = case.model.graph.node[0]
    inputs = {value.name: (TensorProto.FLOAT16, _shape(value)) for value in case.model.graph.input}
    outputs = {
        value.name: (
            TensorProto.FLOAT16 if value.type.tensor_type.elem_type == FLOAT else INT32,
            _shape(value),
        )
        for value in case.model.graph.output
    }
    attributes = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    attributes.pop("plugin_version")
    model, _ = plugins.rewrite(one_node(op, attributes, inputs, outputs))
    feeds = {name: array.astype(np.float16) for name, array in case.runs[0].items()}
    wide = {name: array.astype(np.float32) for name, array in feeds.items()}
    for found, wanted in zip(run(model, feeds), case.expected(wide), strict=True):
        assert found.dtype == (np.float16 if wanted.dtype == np.float32 else np.int32)
        np.testing.assert_allclose(found.astype(np.float32), wanted, rtol=2e-3, atol=2e-3)


def _shape(value: onnx.ValueInfoProto) -> list[Any]:
    return [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]


def test_typing_in_fp16_leaves_suppression_in_float32() -> None:
    case = first_case("BatchedNMSDynamic_TRT")
    model, _ = plugins.rewrite(case.model)
    assert all(node.doc_string == FLOAT32_ONLY for node in model.graph.node)
    typed, report = precision.typed(model, "fp16")
    assert len(report.narrow) == 0
    for found, wanted in zip(run(typed, case.runs[0]), case.expected(case.runs[0]), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=2e-5)


def test_no_picture_and_many_pictures() -> None:
    """The batch is open: results of a batch are those of its pictures."""
    case = first_case("BatchedNMSDynamic_TRT")
    model, _ = plugins.rewrite(case.model)
    feeds = {name: np.concatenate([run_[name] for run_ in case.runs]) for name in case.runs[0]}
    together = run(model, feeds)
    for index in range(len(feeds["boxes"])):
        alone = run(model, {name: array[index : index + 1] for name, array in feeds.items()})
        for all_of_them, one in zip(together, alone, strict=True):
            np.testing.assert_array_equal(all_of_them[index : index + 1], one)


def test_more_candidates_than_one_topk_takes() -> None:
    """9000 candidates, of which 5000 count: two rounds of TopK. The worst of them are not looked at."""
    count, classes = 3000, 3
    random = np.random.default_rng(0)
    attributes = {"score_threshold": 0.1, "iou_threshold": 0.9, "max_output_boxes": 5200, "background_class": -1}
    model = one_node(
        "EfficientNMS_TRT",
        attributes,
        {"boxes": (FLOAT, ["N", count, 4]), "scores": (FLOAT, ["N", count, classes])},
        {
            "num": (INT32, ["N", 1]), "rects": (FLOAT, ["N", 5200, 4]), "values": (FLOAT, ["N", 5200]),
            "labels": (INT32, ["N", 5200]),
        },
    )  # fmt: skip
    place = np.stack(np.meshgrid(np.arange(60), np.arange(50)), -1).reshape(1, count, 2).astype(np.float32)
    scores = (0.2 + 0.8 * random.random((1, count, classes))).astype(np.float32)
    model, _ = plugins.rewrite(model)
    number, _, values, _ = run(model, {"boxes": np.concatenate([place, place + 0.9], -1), "scores": scores})
    assert number[0, 0] == 5000
    np.testing.assert_array_equal(values[0, :5000], np.sort(scores.ravel())[::-1][:5000])
    assert not values[0, 5000:].any()


def test_sizes_follow_through_several_plugins() -> None:
    """Faster R-CNN's chain: the shapes of the later plugins follow from the earlier ones'."""
    proposal = next(iter(cases.proposal()))
    ssd = list(cases.ssd_nms())[2]
    keep, classes, rois = ssd.model.graph.output[0].type.tensor_type.shape.dim[2].dim_value, 4, 20
    nodes = [proposal.model.graph.node[0]]
    nodes[0].output[0] = "regions"
    nodes += [
        helper.make_node(
            "CropAndResizeDynamic", ["map", "regions"], ["crops"], name="crop", crop_height=2, crop_width=2
        ),
        helper.make_node("ReduceMean", ["crops"], ["pooled"], axes=[2, 3, 4], keepdims=0),
        helper.make_node("Reshape", ["pooled", "as_column"], ["column"]),
        helper.make_node("MatMul", ["column", "to_scores"], ["scores3"]),
        helper.make_node("Sigmoid", ["scores3"], ["scores_01"]),
        helper.make_node("Reshape", ["scores_01", "as_scores"], ["conf"]),
        helper.make_node("MatMul", ["column", "to_deltas"], ["deltas3"]),
        helper.make_node("Reshape", ["deltas3", "as_scores"], ["loc"]),
        helper.make_node("Gather", ["regions", "swap"], ["xyxy"], axis=2),
        helper.make_node("Reshape", ["xyxy", "as_prior"], ["half"]),
        helper.make_node("Concat", ["half", "half"], ["prior"], axis=1),
        ssd.model.graph.node[0],
    ]
    last = nodes[-1]
    del last.input[:]
    last.input.extend(["prior", "loc", "conf"])
    random = np.random.default_rng(0)

    def constant(name: str, value: Any, dtype: type) -> onnx.TensorProto:
        return onnx.numpy_helper.from_array(np.asarray(value, dtype), name)

    declare = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "chain",
        [*proposal.model.graph.input, declare("map", FLOAT, ["N", 3, 4, 6])],
        [declare("NMS", FLOAT, ["N", 1, keep, 7]), declare("NMS_1", FLOAT, ["N", 1, 1, 1])],
        [
            constant("as_column", [-1, rois, 1], np.int64),
            constant("to_scores", random.random((1, classes)), np.float32),
            constant("as_scores", [0, -1, 1, 1], np.int64),
            constant("to_deltas", random.normal(0, 0.1, (1, 4 * classes)), np.float32),
            constant("swap", [1, 0, 3, 2], np.int64), constant("as_prior", [0, 1, -1, 1], np.int64),
        ],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    rewritten, done = plugins.rewrite(model)
    assert [line.split(" ")[0] for line in done] == ["CropAndResizeDynamic", "NMSDynamic_TRT", "ProposalDynamic"]
    feeds = {**proposal.runs[1], "map": random.normal(size=(2, 3, 4, 6)).astype(np.float32)}
    rows, number = run(rewritten, feeds)
    regions = proposal.expected(proposal.runs[1])[0]
    pooled = formulas.crop_and_resize(feeds["map"], regions, {"crop_height": 2, "crop_width": 2})[0].mean((2, 3, 4))
    conf = 1 / (1 + np.exp(-pooled[..., None] * onnx.numpy_helper.to_array(graph.initializer[1])))
    loc = pooled[..., None] * onnx.numpy_helper.to_array(graph.initializer[3])
    prior = np.repeat(regions[:, None, :, [1, 0, 3, 2], 0].reshape(2, 1, -1, 1), 2, axis=1)
    options = {item.name: helper.get_attribute_value(item) for item in last.attribute}
    wanted = formulas.ssd_nms(loc.reshape(2, -1, 1, 1), conf.reshape(2, -1, 1, 1), prior, options)
    np.testing.assert_array_equal(number.view(np.int32), wanted[1].view(np.int32))
    np.testing.assert_allclose(rows, wanted[0], rtol=1e-4, atol=2e-5)


def test_boxes_of_mask_rcnn_are_cut_off() -> None:
    table = np.arange(12, dtype=np.float32).reshape(1, 2, 6)
    model = one_node("SpecialSlice_TRT", {}, {"x": (FLOAT, ["N", 2, 6])}, {"y": (FLOAT, ["N", 2, 4])})
    np.testing.assert_array_equal(run(plugins.rewrite(model)[0], {"x": table})[0], table[..., :4])


def test_the_static_forms_are_known_too() -> None:
    case = first_case("BatchedNMSDynamic_TRT")
    model = changed(case.model)
    model.graph.node[0].op_type = "BatchedNMS_TRT"
    del model.graph.output[0].type.tensor_type.shape.dim[1]  # its count has one axis
    found = run(plugins.rewrite(model)[0], case.runs[0])
    np.testing.assert_array_equal(found[0], case.expected(case.runs[0])[0][:, 0])
    np.testing.assert_allclose(found[1], case.expected(case.runs[0])[1], atol=1e-6)


def test_boxes_of_all_classes_suppress_each_other_when_asked() -> None:
    case = first_case("EfficientNMS_TRT")
    model, _ = plugins.rewrite(changed(case.model, class_agnostic=1))
    options = {item.name: helper.get_attribute_value(item) for item in case.model.graph.node[0].attribute}
    for feeds in case.runs:
        wanted = formulas.efficient_nms(feeds["boxes"], feeds["scores"], None, {**options, "class_agnostic": 1})
        for found, value in zip(run(model, feeds), wanted, strict=True):
            np.testing.assert_allclose(found, value, rtol=1e-5, atol=1e-6)


def test_static_ssd_takes_the_priors_of_the_first_picture() -> None:
    case = first_case("NMSDynamic_TRT")
    model = changed(case.model, isBatchAgnostic=1)
    feeds = dict(case.runs[2])
    for op, prior in (("NMSDynamic_TRT", feeds["prior"]), ("NMS_TRT", feeds["prior"][:1])):
        model.graph.node[0].op_type = op
        wanted = case.expected({**feeds, "prior": prior})
        np.testing.assert_allclose(run(plugins.rewrite(model)[0], feeds)[0], wanted[0], rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize(
    ("op", "attributes", "message"),
    [
        ("BatchedNMSDynamic_TRT", {"keepTopK": 50}, "keepTopK 50 with topK 40: TensorRT's plugin returns nothing"),
        ("BatchedNMSDynamic_TRT", {"numClasses": 7}, "numClasses 7, but the scores are of 3 classes"),
        ("BatchedNMSDynamic_TRT", {"shareLocation": 0}, "shareLocation 0 does not fit boxes of shape"),
        ("BatchedNMSDynamic_TRT", {"iouThreshold": None}, "attribute iouThreshold is missing"),
        ("BatchedNMSDynamic_TRT", {"iouThreshold": "much"}, "attribute iouThreshold is b'much'; expected a number"),
        ("NMSDynamic_TRT", {"inputOrder": [0, 1, 1]}, "inputOrder [0, 1, 1]; expected a permutation"),
        ("NMSDynamic_TRT", {"inputOrder": [0, 1]}, "attribute inputOrder has 2 values; expected 3"),
        ("NMSDynamic_TRT", {"codeType": 5}, "codeType 5; expected 0 to 3"),
        ("EfficientNMS_TRT", {"box_coding": 2}, "box_coding 2; expected 0 (corners) or 1"),
        ("ProposalDynamic", {"anchor_sizes": [8.0]}, "scores of 6 anchors, but anchor_sizes and anchor_ratios make 3"),
        ("CropAndResizeDynamic", {"crop_height": 0}, "crop_height 0, crop_width 4; expected at least 1"),
        ("GenerateDetection_TRT", {"num_classes": 1}, "num_classes 1; expected at least 2"),
        ("MultilevelProposeROI_TRT", {"image_size": [3, 32, 128]}, "image_size makes 768 anchors"),
        ("PyramidROIAlign_TRT", {"roi_coords_transform": 4}, "roi_coords_transform 4; expected one of"),
        ("ModulatedDeformConv2d", {"stride": [1, 2]}, "stride 1, 2: the plugin takes the same for both axes only"),
        ("VoxelGeneratorPlugin", {"voxel_feature_num": 9}, "voxel_feature_num 9; points of 4 values make 10"),
        ("DecodeBbox3DPlugin", {"anchors": [1.0, 2.0]}, "attribute anchors has 2 values; expected 24"),
        ("ResizeNearest_TRT", {"scale": -1.0}, "scale -1.0; expected a positive number"),
        ("InstanceNormalization_TRT", {"bias": [1.0]}, "3 scales and 1 biases"),
    ],
)
def test_what_cannot_be_replaced_is_said(op: str, attributes: dict[str, Any], message: str) -> None:
    with pytest.raises(BuildError) as failure:
        plugins.rewrite(changed(first_case(op).model, **attributes))
    assert f"{op} 'plugin': " in str(failure.value) and message in str(failure.value)


def test_wrong_number_of_inputs_is_said() -> None:
    model = changed(first_case("BatchedNMSDynamic_TRT").model)
    del model.graph.node[0].input[1]
    with pytest.raises(BuildError, match=r"1 inputs and 4 outputs; expected 2 and 4"):
        plugins.rewrite(model)


def test_open_sizes_are_said() -> None:
    model = changed(first_case("BatchedNMSDynamic_TRT").model)
    model.graph.input[1].type.tensor_type.shape.dim[1].dim_param = "boxes"
    with pytest.raises(BuildError, match="the number of boxes is open; it must be fixed"):
        plugins.rewrite(model)


@pytest.mark.parametrize(("batch", "stays"), [(1, True), (2, False)])
def test_plugin_with_scratch_memory_for_one_picture(batch: int, stays: bool) -> None:
    case = next(cases.generate_detection(batch=batch))
    model, done = plugins.rewrite(case.model, native=("GenerateDetection_TRT", "EfficientNMS_TRT"))
    assert (model is case.model) == stays == (not done)


def test_plugin_with_scratch_memory_for_one_picture_and_an_open_batch() -> None:
    case = next(cases.generate_detection())
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "N"
    standard, done = plugins.rewrite(model, native=("GenerateDetection_TRT",))
    assert len(done) == 1
    for found, expected in zip(run(standard, case.runs[0]), case.expected(case.runs[0]), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)


def test_other_plugins_stay_with_any_batch() -> None:
    model = first_case("EfficientNMS_TRT").model
    assert plugins.rewrite(model, native=("EfficientNMS_TRT", "GenerateDetection_TRT"))[0] is model
