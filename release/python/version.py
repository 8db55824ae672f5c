# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""The one place where the version of both packages is written."""

MAJOR = "1"
MINOR = "0"
PATCH = "0"
PRE_RELEASE = ""

__version__ = f"{MAJOR}.{MINOR}.{PATCH}{PRE_RELEASE}"
__package_name__ = "nvidia-tao-deploy"
