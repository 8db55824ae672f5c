# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""The example models and data, cut down so that one network's tests take less than a minute of a GPU.

The machine's time goes into ONNX Runtime on the CPU, which computes the figures to compare with, so both sides see the
first PER_CLASS pictures of each class of Fashion-MNIST (1000 in all; the gallery and the queries likewise), the first
IMAGES of the detector's, and all pictures of the other examples (20 to 200). GPU_CACHE in the environment names a
folder that jobs running side by side share; TensorRT's timing cache is kept there, and a line of JSON per engine in
figures.jsonl. The cache begins with TIMINGS, what earlier runs timed on one kind of GPU (others leave it out with a
warning): TensorRT 8.5 compiles and times the kernels of each text model for 12 minutes in FP32 alone. GPU_OVERRIDES
holds spec overrides for every build, with blanks between them: for example
gen_trt_engine.tensorrt.tactic_sources=[CUBLAS,CUBLAS_LT], which leaves out convolutions that are compiled anew.
"""

from __future__ import annotations

import json
import lzma
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

PER_CLASS = 100
IMAGES = 64
TIMINGS = Path(__file__).with_name("timings-8.5.3.1-h100.cache.xz")
"""Models: all in FP32 and FP16, deformable_detr in INT8, ocrnet in INT8 with Q/DQ. Replace it by a longer one."""
THREADS = "4"
"""Of each ONNX Runtime process, unless TAO_DEPLOY_THREADS says otherwise."""


def limited(demo: Path, folder: Path) -> Path:
    """`folder/demo`: links into `demo`, with fewer pictures of clothes and for detectors."""
    made = folder / "demo"
    cut = {
        "fashion_mnist": _classes,
        "detector": _detector,
        "fashion_mnist_tables": _tables,
        "retrieval": _retrieval,
    }
    (made / "data").mkdir(parents=True)
    for path in sorted(demo.iterdir()):
        if path.name not in ("data", "results"):
            (made / path.name).symlink_to(path)
    for path in sorted((demo / "data").iterdir()):
        target = made / "data" / path.name
        if path.name in cut:
            target.mkdir()
            cut[path.name](path, target)
        else:
            target.symlink_to(path)
    return made


def timing_cache(folder: Path) -> Path:
    """The file that builds share: in GPU_CACHE, or in `folder`."""
    shared = Path(os.environ.get("GPU_CACHE") or folder).resolve()
    shared.mkdir(parents=True, exist_ok=True)
    found = shared / "timing.cache"
    if not found.exists():
        own = shared / f"timing.{os.getpid()}"
        own.write_bytes(lzma.decompress(TIMINGS.read_bytes()))
        with suppress(FileExistsError):  # another job was faster
            os.link(own, found)
        own.unlink()
    return found


def overrides() -> list[str]:
    """What GPU_OVERRIDES says."""
    return os.environ.get("GPU_OVERRIDES", "").split()


def note(folder: Path, **facts: Any) -> None:
    """Append one line to figures.jsonl beside the timing cache."""
    with (timing_cache(folder).parent / "figures.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(facts) + "\n")


def _classes(source: Path, target: Path) -> None:
    _link_others(source, target, {"images"})
    _first_of_each(source / "images", target / "images")


def _retrieval(source: Path, target: Path) -> None:
    _link_others(source, target, {"gallery", "query"})
    for part in ("gallery", "query"):
        _first_of_each(source / part, target / part)


def _first_of_each(source: Path, target: Path) -> None:
    """The first pictures of each class; one folder per class."""
    for pictures in sorted(path for path in source.iterdir() if path.is_dir()):
        chosen = target / pictures.name
        chosen.mkdir(parents=True)
        for path in sorted(pictures.iterdir())[:PER_CLASS]:
            (chosen / path.name).symlink_to(path)


def _detector(source: Path, target: Path) -> None:
    tables = sorted(source.glob("annotations*.json"))
    _link_others(source, target, {"images", *(path.name for path in tables)})
    names: set[str] = set()
    for path in tables:
        table: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        table["images"] = sorted(table["images"], key=lambda image: image["file_name"])[:IMAGES]
        known = {image["id"] for image in table["images"]}
        names |= {image["file_name"] for image in table["images"]}
        table["annotations"] = [item for item in table["annotations"] if item["image_id"] in known]
        (target / path.name).write_text(json.dumps(table), encoding="utf-8")
    (target / "images").mkdir()
    for name in sorted(names):
        (target / "images" / name).symlink_to(source / "images" / name)


def _tables(source: Path, target: Path) -> None:
    """The labels of those pictures that `_classes` takes; the first column is `<class>/<file>`."""
    _link_others(source, target, {"labels.csv"})
    head, *rows = (source / "labels.csv").read_text(encoding="utf-8").splitlines()
    taken: dict[str, int] = {}
    kept = []
    for row in sorted(rows):
        label = row.split("/")[0]
        taken[label] = taken.get(label, 0) + 1
        if taken[label] <= PER_CLASS:
            kept.append(row)
    (target / "labels.csv").write_text("\n".join([head, *kept]) + "\n", encoding="utf-8")


def _link_others(source: Path, target: Path, but: set[str]) -> None:
    for path in sorted(source.iterdir()):
        if path.name not in but:
            (target / path.name).symlink_to(path)
