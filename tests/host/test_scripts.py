# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""The shell scripts as far as no container is needed: shellcheck, usage, envsetup.sh in bash and zsh, git hooks."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import REPOSITORY_TOP, need_tool

ENVSETUP = REPOSITORY_TOP / "scripts" / "envsetup.sh"
HOOKS = REPOSITORY_TOP / "scripts" / "git-hooks"
SHELL_FILES = sorted(
    [
        *REPOSITORY_TOP.glob("docker/*.sh"),
        *REPOSITORY_TOP.glob("release/**/*.sh"),
        *REPOSITORY_TOP.glob("scripts/*.sh"),
        *HOOKS.iterdir(),
        *REPOSITORY_TOP.glob(".ci/*"),
    ]
)


def run(*command: str | Path, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {"PATH": path, "HOME": "/nonexistent", **env}
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60
    )


@pytest.mark.parametrize("file", SHELL_FILES, ids=lambda path: str(path.relative_to(REPOSITORY_TOP)))
def test_shellcheck(file: Path) -> None:
    done = run(need_tool("shellcheck"), file)
    assert done.returncode == 0, done.stdout
    assert file.read_text().startswith("#!") == os.access(file, os.X_OK)


@pytest.mark.parametrize("script", ["docker/build.sh", "release/docker/deploy.sh"])
class TestUsage:
    def test_help(self, script: str) -> None:
        asked, bare = run(REPOSITORY_TOP / script, "--help"), run(REPOSITORY_TOP / script)
        assert (asked.returncode, asked.stderr) == (0, "")
        assert asked.stdout.startswith(f"usage: {script}") and bare.stdout == asked.stdout and bare.returncode == 0

    @pytest.mark.parametrize("arguments", [["--bogus"], ["--build", "--bogus"], ["build"]])
    def test_unknown_option(self, script: str, arguments: list[str]) -> None:
        done = run(REPOSITORY_TOP / script, *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert "usage:" in done.stderr and done.stderr.endswith(f"unknown option '{arguments[-1]}'\n")

    def test_nothing_to_do(self, script: str) -> None:
        done = run(REPOSITORY_TOP / script, "--force")
        assert done.returncode == 2 and "nothing to do" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--build", "--platform"], "--platform needs a value"),
        (["--build", "--platform", "linux/riscv64"], "unknown platform 'linux/riscv64'"),
        (["--build", "--x86", "--arm"], "two platforms: linux/amd64 and linux/arm64"),
        (["--build", "--l4t", "--x86"], "--l4t is for linux/arm64"),
        (["--build", "--backend", "torch"], "unknown backend 'torch'"),
    ],
)
def test_build_usage_errors(arguments: list[str], expected: str) -> None:
    done = run(REPOSITORY_TOP / "docker" / "build.sh", *arguments)
    assert done.returncode == 2 and expected in done.stderr


def test_multiplatform_needs_buildx(tmp_path: Path) -> None:
    """With a docker that has no buildx, as Debian's: a plain word and not a failed build."""
    (tmp_path / "docker").write_text('#!/bin/sh\n[ "$1" = version ]\n')
    (tmp_path / "docker").chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = run(REPOSITORY_TOP / "docker" / "build.sh", "--build", "--push", "--multiplatform", PATH=path)
    assert done.returncode == 1 and "needs docker buildx" in done.stderr and "docker-buildx" in done.stderr


def test_scripts_without_docker(tmp_path: Path) -> None:
    for tool in ("bash", "env", "dirname", "uname", "python3", "cat"):
        (tmp_path / tool).symlink_to(need_tool(tool))
    for script in ("docker/build.sh", "release/docker/deploy.sh"):
        done = run(REPOSITORY_TOP / script, "--build", PATH=str(tmp_path))
        assert done.returncode == 1 and "docker was not found" in done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh"])
class TestEnvsetup:
    def test_sourced_twice_under_strict_settings(self, shell: str, tmp_path: Path) -> None:
        script = (
            f'set -eu; . "{ENVSETUP}"; . "{ENVSETUP}"; echo "$NV_TAO_DEPLOY_TOP"; tao_deploy --help | head -n 1; set'
        )
        done = run(need_tool(shell), "-c", script, cwd=tmp_path)
        lines = done.stdout.splitlines()
        assert done.returncode == 0, done.stderr
        assert lines[:2] == [str(REPOSITORY_TOP), "usage: tao_deploy [flags] [-- command args ...]"]
        assert not re.search("^_tao_deploy", done.stdout, re.MULTILINE)
        for name in ("Python", "Docker", "group", "GPU", "registry"):
            assert re.search(f"^  (ok|--)  {name}", done.stderr, re.MULTILINE)
        for line in done.stderr.splitlines():
            assert not line.startswith("  --") or ". Fix: " in line

    def test_sourced_by_a_relative_path(self, shell: str) -> None:
        script = '. ./envsetup.sh; echo "$NV_TAO_DEPLOY_TOP"'
        done = run(need_tool(shell), "-c", script, cwd=ENVSETUP.parent, NV_TAO_DEPLOY_QUIET="1")
        assert (done.stdout, done.stderr) == (f"{REPOSITORY_TOP}\n", "")

    def test_executed(self, shell: str) -> None:
        done = run(need_tool(shell), ENVSETUP)
        assert done.returncode == 1
        assert "source it" in done.stderr and f"source {ENVSETUP}" in done.stderr

    def test_without_docker(self, shell: str, tmp_path: Path) -> None:
        for tool in ("dirname", "uname"):
            (tmp_path / tool).symlink_to(need_tool(tool))
        (tmp_path / "python3").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        (tmp_path / "python3").chmod(0o755)
        (tmp_path / "sh").symlink_to("/bin/sh")
        done = run(need_tool(shell), "-euc", f'. "{ENVSETUP}"', PATH=str(tmp_path))
        assert done.returncode == 0, done.stderr
        assert re.search("^  --  Docker .*not found.*Fix: Install Docker", done.stderr, re.MULTILINE)
        assert re.search("^  --  GPU .*nvidia-container-toolkit", done.stderr, re.MULTILINE)

    def test_without_python(self, shell: str, tmp_path: Path) -> None:
        (tmp_path / "dirname").symlink_to(need_tool("dirname"))
        done = run(need_tool(shell), "-euc", f'. "{ENVSETUP}"', PATH=str(tmp_path))
        assert done.returncode == 0
        assert "python3 was not found. Fix: " in done.stderr


def test_envsetup_in_another_shell() -> None:
    done = run("sh", "-c", f'. "{ENVSETUP}"')
    assert done.returncode == 1 and "bash or zsh" in done.stderr


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A new git repository with a copy of the hooks."""
    top = tmp_path / "a repository"
    top.mkdir()
    git(top, "init", "--quiet")
    shutil.copytree(HOOKS, top / "scripts" / "git-hooks")
    return top


def git(top: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    identity = dict.fromkeys(("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"), "test")
    identity |= dict.fromkeys(("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"), "test@localhost")
    return run(need_tool("git"), *arguments, cwd=top, GIT_CONFIG_NOSYSTEM="1", HOME=str(top), **identity)


def install(top: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run(top / "scripts" / "git-hooks" / "install_hooks.sh", *arguments, HOME=str(top))


def test_installed_hooks_work(repository: Path) -> None:
    for _ in range(2):
        done = install(repository)
        assert done.returncode == 0, done.stderr
    bad = git(repository, "commit", "--allow-empty", "-m", "no capital letter.")
    assert bad.returncode != 0
    assert "capital letter" in bad.stderr and "full stop" in bad.stderr
    assert git(repository, "commit", "--allow-empty", "-m", "A proper subject\n\nAnd why.").returncode == 0
    (repository / "wrong.py").write_text("import os\n")
    (repository / "wrong.sh").write_text("#!/bin/sh\necho $1\n")
    git(repository, "add", "wrong.py", "wrong.sh")
    need_tool("shellcheck")
    refused = git(repository, "commit", "-m", "Unused import")
    assert refused.returncode != 0
    assert "F401" in refused.stdout + refused.stderr and "SC2086" in refused.stdout + refused.stderr
    assert install(repository, "--uninstall").returncode == 0
    assert git(repository, "commit", "-m", "no hooks any more.").returncode == 0


def test_hooks_of_others_are_kept(repository: Path) -> None:
    own = repository / ".git" / "hooks" / "commit-msg"
    own.parent.mkdir(exist_ok=True)
    own.write_text("#!/bin/sh\n")
    done = install(repository)
    assert done.returncode == 1 and "exists and is not ours" in done.stderr
    assert own.read_text() == "#!/bin/sh\n"
    assert (repository / ".git" / "hooks" / "pre-commit").exists()


def test_hooks_in_a_worktree(repository: Path) -> None:
    git(repository, "commit", "--allow-empty", "-m", "First")
    git(repository, "worktree", "add", "--quiet", "../other", "-b", "other")
    other = repository.parent / "other"
    shutil.copytree(HOOKS, other / "scripts" / "git-hooks")
    assert install(other).returncode == 0
    assert git(other, "commit", "--allow-empty", "-m", "lower case").returncode != 0


def test_installer_outside_a_repository(tmp_path: Path) -> None:
    shutil.copytree(HOOKS, tmp_path / "git-hooks")
    done = run(tmp_path / "git-hooks" / "install_hooks.sh")
    assert done.returncode == 1 and "is not in a git repository" in done.stderr
    assert run(HOOKS / "install_hooks.sh", "--force").returncode == 2


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Fix the reader\n", None),
        ("[spec] Fix the reader\n\nBecause it was wrong.\n", None),
        ("\n# a comment\nFix it\n# ------------------------ >8 ------------------------\n" + "x " * 99, None),
        ("Merge branch 'x'\n", None),
        ("fixup! anything.\n", None),
        ("Fix it\n\nSee https://example.org/" + "x" * 80 + "\n", None),
        ("Ü" * 72 + "\n", None),
        ("", "the message is empty"),
        ("# only a comment\n", "the message is empty"),
        ("fix the reader\n", "capital letter"),
        ("Fix the reader.\n", "full stop"),
        ("A" * 73 + "\n", "line 1 has 73 characters"),
        ("Fix it\nat once\n", "second line must be empty"),
        ("Fix it\n\n" + "word " * 15 + "\n", "line 3 has 75 characters"),
    ],
)
def test_commit_message(tmp_path: Path, message: str, expected: str | None) -> None:
    (tmp_path / "message").write_text(message)
    done = run(HOOKS / "commit-msg", tmp_path / "message")
    assert (done.returncode == 0) == (expected is None), done.stderr
    assert expected is None or expected in done.stderr


def requirements(name: str) -> set[str]:
    lines = (REPOSITORY_TOP / "docker" / name).read_text().splitlines()
    return {line.partition("#")[0].strip() for line in lines} - {""}


def test_container_and_setup_agree() -> None:
    """docker/requirements-pip.txt is what setup.py declares: a range changed in one place only is an error."""
    read = runpy.run_path(str(REPOSITORY_TOP / "scripts" / "lowest_versions.py"))["declared"]
    declared = read(REPOSITORY_TOP / "setup.py")
    core, extras = set(declared["install_requires"]), declared["extras_require"]
    gpu = {text for text in extras["gpu"] if not text.startswith("tensorrt")}
    listed = requirements("requirements-pip.txt")
    assert core | gpu <= listed
    assert listed - core - gpu - set(extras["dev"]) == {"wheel", "mpi4py>=3.1"}
    assert len(gpu) == len(extras["gpu"]) - 1


def test_image_check_names_what_lacks(tmp_path: Path) -> None:
    """docker/check_image.py, which ends every build, on this environment."""
    check = REPOSITORY_TOP / "docker" / "check_image.py"
    good = run(sys.executable, check, "onnxruntime", REPOSITORY_TOP / "docker" / "requirements-pip.txt")
    assert "numpy" not in good.stderr  # this environment lacks the GPU bindings, but not the rest
    (tmp_path / "requirements.txt").write_text("numpy>=999  # too new\nno-such-package-at-all\nonnx\n")
    bad = run(sys.executable, check, "onnxruntime", tmp_path / "requirements.txt")
    assert bad.returncode == 1
    assert re.search("numpy>=999 wanted by requirements, but [0-9.]+ is installed", bad.stderr)
    assert "no-such-package-at-all is not installed" in bad.stderr
    assert "onnx " not in bad.stderr
    assert run(sys.executable, check, "torch", tmp_path / "requirements.txt").returncode == 2


def test_every_network_is_a_command_of_the_base_container(tmp_path: Path) -> None:
    registry = REPOSITORY_TOP / "nvidia_tao_deploy" / "registry.py"
    done = run(sys.executable, REPOSITORY_TOP / "docker" / "install_commands.py", registry, tmp_path)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == set(runpy.run_path(str(registry))["NETWORKS"])
    done = run(tmp_path / "classification_pyt", "evaluate", "--help", PYTHONPATH=str(REPOSITORY_TOP))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: classification_pyt evaluate")
