# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Defaults < spec file < command-line overrides, checked against the schema; Hydra's compose API in this process."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nvidia_tao_deploy.errors import SpecError, did_you_mean
from nvidia_tao_deploy.spec import schema as schemas
from nvidia_tao_deploy.spec import yaml_file
from nvidia_tao_deploy.spec.migrate import COMMON, Migration, migrate

if TYPE_CHECKING:
    from omegaconf import DictConfig

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Composed:
    """A complete spec.

    Attributes:
        spec: instance of the schema; a value left at ??? is None.
        config: the whole configuration, keys that only training reads included (for experiment.yaml).
        ignored: dotted keys that were given and have no effect here.
    """

    spec: Any
    config: DictConfig
    ignored: tuple[str, ...]


def compose(
    schema: type, path: Path | None, overrides: Sequence[str] = (), migrations: tuple[Migration, ...] = ()
) -> Composed:
    """Compose a spec.

    Args:
        schema: the network's dataclass.
        path: spec file; None for defaults and overrides only.
        overrides: Hydra override grammar: key=value, +key=value, ++key=value, ~key.
        migrations: moves of keys from older releases.

    Raises:
        SpecError: with the file, the line, the key, what was found and what is expected.
    """
    file = yaml_file.read(path) if path else yaml_file.SpecFile(Path("command line"), {})
    for key in file.repeated:
        logger.warning("%s stands more than once; the last value counts", file.where(key))
    for old, new in migrate(file.tree, COMMON + migrations):
        logger.info("%s: key of an older release, read as %s", file.where(old), new)
    ignored = _sort_out(schema, file)
    _fit_lists(schema, file.tree)
    merged = _merge(schema, file)
    config = _override(schema, merged, overrides, ignored)
    spec = _build(schema, config, file)
    _report(schema, ignored)
    return Composed(spec, config, tuple(ignored))


def _sort_out(schema: type, file: yaml_file.SpecFile) -> list[str]:
    """The keys of the file that have no effect; raises for unknown keys in the strict sections."""
    ignored: list[str] = []

    def visit(tree: dict[str, Any], prefix: str) -> None:
        for name, value in list(tree.items()):
            key = f"{prefix}{name}"
            known = schemas.lookup(schema, key)
            if known is None:
                if key.split(".")[0] in schemas.STRICT_SECTIONS:
                    raise unknown_key(schema, key, file.where(key))
                ignored.append(key)
            elif isinstance(known, schemas.Key):
                if not known.used:
                    ignored.append(key)
            elif isinstance(value, dict):
                visit(value, f"{key}.")
            elif value is None:
                del tree[name]  # 'evaluate:' with nothing below it: the section's defaults
            else:
                raise SpecError(f"{file.where(key)}: expected a section with keys, found '{value}'")

    visit(file.tree, "")
    return ignored


def unknown_key(schema: type, key: str, where: str) -> SpecError:
    """The error for a key that does not exist, with the nearest one that does."""
    candidates = [item.name for item in schemas.keys(schema)]
    same_section = [name for name in candidates if name.rpartition(".")[0] == key.rpartition(".")[0]]
    hint = did_you_mean(key, same_section) or did_you_mean(key, candidates)
    if hint is None and same_section:
        hint = f"Keys in this section: {', '.join(name.rpartition('.')[2] for name in same_section)}"
    return SpecError(f"{where}: no such key", hint=hint)


def _fit_lists(schema: type, tree: dict[str, Any]) -> None:
    """A single value where a list is expected becomes a list of one: 'image_dir: /data' means ['/data']."""
    for key in schemas.keys(schema):
        parent: Any = tree
        *sections, last = key.name.split(".")
        for part in sections:
            parent = parent.get(part) if isinstance(parent, dict) else None
        if key.is_list and isinstance(parent, dict) and isinstance(parent.get(last), (str, int, float)):
            value = parent[last]
            if not (isinstance(value, str) and (value == "???" or value.startswith("${"))):
                parent[last] = [value]


def _merge(schema: type, file: yaml_file.SpecFile) -> DictConfig:
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    base = OmegaConf.structured(schema)
    _open(base)
    try:
        return OmegaConf.merge(base, OmegaConf.create(file.tree))  # type: ignore[return-value]
    except OmegaConfBaseException as error:
        raise SpecError(_type_message(schema, error, file)) from error


def _open(node: DictConfig) -> None:
    """Let training keys be added to every section, so that ${...} can refer to them."""
    from omegaconf import DictConfig, OmegaConf

    OmegaConf.set_struct(node, False)
    for name in node:
        child = node._get_node(name)
        if isinstance(child, DictConfig) and not child._is_none() and not child._is_missing():
            _open(child)


def _type_message(schema: type, error: Any, file: yaml_file.SpecFile) -> str:
    key = getattr(error, "full_key", None) or ""
    first = (getattr(error, "msg", None) or str(error)).splitlines()[0]
    known = schemas.lookup(schema, key.split("[")[0]) if key else None
    expected = f"; expected {known.type_name}" if isinstance(known, schemas.Key) else ""
    return f"{file.where(key) if key else file.path}: {first}{expected}"


def _override(schema: type, merged: DictConfig, overrides: Sequence[str], ignored: list[str]) -> DictConfig:
    from hydra import compose as hydra_compose
    from hydra import initialize
    from hydra.core.config_store import ConfigStore
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    accepted = [text for item in overrides if (text := _accept(schema, merged, item, ignored)) is not None]
    OmegaConf.set_struct(merged, True)
    ConfigStore.instance().store(name="spec", node=merged)
    try:
        with initialize(version_base=None, config_path=None):
            return hydra_compose(config_name="spec", overrides=accepted)
    except (HydraException, OmegaConfBaseException) as error:
        cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else None
        key = str(getattr(cause, "full_key", "") or "")
        reason = str(getattr(cause, "msg", "") or "").splitlines()[0] if cause else str(error).splitlines()[0]
        known = schemas.lookup(schema, key) if key else None
        expected = f"; expected {known.type_name}" if isinstance(known, schemas.Key) else ""
        raise SpecError(f"Override{f' of {key}' if key else ''}: {reason}{expected}") from error


def _accept(schema: type, merged: DictConfig, text: str, ignored: list[str]) -> str | None:
    """The override as Hydra shall see it; None when it has no effect here."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import OverrideType
    from hydra.errors import HydraException
    from omegaconf import OmegaConf

    try:
        override = OverridesParser.create().parse_override(text)
    except HydraException as error:
        raise SpecError(
            f"Override '{text}': cannot be read: {str(error).splitlines()[0]}",
            hint="Write key=value; quote values with blanks or special characters for Hydra too: 'key=\"a b\"'.",
        ) from error
    key = override.key_or_group
    if key.split(".")[0] == "hydra":
        ignored.append(key)
        return None
    known = schemas.lookup(schema, key)
    if known is None and key.split(".")[0] in schemas.STRICT_SECTIONS:
        raise unknown_key(schema, key, f"Override {text}")
    if known is None:
        ignored.append(key)
    if override.type is OverrideType.DEL:
        return text
    if isinstance(known, schemas.Key):
        if not known.used:
            ignored.append(key)
        if known.is_list and isinstance(override.value(), (str, int, float)) and override.value() != "???":
            return f"{key}=[{text.partition('=')[2]}]"
    exists = OmegaConf.select(merged, key, throw_on_missing=False, default=None) is not None
    return f"++{text.lstrip('+')}" if known is None or exists or override.type is OverrideType.ADD else text


def _build(schema: type, config: DictConfig, file: yaml_file.SpecFile, prefix: str = "") -> Any:
    """The dataclass instance: interpolations resolved, ??? as None, choices and bounds enforced."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    values: dict[str, Any] = {}
    for name, (kind, field) in schemas.fields(schema).items():
        key = f"{prefix}{name}"
        if dataclasses.is_dataclass(kind):
            values[name] = _build(kind, config[name], file, f"{key}.")  # type: ignore[arg-type]
            continue
        try:
            raw = None if OmegaConf.is_missing(config, name) else config[name]
            value = OmegaConf.to_container(raw, resolve=True) if OmegaConf.is_config(raw) else raw
        except OmegaConfBaseException as error:
            raise SpecError(f"{file.where(key)}: {str(error).splitlines()[0]}") from error
        described = schemas.Key(key, kind, None, dict(field.metadata))
        values[name] = schemas.check_value(described, value, file.where(key))
    return schema(**values)


def _report(schema: type, ignored: list[str]) -> None:
    """One line for all keys without effect; a hint where one looks like a slip of the pen."""
    if not ignored:
        return
    for key in ignored:
        parent, _, name = key.rpartition(".")
        section = schemas.lookup(schema, parent) if parent else schema
        if isinstance(section, type) and name not in schemas.fields(section):
            hint = did_you_mean(name, schemas.fields(section))
            if hint:
                logger.warning("%s: no such key, ignored. %s", key, hint)
    logger.info("Ignored (read only by training or by other tools): %s", ", ".join(sorted(set(ignored))))


def require(spec: Any, key: str) -> Any:
    """The value at a dotted key of a composed spec.

    Raises:
        SpecError: it is not set (null, empty, or ???).
    """
    value = spec
    for part in key.split("."):
        value = getattr(value, part)
    if value is None or value == "" or value == []:
        raise SpecError(f"{key} is not set.", hint=f"Set it in the spec file, or on the command line: {key}=...")
    return value
