# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Plugin nodes with inputs to run them on: for the formulas here, and for TensorRT's own plugins in tests/gpu.

Each function gives a few settings (attributes and sizes, one model each) with several sets of inputs, 50 or more in
all. Among them are: nothing above the threshold, everything above it, more boxes than room, empty and inverted boxes,
two pictures, and, where `ties` is set, equal scores (TensorRT's order of equal scores is not defined everywhere).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.random import Generator
from onnx import TensorProto, helper

from tests.graph.plugins import formulas

FLOAT, INT32 = TensorProto.FLOAT, TensorProto.INT32
Arrays = list[np.ndarray]


@dataclass(frozen=True)
class Case:
    """One setting of a plugin.

    Attributes:
        name: operator and number.
        model: a graph of this one node, with an open batch unless the operator has none.
        runs: sets of inputs.
        expected: what the outputs are for one set of inputs.
    """

    name: str
    model: onnx.ModelProto
    runs: list[dict[str, np.ndarray]]
    expected: Callable[[dict[str, np.ndarray]], Arrays]


def one_node(
    op: str, attributes: dict[str, Any], inputs: dict[str, tuple], outputs: dict[str, tuple], opset: int = 13
) -> onnx.ModelProto:
    """A model of one plugin node; inputs and outputs are name: (type, shape)."""
    declare = helper.make_tensor_value_info
    node = helper.make_node(op, list(inputs), list(outputs), name="plugin", plugin_version="1", **attributes)
    graph = helper.make_graph(
        [node],
        "plugin",
        [declare(name, *what) for name, what in inputs.items()],
        [declare(name, *what) for name, what in outputs.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def make(
    op: str,
    number: int,
    attributes: dict[str, Any],
    inputs: dict[str, tuple],
    outputs: dict[str, tuple],
    runs: list[Arrays],
    formula: Callable[..., Arrays],
) -> Case:
    """A case whose formula takes the inputs in order."""
    return Case(
        f"{op}-{number}",
        one_node(op, attributes, inputs, outputs),
        [dict(zip(inputs, run, strict=True)) for run in runs],
        lambda feeds: formula(*feeds.values()),
    )


def boxes(random: Generator, *shape: int, scale: float = 1.0, odd: bool = True) -> np.ndarray:
    """Corners that overlap a lot; with `odd`, some are empty, some inverted."""
    centres = random.random((max(2, shape[-1] // 12), 2))
    place = centres[random.integers(0, len(centres), shape)] + random.normal(0, 0.03, (*shape, 2))
    size = random.uniform(0.08, 0.3, (*shape, 2))
    if odd:
        size[random.random(shape) < 0.05] = 0
        size[random.random(shape) < 0.05] *= -1
    return (np.concatenate([place - size / 2, place + size / 2], -1) * scale).astype(np.float32)


def scores(random: Generator, kind: int, *shape: int, ties: bool = False) -> np.ndarray:
    """Scores in 0..1; kind 1: none above 0.005, kind 2: all above 0.6."""
    values = random.random(shape)
    if kind == 1:
        values *= 0.005
    if kind == 2:
        values = 0.6 + 0.4 * values
    if ties:
        values = np.round(values, 1)
    return values.astype(np.float32)


def logit(values: np.ndarray) -> np.ndarray:
    values = np.clip(values.astype(np.float64), 1e-4, 1 - 1e-4)
    return np.log(values / (1 - values)).astype(np.float32)


def efficient_nms(ties: bool = False) -> Iterator[Case]:
    settings = [
        # anchors, classes, boxes per anchor, attributes
        (40, 3, 1, {"score_threshold": 0.3, "iou_threshold": 0.5, "max_output_boxes": 20, "background_class": -1}),
        (60, 2, 0, {"score_threshold": 0.1, "iou_threshold": 0.4, "max_output_boxes": 10, "background_class": 0}),
        (30, 4, 4, {"score_threshold": 0.2, "iou_threshold": 0.6, "max_output_boxes": 15, "background_class": 2}),
        (50, 3, 0, {"score_threshold": 0.4, "iou_threshold": 0.5, "max_output_boxes": 100, "score_activation": 1}),
        (40, 3, -1, {"score_threshold": 0.25, "iou_threshold": 0.5, "max_output_boxes": 30, "box_coding": 1}),
        (40, 3, -1, {"score_threshold": 0.25, "iou_threshold": 0.3, "max_output_boxes": 30, "score_activation": 1,
                     "box_coding": 1}),
        (30, 2, -1, {"score_threshold": 0.3, "iou_threshold": 0.5, "max_output_boxes": 12, "box_coding": 0}),
    ]  # fmt: skip
    for number, (count, classes, per_anchor, attributes) in enumerate(settings):
        random = np.random.default_rng(number)
        fused = per_anchor == -1
        attributes = {"background_class": -1, "score_activation": 0, "box_coding": 0, **attributes}
        shape = (count, 4) if per_anchor < 1 else (count, per_anchor, 4)
        inputs = {"boxes": (FLOAT, ["N", *shape]), "scores": (FLOAT, ["N", count, classes])}
        if fused:
            inputs["anchors"] = (FLOAT, [1, count, 4])
        limit = attributes["max_output_boxes"]
        outputs = {
            "num": (INT32, ["N", 1]), "rects": (FLOAT, ["N", limit, 4]), "values": (FLOAT, ["N", limit]),
            "labels": (INT32, ["N", limit]),
        }  # fmt: skip
        runs = []
        for run in range(8):
            values = scores(random, run if run < 3 else 0, 2, count, classes, ties=ties)
            if attributes["score_activation"]:
                values = logit(values)
            rects = boxes(random, 2, *shape[:-1], odd=not ties)
            if attributes["box_coding"] and not fused:
                rects = np.concatenate([(rects[..., :2] + rects[..., 2:]) / 2, rects[..., 2:] - rects[..., :2]], -1)
            feeds = [rects, values]
            if fused:
                base = boxes(random, 1, count, odd=False)
                if attributes["box_coding"]:
                    base = np.concatenate([(base[..., :2] + base[..., 2:]) / 2, base[..., 2:] - base[..., :2]], -1)
                feeds = [random.normal(0, 0.2, rects.shape).astype(np.float32), values, base]
            runs.append(feeds)

        def formula(rects: np.ndarray, values: np.ndarray, base: Any = None, options: dict = attributes) -> Arrays:
            return formulas.efficient_nms(rects, values, base, options)

        yield make("EfficientNMS_TRT", number, attributes, inputs, outputs, runs, formula)


def batched_nms(ties: bool = False) -> Iterator[Case]:
    settings = [
        # boxes, classes, shared, attributes
        (60, 3, 1, {"topK": 40, "keepTopK": 20, "scoreThreshold": 0.3, "iouThreshold": 0.5}),
        (60, 3, 1, {"topK": 20, "keepTopK": 20, "scoreThreshold": 0.01, "iouThreshold": 0.4, "clipBoxes": 0}),
        (40, 4, 0, {"topK": 30, "keepTopK": 10, "scoreThreshold": 0.2, "iouThreshold": 0.6, "backgroundLabelId": 0}),
        (80, 1, 1, {"topK": 64, "keepTopK": 50, "scoreThreshold": 0.1, "iouThreshold": 0.5}),
        (50, 2, 1, {"topK": 40, "keepTopK": 20, "scoreThreshold": 0.2, "iouThreshold": 0.4, "isNormalized": 0,
                    "clipBoxes": 0}),
        (50, 2, 1, {"topK": 40, "keepTopK": 20, "scoreThreshold": 0.2, "iouThreshold": 0.4, "isNormalized": 0,
                    "clipBoxes": 0, "caffeSemantics": 0}),
        (30, 20, 1, {"topK": 10, "keepTopK": 8, "scoreThreshold": 0.5, "iouThreshold": 0.3}),
    ]  # fmt: skip
    for number, (count, classes, shared, given) in enumerate(settings):
        random = np.random.default_rng(100 + number)
        attributes = {
            "shareLocation": shared, "numClasses": classes, "backgroundLabelId": -1, "isNormalized": 1, "clipBoxes": 1,
            "scoreBits": 16, **given,
        }  # fmt: skip
        per_box, keep = 1 if shared else classes, attributes["keepTopK"]
        inputs = {"boxes": (FLOAT, ["N", count, per_box, 4]), "scores": (FLOAT, ["N", count, classes])}
        outputs = {
            "num": (INT32, ["N", 1]), "rects": (FLOAT, ["N", keep, 4]), "values": (FLOAT, ["N", keep]),
            "labels": (FLOAT, ["N", keep]),
        }  # fmt: skip
        scale = 1.0 if attributes["isNormalized"] else 60.0
        runs = [
            [
                boxes(random, 2, count, per_box, scale=scale),
                scores(random, run if run < 3 else 0, 2, count, classes, ties=ties),
            ]
            for run in range(8)
        ]
        formula = _with(formulas.batched_nms, attributes)
        yield make("BatchedNMSDynamic_TRT", number, attributes, inputs, outputs, runs, formula)


def _with(formula: Callable[..., Arrays], attributes: dict[str, Any]) -> Callable[..., Arrays]:
    return lambda *arrays: formula(*arrays, attributes)


def ssd_nms(ties: bool = False) -> Iterator[Case]:
    settings = [
        # priors, classes, attributes
        (50, 3, {"codeType": 1}),
        (40, 3, {"codeType": 1, "confSigmoid": 1, "topK": 20, "keepTopK": 20}),
        (40, 4, {"codeType": 1, "shareLocation": 0, "backgroundLabelId": 3, "varianceEncodedInTarget": 1}),
        (40, 3, {"codeType": 0, "nmsThreshold": 0.3}),
        (40, 3, {"codeType": 2, "shareLocation": 0}),
        (40, 3, {"codeType": 3, "isNormalized": 0}),
        (60, 2, {"codeType": 1, "inputOrder": [0, 1, 2], "confidenceThreshold": 0.6}),
    ]
    for number, (count, classes, given) in enumerate(settings):
        random = np.random.default_rng(200 + number)
        attributes = {
            "shareLocation": 1, "varianceEncodedInTarget": 0, "backgroundLabelId": 0, "confidenceThreshold": 0.2,
            "nmsThreshold": 0.5, "topK": 30, "keepTopK": 15, "numClasses": classes, "inputOrder": [1, 2, 0],
            "confSigmoid": 0, "isNormalized": 1, "scoreBits": 16, **given,
        }  # fmt: skip
        per_prior = 1 if attributes["shareLocation"] else classes
        order = attributes["inputOrder"]
        shapes = {"loc": [count * per_prior * 4, 1, 1], "conf": [count * classes, 1, 1], "prior": [2, count * 4, 1]}
        names = sorted(shapes, key=lambda name: order[list(shapes).index(name)])
        inputs = {name: (FLOAT, ["N", *shapes[name]]) for name in names}
        outputs = {"NMS": (FLOAT, ["N", 1, attributes["keepTopK"], 7]), "NMS_1": (FLOAT, ["N", 1, 1, 1])}
        runs = []
        for run in range(8):
            values = scores(random, run if run < 3 else 0, 2, count * classes, 1, 1, ties=ties)
            variances = np.broadcast_to(np.float32([0.1, 0.1, 0.2, 0.2]), (2, count, 4))
            prior = np.stack([boxes(random, 2, count, odd=False), variances], 1).reshape(2, 2, count * 4, 1)
            arrays = {
                "loc": random.normal(0, 0.5, (2, *shapes["loc"])).astype(np.float32),
                "conf": logit(values) if attributes["confSigmoid"] else values,
                "prior": np.ascontiguousarray(prior, np.float32),
            }
            runs.append([arrays[name] for name in names])

        def formula(*given_arrays: np.ndarray, options: dict = attributes) -> Arrays:
            loc, conf, prior = (given_arrays[index] for index in options["inputOrder"])
            return formulas.ssd_nms(loc, conf, prior, options)

        yield make("NMSDynamic_TRT", number, attributes, inputs, outputs, runs, formula)


def proposal() -> Iterator[Case]:
    for number, (before, after, least, sizes, ratios) in enumerate(
        [
            (100, 20, 1.0, [16.0, 32.0], [1.0, 0.5, 2.0]),
            (1000, 60, 1.0, [16.0, 48.0], [1.0, 0.5]),
            (30, 30, 6.0, [8.0, 24.0], [1.0]),
            (60, 10, 20.0, [12.0, 24.0], [1.0, 3.0]),
            (80, 40, 0.0, [64.0], [1.0, 0.25, 4.0]),
        ]
    ):
        random = np.random.default_rng(300 + number)
        attributes = {
            "input_height": 64, "input_width": 96, "rpn_stride": 16, "roi_min_size": least, "nms_iou_threshold": 0.6,
            "pre_nms_top_n": before, "post_nms_top_n": after, "anchor_sizes": sizes, "anchor_ratios": ratios,
        }  # fmt: skip
        count = len(sizes) * len(ratios)
        inputs = {"prob": (FLOAT, ["N", count, 4, 6]), "regr": (FLOAT, ["N", 4 * count, 4, 6])}
        outputs = {"rois": (FLOAT, ["N", after, 4, 1])}
        spread = [0.05, 0.5, 1.5]
        runs = [
            [
                random.random((2, count, 4, 6)).astype(np.float32),
                random.normal(0, spread[run % 3], (2, 4 * count, 4, 6)).astype(np.float32),
            ]
            for run in range(10)
        ]
        before_all = min(before, count * 24)  # the plugin reads past the end when it is asked for more than there are
        attributes["pre_nms_top_n"] = before_all
        yield make("ProposalDynamic", number, attributes, inputs, outputs, runs, _with(formulas.proposal, attributes))


def crop_and_resize() -> Iterator[Case]:
    for number, (high, wide, shape) in enumerate(
        [(3, 4, (5, 9, 7)), (7, 7, (2, 6, 12)), (1, 3, (3, 5, 5)), (2, 1, (1, 8, 4)), (14, 14, (4, 10, 10))]
    ):
        random = np.random.default_rng(400 + number)
        attributes = {"crop_height": high, "crop_width": wide}
        inputs = {"map": (FLOAT, ["N", *shape]), "rois": (FLOAT, ["N", 6, 4, 1])}
        outputs = {"crops": (FLOAT, ["N", 6, shape[0], high, wide])}
        runs = []
        for run in range(10):
            rois = boxes(random, 2, 6, odd=run > 2)
            if run == 0:
                rois[:] = [0, 0, 1, 1]
            if run == 1:
                rois = np.clip(rois, 0, 1)
            runs.append([random.normal(size=(2, *shape)).astype(np.float32), rois[..., None]])
        formula = _with(formulas.crop_and_resize, attributes)
        yield make("CropAndResizeDynamic", number, attributes, inputs, outputs, runs, formula)


def _maps(random: Generator, height: int, width: int, levels: int, channels: int = 3) -> Arrays:
    shapes = [(height // 2**level, width // 2**level) for level in range(2, 2 + levels)]
    return [random.normal(size=(2, channels, *shape)).astype(np.float32) for shape in shapes]


def multilevel_crop() -> Iterator[Case]:
    for number, (pooled, height, width) in enumerate(
        [(7, 256, 320), (2, 512, 512), (14, 128, 448), (3, 960, 128), (1, 64, 64)]
    ):
        random = np.random.default_rng(500 + number)
        attributes = {"pooled_size": pooled, "image_size": [3, height, width]}
        example = _maps(random, height, width, 5)
        inputs = {"rois": (FLOAT, [2, 5, 4])}
        inputs |= {f"P{level + 2}": (FLOAT, list(table.shape)) for level, table in enumerate(example)}
        outputs = {"crops": (FLOAT, [2, 5, 3, pooled, pooled])}
        runs = []
        for _ in range(10):
            rois = np.sort(random.random((2, 5, 2, 2)) ** 2, axis=2) * [height, width]
            rois = rois.reshape(2, 5, 4).astype(np.float32)
            rois[0, 0] = [0, 0, height, width]
            runs.append([rois, *_maps(random, height, width, 5)])

        def formula(rois: np.ndarray, *maps: np.ndarray, options: dict = attributes) -> Arrays:
            return formulas.multilevel_crop(rois, list(maps), options)

        yield make("MultilevelCropAndResize_TRT", number, attributes, inputs, outputs, runs, formula)


def pyramid_roi_align() -> Iterator[Case]:
    settings = [
        {"sampling_ratio": 1, "roi_coords_transform": 2},
        {"sampling_ratio": 2, "roi_coords_transform": 1, "roi_coords_swap": 1},
        {"sampling_ratio": 0, "roi_coords_transform": 2},
        {"sampling_ratio": 0, "roi_coords_transform": 0, "roi_coords_plusone": 1},
        {"sampling_ratio": 3, "roi_coords_absolute": 0, "roi_coords_transform": -1, "fpn_scale": 100},
        {"legacy": 1},
    ]
    height, width, pooled = 128, 192, 4
    for number, given in enumerate(settings):
        random = np.random.default_rng(600 + number)
        attributes = {"pooled_size": pooled, "image_size": [height, width], "fpn_scale": 64, **given}
        example = _maps(random, height, width, 4, 2)
        inputs = {"rois": (FLOAT, [2, 4, 4])}
        inputs |= {f"P{level + 2}": (FLOAT, list(table.shape)) for level, table in enumerate(example)}
        outputs = {"crops": (FLOAT, [2, 4, 2, pooled, pooled])}
        runs = []
        for _ in range(9):
            rois = random.uniform(-0.1, 1.1, (2, 4, 4))
            if not given.get("legacy") and given.get("roi_coords_absolute", 1):
                rois *= [height, width] * 2 if given.get("roi_coords_swap") else [width, height] * 2
            runs.append([rois.astype(np.float32), *_maps(random, height, width, 4, 2)])

        def formula(rois: np.ndarray, *maps: np.ndarray, options: dict = attributes) -> Arrays:
            return formulas.pyramid_roi_align(rois, list(maps), options)

        yield make("PyramidROIAlign_TRT", number, attributes, inputs, outputs, runs, formula)


def generate_detection(batch: int = 2) -> Iterator[Case]:
    for number, (count, classes, keep, threshold) in enumerate(
        [(30, 3, 10, 0.0), (60, 91, 20, 0.0), (20, 2, 30, 0.3), (300, 5, 100, 0.05), (10, 4, 5, 0.9)]
    ):
        random = np.random.default_rng(700 + number)
        attributes = {
            "num_classes": classes, "keep_topk": keep, "score_threshold": threshold, "iou_threshold": 0.5,
            "image_size": [3, 256, 320],
        }  # fmt: skip
        inputs = {
            "deltas": (FLOAT, [batch, count, 4 * classes, 1, 1]), "scores": (FLOAT, [batch, count, classes, 1, 1]),
            "rois": (FLOAT, [batch, count, 4]),
        }  # fmt: skip
        outputs = {"detections": (FLOAT, [batch, keep, 6])}
        runs = []
        for run in range(10):
            values = np.exp(random.normal(0, 1 + run % 4, (batch, count, classes, 1, 1)))
            runs.append(
                [
                    random.normal(0, 0.5, (batch, count, 4 * classes, 1, 1)).astype(np.float32),
                    (values / values.sum(2, keepdims=True)).astype(np.float32),
                    np.clip(boxes(random, batch, count, scale=256.0, odd=False), 0, 255),
                ]
            )
        formula = _with(formulas.generate_detection, attributes)
        yield make("GenerateDetection_TRT", number, attributes, inputs, outputs, runs, formula)


def propose_roi() -> Iterator[Case]:
    for number, (before, keep, threshold) in enumerate([(40, 20, 0.0), (200, 60, 0.0), (10, 30, 0.3), (64, 100, 0.0)]):
        random = np.random.default_rng(800 + number)
        height, width = 64, 128
        attributes = {
            "prenms_topk": before, "keep_topk": keep, "fg_threshold": threshold, "iou_threshold": 0.5,
            "image_size": [3, height, width],
        }  # fmt: skip
        counts = [3 * (height // 2**level) * (width // 2**level) for level in range(2, 7)]
        inputs = {}
        for level, count in enumerate(counts, start=2):
            inputs[f"delta{level}"] = (FLOAT, [1, count, 4, 1])
            inputs[f"score{level}"] = (FLOAT, [1, count, 1, 1])
        outputs = {"rois": (FLOAT, [1, keep, 4])}
        runs = []
        for _ in range(13):
            run = []
            for count in counts:
                run.append(random.normal(0, 0.4, (1, count, 4, 1)).astype(np.float32))
                # distinct in steps of 2^-20: float32 of score + 1 keeps them apart
                values = random.choice(1 << 20, count, replace=False) / (1 << 20)
                run.append(values.astype(np.float32).reshape(1, count, 1, 1))
            runs.append(run)

        def formula(*arrays: np.ndarray, options: dict = attributes) -> Arrays:
            return formulas.propose_roi(list(zip(arrays[::2], arrays[1::2], strict=True)), options)

        yield make("MultilevelProposeROI_TRT", number, attributes, inputs, outputs, runs, formula)


def deform_conv() -> Iterator[Case]:
    settings = [
        # channels, filters, kernel, stride, padding, dilation, group, deformable groups, bias, size
        (4, 3, 3, 1, 1, 1, 1, 1, False, (6, 5)),
        (4, 4, 3, 2, 1, 1, 1, 2, True, (7, 8)),
        (6, 4, 1, 1, 0, 1, 2, 3, False, (4, 4)),
        (2, 3, 3, 1, 2, 2, 1, 1, True, (6, 6)),
        (4, 2, 2, 2, 0, 1, 2, 1, False, (6, 6)),
    ]
    for number, (channels, filters, side, stride, padding, dilation, group, deform, bias, size) in enumerate(settings):
        random = np.random.default_rng(900 + number)
        out = [(extent + 2 * padding - dilation * (side - 1) - 1) // stride + 1 for extent in size]
        attributes = {
            "stride": [stride] * 2, "padding": [padding] * 2, "dilation": [dilation] * 2, "group": group,
            "deformable_group": deform,
        }  # fmt: skip
        taps = side * side
        inputs = {
            "x": (FLOAT, ["N", channels, *size]), "offset": (FLOAT, ["N", 2 * deform * taps, *out]),
            "mask": (FLOAT, ["N", deform * taps, *out]), "weight": (FLOAT, [filters, channels // group, side, side]),
        }  # fmt: skip
        if bias:
            inputs["bias"] = (FLOAT, [filters])
        runs = []
        for run in range(10):
            spread = [0.0, 0.7, 4.0][run % 3]
            arrays = [
                random.normal(size=(2, channels, *size)),
                random.normal(0, spread, (2, 2 * deform * taps, *out)),
                random.random((2, deform * taps, *out)),
                random.normal(size=(filters, channels // group, side, side)),
            ]
            if bias:
                arrays.append(random.normal(size=filters))
            runs.append([array.astype(np.float32) for array in arrays])

        def formula(*arrays: np.ndarray, options: dict = attributes) -> Arrays:
            return formulas.deform_conv(*arrays[:4], arrays[4] if len(arrays) == 5 else None, options)

        outputs = {"y": (FLOAT, ["N", filters, *out])}
        yield make("ModulatedDeformConv2d", number, attributes, inputs, outputs, runs, formula)


def voxel_generator(crowded: bool = True) -> Iterator[Case]:
    """With `crowded`, more points and pillars than room: which of them stay is not defined in the plugin."""
    settings = [
        # points, values, pillars, points per pillar, range, size
        (60, 4, 40, 8, [0, -4, -1, 8, 4, 3], [2.0, 2.0, 4.0]),
        (200, 4, 12, 4, [-5, -5, -2, 5, 5, 2], [1.0, 2.5, 4.0]),
        (40, 5, 30, 32, [0, 0, 0, 6, 3, 1], [1.5, 1.0, 1.0]),
        (100, 4, 64, 16, [0.0, -3.2, -3, 6.4, 3.2, 1], [0.8, 0.8, 4.0]),
        (8, 4, 4, 2, [0, 0, 0, 2, 2, 2], [1.0, 1.0, 2.0]),
    ]
    for number, (count, values, pillars, room, limits, size) in enumerate(settings):
        if not crowded:
            pillars, room = 200, 64
            if values == 5:  # the plugin misplaces a feature then
                continue
        random = np.random.default_rng(1000 + number)
        attributes = {
            "max_voxels": pillars, "max_num_points_per_voxel": room, "voxel_feature_num": values + 6,
            "point_cloud_range": [float(v) for v in limits], "voxel_size": size,
        }  # fmt: skip
        inputs = {"points": (FLOAT, ["N", count, values]), "num_points": (INT32, ["N"])}
        outputs = {
            "voxels": (FLOAT, ["N", pillars, room, values + 6]), "coords": (INT32, ["N", pillars, 4]),
            "num": (INT32, ["N"]),
        }  # fmt: skip
        runs = []
        low, high = np.array(limits[:3]), np.array(limits[3:])
        for run in range(13):
            points = random.random((2, count, values))
            points[..., :3] = low + (points[..., :3] * 1.2 - 0.1) * (high - low)
            number_of = [(0, count), (count, count), (count // 2, 1)][run] if run < 3 else random.integers(1, count, 2)
            if run == 3:
                points[..., :3] = low  # on the lower edge: inside
            if run == 4:
                points[..., :3] = high  # on the upper edge: outside
            runs.append([points.astype(np.float32), np.array(number_of, np.int32)])
        formula = _with(formulas.voxels, attributes)
        yield make("VoxelGeneratorPlugin", number, attributes, inputs, outputs, runs, formula)


def pillar_scatter(channels: int = 6) -> Iterator[Case]:
    for number, (count, height, width) in enumerate([(10, 4, 5), (20, 5, 4), (6, 1, 6), (30, 8, 8), (100, 16, 12)]):
        random = np.random.default_rng(1100 + number)
        attributes = {"dense_shape": [height, width]}
        inputs = {
            "features": (FLOAT, ["N", count, channels]), "coords": (INT32, ["N", count, 4]), "num": (INT32, ["N"]),
        }  # fmt: skip
        outputs = {"map": (FLOAT, ["N", channels, height, width])}
        runs = []
        for run in range(10):
            places = np.zeros((2, count, 4), np.int32)
            for n in range(2):
                cells = random.permutation(height * width)[:count]
                places[n, : len(cells), 2], places[n, : len(cells), 3] = cells // width, cells % width
            most = min(count, height * width)
            filled = [(1, most), (most, most)][run] if run < 2 else random.integers(1, most + 1, 2)
            features = random.normal(size=(2, count, channels)).astype(np.float32)
            runs.append([features, places, np.array(filled, np.int32)])
        yield make(
            "PillarScatterPlugin", number, attributes, inputs, outputs, runs, _with(formulas.scatter, attributes)
        )


def decode_3d() -> Iterator[Case]:
    for number, (classes, height, width, threshold, bins) in enumerate(
        [(3, 4, 5, 0.3, 2), (1, 6, 4, 0.5, 2), (2, 3, 3, 0.1, 2), (3, 2, 6, 0.99, 2), (2, 5, 5, 0.6, 4)]
    ):
        random = np.random.default_rng(1200 + number)
        anchors = [[*random.uniform(0.5, 4, 3).round(2), turn] for _ in range(classes) for turn in (0.0, 1.57)]
        attributes = {
            "point_cloud_range": [0.0, -39.68, -3.0, 69.12, 39.68, 1.0],
            "anchors": [float(v) for row in anchors for v in row],
            "anchor_bottom_height": [float(v) for v in random.uniform(-2, 0, classes).round(2)],
            "num_dir_bins": bins, "dir_offset": 0.78539, "dir_limit_offset": 0.0, "score_thresh": threshold,
        }  # fmt: skip
        per_cell = 2 * classes
        inputs = {
            "cls": (FLOAT, ["N", height, width, per_cell * classes]),
            "box": (FLOAT, ["N", height, width, per_cell * 7]),
            "dir": (FLOAT, ["N", height, width, per_cell * 2]),
        }  # fmt: skip
        outputs = {"boxes": (FLOAT, ["N", height * width * per_cell, 9]), "num": (INT32, ["N"])}
        runs = []
        for run in range(10):
            shift = [0, -20, 4][run] if run < 3 else 0
            runs.append(
                [
                    (random.normal(shift, 1.5, (2, height, width, per_cell * classes))).astype(np.float32),
                    random.normal(0, 0.7, (2, height, width, per_cell * 7)).astype(np.float32),
                    random.normal(size=(2, height, width, per_cell * 2)).astype(np.float32),
                ]
            )
        yield make(
            "DecodeBbox3DPlugin", number, attributes, inputs, outputs, runs, _with(formulas.decode_3d, attributes)
        )


def resize_nearest() -> Iterator[Case]:
    for number, (scale, size) in enumerate([(2.0, (3, 5)), (3.0, (4, 2)), (1.5, (5, 7)), (0.5, (9, 8)), (2.3, (6, 6))]):
        random = np.random.default_rng(1300 + number)
        attributes = {"scale": scale}
        out = [int(np.float32(extent) * np.float32(scale)) for extent in size]
        inputs = {"x": (FLOAT, [2, 3, *size])}
        outputs = {"y": (FLOAT, [2, 3, *out])}
        runs = [[random.normal(size=(2, 3, *size)).astype(np.float32)] for _ in range(10)]
        formula = _with(formulas.resize_nearest, attributes)
        yield make("ResizeNearest_TRT", number, attributes, inputs, outputs, runs, formula)


def instance_normalization() -> Iterator[Case]:
    for number, (channels, size, relu, alpha) in enumerate(
        [(3, (5, 6), 0, 0.0), (1, (8, 8), 0, 0.0), (6, (4, 3), 1, 0.0), (2, (7, 7), 1, 0.2), (4, (16, 2), 0, 0.0)]
    ):
        random = np.random.default_rng(1400 + number)
        attributes = {
            "epsilon": [1e-5, 1e-3][number % 2], "scales": [float(v) for v in random.normal(1, 0.3, channels)],
            "bias": [float(v) for v in random.normal(size=channels)], "relu": relu, "alpha": alpha,
        }  # fmt: skip
        inputs = {"x": (FLOAT, ["N", channels, *size])}
        outputs = {"y": (FLOAT, ["N", channels, *size])}
        runs = [[(random.normal(size=(2, channels, *size)) * 3 + 1).astype(np.float32)] for _ in range(10)]
        formula = _with(formulas.instance_norm, attributes)
        yield make("InstanceNormalization_TRT", number, attributes, inputs, outputs, runs, formula)


ALL: dict[str, Callable[[], Iterator[Case]]] = {
    "EfficientNMS_TRT": efficient_nms,
    "BatchedNMSDynamic_TRT": batched_nms,
    "NMSDynamic_TRT": ssd_nms,
    "ProposalDynamic": proposal,
    "CropAndResizeDynamic": crop_and_resize,
    "MultilevelCropAndResize_TRT": multilevel_crop,
    "PyramidROIAlign_TRT": pyramid_roi_align,
    "GenerateDetection_TRT": generate_detection,
    "MultilevelProposeROI_TRT": propose_roi,
    "ModulatedDeformConv2d": deform_conv,
    "VoxelGeneratorPlugin": voxel_generator,
    "PillarScatterPlugin": pillar_scatter,
    "DecodeBbox3DPlugin": decode_3d,
    "ResizeNearest_TRT": resize_nearest,
    "InstanceNormalization_TRT": instance_normalization,
}


LARGE = (
    "EfficientNMS_TRT",
    "BatchedNMSDynamic_TRT",
    "ProposalDynamic",
    "MultilevelProposeROI_TRT",
    "VoxelGeneratorPlugin",
)
"""Operators whose real sizes matter to a compiler."""


def large(op: str) -> onnx.ModelProto:
    """A node of the size that EfficientDet-D0, YOLO, Faster R-CNN, Mask R-CNN or PointPillars has."""
    if op == "EfficientNMS_TRT":
        attributes = {"score_threshold": 0.01, "iou_threshold": 0.5, "max_output_boxes": 100, "score_activation": 1}
        inputs = {"boxes": (FLOAT, ["N", 49104, 4]), "scores": (FLOAT, ["N", 49104, 90])}
        outputs = {
            "num": (INT32, ["N", 1]), "rects": (FLOAT, ["N", 100, 4]), "values": (FLOAT, ["N", 100]),
            "labels": (INT32, ["N", 100]),
        }  # fmt: skip
    elif op == "BatchedNMSDynamic_TRT":
        attributes = {"topK": 400, "keepTopK": 200, "scoreThreshold": 0.01, "iouThreshold": 0.5, "numClasses": 80}
        inputs = {"boxes": (FLOAT, ["N", 22743, 1, 4]), "scores": (FLOAT, ["N", 22743, 80])}
        outputs = {
            "num": (INT32, ["N", 1]), "rects": (FLOAT, ["N", 200, 4]), "values": (FLOAT, ["N", 200]),
            "labels": (FLOAT, ["N", 200]),
        }  # fmt: skip
    elif op == "ProposalDynamic":
        attributes = {
            "input_height": 384, "input_width": 1248, "rpn_stride": 16, "roi_min_size": 1.0, "nms_iou_threshold": 0.7,
            "pre_nms_top_n": 12000, "post_nms_top_n": 300, "anchor_sizes": [64.0, 128.0, 256.0],
            "anchor_ratios": [1.0, 0.5, 2.0],
        }  # fmt: skip
        inputs = {"prob": (FLOAT, ["N", 9, 24, 78]), "regr": (FLOAT, ["N", 36, 24, 78])}
        outputs = {"rois": (FLOAT, ["N", 300, 4, 1])}
    elif op == "MultilevelProposeROI_TRT":
        attributes = {
            "prenms_topk": 4096, "keep_topk": 1000, "fg_threshold": 0.0, "iou_threshold": 0.7,
            "image_size": [3, 832, 1344],
        }  # fmt: skip
        inputs = {}
        for level in range(2, 7):
            count = 3 * (832 // 2**level) * (1344 // 2**level)
            inputs |= {f"delta{level}": (FLOAT, [1, count, 4, 1]), f"score{level}": (FLOAT, [1, count, 1, 1])}
        outputs = {"rois": (FLOAT, [1, 1000, 4])}
    else:
        attributes = {
            "max_voxels": 10000, "max_num_points_per_voxel": 32, "voxel_feature_num": 10,
            "point_cloud_range": [0.0, -39.68, -3.0, 69.12, 39.68, 1.0], "voxel_size": [0.16, 0.16, 4.0],
        }  # fmt: skip
        inputs = {"points": (FLOAT, ["N", 25000, 4]), "num_points": (INT32, ["N"])}
        outputs = {
            "voxels": (FLOAT, ["N", 10000, 32, 10]), "coords": (INT32, ["N", 10000, 4]), "num": (INT32, ["N"]),
        }  # fmt: skip
    return one_node(op, attributes, inputs, outputs)
