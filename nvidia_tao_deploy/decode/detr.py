# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Decoding of DETR-like detectors: class logits and normalised boxes of a set of queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from nvidia_tao_deploy.network import Frame
from nvidia_tao_deploy.predictions import Detections


class DetrDecode:
    """The `num_select` best (query, class) pairs of each picture as boxes in the original picture.

    As Deformable DETR's post-processing (Zhu et al. 2021): no softmax, no suppression of overlaps, and one query may
    appear with several classes. The score is the logit's sigmoid.

    Args:
        num_select: pairs to keep; fewer come out when there are fewer.
        input_size: (height, width) of the network input where a picture fills only the top left part of it, so that
            boxes are relative to more than the picture; None where it is stretched.
    """

    def __init__(self, num_select: int, input_size: tuple[int, int] | None = None) -> None:
        self.num_select = num_select
        self.input_size = input_size

    def __call__(self, outputs: Mapping[str, np.ndarray], frames: Sequence[Frame]) -> list[Detections]:
        """Decode a batch.

        Args:
            outputs: `pred_logits` (B,Q,C); `pred_boxes` (B,Q,4), centre x, centre y, width, height in 0..1. The
                pipeline has refused NaN.
            frames: B frames; their `size` (with `input_size` their geometry) is what boxes are scaled to.

        Returns:
            B Detections, best first; equal scores in order of query, then class. Boxes are clipped to the picture.
        """
        logits = np.asarray(outputs["pred_logits"], np.float32)
        boxes = np.asarray(outputs["pred_boxes"], np.float32)
        batch, queries, classes = logits.shape
        flat = logits.reshape(batch, queries * classes)
        chosen = top_k(flat, self.num_select)
        query, labels = np.divmod(chosen, classes)
        scores = sigmoid(np.take_along_axis(flat, chosen, axis=1))
        sizes = [frame.size for frame in frames]
        spans = [frame.geometry.extent(self.input_size) for frame in frames] if self.input_size else sizes
        corners = to_pixels(np.take_along_axis(boxes, query[:, :, None], axis=1), sizes, spans)
        return [Detections(corners[row], scores[row], labels[row]) for row in range(batch)]


def top_k(values: np.ndarray, k: int) -> np.ndarray:
    """Indices (B,K) of the K = min(k, N) largest of each row of (B,N), largest first; equal values by rising index."""
    rows, count = values.shape
    k = min(k, count)
    least = np.partition(values, count - k, axis=1)[:, count - k, None]
    row, column = np.nonzero(values >= least)  # more than k where the k-th value repeats
    order = np.lexsort((column, -values[row, column], row))
    starts = np.searchsorted(row, np.arange(rows))
    return column[order[starts[:, None] + np.arange(k)]]


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """1 / (1 + e^-x), without overflow for any x."""
    small = np.exp(-np.abs(logits))
    return np.where(logits >= 0, 1, small) / (1 + small)


def to_pixels(
    boxes: np.ndarray, sizes: Sequence[tuple[int, int]], spans: Sequence[tuple[float, float]] | None = None
) -> np.ndarray:
    """(B,K,4) centre x, centre y, width, height in 0..1 of `spans` -> x1 y1 x2 y2 in pixels, clipped to the pictures.

    Args:
        sizes: (height, width) of the B pictures.
        spans: (height, width) in pixels of the picture that 1 stands for; the pictures themselves by default.
    """
    half = boxes[..., 2:] / 2
    corners = np.concatenate([boxes[..., :2] - half, boxes[..., :2] + half], axis=2)
    corners *= _limits(spans or sizes)
    return np.clip(corners, 0, _limits(sizes), out=corners)


def _limits(sizes: Sequence[tuple[float, float]]) -> np.ndarray:
    """(B,1,4) width, height, width, height."""
    return np.asarray([(width, height, width, height) for height, width in sizes], np.float32)[:, None, :]
