# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""The values that flags and mounts files share: volumes, variables, ports, limits. Pure parsing, no Docker."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tao_deploy.errors import LauncherError

_VOLUME_MODES = {"ro", "rw", "z", "Z"}
_SIZE = re.compile(r"\d+(\.\d+)?([bkmgBKMG]|[kmgKMG][bB])?")
_PORT = re.compile(r"(?:(?P<address>\[[^]]+\]|[^:\[\]]+):)?(?P<host>\d+):(?P<container>\d+)(?:/(?P<protocol>\w+))?")
_NAME = re.compile(r"[^=\s\0]+")


@dataclass(frozen=True, slots=True)
class Mount:
    """A folder or file of the host that the container sees.

    Attributes:
        source: absolute path on the host.
        destination: absolute path in the container.
        modes: Docker's mount modes, such as `ro`; empty means writable.
    """

    source: Path
    destination: str
    modes: tuple[str, ...] = ()


def nearest(word: str, known: Iterable[str]) -> str:
    """` (did you mean 'x'?)` for a misspelt word, or an empty string."""
    by_lower = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.5)
    return f" (did you mean '{by_lower[close[0]]}'?)" if close else ""


def make_mount(source: str, destination: str, modes: tuple[str, ...], base: Path, origin: str) -> Mount:
    """A checked mount.

    Args:
        source: host path; `~` is expanded, a relative path counts from `base`.
        destination: absolute path in the container.
        origin: where the value was written, for messages.

    Raises:
        LauncherError: the host path does not exist, or the container path is not absolute.
    """
    if not source or not destination:
        raise LauncherError(f"{origin}: host path or container path is empty", "Write HOST:CONTAINER, both not empty.")
    try:
        path = base / Path(source).expanduser()
    except RuntimeError as error:
        raise LauncherError(f"{origin}: '{source}': no such user on this host") from error
    if not path.exists():
        raise LauncherError(
            f"{origin}: no such file or folder on this host: {path}",
            "Correct the path, or create the folder first: Docker would create it empty and owned by root.",
        )
    if not destination.startswith("/"):
        raise LauncherError(
            f"{origin}: the container path '{destination}' is not absolute", f"For example: {source}:/{destination}"
        )
    clean = "/" + "/".join(part for part in destination.split("/") if part not in ("", "."))
    if clean == "/":
        raise LauncherError(f"{origin}: cannot mount over the container's root folder", f"For example: {source}:/data")
    return Mount(path.resolve(), clean, modes)


def parse_volume(text: str, base: Path) -> Mount:
    """Read `HOST:CONTAINER[:modes]`. The host path may contain colons: the container path is what follows the last."""
    origin = f"--volume {text}"
    head, _, tail = text.rpartition(":")
    modes: tuple[str, ...] = ()
    if head and not tail.startswith("/") and ":" in head:
        modes = tuple(tail.split(","))
        unknown = [mode for mode in modes if mode not in _VOLUME_MODES]
        if unknown:
            raise LauncherError(f"{origin}: unknown mode '{unknown[0]}'", "Known modes: ro (read-only), rw, z, Z.")
        text = head
    source, colon, destination = text.rpartition(":")
    if not colon:
        raise LauncherError(f"{origin}: no container path", f"Write HOST:CONTAINER, for example {text}:/data")
    return make_mount(source, destination, modes, base, origin)


def parse_env(text: str, origin: str) -> tuple[str, str | None]:
    """Read `NAME=VALUE`, or `NAME` alone, which gives None: the host's value is passed on."""
    name, equals, value = text.partition("=")
    if not _NAME.fullmatch(name):
        raise LauncherError(f"{origin}: '{name}' is not a variable's name", "Write NAME=VALUE or NAME.")
    return name, value if equals else None


def parse_ulimit(text: str, origin: str) -> tuple[str, str]:
    """Read `NAME=SOFT[:HARD]`; -1 means unlimited."""
    name, equals, value = text.partition("=")
    if not equals or not _NAME.fullmatch(name) or not re.fullmatch(r"-1|\d+|(-1|\d+):(-1|\d+)", value):
        raise LauncherError(f"{origin}: '{text}' is not a limit", "Write NAME=SOFT[:HARD], for example nofile=65536.")
    return name, value


def parse_port(text: str, origin: str) -> tuple[str, str]:
    """Read `[ADDRESS:]HOST:CONTAINER[/PROTOCOL]`.

    Returns:
        The container's port with its protocol, like `8889/tcp`, and the text as Docker takes it.
    """
    match = _PORT.fullmatch(text)
    if match is None:
        hint = f"Write HOST:CONTAINER, for example {f'{text}:{text}' if text.isdigit() else '8889:8889'}"
        raise LauncherError(f"{origin}: '{text}' is not a pair of ports", hint)
    protocol = (match["protocol"] or "tcp").lower()
    if protocol not in ("tcp", "udp", "sctp"):
        raise LauncherError(f"{origin}: unknown protocol '{match['protocol']}'", "Known: tcp, udp, sctp.")
    for side in ("host", "container"):
        if not 1 <= int(match[side]) <= 65535:
            raise LauncherError(f"{origin}: port {match[side]} is not between 1 and 65535")
    return f"{int(match['container'])}/{protocol}", text


def parse_size(text: str, origin: str) -> str:
    """Check a size such as `512m` or `16G`."""
    if not _SIZE.fullmatch(text):
        raise LauncherError(f"{origin}: '{text}' is not a size", "Write a number with b, k, m or g, for example 16G.")
    return text
