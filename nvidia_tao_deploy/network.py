# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""What a network is: the declaration that every file in `networks/` fills in, and the small protocols it is made of.

Data flows one way: sample -> prepare (read, transform) -> batch -> engine -> decode -> prediction -> metric | writer.
The loops are in `tasks/` and `pipeline/`; a declaration contains none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from nvidia_tao_deploy.signature import Binding, Signature

if TYPE_CHECKING:
    import numpy as np

    from nvidia_tao_deploy.engine.contract import TensorInfo
    from nvidia_tao_deploy.spec.flags import Flag
    from nvidia_tao_deploy.spec.migrate import Migration
    from nvidia_tao_deploy.transforms.geometry import Geometry

SUBTASKS = ("gen_trt_engine", "evaluate", "inference")


@dataclass(frozen=True, slots=True)
class Sample:
    """One item of a data set, before anything is read.

    Attributes:
        name: unique in the data set; relative path for pictures. Reports and output files use it.
        path: the file to read.
        target: ground truth in the form that the network's metric takes; None when there is none.
        fault: what is wrong with it, where that is known before it is read (no label in its line, say): it is not
            read, but reported like a picture that cannot be, while the others are used.
    """

    name: str
    path: Path
    target: Any = None
    fault: str = field(default="", kw_only=True)


@dataclass(frozen=True, slots=True)
class Frame:
    """What is known of a sample once it is read; decoders, metrics and writers get it.

    Attributes:
        sample: the sample.
        size: (height, width) of the picture as read, in pixels.
        geometry: how network-input coordinates map back to the picture.
        picture: (height, width, 3) uint8 RGB when `prepare` was told to keep it (writers that draw), else None.
    """

    sample: Sample
    size: tuple[int, int]
    geometry: Geometry
    picture: np.ndarray | None = None


class Prepare(Protocol):
    """Reads samples and fills rows of the engine's inputs. Called from worker threads: keeps no state."""

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]] | None:
        """Row shape (no batch axis) by engine input name; None where every sample has its own (batches of one)."""

    def __call__(self, sample: Sample, rows: Mapping[str, np.ndarray]) -> Frame:
        """Write the sample into `rows`, float views into the batch. Raises DataError when the file cannot be used."""

    def single(self, sample: Sample) -> tuple[dict[str, np.ndarray], Frame]:
        """For `shapes` None: a batch of one, in its own shape."""


class Decode(Protocol):
    """Raw outputs of a batch -> one prediction per frame, in original picture coordinates.

    The engine uses the output arrays again: a prediction holds copies, never views of them.
    """

    def __call__(self, outputs: Mapping[str, np.ndarray], frames: Sequence[Frame]) -> Sequence[Any]: ...


@dataclass(frozen=True, slots=True)
class Table:
    """A table for a person: cells are strings, ints or floats (shown with 4 decimals)."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True, slots=True)
class Report:
    """What a metric found.

    Attributes:
        kpi: name -> value; goes into status.json.
        results: content of results.json (the keys that the contract names).
        tables: printed at the end of evaluate.
        files: further files by name, for the results folder.
    """

    kpi: Mapping[str, float]
    results: Mapping[str, Any]
    tables: tuple[Table, ...] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)


class Metric(Protocol):
    """Collects predictions; states of two shards merge into the state of their union."""

    def update(self, frame: Frame, prediction: Any) -> None: ...

    def merge(self, other: Any) -> None: ...

    def compute(self) -> Report:
        """Raises DataError when nothing was scored."""


class Writer(Protocol):
    """Writes one kind of inference result."""

    keeps_picture: bool
    """Whether `write` needs `frame.picture`."""

    def write(self, frame: Frame, prediction: Any) -> Any:
        """Called from worker threads, in any order; what it returns goes to `record`."""

    def record(self, frame: Frame, result: Any) -> None:
        """Called in sample order from one thread."""

    def finish(self) -> Sequence[Path]:
        """Called once at the end; returns the files or folders worth naming to the user."""


class Collector(Protocol):
    """Keeps what a `Reference` gives, such as the embedded gallery that queries are compared with."""

    def restore(self) -> bool:
        """Take what an earlier run kept. True when it still holds: then the reference samples are not run."""

    def add(self, frame: Frame, prediction: Any) -> None:
        """Called in sample order."""

    def finish(self, complete: bool) -> None:
        """Called after the last `add`; `complete`: every sample could be read. Raises DataError when too few could."""


@dataclass(frozen=True, slots=True)
class Reference:
    """Samples that are run before the others, through the same engine and preprocessing.

    Attributes:
        name: one word for the progress bar and for messages.
        samples, decode: as for the task itself.
        collector: takes the predictions; the task's own decoder, metric or writers read it.
    """

    name: str
    samples: Sequence[Sample]
    decode: Decode
    collector: Collector


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What `evaluate` runs over. `decode` gets outputs by the signature's names.

    Attributes:
        reference: what runs first, for networks that compare with reference samples.
        writers: folder for results -> writers, for networks whose evaluate also writes predictions.
    """

    samples: Sequence[Sample]
    decode: Decode
    metric: Metric
    writers: Callable[[Path], Sequence[Writer]] = lambda folder: ()
    reference: Reference | None = None


@dataclass(frozen=True, slots=True)
class Inference:
    """What `inference` runs over."""

    samples: Sequence[Sample]
    decode: Decode
    writers: Sequence[Writer]
    reference: Reference | None = None


def _no_axes(spec: Any) -> dict[str, tuple[int, int, int]]:
    return {}


@dataclass(frozen=True)
class Network:
    """A network command.

    Attributes:
        name: command name.
        summary: what it does, one line.
        schema: dataclass of the spec with defaults (see `spec.common`).
        signature: spec -> the tensors that a model of this network has.
        prepare: (spec, binding, subtask, keep_picture) -> the preprocessing. One function for calibration, evaluation
            and inference, so they cannot differ by accident.
        batch_size: (spec, subtask) -> batch size asked for.
        evaluation, inference: (spec, binding[, results_dir]) -> what the task runs over.
        calibration: spec -> samples to calibrate INT8 with, where they are no pictures of cal_image_dir.
        axes: spec -> {symbol of the signature's input shape: (min, opt, max)} for open axes other than the batch.
        adjust: spec -> spec changes that the contract asks for (with a log line); in place.
        fit: gen_trt_engine: (spec, inputs of the model) -> spec changes that follow from them, for keys that an engine
            can be built without (with a log line); in place.
        migrations: how keys of older releases become today's.
        subtasks: those that the network has.
        flags: options of the command line, for networks whose specs are protobuf text (YAML works for them too).
        without_spec: subtasks that need no spec file: the options say enough.
    """

    name: str
    summary: str
    schema: type
    signature: Callable[[Any], Signature]
    prepare: Callable[..., Prepare]
    batch_size: Callable[[Any, str], int]
    evaluation: Callable[[Any, Binding], Evaluation] | None = None
    inference: Callable[[Any, Binding, Path], Inference] | None = None
    calibration: Callable[[Any], Sequence[Sample]] | None = None
    axes: Callable[[Any], Mapping[str, tuple[int, int, int]]] = _no_axes
    adjust: Callable[[Any], None] = lambda spec: None
    fit: Callable[[Any, Sequence[TensorInfo]], None] = lambda spec, inputs: None
    migrations: tuple[Migration, ...] = ()
    subtasks: tuple[str, ...] = field(default=SUBTASKS)
    flags: tuple[Flag, ...] = ()
    without_spec: tuple[str, ...] = ()
