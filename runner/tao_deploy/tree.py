# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Finds the source tree that the container mounts."""

from __future__ import annotations

import os
from pathlib import Path

from tao_deploy.errors import LauncherError

MANIFEST = Path("docker") / "manifest.json"
VARIABLE = "NV_TAO_DEPLOY_TOP"


def find_tree(cwd: Path) -> Path:
    """The folder that holds `docker/manifest.json`.

    It is the one that NV_TAO_DEPLOY_TOP names; without the variable `cwd` or the nearest of its parents; otherwise the
    tree that this package lies in.

    Raises:
        LauncherError: there is none.
    """
    named = os.environ.get(VARIABLE)
    if named:
        top = Path(named).expanduser().resolve()
        if not (top / MANIFEST).is_file():
            raise LauncherError(
                f"{VARIABLE} is {named}, but {top / MANIFEST} does not exist",
                f"Source scripts/envsetup.sh of your TAO Deploy tree, or unset {VARIABLE}.",
            )
        return top
    here = Path(__file__).resolve()
    for folder in (cwd, *cwd.parents, *here.parents):
        if (folder / MANIFEST).is_file():
            return folder.resolve()
    raise LauncherError(
        f"no TAO Deploy source tree here: {MANIFEST} found neither in {cwd} nor in a folder above it",
        f"Change into the tree, or set {VARIABLE} by: source <tree>/scripts/envsetup.sh",
    )
