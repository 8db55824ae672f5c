# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Time of ml_recog's search for nearest neighbours on one core, against scikit-learn's with the same result.

    python benchmarks/nearest_neighbours.py [--gallery 10000] [--queries 10000] [--dimensions 256] [--neighbours 5]

Unit embeddings around one centre per class. Ours gets the queries in batches, as `evaluate` does; scikit-learn (brute
force, Euclidean) gets all of them at once, which is to its advantage, and also in the same batches. The neighbours must
be the same; where two distances are equal to the last digits of float32, their order may differ.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.timing import fastest
from nvidia_tao_deploy.data.gallery import Gallery
from nvidia_tao_deploy.decode.embedding import unit_rows
from nvidia_tao_deploy.network import Frame, Sample
from nvidia_tao_deploy.predictions import Embedding
from nvidia_tao_deploy.transforms.geometry import Geometry

CLASSES = 100
ROUNDING = 1e-6
"""Squared distances that differ by less may come in any order."""


def embeddings(count: int, dimensions: int, seed: int) -> np.ndarray:
    """(count, dimensions) float32 rows of length 1, in clusters."""
    centres = np.random.default_rng(0).normal(size=(CLASSES, dimensions))
    random = np.random.default_rng(seed)
    return unit_rows(centres[random.integers(0, CLASSES, count)] + 0.7 * random.normal(size=(count, dimensions)))


def filled(vectors: np.ndarray) -> Gallery:
    """A gallery of these embeddings."""
    samples = [Sample(str(index), Path(str(index)), 0) for index in range(len(vectors))]
    gallery = Gallery(samples)
    for sample, vector in zip(samples, vectors, strict=True):
        gallery.add(Frame(sample, (1, 1), Geometry()), Embedding(vector))
    gallery.finish(complete=True)
    return gallery


def in_batches(search: Callable[[np.ndarray], np.ndarray], queries: np.ndarray, batch: int) -> np.ndarray:
    """What `search` finds, batch by batch."""
    return np.concatenate([search(queries[first : first + batch]) for first in range(0, len(queries), batch)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gallery", type=int, default=10000)
    parser.add_argument("--queries", type=int, default=10000)
    parser.add_argument("--dimensions", type=int, default=256)
    parser.add_argument("--neighbours", type=int, default=5)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    vectors = embeddings(args.gallery, args.dimensions, 1)
    queries = embeddings(args.queries, args.dimensions, 2)
    gallery, theirs = filled(vectors), NearestNeighbors(n_neighbors=args.neighbours, algorithm="brute").fit(vectors)
    ways: dict[str, Callable[[], np.ndarray]] = {
        "ours": lambda: in_batches(lambda part: gallery.nearest(part, args.neighbours)[0], queries, args.batch),
        "scikit-learn, the same batches": lambda: in_batches(
            lambda part: theirs.kneighbors(part, return_distance=False), queries, args.batch
        ),
        "scikit-learn, all at once": lambda: theirs.kneighbors(queries, return_distance=False),
    }
    with threadpool_limits(1):
        seconds, found = fastest(ways, args.rounds)
    print(
        f"{args.queries} queries, {args.gallery} in the gallery, {args.dimensions} dimensions, {args.neighbours} "
        f"neighbours, batches of {args.batch}; CPU time of one core, best of {args.rounds}"
    )
    for name, value in seconds.items():
        each, ratio = 1e6 * value / args.queries, value / seconds["ours"]
        same = equal(found["ours"], found[name], queries, vectors)
        print(f"  {name:32s} {each:8.1f} us a query, {ratio:.2f} times ours; {same}")


def equal(ours: np.ndarray, theirs: np.ndarray, queries: np.ndarray, vectors: np.ndarray) -> str:
    """A remark on the neighbours; raises AssertionError where they differ by more than rounding."""
    rows, ranks = np.nonzero(ours != theirs)
    distances = [
        ((vectors[side[rows, ranks]].astype(np.float64) - queries[rows]) ** 2).sum(axis=1) for side in (ours, theirs)
    ]
    assert np.abs(distances[0] - distances[1]).max(initial=0) < ROUNDING
    return f"{len(rows)} of {ours.size} neighbours in another order" if len(rows) else "same neighbours"


if __name__ == "__main__":
    main()
