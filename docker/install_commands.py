#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Gives the base image one command per network, which runs the code of the mounted source tree.

usage: install_commands.py REGISTRY_PY FOLDER

The package itself is not installed in the base image, so its console scripts are not there. Each command is the same
line, `python3 -m nvidia_tao_deploy NAME ...`, and finds the package by PYTHONPATH.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

SCRIPT = '#!/bin/sh\nexec python3 -m nvidia_tao_deploy {name} "$@"\n'


def install(registry: Path, folder: Path) -> int:
    """Write the commands; returns their number."""
    names = sorted(runpy.run_path(str(registry))["NETWORKS"])
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        script = folder / name
        script.write_text(SCRIPT.format(name=name), encoding="utf-8")
        script.chmod(0o755)
    return len(names)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    count = install(Path(sys.argv[1]), Path(sys.argv[2]))
    print(f"install_commands: {count} commands in {sys.argv[2]}")
