# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Share of decoding and the COCO metric in the wall time of `evaluate`, and the metric against faster-coco-eval.

    python examples/prepare.py demo --only detector
    python benchmarks/detection_metric.py demo [--pictures 5000] [--select 300] [--batch 8]

The example detector runs on ONNX Runtime over its composites, listed as often as it takes. The time spent in decode,
update and compute is added up inside that run. Then both metrics score the same detections in the same process.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from nvidia_tao_deploy.data.coco import read_coco
from nvidia_tao_deploy.decode.detr import DetrDecode
from nvidia_tao_deploy.engine.backends import load_engine
from nvidia_tao_deploy.errors import EngineError
from nvidia_tao_deploy.metrics.coco import CocoMetric
from nvidia_tao_deploy.networks import detr
from nvidia_tao_deploy.pipeline.run import Pipeline


class Timed:
    """Calls a function and adds up the time."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function, self.seconds = function, 0.0

    def __call__(self, *arguments: Any) -> Any:
        start = time.perf_counter()
        try:
            return self.function(*arguments)
        finally:
            self.seconds += time.perf_counter() - start


def main() -> int:
    """Print the ratios; 0 when the share is at most --most."""
    arguments = parse()
    with tempfile.TemporaryDirectory() as folder:
        annotations = repeated(arguments.demo / "data/detector/annotations.json", arguments.pictures, Path(folder))
        metric, wall, ours, compute = evaluate(arguments, annotations)
        share = ours / wall
        print(f"{arguments.pictures} pictures x {arguments.select} detections, batch {arguments.batch}")
        print(f"evaluate {wall:.1f} s, of it decode and metric {ours:.2f} s")
        print(f"share {share:.3f} (asked for: at most {arguments.most:.2f})")
        theirs, difference = faster_coco_eval(annotations, metric)
        print(f"metric alone {compute:.2f} s, faster-coco-eval {theirs:.2f} s: {theirs / compute:.1f} times as long")
        print(f"largest difference between their twelve figures: {difference:.1e}")
    return 0 if share <= arguments.most else 1


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("demo", type=Path, help="folder that examples/prepare.py filled")
    parser.add_argument("--pictures", type=int, default=5000)
    parser.add_argument("--select", type=int, default=300, help="detections per picture")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--most", type=float, default=0.10, help="exit code 1 when the share is larger")
    return parser.parse_args()


def repeated(source: Path, count: int, folder: Path) -> Path:
    """The annotation file with its pictures listed again and again until there are `count`."""
    whole = json.loads(source.read_text(encoding="utf-8"))
    images, boxes = [], []
    by_image: dict[int, list[dict[str, Any]]] = {}
    for box in whole["annotations"]:
        by_image.setdefault(box["image_id"], []).append(box)
    for number in range(count):
        image = whole["images"][number % len(whole["images"])]
        images.append({**image, "id": number + 1})
        for box in by_image.get(image["id"], []):
            kept = {key: value for key, value in box.items() if key != "segmentation"}
            boxes.append({**kept, "id": len(boxes) + 1, "image_id": number + 1})
    path = folder / "annotations.json"
    path.write_text(json.dumps({**whole, "images": images, "annotations": boxes}), encoding="utf-8")
    return path


def evaluate(arguments: argparse.Namespace, annotations: Path) -> tuple[CocoMetric, float, float, float]:
    """(metric, wall time, time in decode and metric, time in compute), in seconds."""
    spec = detr.NETWORKS["dino"].schema()
    model = arguments.demo / "models/detector_gridsample.onnx"
    with load_engine(model, 0, "model") as engine:
        binding = detr.signature(spec).bind(engine.inputs, engine.outputs, model, EngineError)
        prepare = detr.NETWORKS["dino"].prepare(spec, binding, "evaluate")
        start = time.perf_counter()
        truth = read_coco(annotations)
        samples = truth.samples([str(arguments.demo / "data/detector/images")])
        metric = CocoMetric(truth, np.arange(11))
        decode, update = Timed(DetrDecode(arguments.select)), Timed(metric.update)
        with Pipeline(engine, binding, prepare, decode, arguments.batch) as running:
            for batch in running.run(samples):
                for frame, prediction in batch:
                    update(frame, prediction)
        compute = Timed(metric.compute)
        compute()
        wall = time.perf_counter() - start
    return metric, wall, decode.seconds + update.seconds + compute.seconds, compute.seconds


def faster_coco_eval(annotations: Path, metric: CocoMetric) -> tuple[float, float]:
    """(seconds, largest difference of the twelve figures)."""
    from faster_coco_eval import COCO, COCOeval_faster

    detected = metric._detected()
    ids = np.sort(np.asarray(metric._truth.image_ids))
    categories = np.asarray(metric._truth.category_ids)
    rows = np.column_stack([ids[detected.image], detected.xywh, detected.score, categories[detected.category]])
    truth = COCO(str(annotations))
    start = time.perf_counter()
    judge = COCOeval_faster(truth, truth.loadRes(rows), "bbox", print_function=lambda *_: None)
    judge.evaluate()
    judge.accumulate()
    judge.summarize()
    seconds = time.perf_counter() - start
    ours = np.array(list(metric.compute().results.values()))
    return seconds, float(np.abs(judge.stats - ours).max())


if __name__ == "__main__":
    sys.exit(main())
