# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""TensorRT's plugin operators as standard ONNX, so that models with plugins run where there are no plugins.

Each module of this package handles one plugin (or a family) and is found by itself. It has

    OPS: tuple[str, ...]            names of the operators
    OPSET: int                      the oldest standard operator set that the replacement needs
    REPLACEMENT: str                what stands there instead, for the engine's json file
    FLOAT32: bool = False           whether the replacement stays in float32 when the network is typed in FP16 or BF16
    ONE_PICTURE: bool = False       whether TensorRT's own plugin is right for a batch of 1 only (see `_usable`)
    def rewrite(node, write): ...   adds the replacement to `write` (editing.GraphWriter), under the node's output names

and raises BuildError, with the node's name, for a form that it cannot replace. Modules whose names begin with an
underscore hold what several of them share.
"""

from __future__ import annotations

import importlib
import logging
import pkgutil
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError

from nvidia_tao_deploy.engine.contract import DYNAMIC, PLUGINS_KEY
from nvidia_tao_deploy.errors import BuildError
from nvidia_tao_deploy.graph.editing import FLOAT32_ONLY, GraphReader, GraphWriter
from nvidia_tao_deploy.graph.model import (
    STANDARD,
    all_nodes,
    check,
    first_line,
    infer_shapes,
    inlined,
    is_standard,
    move_plugins_to_own_domain,
    raise_opset,
)

logger = logging.getLogger(__name__)
_STANDARD = ("", "ai.onnx", "ai.onnx.ml", "ai.onnx.preview.training", "com.microsoft", "com.microsoft.nchwc")


@cache
def rewriters() -> dict[str, Any]:
    """Operator name -> module that replaces it."""
    modules = [
        importlib.import_module(f"{__name__}.{entry.name}")
        for entry in pkgutil.iter_modules(__path__)
        if not entry.name.startswith("_")
    ]
    return {op: module for module in modules for op in module.OPS}


def plugin_nodes(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """Nodes that no ONNX standard and no function of the model defines, those of subgraphs included."""
    functions = {(function.domain, function.name) for function in model.functions}
    return [
        node
        for node in all_nodes(model.graph)
        if (node.domain, node.op_type) not in functions
        and (node.domain not in _STANDARD or (is_standard(node) and not onnx.defs.has(node.op_type)))
    ]


def parse(blob: bytes, source: Path | str) -> onnx.ModelProto:
    """A model from an ONNX file's content. Raises BuildError when it is none."""
    model = onnx.ModelProto()
    try:
        model.ParseFromString(blob)
    except DecodeError:
        raise BuildError(f"{source}: not an ONNX model, or truncated ({len(blob)} bytes)") from None
    return model


def contains_plugins(blob: bytes) -> bool:
    """Whether the content of an ONNX file holds plugin nodes, in functions too; False for what is no model."""
    try:
        return bool(plugin_nodes(inlined(parse(blob, "model"), "model")))
    except BuildError:
        return False


def unknown(model: onnx.ModelProto) -> list[str]:
    """Operators that are neither standard nor known here: only a library of the user's own can run them."""
    return sorted({node.op_type for node in plugin_nodes(model)} - rewriters().keys())


def rewrite(model: onnx.ModelProto, native: Collection[str] = ()) -> tuple[onnx.ModelProto, list[str]]:
    """Replace plugin nodes by standard operators.

    Args:
        model: not changed.
        native: operators that the backend itself runs; they stay where they compute the right thing (`_usable`).

    Returns:
        The model (the same object when there was nothing to do) and one line per replaced operator, for the engine's
        json file.

    Raises:
        BuildError: a plugin that nobody here knows (lists operator, node and what is known), or in an unknown form.
    """
    native = _usable(model, native)
    result, done = _rewritten(model, native)
    for line in done:
        logger.info("plugin replaced: %s", line)
    return result, done


def standard(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with every plugin replaced, to be run on the reference backend for ranges or comparisons.

    As `rewrite`, but nothing is said: this is not the model that is built. Raises as `rewrite`.
    """
    return _rewritten(model, ())[0]


def described(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with types and shapes of what its plugin nodes give: onnx knows nothing of those, nor of what follows.

    They are those of the replacements, which keep a plugin's output names, shapes and types. Behind a plugin that
    nobody here knows, nothing is said. The same object when there is no plugin node.
    """
    nodes = plugin_nodes(model)
    if not nodes:
        return model
    try:
        standard, _ = _rewritten(model, [node.op_type for node in nodes if node.op_type not in rewriters()])
    except BuildError as error:  # sizes that follow from an unknown plugin, or are open
        logger.debug("types behind plugin nodes are not known: %s", error.message)
        return model
    outputs = {name for node in nodes for name in node.output if name}
    inferred = infer_shapes(standard).graph
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    known = {value.name for value in (*copy.graph.value_info, *copy.graph.output)}
    copy.graph.value_info.extend(
        value for value in inferred.value_info if value.name in outputs - known and value.type.HasField("tensor_type")
    )
    return copy


def _rewritten(model: onnx.ModelProto, native: Collection[str]) -> tuple[onnx.ModelProto, list[str]]:
    nodes = [node for node in plugin_nodes(model) if node.op_type not in native]
    if not nodes:
        return model, []
    _refuse_unknown(nodes, native)
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    move_plugins_to_own_domain(copy)
    needed = max(rewriters()[node.op_type].OPSET for node in nodes)
    names = ", ".join(sorted({node.op_type for node in nodes}))
    copy = raise_opset(copy, needed, f"replacing {names} by standard operators")
    _replace(copy, native)
    _drop_unused_domains(copy)
    try:
        check(copy)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise BuildError(f"the model is not valid after replacing {names}: {first_line(error)}") from None
    counts = {op: sum(node.op_type == op for node in nodes) for op in sorted({node.op_type for node in nodes})}
    return copy, [f"{op} x{count} -> {rewriters()[op].REPLACEMENT}" for op, count in counts.items()]


def _usable(model: onnx.ModelProto, native: Collection[str]) -> Collection[str]:
    """The native operators that may stay.

    TensorRT gives some plugins scratch memory for one picture, whatever the batch: with more pictures they write behind
    it, over other tensors (seen with TensorRT 8.5.3: docs/plugins.md). A model that has such a plugin and a batch other
    than 1 keeps none that we can replace: the sizes behind a plugin that stays would not be known to the replacements.
    """
    native = frozenset(native)
    weights = {tensor.name for tensor in model.graph.initializer}
    shapes = [value.type.tensor_type.shape.dim for value in model.graph.input if value.name not in weights]
    if all(dims[0].dim_value == 1 for dims in shapes if dims):
        return native
    risky = {op for op, module in rewriters().items() if getattr(module, "ONE_PICTURE", False)}
    if not any(node.op_type in risky & native for node in plugin_nodes(model)):
        return native
    return native - rewriters().keys()


def _refuse_unknown(nodes: list[onnx.NodeProto], native: Collection[str]) -> None:
    unknown = [node for node in nodes if node.op_type not in rewriters()]
    if not unknown:
        return
    listed = "; ".join(f"{node.op_type} (node '{node.name or node.output[0]}')" for node in unknown[:5])
    more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
    raise BuildError(
        f"the model has operators that are neither ONNX nor a plugin known here: {listed}{more}. "
        f"Known plugins: {', '.join(sorted(rewriters())) or 'none'}",
        hint=f"Build with TensorRT and name a library that provides the plugin ({PLUGINS_KEY}=[LIBRARY.so]), or export "
        "the model without it.",
    )


def _replace(model: onnx.ModelProto, native: Collection[str]) -> None:
    reader = GraphReader(model)
    waiting, done, current = list(model.graph.node), [], True
    values = {name for node in all_nodes(model.graph) for name in (*node.input, *node.output)}
    prefixes: set[str] = set()
    for index, node in enumerate(waiting):
        module = rewriters().get(node.op_type)
        if module is None or node.op_type in native or node.domain in _STANDARD:
            done.append(node)
            continue
        if not current and not _known(reader, node):  # its sizes follow from a plugin that was replaced above
            _set_nodes(model, [*done, *waiting[index:]])
            reader, current = GraphReader(model), True
        write = GraphWriter(reader, _prefix(node, index, prefixes, values))
        module.rewrite(node, write)
        if getattr(module, "FLOAT32", False):
            for new in write.nodes:
                new.doc_string = FLOAT32_ONLY
        done.extend(write.nodes)
        model.graph.initializer.extend(write.initialisers)
        current = False
    left = [node for node in done if any(body.op_type in rewriters() for body in _bodies(node))]
    if left:
        raise BuildError(f"plugin inside the body of {left[0].op_type} '{left[0].name}': cannot be replaced there")
    _set_nodes(model, done)


def _prefix(node: onnx.NodeProto, index: int, prefixes: set[str], values: set[str]) -> str:
    """What the names of a node's replacement begin with: its name, made unique where others share it."""
    prefix = node.name or f"{node.op_type}_{index}"
    if prefix in prefixes or any(value.startswith(f"{prefix}/") for value in values):
        prefix = f"{prefix}_{index}"
    prefixes.add(prefix)
    return prefix


def _known(reader: GraphReader, node: onnx.NodeProto) -> bool:
    """Whether all sizes of a node's inputs are known, except for the batch."""
    shapes = [reader.shape(name) for name in node.input if name]
    return all(shape is not None and DYNAMIC not in shape[1:] for shape in shapes)


def _set_nodes(model: onnx.ModelProto, nodes: list[onnx.NodeProto]) -> None:
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(copies)


def _bodies(node: onnx.NodeProto) -> list[onnx.NodeProto]:
    return [inner for attribute in node.attribute if attribute.HasField("g") for inner in all_nodes(attribute.g)]


def _drop_unused_domains(model: onnx.ModelProto) -> None:
    used = {node.domain for node in all_nodes(model.graph)} | {function.domain for function in model.functions}
    kept = [entry for entry in model.opset_import if entry.domain in used or entry.domain in STANDARD]
    del model.opset_import[:]
    model.opset_import.extend(kept)
