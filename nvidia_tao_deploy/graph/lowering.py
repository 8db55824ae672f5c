# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""What TensorRT's parsers do not read as it stands, written so that they do: operators that they do not know, constants
that nodes compute, attention that no single kernel computes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from dataclasses import replace

import numpy as np
import onnx
from onnx import TensorProto, helper

from nvidia_tao_deploy.engine.contract import DYNAMIC, LayerPrecision
from nvidia_tao_deploy.errors import BuildError
from nvidia_tao_deploy.graph import definitions, layers, misread, normalisations
from nvidia_tao_deploy.graph import older_forms as older
from nvidia_tao_deploy.graph.editing import GraphReader, GraphWriter, attributes, drop_unused_constants
from nvidia_tao_deploy.graph.folding import fold
from nvidia_tao_deploy.graph.layers import EVERYTHING, fits
from nvidia_tao_deploy.graph.model import all_nodes, is_standard, opset_of
from nvidia_tao_deploy.graph.order import read_by

logger = logging.getLogger(__name__)
DECOMPOSABLE = "TRT_decomposable"
"""Attribute by which TensorRT's parser lets Attention be several kernels. Without it, a builder that has no single
kernel for its sizes, type or GPU refuses the model."""
SEQUENCE_HINT = "Export the model with optimize=True (torch.onnx.export), which leaves no sequences."


def lower(
    model: onnx.ModelProto,
    lacks: Callable[[str], bool],
    rules: tuple[LayerPrecision, ...] = (),
    old_parser: bool = False,
) -> tuple[onnx.ModelProto, tuple[LayerPrecision, ...]]:
    """The model as a parser that lacks some standard operators reads it, and the layer rules that mean the same for it.

    Both are returned as they came when there is nothing to do. A layer's replacement has names that begin with the
    layer's own. Operators that cannot be written otherwise stay: the parser names them.

    Args:
        lacks: whether the parser lacks a standard operator; also asked about those that others are written with.
        old_parser: it is one before TensorRT 10: it reads operator sets up to 17 (`older_forms`), and some of their
            attributes not at all (`misread`).

    Raises:
        BuildError: an operator that stands in the body of a Loop or If, or in a form that cannot be written otherwise.
    """
    model = _decomposable(model)
    opset = opset_of(model, "the model")
    concerns = _old_forms(opset) if old_parser else _nothing
    done: list[str] = []
    while True:  # the parser may lack what a definition is written with, too
        wanted = _wanted(model, lacks)
        lowered, prefixes, ops = _round(model, wanted, concerns)
        if not ops:
            break
        model, rules = lowered, _follow(rules, prefixes, [node.name for node in lowered.graph.node])
        done += ops
    _refuse_in_bodies(model, wanted, old_parser and opset > older.NEWEST)
    if old_parser:
        misread.refuse(model)
        model = misread.tidied(model)
    if old_parser and opset > older.NEWEST:
        model = older.declared(model)
    if done:
        logger.info("%d nodes written with other operators: %s", len(done), ", ".join(dict.fromkeys(done)))
    return _folded(model, rules)


def writable(ops: Collection[str], model: onnx.ModelProto) -> set[str]:
    """Those of the standard operators that can be written otherwise in this model."""
    others = set(ops) - _LOWERINGS.keys()
    return (set(ops) & _LOWERINGS.keys()) | definitions.are_defined(others, opset_of(model, "the model"))


def _wanted(model: onnx.ModelProto, lacks: Callable[[str], bool]) -> set[str]:
    """The model's standard operators that the parser lacks and that can be written otherwise."""
    return writable(
        {op for op in {node.op_type for node in all_nodes(model.graph) if is_standard(node)} if lacks(op)}, model
    )


def _old_forms(opset: int) -> Callable[[onnx.NodeProto], bool]:
    """Whether a parser before TensorRT 10 may take a node for something else."""

    def concerns(node: onnx.NodeProto) -> bool:
        return (opset > older.NEWEST and older.is_newer(node)) or misread.is_misread(node)

    return concerns


def _nothing(node: onnx.NodeProto) -> bool:
    return False


def _round(
    model: onnx.ModelProto, wanted: Collection[str], concerns: Callable[[onnx.NodeProto], bool]
) -> tuple[onnx.ModelProto, dict[str, str], list[str]]:
    """The model with its nodes written otherwise once; by name, what their replacements begin with; what they were."""
    prefixes: dict[str, str] = {}
    ops: list[str] = []
    chosen = [_is(node, wanted) or concerns(node) for node in model.graph.node]
    if not any(chosen):
        return model, prefixes, ops
    lowered = onnx.ModelProto()
    lowered.CopyFrom(model)
    reader = GraphReader(lowered)
    nodes: list[onnx.NodeProto] = []
    for index, node in enumerate(model.graph.node):
        prefix = f"{node.name or node.op_type}/lowered_{index}"
        write = GraphWriter(reader, prefix)
        if not chosen[index] or not _write(node, wanted, write):
            nodes.append(node)
            continue
        if all(new.name != node.name for new in write.nodes):
            prefixes[node.name] = prefix
        ops.append(node.op_type)
        nodes.extend(write.nodes)
        lowered.graph.initializer.extend(write.initialisers)
    del lowered.graph.node[:]
    lowered.graph.node.extend(nodes)
    read = {name for node in lowered.graph.node for name in read_by(node)}
    drop_unused_constants(lowered.graph, read | {output.name for output in lowered.graph.output})
    return lowered, prefixes, ops


def _write(node: onnx.NodeProto, wanted: Collection[str], write: GraphWriter) -> bool:
    """Returns whether the node can be written otherwise."""
    if _is(node, wanted) and node.op_type not in _LOWERINGS:
        return definitions.write_out(node, write)
    if _is(node, wanted):
        _LOWERINGS[node.op_type](node, write)
        return True
    if misread.is_misread(node) and misread.write(node, write):
        return True
    newer = write.reader.opset > older.NEWEST and older.is_newer(node)
    if newer:
        older.write_older(node, write)
    return newer


def _refuse_in_bodies(model: onnx.ModelProto, wanted: Collection[str], older_forms: bool) -> None:
    """What is written otherwise only outside of bodies, and would be misread or cannot be read within."""
    for node in all_nodes(model.graph):
        if _is(node, _LOWERINGS.keys() & wanted) or (older_forms and older.is_newer(node)):
            raise BuildError(f"{node.op_type} '{node.name}' stands in the body of a Loop or If, where it cannot stay")


def _folded(
    model: onnx.ModelProto, rules: tuple[LayerPrecision, ...]
) -> tuple[onnx.ModelProto, tuple[LayerPrecision, ...]]:
    """The model with computed constants stored, and the rules without those about nothing but what computed them."""
    model, gone = fold(model)
    if not gone or not rules:
        return model, rules
    return model, layers.remaining(rules, gone, [node.name for node in model.graph.node])


def _decomposable(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with its Attention nodes marked; TensorRT still takes a single kernel where it has one."""
    if not any(_is(node, ("Attention",)) for node in all_nodes(model.graph)):
        return model
    marked = onnx.ModelProto()
    marked.CopyFrom(model)
    for node in all_nodes(marked.graph):
        if _is(node, ("Attention",)):
            node.attribute.append(helper.make_attribute(DECOMPOSABLE, 1))
    if any(_is(node, ("Attention",)) and node.input[0] == node.input[1] for node in marked.graph.node):
        _key_apart(marked)
    return marked


def _key_apart(model: onnx.ModelProto) -> None:
    """Make the key of each Attention another tensor than its query (in place): the builder of TensorRT RTX 1.7 crashes
    when they are one. It sees through Identity, Reshape and a product with 1, not through a sum with -0, which is as
    exact."""
    elem_types = GraphReader(model).elem_types
    for index in reversed(range(len(model.graph.node))):
        node = model.graph.node[index]
        if not _is(node, ("Attention",)) or node.input[0] != node.input[1]:
            continue
        query, prefix = node.input[0], f"{node.output[0]}/key"
        kind = elem_types.get(query, TensorProto.FLOAT)
        zero = bytes(3 if kind == TensorProto.FLOAT else 1) + b"\x80"  # the sign bit is the last in little-endian order
        model.graph.initializer.append(helper.make_tensor(f"{prefix}_zero", kind, [], zero, raw=True))
        node.input[1] = prefix
        model.graph.node.insert(index, helper.make_node("Add", [query, f"{prefix}_zero"], [prefix], name=prefix))


def _is(node: onnx.NodeProto, ops: Collection[str]) -> bool:
    return node.op_type in ops and is_standard(node)


def _follow(
    rules: tuple[LayerPrecision, ...], prefixes: dict[str, str], names: list[str]
) -> tuple[LayerPrecision, ...]:
    """Rules that fitted a replaced layer fit all of its replacement."""
    followed: list[LayerPrecision] = []
    for rule in rules:
        replaced = [prefix for name, prefix in prefixes.items() if fits(rule.pattern, name)]
        if not replaced or any(fits(rule.pattern, name) for name in names):
            followed.append(rule)
        if rule.pattern != EVERYTHING:
            followed.extend(replace(rule, pattern=f"{prefix}/*") for prefix in replaced)
    return tuple(followed)


def _is_infinite(node: onnx.NodeProto, write: GraphWriter) -> None:
    """Which values are infinite, of one sign or of either: those beyond the largest finite number."""
    options = attributes(node)
    above, below = (bool(options.get(f"detect_{sign}", 1)) for sign in ("positive", "negative"))
    if not above and not below:
        raise BuildError(f"IsInf '{node.name}' looks for infinities of neither sign")
    source = node.input[0]
    dtype = write.reader.float_type(source)
    largest = np.finfo(dtype).max
    if above:
        values = write.op("Abs", source) if below else source
        result = write.op("Greater", values, write.constant(largest, dtype))
    else:
        result = write.op("Less", source, write.constant(-largest, dtype))
    write.rename(result, node.output[0])


def _split_to_sequence(node: onnx.NodeProto, write: GraphWriter) -> None:
    """A Split into tensors, `_part` by name, that SequenceAt takes by number."""
    source = node.input[0]
    options = attributes(node)
    shape = write.reader.shape(source)
    axis = options.get("axis", 0)
    sizes = _part_sizes(node, shape[axis] if shape is not None else DYNAMIC, write)
    names = [_part(node.output[0], index) for index in range(len(sizes))]
    squeezed = len(node.input) < 2 and not options.get("keepdims", 1)
    for part, name in zip(write.split(source, sizes, axis), names, strict=True):
        kept = write.squeeze(part, axis) if squeezed else write.op("Identity", part)
        write.rename(kept, name)


def _part_sizes(node: onnx.NodeProto, size: int, write: GraphWriter) -> list[int]:
    """Sizes of the parts of a SplitToSequence along its axis, which has `size` elements."""
    parts = write.reader.constant(node.input[1]) if len(node.input) > 1 and node.input[1] else np.array(1)
    if parts is not None and parts.ndim:
        return [int(part) for part in parts]
    if parts is None or size == DYNAMIC:
        raise BuildError(
            f"SplitToSequence '{node.name}': TensorRT has no sequences, and into how many parts this one splits is not "
            "known before the model runs",
            hint=SEQUENCE_HINT,
        )
    step = int(parts)
    return [min(step, size - start) for start in range(0, size, step)]


def _sequence_at(node: onnx.NodeProto, write: GraphWriter) -> None:
    """The part of a SplitToSequence that a constant number names."""
    maker = write.reader.producers.get(node.input[0])
    number = write.reader.constant(node.input[1])
    if maker is None or maker.op_type != "SplitToSequence" or number is None:
        raise BuildError(
            f"SequenceAt '{node.name}': TensorRT has no sequences; only parts of a SplitToSequence that constant "
            "numbers name can be written otherwise",
            hint=SEQUENCE_HINT,
        )
    shape = write.reader.shape(maker.input[0])
    axis = attributes(maker).get("axis", 0)
    count = len(_part_sizes(maker, shape[axis] if shape is not None else DYNAMIC, write))
    write.rename(write.op("Identity", _part(node.input[0], int(number) % count)), node.output[0])


def _part(sequence: str, number: int) -> str:
    return f"{sequence}/part_{number}"


_LOWERINGS = {
    "IsInf": _is_infinite,
    "InstanceNormalization": normalisations.instance,
    "LayerNormalization": normalisations.layer,
    "SplitToSequence": _split_to_sequence,
    "SequenceAt": _sequence_at,
}
