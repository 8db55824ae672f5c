# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Sections of a composed spec for which an interpolation stands: `post_processing: ${evaluate.post_processing}`."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, cast

from nvidia_tao_deploy.spec import schema as schemas

if TYPE_CHECKING:
    from omegaconf import DictConfig


def is_interpolation(value: Any) -> bool:
    """Whether a value stands for another one: ${a.b}."""
    return isinstance(value, str) and value.startswith("${")


def with_sections(schema: type, tree: dict[str, Any]) -> dict[str, Any]:
    """A tree with every interpolation that stands for a section in the form in which OmegaConf takes one."""
    from omegaconf import DictConfig

    result = dict(tree)
    for name, (kind, _) in schemas.fields(schema).items():
        if name not in tree or not dataclasses.is_dataclass(kind):
            continue
        if is_interpolation(tree[name]):
            result[name] = DictConfig(tree[name])
        elif isinstance(tree[name], dict):
            result[name] = with_sections(cast(type, kind), tree[name])
    return result


def unlock(node: DictConfig) -> None:
    """Let training keys be added to every section, so that ${...} can refer to them."""
    from omegaconf import DictConfig, OmegaConf

    OmegaConf.set_struct(node, False)
    for name in node:
        child = node._get_node(name)
        if isinstance(child, DictConfig) and not child._is_none() and not child._is_missing():
            unlock(child)


def detach(config: DictConfig, name: str) -> None:
    """Turn an interpolation that stands for a section into a copy of that section: what is then set in one must not
    change the other. One that leads nowhere, or to something else, stays and is reported where it is read."""
    from omegaconf import DictConfig, OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    if not OmegaConf.is_interpolation(config, name):
        return
    try:
        section = config[name]
        if isinstance(section, DictConfig):
            config[name] = _as_declared(config, name, OmegaConf.to_container(section))
    except OmegaConfBaseException:
        return


def detach_above(config: DictConfig, key: str) -> None:
    """The same for every section on the way to a dotted key."""
    from omegaconf import DictConfig

    node = config
    for part in key.split(".")[:-1]:
        if not isinstance(node, DictConfig) or part not in node:
            return
        detach(node, part)
        node = node[part]


def open_mappings(config: DictConfig, key: str, itself: bool) -> None:
    """Make mappings that are null empty, on the way to a dotted key (and at the key `itself`), so that a key can be set
    in them: OmegaConf merges nothing into null."""
    from omegaconf import DictConfig

    parts = key.split(".")
    node = config
    for part in parts if itself else parts[:-1]:
        child = node._get_node(part) if isinstance(node, DictConfig) else None
        if not isinstance(child, DictConfig) or child._is_interpolation():
            return
        if child._is_none() or child._is_missing():
            node[part] = {}
        node = node[part]


def _as_declared(config: DictConfig, name: str, values: Any) -> Any:
    """The values in a section of the type that the schema has at this place, where it has one."""
    from omegaconf import OmegaConf

    parent = OmegaConf.get_type(config)
    known = schemas.fields(parent) if parent is not None and dataclasses.is_dataclass(parent) else {}
    if name not in known or not dataclasses.is_dataclass(known[name][0]):
        return values
    base = OmegaConf.structured(known[name][0])
    unlock(base)
    return OmegaConf.merge(base, values)
