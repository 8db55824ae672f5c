# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Time of softmax, top-k accuracy, confusion matrix and figures per class, against scikit-learn with the same result.

    python benchmarks/classification_metric.py [--pictures 10000] [--classes 1000] [--batch 32]

Ours takes logits batch by batch and pictures one by one, as `evaluate` hands them over; scikit-learn gets the finished
probabilities of all pictures at once. Both in turns in one process. Drawing the matrix is left out.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support, top_k_accuracy_score

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.timing import fastest
from nvidia_tao_deploy.decode.classes import DecodeClasses, softmax
from nvidia_tao_deploy.metrics import classification
from nvidia_tao_deploy.metrics.classification import TopK
from nvidia_tao_deploy.network import Frame, Report, Sample
from nvidia_tao_deploy.transforms.geometry import Geometry

K = (1, 5)


def ours(logits: np.ndarray, truths: np.ndarray, batch: int) -> Report:
    """The report of `evaluate`."""
    metric, decode = TopK([str(index) for index in range(logits.shape[1])], K), DecodeClasses("o")
    for first in range(0, len(logits), batch):
        part = logits[first : first + batch]
        frames = [
            Frame(Sample("a", Path("a"), int(truth)), (1, 1), Geometry()) for truth in truths[first : first + batch]
        ]
        for frame, prediction in zip(frames, decode({"o": part}, frames), strict=True):
            metric.update(frame, prediction)
    return metric.compute()


def theirs(chances: np.ndarray, truths: np.ndarray) -> tuple[list[float], np.ndarray, np.ndarray]:
    """(top-k accuracies, (C,C) confusion matrix, (3,C) precision, recall and F1)."""
    labels, guesses = range(chances.shape[1]), chances.argmax(axis=1)
    accuracies = [float(top_k_accuracy_score(truths, chances, k=k, labels=labels)) for k in K]
    columns = precision_recall_fscore_support(truths, guesses, labels=labels, zero_division=0)[:3]
    return accuracies, confusion_matrix(truths, guesses, labels=labels), np.array(columns)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=10000)
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    classification.matrix_picture = lambda *_: b""  # type: ignore[assignment]
    random = np.random.default_rng(0)
    truths = random.integers(0, args.classes, args.pictures)
    logits = random.normal(size=(args.pictures, args.classes)).astype(np.float32)
    logits[np.arange(args.pictures), truths] += 3
    chances = softmax(logits)
    ways = {"ours": lambda: ours(logits, truths, args.batch), "theirs": lambda: theirs(chances, truths)}
    seconds, found = fastest(ways, args.rounds)
    fast, slow, report = seconds["ours"], seconds["theirs"], found["ours"]
    accuracies, matrix, columns = found["theirs"]
    np.testing.assert_allclose([report.kpi[f"top_{k}_accuracy"] for k in K], accuracies)
    rows = next(table.rows for table in report.tables if table.title == "Per class")[:-1]
    np.testing.assert_allclose(np.array([row[1:4] for row in rows], float).T, columns)
    assert sum(int(row[4]) for row in rows) == matrix.sum()
    print(f"{args.pictures} pictures, {args.classes} classes, batches of {args.batch}; CPU time, best of {args.rounds}")
    print(f"  softmax and all figures  {1e6 * fast / args.pictures:6.1f} us a picture")
    print(f"  scikit-learn's figures   {1e6 * slow / args.pictures:6.1f} us a picture, {slow / fast:.2f} times ours")


if __name__ == "__main__":
    main()
