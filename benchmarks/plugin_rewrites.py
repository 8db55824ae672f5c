# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""How long the replacements of TensorRT's plugins take on ONNX Runtime, and why suppression is a loop.

    python benchmarks/plugin_rewrites.py [--json FILE]

For each network's real sizes: milliseconds per picture of the replaced node, and, for those with suppression, the ratio
to the same node written with ONNX's NonMaxSuppression (TopK by class, NonMaxSuppression, TopK over what is kept). Ratio
below 1: the loop is faster. Inputs: "dense" has every candidate above the threshold, "sparse" one in a hundred, as a
trained network gives. Both are medians of one run, in turn, in CPU time on one thread, so that other work on the
machine does not count.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from nvidia_tao_deploy.graph import plugins

FLOAT, INT32, INT64 = TensorProto.FLOAT, TensorProto.INT32, TensorProto.INT64
Feeds = dict[str, np.ndarray]


def plugin(op: str, attributes: dict, inputs: dict[str, tuple], outputs: dict[str, tuple]) -> onnx.ModelProto:
    """A model of one plugin node."""
    declare = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node(op, list(inputs), list(outputs), name="plugin", **attributes)],
        "plugin",
        [declare(name, *what) for name, what in inputs.items()],
        [declare(name, *what) for name, what in outputs.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def with_standard_operator(count: int, classes: int, limit: int, keep: int, overlap: float) -> onnx.ModelProto:
    """BatchedNMS by TopK, NonMaxSuppression and TopK, for one picture."""
    declare, node = helper.make_tensor_value_info, helper.make_node
    rows = min(limit, count)

    def number(name: str, value: object, dtype: type = np.int64) -> onnx.TensorProto:
        return numpy_helper.from_array(np.asarray(value, dtype), name)

    nodes = [
        node("Transpose", ["scores"], ["by_class"], perm=[0, 2, 1]),
        node("Reshape", ["by_class", "shape_scores"], ["table"]),
        node("TopK", ["table", "rows"], ["top", "index"], axis=1),
        node("Reshape", ["boxes", "shape_boxes"], ["rects"]),
        node("Gather", ["rects", "index"], ["chosen"], axis=0),
        node("Reshape", ["top", "shape_top"], ["top3"]),
        node("NonMaxSuppression", ["chosen", "top3", "keep", "overlap", "threshold"], ["selected"]),
        node("Gather", ["selected", "columns"], ["places"], axis=1),
        node("GatherND", ["top", "places"], ["kept"]),
        node("Shape", ["kept"], ["found"]),
        node("Min", ["found", "keep"], ["final"]),
        node("TopK", ["kept", "final"], ["values", "order"], axis=0),
        node("Gather", ["places", "order"], ["where"], axis=0),
        node("GatherND", ["chosen", "where"], ["results"]),
    ]
    graph = helper.make_graph(
        nodes,
        "standard",
        [declare("boxes", FLOAT, [1, count, 1, 4]), declare("scores", FLOAT, [1, count, classes])],
        [declare("values", FLOAT, ["n"]), declare("results", FLOAT, ["n", 4])],
        [
            number("shape_scores", [classes, count]), number("rows", [rows]), number("shape_boxes", [count, 4]),
            number("shape_top", [classes, 1, rows]), number("keep", [keep]), number("overlap", [overlap], np.float32),
            number("threshold", [0.01], np.float32), number("columns", [0, 2]),
        ],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    """A session of the model with its plugins replaced, on one thread."""
    standard, _ = plugins.rewrite(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(standard.SerializeToString(), options, providers=["CPUExecutionProvider"])


def milliseconds(runs: list[Callable[[], object]], turns: int) -> list[float]:
    """Medians of several things run in turn."""
    for run in runs:
        run()
    times: list[list[float]] = [[] for _ in runs]
    for _ in range(turns):
        for run, taken in zip(runs, times, strict=True):
            start = time.process_time()
            run()
            taken.append(1e3 * (time.process_time() - start))
    return [statistics.median(taken) for taken in times]


def rects(random: np.random.Generator, count: int) -> np.ndarray:
    """Boxes around 60 objects."""
    centres = random.random((60, 2))[random.integers(0, 60, count)] + random.normal(0, 0.02, (count, 2))
    half = random.uniform(0.02, 0.1, (count, 2))
    return np.concatenate([centres - half, centres + half], 1).astype(np.float32)


def batched(name: str, count: int, classes: int, keep: int, sparse: bool, turns: int) -> dict[str, object]:
    """BatchedNMSDynamic_TRT with topK = 2 * keepTopK, as the exporters set it."""
    random = np.random.default_rng(0)
    attributes = {
        "shareLocation": 1, "numClasses": classes, "backgroundLabelId": -1, "topK": 2 * keep, "keepTopK": keep,
        "scoreThreshold": 0.01, "iouThreshold": 0.5,
    }  # fmt: skip
    model = plugin(
        "BatchedNMSDynamic_TRT",
        attributes,
        {"boxes": (FLOAT, ["N", count, 1, 4]), "scores": (FLOAT, ["N", count, classes])},
        {
            "num": (INT32, ["N", 1]), "rects": (FLOAT, ["N", keep, 4]), "values": (FLOAT, ["N", keep]),
            "labels": (FLOAT, ["N", keep]),
        },
    )  # fmt: skip
    scores = random.uniform(0.02, 1, (1, count, classes)).astype(np.float32)
    if sparse:
        scores[random.random(scores.shape) > 0.01 / classes] = 0.001
    feeds = {"boxes": rects(random, count).reshape(1, count, 1, 4), "scores": scores}
    ours, theirs = session(model), session(with_standard_operator(count, classes, 2 * keep, keep, 0.5))
    a, b = milliseconds([lambda: ours.run(None, feeds), lambda: theirs.run(None, feeds)], turns)
    return {"case": name + (", sparse" if sparse else ", dense"), "ms": round(a, 2), "ratio": round(a / b, 2)}


def single(name: str, model: onnx.ModelProto, feeds: Feeds, turns: int) -> dict[str, object]:
    """A node without a counterpart."""
    ours = session(model)
    return {"case": name, "ms": round(milliseconds([lambda: ours.run(None, feeds)], turns)[0], 2)}


def efficient_det(turns: int, level: int, count: int) -> dict[str, object]:
    random = np.random.default_rng(1)
    attributes = {
        "score_threshold": 0.01, "iou_threshold": 0.5, "max_output_boxes": 100, "background_class": -1,
        "score_activation": 1, "box_coding": 1,
    }  # fmt: skip
    model = plugin(
        "EfficientNMS_TRT",
        attributes,
        {"boxes": (FLOAT, ["N", count, 4]), "scores": (FLOAT, ["N", count, 90]), "anchors": (FLOAT, [1, count, 4])},
        {
            "num": (INT32, ["N", 1]), "rects": (FLOAT, ["N", 100, 4]), "values": (FLOAT, ["N", 100]),
            "labels": (INT32, ["N", 100]),
        },
    )  # fmt: skip
    corners = rects(random, count)
    anchors = np.concatenate([(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], 1)[None]
    feeds = {
        "boxes": random.normal(0, 0.1, (1, count, 4)).astype(np.float32),
        "scores": random.normal(-5, 1.5, (1, count, 90)).astype(np.float32),
        "anchors": anchors,
    }
    return single(f"EfficientDet-D{level}, {count} x 90", model, feeds, turns)


def proposals(turns: int) -> dict[str, object]:
    random = np.random.default_rng(2)
    attributes = {
        "input_height": 384, "input_width": 1248, "rpn_stride": 16, "roi_min_size": 1.0, "nms_iou_threshold": 0.7,
        "pre_nms_top_n": 6000, "post_nms_top_n": 300, "anchor_sizes": [64.0, 128.0, 256.0],
        "anchor_ratios": [1.0, 0.5, 2.0],
    }  # fmt: skip
    model = plugin(
        "ProposalDynamic",
        attributes,
        {"prob": (FLOAT, ["N", 9, 24, 78]), "regr": (FLOAT, ["N", 36, 24, 78])},
        {"rois": (FLOAT, ["N", 300, 4, 1])},
    )
    feeds = {
        "prob": random.random((1, 9, 24, 78)).astype(np.float32),
        "regr": random.normal(0, 0.2, (1, 36, 24, 78)).astype(np.float32),
    }
    return single("Faster R-CNN proposals, 16848, 6000, 300", model, feeds, turns)


def crops(turns: int) -> dict[str, object]:
    random = np.random.default_rng(3)
    model = plugin(
        "CropAndResizeDynamic",
        {"crop_height": 14, "crop_width": 14},
        {"map": (FLOAT, ["N", 512, 24, 78]), "rois": (FLOAT, ["N", 300, 4, 1])},
        {"crops": (FLOAT, ["N", 300, 512, 14, 14])},
    )
    feeds = {
        "map": random.random((1, 512, 24, 78)).astype(np.float32),
        "rois": np.clip(rects(random, 300), 0, 1).reshape(1, 300, 4, 1),
    }
    return single("Faster R-CNN crops, 300 x 512 x 14 x 14", model, feeds, turns)


def pyramid_crops(turns: int) -> dict[str, object]:
    random = np.random.default_rng(4)
    height, width = 832, 1344
    maps = {f"P{k}": (FLOAT, [1, 256, height // 2**k, width // 2**k]) for k in range(2, 7)}
    model = plugin(
        "MultilevelCropAndResize_TRT",
        {"pooled_size": 7, "image_size": [3, height, width]},
        {"rois": (FLOAT, [1, 1000, 4]), **maps},
        {"crops": (FLOAT, [1, 1000, 256, 7, 7])},
    )
    rois = np.clip(rects(random, 1000), 0, 1)[:, [1, 0, 3, 2]] * [height, width, height, width]
    feeds = {name: random.random(what[1]).astype(np.float32) for name, what in maps.items()}
    feeds["rois"] = rois[None].astype(np.float32)
    return single("Mask R-CNN crops, 1000 x 256 x 7 x 7", model, feeds, turns)


def pillars(turns: int, count: int) -> dict[str, object]:
    random = np.random.default_rng(5)
    attributes = {
        "max_voxels": 10000, "max_num_points_per_voxel": 32, "voxel_feature_num": 10,
        "point_cloud_range": [0.0, -39.68, -3.0, 69.12, 39.68, 1.0], "voxel_size": [0.16, 0.16, 4.0],
    }  # fmt: skip
    model = plugin(
        "VoxelGeneratorPlugin",
        attributes,
        {"points": (FLOAT, ["N", count, 4]), "num": (INT32, ["N"])},
        {"voxels": (FLOAT, ["N", 10000, 32, 10]), "coords": (INT32, ["N", 10000, 4]), "pillars": (INT32, ["N"])},
    )
    distance, angle = random.exponential(15, count), random.uniform(-0.7, 0.7, count)
    points = np.stack([distance * np.cos(angle), distance * np.sin(angle), random.uniform(-2, 0, count)], 1)
    points = np.concatenate([points, random.random((count, 1))], 1).astype(np.float32)[None]
    return single(f"PointPillars voxels, {count} points", model, {"points": points, "num": np.int32([count])}, turns)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the table there too")
    parser.add_argument("--turns", type=int, default=7, help="measurements of each case (default: %(default)s)")
    options = parser.parse_args()
    turns, table = options.turns, []
    for name, count, classes in (
        ("SSD300 MobileNet, 1917 x 91", 1917, 91),
        ("SSD300, 8732 x 91", 8732, 91),
        ("YOLO v4 416, 10647 x 80", 10647, 80),
        ("YOLO v4 608, 22743 x 80", 22743, 80),
        ("YOLO v4 KITTI 1248x384, 29484 x 4", 29484, 4),
    ):
        table += [batched(name, count, classes, 200, sparse, turns) for sparse in (False, True)]
    table.append(efficient_det(turns, 0, 49104))
    table += [proposals(turns), crops(turns), pyramid_crops(turns), pillars(turns, 25000), pillars(turns, 204800)]
    for row in table:
        ratio = f"  x {row['ratio']:.2f} of NonMaxSuppression" if "ratio" in row else ""
        print(f"{row['case']:<48} {row['ms']:>9.2f} ms{ratio}")
    if options.json:
        options.json.write_text(json.dumps(table, indent=2) + "\n")


if __name__ == "__main__":
    main()
