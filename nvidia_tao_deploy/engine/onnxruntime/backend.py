# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime as a backend: the engine file is the ONNX model itself, typed as asked."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nvidia_tao_deploy import environment
from nvidia_tao_deploy.engine.contract import DYNAMIC, PLUGINS_KEY, Built, TensorInfo
from nvidia_tao_deploy.engine.feeds import check_feeds
from nvidia_tao_deploy.errors import BuildError, EngineError, TaoDeployError

if TYPE_CHECKING:
    import numpy as np
    import onnx

    from nvidia_tao_deploy.engine.contract import BuildPlan, LayerFacts

logger = logging.getLogger(__name__)

FLOAT_QDQ = "tao_deploy.float_qdq"
"""Mark in the metadata of models that we quantised: their biases are float, so no integer kernel takes them."""
CLIP_FUSIONS = ["ClipQuantRewrite", "ReluQuantRewrite"]
"""ONNX Runtime 1.32 merges a Clip into the QuantizeLinear behind it, and fails when that is FP8."""
WEIGHT_QUANTISER = "WeightBiasQuantization"
"""ONNX Runtime 1.32 makes INT8 weights, with one scale for all channels, of a layer's float ones between Q/DQ pairs.
Whoever left them in float meant it."""
THREADS_VARIABLE = "TAO_DEPLOY_THREADS"
NO_BF16 = "ONNX Runtime has hardly any BF16 kernels for CPUs: use FP32 or FP16 here; TensorRT 10 and RTX have BF16."
_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(bfloat16)": "bfloat16",
    "tensor(bool)": "bool",
}


class OnnxRuntimeBackend:
    """Builds and runs on the CPU, for checking specs, data and accuracy without a GPU."""

    name = "onnxruntime"
    timing_cache = False

    def unavailable(self) -> str | None:
        try:
            import onnxruntime  # noqa: F401
        except ImportError as error:
            return f"the package onnxruntime does not import ({error}); pip install onnxruntime"
        return None

    def recognises(self, head: bytes) -> bool:
        """An ONNX file is a protobuf message whose first field is ir_version, a small number (tag 0x08)."""
        return len(head) > 2 and head[0] == 0x08 and 0 < head[1] < 0x20

    def build(self, model: onnx.ModelProto, plan: BuildPlan) -> Built:
        """The model with plugin ops rewritten and, for fp16, typed; loaded once to be sure that it runs."""
        import onnxruntime

        from nvidia_tao_deploy.engine.calibration import explicit, overflow
        from nvidia_tao_deploy.graph import plugins, precision
        from nvidia_tao_deploy.graph.model import is_quantised

        rewritten, rewrites = plugins.rewrite(model)
        if is_quantised(rewritten):
            rewritten, plan = explicit.with_own_ranges(rewritten, plan)
        if plan.precision == "int8" and plan.calibration is not None and plan.calibration.route == "calibrator":
            logger.warning("cal_route=calibrator has no effect: ONNX Runtime has no calibrator, Q/DQ nodes are used")
        if plan.precision == "fp16":
            plan = overflow.plan_for(rewritten, plan)
        quantised, details = explicit.quantised(rewritten, plan, float_weights=False)
        typed = precision.apply(quantised, explicit.rest(plan, "fp32"))
        blob = quantised_blob(typed, plan.precision) if quantised is not rewritten else typed.SerializeToString()
        try:
            session(blob, plan.verbose)
        except TaoDeployError:
            raise
        except Exception as error:  # onnxruntime raises classes of its own for each kind of refusal
            hint = NO_BF16 if "bf16" in (plan.precision, *(rule.dtype for rule in plan.layers_precision)) else None
            raise BuildError(f"ONNX Runtime refuses the model: {_first_line(error)}", hint) from error
        return Built(blob, {"onnxruntime": onnxruntime.__version__, "plugin_rewrites": rewrites, **details})

    def layers(self, blob: bytes, source: Path, feeds: Mapping[str, np.ndarray], device: int = 0) -> list[LayerFacts]:
        from nvidia_tao_deploy.engine.onnxruntime import inspection

        return inspection.layers(blob, source, feeds)

    def use_libraries(self, paths: Sequence[Path]) -> None:
        if paths:
            logger.warning("%s has no effect: ONNX Runtime runs no TensorRT plugins", PLUGINS_KEY)

    def load(self, blob: bytes, source: Path, device: int = 0) -> OnnxRuntimeEngine:
        try:
            try:
                return OnnxRuntimeEngine(_session_of_file(blob, source), source)
            except Exception:
                standard = _without_plugins(blob, source)
                if standard is None:
                    raise
                return OnnxRuntimeEngine(session(standard), source)
        except TaoDeployError:
            raise
        except Exception as error:
            cut = "INVALID_PROTOBUF" in str(error)
            if not cut:
                _check_opset(blob, source)
            raise EngineError(
                f"{source}: ONNX Runtime cannot load it: {_first_line(error)}",
                hint="The file is damaged or cut off: copy it again, or build it with gen_trt_engine." if cut else None,
            ) from error


def _session_of_file(blob: bytes, source: Path) -> Any:
    """By path where possible: weights may lie in files beside it."""
    return session(blob if FLOAT_QDQ.encode() in blob or not _is_text(source) else str(source))


def _without_plugins(blob: bytes, source: Path) -> bytes | None:
    """The user's .onnx, given as the engine, with TensorRT's plugins replaced as in a build; None where it has none.

    Asked only when ONNX Runtime refuses a file: onnx is slow to import.
    """
    from nvidia_tao_deploy.graph import model as graph
    from nvidia_tao_deploy.graph import plugins

    try:
        if not plugins.contains_plugins(blob):
            return None
        return plugins.rewrite(graph.load(source).proto)[0].SerializeToString()
    except BuildError as error:
        raise EngineError(error.message, error.hint) from error


def _check_opset(blob: bytes, source: Path) -> None:
    """Raises EngineError for an operator set that is too old or too new, of which ONNX Runtime says less clearly."""
    from nvidia_tao_deploy.graph import model, plugins

    try:
        model.opset_of(plugins.parse(blob, source), source)
    except BuildError as error:
        raise EngineError(error.message, error.hint) from error


def _is_text(path: Path) -> bool:
    """Whether a path can be handed to ONNX Runtime: it takes UTF-8 only, Linux any bytes."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def quantised_blob(model: onnx.ModelProto, precision: str) -> bytes:
    """File content of a model that we put Q/DQ pairs into; the mark is added to `model` too."""
    model.metadata_props.add(key=FLOAT_QDQ, value=precision)
    return model.SerializeToString()


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def session_options(verbose: bool = False) -> Any:
    """Options of every session: threads as TAO_DEPLOY_THREADS says, INT8 sums that cannot overflow."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # without VNNI, the fast INT8 kernels saturate their 16-bit sums, and accuracy would depend on the CPU
    options.add_session_config_entry("session.x64quantprecision", "1")
    options.log_severity_level = 0 if verbose else 3
    options.intra_op_num_threads = environment.count(THREADS_VARIABLE) or 0
    return options


def session(model: bytes | str, verbose: bool = False, profile: str = "") -> Any:
    """A session of a model's content or path; with `profile`, ONNX Runtime writes times to files of that prefix."""
    import onnxruntime

    options = session_options(verbose)
    if profile:
        options.enable_profiling, options.profile_file_prefix = True, profile
    without = [WEIGHT_QUANTISER]
    if isinstance(model, bytes) and FLOAT_QDQ.encode() in model:
        # our Q/DQ pairs stand around float kernels: what ONNX Runtime does for integer ones would only slow them down
        options.add_session_config_entry("session.disable_quant_qdq", "1")
        without += CLIP_FUSIONS
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"], disabled_optimizers=without)


def _info(argument: Any) -> TensorInfo:
    shape = tuple(size if isinstance(size, int) and size > 0 else DYNAMIC for size in argument.shape)
    kind = argument.type
    return TensorInfo(argument.name, _DTYPES.get(kind, kind.removeprefix("tensor(").removesuffix(")")), shape)


class OnnxRuntimeEngine:
    """A session with a queue: batches run one after another on their own thread, all cores on each."""

    depth = 2

    def __init__(self, session: Any, source: Path) -> None:
        import onnxruntime

        self.inputs: tuple[TensorInfo, ...] = tuple(_info(item) for item in session.get_inputs())
        self.outputs: tuple[TensorInfo, ...] = tuple(_info(item) for item in session.get_outputs())
        self._names = [info.name for info in self.outputs]
        self._session = session
        self._source = source
        self._queue = ThreadPoolExecutor(1, thread_name_prefix="onnxruntime")
        self._options = onnxruntime.RunOptions()

    def buffers(self, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
        import numpy as np

        dtypes = {info.name: info.dtype for info in self.inputs}
        return {name: np.zeros(shape, dtypes[name]) for name, shape in shapes.items()}

    def fetch_only(self, outputs: Collection[str]) -> None:
        self._names = [info.name for info in self.outputs if info.name in outputs]

    def submit(self, feeds: Mapping[str, np.ndarray]) -> Future[Mapping[str, np.ndarray]]:
        check_feeds(self.inputs, feeds, self._source)
        return self._queue.submit(self._run, dict(feeds))

    def infer(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return dict(self.submit(feeds).result())

    def _run(self, feeds: dict[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        try:
            return dict(zip(self._names, self._session.run(self._names, feeds, self._options), strict=True))
        except Exception as error:
            raise EngineError(f"{self._source}: ONNX Runtime failed: {_first_line(error)}") from error

    def close(self) -> None:
        self._options.terminate = True  # a batch that nobody waits for any more
        self._queue.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> OnnxRuntimeEngine:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
