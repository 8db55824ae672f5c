# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""CropAndResizeDynamic: regions of interest of a feature map, each resampled to one size (Faster R-CNN).

Sample k of a crop lies at y1 * (h - 1) + k * (y2 - y1) * (h - 1) / (crop_height - 1), in the middle when crop_height is
1; likewise across. A sample outside [0, h - 1] x [0, w - 1] is 0; others are bilinear: GridSample, whose coordinates
are 2 * (y + 0.5) / h - 1 without corner alignment.
"""

from __future__ import annotations

import numpy as np
import onnx

from nvidia_tao_deploy.graph.editing import GraphWriter
from nvidia_tao_deploy.graph.plugins._tensors import FIXED_HINT, Node, as_float, chain, give, kind_of, sizes

OPS = ("CropAndResizeDynamic",)
OPSET = 16
REPLACEMENT = "GridSample"
FLOAT32 = True


def rewrite(node: onnx.NodeProto, write: GraphWriter) -> None:
    """Inputs: map [N, C, h, w], rois [N, R, 4, 1] or [N, R, 4] (y1, x1, y2, x2 in 0..1).
    Output [N, R, C, crop_height, crop_width]."""
    facts = Node(node, (2,), 1)
    picture, rois = facts.inputs
    facts.rank(write, picture, (4,))
    height, width = (facts.static(write, picture, axis, "the size of the feature map") for axis in (2, 3))
    channels = facts.static(write, picture, 1, "the number of channels")
    high, wide = facts.integer("crop_height"), facts.integer("crop_width")
    if min(high, wide) < 1:
        raise facts.error(f"crop_height {high}, crop_width {wide}; expected at least 1", hint=FIXED_HINT)
    count = write.size(rois, 1)
    corners = write.reshape(as_float(write, rois), [write.size(picture, 0), -1, 4])  # [N, R, 4]
    down, inside_down = _positions(write, corners, 0, height, high)  # [N, R, high]
    across, inside_across = _positions(write, corners, 1, width, wide)
    shape = sizes(write, 1, 1, high, wide)
    columns = [
        write.op("Expand", write.op("Unsqueeze", across, write.constant([2])), shape),
        write.op("Expand", write.op("Unsqueeze", down, write.constant([3])), shape),
    ]
    grid = write.op("Concat", *(write.op("Unsqueeze", column, write.constant([4])) for column in columns), axis=4)
    rows = high * count if isinstance(count, int) else write.op("Mul", count, write.constant([high]))
    grid = write.reshape(grid, [write.size(picture, 0), rows, wide, 2])
    mode = "linear" if write.reader.opset >= 20 else "bilinear"
    samples = write.op("GridSample", as_float(write, picture), grid, mode=mode, padding_mode="border", align_corners=0)
    samples = write.reshape(samples, [write.size(picture, 0), channels, count, high, wide])
    inside = write.op(
        "And",
        write.op("Unsqueeze", inside_down, write.constant([3])),
        write.op("Unsqueeze", inside_across, write.constant([2])),
    )
    samples = write.op("Transpose", samples, perm=[0, 2, 1, 3, 4])
    inside = write.op("Unsqueeze", inside, write.constant([2]))
    give(
        write,
        write.op("Where", inside, samples, write.constant(0.0, np.float32)),
        node.output[0],
        kind_of(write, picture),
    )


def _positions(write: GraphWriter, corners: str, axis: int, size: int, count: int) -> tuple[str, str]:
    """Sample positions along one axis in GridSample's coordinates, and which are inside the map: [N, R, count]."""
    one, other = write.slice(corners, 2, axis, axis + 1), write.slice(corners, 2, axis + 2, axis + 3)
    if count > 1:
        step = chain(write, "Div", chain(write, "Mul", write.op("Sub", other, one), float(size - 1)), float(count - 1))
        offsets = write.op("Mul", step, write.constant(np.arange(count), np.float32))
        place = write.op("Add", chain(write, "Mul", one, float(size - 1)), offsets)
    else:
        place = chain(write, "Mul", write.op("Add", one, other), 0.5, float(size - 1))
    outside = write.op(
        "Or",
        write.op("Less", place, write.constant(0.0, np.float32)),
        write.op("Greater", place, write.constant(float(size - 1), np.float32)),
    )
    scaled = chain(write, "Sub", chain(write, "Mul", chain(write, "Add", place, 0.5), 2.0 / size), 1.0)
    return scaled, write.op("Not", outside)
