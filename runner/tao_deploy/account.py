# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""`--run_as_user`: a user account inside the container for the caller.

A bare `--user UID:GID` leaves a user without a name and without a home folder. Here the container gets passwd and group
files that list the caller first and then whatever the image has, and an empty home folder in memory.
"""

from __future__ import annotations

import contextlib
import grp
import hashlib
import os
import pwd
import re
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tao_deploy.values import Mount


@dataclass(frozen=True, slots=True)
class Account:
    """A user of this host.

    Attributes:
        uid: user id.
        gid: id of the primary group.
        name: login name, with letters, digits, dot, dash and underscore only; `user` if the host knows none.
        groups: ids and names of all groups, the primary group first.
    """

    uid: int
    gid: int
    name: str
    groups: tuple[tuple[int, str], ...]

    @property
    def home(self) -> str:
        """Home folder in the container."""
        return "/root" if self.uid == 0 else f"/home/{self.name}"


ROOT = Account(0, 0, "root", ((0, "root"),))


def caller() -> Account:
    """The account that runs this process."""
    supplementary = sorted(set(os.getgroups()) - {os.getgid()})
    return _account(os.getuid(), os.getgid(), supplementary)


def account_from_text(user: str) -> Account | None:
    """The account for `UID` or `UID:GID`; None for a name, which only the image can resolve."""
    match = re.fullmatch(r"(\d+)(?::(\d+))?", user)
    if match is None:
        return None
    uid, gid = int(match[1]), int(match[2] or 0)
    return caller() if (uid, gid) == (os.getuid(), os.getgid()) else _account(uid, gid, [])


def _account(uid: int, gid: int, supplementary: list[int]) -> Account:
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = "user"
    return Account(uid, gid, _plain(name), tuple((group, _group_name(group)) for group in [gid, *supplementary]))


def _group_name(gid: int) -> str:
    try:
        return _plain(grp.getgrgid(gid).gr_name)
    except KeyError:
        return f"group{gid}"


def _plain(name: str) -> str:
    """Directory services allow names such as `CORP\\Jane Doe`, which neither files nor shells take well."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name).lstrip("-") or "user"


def passwd_text(account: Account, of_image: str) -> str:
    """A passwd file: the account, then the image's entries with other names."""
    own = f"{account.name}:x:{account.uid}:{account.gid}:{account.name}:{account.home}:/bin/bash"
    return _entries([own], of_image or "root:x:0:0:root:/root:/bin/sh")


def group_text(account: Account, of_image: str) -> str:
    """A group file: the account's groups, then the image's entries with other names."""
    own = [f"{name}:x:{gid}:{account.name}" for gid, name in account.groups]
    return _entries(own, of_image or "root:x:0:")


def _entries(own: list[str], of_image: str) -> str:
    names = {line.partition(":")[0] for line in own}
    others = [line for line in of_image.splitlines() if line and line.partition(":")[0] not in names]
    return "\n".join([*own, *others, ""])


def write_account_files(account: Account, image_passwd: str, image_group: str) -> list[Mount]:
    """Write the two files to the user's cache folder; equal content goes to the same place, so nothing piles up.

    Returns:
        Read-only mounts over `/etc/passwd` and `/etc/group`.
    """
    texts = {"passwd": passwd_text(account, image_passwd), "group": group_text(account, image_group)}
    key = hashlib.sha256("\0".join(texts.values()).encode()).hexdigest()[:16]
    folder = _cache_folder() / key
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        # Replaced in one step: another container may have the file mounted, another launcher may write it now.
        handle, temporary = tempfile.mkstemp(dir=folder)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(folder / name)
    return [Mount(folder / name, f"/etc/{name}", ("ro",)) for name in texts]


def _cache_folder() -> Path:
    try:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "tao_deploy" / "accounts"
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder.resolve()
    except (OSError, RuntimeError):  # read-only, or no home folder at all
        pass
    return _temporary_folder()


def _temporary_folder() -> Path:
    """A folder of this user alone, the same one each time: for accounts without a writable home folder on the host."""
    folder = Path(tempfile.gettempdir()) / f"tao_deploy-{os.getuid()}"
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    # Everyone may write to /tmp: what another user put there under this name must not be mounted.
    if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022:
        return folder
    return Path(tempfile.mkdtemp(prefix="tao_deploy-"))
