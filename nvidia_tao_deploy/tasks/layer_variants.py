# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""A model with some of its layers in low precision and the others in FP32, to run on ONNX Runtime.

Layers go by the names of the original model's nodes: a plugin node that was replaced is one layer.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from nvidia_tao_deploy.engine.contract import BuildPlan, LayerPrecision
from nvidia_tao_deploy.graph.layers import EVERYTHING, label, match

if TYPE_CHECKING:
    import onnx


class Variants(Protocol):
    """One precision.

    Attributes:
        layers: those that the precision concerns and no rule of the user names, in graph order.
        exhaustive: whether ranking looks at each layer (else it may pass over groups without effect).
    """

    layers: list[str]
    exhaustive: bool

    def without(self, kept: Collection[str]) -> bytes:
        """The model as the build would make it with these layers in floating point (FP32)."""

    def only(self, lowered: Collection[str]) -> bytes:
        """The model with none but these layers in low precision."""


def variants(model: onnx.ModelProto, plan: BuildPlan) -> Variants:
    """For the plan's precision: "int8", "fp8", "fp16" or "bf16".

    Raises:
        SpecError, DataError, BuildError: what calibration raises, or a model that cannot be quantised or typed.
    """
    from nvidia_tao_deploy.graph import plugins, precision, quantise

    standard = plugins.standard(model)
    if plan.precision in quantise.FORMATS:
        return _Quantised(standard, plan, _Names(model, standard, plan.layers_precision))
    standard = precision.prepared(standard, plan.precision)  # inlines functions: new nodes, with names of their own
    return _Narrow(standard, plan, _Names(model, standard, plan.layers_precision))


class _Names:
    """Between layers (nodes of the original model) and nodes of the model whose plugins were replaced."""

    def __init__(self, model: onnx.ModelProto, standard: onnx.ModelProto, rules: Sequence[LayerPrecision]) -> None:
        from nvidia_tao_deploy.graph.plugins import plugin_nodes

        own = {label(node) for node in model.graph.node}
        replaced = sorted((label(node) for node in plugin_nodes(model)), key=len, reverse=True)
        self._layer_of: dict[str, str] = {}
        for node in standard.graph.node:
            name = label(node)
            origin = next((plugin for plugin in replaced if name.startswith(f"{plugin}/")), name)
            self._layer_of[name] = name if name in own else origin
        self._settled = set(match([rule for rule in rules if rule.pattern != EVERYTHING], self._layer_of))

    def layers(self, nodes: Iterable[str]) -> list[str]:
        """Layers of these nodes, each once, without those that the user's rules name: those are settled."""
        return list(dict.fromkeys(self._layer_of[node] for node in nodes if node not in self._settled))

    def nodes(self, layers: Collection[str]) -> list[str]:
        """Nodes of these layers."""
        wanted = set(layers)
        return [node for node, layer in self._layer_of.items() if layer in wanted]


class _Quantised:
    """INT8 and FP8: Q/DQ pairs around the layers that are not left out."""

    exhaustive = True

    def __init__(self, model: onnx.ModelProto, plan: BuildPlan, names: _Names) -> None:
        from nvidia_tao_deploy.engine.calibration import obtain
        from nvidia_tao_deploy.graph import quantise
        from nvidia_tao_deploy.graph.model import raise_opset

        self._names, self._rules = names, plan.layers_precision
        self._format = quantise.FORMATS[plan.precision]
        self._model = raise_opset(model, self._format.opset, self._format.name.upper())  # once, not for every variant
        quantise.needed(self._model, self._format)  # before calibration: there may be nothing to quantise
        self._amax: Mapping[str, float] = obtain.ranges(model, plan.calibration).amax
        _, report = quantise.quantise(self._model, self._amax, self._format, self._rules)
        self._nodes = set(report.quantised)
        self.layers = names.layers(report.quantised)

    def without(self, kept: Collection[str]) -> bytes:
        from nvidia_tao_deploy.engine.onnxruntime.backend import quantised_blob
        from nvidia_tao_deploy.graph import quantise

        nodes = self._names.nodes(kept)
        if self._nodes <= set(nodes):
            return self._model.SerializeToString()
        quantised, _ = quantise.quantise(
            self._model, self._amax, self._format, self._rules, float_weights=False, keep=nodes
        )
        return quantised_blob(quantised, self._format.name)

    def only(self, lowered: Collection[str]) -> bytes:
        return self.without(set(self.layers) - set(lowered))


class _Narrow:
    """FP16 and BF16, rounding simulated in float32: see `graph.precision.typed`. Takes a model that is `prepared`."""

    exhaustive = False

    def __init__(self, model: onnx.ModelProto, plan: BuildPlan, names: _Names) -> None:
        from nvidia_tao_deploy.graph import precision

        self._model = model
        self._precision, self._names, self._rules = plan.precision, names, plan.layers_precision
        _, report = precision.typed(self._model, self._precision, self._rules)
        self.layers = names.layers(report.narrow)

    def without(self, kept: Collection[str]) -> bytes:
        return self._typed(self._precision, (*self._rules, *self._each(kept, "fp32")))

    def only(self, lowered: Collection[str]) -> bytes:
        return self._typed("fp32", self._each(lowered, self._precision))

    def _each(self, layers: Collection[str], dtype: str) -> tuple[LayerPrecision, ...]:
        return tuple(LayerPrecision(node, dtype, optional=True) for node in self._names.nodes(layers))

    def _typed(self, precision: str, rules: Sequence[LayerPrecision]) -> bytes:
        from nvidia_tao_deploy.graph.precision import typed

        return typed(self._model, precision, rules, simulate=True)[0].SerializeToString()
