# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""What the classification commands share: class lists, evaluation on a folder per class, csv and annotated pictures."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nvidia_tao_deploy.data.class_folders import check_count, folder_classes, labelled_pictures, read_class_map
from nvidia_tao_deploy.data.pictures import picture_samples
from nvidia_tao_deploy.decode.classes import DecodeClasses
from nvidia_tao_deploy.errors import SpecError
from nvidia_tao_deploy.network import Evaluation, Inference, Sample
from nvidia_tao_deploy.signature import Binding
from nvidia_tao_deploy.spec.fields import option

if TYPE_CHECKING:
    from nvidia_tao_deploy.network import Writer

logger = logging.getLogger(__name__)
OPEN_SIZE = (3, 224, 224)
"""(C,H,W) where neither the model nor the spec says another."""


@dataclass
class AnnotateKeys:
    """Keys of `inference` in every classification command."""

    annotate: bool = option(False, "also write images_annotated/: each picture with its most likely classes on it")
    annotate_top_k: int = option(3, "number of classes shown there", minimum=1)


@dataclass
class InputSizeKey:
    """Key of `model_config` in the commands with protobuf-text specs."""

    input_image_size: str = option("", "'channels,height,width', for a model that leaves them open")


def open_size(text: str) -> tuple[int, int, int]:
    """(C,H,W) of `model_config.input_image_size`; OPEN_SIZE where it is not set. Raises SpecError for another form."""
    if not text:
        return OPEN_SIZE
    numbers = re.fullmatch(r"\s*([13])\s*,\s*([1-9]\d*)\s*,\s*([1-9]\d*)\s*", text)
    if numbers is None:
        raise SpecError(f"model_config.input_image_size: '{text}': expected 'channels,height,width', such as 3,224,224")
    channels, height, width = map(int, numbers.groups())
    return channels, height, width


def fixed_axes(size: tuple[int, int, int]) -> dict[str, tuple[int, int, int]]:
    """(C,H,W) as the bounds of open axes: no range, one size."""
    return {symbol: (length,) * 3 for symbol, length in zip("CHW", size, strict=True)}


def class_count(binding: Binding, output: str) -> int:
    """Number of classes of the model (-1: open); a single output column is the score of the second of two."""
    columns = binding.size(output, 1)
    return 2 if columns == 1 else columns


def numbered(count: int, key: str) -> tuple[str, ...]:
    """Numbers for names, with a warning; `key` would give names."""
    logger.warning("No class list: classes are named by number. Set %s for names.", key)
    return tuple(map(str, range(count)))


def class_names(classmap: str, key: str, folders: Path, count: int, insist: bool) -> tuple[str, ...]:
    """Class names: those of the class map, else the folders in alphabetical order.

    Args:
        classmap: file, or "".
        key: its spec key, for messages.
        folders: root whose folders are named after the classes.
        count: classes of the model.
        insist: folders that do not fit the model are an error; else the result is then ().

    Raises:
        DataError: the class map cannot be used, or the number of classes is not the model's.
    """
    if classmap:
        names = read_class_map(Path(classmap), key)
        check_count(names, count, classmap, key)
        return names
    names = folder_classes(folders)
    if not insist and len(names) != count:
        return ()
    if names:
        check_count(names, count, folders, key)
    return names


def class_writers(keys: AnnotateKeys, samples: Sequence[Sample], classes: Sequence[str], folder: Path) -> list[Writer]:
    """result.csv, and annotated pictures where they are asked for."""
    from nvidia_tao_deploy.render.class_csv import ClassCsv
    from nvidia_tao_deploy.render.names import ResultNames
    from nvidia_tao_deploy.render.top_classes import TopClassPictures

    writers: list[Writer] = [ClassCsv(folder / "result.csv", classes)]
    if keys.annotate:
        writers.append(TopClassPictures(folder, ResultNames(samples), classes, keys.annotate_top_k))
    return writers


def decoder(binding: Binding, output: str) -> DecodeClasses:
    """The decoder of a classifier; a warning where nothing tells what a single score is."""
    known = binding.probabilities.get(output)
    if known is None and binding.outputs[output].shape[1:] == (1,):
        logger.warning(
            "nothing tells whether the score '%s' is a logit or a probability: it counts as a probability where all "
            "scores of a batch are within 0..1. The json beside an engine that is built here says it.",
            binding.outputs[output].name,
        )
    return DecodeClasses(output, known)


def folder_evaluation(
    root: Path, root_key: str, binding: Binding, output: str, classmap: str, classmap_key: str, top_k: int
) -> Evaluation:
    """Evaluation on a folder per class: accuracy of the `top_k` best, which is the headline, and of the first."""
    from nvidia_tao_deploy.metrics.classification import TopK

    classes = class_names(classmap, classmap_key, root, class_count(binding, output), insist=True)
    samples = labelled_pictures(root, classes, root_key, classmap)
    if top_k > len(classes):
        logger.warning("top_k is %d, but there are only %d classes: it is %d", top_k, len(classes), len(classes))
    k = min(top_k, len(classes))
    return Evaluation(samples, decoder(binding, output), TopK(classes, tuple(dict.fromkeys((k, 1)))))


def folder_inference(
    root: str | Path,
    root_key: str,
    binding: Binding,
    output: str,
    classmap: str,
    classmap_key: str,
    keys: AnnotateKeys,
    results_dir: Path,
    folders: Path | None = None,
) -> Inference:
    """Inference on pictures: result.csv (picture, class, probability).

    Args:
        folders: where folders are named after classes, for names without a class map; None: `root`.
    """
    samples = picture_samples(root, key=root_key)
    count = class_count(binding, output)
    classes = class_names(classmap, classmap_key, folders or Path(root), count, insist=False)
    classes = classes or numbered(count, classmap_key)
    return Inference(samples, decoder(binding, output), class_writers(keys, samples, classes, results_dir))
