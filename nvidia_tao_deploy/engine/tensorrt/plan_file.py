# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""What the first bytes of an engine file say, read without TensorRT.

Found by looking at plans of TensorRT 8.5.3 and of TensorRT RTX 1.7; NVIDIA documents the header size only.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

TENSORRT_MAGICS = (b"ptrt", b"ftrt")
RTX_MAGIC = b"vtrt"
_RTX_HEADER = struct.Struct("<4s12xQ4B")  # magic, (not understood), bytes in all, version
MINIMUM_BYTES = 64


@dataclass(frozen=True, slots=True)
class RtxHeader:
    """Head of a TensorRT RTX plan: size of the whole file, and version as four numbers joined by dots."""

    total_bytes: int
    version: str


def is_tensorrt(head: bytes) -> bool:
    """Whether a file that starts so is a TensorRT plan."""
    return head[:4] in TENSORRT_MAGICS


def is_rtx(head: bytes) -> bool:
    """Whether a file that starts so is a TensorRT RTX plan."""
    return head[:4] == RTX_MAGIC


def rtx_header(blob: bytes) -> RtxHeader | None:
    """The head of an RTX plan; None when there is not enough of it."""
    if not is_rtx(blob) or len(blob) < MINIMUM_BYTES:
        return None
    _, total, *version = _RTX_HEADER.unpack_from(blob)
    return RtxHeader(total, ".".join(map(str, version)))
