# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""`--gpus`: what the user may ask for, and what Docker has to be told for it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tao_deploy.errors import LauncherError

_DEVICE = re.compile(r"\d+(:\d+)?|(GPU|MIG)-[0-9a-zA-Z/-]+")
_LAST_API_WITHOUT_DEVICE_REQUESTS = (1, 40)

INSTALL_TOOLKIT = """\
Install the NVIDIA driver and the NVIDIA Container Toolkit (package nvidia-container-toolkit), then:
  sudo nvidia-ctk runtime configure --runtime=docker && sudo systemctl restart docker
Check it by: docker run --rm --gpus all ubuntu nvidia-smi
Without a GPU: tao_deploy --gpus none"""


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """What the launcher needs to know of the Docker engine.

    Attributes:
        api_version: of the server, such as (1, 41).
        architecture: of the server, in Docker's spelling: amd64, arm64.
        tegra: the engine runs on a Jetson.
        nvidia_runtime: a runtime named `nvidia` is registered.
        nvidia_devices: device requests for NVIDIA GPUs can be served, as far as it can be known.
        rootless: the engine runs as the user; root in a container is that user outside.
    """

    api_version: tuple[int, int]
    architecture: str
    tegra: bool
    nvidia_runtime: bool
    nvidia_devices: bool
    rootless: bool = False

    @property
    def platform(self) -> str:
        """The manifest's word for the architecture; unknown ones count as x86."""
        if self.tegra:
            return "l4t"
        return "arm" if self.architecture in ("arm64", "aarch64") else "x86"


def parse_gpus(text: str) -> tuple[str, ...]:
    """Read `--gpus`; Docker's own form, `"device=0,1"`, means the same as `0,1`.

    Returns:
        ("all",), ("none",), or indices and UUIDs in the order given.

    Raises:
        LauncherError: a part is neither.
    """
    listed = text.strip("\"'")
    devices = tuple(part.strip() for part in listed.removeprefix("device=").split(","))
    if devices in (("all",), ("none",)):
        return devices
    for device in devices:
        if not _DEVICE.fullmatch(device):
            raise LauncherError(
                f"--gpus {text}: '{device}' is not a GPU",
                "Write all, none, indices like 0,1 or UUIDs like GPU-3a23c669-... (nvidia-smi -L lists them).",
            )
    return devices


def gpu_flags(devices: tuple[str, ...], engine: EngineFacts) -> tuple[list[str], dict[str, str]]:
    """What gives the container its GPUs.

    Device requests (`--gpus`) came with API 1.41's clients at the latest; older engines, and Jetson, whose libraries
    are mounted by the NVIDIA runtime only, take that runtime and variables.

    Returns:
        Flags of `docker run`, and variables of the container. `none` hides the GPUs also from an engine whose default
        runtime is NVIDIA's.
    """
    if devices == ("none",):
        return [], {"NVIDIA_VISIBLE_DEVICES": "void"}
    listed = ",".join(devices)
    if engine.tegra or engine.api_version <= _LAST_API_WITHOUT_DEVICE_REQUESTS:
        return ["--runtime=nvidia"], {"NVIDIA_VISIBLE_DEVICES": listed, "NVIDIA_DRIVER_CAPABILITIES": "all"}
    # The flag's value is a line of CSV: the quotes keep the list of devices together.
    return ["--gpus", "all" if devices == ("all",) else f'"device={listed}"'], {}


def missing_gpu_support(devices: tuple[str, ...], engine: EngineFacts) -> str | None:
    """Why the engine cannot serve these devices, in one line; None if it can."""
    if devices == ("none",):
        return None
    if engine.tegra or engine.api_version <= _LAST_API_WITHOUT_DEVICE_REQUESTS:
        return None if engine.nvidia_runtime else "Docker has no runtime 'nvidia' on this host"
    return None if engine.nvidia_devices else "Docker cannot give GPUs to containers on this host: no NVIDIA runtime"
