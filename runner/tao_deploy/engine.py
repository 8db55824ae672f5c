# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Questions to the Docker engine, through the docker SDK."""

from __future__ import annotations

import errno
import io
import os
import platform
import shutil
import socket
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tao_deploy.errors import LauncherError
from tao_deploy.gpus import EngineFacts

if TYPE_CHECKING:
    from docker import DockerClient

INSTALL_DOCKER = """\
Install Docker Engine 19.03 or newer: https://docs.docker.com/engine/install/
then let your user use it:  sudo usermod -aG docker $USER  and log in again."""
_START_DAEMON = "Start it:  sudo systemctl start docker\nand see why it stopped:  sudo journalctl -u docker"
_JOIN_GROUP = """\
Let your user use Docker:  sudo usermod -aG docker $USER
then log in again (or, in this shell only: newgrp docker)."""
_ENGINE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_TIMEOUT_SECONDS = 300  # a pull may be silent for minutes while a large layer is unpacked


def is_tegra() -> bool:
    """Whether this host is a Jetson."""
    return "tegra" in platform.release() or Path("/etc/nv_tegra_release").exists()


def connect() -> Engine:
    """Connect to the engine that the `docker` command would use: DOCKER_HOST, else its context.

    Raises:
        LauncherError: no docker command, no docker package, no daemon, or no permission; each says how to mend it.
    """
    if shutil.which("docker") is None:
        raise LauncherError("the command 'docker' was not found on this host", INSTALL_DOCKER)
    try:
        import docker.errors
        from docker.tls import TLSConfig

        import docker
    except ImportError as error:
        raise LauncherError(
            "the Python package 'docker' is missing", "Install it:  python3 -m pip install 'docker>=7'"
        ) from error
    url, tls = _endpoint()
    _probe(url)
    assert tls is None or isinstance(tls, TLSConfig | bool)
    try:
        client = docker.DockerClient(
            base_url=url,
            version="auto",
            tls=tls or False,
            timeout=_TIMEOUT_SECONDS,
            use_ssh_client=url.startswith("ssh:"),
        )
    except (docker.errors.DockerException, OSError) as error:
        raise LauncherError(f"the Docker engine at {url} does not answer: {error}", _START_DAEMON) from error
    return Engine(client, url)


def _endpoint() -> tuple[str, Any]:
    from docker.context import ContextAPI
    from docker.utils import kwargs_from_env

    if os.environ.get("DOCKER_HOST"):
        settings = kwargs_from_env()
        return settings["base_url"], settings.get("tls")
    name = os.environ.get("DOCKER_CONTEXT") or None
    context = ContextAPI.get_context(name)
    if context is None:
        raise LauncherError(f"there is no Docker context named '{name}'", "List the contexts:  docker context ls")
    url = context.Host or "unix:///var/run/docker.sock"
    return url.replace("http+unix://", "unix://"), context.TLSConfig


def _probe(url: str) -> None:
    """Open the socket once: the system's error says more than what the SDK makes of it."""
    if not url.startswith("unix://"):
        return
    path = url.removeprefix("unix://")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EPERM):
                raise LauncherError(f"no permission to use Docker's socket {path}", _JOIN_GROUP) from error
            raise LauncherError(
                f"the Docker daemon is not running: {path}: {os.strerror(error.errno or 0)}", _START_DAEMON
            ) from error


class Engine:
    """A connected engine. Every method raises LauncherError with the engine's own words if it refuses or fails."""

    def __init__(self, client: DockerClient, url: str) -> None:
        self.client = client
        self._url = url
        self._local = url.startswith("unix://")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        from docker.errors import DockerException
        from requests.exceptions import RequestException

        try:
            yield
        except (DockerException, RequestException) as error:
            reason = getattr(error, "explanation", None) or error
            raise LauncherError(f"the Docker engine at {self._url} answered: {reason}") from error

    def facts(self) -> EngineFacts:
        """Version, architecture and GPU support of the engine."""
        with self._explained():
            version, info = self.client.version(), self.client.info()
        major, minor = (int(part) for part in version["ApiVersion"].split(".")[:2])
        runtime = "nvidia" in (info.get("Runtimes") or {})
        devices = any("nvidia.com/gpu" in str(device) for device in info.get("DiscoveredDevices") or [])
        # The engine looks for the toolkit's hook on its own PATH; one on another machine cannot be looked into.
        hook = shutil.which("nvidia-container-runtime-hook", path=_ENGINE_PATH)
        return EngineFacts(
            api_version=(major, minor),
            architecture=version.get("Arch", ""),
            tegra=self._local and is_tegra(),
            nvidia_runtime=runtime,
            nvidia_devices=runtime or devices or hook is not None or not self._local,
            rootless=any("rootless" in option for option in info.get("SecurityOptions") or []),
        )

    def has_image(self, reference: str) -> bool:
        """Whether the image is present, so that no network is needed."""
        from docker.errors import ImageNotFound

        with self._explained():
            try:
                self.client.images.get(reference)
            except ImageNotFound:
                return False
        return True

    def local_tags(self, repository: str) -> list[str]:
        """Tags of a repository that are present, without the repository's name."""
        with self._explained():
            names = [tag for image in self.client.images.list(name=repository) for tag in image.tags]
        return sorted(name.rpartition(":")[2] for name in names)

    def read_image_files(self, reference: str, paths: list[str]) -> list[str]:
        """The text of files in an image; a file that the image lacks gives an empty text."""
        from docker.errors import NotFound

        texts = []
        with self._explained():
            container = self.client.api.create_container(reference, command=["true"])
            try:
                for path in paths:
                    try:
                        chunks, _ = self.client.api.get_archive(container, path)
                        texts.append(_single_file(b"".join(chunks)))
                    except NotFound:
                        texts.append("")
            finally:
                self.client.api.remove_container(container, force=True)
        return texts


def _single_file(archive: bytes) -> str:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            file = tar.extractfile(member) if member.isfile() else None
            if file is not None:
                return file.read().decode("utf-8", "replace")
    return ""
