# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Which tensors a network's model has, and how they are found in a given model or engine."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from nvidia_tao_deploy.engine.contract import DYNAMIC, TensorInfo
from nvidia_tao_deploy.errors import TaoDeployError

logger = logging.getLogger(__name__)
FLOATS = ("float32", "float16", "bfloat16")


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor that a network's model is expected to have.

    Attributes:
        name: the name that the training side exports.
        shape: sizes, or symbols for sizes that a model chooses; "B" is the batch. Equal symbols may be unequal sizes. A
            last "..." stands for any number of further axes.
        dtypes: numpy dtype names that are accepted.
        meaning: one line for messages and documentation.
        last: when no tensor has the name, the last one is meant (of models whose other tensors vary in number).
    """

    name: str
    shape: tuple[int | str, ...]
    dtypes: tuple[str, ...] = FLOATS
    meaning: str = ""
    last: bool = False

    def __str__(self) -> str:
        return f"{self.name} {'/'.join(self.dtypes)}[{'x'.join(str(size) for size in self.shape)}]"

    def accepts(self, info: TensorInfo) -> bool:
        """Whether type, rank and fixed sizes agree (open axes of the model agree with anything)."""
        fixed = self.shape[:-1] if self.shape[-1:] == ("...",) else self.shape
        ranks = len(info.shape) >= len(fixed) if fixed is not self.shape else len(info.shape) == len(fixed)
        return (
            info.dtype in self.dtypes
            and ranks
            and all(
                isinstance(want, str) or have in (want, DYNAMIC) for want, have in zip(fixed, info.shape, strict=False)
            )
        )


@dataclass(frozen=True, slots=True)
class Binding:
    """The model's own tensors by the signature's names.

    Attributes:
        inputs, outputs: the tensors.
        classes: for outputs of class ids, by the signature's name: how many classes the model chooses among, where the
            engine file or the json beside it tells.
        probabilities: for outputs of one column: whether they are probabilities, not logits; where that is known.
    """

    inputs: Mapping[str, TensorInfo]
    outputs: Mapping[str, TensorInfo]
    classes: Mapping[str, int] = field(default_factory=dict)
    probabilities: Mapping[str, bool] = field(default_factory=dict)

    def with_classes(self, count: Callable[[str], int | None]) -> Binding:
        """The same with the class counts that `count` knows by the model's own output names."""
        ids = {name: info.name for name, info in self.outputs.items() if info.dtype.startswith("int")}
        found = {name: classes for name, own in ids.items() if (classes := count(own)) is not None}
        return replace(self, classes=found)

    def with_probabilities(self, is_probability: Callable[[str], bool | None]) -> Binding:
        """The same with what `is_probability` knows of outputs of one column by the model's own output names."""
        columns = {name: info.name for name, info in self.outputs.items() if set(info.shape[1:]) == {1}}
        told = {name: known for name, own in columns.items() if (known := is_probability(own)) is not None}
        return replace(self, probabilities=told)

    def size(self, tensor: str, axis: int) -> int:
        """Size of an axis of an input or output; -1 where it is open."""
        return (self.inputs.get(tensor) or self.outputs[tensor]).shape[axis]


@dataclass(frozen=True, slots=True)
class Signature:
    """All tensors of a network's model, in the order in which the training side exports them.

    No outputs: a model may have any number of them, by any names (feature extractors).

    Attributes:
        inputs, outputs: the tensors.
        hint: what to look at when a model has others.
    """

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    hint: str = "Check that the model was exported by TAO for this very network."

    def bind(
        self,
        inputs: Sequence[TensorInfo],
        outputs: Sequence[TensorInfo],
        source: object,
        error: type[TaoDeployError],
        told: bool = False,
    ) -> Binding:
        """Find each tensor by name, else the first in order that has its type and rank (with a log line).

        Extra outputs are ignored, with a warning where none of the names is there to tell which are the extra ones; an
        extra input is an error, because nothing would feed it.
        With `told`, for tensors that were bound before, there are no log lines.
        Raises `error` with the expected and the found tensors.
        """
        bound_inputs = _match(self.inputs, inputs)
        bound_outputs = _match(self.outputs, outputs) if self.outputs else {info.name: info for info in outputs}
        if bound_inputs is None or bound_outputs is None or len(inputs) != len(self.inputs):
            raise error(
                f"{source}: the tensors are not those of this network. "
                f"Expected inputs: {_join(self.inputs)}; outputs: {_join(self.outputs) if self.outputs else 'any'}. "
                f"Found inputs: {_join(inputs)}; outputs: {_join(outputs)}.",
                hint=self.hint,
            )
        if not told:
            self._tell(bound_inputs, bound_outputs, outputs, source)
        return Binding(bound_inputs, bound_outputs)

    def _tell(
        self,
        bound_inputs: Mapping[str, TensorInfo],
        bound_outputs: Mapping[str, TensorInfo],
        outputs: Sequence[TensorInfo],
        source: object,
    ) -> None:
        """Log what was found by its position, not by its name."""
        for want, have in [*bound_inputs.items(), *bound_outputs.items()]:
            if want != have.name:
                logger.info("%s: no tensor named '%s'; using '%s' by its position", source, want, have.name)
        names = {tensor.name for tensor in self.outputs if not tensor.last}
        if names and len(outputs) > len(names) and names.isdisjoint(info.name for info in outputs):
            logger.warning(
                "%s: none of its %d outputs is named %s: %s. Is it a model of this network?",
                source, len(outputs), " or ".join(sorted(names)), _join(outputs),
            )  # fmt: skip


def _join(tensors: Sequence[object]) -> str:
    return ", ".join(str(tensor) for tensor in tensors) or "none"


def _match(wanted: Sequence[Tensor], found: Sequence[TensorInfo]) -> dict[str, TensorInfo] | None:
    """By name where the name is there; the others take, in order, the first remaining tensor of their type and rank.
    None when they do not fit."""
    by_name = {info.name: info for info in found}
    names = {want.name for want in wanted}
    rest = [info for info in found if info.name not in names]
    bound: dict[str, TensorInfo] = {}
    for want in wanted:
        have = by_name.get(want.name) or next(filter(want.accepts, reversed(rest) if want.last else rest), None)
        if have is None or not want.accepts(have):
            return None
        if have in rest:
            rest.remove(have)
        bound[want.name] = have
    return bound
