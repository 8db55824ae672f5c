# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""What the plugins compute, one number at a time, in float32: from their documentation, independent of graph/."""

from __future__ import annotations

import math

import numpy as np

F = np.float32


def sigmoid(value: float) -> np.float32:
    return F(1.0 / (1.0 + math.exp(-float(value))))


def overlap(a: np.ndarray, b: np.ndarray, kind: str = "plain") -> float:
    """Intersection over union; kinds: plain, pixels (side = distance + 1), caffe and areas (see BatchedNMS)."""
    ax, ay, bx, by = min(a[0], a[2]), min(a[1], a[3]), max(a[0], a[2]), max(a[1], a[3])
    cx, cy, dx, dy = min(b[0], b[2]), min(b[1], b[3]), max(b[0], b[2]), max(b[1], b[3])
    width, height = F(min(bx, dx) - max(ax, cx)), F(min(by, dy) - max(ay, cy))
    one = F(0 if kind == "plain" else 1)
    if kind in ("caffe", "areas") and (width < 0 or height < 0):
        width = height = F(0)
    if kind in ("pixels", "caffe"):
        width, height = width + F(1), height + F(1)
    if width <= 0 or height <= 0:
        return 0.0
    common = width * height
    areas = (F(bx - ax) + one) * (F(by - ay) + one) + (F(dx - cx) + one) * (F(dy - cy) + one)
    return float(common / (areas - common))


def greedy(
    order: list[int], boxes: np.ndarray, groups: list[int], limit: float, kind: str, inclusive: bool
) -> list[int]:
    """Indices that survive, in the given order."""
    kept: list[int] = []
    for index in order:
        hits = (overlap(boxes[other], boxes[index], kind) for other in kept if groups[other] == groups[index])
        if not any(value >= limit if inclusive else value > limit for value in hits):
            kept.append(index)
    return kept


def efficient_nms(
    boxes: np.ndarray, scores: np.ndarray, anchors: np.ndarray | None, attributes: dict
) -> list[np.ndarray]:
    batch, count, classes = scores.shape
    limit = attributes["max_output_boxes"]
    results = [np.zeros((batch, 1), np.int32), np.zeros((batch, limit, 4), F), np.zeros((batch, limit), F)]
    results.append(np.zeros((batch, limit), np.int32))
    threshold = F(attributes["score_threshold"])
    logits = attributes.get("score_activation", 0)
    if logits:
        threshold = F(np.log(threshold / (F(1) - threshold))) if threshold > 0 else F(-32768)
    for n in range(batch):
        found, rects, labels, values = [], [], [], []
        for a in range(count):
            for c in range(classes):
                if scores[n, a, c] >= threshold and c != attributes.get("background_class", -1):
                    raw = boxes[n, a] if boxes.ndim == 3 else boxes[n, a, 0 if boxes.shape[2] == 1 else c]
                    anchor = None if anchors is None else anchors[0 if len(anchors) == 1 else n, a]
                    found.append(len(rects))
                    rects.append(efficient_box(raw, anchor, attributes.get("box_coding", 0)))
                    labels.append(c)
                    values.append(scores[n, a, c])
        order = sorted(found, key=lambda i: (-values[i], i))[:5000]
        groups = [0] * len(labels) if attributes.get("class_agnostic", 0) else labels
        kept = greedy(order, np.array(rects), groups, F(attributes["iou_threshold"]), "plain", True)[:limit]
        results[0][n] = len(kept)
        for slot, i in enumerate(kept):
            results[1][n, slot], results[3][n, slot] = rects[i], labels[i]
            results[2][n, slot] = sigmoid(values[i]) if logits else values[i]
    return results


def efficient_box(box: np.ndarray, anchor: np.ndarray | None, coding: int) -> np.ndarray:
    if coding == 0:
        if anchor is None:
            return box
        ordered = [
            np.array([min(b[0], b[2]), min(b[1], b[3]), max(b[0], b[2]), max(b[1], b[3])], F) for b in (box, anchor)
        ]
        return ordered[0] + ordered[1]
    place, size = box[:2], box[2:]
    if anchor is not None:
        place, size = place * anchor[2:] + anchor[:2], anchor[2:] * np.exp(size, dtype=F)
    return np.concatenate([place - F(0.5) * size, place + F(0.5) * size])


def per_class(boxes: np.ndarray, scores: np.ndarray, options: dict) -> list[tuple[int, np.float32, np.ndarray]]:
    """(label, score, box) of one picture. boxes [P, 1 or classes, 4], scores [P, classes]."""
    merged = []
    for c in range(scores.shape[1]):
        if c == options["background"]:
            continue
        order = [p for p in range(len(scores)) if scores[p, c] > F(options["threshold"])]
        order = sorted(order, key=lambda p: (-scores[p, c], p))[: options["top"]]
        rects = boxes[:, 0 if boxes.shape[1] == 1 else c]
        kept = greedy(order, rects, [0] * len(rects), F(options["overlap"]), options["kind"], False)
        merged += [(c, scores[p, c], rects[p]) for p in kept]
    return sorted(merged, key=lambda row: -row[1])[: options["keep"]]  # sorted() is stable: lower classes first


def batched_nms(boxes: np.ndarray, scores: np.ndarray, attributes: dict) -> list[np.ndarray]:
    batch, keep = len(scores), attributes["keepTopK"]
    kind = "plain" if attributes.get("isNormalized", 1) else "caffe" if attributes.get("caffeSemantics", 1) else "areas"
    options = {
        "background": attributes["backgroundLabelId"], "threshold": attributes["scoreThreshold"], "keep": keep,
        "top": attributes["topK"], "overlap": attributes["iouThreshold"], "kind": kind,
    }  # fmt: skip
    number = np.zeros((batch, 1), np.int32)
    rects, values, labels = np.zeros((batch, keep, 4), F), np.zeros((batch, keep), F), np.full((batch, keep), -1, F)
    for n in range(batch):
        rows = per_class(boxes[n], scores[n], options)
        number[n] = len(rows)
        for slot, (label, score, box) in enumerate(rows):
            labels[n, slot], values[n, slot] = label, score
            rects[n, slot] = np.clip(box, 0, 1) if attributes.get("clipBoxes", 1) else box
    return [number, rects, values, labels]


def ssd_nms(loc: np.ndarray, conf: np.ndarray, prior: np.ndarray, attributes: dict) -> list[np.ndarray]:
    batch, classes, keep = len(conf), attributes["numClasses"], attributes["keepTopK"]
    count = conf.shape[1] // classes
    per_prior = 1 if attributes["shareLocation"] else classes
    options = {
        "background": attributes["backgroundLabelId"], "threshold": attributes["confidenceThreshold"], "keep": keep,
        "top": attributes["topK"], "overlap": attributes["nmsThreshold"],
        "kind": "plain" if attributes["isNormalized"] else "caffe",
    }  # fmt: skip
    rows = np.zeros((batch, 1, keep, 7), F)
    rows[..., 1] = -1
    number = np.zeros((batch, 1, 1, 1), np.int32)
    for n in range(batch):
        rows[n, ..., 0] = n
        table = prior[n if len(prior) > 1 else 0].reshape(2, count, 4)
        deltas = loc[n].reshape(count, per_prior, 4)
        boxes = np.zeros((count, per_prior, 4), F)
        for p in range(count):
            variance = np.ones(4, F) if attributes["varianceEncodedInTarget"] else table[1, p]
            for c in range(per_prior):
                boxes[p, c] = ssd_box(table[0, p], variance, table[1, p], deltas[p, c], attributes["codeType"])
        scores = conf[n].reshape(count, classes)
        if attributes["confSigmoid"]:
            scores = np.array([[sigmoid(value) for value in row] for row in scores], F)
        found = per_class(boxes, scores, options)
        number[n] = len(found)
        for slot, (label, score, box) in enumerate(found):
            rows[n, 0, slot, 1:] = [label, score, *np.clip(box, 0, 1)]
    return [rows, number.view(F)]


def ssd_box(prior: np.ndarray, variance: np.ndarray, own: np.ndarray, delta: np.ndarray, code: int) -> np.ndarray:
    w, h = prior[2] - prior[0], prior[3] - prior[1]
    if code == 0:
        return prior + variance * delta
    if code == 2:
        return prior + delta * variance * np.array([w, h, w, h], F)
    if code == 3:
        delta, variance = delta[[1, 0, 3, 2]], own
    cx = variance[0] * delta[0] * w + (prior[0] + prior[2]) / F(2)
    cy = variance[1] * delta[1] * h + (prior[1] + prior[3]) / F(2)
    bw, bh = np.exp(variance[2] * delta[2], dtype=F) * w, np.exp(variance[3] * delta[3], dtype=F) * h
    return np.array([cx - bw / F(2), cy - bh / F(2), cx + bw / F(2), cy + bh / F(2)], F)


def proposal(scores: np.ndarray, deltas: np.ndarray, attributes: dict) -> list[np.ndarray]:
    batch, count, height, width = scores.shape
    top_h, top_w = attributes["input_height"] - 1, attributes["input_width"] - 1
    ratios, stride = attributes["anchor_ratios"], attributes["rpn_stride"]
    rois = np.zeros((batch, attributes["post_nms_top_n"], 4, 1), F)
    for n in range(batch):
        boxes, values = [], []
        for a in range(count):
            size, ratio = F(attributes["anchor_sizes"][a // len(ratios)]), F(np.sqrt(F(ratios[a % len(ratios)])))
            aw, ah = size * ratio, size / ratio
            for y in range(height):
                for x in range(width):
                    tx, ty, tw, th = (deltas[n, 4 * a + k, y, x] for k in range(4))
                    bw, bh = np.exp(tw, dtype=F) * aw, np.exp(th, dtype=F) * ah
                    left = F((x + 0.5) * stride) + aw * tx - bw / F(2)
                    top = F((y + 0.5) * stride) + ah * ty - bh / F(2)
                    box = [left, top, left + bw, top + bh]
                    box = [F(min(max(v, 0), limit)) for v, limit in zip(box, (top_w, top_h, top_w, top_h), strict=True)]
                    small = min(box[2] - box[0], box[3] - box[1]) <= attributes["roi_min_size"]
                    boxes.append(box)
                    values.append(-np.inf if small else scores[n, a, y, x])
        order = sorted(range(len(values)), key=lambda i: (-values[i], i))[: attributes["pre_nms_top_n"]]
        table = np.array(boxes, F)
        kept = greedy(order, table, [0] * len(table), F(attributes["nms_iou_threshold"]), "pixels", False)
        for slot, i in enumerate(kept[: rois.shape[1]]):
            x1, y1, x2, y2 = table[i]
            rois[n, slot, :, 0] = [y1 / F(top_h), x1 / F(top_w), y2 / F(top_h), x2 / F(top_w)]
    return [rois]


def bilinear(picture: np.ndarray, y: float, x: float) -> np.ndarray:
    """Channels [C] at a position inside picture [C, h, w]."""
    y0, x0 = int(y), int(x)
    y1, x1 = min(y0 + 1, picture.shape[1] - 1), min(x0 + 1, picture.shape[2] - 1)
    dy, dx = F(y - y0), F(x - x0)
    top = picture[:, y0, x0] * (1 - dx) + picture[:, y0, x1] * dx
    bottom = picture[:, y1, x0] * (1 - dx) + picture[:, y1, x1] * dx
    return top * (1 - dy) + bottom * dy


def crop_and_resize(picture: np.ndarray, rois: np.ndarray, attributes: dict) -> list[np.ndarray]:
    batch, channels, height, width = picture.shape
    high, wide = attributes["crop_height"], attributes["crop_width"]
    bottom, right = F(height - 1), F(width - 1)  # NumPy 1 makes float64 of a float32 and a Python number
    out = np.zeros((batch, rois.shape[1], channels, high, wide), F)
    for n in range(batch):
        for r in range(rois.shape[1]):
            y1, x1, y2, x2 = rois[n, r].ravel()
            for i in range(high):
                y = y1 * bottom + F(i) * (y2 - y1) * bottom / F(high - 1) if high > 1 else (y1 + y2) / F(2) * bottom
                for j in range(wide):
                    x = x1 * right + F(j) * (x2 - x1) * right / F(wide - 1) if wide > 1 else (x1 + x2) / F(2) * right
                    if 0 <= y <= height - 1 and 0 <= x <= width - 1:
                        out[n, r, :, i, j] = bilinear(picture[n], y, x)
    return [out]


def multilevel_crop(rois: np.ndarray, maps: list[np.ndarray], attributes: dict) -> list[np.ndarray]:
    batch, count = rois.shape[:2]
    pooled, (_, height, width) = attributes["pooled_size"], attributes["image_size"]
    out = np.zeros((batch, count, maps[0].shape[1], pooled, pooled), F)
    for n in range(batch):
        for r in range(count):
            y1, x1, y2, x2 = rois[n, r]
            if not (0 <= y1 < y2 <= height and 0 <= x1 < x2 <= width):
                continue
            area, level = (y2 - y1) * (x2 - x1), 0
            while level < 4 and area > 224 * 224 / 4 * 4**level:
                level += 1
            scale, source = F(2 ** (level + 2)), maps[level][n]
            part = F(1) / F(pooled)
            for i in range(pooled):
                y = F(float(y1 / scale) + float((y2 / scale - y1 / scale) * part) * (i + 0.5))
                for j in range(pooled):
                    x = F(float(x1 / scale) + float((x2 / scale - x1 / scale) * part) * (j + 0.5))
                    held = min(max(y, 0), source.shape[1] - 1), min(max(x, 0), source.shape[2] - 1)
                    out[n, r, :, i, j] = bilinear(source, *held)
    return [out]


def pyramid_roi_align(rois: np.ndarray, maps: list[np.ndarray], attributes: dict) -> list[np.ndarray]:
    batch, count = rois.shape[:2]
    legacy, pooled = attributes.get("legacy", 0), attributes["pooled_size"]
    height, width = attributes["image_size"]
    out = np.zeros((batch, count, maps[0].shape[1], pooled, pooled), F)
    first = attributes.get("fpn_scale", 224) ** 2 / (height * width) / 4
    transform, swap, absolute = (attributes.get("roi_coords_" + key, default) for key, default in
                                 (("transform", 2), ("swap", 0), ("absolute", 1)))  # fmt: skip
    ratio, plus = attributes.get("sampling_ratio", 0), attributes.get("roi_coords_plusone", 0)
    if legacy:
        first, transform, swap, absolute, ratio, plus = 224 * 224 * 2 / 1024**2 / 16, -1, 1, 0, 1, 0
    for n in range(batch):
        for r in range(count):
            a, b, c, d = (float(v) for v in rois[n, r])
            y1, x1, y2, x2 = (a, b, c, d) if swap else (b, a, d, c)
            y1, y2, x1, x2 = min(y1, y2), max(y1, y2), min(x1, x2), max(x1, x2)
            if absolute:
                y1, y2, x1, x2 = y1 / height, y2 / height, x1 / width, x2 / width
            y1, y2, x1, x2 = (min(max(v, 0.0), 1.0) for v in (y1, y2, x1, x2))
            area = (y2 - y1 + plus / height) * (x2 - x1 + plus / width)
            level = sum(area > first * 4**k for k in range(3))
            source = maps[level][n]
            _, h, w = source.shape
            off, mid = {-1: (0, 0), 0: (0, 0), 1: (0, 0.5), 2: (0.5, 0.5)}[transform]
            sh, sw = (h - 1, w - 1) if transform == -1 else (h, w)
            bins = pooled - 1 if transform == -1 else pooled
            ys, xs, dy, dx = y1 * sh - off, x1 * sw - off, (y2 - y1) * sh / bins, (x2 - x1) * sw / bins
            ry = ratio or max(1, math.ceil(F(F(y2 - y1) * sh) / F(pooled)))
            rx = ratio or max(1, math.ceil(F(F(x2 - x1) * sw) / F(pooled)))
            for i in range(pooled):
                for j in range(pooled):
                    total = np.zeros(source.shape[0])
                    for k in range(ry):
                        for m in range(rx):
                            y, x = ys + dy * i + dy * (k + mid) / ry, xs + dx * j + dx * (m + mid) / rx
                            total += bilinear(source, min(max(y, 0), h - 1), min(max(x, 0), w - 1))
                    out[n, r, :, i, j] = total / (ry * rx)
    return [out]


def rcnn_box(anchor: np.ndarray, delta: np.ndarray, weights: tuple[float, ...], height: int, width: int) -> np.ndarray:
    h, w = anchor[2] - anchor[0] + F(1), anchor[3] - anchor[1] + F(1)
    cy, cx = anchor[0] + F(0.5) * h, anchor[1] + F(0.5) * w
    dy, dx, dh, dw = delta / np.array(weights, F)
    most = F(math.log(1000 / 16))
    cy, cx = cy + dy * h, cx + dx * w
    h, w = np.exp(min(dh, most), dtype=F) * h, np.exp(min(dw, most), dtype=F) * w
    y1, x1 = cy - F(0.5) * h, cx - F(0.5) * w
    box = np.array([y1, x1, y1 + h - F(1), x1 + w - F(1)], F)
    return np.clip(box, 0, np.array([height - 1, width - 1] * 2, F))


def generate_detection(deltas: np.ndarray, scores: np.ndarray, rois: np.ndarray, attributes: dict) -> list[np.ndarray]:
    batch, count = rois.shape[:2]
    classes, keep, (_, height, width) = attributes["num_classes"], attributes["keep_topk"], attributes["image_size"]
    out = np.zeros((batch, keep, 6), F)
    out[..., 4] = -1
    for n in range(batch):
        rows = []
        for r in range(count):
            label = 1 + int(np.argmax(scores[n, r, 1:, 0, 0]))
            score = scores[n, r, label, 0, 0]
            if score <= 0 or score < F(attributes["score_threshold"]):
                continue
            delta = deltas[n, r, 4 * label : 4 * label + 4, 0, 0]
            step = F((classes - label - 1) * 2.5)
            score = (step + score + F(1)) - step - F(1)
            rows.append((label, F(score), r, rcnn_box(rois[n, r], delta, (10, 10, 5, 5), height, width)))
        rows.sort(key=lambda row: (row[0], -row[1], row[2]))
        kept = greedy(list(range(len(rows))), [row[3] for row in rows], [row[0] for row in rows],
                      F(attributes["iou_threshold"]), "plain", False)  # fmt: skip
        kept = [i for i in kept if rows[i][1] > F(0.01)]
        for slot, i in enumerate(sorted(kept, key=lambda i: (-rows[i][1], i % 256, i // 256))[:keep]):
            out[n, slot] = [*rows[i][3], rows[i][0], rows[i][1]]
    return [out]


def propose_roi(levels: list[tuple[np.ndarray, np.ndarray]], attributes: dict) -> list[np.ndarray]:
    keep, (_, height, width) = attributes["keep_topk"], attributes["image_size"]
    batch = len(levels[0][0])
    out = np.zeros((batch, keep, 4), F)
    for n in range(batch):
        found = []
        for number, (deltas, scores) in enumerate(levels):
            stride, boxes = 4 * 2**number, []
            for y in range(stride // 2, height, stride):
                for x in range(stride // 2, width, stride):
                    for rw, rh in ((1.0, 1.0), (1.4, 0.7), (0.7, 1.4)):
                        h, w = F(8 * stride) * F(rh), F(8 * stride) * F(rw)
                        anchor = np.array([F(y) - h / 2, F(x) - w / 2, F(y) + h / 2, F(x) + w / 2], F)
                        boxes.append(rcnn_box(anchor, deltas[n, len(boxes), :, 0], (1, 1, 1, 1), height, width))
            values = scores[n, :, 0, 0]
            order = sorted(range(len(values)), key=lambda i: (-values[i], i))[: attributes["prenms_topk"]]
            rounded = {i: (values[i] + F(1)) - F(1) for i in order}
            order = [i for i in order if values[i] >= F(attributes["fg_threshold"]) and rounded[i] > 0]
            kept = greedy(order, boxes, [0] * len(boxes), F(attributes["iou_threshold"]), "plain", False)
            found += [(rounded[i], boxes[i]) for i in kept[:keep]]
        for slot, (_, box) in enumerate(sorted(found, key=lambda row: -row[0])[:keep]):
            out[n, slot] = box
    return [out]


def deform_conv(
    x: np.ndarray, offset: np.ndarray, mask: np.ndarray, weight: np.ndarray, bias: np.ndarray | None, attributes: dict
) -> list[np.ndarray]:
    batch, channels, height, width = x.shape
    filters, per_group, kh, kw = weight.shape
    stride, padding, dilation = (attributes[key][0] for key in ("stride", "padding", "dilation"))
    deform, groups = attributes["deformable_group"], attributes["group"]
    oh, ow = offset.shape[2:]
    out = np.zeros((batch, filters, oh, ow))

    def read(n: int, c: int, y: float, x_: float) -> float:
        total, y0, x0 = 0.0, math.floor(y), math.floor(x_)
        for yy, wy in ((y0, 1 - (y - y0)), (y0 + 1, y - y0)):
            for xx, wx in ((x0, 1 - (x_ - x0)), (x0 + 1, x_ - x0)):
                if 0 <= yy < height and 0 <= xx < width:
                    total += wy * wx * x[n, c, yy, xx]
        return total

    for n in range(batch):
        for i in range(oh):
            for j in range(ow):
                columns = np.zeros((channels, kh * kw))
                for c in range(channels):
                    g = c // (channels // deform)
                    for k in range(kh * kw):
                        dy, dx = offset[n, (g * kh * kw + k) * 2 : (g * kh * kw + k) * 2 + 2, i, j]
                        y = i * stride - padding + (k // kw) * dilation + dy
                        x_ = j * stride - padding + (k % kw) * dilation + dx
                        columns[c, k] = mask[n, g * kh * kw + k, i, j] * read(n, c, float(y), float(x_))
                for m in range(filters):
                    first = m // (filters // groups) * per_group
                    value = (columns[first : first + per_group] * weight[m].reshape(per_group, -1)).sum()
                    out[n, m, i, j] = value + (0 if bias is None else bias[m])
    return [out.astype(F)]


def voxels(points: np.ndarray, number: np.ndarray, attributes: dict) -> list[np.ndarray]:
    batch, _, values = points.shape
    count, room = attributes["max_voxels"], attributes["max_num_points_per_voxel"]
    low, high = np.array(attributes["point_cloud_range"], F).reshape(2, 3)
    size = np.array(attributes["voxel_size"], F)
    across, down = (round(float((high[k] - low[k]) / size[k])) for k in (0, 1))
    features = np.zeros((batch, count, room, values + 6), F)
    places, total = np.zeros((batch, count, 4), np.int32), np.zeros(batch, np.int32)
    for n in range(batch):
        cells: dict[tuple[int, int], list[np.ndarray]] = {}
        for point in points[n, : number[n]]:
            if all(low[k] <= point[k] < high[k] for k in range(3)):
                column, row = (math.floor((point[k] - low[k]) / size[k]) for k in (0, 1))
                if column < across and row < down:
                    cells.setdefault((row, column), []).append(point)
        total[n] = min(len(cells), count)
        for v, (row, column) in enumerate(sorted(cells)[:count]):
            inside = np.array(cells[row, column][:room], F)
            mean = inside[:, :3].mean(0)
            centre = size / 2 + np.array([column, row, 0], F) * size + low
            places[n, v] = 0, 0, row, column
            for p, point in enumerate(inside):
                features[n, v, p] = [*point, *(point[:3] - mean), *(point[:3] - centre)]
    return [features, places, total]


def scatter(features: np.ndarray, places: np.ndarray, number: np.ndarray, attributes: dict) -> list[np.ndarray]:
    height, width = attributes["dense_shape"]
    out = np.zeros((len(features), features.shape[2], height, width), F)
    for n in range(len(features)):
        for v in range(number[n]):
            out[n, :, places[n, v, 2], places[n, v, 3]] = features[n, v]
    return [out]


def decode_3d(logits: np.ndarray, boxes: np.ndarray, headings: np.ndarray, attributes: dict) -> list[np.ndarray]:
    batch, height, width, _ = logits.shape
    bottoms, anchors = attributes["anchor_bottom_height"], np.array(attributes["anchors"], F).reshape(-1, 4)
    classes, per_cell = len(bottoms), len(anchors)
    x0, y0, _, x1, y1, _ = attributes["point_cloud_range"]
    out, number = np.zeros((batch, height * width * per_cell, 9), F), np.zeros(batch, np.int32)
    period = 2 * math.pi / attributes["num_dir_bins"]
    for n in range(batch):
        for row in range(height):
            for column in range(width):
                for a in range(per_cell):
                    scores = [sigmoid(v) for v in logits[n, row, column, a * classes : (a + 1) * classes]]
                    if max(scores) < F(attributes["score_thresh"]):
                        continue
                    dx, dy, dz, turn = (float(v) for v in anchors[a])
                    t = [float(v) for v in boxes[n, row, column, a * 7 : a * 7 + 7]]
                    d0, d1 = headings[n, row, column, a * 2 : a * 2 + 2]
                    diagonal = math.hypot(dx, dy)
                    angle = t[6] + turn - attributes["dir_offset"]
                    angle -= math.floor(angle / period + attributes["dir_limit_offset"]) * period
                    out[n, number[n]] = [
                        t[0] * diagonal + x0 + column * (x1 - x0) / (width - 1),
                        t[1] * diagonal + y0 + row * (y1 - y0) / (height - 1),
                        t[2] * dz + dz / 2 + bottoms[a // 2],
                        math.exp(t[3]) * dx, math.exp(t[4]) * dy, math.exp(t[5]) * dz,
                        angle + attributes["dir_offset"] + period * (0 if d0 > d1 else 1),
                        scores.index(max(scores)), max(scores),
                    ]  # fmt: skip
                    number[n] += 1
    return [out, number]


def resize_nearest(picture: np.ndarray, attributes: dict) -> list[np.ndarray]:
    scale = F(attributes["scale"])
    rows, columns = (np.array([int(F(i) / scale) for i in range(int(F(size) * scale))]) for size in picture.shape[2:])
    return [picture[:, :, rows][:, :, :, columns]]


def instance_norm(picture: np.ndarray, attributes: dict) -> list[np.ndarray]:
    out = np.zeros_like(picture)
    for n in range(len(picture)):
        for c in range(picture.shape[1]):
            plane = picture[n, c].astype(np.float64)
            plane = (plane - plane.mean()) / math.sqrt(plane.var() + attributes["epsilon"])
            plane = plane * attributes["scales"][c] + attributes["bias"][c]
            if attributes.get("relu", 0):
                plane = np.where(plane > 0, plane, plane * attributes.get("alpha", 0.0))
            out[n, c] = plane
    return [out]
