# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Version of the installed package, or of the source tree it runs from."""

from __future__ import annotations


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("nvidia-tao-deploy")
    except PackageNotFoundError:
        return "0+source"


__version__ = _version()
