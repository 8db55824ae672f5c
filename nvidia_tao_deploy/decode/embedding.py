# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Raw embeddings -> unit vectors, and their nearest neighbours in a gallery."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nvidia_tao_deploy.errors import NotANumberError
from nvidia_tao_deploy.network import Frame
from nvidia_tao_deploy.predictions import Embedding, Neighbours

if TYPE_CHECKING:
    import numpy as np

    from nvidia_tao_deploy.data.gallery import Gallery


def refuse_infinite(output: str, values: np.ndarray, frames: Sequence[Frame]) -> None:
    """Raise NotANumberError for embeddings (B,...) that hold an infinity: lengths and distances of it are NaN, which
    compares with nothing."""
    import numpy as np

    bad = ~np.isfinite(values.reshape(len(values), -1)).all(axis=1)
    if bad.any():
        raise NotANumberError(output, frames[int(bad.argmax())].sample.path, "an infinity")


def unit_rows(values: np.ndarray) -> np.ndarray:
    """(B,D) or (B,D,1,1) of any float type -> (B,D) float32 rows of length 1; a row of zeros stays zero."""
    import numpy as np

    rows = values.reshape(len(values), -1).astype(np.float64)  # FP16 engines: squares of large values overflow
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / np.where(lengths == 0, 1, lengths)).astype(np.float32)


@dataclass(frozen=True, slots=True)
class DecodeEmbedding:
    """Decoder of reference pictures.

    Attributes:
        output: name of the (B,D) output in the signature.
    """

    output: str

    def __call__(self, outputs: Mapping[str, np.ndarray], frames: Sequence[Frame]) -> list[Embedding]:
        refuse_infinite(self.output, outputs[self.output], frames)
        return [Embedding(row) for row in unit_rows(outputs[self.output])]


@dataclass(frozen=True, slots=True)
class DecodeNeighbours:
    """Decoder of queries.

    Attributes:
        output: name of the (B,D) output in the signature.
        gallery: what they are compared with; filled by the time the first batch is decoded.
        count: how many neighbours.
    """

    output: str
    gallery: Gallery
    count: int

    def __call__(self, outputs: Mapping[str, np.ndarray], frames: Sequence[Frame]) -> list[Neighbours]:
        refuse_infinite(self.output, outputs[self.output], frames)
        indices, distances = self.gallery.nearest(unit_rows(outputs[self.output]), self.count)
        labels = self.gallery.labels[indices]
        return [Neighbours(*row) for row in zip(indices, labels, distances, strict=True)]
