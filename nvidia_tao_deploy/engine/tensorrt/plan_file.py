# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""What the first bytes of an engine file say, read without TensorRT.

NVIDIA does not document the layout. It was read off plans of TensorRT 8.5.3 and of TensorRT RTX 1.7; what is not
understood (another version's plan) is left to TensorRT itself.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

TENSORRT_MAGICS = (b"ptrt", b"ftrt")
RTX_MAGIC = b"vtrt"
MINIMUM_BYTES = 64
_TENSORRT_HEAD = struct.Struct("<4s12xQ")  # magic, (not understood), bytes that follow
_RTX_HEAD = struct.Struct("<4s12xQ4B")  # magic, (not understood), bytes in all, version
_VERSION = re.compile(rb"\x02\x80\x01\x00(.)\x02\x80\x01\x00(.)\x02\x80\x01\x00(.)\x02\x80\x01\x00(.)", re.DOTALL)
"""Four tagged bytes in a row, right behind the head of a TensorRT plan."""


@dataclass(frozen=True, slots=True)
class Header:
    """Head of a plan.

    Attributes:
        total_bytes: size that the whole file must have at least.
        version: of the TensorRT that built it, for example "8.5.3.1"; None where the layout is not known.
    """

    total_bytes: int
    version: str | None


def is_tensorrt(head: bytes) -> bool:
    """Whether a file that starts so is a TensorRT plan."""
    return head[:4] in TENSORRT_MAGICS


def is_rtx(head: bytes) -> bool:
    """Whether a file that starts so is a TensorRT RTX plan."""
    return head[:4] == RTX_MAGIC


def header(blob: bytes) -> Header | None:
    """The head of a plan; None when there is not enough of it, or it is none."""
    if len(blob) < MINIMUM_BYTES:
        return None
    if is_rtx(blob):
        _, total, *numbers = _RTX_HEAD.unpack_from(blob)
        return Header(total, ".".join(map(str, numbers)))
    if is_tensorrt(blob):
        found = _VERSION.match(blob, _TENSORRT_HEAD.size)
        if found is None:
            return Header(len(blob), None)
        _, following = _TENSORRT_HEAD.unpack_from(blob)
        version = ".".join(str(part[0]) for part in found.groups())
        return Header(_TENSORRT_HEAD.size + following, version)
    return None
