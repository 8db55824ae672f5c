# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""`docker/manifest.json`: which image the launcher starts, per platform. Also a small command for the build scripts:

python3 -m tao_deploy.manifest registry            the registry
python3 -m tao_deploy.manifest image x86           registry/repository of the base image for a platform
python3 -m tao_deploy.manifest pinned x86          the same with its digest
python3 -m tao_deploy.manifest release             registry/repository of the release image
python3 -m tao_deploy.manifest pin DIGEST x86 arm  write a digest for platforms, print the difference
"""

from __future__ import annotations

import difflib
import json
import os
import re
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tao_deploy.errors import EXIT_CODE, LauncherError
from tao_deploy.tree import MANIFEST, find_tree

PLATFORMS = ("x86", "arm", "l4t")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Manifest:
    """The parsed file.

    Attributes:
        path: the file.
        registry: host and optional port.
        repository: the image's path in the registry, for x86 and arm.
        repository_l4t: the same for Jetson; equal to `repository` if the file has none.
        repository_release: the release image's path; None if the file has none.
        digests: platform to digest; platforms without one are absent.
    """

    path: Path
    registry: str
    repository: str
    repository_l4t: str
    repository_release: str | None
    digests: dict[str, str]

    def image(self, platform: str) -> str:
        """`registry/repository` of a platform, without tag or digest."""
        return f"{self.registry}/{self.repository_l4t if platform == 'l4t' else self.repository}"

    def pinned(self, platform: str) -> str:
        """`registry/repository@digest` of a platform.

        Raises:
            LauncherError: the file has no digest for it.
        """
        digest = self.digests.get(platform)
        if digest is None:
            there = f"it has one for {', '.join(self.digests)}" if self.digests else "it has none at all"
            raise LauncherError(
                f"{self.path} has no image digest for the platform {platform}; {there}",
                "Build the image here:  docker/build.sh --build\nand start it by its tag:  tao_deploy --tag $USER",
            )
        return f"{self.image(platform)}@{digest}"


def read_manifest(top: Path) -> Manifest:
    """Read `docker/manifest.json` of a source tree, with `digests` per platform or the older single `digest`.

    Raises:
        LauncherError: the file is not such a manifest; the message names the key.
    """
    path = top / MANIFEST
    content = _load(path)
    registry, repository = (_text(content, key, path) for key in ("registry", "repository"))
    digests = content.get("digests", {})
    if "digest" in content and "digests" not in content:
        digests = dict.fromkeys(("x86", "arm"), content["digest"])
    if not isinstance(digests, dict):
        raise LauncherError(f'{path}: digests: expected an object, like {{"x86": "sha256:..."}}')
    return Manifest(
        path=path,
        registry=registry,
        repository=repository,
        repository_l4t=_text(content, "repository_l4t", path) if "repository_l4t" in content else repository,
        repository_release=_text(content, "repository_release", path) if "repository_release" in content else None,
        digests={name: _digest(value, f"{path}: digest of {name}") for name, value in digests.items() if value},
    )


def pin_digest(top: Path, digest: str, platforms: list[str]) -> str:
    """Write a digest into the manifest, in one step.

    Returns:
        The difference as a unified diff; empty if the file said so already.

    Raises:
        LauncherError: a platform or the digest is malformed, or the manifest cannot be read.
    """
    path = top / MANIFEST
    _digest(digest, "digest")
    for platform in platforms:
        if platform not in PLATFORMS:
            raise LauncherError(f"unknown platform '{platform}'", f"Known platforms: {', '.join(PLATFORMS)}.")
    content = _load(path)
    digests = dict.fromkeys(("x86", "arm"), content.pop("digest")) if "digest" in content else {}
    content["digests"] = {**digests, **content.get("digests", {}), **dict.fromkeys(platforms, digest)}
    before, after = path.read_text(encoding="utf-8"), json.dumps(content, indent=2) + "\n"
    _replace(path, after)
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), f"a/{MANIFEST}", f"b/{MANIFEST}"
    )
    return "".join(lines)


def _load(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise LauncherError(f"cannot read {path}: {error}", "Restore it, for example from version control.") from error
    if not isinstance(content, dict):
        raise LauncherError(f"{path}: expected an object with registry, repository and digests")
    return content


def _text(content: dict[str, Any], key: str, path: Path) -> str:
    value = content.get(key)
    if not isinstance(value, str) or not value:
        raise LauncherError(f"{path}: {key}: expected a text, found {json.dumps(value)}")
    return value


def _digest(value: Any, origin: str) -> str:
    if not isinstance(value, str) or not _DIGEST.fullmatch(value):
        raise LauncherError(
            f"{origin}: '{value}' is not a digest", "Expected sha256: and 64 hexadecimal digits, as a push prints it."
        )
    return value


def _replace(path: Path, text: str) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(path.stat().st_mode & 0o777)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _release(manifest: Manifest) -> str:
    if manifest.repository_release is None:
        raise LauncherError(f"{manifest.path} has no repository_release", "Add it, or name the image: --image IMAGE")
    return f"{manifest.registry}/{manifest.repository_release}"


def _command(arguments: list[str]) -> str:
    top = find_tree(Path.cwd())
    match arguments:
        case ["registry"]:
            return read_manifest(top).registry + "\n"
        case ["image", platform] if platform in PLATFORMS:
            return read_manifest(top).image(platform) + "\n"
        case ["pinned", platform] if platform in PLATFORMS:
            return read_manifest(top).pinned(platform) + "\n"
        case ["release"]:
            return _release(read_manifest(top)) + "\n"
        case ["pin", digest, *platforms] if platforms:
            return pin_digest(top, digest, platforms)
    raise LauncherError(f"manifest: cannot do '{' '.join(arguments)}'", (__doc__ or "").partition("\n\n")[2])


if __name__ == "__main__":
    try:
        sys.stdout.write(_command(sys.argv[1:]))
    except LauncherError as failure:
        print(f"error: {failure}", file=sys.stderr)
        sys.exit(EXIT_CODE)
