# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""What the user asked for, from two files and the flags, merged into one value."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tao_deploy.values import Mount, parse_env, parse_port, parse_size, parse_ulimit, parse_volume

DEFAULT_SHM_SIZE = "16G"


@dataclass(frozen=True, slots=True)
class Settings:
    """One source of settings, or several merged. None or empty means: this source does not say.

    Attributes:
        mounts: by absolute path in the container.
        envs: by variable name; the value None passes the host's value on.
        ulimits: limit name to `SOFT[:HARD]`.
        ports: container port and protocol, like `8889/tcp`, to the text that Docker takes.
        user: `UID[:GID]` or a name that the image knows.
    """

    mounts: Mapping[str, Mount] = field(default_factory=dict)
    envs: Mapping[str, str | None] = field(default_factory=dict)
    ulimits: Mapping[str, str] = field(default_factory=dict)
    ports: Mapping[str, str] = field(default_factory=dict)
    shm_size: str | None = None
    user: str | None = None
    network: str | None = None
    privileged: bool | None = None
    tty: bool | None = None

    def overridden_by(self, other: Settings) -> Settings:
        """These settings with those of `other` laid over them."""

        def last(name: str) -> object:
            value = getattr(other, name)
            return getattr(self, name) if value is None else value

        return Settings(
            mounts={**self.mounts, **other.mounts},
            envs={**self.envs, **other.envs},
            ulimits={**self.ulimits, **other.ulimits},
            ports={**self.ports, **other.ports},
            **{name: last(name) for name in ("shm_size", "user", "network", "privileged", "tty")},  # type: ignore[arg-type]
        )


def settings_from_flags(options: argparse.Namespace, cwd: Path) -> Settings:
    """The flags as settings.

    Args:
        options: as `tao_deploy.cli.parse_arguments` returns them.
        cwd: absolute path that relative host paths count from.

    Raises:
        LauncherError: a value is malformed, or a host path does not exist.
    """
    mounts = [parse_volume(text, cwd) for text in options.volume]
    return Settings(
        mounts={mount.destination: mount for mount in mounts},
        envs=dict(parse_env(text, f"--env {text}") for text in options.env),
        ulimits=dict(parse_ulimit(text, f"--ulimit {text}") for text in options.ulimit),
        ports=dict(parse_port(text, f"--port {text}") for text in options.port),
        shm_size=None if options.shm_size is None else parse_size(options.shm_size, f"--shm_size {options.shm_size}"),
        tty=False if options.no_tty else None,
    )
