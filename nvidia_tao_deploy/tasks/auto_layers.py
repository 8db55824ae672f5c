# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""`auto_layers_precision`: the fewest layers to keep out of INT8 (or FP8) so that accuracy stays within a budget.

Works on ONNX Runtime with Q/DQ graphs, whatever the engine is built for, so it needs no GPU:

1. Rank: quantise one layer at a time and take the relative squared error of the model's outputs.
2. Search: leave out the k worst layers and bisect for the least k whose loss is within the budget.
3. Prune: put layers back one by one, the least harmful first, while the loss stays within the budget.

Loss is 1 - agreement of decoded predictions with the FP32 model; 1 - cosine of the outputs where nothing can be
decoded; or the drop of the network's own first metric where labels are asked for.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from nvidia_tao_deploy import logs
from nvidia_tao_deploy.engine.calibration import obtain
from nvidia_tao_deploy.engine.contract import BuildPlan, LayerPrecision
from nvidia_tao_deploy.errors import DataError, SpecError
from nvidia_tao_deploy.network import Table
from nvidia_tao_deploy.tasks import trial
from nvidia_tao_deploy.tasks.comparing import Comparison
from nvidia_tao_deploy.tasks.context import Context

if TYPE_CHECKING:
    import numpy as np

    from nvidia_tao_deploy.engine.contract import Engine
    from nvidia_tao_deploy.graph.model import Model

logger = logging.getLogger(__name__)
KEY = "gen_trt_engine.tensorrt.auto_layers_precision"
RANKING_SAMPLES = 16
SHOWN = 10
PRUNINGS = 16
"""Layers that are tried back in after the bisection; each trial runs all samples once."""

Outputs = list[dict[str, "np.ndarray"]]


def find(context: Context, model: Model, plan: BuildPlan) -> tuple[LayerPrecision, ...]:
    """The layers to keep in `auto_layers_precision.dtype`; () when the budget holds without any.

    Prints the ranking and the list, ready for `layers_precision`.

    Raises:
        SpecError: the engine is not built in INT8 or FP8, or the model carries Q/DQ nodes of its own.
        DataError: there are no samples.
    """
    from nvidia_tao_deploy.graph import quantise

    keys = context.spec.gen_trt_engine.tensorrt.auto_layers_precision
    if plan.precision not in quantise.FORMATS or model.quantised:
        found = "a model with Q/DQ nodes" if model.quantised else f"data_type {plan.precision.upper()}"
        raise SpecError(f"{KEY}: works with data_type INT8 or FP8 and calibration; found {found}")
    search = _Search(context, model, plan)
    everything = search.loss(())
    if everything <= keys.budget:
        logger.info("%s: loss %.4f with all layers quantised, within the budget of %g", KEY, everything, keys.budget)
        return ()
    ranking = search.rank()
    kept = search.prune(search.bisect(ranking, everything))
    items = [f"{name}:{keys.dtype.lower()}" for name in kept]
    _show(ranking, kept, everything, search.loss(kept))
    shown = ", ".join(f"'{item}'" for item in items)
    logger.info("To paste into the spec:\ngen_trt_engine:\n  tensorrt:\n    layers_precision: [%s]", shown)
    return tuple(LayerPrecision(name, keys.dtype.lower(), optional=True) for name in kept)


class _Search:
    """Loss of a model with some of its layers left out of quantisation, by the names of those."""

    def __init__(self, context: Context, model: Model, plan: BuildPlan) -> None:
        from nvidia_tao_deploy.graph import plugins, quantise

        keys = context.spec.gen_trt_engine.tensorrt.auto_layers_precision
        self._context, self._source, self._plan = context, model.source, plan
        self._budget = keys.budget
        self._model = plugins.rewrite(model.proto)[0]
        self._format = quantise.FORMATS[plan.precision]
        self._amax = obtain.ranges(self._model, plan.calibration).amax
        labelled = keys.metric.lower() == "kpi"
        self._trial = trial.plan(context, model, keys.samples, labelled)
        self._labelled = labelled
        self._known: dict[frozenset[str], float] = {}
        with trial.reference(model) as engine:
            self._reference = self._run(engine, self._trial)
        if not self._reference:
            raise DataError(f"{KEY}: no sample of {self._trial.source} can be read")
        self._best = self._kpi(self._reference) if labelled else 0.0
        _, report = quantise.quantise(self._model, self._amax, self._format, plan.layers_precision)
        self.layers = report.quantised

    def loss(self, kept: Collection[str]) -> float:
        """Loss with these layers left in floating point."""
        key = frozenset(kept)
        if key not in self._known:
            self._known[key] = self._loss(self._run_quantised(key, self._trial))
        return self._known[key]

    def rank(self) -> list[tuple[str, float]]:
        """(layer, relative squared error of the outputs when only it is quantised), the worst first."""
        few = trial.Trial(self._trial.samples[:RANKING_SAMPLES], self._trial.source, self._trial.subtask, None, None)
        exact = [outputs for _, (outputs, _) in self._reference[: len(few.samples)]]
        errors = []
        with logs.progress("ranking layers", len(self.layers)) as bar:
            for layer in self.layers:
                others = frozenset(self.layers) - {layer}
                results = self._run_quantised(others, few)
                errors.append((layer, _squared_error(exact, [outputs for _, (outputs, _) in results])))
                bar.advance(1)
        return sorted(errors, key=lambda item: -item[1])

    def bisect(self, ranking: list[tuple[str, float]], everything: float) -> list[str]:
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
            logger.warning("%s: the budget of %g is kept only with no layer quantised", KEY, self._budget)
        return names[:high]

    def prune(self, kept: list[str]) -> list[str]:
        """Put layers back, the least harmful first, while the budget holds."""
        for name in list(reversed(kept))[:PRUNINGS]:
            fewer = [other for other in kept if other != name]
            if fewer and self.loss(fewer) <= self._budget:
                kept = fewer
        return kept

    def _run_quantised(self, kept: Collection[str], on: trial.Trial) -> list[Any]:
        from nvidia_tao_deploy.engine.onnxruntime.backend import OnnxRuntimeBackend, quantised_blob
        from nvidia_tao_deploy.graph import quantise

        if set(self.layers) <= set(kept):
            blob = self._model.SerializeToString()
        else:
            quantised, _ = quantise.quantise(
                self._model, self._amax, self._format, self._plan.layers_precision, float_weights=False, keep=kept
            )
            blob = quantised_blob(quantised, self._format.name)
        with trial.loaded(OnnxRuntimeBackend(), blob, self._source, 0) as engine:
            return self._run(engine, on)

    def _run(self, engine: Engine, on: trial.Trial) -> list[Any]:
        """(frame, (outputs, prediction)) of every sample that can be read."""
        with trial.running(self._context, on, engine, self._source) as pipeline:
            return [item for batch in pipeline.run(on.samples) for item in batch]

    def _loss(self, results: list[Any]) -> float:
        if self._labelled:
            return self._best - self._kpi(results)
        comparison = Comparison()
        for (_, want), (_, have) in zip(self._reference, results, strict=True):
            comparison.update(want, have)
        if comparison.agreement is not None:
            return 1.0 - comparison.agreement
        return max(1.0 - item.cosine for item in comparison.outputs.values() if not item.whole)

    def _kpi(self, results: list[Any]) -> float:
        metric = copy.deepcopy(self._trial.metric)
        assert metric is not None
        for frame, (_, prediction) in results:
            metric.update(frame, prediction)
        return float(next(iter(metric.compute().kpi.values())))


def _squared_error(exact: Outputs, found: Outputs) -> float:
    """Sum over float outputs of squared error / squared reference."""
    import numpy as np

    total = 0.0
    for name, first in exact[0].items():
        if first.dtype.kind != "f":
            continue
        error = size = 0.0
        for want, have in zip(exact, found, strict=True):
            if want[name].shape != have[name].shape:
                continue
            reference = want[name].astype(np.float64)
            error += float(np.sum(np.square(have[name] - reference)))
            size += float(np.sum(np.square(reference)))
        total += error / max(size, 1e-30)
    return total


def _show(ranking: list[tuple[str, float]], kept: list[str], before: float, after: float) -> None:
    rows = tuple((name, f"{error:.2e}", "kept" if name in kept else "") for name, error in ranking[:SHOWN])
    title = f"Layers by their effect on the outputs, worst {len(rows)} of {len(ranking)}"
    logs.show_table(Table(title, ("layer", "relative squared error", ""), rows))
    logger.info("%s: loss %.4f with all quantised, %.4f with %d kept", KEY, before, after, len(kept))
