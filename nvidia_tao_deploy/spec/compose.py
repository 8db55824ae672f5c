# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Defaults < spec file < command-line overrides, checked against the schema; Hydra's compose API in this process."""

from __future__ import annotations

import dataclasses
import logging
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nvidia_tao_deploy.errors import SpecError, nearest
from nvidia_tao_deploy.spec import proto_spec, results, texts, yaml_file
from nvidia_tao_deploy.spec import schema as schemas
from nvidia_tao_deploy.spec.fields import MISSING
from nvidia_tao_deploy.spec.flags import Assignment
from nvidia_tao_deploy.spec.migrate import COMMON, Migration, find, migrate, put
from nvidia_tao_deploy.spec.sections import detach_above, is_interpolation, open_mappings, unlock, with_sections

if TYPE_CHECKING:
    from omegaconf import DictConfig

logger = logging.getLogger(__name__)

HYDRAS_OWN = ("hydra", "defaults")
"""Top-level keys with which a spec or an override would steer Hydra itself; of no use here."""

SLIP = 0.85
"""Likeness from which an ignored key is taken for a misspelt one of ours."""


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
    schema: type,
    path: Path | None,
    overrides: Sequence[str | Assignment] = (),
    migrations: tuple[Migration, ...] = (),
    protobuf: bool = False,
) -> Composed:
    """Compose a spec.

    Args:
        schema: the network's dataclass.
        path: spec file; None for defaults and overrides only.
        overrides: Hydra override grammar: key=value, +key=value, ++key=value, ~key; or what an option says.
        migrations: moves of keys from older releases.
        protobuf: files that do not end in .yaml or .yml are in protobuf's text format.

    Raises:
        SpecError: with the file, the line, the key, what was found and what is expected.
    """
    file = _read(schema, path, protobuf) if path else yaml_file.SpecFile(Path("command line"), {})
    for key in file.repeated:
        several = isinstance(find(file.tree, key)[1], dict)
        what = "the sections are merged, and the last value of each key counts" if several else "the last value counts"
        logger.warning("%s stands more than once; %s", file.where(key), what)
    moves = COMMON + migrations
    for old, new, counts in migrate(file.tree, moves):
        if not counts:
            logger.warning("%s: key of an older release, without effect: %s is set, too", file.where(old), new)
            continue
        logger.info("%s: key of an older release, read as %s", file.where(old), new)
        file.lines.setdefault(new, file.lines.get(old, 0))
    ignored = [key for key in HYDRAS_OWN if file.tree.pop(key, None) is not None]
    _sort_out(schema, file.tree, "", file.where, ignored)
    _fit_lists(schema, file.tree)
    merged = _merge(schema, file)
    given = [read for text in overrides if (read := _read_override(text, moves)).key.split(".")[0] not in HYDRAS_OWN]
    config = _override(schema, merged, given, ignored)
    results.settle(config)
    spec = _build(schema(), config, _where(file, given))
    _report(schema, ignored)
    return Composed(spec, config, tuple(ignored))


def _read(schema: type, path: Path, protobuf: bool) -> yaml_file.SpecFile:
    """The spec file in the form that its name's ending says; one that holds the other form is told so."""
    if not protobuf:
        return yaml_file.read(path)
    text_format = proto_spec.is_text_format(path)
    try:
        return proto_spec.read(path, schema) if text_format else yaml_file.read(path)
    except SpecError as error:
        if error.hint or not proto_spec.looks_like(path, not text_format):
            raise
        form, ending = ("YAML", "in .yaml") if text_format else ("protobuf text", "in .txt, not in .yaml")
        raise SpecError(error.message, f"This looks like {form}: then its name must end {ending}.") from error


def _sort_out(schema: type, tree: dict[str, Any], prefix: str, where: Callable[[str], str], ignored: list[str]) -> None:
    """Note the keys of a tree that have no effect; raises for unknown keys in the strict sections."""
    for name, value in list(tree.items()):
        key = f"{prefix}{name}"
        known = schemas.lookup(schema, key)
        if known is None:
            if key.split(".")[0] in schemas.STRICT_SECTIONS:
                raise unknown_key(schema, key, where(key))
            ignored.append(key)
        elif isinstance(known, schemas.Key):
            if not known.used:
                ignored.append(key)
            elif item_schema := known.item_schema:
                _sort_out_items(item_schema, tree, key, where, ignored)
        elif isinstance(value, dict):
            _sort_out(schema, value, f"{key}.", where, ignored)
        elif value is None:
            del tree[name]  # 'evaluate:' with nothing below it: the section's defaults
        elif not is_interpolation(value):
            raise SpecError(f"{where(key)}: expected a section with keys, found '{value}'")


def _sort_out_items(
    schema: type, tree: dict[str, Any], key: str, where: Callable[[str], str], ignored: list[str]
) -> None:
    """The same for a list of sections, whose unknown keys are taken out; one section counts as a list of one."""
    name = key.rpartition(".")[2]
    items = tree[name] = [tree[name]] if isinstance(tree[name], dict) else tree[name]
    if items is None or items == MISSING:
        return
    for item in items if isinstance(items, list) else [items]:
        if not isinstance(item, dict):
            raise SpecError(f"{where(key)}: expected a list of sections with keys, found '{item}'")
        for unknown in sorted(set(item) - set(schemas.fields(schema))):
            del item[unknown]
            ignored.append(f"{key}.{unknown}")


def unknown_key(schema: type, key: str, where: str) -> SpecError:
    """The error for a key that does not exist, with the nearest one that does.

    Nearest is: the same name in another place of this section, then a similar name beside it, then one elsewhere.
    """
    parent, _, name = key.rpartition(".")
    candidates = [item.name for item in schemas.keys(schema) if item.used]
    section = [other for other in candidates if other.split(".")[0] == key.split(".")[0]]
    beside = [other for other in section if other.rpartition(".")[0] == parent]
    moved = [other for other in section if other.rpartition(".")[2] == name]
    near = nearest(name, [other.rpartition(".")[2] for other in beside])
    close = moved[:1] or [f"{parent}.{other}" for other in near]
    close = close or [other for other in section if nearest(name, [other.rpartition(".")[2]])][:1]
    if close:
        return SpecError(f"{where}: no such key", hint=f"Did you mean '{close[0]}'?")
    names = sorted({other.removeprefix(f"{parent}.").split(".")[0] for other in section if other.startswith(parent)})
    return SpecError(f"{where}: no such key", hint=f"Keys in this section: {', '.join(names)}" if names else None)


def _fit_lists(schema: type, tree: dict[str, Any]) -> None:
    """A single value where a list is expected becomes a list of one: 'image_dir: /data' means ['/data'], '' nothing."""
    for key in schemas.keys(schema):
        present, value = find(tree, key.name)
        if present and key.is_list and _is_single(value):
            put(tree, key.name, [] if value == "" else [value])


def _merge(schema: type, file: yaml_file.SpecFile) -> DictConfig:
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    base = OmegaConf.structured(schema)
    unlock(base)
    try:
        return OmegaConf.merge(base, with_sections(schema, file.tree))  # type: ignore[return-value]
    except OmegaConfBaseException as error:
        key = str(getattr(error, "full_key", None) or "").split("[")[0]
        place = file.where(key) if key else str(file.path)
        raise _type_error(schema, error, place, file.tree) from error


def _type_error(schema: type, error: Any, place: str, given: dict[str, Any]) -> SpecError:
    """An error of OmegaConf's in the words of a spec: what is there, what should be, and what the key means.

    Args:
        place: where the value stands.
        given: what was being set, as a tree.
    """
    from omegaconf.errors import KeyValidationError, ValidationError

    key = str(getattr(error, "full_key", None) or "").split("[")[0]
    known = schemas.lookup(schema, key) if key else None
    present, value = find(given, key)
    if isinstance(error, (ValidationError, KeyValidationError)) and isinstance(known, schemas.Key) and present:
        found = "null" if value is None else repr(value)
        return SpecError(f"{place}: found {found}; expected {known.type_name}", known.explained)
    first = (getattr(error, "msg", None) or str(error)).splitlines()[0]
    return SpecError(f"{place}: {first}")


@dataclass(frozen=True, slots=True)
class _Override:
    """One override: as typed, and what it says."""

    text: str
    key: str
    value: Any
    delete: bool

    @property
    def place(self) -> str:
        return f"Option {self.text}" if self.text.startswith("-") else f"Override {self.text}"


def _read_override(text: str | Assignment, moves: tuple[Migration, ...]) -> _Override:
    """Parse an override in Hydra's grammar; a key of an older release becomes today's.

    Raises:
        SpecError: it does not follow the grammar, or gives several values.
    """
    if isinstance(text, Assignment):
        return _Override(text.text, text.key, text.value, False)

    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import OverrideType
    from hydra.errors import HydraException

    try:
        parsed = OverridesParser.create().parse_override(_quoted_home(text))
    except HydraException as error:
        raise SpecError(
            f"Override '{text}': cannot be read: {str(error).splitlines()[0]}",
            hint="Write key=value; quote values with blanks or special characters for Hydra too: 'key=\"a b\"'.",
        ) from error
    key = parsed.key_or_group
    if not key:
        raise SpecError(f"Override '{text}': no key", hint="Write key=value, without blanks around the '='.")
    if parsed.is_sweep_override():
        values = text.partition("=")[2]
        raise SpecError(f"Override '{text}': several values", hint=f"Write a list in brackets: {key}=[{values}]")
    if parsed.type is OverrideType.DEL:
        return _Override(text, key, None, True)
    value = parsed.value()
    for move in moves:
        if move.old == key and move.applies(value):
            logger.info("Override %s: key of an older release, read as %s", text, move.new)
            return _Override(text, move.new, move.converted(value), False)
    return _Override(text, key, value, False)


def _quoted_home(text: str) -> str:
    """key=~/path in quotes, without which Hydra's grammar takes the ~ for its own (shells leave it in place there)."""
    key, _, value = text.partition("=")
    return f"{key}='{value}'" if value.startswith("~/") and not set(value) & set("'\\\\") else text


def _where(file: yaml_file.SpecFile, overrides: Sequence[_Override]) -> Callable[[str], str]:
    """Where a key got its value: the override that set it or a section above it, else the place in the file."""

    def where(key: str) -> str:
        for item in reversed(overrides):
            if key == item.key or key.startswith(f"{item.key}."):
                return item.place
        return file.where(key)

    return where


def _override(schema: type, merged: DictConfig, overrides: Sequence[_Override], ignored: list[str]) -> DictConfig:
    """Apply overrides in order, as Hydra does: dicts merge, everything else replaces."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    for item in overrides:
        value = _accept(schema, item, ignored)
        place = item.place
        try:
            if not item.delete:
                detach_above(merged, item.key)
                open_mappings(merged, item.key, isinstance(value, dict))
                OmegaConf.update(merged, item.key, value, merge=True, force_add=True)
            elif not _delete(merged, item.key):
                logger.warning("%s: there is no such key to delete", place)
        except OmegaConfBaseException as error:
            given: dict[str, Any] = {}
            put(given, item.key, value)
            raise _type_error(schema, error, place, given) from error
        except ValueError as error:  # a.b.c=x, where a.b is a list: only numbers stand for places in it
            whole = item.key.rpartition(".")[0]
            raise SpecError(f"{place}: no such place in a list", f"Replace the list: {whole}=[...]") from error
    return merged


def _delete(config: DictConfig, key: str) -> bool:
    from omegaconf import DictConfig, OmegaConf

    parent, _, name = key.rpartition(".")
    holder = OmegaConf.select(config, parent) if parent else config
    if not isinstance(holder, DictConfig) or name not in holder:
        return False
    del holder[name]
    return True


def _accept(schema: type, item: _Override, ignored: list[str]) -> Any:
    """The value to set, once the key is checked as those of the file are."""
    known = schemas.lookup(schema, item.key)
    if isinstance(known, type) and not (item.delete or isinstance(item.value, dict) or is_interpolation(item.value)):
        raise SpecError(
            f"{item.place}: '{item.key}' is a section with keys",
            hint=f"Set one of its keys: {item.key}.KEY=...",
        )
    if known is None and item.key.split(".")[0] not in schemas.STRICT_SECTIONS:
        ignored.append(item.key)
    elif not (item.delete and isinstance(known, type)):
        tree: dict[str, Any] = {}
        put(tree, item.key, item.value)
        _sort_out(schema, tree, "", lambda _: item.place, ignored)
        _fit_lists(schema, tree)
        present, value = find(tree, item.key)
        item = dataclasses.replace(item, value=value) if present else item
    return item.value


def _is_single(value: Any) -> bool:
    """Whether a value stands for a list of one; ??? and ${...} stand for whole lists."""
    if isinstance(value, str):
        return value != MISSING and not is_interpolation(value)
    return isinstance(value, (int, float))


def _build(defaults: Any, config: DictConfig, where: Callable[[str], str], prefix: str = "") -> Any:
    """An instance like `defaults` with the values of `config`: interpolations resolved, ??? as None, choices and
    bounds enforced."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    values: dict[str, Any] = {}
    for name, (kind, field) in schemas.fields(type(defaults)).items():
        key = f"{prefix}{name}"
        if name not in config and not OmegaConf.is_missing(config, name):  # deleted with ~key: the default
            if getattr(defaults, name) == MISSING:
                values[name] = None
            continue
        if dataclasses.is_dataclass(kind):
            section = _section(config, name, where(key))
            values[name] = _build(getattr(defaults, name), section, where, f"{key}.")
            continue
        try:
            raw = None if OmegaConf.is_missing(config, name) else config[name]
            value = OmegaConf.to_container(raw, resolve=True) if OmegaConf.is_config(raw) else raw
        except OmegaConfBaseException as error:
            raise texts.interpolation_error(where(key), error) from error
        value = texts.meant(value, where(key))
        described = schemas.Key(key, kind, None, dict(field.metadata))
        item_schema = described.item_schema
        if item_schema and value is not None:
            value = [item_schema(**item) for item in typing.cast("list[dict[str, Any]]", value)]
        values[name] = schemas.check_value(described, value, where(key))
    return dataclasses.replace(defaults, **values)


def _section(config: DictConfig, name: str, place: str) -> DictConfig:
    """The section, or the one that an interpolation in its place stands for."""
    from omegaconf import DictConfig
    from omegaconf.errors import OmegaConfBaseException

    try:
        section = config[name]
    except OmegaConfBaseException as error:
        raise texts.interpolation_error(place, error) from error
    if not isinstance(section, DictConfig):
        raise SpecError(f"{place}: expected a section with keys, found '{section}'")
    return section


def _report(schema: type, ignored: list[str]) -> None:
    """One line for all keys without effect; a warning where one looks like a slip of the pen."""
    ignored = [key for key in ignored if key != "model_name"]  # read already, by model_agnostic
    if not ignored:
        return
    for key in ignored:
        meant = _slip_of_the_pen(schema, key)
        if meant:
            logger.warning("%s: no such key, ignored. Did you mean '%s'?", key, meant)
    logger.info("Ignored (read only by training or by other tools): %s", ", ".join(sorted(set(ignored))))


def _slip_of_the_pen(schema: type, key: str) -> str | None:
    """The known key that an ignored one is nearly equal to, at the first part that is not known. Keys of training may
    well be like ours (train_data_sources, test_data_sources): those are no slips."""
    parts = key.split(".")
    for index, part in enumerate(parts):
        known = schemas.fields(schema)
        if part not in known:
            near = nearest(part, known, cutoff=SLIP)
            return ".".join([*parts[:index], near[0], *parts[index + 1 :]]) if near else None
        kind = known[part][0]
        if not dataclasses.is_dataclass(kind):
            return None
        schema = typing.cast(type, kind)
    return None


class NotSetError(SpecError):
    """A key that a task needs has no value.

    Attributes:
        key: the dotted key.
    """

    def __init__(self, key: str) -> None:
        super().__init__(f"{key} is not set.", f"Set it in the spec file, or on the command line: {key}=...")
        self.key = key


def require(spec: Any, key: str) -> Any:
    """The value at a dotted key of a composed spec.

    Raises:
        NotSetError: it is not set (null, empty, or ???).
    """
    value = spec
    for part in key.split("."):
        value = getattr(value, part)
    if value is None or value == "" or value == []:
        raise NotSetError(key)
    return value
