# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""`default_specs`: every key of a network's spec with its default, as a YAML file to start from."""

from __future__ import annotations

import logging
from pathlib import Path

from nvidia_tao_deploy.files import write_atomic
from nvidia_tao_deploy.network import Network
from nvidia_tao_deploy.tasks.context import make_folder

logger = logging.getLogger(__name__)


def run(network: Network, folder: Path) -> Path:
    """Write <folder>/experiment.yaml; an existing file is replaced, with a warning. Raises as `make_folder` does."""
    from omegaconf import OmegaConf

    make_folder(folder)
    target = folder / "experiment.yaml"
    if target.exists():
        logger.warning("%s: replaced", target)
    write_atomic(target, OmegaConf.to_yaml(OmegaConf.structured(network.schema)))
    logger.info("Written: %s", target)
    return target
