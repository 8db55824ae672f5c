# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Protobuf-text specs as the tree that a YAML spec gives: same keys, same schema.

A message is a section, a repeated field a list, a map a mapping; an enumerator becomes the choice of that name or
number. As in proto3, a field with its zero value (0, "", false) is as good as absent. Messages and fields that the
schema does not have are kept as they are written, for `compose` to list as ignored.
"""

from __future__ import annotations

import dataclasses
import re
import typing
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nvidia_tao_deploy.errors import SpecError
from nvidia_tao_deploy.files import write_atomic
from nvidia_tao_deploy.spec import schema as schemas
from nvidia_tao_deploy.spec import textproto, yaml_file
from nvidia_tao_deploy.spec.textproto import Field, Message, Word
from nvidia_tao_deploy.spec.yaml_file import SpecFile

YAML_SUFFIXES = (".yaml", ".yml", ".json")
TRUE, FALSE = ("true", "True", "t"), ("false", "False", "f")
Metadata = Mapping[str, Any]


def is_text_format(path: Path) -> bool:
    """Whether a spec of a command that takes both forms is protobuf text: any ending but YAML's."""
    return path.suffix.lower() not in YAML_SUFFIXES


def looks_like(path: Path, text_format: bool) -> bool:
    """Whether a file seems to be protobuf text (or, if not `text_format`, YAML): by a line that only that form has."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    pattern = r"^\s*\w+\s*:?\s*[{<]\s*(#.*)?$" if text_format else r"^\w+:\s*(#.*)?\n(\s*#.*\n)*\s+\w+:"
    return re.search(pattern, text, re.MULTILINE) is not None


def read(path: Path, schema: type) -> SpecFile:
    """Read a protobuf-text spec.

    Raises:
        SpecError: it cannot be read, or a value is not of its field's type; says file, line, column and field.
    """
    spec = SpecFile(path, {})
    spec.tree.update(_Mapper(spec).section(textproto.read(path), schema, ""))
    return spec


def convert(source: Path, target: Path, schema: type) -> None:
    """Write a protobuf-text spec as YAML: every field of it, those that only training reads included.

    Raises:
        SpecError: the source cannot be read or is YAML, the target exists or does not end as YAML.
    """
    if not is_text_format(source):
        raise SpecError(f"{source}: YAML already, by its name; expected protobuf text.")

    if is_text_format(target):
        raise SpecError(f"{target}: expected a name that ends in .yaml.")
    if target.exists():
        raise SpecError(f"{target}: exists already.", hint="Name a file that does not exist, or delete this one.")
    text = yaml_file.dump(read(source, schema).tree)
    write_atomic(target, f"# Converted from {source.name}; the keys are its fields.\n{text}")


class _Mapper:
    """Turns messages into dicts, noting places in `spec`."""

    def __init__(self, spec: SpecFile) -> None:
        self._spec = spec

    def section(self, message: Message, schema: type, prefix: str) -> dict[str, Any]:
        """A message that the schema knows."""
        known = schemas.fields(schema)
        tree: dict[str, Any] = {}
        unknown: list[Field] = []
        for item in message.fields:
            if item.name not in known or known[item.name][0] is Any:
                unknown.append(item)
                self._note(prefix + item.name, item)
                continue
            kind, field = known[item.name]
            self._put(tree, item, schemas.plain_type(kind), field.metadata, prefix)
        tree.update(self._as_written(unknown, prefix))
        return tree

    def _put(self, tree: dict[str, Any], item: Field, kind: Any, metadata: Metadata, prefix: str) -> None:
        """Add one field to the tree of its message."""
        name, key = item.name, prefix + item.name
        origin, arguments = typing.get_origin(kind), typing.get_args(kind)
        if name in tree and not (origin in (list, dict) or dataclasses.is_dataclass(kind)):
            self._spec.repeated.append(key)
            del tree[name]
        self._note(key, item)
        if origin is list:
            items = tree.setdefault(name, [])
            items.append(self._value(item, arguments[0], metadata, f"{key}[{len(items)}]"))
        elif origin is dict:
            tree.setdefault(name, {}).update(self._entry(item, arguments[1], key))
        elif dataclasses.is_dataclass(kind):
            _merge(tree, name, self._value(item, kind, metadata, key))
        elif value := self._value(item, kind, metadata, key):
            tree[name] = value

    def _value(self, item: Field, kind: Any, metadata: Metadata, key: str) -> Any:
        if not dataclasses.is_dataclass(kind):
            return self._scalar(item, kind, metadata, key)
        if not isinstance(item.value, Message):
            raise self._error(item, key, "a message in braces")
        return self.section(item.value, typing.cast(type, kind), f"{key}.")

    def _entry(self, item: Field, kind: Any, key: str) -> dict[str, Any]:
        """One entry of a map: {key: "r" value: 1.5}."""
        fields = {part.name: part for part in item.value.fields} if isinstance(item.value, Message) else {}
        if "key" not in fields or not set(fields) <= {"key", "value"}:
            raise self._error(item, key, '{ key: "NAME" value: VALUE }')
        name = fields["key"].value
        value = self._scalar(fields["value"], kind, {}, f"{key}.{name}") if "value" in fields else kind()
        return {str(name): value}

    def _scalar(self, item: Field, kind: Any, metadata: Metadata, key: str) -> Any:
        value = item.value
        choices = metadata.get("choices")
        if isinstance(value, Message):
            raise self._error(item, key, "a value")
        if choices and kind is str and (isinstance(value, Word) or not isinstance(value, str)):
            return self._choice(item, key, choices)
        if kind is bool and ((isinstance(value, int) and value in (0, 1)) or value in TRUE + FALSE):
            return value == 1 or value in TRUE
        if kind is int and isinstance(value, int):
            return value
        if kind is float and (isinstance(value, (int, float)) or _special(value) is not None):
            return float(value) if isinstance(value, (int, float)) else _special(value)
        if kind is str and isinstance(value, str) and not isinstance(value, Word):
            return str(value)
        names = {bool: "true or false", int: "a whole number", float: "a number", str: "text in quotes"}
        raise self._error(item, key, names.get(kind, getattr(kind, "__name__", str(kind))))

    def _choice(self, item: Field, key: str, choices: Sequence[str]) -> str:
        """An enumerator by name (whatever its case) or number (its place among the choices)."""
        if isinstance(item.value, int) and 0 <= item.value < len(choices):
            return choices[item.value]
        if isinstance(item.value, str):
            for choice in choices:
                if choice.lower() == item.value.lower():
                    return choice
        raise self._error(item, key, f"one of {', '.join(choice.upper() for choice in choices)}")

    def _as_written(self, fields: Iterable[Field], prefix: str) -> dict[str, Any]:
        """Fields without a schema: those that stand more than once are lists."""
        tree: dict[str, Any] = {}
        several: set[str] = set()
        for item in fields:
            value = item.value
            plain = self._as_written(value.fields, "") if isinstance(value, Message) else _plain(value)
            if item.name in tree and item.name not in several:
                tree[item.name] = [tree[item.name]]
                several.add(item.name)
            elif item.listed and item.name not in several:
                tree[item.name] = []
                several.add(item.name)
            if item.name in several:
                tree[item.name].append(plain)
            else:
                tree[item.name] = plain
        return tree

    def _note(self, key: str, item: Field) -> None:
        self._spec.lines[key] = item.line
        self._spec.columns[key] = item.column

    def _error(self, item: Field, key: str, expected: str) -> SpecError:
        value = item.value
        found = "a message" if isinstance(value, Message) else value if isinstance(value, Word) else repr(value)
        return SpecError(f"{self._spec.path}:{item.line}:{item.column}: {key}: found {found}; expected {expected}.")


def _merge(tree: dict[str, Any], name: str, new: dict[str, Any]) -> None:
    """A message that stands twice is one: later values win, lists go on."""
    old = tree.setdefault(name, {})
    for key, value in new.items():
        if isinstance(value, dict) and isinstance(old.get(key), dict):
            _merge(old, key, value)
        elif isinstance(value, list) and isinstance(old.get(key), list):
            old[key] = old[key] + value
        else:
            old[key] = value


def _special(value: object) -> float | None:
    text = str(value).lower().removeprefix("-")
    if not isinstance(value, Word) or text not in ("inf", "infinity", "nan"):
        return None
    return float(str(value))


def _plain(value: Any) -> Any:
    """A value as Python has it."""
    if not isinstance(value, Word):
        return value
    if value in TRUE[:2] + FALSE[:2]:
        return value in TRUE
    special = _special(value)
    return str(value) if special is None else special
