# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Where results go: <task>.results_dir, else a folder below the top results_dir."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nvidia_tao_deploy.spec.sections import detach

if TYPE_CHECKING:
    from omegaconf import DictConfig

FOLDERS = {"gen_trt_engine": "gen_trt_engine", "evaluate": "trt_evaluate", "inference": "trt_inference"}
"""Sub-folder of the top results_dir per subtask, named as in TAO."""

TRAINING_FOLDERS = {"train": "train", "export": "export"}
"""The same of tasks that TAO's training side runs; specs point to what those wrote."""


def settle(config: DictConfig) -> None:
    """Set the results_dir of every section that has none, so that ${gen_trt_engine.results_dir} and
    ${export.results_dir} mean the folder that the rule gives."""
    from omegaconf import DictConfig, OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        top = OmegaConf.select(config, "results_dir", throw_on_missing=False)
    except OmegaConfBaseException:  # an interpolation that leads nowhere: reported where the value is read
        return
    if not top:
        return
    folders = {name: folder for name, folder in {**FOLDERS, **TRAINING_FOLDERS}.items() if name in config}
    for name in folders:
        detach(config, name)
    for name, folder in folders.items():
        if OmegaConf.is_missing(config, name) or OmegaConf.is_interpolation(config, name):
            continue
        section = config[name]
        if not isinstance(section, DictConfig) or OmegaConf.is_interpolation(section, "results_dir"):
            continue
        if OmegaConf.is_missing(section, "results_dir") or not section.get("results_dir"):
            section["results_dir"] = str(Path(top) / folder)
