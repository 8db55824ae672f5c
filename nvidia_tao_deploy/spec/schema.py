# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Walking spec schemas (dataclasses): which keys exist, what they mean, whether values are allowed."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from nvidia_tao_deploy.errors import SpecError
from nvidia_tao_deploy.spec.fields import MISSING

STRICT_SECTIONS = ("gen_trt_engine", "evaluate", "inference")
"""Unknown keys in these are errors; elsewhere they belong to training and are ignored."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a schema."""

    name: str
    type: Any
    default: Any
    metadata: dict[str, Any]

    @property
    def used(self) -> bool:
        return bool(self.metadata.get("used", True))

    @property
    def type_name(self) -> str:
        """As a person writes it: 'int', 'list of str', 'str or null'."""
        return _type_name(self.type)

    @property
    def explained(self) -> str | None:
        """Name and meaning, with the unit: the hint of messages about its value."""
        return f"{self.name}: {self.metadata['help']}" if self.metadata.get("help") else None

    @property
    def is_list(self) -> bool:
        return typing.get_origin(plain_type(self.type)) is list

    @property
    def item_schema(self) -> type | None:
        """The dataclass of the items, for a list of sections."""
        item = typing.get_args(plain_type(self.type))[0] if self.is_list else None
        return typing.cast(type, item) if dataclasses.is_dataclass(item) else None


def fields(schema: type) -> dict[str, tuple[Any, dataclasses.Field[Any]]]:
    """Field name -> (resolved type, field)."""
    hints = typing.get_type_hints(schema)
    return {field.name: (hints[field.name], field) for field in dataclasses.fields(schema)}


def keys(schema: type, prefix: str = "") -> Iterator[Key]:
    """All leaf keys with dotted names, in order of declaration."""
    instance = schema()
    for name, (kind, field) in fields(schema).items():
        if dataclasses.is_dataclass(kind):
            yield from _section_keys(getattr(instance, name), f"{prefix}{name}.")
        else:
            yield Key(f"{prefix}{name}", kind, getattr(instance, name), dict(field.metadata))


def _section_keys(instance: Any, prefix: str) -> Iterator[Key]:
    """As `keys`, with the defaults of this instance: a network may change a shared section's defaults."""
    for name, (kind, field) in fields(type(instance)).items():
        value = getattr(instance, name)
        if dataclasses.is_dataclass(kind):
            yield from _section_keys(value, f"{prefix}{name}.")
        else:
            yield Key(f"{prefix}{name}", kind, value, dict(field.metadata))


def lookup(schema: type, key: str) -> type | Key | None:
    """The section or key of this dotted name; None when the schema has none."""
    parts = key.split(".")
    for index, part in enumerate(parts):
        known = fields(schema)
        if part not in known:
            return None
        kind, field = known[part]
        if not dataclasses.is_dataclass(kind):
            # below a free-form value (a dict) every key is known
            return Key(key, kind, None, dict(field.metadata)) if index == len(parts) - 1 or _is_free(kind) else None
        schema = typing.cast(type, kind)
    return schema


def _is_free(kind: Any) -> bool:
    return kind is Any or typing.get_origin(plain_type(kind)) is dict


def check_value(key: Key, value: Any, where: str) -> Any:
    """The value in its canonical form (choices as declared).

    Raises:
        SpecError: not among the choices, or out of bounds; says what is allowed.
    """
    if value is None or value == MISSING:
        return value
    choices = key.metadata.get("choices")
    if choices:
        values = value if isinstance(value, list) else [value]
        known = {str(choice).lower(): choice for choice in choices}
        for item in values:
            if str(item).lower() not in known:
                raise SpecError(f"{where}: '{item}' is not allowed; expected one of {', '.join(map(str, choices))}")
        canonical = [known[str(item).lower()] for item in values]
        return canonical if isinstance(value, list) else canonical[0]
    low, high = key.metadata.get("minimum"), key.metadata.get("maximum")
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, (int, float)) and not isinstance(item, bool):
            if low is not None and item < low:
                raise SpecError(f"{where}: {item} is too small; expected at least {low}", key.explained)
            if high is not None and item > high:
                raise SpecError(f"{where}: {item} is too large; expected at most {high}", key.explained)
    return value


def plain_type(kind: Any) -> Any:
    """T of Optional[T]; other types as they are."""
    arguments = [item for item in typing.get_args(kind) if item is not type(None)]
    return arguments[0] if typing.get_origin(kind) is typing.Union and len(arguments) == 1 else kind


def _type_name(kind: Any) -> str:
    plain = plain_type(kind)
    optional = " or null" if plain is not kind else ""
    origin, arguments = typing.get_origin(plain), typing.get_args(plain)
    if origin is list:
        return f"list of {_type_name(arguments[0])}{optional}"
    if origin is dict:
        return f"map to {_type_name(arguments[1])}{optional}"
    return ("any" if plain is Any else getattr(plain, "__name__", str(plain))) + optional
