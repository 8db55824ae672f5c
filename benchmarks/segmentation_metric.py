# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""What class maps and their confusion matrix cost, as a share of reading the pictures, and against scikit-learn.

    python benchmarks/segmentation_metric.py [--side 1024] [--network 256] [--pairs 40] [--classes 2]

Reads pairs of JPEG pictures and PNG masks as visual_changenet does, one thread; then decodes logits to maps at the
pictures' size and counts. CPU time, so that other work does not count. No engine runs: its time would only make the
share smaller.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.metrics import confusion_matrix

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from nvidia_tao_deploy.data.change_lists import ChangeFolders, ChangeSample
from nvidia_tao_deploy.data.masks import MaskReader
from nvidia_tao_deploy.decode.segmentation import DecodeSegmentation
from nvidia_tao_deploy.metrics.segmentation import SegmentationMetric
from nvidia_tao_deploy.transforms.change import ChangePrepare
from nvidia_tao_deploy.transforms.masks import TargetMasks
from nvidia_tao_deploy.transforms.picture import Normalise


def write_pairs(root: Path, side: int, classes: int, count: int) -> list[ChangeSample]:
    """Pictures with the detail of photographs, masks with regions."""
    random = np.random.default_rng(0)
    for part in ("A", "B", "label", "list"):
        (root / part).mkdir()
    for index in range(count):
        for part in ("A", "B"):
            coarse = Image.fromarray(random.integers(0, 256, (side // 8, side // 8, 3), np.uint8))
            coarse.resize((side, side), Image.Resampling.BICUBIC).save(root / part / f"{index}.jpg", quality=90)
        regions = Image.fromarray(random.integers(0, classes, (side // 64, side // 64), np.uint8))
        regions.resize((side, side), Image.Resampling.NEAREST).save(root / "label" / f"{index}.png")
    (root / "list/test.txt").write_text("".join(f"{index}.jpg\n" for index in range(count)), encoding="utf-8")
    return ChangeFolders(root).samples("test", labelled=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=1024, help="of the pictures")
    parser.add_argument("--network", type=int, default=256, help="side of the network's maps")
    parser.add_argument("--pairs", type=int, default=40)
    parser.add_argument("--classes", type=int, default=2)
    args = parser.parse_args()
    normalise = Normalise((0.5,) * 3, (0.5,) * 3)
    shape = (3, args.network, args.network)
    prepare = ChangePrepare(("a", "b"), shape, normalise, masks=TargetMasks(MaskReader(args.classes)))
    decode, metric = DecodeSegmentation("o"), SegmentationMetric(tuple(map(str, range(args.classes))))
    scores = np.random.default_rng(1).normal(size=(1, args.classes, *shape[1:])).astype(np.float32)
    reading = ours = theirs = 0.0
    total = np.zeros((args.classes, args.classes), int)
    with tempfile.TemporaryDirectory() as folder:
        for sample in write_pairs(Path(folder), args.side, args.classes, args.pairs):
            start = time.process_time()
            _, frame = prepare.single(sample)
            read = time.process_time()
            (prediction,) = decode({"o": scores}, [frame])
            metric.update(frame, prediction)
            done = time.process_time()
            total += confusion_matrix(
                frame.sample.target.ravel(), prediction.classes.ravel(), labels=range(args.classes)
            )
            reading, ours, theirs = reading + read - start, ours + done - read, theirs + time.process_time() - done
    assert np.array_equal(total, metric.confusion)
    print(f"{args.pairs} pairs of {args.side} x {args.side}, {args.classes} classes")
    print(f"  reading                {1e3 * reading / args.pairs:7.1f} ms a pair")
    print(f"  maps and their counts  {1e3 * ours / args.pairs:7.1f} ms, {ours / reading:.3f} of reading")
    print(f"  scikit-learn's counts  {1e3 * theirs / args.pairs:7.1f} ms, {theirs / ours:.1f} times ours")


if __name__ == "__main__":
    main()
