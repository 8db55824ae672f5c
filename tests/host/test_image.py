# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Where the launcher's image comes from: present, pulled, refused, unknown, unreachable. Needs Docker."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .conftest import Launcher, import_image, own_registry, push, remove_images, write_tree

pytestmark = pytest.mark.docker


@pytest.fixture
def moved(launcher: Launcher, tmp_path: Path) -> Launcher:
    """A launcher whose tree is still to be written."""
    return Launcher(launcher.script, launcher.home, tmp_path / "moved")


def test_pull_start_offline_and_registry_down(moved: Launcher, tmp_path: Path) -> None:
    with own_registry(tmp_path / "registry") as (registry, process):
        name = f"{registry}/tao/base"
        import_image(f"{name}:latest", {"etc/origin": b"pulled"})
        digest = push(f"{name}:latest")
        remove_images(f"{name}:latest", f"{name}@{digest}")
        write_tree(moved.tree, registry, "tao/base", digest=digest)
        first = moved.run("--", "cat", "/etc/origin")
        assert (first.returncode, first.stdout) == (0, "pulled")
        assert f"{name}@{digest}" in first.stderr
        assert re.search(r"Pulled 1 layers, \d+\.\d MB", first.stderr)
        process.terminate()
        process.wait(timeout=20)
        # Present by digest: no registry is asked, and nothing is said.
        second = moved.run("--", "cat", "/etc/origin")
        assert (second.returncode, second.stdout, second.stderr) == (0, "pulled", "")
        remove_images(f"{name}@{digest}")
        message = moved.error("--", "true")
        assert registry in message and "refused" in message and "reachable" in message and "--tag" in message


def test_registry_does_not_know_the_digest(moved: Launcher, registry: str, tiny_digest: str) -> None:
    digest = "sha256:" + "ab" * 32
    write_tree(moved.tree, registry, "tao-deploy-test/tiny", digest=digest)
    message = moved.error("--", "true")
    assert digest in message and "does not have" in message and "docker/manifest.json" in message
    assert "docker login" not in message


def test_registry_wants_a_login(moved: Launcher, tmp_path: Path) -> None:
    with own_registry(tmp_path / "registry", auth=True) as (registry, _):
        write_tree(moved.tree, registry, "tao/base", digest="sha256:" + "ab" * 32)
        message = moved.error("--", "true")
    assert "refuses" in message and f"docker login {registry}" in message


def test_dry_run_does_not_pull(moved: Launcher, registry: str, tiny_digest: str) -> None:
    digest = "sha256:" + "cd" * 32
    write_tree(moved.tree, registry, "tao-deploy-test/tiny", digest=digest)
    done = moved.run("--dry-run", "--", "true")
    assert done.returncode == 0
    assert f"tao-deploy-test/tiny@{digest} true" in done.stdout
    assert "would be pulled" in done.stderr


def test_progress_bar_on_a_terminal(moved: Launcher, tmp_path: Path) -> None:
    import pexpect

    with own_registry(tmp_path / "registry") as (registry, _):
        name = f"{registry}/tao/bar"
        import_image(f"{name}:latest", {"etc/big": bytes(4_000_000)})
        digest = push(f"{name}:latest")
        remove_images(f"{name}:latest", f"{name}@{digest}")
        write_tree(moved.tree, registry, "tao/bar", digest=digest)
        child = pexpect.spawn(
            str(moved.script),
            ["--gpus", "none", "--", "echo", "started"],
            env={**moved.environment(), "TERM": "xterm"},
            encoding="utf-8",
            dimensions=(24, 100),
            timeout=60,
        )
        child.expect("1/1 layers")
        child.expect("started")
        child.expect(pexpect.EOF)
        child.close()
        assert child.exitstatus == 0
        remove_images(f"{name}@{digest}")
