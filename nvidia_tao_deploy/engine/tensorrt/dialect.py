# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""What differs between TensorRT 8.5, 8.6, 10, 11 and TensorRT RTX 1.x, in one place.

Decisions go by what a module has, not by its version number, wherever that is possible.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

TENSORRT = "TensorRT"
TENSORRT_RTX = "TensorRT RTX"
_MODULES = {TENSORRT: ("tensorrt",), TENSORRT_RTX: ("tensorrt_rtx", "tensorrt_rtx_bindings")}

_NUMPY_NAMES = {
    "FLOAT": "float32", "HALF": "float16", "BF16": "bfloat16", "INT8": "int8", "INT32": "int32", "INT64": "int64",
    "BOOL": "bool", "UINT8": "uint8", "FP8": "float8_e4m3fn",
}  # fmt: skip
_RTX_PLUGINS = frozenset({"MyelinWeightsTransformPlugin", "ROIAlign_TRT"})
"""What RTX keeps in its registry for itself; it has no library of plugins."""
PRECISION_TYPES = {"fp32": "FLOAT", "fp16": "HALF", "bf16": "BF16", "int8": "INT8", "int32": "INT32"}


@dataclass(frozen=True, slots=True)
class Dialect:
    """One TensorRT module and how to talk to it.

    Attributes:
        trt: the Python module.
        product: TENSORRT or TENSORRT_RTX.
    """

    trt: Any
    product: str

    @property
    def version(self) -> str:
        """For example "8.5.3.1"."""
        return str(self.trt.__version__)

    @property
    def number(self) -> tuple[int, ...]:
        """The version's leading numbers, for example (8, 5, 3, 1)."""
        parts = []
        for part in self.version.split("."):
            if not part.isdigit():
                break
            parts.append(int(part))
        return tuple(parts)

    def __str__(self) -> str:
        return f"{self.product} {self.version}"

    # precision

    @property
    def explicit_only(self) -> bool:
        """Whether the graph's own types are the only way to say a precision (TensorRT 11, RTX)."""
        return not self.has_flag("FP16")

    def has_flag(self, name: str) -> bool:
        """Whether the builder has a flag of this name."""
        return hasattr(self.trt.BuilderFlag, name)

    def set_flag(self, config: Any, name: str) -> None:
        """Set a builder flag by name."""
        config.set_flag(getattr(self.trt.BuilderFlag, name))

    def fast(self, builder: Any, precision: str) -> bool:
        """Whether the GPU has units for a precision; True where this TensorRT no longer tells."""
        return bool(getattr(builder, f"platform_has_fast_{precision}", True))

    def data_type(self, precision: str) -> Any | None:
        """TensorRT's type for "fp16" and so on; None where it has none."""
        return getattr(self.trt.DataType, PRECISION_TYPES[precision], None)

    def numpy_name(self, data_type: Any) -> str:
        """numpy dtype name of a tensor's type; raises KeyError for types without one (INT4, FP4)."""
        return _NUMPY_NAMES[data_type.name]

    # building

    @property
    def has_fp8(self) -> bool:
        """Whether FP8 can be built; it takes a strongly typed network."""
        kinds = self.trt.NetworkDefinitionCreationFlag
        return hasattr(self.trt.DataType, "FP8") and (self.explicit_only or hasattr(kinds, "STRONGLY_TYPED"))

    def create_network(self, builder: Any, strongly_typed: bool) -> Any:
        """An empty network: explicit batch where that still must be said, strongly typed where asked and optional."""
        flags = 0
        kinds = self.trt.NetworkDefinitionCreationFlag
        if hasattr(kinds, "EXPLICIT_BATCH"):  # gone in TensorRT 11; without effect in 10
            flags |= 1 << int(kinds.EXPLICIT_BATCH)
        if strongly_typed and hasattr(kinds, "STRONGLY_TYPED"):
            flags |= 1 << int(kinds.STRONGLY_TYPED)
        return builder.create_network(flags)

    @property
    def unknown_ops(self) -> frozenset[str]:
        """Standard operators that this version's parser does not read and `graph.lowering` can write otherwise."""
        older = {"LayerNormalization"} if self.product == TENSORRT and self.number < (8, 6) else set()
        untyped = {"Celu"} if self.explicit_only else set()  # RTX 1.7 reads it in float32 alone
        return frozenset({"SplitToSequence", "SequenceAt"} | older | untyped)

    @property
    def has_old_parser(self) -> bool:
        """Whether the parser sees nothing that came after operator set 17, and not all of what came before, and says
        nothing: `graph.older_forms` and `graph.misread` write it otherwise."""
        return self.product == TENSORRT and self.number < (10,)

    @property
    def reads_int8_weights(self) -> bool:
        """Whether the parser takes weights that are stored as INT8 behind a DequantizeLinear."""
        return self.explicit_only or self.number >= (10,)

    def set_workspace(self, config: Any, size: int) -> None:
        """Limit the builder's scratch memory, in bytes."""
        config.set_memory_pool_limit(self.trt.MemoryPoolType.WORKSPACE, size)

    @property
    def has_timing_cache(self) -> bool:
        """RTX times nothing ahead of time: its kernels are chosen on the user's GPU."""
        return self.product == TENSORRT

    @property
    def has_progress(self) -> bool:
        """Whether the builder reports its progress (TensorRT 10 and later, RTX)."""
        return hasattr(self.trt, "IProgressMonitor")

    def plugin_names(self, logger: Any) -> frozenset[str]:
        """Operators that registered plugins provide."""
        if hasattr(self.trt, "init_libnvinfer_plugins"):
            self.trt.init_libnvinfer_plugins(logger, "")
        registry = self.trt.get_plugin_registry()
        creators = getattr(registry, "all_creators", None) or getattr(registry, "plugin_creator_list", None) or ()
        own = _RTX_PLUGINS if self.product == TENSORRT_RTX else frozenset()
        return frozenset(creator.name for creator in creators) - own

    def parser_errors(self, parser: Any, nodes: Any) -> list[str]:
        """Everything that the ONNX parser complains about, one line each, with the node concerned."""
        return [self._parser_error(parser.get_error(index), nodes) for index in range(parser.num_errors)]

    def refused_ops(self, parser: Any, nodes: Any) -> set[str]:
        """Operators of the nodes that the ONNX parser complains about."""
        errors = [parser.get_error(index) for index in range(parser.num_errors)]
        return {self._node_of_error(error, nodes)[1] for error in errors} - {""}

    @staticmethod
    def _node_of_error(error: Any, nodes: Any) -> tuple[str, str]:
        """Name and operator; empty where an error is about no node."""
        index = error.node()
        if hasattr(error, "node_name"):
            return error.node_name(), error.node_operator()
        if 0 <= index < len(nodes):  # TensorRT 8 gives the number only
            return nodes[index].name or nodes[index].output[0], nodes[index].op_type
        return "", ""

    @classmethod
    def _parser_error(cls, error: Any, nodes: Any) -> str:
        name, kind = cls._node_of_error(error, nodes)
        text = " ".join(error.desc().split())
        if text == "false":  # all that the parser says about an operator that it does not have
            text = "this operator is not supported"
        return f"{kind} '{name}': {text}" if kind or name else text

    def tactic_sources(self) -> dict[str, Any]:
        """Tactic sources by name."""
        return dict(self.trt.TacticSource.__members__)

    # running

    @property
    def shares_profiles(self) -> bool:
        """Whether several contexts may use one optimisation profile (TensorRT 10 and later, RTX)."""
        return self.product == TENSORRT_RTX or self.number >= (10,)

    def create_context(self, engine: Any, scratch: int, size: int) -> Any:
        """An execution context that works in memory of ours at `scratch`, shared with other contexts."""
        if hasattr(engine, "create_execution_context_without_device_memory"):
            context = engine.create_execution_context_without_device_memory()
        else:
            context = engine.create_execution_context(self.trt.ExecutionContextAllocationStrategy.USER_MANAGED)
        if context is None:
            return None
        if hasattr(context, "set_device_memory"):
            context.set_device_memory(scratch, size)
        else:
            context.device_memory = scratch
        return context

    def scratch_size(self, engine: Any) -> int:
        """Bytes that a context works in."""
        return int(getattr(engine, "device_memory_size_v2", 0) or getattr(engine, "device_memory_size", 0))

    def tensor_names(self, engine: Any) -> tuple[list[str], list[str]]:
        """Names of an engine's inputs and outputs, in its own order."""
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        is_input = [engine.get_tensor_mode(name) == self.trt.TensorIOMode.INPUT for name in names]
        inputs = [name for name, flag in zip(names, is_input, strict=True) if flag]
        return inputs, [name for name, flag in zip(names, is_input, strict=True) if not flag]

    def on_device(self, engine: Any, name: str) -> bool:
        """Whether a tensor's values are read from device memory (shape tensors are read on the host)."""
        return engine.get_tensor_location(name) == self.trt.TensorLocation.DEVICE

    def is_linear(self, engine: Any, name: str) -> bool:
        """Whether a tensor lies in memory as numpy has it, not in a vectorised layout."""
        return engine.get_tensor_format(name) == self.trt.TensorFormat.LINEAR


def load(product: str) -> Dialect:
    """The installed module of a product. Raises ImportError."""
    problems = []
    for name in _MODULES[product]:
        try:
            return Dialect(importlib.import_module(name), product)
        except ImportError as error:
            problems.append(str(error))
        except OSError as error:  # a wheel without its libraries
            raise ImportError(f"{name}: {error}") from error
    raise ImportError(_shortest(problems))


def _shortest(problems: Iterable[str]) -> str:
    return min(problems, key=len)
