# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""What a text in a spec stands for besides itself: ~, environment variables, ???, interpolations that lead nowhere."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from nvidia_tao_deploy.errors import SpecError
from nvidia_tao_deploy.spec.fields import MISSING

_SHELL_VARIABLE = re.compile(r"\$([A-Za-z_]\w*)/")
_NO_VARIABLE = re.compile(r"Environment variable '(\w+)' not found")
_NO_KEY = re.compile(r"Interpolation key '(\w+)' not found")
_NO_RESOLVER = re.compile(r"Unsupported interpolation type")


def meant(value: Any, where: str) -> Any:
    """The value with ~/ at the start of a text (or of the texts in a list) as the home folder, and without the items
    of a list that are left at ???.

    Raises:
        SpecError: a path begins with a shell's variable, $NAME/: nothing here replaces it, and a folder of that very
            name would be made.
    """
    if isinstance(value, list):
        return [meant(item, where) for item in value if item != MISSING]
    if not isinstance(value, str):
        return value
    if variable := _SHELL_VARIABLE.match(value):
        name = variable[1]
        raise SpecError(
            f"{where}: '{value}' begins with a shell's variable, which is not replaced here",
            hint=f"Write ${{oc.env:{name}}}{value[len(name) + 1 :]}",
        )
    return at_home(value)


def at_home(text: str) -> str:
    """~ and ~/... as a path in the home folder; other texts as they are."""
    return str(Path(text).expanduser()) if text == "~" or text.startswith("~/") else text


def interpolation_error(place: str, error: Exception) -> SpecError:
    """OmegaConf's error about ${...} in the words of a spec, with the way out."""
    first = str(error).splitlines()[0]
    if found := _NO_VARIABLE.search(first):
        name = found[1]
        return SpecError(
            f"{place}: the environment variable '{name}' is not set",
            hint=f"Export it, or give a value for that case: ${{oc.env:{name},VALUE}}",
        )
    name = found[1] if (found := _NO_KEY.search(first)) else ""
    if name and (name.isupper() or name in os.environ):
        return SpecError(
            f"{place}: {first}",
            hint=f"${{{name}}} is the value of a key of the spec; the environment variable is ${{oc.env:{name}}}",
        )
    return SpecError(
        f"{place}: {first}", "An environment variable is ${oc.env:NAME}" if _NO_RESOLVER.match(first) else None
    )
