# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""ONNX files: load, check, describe; fix the batch size; make optimisation profiles."""

from __future__ import annotations

import hashlib
import logging
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

import onnx
import onnx.inliner
from google.protobuf.message import DecodeError
from onnx import TensorProto, helper

from nvidia_tao_deploy.engine.contract import DYNAMIC, Profile, TensorInfo
from nvidia_tao_deploy.errors import BuildError, SpecError
from nvidia_tao_deploy.files import add_content
from nvidia_tao_deploy.graph.order import sort_nodes

logger = logging.getLogger(__name__)

STANDARD = ("", "ai.onnx")
"""Domains of ONNX's own operators: two names of one."""
OLDEST_OPSET = 7
"""Below this, operators had other meanings (broadcasting), and neither TensorRT nor ONNX Runtime reads them."""

PLUGIN_DOMAIN = "trt.plugins"
"""Where plugin nodes that an exporter left in the standard domain are moved, so that the checks can tell them apart."""

OLDEST_IR = 4
"""Before this version of the format every initialiser had to be a graph input as well, those that we add too."""

PROTOBUF_LIMIT = 2_000_000_000
"""Bytes; a serialised protobuf message must stay below 2 GiB."""

QUANTISATION_OPS = frozenset(
    {
        "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear",
        "QLinearConv", "QLinearMatMul", "QLinearAdd", "QLinearMul", "ConvInteger", "MatMulInteger",
    }
)  # fmt: skip

_DTYPES: dict[int, str] = {
    TensorProto.FLOAT: "float32", TensorProto.FLOAT16: "float16", TensorProto.BFLOAT16: "bfloat16",
    TensorProto.DOUBLE: "float64", TensorProto.INT8: "int8", TensorProto.UINT8: "uint8", TensorProto.INT16: "int16",
    TensorProto.UINT16: "uint16", TensorProto.INT32: "int32", TensorProto.INT64: "int64", TensorProto.BOOL: "bool",
    TensorProto.UINT32: "uint32", TensorProto.UINT64: "uint64", TensorProto.STRING: "object",
}  # fmt: skip

_NOT_ONNX: tuple[tuple[bytes, int, str], ...] = (
    (b"PK\x03\x04", 0, "a zip archive (a PyTorch checkpoint, perhaps)"),
    (b"\x89HDF", 0, "an HDF5 file (a Keras model, perhaps)"),
    (b"TFL3", 4, "a TensorFlow Lite model"),
    (b"ftrt", 0, "a TensorRT engine"),
    (b"ptrt", 0, "a TensorRT engine"),
    (b"vtrt", 0, "a TensorRT RTX engine"),
    (b"version https://git-lfs", 0, "a Git LFS pointer: the real file was not fetched ('git lfs pull' fetches it)"),
    (b"<!DOCTYPE", 0, "a web page"),
    (b"<html", 0, "a web page"),
)
_EXPORT_HINT = "Give the .onnx file that the export task of the network wrote."


@dataclass(frozen=True, slots=True)
class Model:
    """An ONNX model that passed the checks of `load`.

    Attributes:
        proto: the graph with its weights.
        source: the file it came from, for messages.
        sha256: of the file, followed by its external data files in order of their names.
        opset: version of the standard operator set.
        inputs, outputs: its tensors; initialisers are not inputs.
        ops: operator counts by domain ("" is the standard one).
        quantised: whether it carries Q/DQ or QLinear nodes.
    """

    proto: onnx.ModelProto
    source: Path
    sha256: str
    opset: int
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    ops: Mapping[str, Mapping[str, int]]
    quantised: bool

    @property
    def batch(self) -> int:
        """Size of axis 0 of the first input; `DYNAMIC` where it is open."""
        return self.inputs[0].shape[0] if self.inputs and self.inputs[0].shape else DYNAMIC

    def describe(self) -> str:
        """One line for the log."""
        inputs = ", ".join(str(info) for info in self.inputs)
        outputs = ", ".join(str(info) for info in self.outputs)
        nodes = sum(sum(counts.values()) for counts in self.ops.values())
        kind = ", quantised (Q/DQ)" if self.quantised else ""
        return f"{self.source}: opset {self.opset}, {nodes} nodes{kind}; inputs: {inputs}; outputs: {outputs}"


def load(path: str | Path) -> Model:
    """Read and check an ONNX file, external data included.

    Raises BuildError when the file is missing, encrypted, truncated, not ONNX, invalid or of an opset that is too old
    or too new.
    """
    path = Path(path)
    _refuse_by_name(path)
    proto = _read(path)
    opset = opset_of(proto, path)
    _raise_ir(proto)
    proto = inlined(proto, path)
    move_plugins_to_own_domain(proto)
    if sort_nodes(proto.graph):
        logger.debug("%s: nodes put in topological order", path)
    try:
        check(proto)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise BuildError(f"{path}: not a valid ONNX model: {first_line(error)}", hint=_EXPORT_HINT) from None
    return describe(proto, path, file_sha256(path, proto), opset)


def _raise_ir(proto: onnx.ModelProto) -> None:
    """From version 4 on an initialiser that is an input as well is one that callers may replace; none was meant so."""
    if proto.ir_version >= OLDEST_IR:
        return
    weights = {tensor.name for tensor in proto.graph.initializer}
    kept = [value for value in proto.graph.input if value.name not in weights]
    del proto.graph.input[:]
    proto.graph.input.extend(kept)
    proto.ir_version = OLDEST_IR


def inlined(proto: onnx.ModelProto, path: Path | str) -> onnx.ModelProto:
    """The model with the bodies of its functions in place of the calls: what is typed, quantised, replaced and named in
    `layers_precision` are nodes of the graph. Raises BuildError; nodes of `proto` may get attributes."""
    if not proto.functions or proto_bytes(proto) >= PROTOBUF_LIMIT:
        return proto
    _state_defaults(proto)
    try:
        return onnx.inliner.inline_local_functions(proto)
    except Exception as error:  # the inliner throws RuntimeError and others from C++
        raise BuildError(f"{path}: its functions cannot be inlined: {first_line(error)}", hint=_EXPORT_HINT) from None


def _state_defaults(proto: onnx.ModelProto) -> None:
    """Give calls of functions the attributes that they leave to its defaults: onnx's inliner forgets those."""
    functions = {(function.domain, function.name): function for function in proto.functions}
    for part in (proto.graph, *proto.functions):
        for node in all_nodes(part):
            function = functions.get((node.domain, node.op_type))
            given = {attribute.name for attribute in node.attribute}
            defaults = function.attribute_proto if function else ()
            node.attribute.extend(default for default in defaults if default.name not in given)


def describe(proto: onnx.ModelProto, source: Path, sha256: str, opset: int | None = None) -> Model:
    """The facts about a model that is in memory. Raises BuildError for a tensor without a type or rank."""
    initialisers = {tensor.name for tensor in proto.graph.initializer}
    inputs = tuple(
        _tensor_info(value, source, "input") for value in proto.graph.input if value.name not in initialisers
    )
    outputs = tuple(_tensor_info(value, source, "output") for value in proto.graph.output)
    if not inputs or not outputs:
        raise BuildError(f"{source}: the model has no {'outputs' if inputs else 'inputs'}", hint=_EXPORT_HINT)
    ops: dict[str, Counter[str]] = {}
    for node in all_nodes(proto.graph):
        ops.setdefault(_domain(node), Counter())[node.op_type] += 1
    return Model(
        proto=proto,
        source=source,
        sha256=sha256,
        opset=opset if opset is not None else opset_of(proto, source),
        inputs=inputs,
        outputs=outputs,
        ops=ops,
        quantised=is_quantised(proto),
    )


def is_quantised(proto: onnx.ModelProto) -> bool:
    """Whether any node quantises, dequantises or computes on integers in place of floats."""
    return any(node.op_type in QUANTISATION_OPS for node in all_nodes(proto.graph))


def all_nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Every node, those of subgraphs (If, Loop, Scan) included."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for body in [attribute.g, *attribute.graphs] if attribute.type in (5, 10) else ():
                yield from all_nodes(body)


def is_standard(node: onnx.NodeProto) -> bool:
    """Whether a node's operator is one of ONNX's own, by its domain."""
    return node.domain in STANDARD


def opset_of(proto: onnx.ModelProto, source: object) -> int:
    """Version of the standard operator set. Raises BuildError outside what can be read."""
    versions = [entry.version for entry in proto.opset_import if entry.domain in STANDARD]
    if not versions:
        raise BuildError(f"{source}: the model names no version of the standard operator set", hint=_EXPORT_HINT)
    newest = onnx.defs.onnx_opset_version()
    opset = max(versions)
    if not OLDEST_OPSET <= opset <= newest:
        raise BuildError(
            f"{source}: operator set {opset}; supported are {OLDEST_OPSET} to {newest} (onnx {onnx.__version__})",
            hint="Export the model with an operator set in this range; 17 suits every TensorRT from 8.5 on."
            if opset < OLDEST_OPSET
            else "Export with an older operator set (17 suits every TensorRT from 8.5 on) or install a newer onnx.",
        )
    return opset


def raise_opset(proto: onnx.ModelProto, opset: int, why: str) -> onnx.ModelProto:
    """The model at operator set `opset` or later; `why` says what needs it. Raises BuildError when that fails."""
    current = opset_of(proto, "model")
    if current >= opset:
        return proto
    newest = onnx.defs.onnx_opset_version()
    if opset > newest:  # exporting again would not help: `opset_of` would refuse that model
        raise BuildError(
            f"{why} needs operator set {opset}; onnx {onnx.__version__} has those up to {newest}",
            hint="Install a newer onnx: pip install --upgrade onnx",
        )
    try:
        converted = onnx.version_converter.convert_version(proto, opset)
    except Exception as error:  # the converter throws RuntimeError and others from C++
        raise BuildError(
            f"{why} needs operator set {opset}; the model has {current} and cannot be converted: {first_line(error)}",
            hint=f"Export the model again with operator set {opset} or later.",
        ) from None
    if current < 11:
        from nvidia_tao_deploy.graph.resizing import keep_resizing

        keep_resizing(converted)
    logger.info("converted the model from operator set %d to %d (%s)", current, opset, why)
    return converted


def check(proto: onnx.ModelProto) -> None:
    """onnx's checker with strict type and shape inference. Raises onnx's ValidationError or InferenceError."""
    if proto_bytes(proto) < PROTOBUF_LIMIT:
        onnx.checker.check_model(proto, full_check=True)
        return
    with on_disk(proto) as path:  # one message cannot hold the weights
        onnx.checker.check_model(str(path), full_check=True)


def infer_shapes(proto: onnx.ModelProto) -> onnx.ModelProto:
    """A copy with types and shapes of all values, as far as onnx can tell. The weights are shared in spirit, not copied
    twice: above protobuf's limit the work goes over a temporary file."""
    if proto_bytes(proto) < PROTOBUF_LIMIT:
        return onnx.shape_inference.infer_shapes(proto, check_type=True, strict_mode=False, data_prop=True)
    with on_disk(proto) as path:
        onnx.shape_inference.infer_shapes_path(str(path), check_type=True, data_prop=True)
        return onnx.load(str(path))


def proto_bytes(proto: onnx.ModelProto) -> int:
    """About how many bytes the model takes when serialised: its weights."""
    return sum(len(tensor.raw_data) or 8 * len(tensor.float_data) for tensor in proto.graph.initializer)


@contextmanager
def on_disk(proto: onnx.ModelProto) -> Iterator[Path]:
    """The model as a temporary file with external data, for readers that take no message above 2 GiB."""
    with tempfile.TemporaryDirectory(prefix="tao_deploy_") as folder:
        path = Path(folder) / "model.onnx"
        copy = onnx.ModelProto()
        copy.CopyFrom(proto)
        onnx.save_model(copy, str(path), save_as_external_data=True, location="model.data")
        yield path


def move_plugins_to_own_domain(proto: onnx.ModelProto) -> None:
    """Give nodes that claim the standard domain but are in no ONNX standard a domain of their own (in place).

    Graph surgeons add plugin nodes such as EfficientNMS_TRT without a domain. TensorRT finds plugins by the operator's
    name alone, so this changes nothing there.
    """
    moved = False
    for node in all_nodes(proto.graph):
        if is_standard(node) and not onnx.defs.has(node.op_type):
            node.domain = PLUGIN_DOMAIN
            moved = True
    known = {entry.domain for entry in proto.opset_import}
    functions = {function.domain for function in proto.functions}
    used = {node.domain for node in all_nodes(proto.graph)} - functions
    for domain in sorted((used | ({PLUGIN_DOMAIN} if moved else set())) - known - set(STANDARD)):
        proto.opset_import.append(helper.make_opsetid(domain, 1))


def fix_batch(model: Model, batch: int) -> Model:
    """The model with its open batch axis fixed to `batch`.

    A model with a fixed batch is returned unchanged, with a warning when it has another one.
    """
    if batch < 1:
        raise SpecError(f"gen_trt_engine.batch_size: {batch}; expected -1 (leave it open) or at least 1")
    if model.batch != DYNAMIC:
        if model.batch != batch:
            logger.warning(
                "%s: the batch size is fixed to %d in the model; gen_trt_engine.batch_size=%d has no effect",
                model.source, model.batch, batch,
            )  # fmt: skip
        return model
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    initialisers = {tensor.name for tensor in proto.graph.initializer}
    symbols = set()
    for value in proto.graph.input:
        dims = value.type.tensor_type.shape.dim
        if value.name not in initialisers and dims and not dims[0].HasField("dim_value"):
            symbols.add(dims[0].dim_param)
            dims[0].dim_value = batch
    for value in [*proto.graph.output, *proto.graph.value_info]:
        for axis, dim in enumerate(value.type.tensor_type.shape.dim):
            open_axis = not dim.HasField("dim_value")
            if open_axis and ((dim.dim_param and dim.dim_param in symbols) or (axis == 0 and not dim.dim_param)):
                dim.dim_value = batch
    try:
        check(proto)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise BuildError(f"{model.source}: cannot fix the batch size to {batch}: {first_line(error)}") from None
    return replace(describe(proto, model.source, model.sha256, model.opset))


def profiles(
    inputs: Sequence[TensorInfo],
    batch: tuple[int, int, int],
    axes: Mapping[str, Mapping[int, tuple[int, int, int]]] | None = None,
) -> dict[str, Profile]:
    """Optimisation profiles of a model's inputs; empty when no axis is open.

    Args:
        inputs: the model's inputs; axis 0 is the batch.
        batch: smallest, tuned-for and largest batch size, for open batch axes.
        axes: bounds of further open axes, by input name and axis.

    Raises SpecError when an open axis has no bounds, bounds are out of order, or the inputs disagree on the batch.
    """
    _check_batches(inputs)
    keys = "gen_trt_engine.tensorrt.{min,opt,max}_batch_size"
    if all(DYNAMIC not in info.shape for info in inputs):
        return {}
    if any(info.shape and info.shape[0] == DYNAMIC for info in inputs):
        _check_order(keys, batch)
    found = {}
    for info in inputs:
        bounds = []
        for axis, size in enumerate(info.shape):
            given = (axes or {}).get(info.name, {}).get(axis)
            if size != DYNAMIC:
                bounds.append((size, size, size))
            elif given is not None:
                _check_order(f"bounds of axis {axis} of input '{info.name}'", given)
                bounds.append(given)
            elif axis == 0:
                bounds.append(batch)
            else:
                raise SpecError(
                    f"input {info}: axis {axis} is open and the spec gives no bounds for it",
                    hint="Set the keys for the sizes of this network's input (see --help; for heights and widths "
                    "gen_trt_engine.{min,opt,max}_{height,width}), or export the model with fixed sizes.",
                )
        low, best, high = (tuple(column) for column in zip(*bounds, strict=True)) if bounds else ((), (), ())
        found[info.name] = Profile(low, best, high)
    return found


def _check_batches(inputs: Sequence[TensorInfo]) -> None:
    sizes = {info.shape[0] for info in inputs if info.shape}
    if len(sizes) > 1:
        listed = ", ".join(str(info) for info in inputs)
        raise BuildError(
            f"the inputs disagree on the batch (axis 0): {listed}",
            hint="Export all inputs with an open batch axis, or all with the same size.",
        )


def _check_order(what: str, bounds: Iterable[int]) -> None:
    low, best, high = bounds
    if not 1 <= low <= best <= high:
        raise SpecError(f"{what}: min {low}, opt {best}, max {high}; expected 1 <= min <= opt <= max")


def first_line(error: BaseException) -> str:
    """An exception's text as one line that fits a terminal message."""
    text = " ".join(str(error).split())
    return text if len(text) <= 400 else text[:397] + "..."


def _refuse_by_name(path: Path) -> None:
    suffix = path.suffix.lower()
    if suffix in (".etlt", ".tlt", ".uff"):
        kind = "a UFF model" if suffix == ".uff" else "an encrypted model"
        raise BuildError(
            f"{path}: {kind} ({suffix}) cannot be read",
            hint="Export it again as .onnx with the export task of TAO 5.0 or later.",
        )
    if path.is_dir():
        raise BuildError(f"{path}: a folder; expected an .onnx file")
    if not path.exists():
        close = sorted(other.name for other in path.parent.glob("*.onnx")) if path.parent.is_dir() else []
        raise BuildError(
            f"{path}: no such file (gen_trt_engine.onnx_file)",
            hint=f"In that folder: {', '.join(close[:5])}." if close else None,
        )


def _read(path: Path) -> onnx.ModelProto:
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise BuildError(f"{path}: cannot be read: {error.strerror}") from None
    if not head:
        raise BuildError(f"{path}: the file is empty", hint=_EXPORT_HINT)
    for magic, offset, what in _NOT_ONNX:
        if head[offset : offset + len(magic)].lower() == magic.lower():
            raise BuildError(f"{path}: not an ONNX model but {what}", hint=_EXPORT_HINT)
    try:
        proto = onnx.load(str(path), load_external_data=False)
    except (DecodeError, ValueError):
        raise BuildError(
            f"{path}: not an ONNX model, or truncated ({path.stat().st_size} bytes)",
            hint="Compare the size with the original; copy or export it again.",
        ) from None
    if not proto.graph.node:
        raise BuildError(
            f"{path}: holds no graph: not an ONNX model, or truncated ({path.stat().st_size} bytes)", hint=_EXPORT_HINT
        )
    _load_external_data(proto, path)
    return proto


def _external_files(proto: onnx.ModelProto, path: Path) -> list[str]:
    """Names of the files beside `path` that hold weights. Raises BuildError for one that lies elsewhere: a model from a
    stranger would have any file of this machine read, and onnx before 1.16 lets it."""
    names = sorted(
        {
            entry.value
            for part in (proto.graph, *proto.functions)
            for tensor in _tensors(part)
            if tensor.data_location == TensorProto.EXTERNAL
            for entry in tensor.external_data
            if entry.key == "location"
        }
    )
    for name in names:
        if PurePath(name).is_absolute() or ".." in PurePath(name).parts:
            raise BuildError(
                f"{path}: its weights are in '{name}'; expected a file in the folder of the model.",
                hint="Export it again with its external data beside it.",
            )
    return names


def _tensors(part: onnx.GraphProto | onnx.FunctionProto) -> Iterator[TensorProto]:
    """Every constant: initialisers and tensors in attributes, those of subgraphs included."""
    if isinstance(part, onnx.GraphProto):
        yield from part.initializer
    for node in part.node:
        for attribute in node.attribute:
            yield from [attribute.t] if attribute.HasField("t") else attribute.tensors
            for body in [attribute.g] if attribute.HasField("g") else attribute.graphs:
                yield from _tensors(body)


def _load_external_data(proto: onnx.ModelProto, path: Path) -> None:
    for name in _external_files(proto, path):
        if not (path.parent / name).is_file():
            raise BuildError(
                f"{path}: its weights are in '{name}', which is not in {path.parent}",
                hint="Copy the external data file beside the .onnx file.",
            )
    try:
        onnx.load_external_data_for_model(proto, str(path.parent))
    except Exception as error:  # onnx raises ValidationError, ValueError or RuntimeError, by version
        raise BuildError(f"{path}: its external data cannot be read: {first_line(error)}") from None


def file_sha256(path: Path, proto: onnx.ModelProto | None = None) -> str:
    """What `Model.sha256` holds. Raises whatever `onnx` and the operating system do for a file that is no model.

    Args:
        path: an ONNX file.
        proto: its content where that is in memory already; large files are then not read for it again.
    """
    digest = hashlib.sha256()
    if proto is None or path.stat().st_size < 64 << 20:
        stored = onnx.load(str(path), load_external_data=False)
    else:
        stored = proto
    for part in [path, *(path.parent / name for name in _external_files(stored, path))]:
        add_content(digest, part)
    return digest.hexdigest()


def _tensor_info(value: onnx.ValueInfoProto, source: object, role: str) -> TensorInfo:
    kind = value.type.tensor_type
    if not value.type.HasField("tensor_type") or kind.elem_type not in _DTYPES:
        raise BuildError(f"{source}: {role} '{value.name}' is no tensor of a type that engines take")
    if not kind.HasField("shape"):
        raise BuildError(
            f"{source}: {role} '{value.name}' has no shape",
            hint="Export with shapes, or run onnx.shape_inference on the model.",
        )
    shape = tuple(
        dim.dim_value if dim.HasField("dim_value") and dim.dim_value > 0 else DYNAMIC for dim in kind.shape.dim
    )
    return TensorInfo(value.name, _DTYPES[kind.elem_type], shape)


def _domain(node: onnx.NodeProto) -> str:
    return "" if node.domain == "ai.onnx" else node.domain
