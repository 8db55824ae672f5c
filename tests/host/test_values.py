# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Volumes, GPUs, accounts and the manifest as values, where no container is needed to see what is right."""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tao_deploy.account import Account, caller, group_text, passwd_text, write_account_files
from tao_deploy.command import Terminal, docker_command
from tao_deploy.errors import LauncherError
from tao_deploy.gpus import EngineFacts, gpu_flags, missing_gpu_support, parse_gpus
from tao_deploy.launch import _choose_account
from tao_deploy.manifest import pin_digest, read_manifest
from tao_deploy.settings import Settings
from tao_deploy.values import Mount, parse_volume

DIGEST, OTHER = "sha256:" + "12" * 32, "sha256:" + "34" * 32


def facts(
    api: tuple[int, int] = (1, 41),
    architecture: str = "amd64",
    tegra: bool = False,
    runtime: bool = True,
    devices: bool = True,
) -> EngineFacts:
    return EngineFacts(api, architecture, tegra, runtime, devices)


@pytest.mark.parametrize(
    ("text", "source", "destination", "modes"),
    [
        ("{}:/data", "", "/data", ()),
        ("{}/:/data/", "", "/data", ()),
        ("{}:/data:ro", "", "/data", ("ro",)),
        ("{}:/data:ro,z", "", "/data", ("ro", "z")),
        ("{}/a:b:/data:rw", "a:b", "/data", ("rw",)),
        ("{}/a:b:/data", "a:b", "/data", ()),
    ],
)
def test_volume(tmp_path: Path, text: str, source: str, destination: str, modes: tuple[str, ...]) -> None:
    (tmp_path / "a:b").mkdir()
    assert parse_volume(text.format(tmp_path), Path("/")) == Mount(tmp_path / source, destination, modes)


def test_volume_of_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert parse_volume("~:/data", Path("/")) == Mount(tmp_path, "/data")


@pytest.mark.parametrize("text", ["all", "none", "0", "0,1", "3, 5", "GPU-3a23c669-1f69-c64e-cf85-44e9b07e7a2a", "0:1"])
def test_gpus(text: str) -> None:
    assert parse_gpus(text) == tuple(part.strip() for part in text.split(","))


@pytest.mark.parametrize("text", ["device=0,1", '"device=0,1"', "'\"device=0,1\"'"])
def test_gpus_in_docker_s_form(text: str) -> None:
    assert parse_gpus(text) == ("0", "1")


@pytest.mark.parametrize(
    "text", ["", "device=", "device=all0", "0,device=1", "ALL", "all,0", "none,none", "-1", "0;1", "gpu0", "$(id)"]
)
def test_wrong_gpus(text: str) -> None:
    with pytest.raises(LauncherError, match="is not a GPU"):
        parse_gpus(text)


@pytest.mark.parametrize(
    ("engine", "devices", "flags", "envs"),
    [
        (facts(), ("all",), ["--gpus", "all"], {}),
        (facts(), ("0", "1"), ["--gpus", '"device=0,1"'], {}),
        (facts(), ("none",), [], {"NVIDIA_VISIBLE_DEVICES": "void"}),
        (facts((1, 100)), ("all",), ["--gpus", "all"], {}),
        *(
            (engine, devices, ["--runtime=nvidia"], {"NVIDIA_VISIBLE_DEVICES": listed, **capabilities})
            for engine in (facts((1, 40)), facts((1, 9)), facts(tegra=True))
            for devices, listed in ((("all",), "all"), (("0", "GPU-1"), "0,GPU-1"))
            for capabilities in ({"NVIDIA_DRIVER_CAPABILITIES": "all"},)
        ),
        (facts((1, 40)), ("none",), [], {"NVIDIA_VISIBLE_DEVICES": "void"}),
    ],
)
def test_gpu_flags(engine: EngineFacts, devices: tuple[str, ...], flags: list[str], envs: dict[str, str]) -> None:
    assert gpu_flags(devices, engine) == (flags, envs)


@pytest.mark.parametrize(
    ("engine", "works"),
    [
        (facts(runtime=False), True),
        (facts(devices=False), False),
        (facts((1, 40), runtime=False), False),
        (facts(tegra=True, runtime=False), False),
        (facts(tegra=True), True),
    ],
)
def test_gpu_support(engine: EngineFacts, works: bool) -> None:
    assert (missing_gpu_support(("all",), engine) is None) == works
    assert missing_gpu_support(("none",), engine) is None


@pytest.mark.parametrize(
    ("engine", "platform"),
    [
        (facts(), "x86"),
        (facts(architecture="arm64"), "arm"),
        (facts(architecture="arm64", tegra=True), "l4t"),
        (facts(architecture="riscv64"), "x86"),
    ],
)
def test_platform(engine: EngineFacts, platform: str) -> None:
    assert engine.platform == platform


def test_run_as_user_of_a_rootless_engine() -> None:
    """There, root in the container is the caller outside; any other id would be a stranger."""
    rootless = dataclasses.replace(facts(), rootless=True)
    account = _choose_account(True, None, rootless)
    assert account is not None and account.uid == 0
    assert _choose_account(True, None, facts()) == caller()
    assert _choose_account(False, None, rootless) is None


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files of an account whose cache folder cannot be made."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file" / "cache"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_accounts_without_a_home_folder_leave_one_folder_behind(temporary: Path) -> None:
    account = Account(1000, 100, "jane", ((100, "users"),))
    first = write_account_files(account, "", "")
    assert write_account_files(account, "", "") == first
    (folder,) = temporary.glob("tao_deploy-*")
    assert folder.name == f"tao_deploy-{os.getuid()}" and folder.stat().st_mode & 0o777 == 0o700
    assert all(mount.source.is_relative_to(folder) and mount.source.stat().st_mode & 0o777 == 0o644 for mount in first)


@pytest.mark.parametrize("trap", ["file", "link", "writable by all", "of another user"])
def test_a_temporary_folder_that_others_can_change_is_not_used(
    temporary: Path, monkeypatch: pytest.MonkeyPatch, trap: str
) -> None:
    uid = os.getuid()
    if trap == "of another user":
        monkeypatch.setattr(os, "getuid", lambda: uid + 1)
    folder, elsewhere = temporary / f"tao_deploy-{os.getuid()}", temporary / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    if trap == "file":
        folder.touch()
    elif trap == "link":
        folder.symlink_to(elsewhere)
    else:
        folder.mkdir()
        folder.chmod(0o777 if trap == "writable by all" else 0o700)
    mounts = write_account_files(Account(1000, 100, "jane", ((100, "users"),)), "", "")
    assert trap == "file" or not list(folder.iterdir())
    assert all(mount.source.is_file() and not mount.source.is_relative_to(folder) for mount in mounts)


def test_account_files() -> None:
    account = Account(1000, 100, "jane", ((100, "users"), (44, "video")))
    image = "root:x:0:0:root:/root:/bin/bash\nubuntu:x:1000:1000::/home/ubuntu:/bin/sh\njane:x:7:7::/:/bin/false\n"
    lines = passwd_text(account, image).splitlines()
    assert lines[0].split(":") == ["jane", "x", "1000", "100", "jane", "/home/jane", "/bin/bash"]
    assert [line.split(":")[0] for line in lines] == ["jane", "root", "ubuntu"]
    groups = group_text(account, "root:x:0:\nvideo:x:39:\nplugdev:x:46:ubuntu\n").splitlines()
    assert groups == ["users:x:100:jane", "video:x:44:jane", "root:x:0:", "plugdev:x:46:ubuntu"]
    assert passwd_text(account, "").splitlines()[1].startswith("root:")


def command_for(mount: Mount | None = None, words: list[str] | None = None) -> list[str]:
    return docker_command(
        tree=Path("/tree"),
        image="r/i@d",
        settings=Settings(mounts={mount.destination: mount} if mount else {}),
        gpu_flags=[],
        gpu_envs={},
        account=None,
        account_mounts=[],
        terminal=Terminal(stdin=False, tty=False),
        command=words or [],
    )


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))))
def test_command_survives_the_shell(words: list[str]) -> None:
    command = command_for(words=words)
    assert shlex.split(shlex.join(command)) == command
    assert command[len(command) - len(words) :] == words
    assert command[len(command) - len(words) - 1] == "r/i@d"


def test_tree_can_be_replaced_by_a_mount() -> None:
    command = command_for(Mount(Path("/mine"), "/workspace/tao-deploy"))
    assert "/mine:/workspace/tao-deploy" in command and "/tree:/workspace/tao-deploy" not in command


def manifest(folder: Path, **content: object) -> Path:
    (folder / "docker").mkdir()
    text = json.dumps({"registry": "r.example:5000", "repository": "tao/base", **content}, indent=2)
    (folder / "docker" / "manifest.json").write_text(text)
    return folder


def test_manifest_per_platform(tmp_path: Path) -> None:
    found = read_manifest(manifest(tmp_path, digests={"x86": DIGEST, "arm": OTHER}))
    assert found.pinned("x86") == f"r.example:5000/tao/base@{DIGEST}"
    assert found.pinned("arm") == f"r.example:5000/tao/base@{OTHER}"


def test_manifest_of_older_trees(tmp_path: Path) -> None:
    found = read_manifest(manifest(tmp_path, digest=DIGEST))
    assert found.pinned("x86") == found.pinned("arm") == f"r.example:5000/tao/base@{DIGEST}"


def test_manifest_without_the_platform(tmp_path: Path) -> None:
    found = read_manifest(manifest(tmp_path, digests={"x86": DIGEST}))
    with pytest.raises(LauncherError, match="no image digest for the platform arm; it has one for x86"):
        found.pinned("arm")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("{", "cannot read"),
        ("[]", "expected an object"),
        ({"repository": "x"}, "registry: expected a text, found null"),
        ({"registry": "r", "repository": ""}, "repository: expected a text"),
        ({"registry": "r", "repository": "x", "digest": "latest"}, "'latest' is not a digest"),
        ({"registry": "r", "repository": "x", "digests": {"x86": "sha256:12"}}, "digest of x86: 'sha256:12'"),
        ({"registry": "r", "repository": "x", "digests": []}, "digests: expected an object"),
    ],
)
def test_wrong_manifest(tmp_path: Path, content: object, expected: str) -> None:
    (tmp_path / "docker").mkdir()
    text = content if isinstance(content, str) else json.dumps(content)
    (tmp_path / "docker" / "manifest.json").write_text(text)
    with pytest.raises(LauncherError, match=expected):
        read_manifest(tmp_path)


def test_pin_keeps_the_rest(tmp_path: Path) -> None:
    top = manifest(tmp_path, digests={"x86": DIGEST, "arm": DIGEST}, comment="kept")
    difference = pin_digest(top, OTHER, ["arm"])
    content = json.loads((top / "docker" / "manifest.json").read_text())
    assert content["digests"] == {"x86": DIGEST, "arm": OTHER}
    assert content["comment"] == "kept"
    assert f'-    "arm": "{DIGEST}"' in difference and f'+    "arm": "{OTHER}"' in difference
    assert f'-    "x86": "{DIGEST}"' not in difference
    assert [path.name for path in (top / "docker").iterdir()] == ["manifest.json"]


def test_pin_converts_the_older_form(tmp_path: Path) -> None:
    top = manifest(tmp_path, digest=DIGEST)
    pin_digest(top, OTHER, ["x86"])
    content = json.loads((top / "docker" / "manifest.json").read_text())
    assert content["digests"] == {"x86": OTHER, "arm": DIGEST} and "digest" not in content


@pytest.mark.parametrize(
    "arguments", [["pin", "latest", "x86"], ["pin", DIGEST, "ppc"], ["pin", DIGEST], ["other"], []]
)
def test_manifest_command_refuses(tmp_path: Path, arguments: list[str]) -> None:
    top = manifest(tmp_path, digest=DIGEST)
    before = (top / "docker" / "manifest.json").read_text()
    done = subprocess.run(
        [sys.executable, "-m", "tao_deploy.manifest", *arguments], cwd=top, capture_output=True, text=True
    )
    assert done.returncode == 125 and done.stderr.startswith("error: ")
    assert (top / "docker" / "manifest.json").read_text() == before
