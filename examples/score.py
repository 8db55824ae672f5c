# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Score the example models with ONNX Runtime and a few lines of our own, apart from the package.

    python examples/score.py demo [--only fashion_mnist,detector,ocr,pairs,segmentation,retrieval]

These are the figures in README.md: what `<network> evaluate` must reach on the same files. The preprocessing follows
each network's convention; boxes are scored by faster-coco-eval. Text is matched here.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pyclipper
import yaml
from PIL import Image
from shapely.geometry import Polygon

MEAN, STD = np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32)


def session(path: Path) -> onnxruntime.InferenceSession:
    """A model on the CPU."""
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


# --- classification -------------------------------------------------------------------------------------------------


def centre_crop(picture: Image.Image, size: int) -> Image.Image:
    """Resize the short side to size + 32 (bicubic), cut the middle: what `classification_pyt` does when deployed."""
    ratio = (size + 32) / min(picture.size)
    picture = picture.resize([int(side * ratio) for side in picture.size], Image.Resampling.BICUBIC)
    left, top = (round(side / 2) - round(size / 2) for side in picture.size)
    return picture.crop((left, top, left + size, top + size))


def plain_resize(picture: Image.Image, size: int) -> Image.Image:
    """Resize to size x size (bilinear): what training does."""
    return picture.resize((size, size), Image.Resampling.BILINEAR)


def score_fashion_mnist(folder: Path) -> None:
    """Top-1 accuracy under both ways of preprocessing."""
    model = session(folder / "models/fashion_mnist.onnx")
    size = model.get_inputs()[0].shape[2]
    classes = (folder / "data/fashion_mnist/classes.txt").read_text(encoding="utf-8").splitlines()
    files = sorted((folder / "data/fashion_mnist/images").glob("*/*.png"))
    labels = np.array([classes.index(file.parent.name) for file in files])
    for prepare in (centre_crop, plain_resize):
        found = []
        for part in np.array_split(np.array(files, object), max(1, len(files) // 100)):
            pictures = np.stack([np.asarray(prepare(Image.open(file).convert("RGB"), size)) for file in part])
            tensor = (pictures.astype(np.float32) / 255 - MEAN) / STD
            found.append(model.run(None, {"input": tensor.transpose(0, 3, 1, 2)})[0].argmax(1))
        hits = int((np.concatenate(found) == labels).sum())
        print(f"  {prepare.__name__}: top-1 {hits / len(files):.4f} ({hits} of {len(files)})")


# --- detection ------------------------------------------------------------------------------------------------------


def detect(model: onnxruntime.InferenceSession, file: Path, rtdetr: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The 100 best detections of one picture: boxes [100, 4] (x, y, w, h in pixels), labels, scores."""
    picture = np.asarray(Image.open(file).convert("RGB"), np.float32)
    height, width = picture.shape[:2]
    size = model.get_inputs()[0].shape[:1:-1]
    tensor = cv2.resize(picture, tuple(size), interpolation=cv2.INTER_LINEAR) / 255
    if not rtdetr:
        tensor = (tensor - MEAN) / STD
    logits, boxes = (output[0] for output in model.run(None, {"inputs": tensor.transpose(2, 0, 1)[None]}))
    scores = 1 / (1 + np.exp(-logits.astype(np.float64)))
    best = np.argsort(-scores, axis=None, kind="stable")[:100]
    query, label = np.divmod(best, logits.shape[1])
    centre, extent = boxes[query, :2], boxes[query, 2:]
    edges = np.hstack([centre - extent / 2, centre + extent / 2]).clip(0, 1) * [width, height, width, height]
    edges[:, 2:] -= edges[:, :2]
    return edges, label, scores.ravel()[best]


def score_detector(folder: Path) -> None:
    """COCO's average precision of the versions that ONNX Runtime can run."""
    from faster_coco_eval import COCO, COCOeval_faster

    for name, file_name in (
        ("detector_gridsample", "annotations.json"),
        ("rtdetr_gridsample", "annotations_from_0.json"),
    ):
        annotations = folder / "data/detector" / file_name
        truth = COCO(str(annotations))
        model = session(folder / f"models/{name}.onnx")
        results = []
        for image in json.loads(annotations.read_text(encoding="utf-8"))["images"]:
            file = folder / "data/detector/images" / image["file_name"]
            for box, label, value in zip(*detect(model, file, name.startswith("rtdetr")), strict=True):
                results.append(
                    {"image_id": image["id"], "category_id": int(label), "bbox": box.tolist(), "score": float(value)}
                )
        evaluation = COCOeval_faster(truth, truth.loadRes(results), "bbox", print_function=lambda *_: None)
        evaluation.run()
        ap, ap50, ap75, small, medium = evaluation.stats[:5]
        print(
            f"  {name}: AP {ap:.4f}, AP50 {ap50:.4f}, AP75 {ap75:.4f}, small {small:.4f}, medium {medium:.4f} "
            f"({len(truth.imgs)} pictures, {len(truth.anns)} objects)"
        )


# --- text -----------------------------------------------------------------------------------------------------------


def text_boxes(probability: np.ndarray, threshold: float, least: float, unclip: float) -> list[np.ndarray]:
    """Rectangles [4, 2] of the regions of a probability map, as DBNet's box representer finds them."""
    contours, _ = cv2.findContours((probability > threshold).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    found = []
    for contour in contours:
        rectangle = cv2.minAreaRect(contour)
        if min(rectangle[1]) < 3:
            continue
        corners = cv2.boxPoints(rectangle)
        mask = cv2.fillPoly(np.zeros(probability.shape, np.uint8), [corners.astype(np.int32)], 1)
        if probability[mask > 0].mean() < least:
            continue
        shape = Polygon(corners)
        offset = pyclipper.PyclipperOffset()
        offset.AddPath(corners.tolist(), pyclipper.JT_ROUND, pyclipper.ET_CLOSEDPOLYGON)
        grown = offset.Execute(shape.area * unclip / shape.length)
        rectangle = cv2.minAreaRect(np.array(grown[0], np.float32))
        if min(rectangle[1]) >= 5:
            found.append(cv2.boxPoints(rectangle))
    return found


def read_quadrilaterals(file: Path) -> tuple[list[Polygon], list[bool]]:
    """The lines of an ICDAR ground truth file and whether each is to be ignored."""
    rows = [line.split(",", 8) for line in file.read_text(encoding="utf-8").splitlines()]
    return [Polygon(np.array(row[:8], float).reshape(4, 2)) for row in rows], [row[8] == "###" for row in rows]


def match(truth: list[Polygon], ignored: list[bool], found: list[Polygon]) -> tuple[int, int, int]:
    """Matched, true and found boxes of one picture (IoU > 0.5, one to one), without those that lie on ignored text."""
    nobody = [region for region, skip in zip(truth, ignored, strict=True) if skip]
    wanted = [region for region, skip in zip(truth, ignored, strict=True) if not skip]
    kept = [box for box in found if not any(box.intersection(r).area > 0.5 * box.area for r in nobody)]
    free, hits = set(range(len(kept))), 0
    for region in wanted:
        for k in sorted(free):
            common = region.intersection(kept[k]).area
            if common > 0.5 * (region.area + kept[k].area - common):
                free.discard(k)
                hits += 1
                break
    return hits, len(wanted), len(kept)


def score_detection_of_text(folder: Path, name: str) -> None:
    """H-mean of one text detector on the rendered pages."""
    model = session(folder / f"models/{name}.onnx")
    totals = np.zeros(3, int)
    files = sorted((folder / "data/ocdnet/img").glob("*.jpg"))
    for file in files:
        picture = np.asarray(Image.open(file).convert("RGB"), np.float32)[..., ::-1]
        scale = np.array([picture.shape[1] / 1280, picture.shape[0] / 736])
        resized = cv2.resize(np.ascontiguousarray(picture), (1280, 736), interpolation=cv2.INTER_LINEAR)
        tensor = (resized - np.array([122.67891434, 116.66876762, 104.00698793], np.float32)) / 255
        probability = model.run(None, {"input": tensor.transpose(2, 0, 1)[None]})[0][0, 0]
        found = [Polygon(box * scale) for box in text_boxes(probability, 0.3, 0.55, 1.5)]
        totals += match(*read_quadrilaterals(folder / "data/ocdnet/gt" / f"gt_{file.stem}.txt"), found)
    hits, wanted, kept = totals
    precision, recall = hits / kept, hits / wanted
    h_mean = 2 * precision * recall / (precision + recall)
    print(f"  {name}: H-mean {h_mean:.4f}, precision {precision:.4f}, recall {recall:.4f} ", end="")
    print(f"({len(files)} pages, {wanted} lines)")


def score_ocr(folder: Path) -> None:
    """H-mean of text detection and exact matches of recognition."""
    for name in ("ocdnet", "ocdnet_small"):
        if (folder / f"models/{name}.onnx").exists():
            score_detection_of_text(folder, name)
    model = session(folder / "models/ocrnet/ocrnet.onnx")
    characters = (folder / "models/ocrnet/characters.txt").read_bytes().decode().split("\n")[:-1]
    rows = [row.split("\t") for row in (folder / "data/ocrnet/gt.txt").read_text(encoding="utf-8").splitlines()]
    exact = loose = 0
    for name, label in rows:
        picture = Image.open(folder / "data/ocrnet/img" / name).convert("L").resize((320, 48), Image.Resampling.BICUBIC)
        tensor = (np.asarray(picture, np.float32) / 255 - 0.5) / 0.5
        ids = model.run(["output_id"], {"input": tensor[None, None]})[0][0]
        kept_ids = ids[np.diff(ids, prepend=-1) != 0]
        # A line of gt.txt cannot state blanks at its ends, so they are not compared.
        text = "".join(characters[k - 1] for k in kept_ids if k).strip(" ")
        exact += text == label
        loose += text.replace(" ", "") == label.replace(" ", "")
    print(
        f"  ocrnet: exact {exact / len(rows):.4f}, without regard to spaces {loose / len(rows):.4f} ({len(rows)} lines)"
    )


# --- pairs ----------------------------------------------------------------------------------------------------------


def pixels(file: Path, size: tuple[int, int]) -> np.ndarray:
    """A picture as [3, h, w] float32 in 0..1, stretched to (height, width) on float pixels."""
    picture = np.asarray(Image.open(file).convert("RGB"), np.float32)
    return cv2.resize(picture, size[::-1], interpolation=cv2.INTER_LINEAR).transpose(2, 0, 1) / 255


def inspection_scores(folder: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    """What one of the inspection toys says about every pair [N], and whether the pair is a defect [N]."""
    model = session(folder / f"models/{name}.onnx")
    root, mean, std = folder / "data/inspection", MEAN[:, None, None], STD[:, None, None]
    rows = [line.split(",") for line in (root / "pairs.csv").read_text(encoding="utf-8").splitlines()[1:]]
    lights, scores = ("LowAngleLight", "SolderLight", "UniformLight", "WhiteLight"), []
    for unit, golden, part, _ in rows:
        feeds = {}
        for key, where in (("input_1", unit), ("input_2", golden)):
            tiles = [pixels(root / "images" / where / f"{part}_{light}.jpg", (48, 64)) for light in lights]
            feeds[key] = ((np.concatenate(tiles, axis=1) - mean) / std)[None]
        found = model.run(None, feeds)
        if len(found) == 2:
            scores.append(float(np.sqrt(((found[0] - found[1]) ** 2).sum())))
        elif found[0].shape == (1, 2):
            scores.append(float(1 / (1 + np.exp(found[0][0, 0] - found[0][0, 1]))))
        else:
            scores.append(float(found[0].item()))
    return np.array(scores), np.array([row[3] != "PASS" for row in rows])


def change_confusion(folder: Path) -> np.ndarray:
    """Pixels of all scenes by truth and prediction [2, 2], at the size of the pictures."""
    model, root = session(folder / "models/change_segment.onnx"), folder / "data/change"
    counts = np.zeros((2, 2), int)
    for name in (root / "list/test.txt").read_text(encoding="utf-8").split():
        before, after = (pixels(root / part / name, (96, 96))[None] * 2 - 1 for part in "AB")
        final = model.run(["output_final"], {"input0": before, "input1": after})[0][0]
        truth = np.asarray(Image.open(root / "label" / name.replace(".jpg", ".png"))) > 0
        small = Image.fromarray(final.argmax(axis=0).astype(np.uint8))
        found = np.asarray(small.resize(truth.shape[::-1], Image.Resampling.NEAREST)) > 0
        for i in (0, 1):
            for j in (0, 1):
                counts[i, j] += int(((truth == i) & (found == j)).sum())
    return counts


def score_pairs(folder: Path) -> None:
    """Accuracy of the inspection toys at the margins of their specs, IoU of the change toy."""
    for name, margin in (
        ("optical_inspection", 1.0), ("change_classify_euclidean", 1.0), ("change_classify_learnable", 0.5),
    ):  # fmt: skip
        scores, defect = inspection_scores(folder, name)
        right, found = (scores > margin) == defect, scores[defect] > margin
        print(
            f"  {name}: total accuracy {100 * right.mean():.2f} %, of the defects {100 * found.mean():.2f} %, "
            f"margin {margin} ({len(defect)} pairs, {defect.sum()} defects)"
        )
    counts = change_confusion(folder)
    iou = np.diag(counts) / (counts.sum(0) + counts.sum(1) - np.diag(counts))
    print(f"  change_segment: mIoU {iou.mean():.4f}, IoU of change {iou[1]:.4f} ({counts.sum()} pixels)")


# --- segmentation ----------------------------------------------------------------------------------------------------


def segmentation_confusion(folder: Path) -> np.ndarray:
    """Pixels of all pictures by truth and prediction [6, 6], at the size of the pictures."""
    model, root = session(folder / "models/segformer.onnx"), folder / "data/segmentation"
    rows = yaml.safe_load((root / "palette.yaml").read_text(encoding="utf-8"))
    label = {row["seg_class"]: row["label_id"] for row in rows}
    found_as = sorted({label[row["mapping_class"]] for row in rows})
    class_of = np.zeros(256, int)
    for row in rows:
        class_of[row["label_id"]] = found_as.index(label[row["mapping_class"]])
    counts = np.zeros((len(found_as),) * 2, int)
    for file in sorted((root / "images/test").glob("*.jpg")):
        picture = Image.open(file).convert("RGB")
        small = np.asarray(picture.resize((160, 160), Image.Resampling.BILINEAR)).astype(np.float32)
        logits = model.run(None, {"input": (small / 127.5 - 1).transpose(2, 0, 1)[None]})[0][0]
        best = Image.fromarray(logits.argmax(axis=0).astype(np.uint8)).resize(picture.size, Image.Resampling.NEAREST)
        truth = class_of[np.asarray(Image.open(root / "masks/test" / f"{file.stem}.png"))]
        np.add.at(counts, (truth, np.asarray(best)), 1)
    return counts


def score_segmentation(folder: Path) -> None:
    """IoU of the toy."""
    counts = segmentation_confusion(folder)
    iou = np.diag(counts) / (counts.sum(0) + counts.sum(1) - np.diag(counts))
    listed = ", ".join(f"{value:.3f}" for value in iou)
    print(f"  segformer: mIoU {iou.mean():.4f} ({listed}), accuracy {np.trace(counts) / counts.sum():.4f}")


# --- metric learning -------------------------------------------------------------------------------------------------


def stretched_crop(picture: Image.Image, size: int) -> Image.Image:
    """Stretch to 1.14 times the size (bilinear), cut the middle: what `ml_recog` does."""
    larger = int(1.14 * size)
    left = round((larger - size) / 2)
    stretched = picture.resize((larger, larger), Image.Resampling.BILINEAR)
    return stretched.crop((left, left, left + size, left + size))


def embed(model: onnxruntime.InferenceSession, files: list[Path]) -> np.ndarray:
    """Embeddings of length 1."""
    size = model.get_inputs()[0].shape[2]
    rows = []
    for first in range(0, len(files), 100):
        pictures = [stretched_crop(Image.open(file).convert("RGB"), size) for file in files[first : first + 100]]
        tensor = (np.stack([np.asarray(picture) for picture in pictures]).astype(np.float32) / 255 - MEAN) / STD
        rows.append(model.run(None, {"input": tensor.transpose(0, 3, 1, 2)})[0])
    embedded = np.concatenate(rows).astype(np.float64)
    return embedded / np.linalg.norm(embedded, axis=1, keepdims=True)


def score_retrieval(folder: Path) -> None:
    """Recall@k, and the mean of the classes, of scikit-learn's nearest neighbours."""
    from sklearn.neighbors import NearestNeighbors

    model = session(folder / "models/embedding.onnx")
    gallery, queries = (sorted((folder / "data/retrieval" / part).glob("*/*.png")) for part in ("gallery", "query"))
    known, asked = (np.array([file.parent.name for file in files]) for files in (gallery, queries))
    search = NearestNeighbors(n_neighbors=5, algorithm="brute").fit(embed(model, gallery))
    right = known[search.kneighbors(embed(model, queries), return_distance=False)] == asked[:, None]
    for k in (1, 5):
        hits = right[:, :k].any(axis=1)
        mean = np.mean([hits[asked == name].mean() for name in np.unique(asked)])
        print(f"  recall@{k} {hits.mean():.4f}, mean of classes {mean:.4f} ({len(queries)} of {len(gallery)})")


GROUPS: dict[str, Callable[[Path], None]] = {
    "fashion_mnist": score_fashion_mnist,
    "detector": score_detector,
    "ocr": score_ocr,
    "pairs": score_pairs,
    "segmentation": score_segmentation,
    "retrieval": score_retrieval,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="what prepare.py wrote")
    parser.add_argument("--only", default=",".join(GROUPS), help="groups, separated by commas")
    args = parser.parse_args()
    for group in args.only.split(","):
        print(group)
        start = time.monotonic()
        GROUPS[group](args.folder)
        print(f"  {time.monotonic() - start:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
