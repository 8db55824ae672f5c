# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Writing files so that a reader sees the old content or the new, never half of it."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import re
import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nvidia_tao_deploy.errors import SpecError, TaoDeployError

ANNOTATED_FOLDER, MATRIX_FILE, STATUS_FILE = "images_annotated", "confusion_matrix.png", "status.json"
"""Pictures that a run writes into its results folder, and the file by which such a folder is known."""

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
# What a file system without nameless files answers (NFS, older overlay file systems).
_NO_NAMELESS = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT)
# What a file system answers that cannot flush this kind of file, or folders (network shares): nothing is lost.
_NO_FLUSH = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)


def write_atomic(path: Path, content: bytes | str, durable: bool = True) -> None:
    """Write a file so that it appears at once and whole, or not at all; see `write_together`."""
    write_together({path: content}, durable)


def write_together(contents: Mapping[Path, bytes | str], durable: bool = True) -> None:
    """Write files that belong together: all are on disk before the first one takes its place. Folders are made.

    The new content has no name until it is complete (Linux's O_TMPFILE), so even a killed process leaves nothing. On
    any failure, a full disk or a signal included, the old files stay as they were. A symbolic link is followed.

    Args:
        contents: path -> content; text is written as UTF-8.
        durable: flush to the disk itself; False leaves that to the operating system, right for one of thousands of
            small results.

    Raises:
        TaoDeployError: a file cannot be written (says why).
    """
    staged: list[_Staged] = []
    try:
        for path, content in contents.items():
            try:
                target = path.resolve()
                if target.exists() and not target.is_file():
                    raise TaoDeployError(f"{path}: cannot be written: not a regular file.")
                target.parent.mkdir(parents=True, exist_ok=True)
                staged.append(_Staged(target))
                data = content.encode(errors="surrogateescape") if isinstance(content, str) else content
                staged[-1].fill(data, durable)
            except OSError as error:
                raise TaoDeployError(f"{path}: cannot be written: {reason(error)}.") from error
        for path, part in zip(contents, staged, strict=True):
            try:
                part.publish(durable)
            except OSError as error:
                raise TaoDeployError(f"{path}: cannot be written: {reason(error)}.") from error
    finally:
        for part in staged:
            part.drop()


def check_writable(path: Path, key: str) -> None:
    """Find out before long work that its result could not be written to `path`. Leaves nothing behind: folders that are
    missing are not made, and the file is not touched.

    Args:
        path: a file to be written later, by `write_together` or in a like way.
        key: spec key that names it, for messages.

    Raises:
        SpecError: it is a folder, or no regular file.
        TaoDeployError: the folder cannot be made or written to (says which, and why).
    """
    hint = f"Give {key} another file name, in a folder that can be written to."
    try:
        target = path.resolve()
        if target.exists() and not target.is_file():
            kind = "a folder" if target.is_dir() else "no regular file"
            raise SpecError(f"{key}: {path} is {kind}; expected a file name.", hint)
        there = next(folder for folder in target.parents if folder.exists())
        if not there.is_dir():
            raise TaoDeployError(f"{key}: {path}: cannot be written: {there} is not a folder.", hint)
        with tempfile.TemporaryFile(dir=there):  # permissions alone do not tell: read-only mounts, root
            pass
    except OSError as error:
        raise TaoDeployError(f"{key}: {path}: cannot be written: {reason(error)}.", hint) from error


class _Staged:
    """New content of `target`, on the same file system, not yet in its place."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._name: Path | None = None
        try:
            self._handle = os.open(target.parent, os.O_TMPFILE | os.O_WRONLY, 0o666)
        except OSError as error:
            if error.errno not in _NO_NAMELESS:
                raise
            name = self._free_name()
            self._handle = os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
            self._name = name

    def _free_name(self) -> Path:
        """Without the target's own name: with more behind it, a long one would be longer than a name may be."""
        return self._target.with_name(f".{secrets.token_hex(8)}.part")

    def fill(self, data: bytes, durable: bool) -> None:
        with open(self._handle, "wb", closefd=False) as file:
            file.write(data)
            file.flush()
            if durable:
                flush(file.fileno())

    def publish(self, durable: bool) -> None:
        if self._name is None:
            name = self._free_name()
            # linkat with AT_SYMLINK_FOLLOW, which Python uses only where a folder descriptor is given
            os.link(f"/proc/self/fd/{self._handle}", name, src_dir_fd=self._handle, follow_symlinks=True)
            self._name = name
        self._name.replace(self._target)
        self._name = None
        if durable:
            folder = os.open(self._target.parent, os.O_RDONLY)
            try:
                flush(folder)
            finally:
                os.close(folder)

    def drop(self) -> None:
        os.close(self._handle)
        if self._name is not None:
            self._name.unlink(missing_ok=True)


def flush(handle: int) -> None:
    """Have an open file or folder on the disk itself, where the file system can do that. Raises OSError."""
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_FLUSH:
            raise


def add_content(digest: hashlib._Hash, path: Path) -> None:
    """Feed a file's content to a digest, in pieces. Raises OSError."""
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)


def reason(error: OSError) -> str:
    """The operating system's words, with the way out when the disk is full."""
    text = error.strerror or str(error)
    return f"{text}; free some space on this disk and run again" if error.errno == errno.ENOSPC else text


def to_json(value: Any, indent: int | None = None) -> str:
    """JSON that every reader accepts: NaN and infinities become null, numpy numbers become numbers, and the parts of a
    file name that are no text become U+FFFD."""
    return json.dumps(_plain(value), indent=indent, allow_nan=False, ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {_text(str(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int)):
        return value
    if hasattr(value, "tolist"):  # numpy scalars and arrays
        return _plain(value.tolist())
    return _text(str(value))


def visible(text: str) -> str:
    """Text as a terminal may get it: control characters other than line feed and tab are written as \\x1b and so on.
    The name of a file may hold any, those that clear the screen or rewrite lines above it included."""
    return _CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def _text(value: str) -> str:
    """Without lone surrogates, Python's stand-ins for bytes that are not UTF-8: no encoding can hold those."""
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
