# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Pixel accuracy, intersection over union, precision, recall and F1 from a confusion matrix of pixels."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nvidia_tao_deploy.errors import DataError
from nvidia_tao_deploy.files import MATRIX_FILE
from nvidia_tao_deploy.metrics.classification import WIDEST_MATRIX, matrix_table
from nvidia_tao_deploy.network import Frame, Report, Table
from nvidia_tao_deploy.predictions import Segmentation
from nvidia_tao_deploy.render.confusion import matrix_picture

if TYPE_CHECKING:
    import numpy as np

logger = logging.getLogger(__name__)
FEW_CLASSES = 15
"""Up to here a pair of classes fits a byte, with room for pixels that do not count."""
EXACT_COUNTS = 1 << 24
"""OpenCV's histogram is float32: larger counts are not exact."""
EPSILON = 2.0**-23
"""Float32's epsilon, added to every denominator as TAO Deploy does: a class without pixels has 0 in every figure."""


def pixel_confusion(truth: np.ndarray, found: np.ndarray, classes: int) -> np.ndarray:
    """(C,C) int64 counts [truth, prediction] of two (H,W) maps; pixels whose truth is no class do not count.

    Raises:
        ValueError: the maps differ in size, or a prediction is no class.
    """
    import numpy as np

    if truth.shape != found.shape:
        raise ValueError(f"maps of different size: {truth.shape} and {found.shape}")
    if found.size and int(found.max()) >= classes:
        raise ValueError(f"class {int(found.max())} predicted; there are {classes}")
    bytes_only = truth.dtype == found.dtype == np.uint8
    if bytes_only and classes <= FEW_CLASSES and 0 < truth.size <= EXACT_COUNTS:
        return _byte_confusion(truth, found, classes)
    codes = truth.astype(np.int32)
    codes *= classes
    codes += found
    counts = np.bincount(codes.reshape(-1), minlength=classes * classes)
    return counts[: classes * classes].reshape(classes, classes)


def _byte_confusion(truth: np.ndarray, found: np.ndarray, classes: int) -> np.ndarray:
    """As `pixel_confusion`, with less memory to go through: truth * classes + prediction in one saturating byte.

    A truth that is no class gives classes * classes or more, which is at most 225 and so below the saturated 255: it is
    cut off.
    """
    import cv2
    import numpy as np

    codes = cv2.addWeighted(truth, classes, found, 1, 0)
    counts = cv2.calcHist([codes], [0], None, [256], [0, 256]).reshape(-1)
    return counts[: classes * classes].astype(np.int64).reshape(classes, classes)


def safe_ratio(part: np.ndarray, whole: np.ndarray | int) -> np.ndarray:
    """part / (whole + EPSILON)."""
    return part / (whole + EPSILON)


class SegmentationMetric:
    """Sums one confusion matrix; memory does not grow with the number of pictures.

    With C[truth, prediction]: acc = sum of the diagonal / sum; recall = C[i,i] / row, precision = C[i,i] / column,
    F1 = 2 P R / (P + R), iou = C[i,i] / (row + column - C[i,i]), each denominator plus `EPSILON`. The means run over
    all classes, so that one which neither occurs nor is predicted counts as 0, as in TAO Deploy; `miou_present` is the
    mean over the classes that occur or are predicted.

    Args:
        classes: class names in order of their numbers.
        hint: the way out where pixels do not count and a class has none at all.
    """

    def __init__(self, classes: Sequence[str], hint: str = "") -> None:
        import numpy as np

        self.classes, self._hint = tuple(classes), hint
        self.confusion = np.zeros((len(classes), len(classes)), np.int64)
        self.pictures = self.pixels = 0

    def update(self, frame: Frame, prediction: Segmentation) -> None:
        """`frame.sample.target`: (H,W) class indices of the size of the prediction; 255 or any other index that is no
        class does not count."""
        truth = frame.sample.target
        self.confusion += pixel_confusion(truth, prediction.classes, len(self.classes))
        self.pictures += 1
        self.pixels += truth.size

    def merge(self, other: SegmentationMetric) -> None:
        self.confusion += other.confusion
        self.pictures += other.pictures
        self.pixels += other.pixels

    def compute(self) -> Report:
        import numpy as np

        counted = int(self.confusion.sum())
        if counted == 0:
            raise DataError("No pixel was scored.")
        self._warn(counted)
        right, row, column = np.diag(self.confusion), self.confusion.sum(axis=1), self.confusion.sum(axis=0)
        recall, precision = safe_ratio(right, row), safe_ratio(right, column)
        f1 = safe_ratio(2 * precision * recall, precision + recall)
        iou = safe_ratio(right, row + column - right)
        present = row + column > 0
        means = {
            "acc": float(safe_ratio(np.asarray(right.sum()), counted)),
            "miou": float(iou.mean()),
            "mf1": float(f1.mean()),
            "mprecision": float(precision.mean()),
            "mrecall": float(recall.mean()),
            "miou_present": float(iou[present].mean()),
        }
        columns = {"iou": iou, "F1": f1, "precision": precision, "recall": recall}
        per_class = {
            f"{name}_{index}": float(value) for name, values in columns.items() for index, value in enumerate(values)
        }
        results = {
            **means,
            **per_class,
            "classes": list(self.classes),
            "confusion_matrix": self.confusion,
            "num_samples": self.pictures,
            "ignored_pixels": self.pixels - counted,
        }
        tables = [self._per_class(columns, row), self._headline(means, counted)]
        if len(self.classes) <= WIDEST_MATRIX:
            tables.insert(0, matrix_table(self.classes, self.confusion))
        files = {MATRIX_FILE: matrix_picture(self.confusion, self.classes)}
        return Report({**means, **per_class}, results, tuple(tables), files)

    def _warn(self, counted: int) -> None:
        """Pixels that do not count may be a class that is stored in another way than the spec says."""
        missing = [name for name, pixels in zip(self.classes, self.confusion.sum(axis=1), strict=True) if not pixels]
        if missing and self.pixels > counted:
            logger.warning(
                "No pixel of the masks is of class %s, and %d of %d pixels are of no class and do not count. %s",
                ", ".join(missing), self.pixels - counted, self.pixels, self._hint,
            )  # fmt: skip

    def _per_class(self, columns: dict[str, np.ndarray], row: np.ndarray) -> Table:
        rows = [
            (name, *(float(values[index]) for values in columns.values()), int(row[index]))
            for index, name in enumerate(self.classes)
        ]
        return Table("Per class", ("class", *columns, "pixels"), tuple(rows))

    def _headline(self, means: dict[str, float], counted: int) -> Table:
        rows = [*means.items(), ("pictures", self.pictures), ("pixels", counted)]
        if self.pixels > counted:
            rows.append(("pixels that do not count", self.pixels - counted))
        return Table("Segmentation", ("figure", "value"), tuple(rows))
