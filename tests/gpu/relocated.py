# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Imported for what it does: a relocated Python may have lost its packages' own tests, from which numpy.testing imports
a name."""

from __future__ import annotations

import sys
import types

try:
    import numpy.testing  # noqa: F401
except ModuleNotFoundError:
    for name in ("numpy._core.tests", "numpy._core.tests._natype"):
        sys.modules[name] = types.ModuleType(name)
    sys.modules["numpy._core.tests._natype"].pd_NA = object()  # type: ignore[attr-defined]
