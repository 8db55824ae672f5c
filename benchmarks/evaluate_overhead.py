# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Share of `evaluate` that is neither reading and preprocessing nor the engine, for the networks of the examples.

    python examples/prepare.py demo
    python benchmarks/evaluate_overhead.py demo [--networks lprnet,ml_recog] [--pictures 10000] [--side 0]

Each network's command runs once, in a process of its own that may use one core: there nothing can hide behind something
else, and the wall time of an undisturbed run is the sum of the CPU times of its parts. CPU time is what is added up, so
that other work on the machine does not count:

    reading   what the worker threads spend on batches: opening, decoding, resizing, normalising, masks
    engine    what ONNX Runtime spends on batches, one thread
    outside   the rest of the process from its first instruction to its last: imports, spec, loading the engine, listing
              the data set, moving batches, decoding outputs, the metric, writing results, tables

`share` is outside / all, `no engine` is outside / (all - engine): as if a GPU took no time at all. `start` is the part
of outside before the first picture is read: most of it does not grow with the data. `picture` is what is left of
outside, per picture, and `cores` how many reading cores it can keep busy: it is the work of one thread, while all cores
read.

Data: the example pictures, linked under new names until there are enough, so that each is opened and decoded; fewer
where a CPU would take hours (`MOST`): what is outside grows with their number, and its share stays the same. Clothes
have 36 x 36 pixels there, parts 96 x 72, scenes 160 x 120, and one of them is read in 0.3 ms. They are enlarged until
their shorter side has 360 pixels (`--side`), still less than a photograph has: JPEG files, the labels of scenes PNG.
`--side 0` leaves them as they are, the hardest case.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.timing import ROOT, as_installed

SPECS = ROOT / "examples/specs"
MOST = {"ocdnet": 500}
"""Pictures of networks whose engine takes long on a CPU."""
ENLARGED = ("fashion_mnist", "retrieval", "inspection", "change")
"""Folders of data with the smallest pictures."""


def enlarged(demo: Path, side: int) -> Path:
    """A demo folder of which the pictures of `ENLARGED` have a shorter side of `side`; everything else is linked."""
    target = Path(tempfile.mkdtemp(prefix="enlarged")) / "demo"
    for item in (*demo.glob("models"), *demo.glob("data/*")):
        link = target / item.relative_to(demo)
        if item.name in ENLARGED:
            for file in (file for file in item.rglob("*") if file.is_file()):
                copy = link / file.relative_to(item)
                copy.parent.mkdir(parents=True, exist_ok=True)
                if file.suffix in (".png", ".jpg"):
                    enlarge(file, copy, side, label=file.parent.name == "label")
                else:
                    copy.symlink_to(file)
        else:
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(item)
    return target


def enlarge(file: Path, copy: Path, side: int, label: bool) -> None:
    """Write a picture in another size. The name stays, because tables name it; readers look at the content."""
    from PIL import Image

    picture = Image.open(file)
    factor = side / min(picture.size)
    size = (round(picture.width * factor), round(picture.height * factor))
    if label:  # classes: no values in between
        picture.resize(size, Image.Resampling.NEAREST).save(copy, "PNG")
    else:
        picture.resize(size, Image.Resampling.BICUBIC).save(copy, "JPEG", quality=90)


def linked(source: Path, target: Path, count: int, suffix: str = "") -> list[str]:
    """Links to the files of a folder, again and again, as 00000_NAME; returns their names."""
    target.mkdir(parents=True)
    files = sorted(file for file in source.iterdir() if file.name.endswith(suffix))
    names = [f"{index:05}_{files[index % len(files)].name}" for index in range(count)]
    for index, name in enumerate(names):
        (target / name).symlink_to(files[index % len(files)].resolve())
    return names


def classification_pyt(demo: Path, work: Path, count: int) -> list[str]:
    images = classes(demo, work, count)
    return [
        "-e", f"{SPECS}/classification_pyt.yaml", f"evaluate.trt_engine={demo}/models/fashion_mnist.onnx",
        f"dataset.test_dataset.images_dir={images}", f"dataset.root_dir={demo}/data/fashion_mnist",
    ]  # fmt: skip


def classification_tf1(demo: Path, work: Path, count: int) -> list[str]:
    return [
        "-e", f"{SPECS}/classification_tf1.txt", "-r", f"{work}/results", "-b", "32",
        "-m", f"{demo}/models/fashion_mnist_tf1.onnx", "-i", f"{classes(demo, work, count)}",
        "-c", f"{demo}/data/fashion_mnist_tables/classmap.json",
    ]  # fmt: skip


def classification_tf2(demo: Path, work: Path, count: int) -> list[str]:
    return [
        "-e", f"{SPECS}/classification_tf2.yaml", f"evaluate.trt_engine={demo}/models/fashion_mnist_tf2.onnx",
        f"evaluate.dataset_path={classes(demo, work, count)}",
        f"evaluate.classmap={demo}/data/fashion_mnist_tables/classmap.json",
    ]  # fmt: skip


def multitask_classification(demo: Path, work: Path, count: int) -> list[str]:
    tables = demo / "data/fashion_mnist_tables"
    with (tables / "labels.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    images = work / "images"
    images.mkdir()
    for index in range(count):
        (images / f"{index:05}.png").symlink_to(
            (demo / "data/fashion_mnist/images" / rows[index % len(rows)][0]).resolve()
        )
    with (work / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(
            [header, *([f"{index:05}.png", *rows[index % len(rows)][1:]] for index in range(count))]
        )
    return [
        "-e", f"{SPECS}/multitask_classification.txt", "-r", f"{work}/results", "-b", "32",
        "-m", f"{demo}/models/fashion_mnist_tasks.onnx", "-cm", f"{tables}/class_mapping.json", "-i", f"{images}",
        f"dataset_config.val_csv_path={work}/labels.csv",
    ]  # fmt: skip


def lprnet(demo: Path, work: Path, count: int) -> list[str]:
    plates = demo / "data/lprnet"
    linked(plates / "image", work / "image", count)
    linked(plates / "label", work / "label", count)
    sources = f"[{{image_directory_path: {work}/image, label_directory_path: {work}/label}}]"
    return [
        "-e", f"{SPECS}/lprnet.txt", "-r", f"{work}/results", "-b", "16", "-m", f"{demo}/models/lprnet/lprnet.onnx",
        f"dataset_config.characters_list_file={demo}/models/lprnet/characters.txt",
        f"dataset_config.validation_data_sources={sources}",
    ]  # fmt: skip


def ml_recog(demo: Path, work: Path, count: int) -> list[str]:
    """Gallery and queries count alike: the gallery is embedded in this run."""
    return [
        "-e", f"{SPECS}/ml_recog.yaml", f"evaluate.trt_engine={demo}/models/embedding.onnx",
        "dataset.gallery_cache=false", f"dataset.val_dataset.reference={demo}/data/retrieval/gallery",
        f"dataset.val_dataset.query={classes(demo, work, count, 'retrieval/query')}",
        f"dataset.class_map={demo}/data/retrieval/classes.yaml",
    ]  # fmt: skip


def ocrnet(demo: Path, work: Path, count: int) -> list[str]:
    lines = (demo / "data/ocrnet/gt.txt").read_text(encoding="utf-8").splitlines()
    truth = dict(line.split("\t", 1) for line in lines)
    names = linked(demo / "data/ocrnet/img", work / "img", count)
    table = "".join(f"{name}\t{truth[name[6:]]}\n" for name in names)
    (work / "gt.txt").write_text(table, encoding="utf-8")
    return [
        "-e", f"{SPECS}/ocrnet.yaml", f"evaluate.trt_engine={demo}/models/ocrnet/ocrnet.onnx",
        f"dataset.character_list_file={demo}/models/ocrnet/characters.txt",
        f"evaluate.test_dataset_dir={work}/img", f"evaluate.test_dataset_gt_file={work}/gt.txt",
    ]  # fmt: skip


def ocdnet(demo: Path, work: Path, count: int) -> list[str]:
    pages = demo / "data/ocdnet"
    for name in linked(pages / "img", work / "pages/img", count):
        truth = work / f"pages/gt/gt_{Path(name).stem}.txt"
        truth.parent.mkdir(exist_ok=True)
        truth.symlink_to((pages / f"gt/gt_{Path(name[6:]).stem}.txt").resolve())
    return [
        "-e", f"{SPECS}/ocdnet.yaml", f"evaluate.trt_engine={demo}/models/ocdnet.onnx",
        f"dataset.validate_dataset.data_path=[{work}/pages]",
    ]  # fmt: skip


def optical_inspection(demo: Path, work: Path, count: int) -> list[str]:
    data = demo / "data/inspection"
    header, *rows = (data / "pairs.csv").read_text(encoding="utf-8").splitlines()
    lines = [header, *(rows[index % len(rows)] for index in range(count))]
    (work / "pairs.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return [
        "-e", f"{SPECS}/optical_inspection.yaml", f"evaluate.trt_engine={demo}/models/optical_inspection.onnx",
        f"dataset.test_dataset.csv_path={work}/pairs.csv", f"dataset.test_dataset.images_dir={data}/images",
    ]  # fmt: skip


def visual_changenet(demo: Path, work: Path, count: int) -> list[str]:
    """Without pictures, which are no part of scoring; `--keys evaluate.save_pictures=true` has them, in outside."""
    for part in ("A", "B", "label"):
        names = linked(demo / "data/change" / part, work / "change" / part, count)
        if part == "A":
            (work / "change/list").mkdir()
            (work / "change/list/test.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    return [
        "-e", f"{SPECS}/visual_changenet.yaml", f"evaluate.trt_engine={demo}/models/change_segment.onnx",
        f"dataset.segment.root_dir={work}/change", "evaluate.save_pictures=false",
    ]  # fmt: skip


def segformer(demo: Path, work: Path, count: int) -> list[str]:
    for part in ("images", "masks"):
        linked(demo / "data/segmentation" / part / "test", work / "data" / part / "test", count)
    return [
        "-e", f"{SPECS}/segformer.yaml", f"evaluate.trt_engine={demo}/models/segformer.onnx",
        f"dataset.segment.root_dir={work}/data",
    ]  # fmt: skip


def classes(demo: Path, work: Path, count: int, source: str = "fashion_mnist/images") -> Path:
    """A folder per class, together with `count` pictures."""
    folders = sorted(folder for folder in (demo / "data" / source).iterdir() if folder.is_dir())
    for index, folder in enumerate(folders):
        linked(
            folder, work / "classes" / folder.name, count * (index + 1) // len(folders) - count * index // len(folders)
        )
    return work / "classes"


NETWORKS: dict[str, Callable[[Path, Path, int], list[str]]] = {
    function.__name__: function
    for function in (
        classification_pyt, classification_tf1, classification_tf2, multitask_classification, lprnet, ml_recog, ocrnet,
        ocdnet, optical_inspection, segformer, visual_changenet,
    )
}  # fmt: skip


class Clock:
    """Adds up the CPU time of calls, each in its own thread."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.sizes: list[int] = []  # how many items each call returned
        self.first: float | None = None  # CPU time of the process when the first call began
        self._lock = threading.Lock()

    def timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            if self.first is None:
                self.first = time.process_time()
            start = time.thread_time()
            found = function(*arguments)
            spent = time.thread_time() - start
            with self._lock:
                self.seconds += spent
                self.sizes.append(len(found))
            return found

        return call


def measure(network: str, words: Sequence[str], output: Path) -> int:
    """In the child process: run the command with reading and engine timed; CPU seconds go to `output` as JSON."""
    import cv2

    from nvidia_tao_deploy.cli import main as command
    from nvidia_tao_deploy.engine.onnxruntime.backend import OnnxRuntimeEngine
    from nvidia_tao_deploy.pipeline.reading import Reader

    cv2.setNumThreads(1)
    reading, engine = Clock(), Clock()
    for owner, name, clock in (
        (Reader, "_read_rows", reading), (Reader, "_read_single", reading), (OnnxRuntimeEngine, "_run", engine),
    ):  # fmt: skip
        setattr(owner, name, clock.timed(getattr(owner, name)))
    start = time.monotonic()
    code = command(network, ["evaluate", *words])
    found = {
        "all": time.process_time(),
        "wall": time.monotonic() - start,
        "reading": reading.seconds,
        "engine": engine.seconds,
        "start": reading.first,
        "pictures": sum(reading.sizes),
    }
    output.write_text(json.dumps(found), encoding="utf-8")
    return code


def run(network: str, demo: Path, count: int, keys: Sequence[str]) -> dict[str, float]:
    """Measure one network in a process that may use one core."""
    core = max(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        words = [*NETWORKS[network](demo, work, count), *keys]
        if "-r" not in words:
            words.append(f"results_dir={work}/results")
        environment = {
            **as_installed(), "TAO_DEPLOY_THREADS": "1", "TAO_DEPLOY_WORKERS": "1", "OMP_NUM_THREADS": "1",
            "TAO_DEPLOY_BACKEND": "onnxruntime",
        }  # fmt: skip
        done = subprocess.run(
            [sys.executable, __file__, "--child", network, str(work / "times.json"), *words],
            env=environment, capture_output=True, text=True, preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        )  # fmt: skip
        if done.returncode:
            raise SystemExit(f"{network} ended with {done.returncode}:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
        found: dict[str, float] = json.loads((work / "times.json").read_text(encoding="utf-8"))
        return found


def rows(arguments: argparse.Namespace) -> Iterator[float]:
    """Measure and print one network after the other; yields the shares."""
    print(f"{'':26s}pictures  reading   engine  outside  share  no engine    start  picture  cores")
    demo = arguments.demo.resolve()
    if arguments.side:
        demo = enlarged(demo, arguments.side)
    for network in arguments.networks:
        count = min(arguments.pictures, MOST.get(network, arguments.pictures))
        found = run(network, demo, count, arguments.keys)
        outside = found["all"] - found["reading"] - found["engine"]
        each = (outside - found["start"]) / found["pictures"]
        share = outside / found["all"]
        without = outside / (outside + found["reading"])
        print(
            f"{network:26s}{found['pictures']:8.0f} {found['reading']:7.2f} s {found['engine']:6.1f} s {outside:6.2f} s"
            f" {share:6.3f} {without:10.3f} {found['start']:6.2f} s {1e6 * each:5.0f} us"
            f" {found['reading'] / found['pictures'] / each:6.1f}",
            flush=True,
        )
        yield share
    if arguments.side:
        shutil.rmtree(demo.parent)


def main() -> int:
    """Print the table; 0 when every share is at most --most."""
    if sys.argv[1:2] == ["--child"]:
        return measure(sys.argv[2], sys.argv[4:], Path(sys.argv[3]))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("demo", type=Path, help="folder that examples/prepare.py filled")
    parser.add_argument("--pictures", type=int, default=10000)
    parser.add_argument("--side", type=int, default=360, help="shorter side of the smallest pictures; 0: their own")
    parser.add_argument("--networks", type=lambda text: text.split(","), default=list(NETWORKS))
    parser.add_argument("--keys", nargs="*", default=[], metavar="KEY=VALUE", help="more spec overrides")
    parser.add_argument("--most", type=float, default=0.10, help="exit code 1 when a share is larger")
    arguments = parser.parse_args()
    return 0 if max(rows(arguments)) <= arguments.most else 1


if __name__ == "__main__":
    sys.exit(main())
