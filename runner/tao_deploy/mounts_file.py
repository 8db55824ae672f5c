# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Reads `~/.tao_mounts.json` and files of the same form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tao_deploy.errors import LauncherError
from tao_deploy.settings import Settings
from tao_deploy.values import Mount, make_mount, nearest, parse_env, parse_port, parse_size, parse_ulimit

_OPTIONS = ("shm_size", "ulimits", "user", "ports", "network", "privileged", "tty")


def read_mounts_file(path: Path) -> Settings:
    """Read a mounts file.

    Args:
        path: the file; relative sources in it count from its folder.

    Raises:
        LauncherError: the file is missing or is not JSON, a key is unknown, a value has the wrong type, or a source
            does not exist. The message names the file and the key.
    """
    content = _load(path)
    _check_keys(content, ("Mounts", "Envs", "DockerOptions"), str(path))
    options = _typed(content.get("DockerOptions", {}), dict, f"{path}: DockerOptions", "an object")
    _check_keys(options, _OPTIONS, f"{path}: DockerOptions")
    mounts = [
        _mount(entry, path, f"{path}: Mounts[{index}]")
        for index, entry in enumerate(_typed(content.get("Mounts", []), list, f"{path}: Mounts", "a list"))
    ]
    envs = [
        _env(entry, f"{path}: Envs[{index}]")
        for index, entry in enumerate(_typed(content.get("Envs", []), list, f"{path}: Envs", "a list"))
    ]
    return Settings(
        mounts={mount.destination: mount for mount in mounts}, envs=dict(envs), **_docker_options(options, str(path))
    )


def _load(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise LauncherError(f"mounts file not found: {path}", "Correct the path given to --mounts_file.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise LauncherError(f"cannot read the mounts file {path}: {error}") from error
    try:
        content = json.loads(text, object_pairs_hook=lambda pairs: _unique(pairs, path))
    except json.JSONDecodeError as error:
        raise LauncherError(
            f"{path} is not JSON: {error.msg} (line {error.lineno}, column {error.colno})",
            "JSON wants double quotes, no comments and no comma after the last entry.",
        ) from error
    return _typed(content, dict, str(path), 'an object, like {"Mounts": [...]}')


def _unique(pairs: list[tuple[str, Any]], path: Path) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise LauncherError(f"{path}: the key '{key}' appears twice", "Join the two, JSON would drop the first.")
        result[key] = value
    return result


def _typed(value: Any, kind: type, origin: str, expected: str) -> Any:
    if not isinstance(value, kind):
        raise LauncherError(f"{origin}: expected {expected}, found {json.dumps(value)}")
    return value


def _check_keys(content: dict[str, Any], known: tuple[str, ...], origin: str) -> None:
    for key in content:
        if key not in known:
            raise LauncherError(
                f"{origin}: unknown key '{key}'{nearest(key, known)}", f"Known keys here: {', '.join(known)}."
            )


def _scalar(value: Any, origin: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise LauncherError(f"{origin}: expected a string or a number, found {json.dumps(value)}")
    return str(value)


def _entry(entry: Any, required: tuple[str, ...], optional: tuple[str, ...], origin: str) -> dict[str, Any]:
    shape = "{" + ", ".join(f'"{name}": ...' for name in required) + "}"
    _typed(entry, dict, origin, shape)
    _check_keys(entry, required + optional, origin)
    for name in required:
        if name not in entry:
            raise LauncherError(f"{origin}: '{name}' is missing", f"Expected {shape}")
    return entry


def _mount(entry: Any, path: Path, origin: str) -> Mount:
    _entry(entry, ("source", "destination"), ("read_only",), origin)
    source = _typed(entry["source"], str, f"{origin}.source", "a path")
    destination = _typed(entry["destination"], str, f"{origin}.destination", "a path")
    read_only = _typed(entry.get("read_only", False), bool, f"{origin}.read_only", "true or false")
    return make_mount(source, destination, ("ro",) if read_only else (), path.parent, f"{origin}.source")


def _env(entry: Any, origin: str) -> tuple[str, str | None]:
    _entry(entry, ("variable", "value"), (), origin)
    variable = _typed(entry["variable"], str, f"{origin}.variable", "a variable's name")
    return parse_env(f"{variable}={_scalar(entry['value'], f'{origin}.value')}", f"{origin}.variable")


def _docker_options(options: dict[str, Any], file: str) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in options.items():
        origin = f"{file}: DockerOptions.{key}"
        if key == "ulimits":
            limits = _typed(value, dict, origin, 'an object, like {"nofile": 65536}')
            pairs = (f"{name}={_limit(limit, origin)}" for name, limit in limits.items())
            result[key] = dict(parse_ulimit(pair, origin) for pair in pairs)
        elif key == "ports":
            ports = _typed(value, dict, origin, 'an object, like {"8888": 8888}')
            result[key] = dict(_port(container, host, origin) for container, host in ports.items())
        elif key in ("privileged", "tty"):
            result[key] = _typed(value, bool, origin, "true or false")
        elif key == "shm_size":
            result[key] = parse_size(_scalar(value, origin), origin)
        else:
            result[key] = _scalar(value, origin)
            if not result[key]:
                raise LauncherError(f"{origin}: is empty", "Remove the key to keep Docker's default.")
    return result


def _limit(value: Any, origin: str) -> str:
    if isinstance(value, dict):
        _entry(value, ("soft", "hard"), (), origin)
        return f"{_scalar(value['soft'], origin)}:{_scalar(value['hard'], origin)}"
    return _scalar(value, origin)


def _port(container: str, host: Any, origin: str) -> tuple[str, str]:
    """The forms of the docker SDK: container port to a host port, or to [address, host port]."""
    address = ""
    if isinstance(host, list):
        if len(host) != 2:
            raise LauncherError(f'{origin}: expected a port or ["address", port], found {json.dumps(host)}')
        address, host = f"{_scalar(host[0], origin)}:", host[1]
    return parse_port(f"{address}{_scalar(host, origin)}:{container}", origin)
