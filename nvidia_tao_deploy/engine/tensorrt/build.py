# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""ONNX model -> TensorRT engine."""

from __future__ import annotations

import ctypes
import logging
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import onnx

from nvidia_tao_deploy.engine.calibration import explicit, obtain, overflow
from nvidia_tao_deploy.engine.contract import BuildPlan, Built, LayerPrecision
from nvidia_tao_deploy.engine.tensorrt import calibrator as calibrating
from nvidia_tao_deploy.engine.tensorrt import cuda, layer_rules, log, progress, timing_cache, turns
from nvidia_tao_deploy.engine.tensorrt.dialect import TENSORRT, TENSORRT_RTX, Dialect
from nvidia_tao_deploy.errors import BuildError, SpecError, did_you_mean
from nvidia_tao_deploy.graph import gates, kernel_shapes, layers, lowering, plugins, precision
from nvidia_tao_deploy.graph import own_ranges as own
from nvidia_tao_deploy.graph.editing import attributes
from nvidia_tao_deploy.graph.layers import label
from nvidia_tao_deploy.graph.model import PROTOBUF_LIMIT, all_nodes, is_quantised, on_disk, proto_bytes
from nvidia_tao_deploy.graph.quantise import FLOATS, activations

logger = logging.getLogger(__name__)

MEGABYTE = 1 << 20
_FLAGS = {"fp16": "FP16", "bf16": "BF16", "int8": "INT8"}
_CAPABILITIES = {"bf16": (8.0, "Use FP16 or FP32."), "fp8": (8.9, "Use INT8, FP16 or FP32.")}
"""Precision -> least compute capability that has it, and what else to use."""
_STRICT_FLAGS = ("PREFER_PRECISION_CONSTRAINTS", "DIRECT_IO", "REJECT_EMPTY_ALGORITHMS")
_EXTERNAL_LIBRARIES = {
    # tactic source: libraries, and the first one's function that tells a version; a real one answers _LEAST or more
    "CUBLAS": (("libcublas.so.11",), "cublasGetCudartVersion"),
    "CUBLAS_LT": (("libcublasLt.so.11",), "cublasLtGetVersion"),
    "CUDNN": (("libcudnn.so.8", "libcudnn_ops_infer.so.8", "libcudnn_cnn_infer.so.8"), "cudnnGetVersion"),
}
_LEAST = 1000


def build(dialect: Dialect, model: onnx.ModelProto, plan: BuildPlan) -> Built:
    """Make an engine. Raises BuildError with TensorRT's own words and the node concerned, SpecError for a bad key."""
    tensorrt_log, records = log.record(dialect.trt, plan.verbose)
    own_ranges = is_quantised(model)
    _check_precision(dialect, plan, own_ranges)
    original = model
    if plan.precision == "fp16" and plan.calibration is not None:
        plan = _without_overflow(original, plan)
    model, rewrites = plugins.rewrite(model, native=dialect.plugin_names(tensorrt_log))
    model = plugins.described(model)  # layers behind a plugin that stays are quantised and typed like all others
    if own_ranges:
        model, plan = explicit.with_own_ranges(model, plan)
        model = own.symmetric(model, float_weights=not dialect.reads_int8_weights)
    typing: dict[str, Any] = {"typing": "flags"}
    feeder, calibrator = None, None
    strongly_typed = dialect.explicit_only or plan.precision == "fp8"
    if strongly_typed:
        if plan.precision == "int8" and not own_ranges:
            _by_calibrator(dialect, plan)  # refuses what was asked for and is not there
        model, typing = _typed(model, plan, original, dialect.product)
    elif plan.precision == "int8" and not own_ranges and _by_calibrator(dialect, plan):
        feeder, calibrator, plan = _calibrator(dialect, original, plan)
        typing["ranges"] = feeder.source
        if feeder.missing:
            typing["tensors_without_range"] = list(feeder.missing)
    elif plan.precision == "int8":
        model, facts = explicit.quantised(model, plan, float_weights=True, measured=original, fp16_rest=not plan.strict)
        # Q/DQ nodes say what is INT8; layers need not be told
        plan = explicit.rest(plan, plan.precision, facts.get("beyond_fp16", ()))
        typing.update(facts)
    model = _named(model)
    quantised = is_quantised(model)
    model = kernel_shapes.stated(model)
    start = time.monotonic()
    with_gpu = dialect.product == TENSORRT
    if with_gpu:
        cuda.set_device(plan.device)
    builder = _make(lambda: dialect.trt.Builder(tensorrt_log), records, "a builder")
    if not dialect.explicit_only:
        _check_hardware(dialect, builder, plan, with_gpu)
    read = _read(
        dialect, lambda: dialect.create_network(builder, strongly_typed), tensorrt_log, model, plan.layers_precision
    )
    network, model = read.network, read.model
    plan = replace(plan, layers_precision=read.rules)
    config = builder.create_builder_config()
    kept = gates.find(model) if feeder is not None else None
    gate_layers = _configure(dialect, builder, network, config, model, plan, quantised, strongly_typed, kept)
    if feeder is not None:
        config.int8_calibrator = calibrator
        calibrating.add_profile(builder, network, config, feeder)
    cache_file = plan.timing_cache if dialect.has_timing_cache else None
    with _turn(plan.device) if with_gpu else nullcontext(0.0) as waited:
        cached = cache_file is not None and timing_cache.use(config, cache_file)
        blob = _run(dialect, builder, network, config, plan, records, feeder)
        cache_bytes = timing_cache.store(config, cache_file) if cache_file is not None else 0
    details: dict[str, Any] = {
        "backend": "tensorrt" if dialect.product == TENSORRT else "tensorrt_rtx",
        "tensorrt_version": dialect.version,
        "precision": plan.precision,
        **typing,
        "quantised_model": own_ranges,
        **({"gates_not_int8": gate_layers} if kept is not None else {}),
        "network_layers": network.num_layers,
        "workspace_mb": plan.workspace_mb,
        "plugin_rewrites": rewrites,
        "build_seconds": round(time.monotonic() - start - waited, 2),
        "waited_seconds": round(waited, 2),
        "warnings": records.warnings,
    }
    if with_gpu:
        details["gpu"], details["compute_capability"] = cuda.device_facts(plan.device)
    if cache_file is not None:
        details["timing_cache"] = {"path": str(cache_file), "used": cached, "bytes": cache_bytes}
    elif plan.timing_cache:
        logger.info("%s times no kernels while building: the timing cache has no effect", dialect.product)
    return Built(blob, details)


def _turn(device: int) -> AbstractContextManager[float]:
    """This process's turn to build on a GPU."""
    return turns.turn(cuda.device_id(device), f"GPU {device} ({cuda.device_facts(device)[0]})")


def _check_precision(dialect: Dialect, plan: BuildPlan, quantised: bool) -> None:
    key = f"gen_trt_engine.tensorrt.data_type={plan.precision.upper()}"
    if plan.precision == "fp8" and not dialect.has_fp8:
        raise BuildError(f"{key}: {dialect} has no FP8 (TensorRT 10 and later have it)", hint="Use INT8, FP16 or FP32.")
    if plan.precision in ("int8", "fp8") and quantised:
        logger.info("%s ranges come from the model's own Q/DQ nodes; no calibration is run", plan.precision.upper())
    elif quantised:
        logger.info("The model carries Q/DQ nodes: those layers are INT8 (or FP8), data_type says what the others are")
    if plan.precision == "bf16" and not dialect.explicit_only and not dialect.has_flag("BF16"):
        raise BuildError(f"{key}: {dialect} has no BF16", hint="Use FP16 or FP32, or TensorRT 10 or later.")


def _typed(
    model: onnx.ModelProto, plan: BuildPlan, original: onnx.ModelProto, product: str = TENSORRT
) -> tuple[onnx.ModelProto, dict[str, Any]]:
    """The model with every type stated: FP16 or BF16 casts, Q/DQ pairs with FP16 for the rest unless strict. An INT8 or
    FP8 model with Q/DQ nodes of its own is its own statement of types, but for `layers_precision`.

    `original` is the model before plugins were replaced: plugins that stay in `model` cannot be run for ranges.
    """
    narrow = "fp32" if plan.strict or is_quantised(model) else "fp16"
    fp16_rest = narrow == "fp16"
    quantised, facts = explicit.quantised(model, plan, float_weights=True, measured=original, fp16_rest=fp16_rest)
    rest = explicit.rest(plan, narrow, facts.get("beyond_fp16", ()))
    if product == TENSORRT_RTX and rest.precision != "fp32":
        rest = replace(rest, layers_precision=(*rest.layers_precision, *_narrow_recurrences(quantised, rest)))
    typed, report = precision.apply_with_report(quantised, rest)
    return typed, {
        "typing": "explicit",
        **facts,
        "narrow_nodes": len(report.narrow),
        "kept_fp32": report.kept,
        "clamped_constants": report.clamped,
    }


def _narrow_recurrences(model: onnx.ModelProto, plan: BuildPlan) -> tuple[LayerPrecision, ...]:
    """Rules for forward recurrences of which the user said nothing: TensorRT RTX 1.7 fails on those in float32 behind a
    cast ("Mismatched number of elements in reshape op"), and builds them in the narrow type. Its parser takes no GRU in
    BF16."""
    said = layers.match(plan.layers_precision, [label(node) for node in model.graph.node])
    kinds = {"LSTM", "RNN"} if plan.precision == "bf16" else {"LSTM", "GRU", "RNN"}
    return tuple(
        LayerPrecision(label(node), plan.precision, optional=True)
        for node in model.graph.node
        if node.op_type in kinds
        and label(node) not in said
        and attributes(node).get("direction", b"forward") == b"forward"
    )


def _named(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with its unnamed nodes named after their output, as `layers_precision` calls them on every backend."""
    if all(node.name for node in model.graph.node):
        return model
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for node in copy.graph.node:
        node.name = node.name or label(node)
    return copy


def _by_calibrator(dialect: Dialect, plan: BuildPlan) -> bool:
    """Whether TensorRT itself calibrates (or takes a cache), rather than Q/DQ nodes in the graph."""
    route = plan.calibration.route if plan.calibration is not None else "auto"
    if route == "calibrator" and not calibrating.available(dialect):
        raise BuildError(f"{obtain.SECTION}.cal_route=calibrator: {dialect} has no calibrator", hint="Use auto or qdq.")
    return route != "qdq" and calibrating.available(dialect)


def _calibrator(
    dialect: Dialect, original: onnx.ModelProto, plan: BuildPlan
) -> tuple[calibrating.Feeder, Any, BuildPlan]:
    """What feeds TensorRT's calibrator, the calibrator, and the plan: what FP16 cannot hold is FP32 in it."""
    known = obtain.known_ranges(plan.calibration)
    if known is not None:
        described = plugins.described(original)
        known = obtain.compared(known, described, activations(described, FLOATS))
        obtain.keep(plan.calibration, known)
    elif obtain.with_data(plan.calibration).algorithm not in calibrating.CLASSES:
        known = obtain.ranges(explicit.runnable(original), plan.calibration)  # TensorRT has no such algorithm
    feeder, calibrator = calibrating.prepare(dialect, plan.calibration, known)
    if not plan.strict:
        plan = _without_overflow(original, plan, known.amax if known is not None else None)
    return feeder, calibrator, plan


def _without_overflow(model: onnx.ModelProto, plan: BuildPlan, amax: Mapping[str, float] | None = None) -> BuildPlan:
    """The plan with what FP16 cannot hold in FP32, as far as ONNX Runtime can run the model to find out."""
    own = plugins.unknown(model)
    if own:
        logger.info("FP16: values are not measured beforehand: ONNX Runtime has no %s", ", ".join(own))
        return plan
    return overflow.plan_for(plugins.standard(model), plan, amax)


def _make(create: Any, records: log.LogRecords, what: str) -> Any:
    try:
        made = create()
    except Exception as error:  # pybind raises TypeError when a factory returns nothing
        raise BuildError(f"TensorRT cannot make {what}: {records.told()} ({error})") from None
    if made is None:
        raise BuildError(f"TensorRT cannot make {what}: {records.told()}")
    return made


def _check_hardware(dialect: Dialect, builder: Any, plan: BuildPlan, with_gpu: bool) -> None:
    if plan.precision == "fp16" and not dialect.fast(builder, "fp16"):
        raise BuildError("gen_trt_engine.tensorrt.data_type=FP16: this GPU has no fast FP16", hint="Use FP32.")
    if plan.precision == "int8" and not dialect.fast(builder, "int8"):
        raise BuildError("gen_trt_engine.tensorrt.data_type=INT8: this GPU has no fast INT8", hint="Use FP16 or FP32.")
    if plan.precision in _CAPABILITIES and with_gpu:
        least, hint = _CAPABILITIES[plan.precision]
        name, capability = cuda.device_facts(plan.device)
        if float(capability) < least:
            wanted = plan.precision.upper()
            raise BuildError(
                f"gen_trt_engine.tensorrt.data_type={wanted}: {name} (compute capability {capability}) has no {wanted}",
                hint,
            )


@dataclass(frozen=True, slots=True)
class _Read:
    """A network that was made of a model.

    Attributes:
        network: TensorRT's.
        parser: to be kept until the engine is built: the network's weights are its own.
        model: what the parser was given.
        rules: `layers_precision` for that.
    """

    network: Any
    parser: Any
    model: onnx.ModelProto
    rules: tuple[LayerPrecision, ...]


def _read(
    dialect: Dialect,
    create_network: Callable[[], Any],
    tensorrt_log: Any,
    model: onnx.ModelProto,
    rules: tuple[LayerPrecision, ...],
) -> _Read:
    """Let the parser make a network of a model.

    Operators of which the parser refuses a form (Attention with a softcap, LayerNormalization whose mean is used) are
    written as the standard defines them, and the model is read anew.
    """
    refused: set[str] = set()
    first: BuildError | None = None
    while True:
        network = create_network()
        parser = dialect.trt.OnnxParser(network, tensorrt_log)
        lowered = model
        try:
            lacks = partial(_lacks, dialect, parser, refused)
            lowered, followed = lowering.lower(model, lacks, rules, dialect.has_old_parser)
            _parse(dialect, parser, lowered)
            return _Read(network, parser, lowered, followed)
        except BuildError as error:
            first = first or error
            more = lowering.writable(dialect.refused_ops(parser, lowered.graph.node), lowered) - refused
            if not more:
                raise first from None
            logger.debug("The parser refuses %s: %s", ", ".join(sorted(more)), error)
            refused |= more


def _lacks(dialect: Dialect, parser: Any, refused: Collection[str], op: str) -> bool:
    """Whether the parser lacks a standard operator, or a form of it; plugins are its registry's affair."""
    return op in refused or op in dialect.unknown_ops or not parser.supports_operator(op)


def _parse(dialect: Dialect, parser: Any, model: onnx.ModelProto) -> None:
    if proto_bytes(model) < PROTOBUF_LIMIT:
        parsed = parser.parse(model.SerializeToString())
    else:
        with on_disk(model) as path:
            parsed = parser.parse_from_file(str(path))
    if parsed:
        return
    errors = dialect.parser_errors(parser, model.graph.node) or ["no reason given"]
    raise BuildError(
        f"{dialect} cannot read the model: {'; '.join(dict.fromkeys(errors))}",
        hint=own.advice(model) or "gen_trt_engine.verbose=true shows the parser's log up to that node.",
    )


def _configure(
    dialect: Dialect,
    builder: Any,
    network: Any,
    config: Any,
    model: onnx.ModelProto,
    plan: BuildPlan,
    quantised: bool,
    strongly_typed: bool,
    kept: gates.Gates | None = None,
) -> int:
    """Returns how many layers of gates are told not to compute in INT8."""
    trt = dialect.trt
    dialect.set_workspace(config, plan.workspace_mb * MEGABYTE)
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    if not plan.tf32:
        config.clear_flag(trt.BuilderFlag.TF32)
    gate_layers = 0
    if not strongly_typed:
        gate_layers = _set_precision(dialect, network, config, model, plan, quantised, kept)
    _set_tactic_sources(dialect, config, plan)
    if plan.profiles:
        _add_profile(builder, network, config, plan)
    else:
        _refuse_open_axes(network)
    return gate_layers


def _set_precision(
    dialect: Dialect,
    network: Any,
    config: Any,
    model: onnx.ModelProto,
    plan: BuildPlan,
    quantised: bool,
    kept: gates.Gates | None = None,
) -> int:
    """The weakly typed route: flags allow a precision, the builder chooses by time. Returns as `_configure`."""
    wanted = {plan.precision} if plan.precision in _FLAGS else set()
    if plan.precision == "int8" and not plan.strict:
        wanted.add("fp16")  # TAO's meaning of INT8: what is not INT8 may be FP16
    if plan.strict:
        for flag in _STRICT_FLAGS:
            if dialect.has_flag(flag):
                dialect.set_flag(config, flag)
    if quantised:
        wanted.add("int8")
    if _has_half(model):
        wanted.add("fp16")  # what the model itself states
    needed, gate_layers = layer_rules.apply(dialect, network, config, model, plan, kept)
    for name in sorted(wanted | needed):
        dialect.set_flag(config, _FLAGS[name])
    return gate_layers


def _has_half(model: onnx.ModelProto) -> bool:
    half = onnx.TensorProto.FLOAT16
    return (
        any(tensor.data_type == half for tensor in model.graph.initializer)
        or any(value.type.tensor_type.elem_type == half for value in [*model.graph.input, *model.graph.output])
        or any(
            attribute.name == "to" and attribute.i == half
            for node in all_nodes(model.graph)
            if node.op_type == "Cast"
            for attribute in node.attribute
        )
    )


def _set_tactic_sources(dialect: Dialect, config: Any, plan: BuildPlan) -> None:
    known = dialect.tactic_sources()
    if plan.tactic_sources is not None:
        names = [name.strip().upper() for name in plan.tactic_sources]
        for name in names:
            if name not in known:
                raise SpecError(
                    f"gen_trt_engine.tensorrt.tactic_sources: {dialect} has no source '{name}'; "
                    f"it has: {', '.join(known)}",
                    hint=did_you_mean(name, known),
                )
        config.set_tactic_sources(_mask(known, names))
        return
    missing = [name for name in _EXTERNAL_LIBRARIES if name in known and not _usable(name)] if _is_8_5(dialect) else []
    if missing:
        logger.info("tactic sources without %s: the libraries are not here", ", ".join(missing))
        without = ~_mask(known, missing)
        config.set_tactic_sources(config.get_tactic_sources() & without)


def _mask(known: dict[str, Any], names: list[str]) -> int:
    mask = 0
    for name in names:
        mask |= 1 << int(known[name])
    return mask


def _is_8_5(dialect: Dialect) -> bool:
    """Later versions use these libraries only when asked to."""
    return dialect.product == TENSORRT and dialect.number[:2] <= (8, 5)


def _usable(source: str) -> bool:
    """Whether a tactic source's libraries are here, all of them, and real."""
    names, function = _EXTERNAL_LIBRARIES[source]
    try:
        first, *_ = [ctypes.CDLL(name) for name in names]
        ask = getattr(first, function)
    except (OSError, AttributeError):
        return False
    ask.restype = ctypes.c_size_t
    return int(ask()) >= _LEAST


def _add_profile(builder: Any, network: Any, config: Any, plan: BuildPlan) -> None:
    profile = builder.create_optimization_profile()
    for index in range(network.num_inputs):
        tensor = network.get_input(index)
        bounds = plan.profiles.get(tensor.name)
        if bounds is None:
            raise BuildError(
                f"no optimisation profile for input '{tensor.name}'; there are: {', '.join(plan.profiles)}"
            )
        profile.set_shape(tensor.name, bounds.minimum, bounds.optimum, bounds.maximum)
    if config.add_optimization_profile(profile) < 0:
        raise BuildError(f"TensorRT refuses the optimisation profile {dict(plan.profiles)}")


def _refuse_open_axes(network: Any) -> None:
    for index in range(network.num_inputs):
        tensor = network.get_input(index)
        if any(size < 0 for size in tensor.shape):
            raise BuildError(f"input '{tensor.name}' {tuple(tensor.shape)} has open axes and no optimisation profile")


def _run(
    dialect: Dialect,
    builder: Any,
    network: Any,
    config: Any,
    plan: BuildPlan,
    records: log.LogRecords,
    feeder: calibrating.Feeder | None,
) -> bytes:
    state = progress.Progress()
    keep = progress.attach(dialect, config, state)
    before = len(records.errors)

    def work() -> Any:
        if dialect.product == TENSORRT:
            cuda.set_device(plan.device)  # the current GPU belongs to a thread
        return builder.build_serialized_network(network, config)

    blob = progress.run(work, state)
    del keep
    if feeder is not None:
        feeder.finish(str(dialect))
    if blob is None:
        raise BuildError(f"{dialect} cannot build the engine: {records.told(before)}", hint=_hint(records, plan))
    return bytes(blob)


def _hint(records: log.LogRecords, plan: BuildPlan) -> str:
    text = " ".join(records.errors).lower()
    if "memory" in text or "insufficient" in text or "workspace" in text:
        return (
            f"Give the builder more memory (gen_trt_engine.tensorrt.workspace_size={plan.workspace_mb} MB now) "
            "or a smaller max_batch_size."
        )
    return "gen_trt_engine.verbose=true shows TensorRT's whole log."
