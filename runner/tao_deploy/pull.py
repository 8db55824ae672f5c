# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Pulls an image with a progress bar on a terminal, and with plain lines elsewhere."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from tao_deploy.engine import Engine
from tao_deploy.errors import LauncherError

_DONE = ("Pull complete", "Already exists")


class Layers:
    """What a pull's messages add up to.

    Attributes:
        known: layers seen so far.
        done: layers that are complete.
        current: bytes downloaded.
        total: bytes to download, of the layers whose size is known.
    """

    def __init__(self) -> None:
        self._bytes: dict[str, tuple[int, int]] = {}
        self._done: set[str] = set()
        self._known: set[str] = set()

    def update(self, message: dict[str, Any]) -> None:
        """Take in one message of the engine."""
        layer, status = message.get("id"), message.get("status", "")
        if layer is None or status.startswith("Pulling from"):
            return
        self._known.add(layer)
        detail = message.get("progressDetail") or {}
        if status == "Downloading" and detail.get("total"):
            self._bytes[layer] = (detail["current"], detail["total"])
        elif layer in self._bytes:  # any later status: the download is over
            self._bytes[layer] = (self._bytes[layer][1], self._bytes[layer][1])
        if status in _DONE:
            self._done.add(layer)

    @property
    def known(self) -> int:
        return len(self._known)

    @property
    def done(self) -> int:
        return len(self._done)

    @property
    def current(self) -> int:
        return sum(current for current, _ in self._bytes.values())

    @property
    def total(self) -> int:
        return sum(total for _, total in self._bytes.values())


def pull_image(engine: Engine, image: str, digest: str, registry: str) -> None:
    """Pull `image@digest`.

    Args:
        image: registry and repository.
        registry: for the messages.

    Raises:
        LauncherError: the registry refuses, does not know the image, or cannot be reached.
    """
    print(f"Image {image}@{digest} is not on this host: pulling it.", file=sys.stderr)
    try:
        _show(_messages(engine, image, digest))
    except LauncherError as error:
        raise _explained(str(error), image, digest, registry) from error


def _messages(engine: Engine, image: str, digest: str) -> Iterator[dict[str, Any]]:
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    try:
        for message in engine.client.api.pull(image, tag=digest, stream=True, decode=True):
            if "error" in message:
                raise LauncherError(str(message["error"]))
            yield message
    except (DockerException, RequestException) as error:
        raise LauncherError(str(getattr(error, "explanation", None) or error)) from error


def _show(messages: Iterable[dict[str, Any]]) -> None:
    layers = Layers()
    # rich comes with the full installation; the launcher alone, from the source tree, does without.
    if sys.stderr.isatty() and importlib.util.find_spec("rich"):
        _show_bar(messages, layers)
    else:
        for message in messages:
            layers.update(message)
    print(f"Pulled {layers.done} layers, {layers.total / 1e6:.1f} MB.", file=sys.stderr)


def _show_bar(messages: Iterable[dict[str, Any]], layers: Layers) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (
        TextColumn("{task.fields[layers]}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("pull", total=None, layers="")
        for message in messages:
            layers.update(message)
            progress.update(
                task,
                completed=layers.current,
                total=layers.total or None,
                layers=f"{layers.done}/{layers.known} layers",
            )


def _explained(reason: str, image: str, digest: str, registry: str) -> LauncherError:
    low = reason.lower()
    if any(word in low for word in ("unauthorized", "denied", "authentication", "no basic auth", "forbidden")):
        return LauncherError(f"{registry} refuses to hand out {image}: {reason}", _login_hint(registry))
    if any(word in low for word in ("manifest unknown", "not found", "manifest for", "does not exist", "no such")):
        return LauncherError(
            f"{registry} does not have {image}@{digest}: {reason}",
            "docker/manifest.json names an image that was never pushed or was deleted. Update the tree, or build and\n"
            "push the image anew (docker/build.sh --build --push), or use a local one (tao_deploy --tag TAG).",
        )
    return LauncherError(
        f"cannot pull {image}@{digest}: {reason}",
        f"Is {registry} reachable from this host? Check the network and the proxy settings of the Docker daemon.\n"
        "A local image starts without it: tao_deploy --tag TAG",
    )


def _login_hint(registry: str) -> str:
    if registry == "nvcr.io":
        return "Log in:  docker login nvcr.io\nuser name: $oauthtoken, password: your NGC API key."
    return f"Log in:  docker login {registry}"
