# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""What an engine and a backend are. Tasks know these types and nothing about TensorRT or ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    import onnx

    Feeds = Mapping[str, np.ndarray]
    Outputs = Mapping[str, np.ndarray]

DYNAMIC = -1
PLUGINS_KEY = "gen_trt_engine.plugins"


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One input or output of a model or an engine.

    Attributes:
        name: tensor name in the graph.
        dtype: numpy dtype name, for example "float32".
        shape: sizes; `DYNAMIC` (-1) where an axis is open.
        minimum, optimum, maximum: the optimisation profile of an input with open axes; None where the backend has no
            bounds (ONNX Runtime) or for outputs.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    minimum: tuple[int, ...] | None = None
    optimum: tuple[int, ...] | None = None
    maximum: tuple[int, ...] | None = None

    @property
    def settled(self) -> tuple[int, ...]:
        """The sizes; `DYNAMIC` only where the profile, too, leaves a choice."""
        if self.minimum is None or self.maximum is None:
            return self.shape
        bounds = zip(self.shape, self.minimum, self.maximum, strict=True)
        return tuple(low if size == DYNAMIC and low == high else size for size, low, high in bounds)

    def filled(self, sizes: Sequence[int]) -> tuple[int, ...]:
        """The sizes behind the batch axis, as many as `sizes`, which count where there is a choice."""
        return tuple(size if own == DYNAMIC else own for own, size in zip(self.settled[1:], sizes, strict=True))

    def __str__(self) -> str:
        sizes = "x".join("?" if size == DYNAMIC else str(size) for size in self.shape)
        return f"{self.name} {self.dtype}[{sizes}]"


@dataclass(frozen=True, slots=True)
class Profile:
    """Bounds of one input's shape, for a model with open axes. All three have the input's rank."""

    minimum: tuple[int, ...]
    optimum: tuple[int, ...]
    maximum: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LayerPrecision:
    """One item of `layers_precision`: a layer name or shell-style pattern, and the precision to keep it in.

    `optional` rules are our own: a backend that has folded the layer away passes over them. A user's rule must fit one.
    """

    pattern: str
    dtype: str
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Calibration:
    """Where INT8 and FP8 ranges come from.

    Attributes:
        batches: makes an iterator over feeds (by input name, all rows used) that starts over with every call; None
            when there is no calibration data and the cache must do.
        count: number of batches.
        batch_size: rows of each.
        algorithm: "entropy", "minmax" or "percentile".
        percentile: for "percentile": percent of values that the range covers.
        cache_file: read when it fits, else written; None for no file.
        route: "calibrator": TensorRT's own; "qdq": Q/DQ nodes in the graph; "auto": the first where TensorRT has it.
        redo: calibrate although the cache fits.
        facts: what decides the ranges (model, data, preprocessing), kept beside the cache and compared with it.
        ranges: amax by tensor name from quantisation-aware training; takes the place of calibration.
    """

    batches: Callable[[], Iterator[Feeds]] | None = None
    count: int = 0
    batch_size: int = 1
    algorithm: str = "entropy"
    percentile: float = 99.99
    cache_file: Path | None = None
    route: str = "auto"
    redo: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)
    ranges: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class BuildPlan:
    """Everything a backend needs to know to build an engine, apart from the model itself."""

    precision: str = "fp32"
    profiles: Mapping[str, Profile] = field(default_factory=dict)
    workspace_mb: int = 1024
    timing_cache: Path | None = None
    layers_precision: tuple[LayerPrecision, ...] = ()
    tactic_sources: tuple[str, ...] | None = None
    tf32: bool = True
    verbose: bool = False
    device: int = 0
    strict: bool = False
    calibration: Calibration | None = None


@dataclass(frozen=True, slots=True)
class Built:
    """Result of a build.

    Attributes:
        blob: the engine file's content.
        details: facts for `<engine>.json`: backend version, GPU, precision reached, rewrites, warnings.
    """

    blob: bytes
    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LayerFacts:
    """One layer of a built engine.

    Attributes:
        name: as the backend calls it; fused layers have joined names.
        kind: operator or layer type.
        precision: "fp32", "fp16", "int8" and so on, of its first output; "" where the backend does not tell.
        format: memory layout or shape, in the backend's words.
        milliseconds: mean time for one batch; None where it cannot be measured.
    """

    name: str
    kind: str
    precision: str
    format: str
    milliseconds: float | None


class Engine(Protocol):
    """A loaded engine; a context manager. Every array is C-contiguous. Axis 0 is the batch, with as many rows in every
    input, save those that are constants beside it (`engine.feeds.batched`)."""

    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    depth: int
    """How many batches may be in flight, at least 2."""

    def buffers(self, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
        """Host arrays of these full shapes (batch included) that the engine reads fastest (page-locked for a GPU)."""

    def fetch_only(self, outputs: Collection[str]) -> None:
        """Give only these outputs from now on: the others are not copied to the host. At first all are given."""

    def submit(self, feeds: Feeds) -> Future[Outputs]:
        """Queue one batch; it runs after those queued before it. Take it with `result()`: a GPU is waited for there.

        `feeds` must not change until the future is done. The arrays of the result are valid until `depth` further
        batches have been submitted. Raises EngineError for a missing input, a wrong shape (says expected and found).
        """

    def infer(self, feeds: Feeds) -> dict[str, np.ndarray]:
        """Run one batch now; the arrays of the result belong to the caller."""

    def close(self) -> None:
        """Free device memory. Safe to call twice."""

    def __enter__(self) -> Engine: ...

    def __exit__(self, *exc: object) -> None: ...


class Backend(Protocol):
    """One way to build and run engines."""

    name: str
    timing_cache: bool
    """Whether a build reads and writes `BuildPlan.timing_cache`."""

    def unavailable(self) -> str | None:
        """None when it can be used here; otherwise the reason and what to install, in one sentence."""

    def build(self, model: onnx.ModelProto, plan: BuildPlan) -> Built:
        """Make an engine. Raises BuildError with the parser's or builder's own words and the node concerned."""

    def use_libraries(self, paths: Sequence[Path]) -> None:
        """Make plugins of the user's own known, for models and engines, until the process ends. Raises SpecError."""

    def load(self, blob: bytes, source: Path, device: int = 0) -> Engine:
        """Make an engine file's content runnable; `source` is used in messages. Raises EngineError."""

    def layers(self, blob: bytes, source: Path, feeds: Feeds, device: int = 0) -> list[LayerFacts]:
        """An engine file's layers in order of execution, timed on a batch of `feeds`. Raises EngineError."""

    def recognises(self, head: bytes) -> bool:
        """Whether a file that starts with these (at least 32, where the file has them) bytes is this backend's."""
