# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""One line per requirement of the host, with its fix: `python3 -m tao_deploy.host_checks`, used by envsetup.sh."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from tao_deploy.engine import connect
from tao_deploy.errors import LauncherError
from tao_deploy.manifest import read_manifest
from tao_deploy.tree import find_tree


def check_python() -> str:
    """The docker package; envsetup.sh has checked the version of Python already."""
    try:
        import docker
    except ImportError as error:
        raise LauncherError("package 'docker' is missing", "python3 -m pip install 'docker>=7'") from error
    return f"Python {sys.version_info.major}.{sys.version_info.minor}, package docker {docker.__version__}"


def check_docker() -> str:
    """The engine answers this user."""
    try:
        version = connect().client.version()
    except LauncherError as error:
        raise LauncherError(error.message, error.hint.splitlines()[0] if error.hint else "") from error
    return f"Docker engine {version['Version']} (API {version['ApiVersion']})"


def check_group() -> str:
    """The user may use Docker without sudo, now and in new shells."""
    if os.getuid() == 0:
        return "root needs no group"
    if sys.platform == "darwin":
        return "not needed on macOS"
    import grp

    try:
        group = grp.getgrnam("docker")
    except KeyError as error:
        raise LauncherError(
            "there is no group 'docker'", "install Docker; or ignore this with rootless Docker"
        ) from error
    if group.gr_gid in (*os.getgroups(), os.getgid()):
        return "you are in the group docker"
    raise LauncherError("you are not in the group 'docker'", "sudo usermod -aG docker $USER, then log in again")


def check_gpu() -> str:
    """NVIDIA's driver and container toolkit."""
    if shutil.which("nvidia-ctk") is None and shutil.which("nvidia-container-runtime-hook") is None:
        raise LauncherError(
            "the NVIDIA Container Toolkit was not found",
            "install nvidia-container-toolkit, then: sudo nvidia-ctk runtime configure --runtime=docker"
            " (without a GPU: tao_deploy --gpus none)",
        )
    if shutil.which("nvidia-smi") is None and not Path("/etc/nv_tegra_release").exists():
        raise LauncherError("the NVIDIA driver was not found (no nvidia-smi)", "install the NVIDIA driver")
    return "NVIDIA driver and container toolkit"


def check_login() -> str:
    """Log-in data for the manifest's registry."""
    registry = read_manifest(find_tree(Path.cwd())).registry
    file = Path(os.environ.get("DOCKER_CONFIG") or "~/.docker").expanduser() / "config.json"
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        config = {}
    except ValueError as error:
        raise LauncherError(f"{file} is not JSON: {error}", f"docker login {registry}") from error
    known = {*config.get("auths", {}), *config.get("credHelpers", {})}
    if registry in known or f"https://{registry}" in known:
        return f"logged in to {registry}"
    if registry.partition(":")[0] in ("localhost", "127.0.0.1"):
        return f"{registry} is on this host"
    user = " (user $oauthtoken, password: NGC API key)" if registry == "nvcr.io" else ""
    raise LauncherError(f"not logged in to {registry}", f"docker login {registry}{user}")


CHECKS: dict[str, Callable[[], str]] = {
    "Python": check_python,
    "Docker": check_docker,
    "group": check_group,
    "GPU": check_gpu,
    "registry": check_login,
}


def run_checks() -> list[str]:
    """The report: `ok` lines, and `--` lines that end in the fix."""
    lines = []
    for name, check in CHECKS.items():
        try:
            lines.append(f"  ok  {name:<9} {check()}")
        except LauncherError as error:
            fix = f". Fix: {' '.join(error.hint.split())}" if error.hint else ""
            lines.append(f"  --  {name:<9} {error.message}{fix}")
    return lines


if __name__ == "__main__":
    print("\n".join(run_checks()))
