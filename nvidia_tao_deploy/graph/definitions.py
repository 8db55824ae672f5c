# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Operators written out as the ONNX standard itself defines them, by operators that are older or simpler."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import onnx
from onnx import helper

from nvidia_tao_deploy.errors import BuildError
from nvidia_tao_deploy.graph.editing import GraphReader, GraphWriter, attributes

_NO_SIMPLER = frozenset({"Bernoulli", "DynamicQuantizeLinear", "SequenceMap"})
"""Operators whose definitions hold what no parser of TensorRT reads: random numbers, UINT8, sequences."""


_CORRECTED = {"softcap": (1, 22), "nonpad_kv_seqlen": (1, 23)}
"""Operands and attributes of Attention, and the first version of onnx that defines them right: those before put the cap
behind the mask, and let causal masks count keys that are padding."""


def are_defined(ops: Collection[str], opset: int) -> set[str]:
    """Those of the standard operators that have a definition at this operator set."""
    return {op for op in ops if op not in _NO_SIMPLER and _versions(op, opset) is not None}


def write_out(node: onnx.NodeProto, write: GraphWriter) -> bool:
    """Write a node as its definition. Returns whether it has one for the types that it is used with.

    Raises:
        BuildError: the installed onnx package is known to define it wrongly.
    """
    _check_version(node)
    definition = _definition(node, write.reader)
    if definition is None or any(item.HasField("g") for inner in definition.node for item in inner.attribute):
        return False
    names = dict(zip(definition.input, node.input, strict=False))
    names.update(dict.fromkeys(definition.input[len(node.input) :], ""))
    names.update((inside, outside) for inside, outside in zip(definition.output, node.output, strict=False) if outside)
    given = {item.name: item for item in (*_defaults(node.op_type, write.reader.opset), *node.attribute)}
    for inner in definition.node:
        copy = onnx.NodeProto()
        copy.CopyFrom(inner)
        copy.name = write.name(inner.op_type)
        copy.input[:] = [names.setdefault(name, write.name("value")) if name else "" for name in inner.input]
        copy.output[:] = [names.setdefault(name, write.name("value")) if name else "" for name in inner.output]
        del copy.attribute[:]
        copy.attribute.extend(_resolved(inner, given))
        write.nodes.append(copy)
    return True


def _check_version(node: onnx.NodeProto) -> None:
    if node.op_type != "Attention":
        return
    used = {"softcap": bool(attributes(node).get("softcap", 0)), "nonpad_kv_seqlen": any(node.input[6:])}
    installed = tuple(int(part) for part in onnx.__version__.split(".")[:2])
    for what, version in _CORRECTED.items():
        if used[what] and installed < version:
            wanted = ".".join(map(str, version))
            raise BuildError(
                f"Attention '{node.name}': {what} has to be written with other operators, and onnx {onnx.__version__} "
                "defines it wrongly",
                hint=f"pip install 'onnx>={wanted}'",
            )


def _versions(op: str, opset: int) -> tuple[Any, int] | None:  # onnx's stubs lack what its schemas have
    """The operator's schema at an operator set, and the newest operator set that its definition is written in."""
    try:
        schema: Any = onnx.defs.get_schema(op, opset, "")
    except onnx.defs.SchemaError:
        return None
    written = [*schema.function_opset_versions, *schema.context_dependent_function_opset_versions]
    fitting = [version for version in written if version <= opset]
    return (schema, max(fitting)) if fitting else None


def _definition(node: onnx.NodeProto, reader: GraphReader) -> onnx.FunctionProto | None:
    found = _versions(node.op_type, reader.opset)
    if found is None:
        return None
    schema, version = found
    if version in schema.function_opset_versions:
        return onnx.FunctionProto.FromString(schema.get_function_with_opset_version(version))
    types = [_type(name, reader).SerializeToString() for name in node.input]
    content = schema.get_context_dependent_function_with_opset_version(version, node.SerializeToString(), types)
    return onnx.FunctionProto.FromString(content) if content else None


def _type(name: str, reader: GraphReader) -> onnx.TypeProto:
    elem_type = reader.elem_types.get(name)
    return helper.make_tensor_type_proto(elem_type, reader.shape(name)) if elem_type else onnx.TypeProto()


def _defaults(op: str, opset: int) -> list[onnx.AttributeProto]:
    attributes = onnx.defs.get_schema(op, opset, "").attributes.values()
    return [item.default_value for item in attributes if item.default_value.name]


def _resolved(inner: onnx.NodeProto, given: dict[str, onnx.AttributeProto]) -> list[onnx.AttributeProto]:
    """The attributes of a node of a definition, those of the operator in place of references to them."""
    found = []
    for item in inner.attribute:
        if not item.ref_attr_name:
            found.append(item)
        elif item.ref_attr_name in given:
            copy = onnx.AttributeProto()
            copy.CopyFrom(given[item.ref_attr_name])
            copy.name = item.name
            found.append(copy)
    return found
