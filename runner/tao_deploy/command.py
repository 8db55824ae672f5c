# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Builds the `docker run` command as an argument list. Pure: no engine, no files."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tao_deploy.account import Account
from tao_deploy.settings import DEFAULT_SHM_SIZE, Settings
from tao_deploy.values import Mount

WORKSPACE = "/workspace/tao-deploy"


@dataclass(frozen=True, slots=True)
class Terminal:
    """How the container is attached.

    Attributes:
        stdin: keep standard input open.
        tty: give the container a terminal.
    """

    stdin: bool
    tty: bool


def docker_command(
    *,
    tree: Path,
    image: str,
    settings: Settings,
    gpu_flags: list[str],
    gpu_envs: dict[str, str],
    account: Account | None,
    account_mounts: list[Mount],
    terminal: Terminal,
    command: list[str],
) -> list[str]:
    """The argument list, beginning with `docker`.

    Args:
        tree: source tree on the host, mounted at /workspace/tao-deploy.
        settings: mounts, variables and so on, already merged.
        gpu_flags: from `tao_deploy.gpus.gpu_flags`, as are the variables `gpu_envs`.
        account: the user in the container, if the caller's or one given by ids.
        account_mounts: the files that describe `account`.
        command: the container's command; empty for the image's own.
    """
    # --init: as process 1 a command would ignore SIGTERM and Ctrl-C, and would not reap its grandchildren.
    arguments = ["docker", "run", "--rm", "--init"]
    arguments += ["--interactive"] if terminal.stdin else []
    arguments += ["--tty"] if terminal.tty else []
    mounts = {WORKSPACE: Mount(tree, WORKSPACE), **{mount.destination: mount for mount in account_mounts}}
    envs: dict[str, str | None] = {"PYTHONPATH": WORKSPACE, **gpu_envs}
    if account is None:
        envs["PYTHONDONTWRITEBYTECODE"] = "1"  # root's __pycache__ folders in the mounted tree would be in the way
    else:
        envs |= {"HOME": account.home, "USER": account.name, "LOGNAME": account.name}
    arguments += gpu_flags
    mounts |= settings.mounts
    arguments += _user_flags(account, settings.user, mounts)
    for mount in mounts.values():
        arguments += _mount_flags(mount)
    for name, value in (envs | dict(settings.envs)).items():
        arguments += ["--env", name if value is None else f"{name}={value}"]
    arguments += _limit_flags(settings)
    return [*arguments, "--workdir", WORKSPACE, image, *command]


def _user_flags(account: Account | None, user: str | None, mounts: dict[str, Mount]) -> Iterator[str]:
    if account is None:
        if user is not None:
            yield from ("--user", user)
        return
    yield from ("--user", f"{account.uid}:{account.gid}")
    if account.uid == 0:
        return
    for gid, _ in account.groups[1:]:
        yield from ("--group-add", str(gid))
    home = account.home
    if not any(home == target or home.startswith(f"{target}/") for target in mounts):
        yield from ("--tmpfs", f"{home}:exec,mode=0700,uid={account.uid},gid={account.gid}")


def _mount_flags(mount: Mount) -> list[str]:
    if ":" not in str(mount.source):
        return ["--volume", ":".join([str(mount.source), mount.destination, *_joined(mount.modes)])]
    # --volume cannot express a colon in the path, --mount can, as a line of CSV.
    fields = ["type=bind", f"source={mount.source}", f"target={mount.destination}"]
    fields += ["readonly"] if "ro" in mount.modes else []
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(fields)
    return ["--mount", line.getvalue()]


def _joined(modes: tuple[str, ...]) -> list[str]:
    return [",".join(modes)] if modes else []


def _limit_flags(settings: Settings) -> Iterator[str]:
    yield from ("--shm-size", settings.shm_size or DEFAULT_SHM_SIZE)
    for name, limit in settings.ulimits.items():
        yield from ("--ulimit", f"{name}={limit}")
    for port in settings.ports.values():
        yield from ("--publish", port)
    if settings.network is not None:
        yield from ("--network", settings.network)
    if settings.privileged:
        yield "--privileged"
