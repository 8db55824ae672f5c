# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Embedded reference pictures: nearest neighbours among them, and the file that keeps them from run to run."""

from __future__ import annotations

import hashlib
import io
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nvidia_tao_deploy.errors import DataError, TaoDeployError
from nvidia_tao_deploy.files import write_atomic
from nvidia_tao_deploy.network import Frame, Sample
from nvidia_tao_deploy.predictions import Embedding
from nvidia_tao_deploy.version import __version__

if TYPE_CHECKING:
    import numpy as np
    from threadpoolctl import ThreadpoolController

logger = logging.getLogger(__name__)

PRODUCTS_AT_ONCE = 1 << 22
"""Values of one matrix product, 16 MB as float32: bounds the memory of a search whatever the sizes."""

SPARE = 8
"""Candidates beyond k that are measured exactly: the products round, so the last of k may be in doubt."""

GROUP = 32
"""Values of a row that are represented by their smallest one in the first step of a search."""

WORTH_THREADS = 1 << 30
"""Multiplications from which on a product is spread over all cores. Below, waiting for cores that the engine and the
reading threads keep busy takes many times longer than the product itself."""


EXTERNAL = b"\x0a\x08location"
"""What protobuf writes in an ONNX file for weights that lie in another one: the key of the entry that names it."""


@dataclass(frozen=True, slots=True)
class GalleryCache:
    """The file that keeps a gallery, and what decides whether it still holds.

    Attributes:
        file: a NumPy .npz file.
        engine: the engine file; its content counts, and that of the files beside it that hold its weights.
        preprocessing: everything else that the embeddings depend on, as text.
    """

    file: Path
    engine: Path
    preprocessing: str

    def key(self, samples: Sequence[Sample]) -> dict[str, Any]:
        """What must be equal. Pictures are told by name, size and time of change: reading them all would take as long
        as half of what the cache saves."""
        digest = hashlib.sha256()
        for sample in samples:
            found = sample.path.stat() if sample.path.exists() else None
            facts = (str(sample.path.absolute()), found and found.st_size, found and found.st_mtime_ns)
            digest.update(repr(facts).encode(errors="surrogateescape"))
        return {
            "version": __version__,
            "engine_sha256": _sha256(self.engine),
            "preprocessing": self.preprocessing,
            "pictures": len(samples),
            "pictures_sha256": digest.hexdigest(),
        }

    def load(self, key: Mapping[str, Any], count: int) -> np.ndarray | None:
        """The (count,D) embeddings when the file is there and its key is this one; says why not otherwise."""
        import numpy as np

        if not self.file.is_file():
            return None
        try:
            with np.load(self.file, allow_pickle=False) as stored:
                found = json.loads(str(stored["key"]))
                vectors = stored["embeddings"]
        except Exception as error:  # a broken archive makes NumPy and zipfile raise nearly anything
            logger.warning("%s: cannot be read (%s); the gallery is embedded anew", self.file, error)
            return None
        changed = [name for name, value in key.items() if found.get(name) != value]
        if changed or vectors.ndim != 2 or len(vectors) != count or not np.isfinite(vectors).all():
            logger.info("%s: %s changed; the gallery is embedded anew", self.file, ", ".join(changed) or "its content")
            return None
        return vectors.astype(np.float32, copy=False)

    def save(self, key: Mapping[str, Any], vectors: np.ndarray) -> None:
        """Write the file; a folder that cannot be written to costs the next run time, not this one its result."""
        import numpy as np

        buffer = io.BytesIO()
        np.savez(buffer, key=np.array(json.dumps(key)), embeddings=vectors)
        try:
            write_atomic(self.file, buffer.getvalue(), durable=False)
        except TaoDeployError as error:
            logger.warning("The embedded gallery is not kept for the next run: %s", error.message)
            return
        logger.info("Gallery: kept for the next run in %s", self.file)


def smallest(values: np.ndarray, count: int) -> np.ndarray:
    """(B,count) positions of the smallest in each row of (B,N), in no order.

    A few groups can hold them only: the `count` with the smallest minima. So most of a row is looked at once, by
    NumPy's vectorised minimum, and only these groups are partitioned.
    """
    import numpy as np

    groups = values.shape[1] // GROUP  # group j: columns j, j + groups, j + 2 * groups ...
    if groups < 2 * count:
        return np.argpartition(values, count - 1, axis=1)[:, :count]
    minima = values[:, : GROUP * groups].reshape(-1, GROUP, groups).min(axis=1)
    chosen = np.argpartition(minima, count - 1, axis=1)[:, :count]
    columns = (chosen[:, None] + groups * np.arange(GROUP)[:, None]).reshape(len(values), -1)
    rest = np.arange(GROUP * groups, values.shape[1])
    columns = np.hstack([columns, np.broadcast_to(rest, (len(values), len(rest)))])
    best = np.argpartition(np.take_along_axis(values, columns, axis=1), count - 1, axis=1)[:, :count]
    return np.take_along_axis(columns, best, axis=1)


def _product(queries: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """`queries` @ `vectors`.T, on one core when it is small."""
    if queries.size * len(vectors) >= WORTH_THREADS:
        return queries @ vectors.T
    with _blas().limit(limits=1, user_api="blas"):
        return queries @ vectors.T


@cache
def _blas() -> ThreadpoolController:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _sha256(path: Path) -> str:
    """Of an engine, and of the files beside it that hold its weights: without those, an .onnx file exported again after
    more training may be the same to the byte."""
    digest, outside, end = hashlib.sha256(), False, b""
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
            outside = outside or EXTERNAL in end + chunk
            end = chunk[-len(EXTERNAL) :]
    if outside:  # onnx is slow to import
        from nvidia_tao_deploy.graph.model import file_sha256

        try:
            return file_sha256(path)
        except Exception:  # a plan that holds these bytes by chance makes protobuf raise nearly anything
            logger.debug("%s: no ONNX model", path)
    return digest.hexdigest()


class Gallery:
    """Collects the embeddings of reference pictures (see `network.Collector`) and searches them.

    Args:
        samples: the pictures; `target` is the class number.
        cache: where embeddings are kept between runs; None: nowhere.
        least: how many pictures must be usable.

    Attributes:
        samples: those that could be used.
        labels: (N,) int64, their class numbers.
        vectors: (N,D) float32, rows of length 1 (or 0).
    """

    def __init__(self, samples: Sequence[Sample], cache: GalleryCache | None = None, least: int = 1) -> None:
        self.samples: Sequence[Sample] = ()
        self.labels: np.ndarray
        self.vectors: np.ndarray
        self._all, self._cache, self._least = samples, cache, least
        self._key: dict[str, Any] = {}
        self._kept: list[Sample] = []
        self._rows: list[np.ndarray] = []

    def restore(self) -> bool:
        if self._cache is None or any(sample.fault for sample in self._all):  # what is missing must be said
            return False
        self._key = self._cache.key(self._all)
        vectors = self._cache.load(self._key, len(self._all))
        if vectors is None:
            return False
        self._settle(self._all, vectors)
        logger.info(
            "Gallery: %d embeddings from %s (same engine, pictures and preprocessing)", len(vectors), self._cache.file
        )
        return True

    def add(self, frame: Frame, prediction: Embedding) -> None:
        self._kept.append(frame.sample)
        self._rows.append(prediction.vector)

    def finish(self, complete: bool) -> None:
        """An incomplete gallery is not kept: the next run would not say what is missing."""
        import numpy as np

        if len(self._rows) < max(self._least, 1):
            raise DataError(
                f"The gallery has {len(self._rows)} usable pictures of {len(self._all)}; {self._least} neighbours are "
                "asked for.",
                hint="Check the pictures below dataset.val_dataset.reference, or set a smaller topk.",
            )
        self._settle(self._kept, np.stack(self._rows))
        self._kept, self._rows = [], []
        if self._cache is not None and complete:
            self._cache.save(self._key, self.vectors)

    def _settle(self, samples: Sequence[Sample], vectors: np.ndarray) -> None:
        import numpy as np

        self.samples, self.vectors = list(samples), vectors
        self.labels = np.array([sample.target for sample in samples], np.int64)
        self._squares = np.einsum("nd,nd->n", vectors, vectors)

    def nearest(self, queries: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """The `count` nearest of each row of `queries` (B,D), by Euclidean distance.

        Candidates come from matrix products, |q-g|^2 = |q|^2 + |g|^2 - 2 q.g; they are then measured from the
        differences in float64, because the products lose the digits of small distances. Equal distances: the picture
        that comes first in the gallery.

        Returns:
            (B,count) int64 positions and (B,count) float64 squared distances, nearest first.
        """
        import numpy as np

        keep = min(count + SPARE, len(self.vectors))
        step = max(1, PRODUCTS_AT_ONCE // (keep * self.vectors.shape[1]))
        parts = [self._measured(queries[first : first + step], keep) for first in range(0, len(queries), step)]
        indices, distances = (np.concatenate(part)[:, :count] for part in zip(*parts, strict=True))
        return indices, distances

    def _measured(self, queries: np.ndarray, keep: int) -> tuple[np.ndarray, np.ndarray]:
        """`keep` candidates of each query in order of their exact distances."""
        import numpy as np

        found = self._candidates(queries, keep)
        differences = self.vectors[found].astype(np.float64) - queries[:, None]
        squared = np.einsum("bkd,bkd->bk", differences, differences)
        order = np.lexsort((found, squared), axis=1)
        return np.take_along_axis(found, order, axis=1), np.take_along_axis(squared, order, axis=1)

    def _candidates(self, queries: np.ndarray, keep: int) -> np.ndarray:
        """(B,keep) positions of the smallest |g|^2 - 2 q.g, in no order."""
        import numpy as np

        best = np.empty((len(queries), 0), np.int64)
        scores = np.empty((len(queries), 0), np.float32)
        step = max(keep, PRODUCTS_AT_ONCE // len(queries))
        for first in range(0, len(self.vectors), step):
            part = slice(first, first + step)
            products = _product(-2 * queries, self.vectors[part])
            products += self._squares[part]
            places = np.broadcast_to(np.arange(first, first + products.shape[1]), products.shape)
            if best.shape[1]:
                products, places = np.hstack([scores, products]), np.hstack([best, places])
            if products.shape[1] > keep:
                chosen = smallest(products, keep)
                products = np.take_along_axis(products, chosen, axis=1)
                places = np.take_along_axis(places, chosen, axis=1)
            best, scores = places, products
        return best
