# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Writing files so that a reader sees the old content or the new, never half of it."""

from __future__ import annotations

import errno
import json
import math
import os
import tempfile
from pathlib import Path
from typing import Any

from nvidia_tao_deploy.errors import TaoDeployError


def write_atomic(path: Path, content: bytes | str, durable: bool = True) -> None:
    """Write beside `path`, flush to disk, then rename onto it. The folder is made.

    With `durable` false the flush is left to the operating system: right for one of thousands of small results.

    On any failure, a full disk or a signal included, the old file stays as it was and nothing else is left.

    Raises:
        TaoDeployError: the file cannot be written (says why).
    """
    data = content.encode() if isinstance(content, str) else content
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), 0o666 & ~_umask())  # mkstemp makes files private
            file.write(data)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        Path(temporary).replace(path)
        temporary = None
    except OSError as error:
        raise TaoDeployError(f"{path}: cannot be written: {reason(error)}.") from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def reason(error: OSError) -> str:
    """The operating system's words, with the amount free when the disk is full."""
    text = error.strerror or str(error)
    return f"{text}; free some space on this disk and run again" if error.errno == errno.ENOSPC else text


def _umask() -> int:
    current = os.umask(0o022)
    os.umask(current)
    return current


def to_json(value: Any, indent: int | None = None) -> str:
    """JSON that every reader accepts: NaN and infinities become null, numpy numbers become numbers."""
    return json.dumps(_plain(value), indent=indent, allow_nan=False, ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if hasattr(value, "tolist"):  # numpy scalars and arrays
        return _plain(value.tolist())
    return str(value)
