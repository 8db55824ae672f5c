# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""From the parsed flags to a running container."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from pathlib import Path
from typing import NoReturn

from tao_deploy import account as accounts
from tao_deploy.command import Terminal, docker_command
from tao_deploy.engine import INSTALL_DOCKER, Engine, connect, is_tegra
from tao_deploy.errors import LauncherError
from tao_deploy.gpus import INSTALL_TOOLKIT, EngineFacts, gpu_flags, missing_gpu_support, parse_gpus
from tao_deploy.manifest import Manifest, read_manifest
from tao_deploy.mounts_file import read_mounts_file
from tao_deploy.pull import pull_image
from tao_deploy.settings import Settings, settings_from_flags
from tao_deploy.tree import find_tree
from tao_deploy.values import Mount

HOME_MOUNTS_FILE = "~/.tao_mounts.json"


def launch(options: argparse.Namespace) -> int:
    """Check everything, fetch the image if it is absent, and become `docker run`.

    Args:
        options: as `tao_deploy.cli.parse_arguments` returns them.

    Returns:
        0 after `--dry-run`; otherwise it does not return.

    Raises:
        LauncherError: something is wrong; no container was started.
    """
    cwd = _current_folder()
    devices = parse_gpus(options.gpus)
    settings = collect_settings(options, cwd)
    tree = find_tree(cwd)
    manifest = read_manifest(tree)
    engine, facts = _ask_engine(options.dry_run)
    _check_gpus(devices, facts, options.dry_run)
    image = _choose_image(engine, facts, manifest, options.tag, options.dry_run)
    account = _choose_account(options.run_as_user, settings.user, facts)
    flags, envs = gpu_flags(devices, facts)
    arguments = docker_command(
        tree=tree,
        image=image,
        settings=settings,
        gpu_flags=flags,
        gpu_envs=envs,
        account=account,
        account_mounts=_account_mounts(account, engine, image),
        terminal=choose_terminal(settings.tty),
        command=options.command,
    )
    if not options.dry_run:
        _become(arguments)
    print(shlex.join(arguments))
    return 0


def collect_settings(options: argparse.Namespace, cwd: Path) -> Settings:
    """Merge `~/.tao_mounts.json`, the file of `--mounts_file` and the flags; later ones win.

    Raises:
        LauncherError: one of them is malformed, a host path is missing, or a variable to pass on is not set.
    """
    settings = Settings()
    home_file = _home_mounts_file()
    if home_file is not None and home_file.exists():
        settings = settings.overridden_by(read_mounts_file(home_file))
    if options.mounts_file is not None:
        settings = settings.overridden_by(read_mounts_file(cwd / Path(options.mounts_file).expanduser()))
    settings = settings.overridden_by(settings_from_flags(options, cwd))
    for name, value in settings.envs.items():
        if value is None and name not in os.environ:
            raise LauncherError(
                f"--env {name}: the variable is not set on this host", f"Export it first, or write --env {name}=VALUE."
            )
    return settings


def _current_folder() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError as error:
        raise LauncherError("the current folder does not exist any more", "Change into another one.") from error


def _home_mounts_file() -> Path | None:
    try:
        return Path(HOME_MOUNTS_FILE).expanduser()
    except RuntimeError:  # neither HOME nor an account
        return None


def _choose_account(run_as_user: bool, user: str | None, facts: EngineFacts) -> accounts.Account | None:
    if not run_as_user:
        return accounts.account_from_text(user or "")
    # Any other user of a rootless engine's container would be a stranger outside.
    return accounts.ROOT if facts.rootless else accounts.caller()


def choose_terminal(wanted: bool | None) -> Terminal:
    """A terminal in the container if standard input and output are one here, and this process may read from it.

    Args:
        wanted: False (--no-tty) for none in any case.
    """
    on_terminal = sys.stdin is not None and sys.stdin.isatty()
    if not on_terminal:
        return Terminal(stdin=True, tty=False)
    # A process in the background would be stopped by the system at its first read.
    foreground = os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    usable = foreground and wanted is not False
    return Terminal(stdin=usable, tty=usable and sys.stdout.isatty())


def _become(arguments: list[str]) -> NoReturn:
    """Replace this process, so that terminal, signals and exit code are the container's own."""
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.execvp(arguments[0], arguments)
    except OSError as error:
        raise LauncherError(f"cannot start '{arguments[0]}': {error.strerror}", INSTALL_DOCKER) from error


def _ask_engine(dry_run: bool) -> tuple[Engine | None, EngineFacts]:
    try:
        engine = connect()
    except LauncherError as error:
        if not dry_run:
            raise
        print(f"tao_deploy: note: {error.message}; assuming a current engine on this host", file=sys.stderr)
        machine = os.uname().machine
        return None, EngineFacts((1, 41), machine, is_tegra(), nvidia_runtime=True, nvidia_devices=True)
    return engine, engine.facts()


def _check_gpus(devices: tuple[str, ...], facts: EngineFacts, dry_run: bool) -> None:
    missing = missing_gpu_support(devices, facts)
    if missing is None:
        return
    if not dry_run:
        raise LauncherError(missing, INSTALL_TOOLKIT)
    print(f"tao_deploy: note: {missing}; the command below would fail", file=sys.stderr)


def _choose_image(engine: Engine | None, facts: EngineFacts, manifest: Manifest, tag: str | None, dry_run: bool) -> str:
    """The image's reference; it is on this host afterwards, unless this is a dry run."""
    if tag is not None:
        return _local_image(engine, f"{manifest.image(facts.platform)}:{tag}", dry_run)
    platform = facts.platform
    if platform == "l4t" and "l4t" not in manifest.digests and "arm" in manifest.digests:
        platform = "arm"  # manifests older than the key
    reference = manifest.pinned(platform)
    if engine is not None and not engine.has_image(reference):
        if dry_run:
            print(f"tao_deploy: note: {reference} is not on this host and would be pulled first", file=sys.stderr)
        else:
            pull_image(engine, manifest.image(platform), manifest.digests[platform], manifest.registry)
    return reference


def _local_image(engine: Engine | None, reference: str, dry_run: bool) -> str:
    if engine is None or engine.has_image(reference):
        return reference
    repository = reference.rpartition(":")[0]
    tags = ", ".join(engine.local_tags(repository)) or "none"
    problem = LauncherError(
        f"there is no image {reference} on this host (tags of {repository} here: {tags})",
        "Build it:  docker/build.sh --build  (which tags it with your user name)\n"
        f"or fetch it:  docker pull {reference}",
    )
    if not dry_run:
        raise problem
    print(f"tao_deploy: note: {problem.message}", file=sys.stderr)
    return reference


def _account_mounts(account: accounts.Account | None, engine: Engine | None, image: str) -> list[Mount]:
    if account is None or account.uid == 0:
        return []
    passwd = group = ""
    if engine is not None and engine.has_image(image):
        passwd, group = engine.read_image_files(image, ["/etc/passwd", "/etc/group"])
    return accounts.write_account_files(account, passwd, group)
