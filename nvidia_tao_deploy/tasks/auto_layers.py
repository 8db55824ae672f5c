# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""`auto_layers_precision`: the fewest layers to keep out of low precision so that accuracy stays within a budget.

Works on ONNX Runtime, whatever the engine is built for, so it needs no GPU: INT8 and FP8 by Q/DQ graphs, FP16 and BF16
by graphs that round (`tasks.layer_variants`).

1. Rank: lower one layer at a time and take the relative squared error of the model's outputs. For FP16 and BF16, where
   most layers do no harm, groups are lowered first and halved where they do.
2. Search: leave out the k worst layers and bisect for the least k whose loss is within the budget.
3. Prune: put layers back one by one, the least harmful first, while the loss stays within the budget.

Loss is 1 - agreement of decoded predictions with the FP32 model; 1 - cosine of the outputs where nothing can be
decoded; or the drop of the network's own first metric where labels are asked for. NaN and infinities, where the FP32
model has none, are an infinite loss.
"""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nvidia_tao_deploy import logs
from nvidia_tao_deploy.engine import backends
from nvidia_tao_deploy.engine.contract import BuildPlan, LayerPrecision
from nvidia_tao_deploy.errors import DataError, NotANumberError, SpecError
from nvidia_tao_deploy.network import Table
from nvidia_tao_deploy.tasks import layer_variants, trial
from nvidia_tao_deploy.tasks.comparing import Comparison
from nvidia_tao_deploy.tasks.context import Context

if TYPE_CHECKING:
    import numpy as np

    from nvidia_tao_deploy.engine.contract import Engine
    from nvidia_tao_deploy.graph.model import Model

logger = logging.getLogger(__name__)
KEY = "gen_trt_engine.tensorrt.auto_layers_precision"
NARROW = ("fp16", "bf16")
RANKING_SAMPLES = 16
SMALL = 1e-3
"""Part of the error of all layers together (of the outputs themselves, if that is less) up to which a group of layers
counts as without effect."""
SHOWN = 10
PRUNINGS = 16
"""Layers that are tried back in after the bisection; each trial runs all samples once."""

Outputs = list[dict[str, "np.ndarray"]]


def find(context: Context, model: Model, plan: BuildPlan) -> tuple[LayerPrecision, ...]:
    """The layers to keep in FP32 (FP16 and BF16 engines) or `auto_layers_precision.dtype`; () when the budget holds
    without any.

    Prints the ranking and the list, ready for `layers_precision`.

    Raises:
        SpecError: the engine is built in FP32, or INT8 or FP8 for a model that carries Q/DQ nodes of its own.
        DataError: there are no samples.
    """
    keys = context.spec.gen_trt_engine.tensorrt.auto_layers_precision
    _check(model, plan)
    dtype = "fp32" if plan.precision in NARROW else keys.dtype.lower()
    search = _Search(context, model, plan)
    everything = search.loss(())
    name = plan.precision.upper()
    if everything <= keys.budget:
        logger.info("%s: loss %.4f with all layers in %s, within the budget of %g", KEY, everything, name, keys.budget)
        return ()
    ranking = search.rank()
    kept = search.prune(search.bisect(ranking))
    items = [f"{layer}:{dtype}" for layer in kept]
    _show(ranking, kept)
    logger.info(
        "%s: loss %.4f with all layers in %s, %.4f with %d of %d kept in %s",
        KEY, everything, name, search.loss(kept), len(kept), len(ranking), dtype.upper(),
    )  # fmt: skip
    shown = ", ".join(f"'{item}'" for item in items)
    logger.info("To paste into the spec:\ngen_trt_engine:\n  tensorrt:\n    layers_precision: [%s]", shown)
    return tuple(LayerPrecision(layer, dtype, optional=True) for layer in kept)


def _check(model: Model, plan: BuildPlan) -> None:
    if plan.precision == "fp32":
        raise SpecError(
            f"{KEY}: found data_type FP32, in which there is nothing to keep out",
            hint="Set gen_trt_engine.tensorrt.data_type to FP16, BF16, INT8 or FP8.",
        )
    if model.quantised and plan.precision not in NARROW:
        raise SpecError(
            f"{KEY}: found a model with Q/DQ nodes, whose own ranges count; with data_type {plan.precision.upper()} "
            "it works on models without",
            hint="Take layers out of their pairs by name: gen_trt_engine.tensorrt.layers_precision=['<layer>:fp16'].",
        )


class _Search:
    """Loss of a model with some of its layers left out of low precision, by the names of those."""

    def __init__(self, context: Context, model: Model, plan: BuildPlan) -> None:
        keys = context.spec.gen_trt_engine.tensorrt.auto_layers_precision
        self._context, self._source = context, model.source
        self._budget = keys.budget
        labelled = keys.metric.lower() == "kpi"
        self._trial = trial.plan(context, model, keys.samples, labelled)
        self._variants = layer_variants.variants(model.proto, plan)
        self._labelled = labelled
        self._known: dict[frozenset[str], float] = {}
        with trial.expecting_numbers(model), trial.reference(model) as engine:
            self._reference = self._run(engine, self._trial)
        if not self._reference:
            raise DataError(f"{KEY}: no sample of {self._trial.source} can be read")
        self._trial = replace(self._trial, samples=[frame.sample for frame, _ in self._reference])
        self._best = self._kpi(self._reference) if labelled else 0.0

    def loss(self, kept: Collection[str]) -> float:
        """Loss with these layers left in floating point."""
        key = frozenset(kept)
        if key not in self._known:
            results = self._run_blob(self._variants.without(key), self._trial)
            self._known[key] = math.inf if results is None else self._loss(results)
        return self._known[key]

    def rank(self) -> list[tuple[str, float]]:
        """(layer, relative squared error of the outputs when only it is lowered), the worst first.

        A group of layers without effect is not taken apart: each of its layers has the error of the group.
        """
        layers = self._variants.layers
        few = replace(self._trial, samples=self._trial.samples[:RANKING_SAMPLES], decode=None, metric=None)
        exact = [outputs for _, (outputs, _) in self._reference[:RANKING_SAMPLES]]
        errors: list[tuple[str, float]] = []
        small = 0.0 if self._variants.exhaustive else SMALL * min(self._error(layers, exact, few), 1.0)
        waiting = [[layer] for layer in layers] if self._variants.exhaustive else [layers]
        with logs.progress("ranking layers", len(layers)) as bar:
            while waiting:
                group = waiting.pop(0)
                error = self._error(group, exact, few)
                if len(group) > 1 and not error <= small:
                    middle = len(group) // 2
                    waiting[:0] = [group[:middle], group[middle:]]
                    continue
                errors.extend((layer, error) for layer in group)
                bar.advance(len(group))
        return sorted(errors, key=lambda item: -item[1])

    def bisect(self, ranking: list[tuple[str, float]]) -> list[str]:
        """The shortest start of the ranking that keeps the budget, taking loss to fall as layers are left out."""
        names = [name for name, _ in ranking]
        low, high = 0, len(names)  # low breaks the budget, high keeps it
        with logs.progress("searching layers", max(len(names), 1).bit_length()) as bar:
            while high - low > 1:
                middle = (low + high) // 2
                within = self.loss(names[:middle]) <= self._budget
                low, high = (low, middle) if within else (middle, high)
                bar.advance(1)
        if high == len(names):
            logger.warning("%s: the budget of %g is kept only with all layers left out", KEY, self._budget)
        return names[:high]

    def prune(self, kept: list[str]) -> list[str]:
        """Put layers back, the least harmful first, while the budget holds."""
        for name in list(reversed(kept))[:PRUNINGS]:
            fewer = [other for other in kept if other != name]
            if fewer and self.loss(fewer) <= self._budget:
                kept = fewer
        return kept

    def _error(self, layers: Collection[str], exact: Outputs, few: trial.Trial) -> float:
        results = self._run_blob(self._variants.only(layers), few)
        return math.inf if results is None else _squared_error(exact, [outputs for _, (outputs, _) in results])

    def _run_blob(self, blob: bytes, on: trial.Trial) -> list[Any] | None:
        """None when the outputs hold NaN."""
        try:
            with trial.loaded(backends.get(backends.REFERENCE), blob, self._source, 0) as engine:
                return self._run(engine, on)
        except NotANumberError:
            return None

    def _run(self, engine: Engine, on: trial.Trial) -> list[Any]:
        """(frame, (outputs, prediction)) of every sample that can be read."""
        with trial.running(self._context, on, engine, self._source) as pipeline:
            return [item for batch in pipeline.run(on.samples) for item in batch]

    def _loss(self, results: list[Any]) -> float:
        comparison = Comparison()
        for (_, want), (_, have) in zip(self._reference, results, strict=True):
            comparison.update(want, have)
        if any(item.lost for item in comparison.outputs.values()):
            return math.inf
        if self._labelled:
            return self._best - self._kpi(results)
        if comparison.agreement is not None:
            return 1.0 - comparison.agreement
        return _distance(comparison)

    def _kpi(self, results: list[Any]) -> float:
        metric = copy.deepcopy(self._trial.metric)
        assert metric is not None
        for frame, (_, prediction) in results:
            metric.update(frame, prediction)
        return float(next(iter(metric.compute().kpi.values())))


def _distance(comparison: Comparison) -> float:
    """1 - cosine of the worst output; where all outputs hold integers, the largest share of values that changed."""
    floats = [1.0 - item.cosine for item in comparison.outputs.values() if not item.whole]
    return max(floats or (1.0 - item.equal / max(item.count, 1) for item in comparison.outputs.values()))


def _squared_error(exact: Outputs, found: Outputs) -> float:
    """Sum over float outputs (all, where none is float) of squared error / squared reference; infinite for NaN and
    infinities of `found` where the reference has numbers."""
    import numpy as np

    total = 0.0
    floats = {name for name, first in exact[0].items() if first.dtype.kind == "f"}
    for name in floats or exact[0]:
        error = size = 0.0
        for want, have in zip(exact, found, strict=True):
            if want[name].shape != have[name].shape:
                continue
            there = np.isfinite(want[name])
            reference, value = want[name][there].astype(np.float64), have[name][there].astype(np.float64)
            if not np.all(np.isfinite(value)):
                return math.inf
            error += float(np.sum(np.square(value - reference)))
            size += float(np.sum(np.square(reference)))
        total += error / max(size, 1e-30)
    return total


def _show(ranking: list[tuple[str, float]], kept: list[str]) -> None:
    rows = tuple(
        (name, f"{error:.2e}" if math.isfinite(error) else "NaN or infinity", "kept" if name in kept else "")
        for name, error in ranking[:SHOWN]
    )
    title = f"Layers by their effect on the outputs, worst {len(rows)} of {len(ranking)}"
    logs.show_table(Table(title, ("layer", "relative squared error", ""), rows))
