# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""YAML spec files: read into plain dicts, with the line of every key for messages, and written."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from nvidia_tao_deploy.errors import SpecError

_FLOAT = re.compile(
    r"""^(?:[-+]?(?:[0-9][0-9_]*)\.[0-9_]*(?:[eE][-+]?[0-9]+)?
    |[-+]?(?:[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)
    |\.[0-9_]+(?:[eE][-+]?[0-9]+)?
    |[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class SpecFile:
    """Content of a spec file.

    Attributes:
        path: the file.
        tree: nested dicts and lists.
        lines: dotted key -> line number, counted from 1.
        columns: dotted key -> column, counted from 1, where the format tells.
        repeated: dotted keys that stand more than once (the last one counts, sections are merged at every depth).
    """

    path: Path
    tree: dict[str, Any]
    lines: dict[str, int] = field(default_factory=dict)
    columns: dict[str, int] = field(default_factory=dict)
    repeated: list[str] = field(default_factory=list)

    def where(self, key: str) -> str:
        """'file.yaml:12: a.b.c', with the column where it is known; without both when the key is not in the file."""
        if key not in self.lines:
            return f"{self.path}: {key}"
        column = f":{self.columns[key]}" if key in self.columns else ""
        return f"{self.path}:{self.lines[key]}{column}: {key}"


class _Loader(yaml.SafeLoader):
    """YAML as OmegaConf reads it: 1e-4 is a number, a date is a string."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789."))


class _Dumper(yaml.SafeDumper):
    """Quotes every text that `_Loader` would take for a number: 1e3."""


_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789."))

_MERGE = "tag:yaml.org,2002:merge"


def read(path: Path) -> SpecFile:
    """Read a spec file.

    Raises:
        SpecError: missing, a folder, unreadable, not YAML (with line and column), or not a mapping.
    """
    if path.is_dir():
        raise SpecError(f"{path}: a folder, not a spec file.")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise SpecError(f"{path}: no such spec file.", hint=_similar(path)) from error
    except OSError as error:
        raise SpecError(f"{path}: cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise SpecError(f"{path}: not a text file (byte {error.start} is not UTF-8).") from error
    spec, loader = SpecFile(path, {}), None
    try:
        loader = _Loader(text)  # raises for control characters
        root = loader.get_single_node()
        if root is None:
            raise SpecError(f"{path}: the file is empty.")
        if not isinstance(root, yaml.MappingNode):
            raise SpecError(f"{path}: expected 'key: value' lines at the top level.")
        spec.tree.update(_mapping(loader, root, "", spec))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise SpecError(f"{path}{place}: not YAML: {problem}.") from error
    except RecursionError as error:
        raise SpecError(f"{path}: not a spec: nested too deeply, or an anchor that contains itself.") from error
    finally:
        if loader is not None:
            loader.dispose()
    return spec


def dump(tree: dict[str, Any]) -> str:
    """Plain dicts and lists as YAML from which `read` makes the same tree; keys keep their order."""
    return yaml.dump(tree, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False)


def _mapping(loader: _Loader, node: yaml.MappingNode, prefix: str, spec: SpecFile) -> dict[str, Any]:
    _resolve_merge_keys(loader, node)
    result: dict[str, Any] = {}
    for key_node, value_node in node.value:
        name = str(loader.construct_object(key_node, deep=True))
        key = f"{prefix}{name}"
        if name in result:
            spec.repeated.append(key)
        spec.lines[key] = key_node.start_mark.line + 1
        if isinstance(value_node, yaml.MappingNode):
            result[name] = _merged(result.get(name), _mapping(loader, value_node, f"{key}.", spec))
        else:
            result[name] = loader.construct_object(value_node, deep=True)
    return result


def _resolve_merge_keys(loader: _Loader, node: yaml.MappingNode) -> None:
    """Put what '<<' brings into the section; a key that the section has itself replaces it as a whole, as in YAML."""
    own = [pair for pair in node.value if pair[0].tag != _MERGE]
    loader.flatten_mapping(node)  # what is brought stands first; of several, the one that counts last
    brought = {str(key.value): (key, value) for key, value in node.value[: len(node.value) - len(own)]}
    for key, _ in own:
        brought.pop(str(key.value), None)
    node.value = [*brought.values(), *own]


def _merged(old: Any, new: Any) -> Any:
    """Two sections as one, in which later values win; anything else: the later."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return new
    return {**old, **{name: _merged(old.get(name), value) for name, value in new.items()}}


def _similar(path: Path) -> str | None:
    near = sorted(item.name for item in path.parent.glob("*.y*ml"))[:5] if path.parent.is_dir() else []
    return f"In {path.parent}: {', '.join(near)}" if near else None
