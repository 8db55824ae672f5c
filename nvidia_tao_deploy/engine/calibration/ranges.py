# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Ranges of a model's activations, measured by running its FP32 graph with ONNX Runtime on calibration batches."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import onnx

from nvidia_tao_deploy.engine.calibration import observers
from nvidia_tao_deploy.errors import BuildError
from nvidia_tao_deploy.graph import infinities
from nvidia_tao_deploy.graph.model import PROTOBUF_LIMIT, all_nodes, on_disk, proto_bytes
from nvidia_tao_deploy.graph.quantise import same_values

if TYPE_CHECKING:
    import numpy as np

logger = logging.getLogger(__name__)

CALIBRATION = "calibration"
BYTES_AT_ONCE = 512 << 20
"""Memory for the activations of one run. Rows of a batch are run in smaller parts where they would take more."""


def observe(
    model: onnx.ModelProto,
    tensors: Sequence[str],
    batches: Iterable[Mapping[str, np.ndarray]],
    algorithm: str,
    percent: float = 99.99,
    what: str = CALIBRATION,
) -> dict[str, float]:
    """The range of each tensor.

    Args:
        model: float32 graph without plugins.
        tensors: names of float32 values, the model's inputs included.
        batches: feeds by input name.
        algorithm: "entropy", "minmax" or "percentile" (then `percent` counts).
        what: what the ranges are for, for messages.

    Returns:
        amax by tensor name; 0 for tensors that were zero throughout (named in a warning). Tensors with infinities that
        the model means, those of attention masks, have none: no scale of INT8 covers them.

    Raises:
        BuildError: NaN or another infinity among the values (names tensor, node and batch), or ONNX Runtime refuses
            the model.
        DataError: what `batches` raises.
    """
    sources = same_values(model)
    wanted = list(dict.fromkeys(sources.get(name, name) for name in tensors))
    histograms = {name: observers.Histogram(counting=algorithm != "minmax") for name in wanted}
    runner = _Runner(model, wanted)
    masks = infinities.reached(model)
    masked: set[str] = set()
    for number, feeds in enumerate(batches, 1):
        for name, observed in runner.run(feeds):
            values = _finite(observed) if name in masks else observed
            if values.size != observed.size:
                masked.add(name)
            try:
                histograms[name].add(values)
            except BuildError as error:
                raise BuildError(
                    f"{what}: tensor '{name}' ({_producer(model, name)}) has {error.message} in batch {number}",
                    hint=_blame(model, name),
                ) from None
    found = {name: observers.amax(histogram, algorithm, percent) for name, histogram in histograms.items()}
    for name in masked:
        del found[name]
    zeros = [name for name, value in found.items() if value == 0.0]
    if zeros:
        logger.warning(
            "%s: %d of %d tensors are zero on all pictures%s: %s",
            what.capitalize() if what == CALIBRATION else what, len(zeros), len(found),
            " and are not quantised" if what == CALIBRATION else "",
            ", ".join(zeros[:5]) + (" ..." if len(zeros) > 5 else ""),
        )  # fmt: skip
    return {name: found[source] for name in tensors if (source := sources.get(name, name)) in found}


def _finite(values: np.ndarray) -> np.ndarray:
    """The values that are not infinite; NaN stays."""
    import numpy as np

    return values[~np.isinf(values)]


class _Runner:
    """Runs a model and hands out inner values, in parts small enough for memory."""

    def __init__(self, model: onnx.ModelProto, tensors: Sequence[str]) -> None:
        inputs = {value.name for value in model.graph.input}
        self._fed = [name for name in tensors if name in inputs]
        self._inner = [name for name in tensors if name not in inputs]
        self._session = _session(model, self._inner)
        first = self._session.get_inputs()[0].shape
        self._splits = bool(first) and not isinstance(first[0], int)
        self._rows = 1 if self._splits else 0  # until the memory that a row takes is known

    def run(self, feeds: Mapping[str, np.ndarray]) -> Iterable[tuple[str, np.ndarray]]:
        count = len(next(iter(feeds.values())))
        start = 0
        while start < count:
            part = {name: array[start : start + self._rows] if self._rows else array for name, array in feeds.items()}
            start += self._rows or count
            for name in self._fed:
                yield name, part[name]
            if self._inner:
                values = self._values(part)
                yield from zip(self._inner, values, strict=True)

    def _values(self, part: dict[str, Any]) -> list[np.ndarray]:
        try:
            values: list[np.ndarray] = self._session.run(self._inner, part)
        except Exception as error:  # onnxruntime raises classes of its own for each kind of failure
            raise BuildError(f"calibration: ONNX Runtime fails on the FP32 model: {_line(error)}") from error
        if self._splits:
            rows = len(next(iter(part.values())))
            per_row = sum(array.nbytes for array in values) / rows
            self._rows = max(1, math.floor(BYTES_AT_ONCE / max(per_row, 1)))
        return values


def _session(model: onnx.ModelProto, outputs: Sequence[str]) -> Any:
    import onnxruntime

    from nvidia_tao_deploy.engine.onnxruntime.backend import session_options

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    present = {value.name for value in copy.graph.output}
    copy.graph.output.extend(onnx.ValueInfoProto(name=name) for name in outputs if name not in present)
    options = session_options()
    # what is observed must be what the graph says, not what fusion leaves of it
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    providers = ["CPUExecutionProvider"]
    try:
        if proto_bytes(copy) < PROTOBUF_LIMIT:
            return onnxruntime.InferenceSession(copy.SerializeToString(), options, providers=providers)
        with on_disk(copy) as path:
            return onnxruntime.InferenceSession(str(path), options, providers=providers)
    except Exception as error:
        raise BuildError(f"calibration: ONNX Runtime refuses the FP32 model: {_line(error)}") from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _blame(model: onnx.ModelProto, name: str) -> str:
    """What to look at when the FP32 model gives NaN or infinity in a tensor."""
    from onnx import numpy_helper

    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    if any(value.name == name for value in model.graph.input):
        return "The data itself holds it: check the TensorFile, or the preprocessing keys."
    producers = {output: node for node in model.graph.node for output in node.output if output}
    waiting, seen = [name], {name}
    while waiting:
        node = producers.get(waiting.pop(0), onnx.NodeProto())
        for operand in node.input:
            if operand in seen:
                continue
            seen.add(operand)
            waiting.append(operand)
            if operand in weights and _broken(numpy_helper.to_array(weights[operand]), direct=name in node.output):
                whose = "Its" if name in node.output else "The"
                return (
                    f"{whose} weights '{operand}' hold NaN or infinity: the model is broken, export or train it again."
                )
    return "The FP32 model itself overflows on this data: check the preprocessing keys and the model."


def _broken(values: np.ndarray, direct: bool) -> bool:
    """Whether weights explain NaN behind them. An infinity may be meant, as in a mask, where more follows."""
    import numpy as np

    return values.dtype.kind == "f" and bool(np.any(~np.isfinite(values) if direct else np.isnan(values)))


def _producer(model: onnx.ModelProto, name: str) -> str:
    for node in all_nodes(model.graph):
        if name in node.output:
            return f"{node.op_type} '{node.name or name}'"
    return "an input of the model"
