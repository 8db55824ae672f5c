# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""What the launcher says to wrong input and on hosts without a usable Docker. Needs no engine, unless marked."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import Launcher, as_other_user, write_tree

DIGEST = "sha256:" + "12" * 32


@pytest.fixture
def no_engine(bare_launcher: Launcher) -> Launcher:
    """A launcher whose engine never answers, so that a test that gets so far cannot start anything."""
    return Launcher(
        bare_launcher.script, bare_launcher.home, bare_launcher.tree, {"DOCKER_HOST": "unix:///nonexistent/docker.sock"}
    )


def test_help_needs_nothing(no_engine: Launcher, tmp_path: Path) -> None:
    done = no_engine.run("--help", gpus=None, PATH=str(tmp_path), NV_TAO_DEPLOY_TOP="/nonexistent")
    assert (done.returncode, done.stderr) == (0, "")
    for flag in (
        *("--gpus", "--volume", "--env", "--mounts_file", "--shm_size", "--run_as_user", "--ulimit", "--port", "--tag"),
        *("--no-tty", "--dry-run", "~/.tao_mounts.json"),
    ):
        assert flag in done.stdout


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys; before = set(sys.modules); from tao_deploy.__main__ import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "print(*{name.partition('.')[0] for name in set(sys.modules) - before}, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    imported = set(done.stderr.split())
    assert "argparse" in imported
    assert not imported & {"docker", "requests", "rich", "json", "numpy", "nvidia_tao_deploy", "subprocess"}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["dino", "evaluate"], "unexpected 'dino': the container's command comes after --, as in: tao_deploy -- dino"),
        (["--vol", "a:b"], "unknown flag '--vol'"),
        (["--gpu", "none"], "unknown flag '--gpu' (did you mean --gpus?)"),
        (["-it"], "unknown flag '-it': there is a terminal where input and output are one; flags of the"),
        (["-v", "/tmp:/data"], "unknown flag '-v': write --volume HOST:CONTAINER"),
        (["-e", "A=B"], "unknown flag '-e': write --env NAME=VALUE"),
        (["--runtime=nvidia"], "--gpus says which GPUs"),
        (["--user", "1000:1000"], "write --run_as_user, or DockerOptions.user"),
        (["-x"], "unknown flag '-x'; flags of the container's command come after --"),
        (["deploy", "dino", "evaluate"], "comes after --, as in: tao_deploy -- dino evaluate"),
        (["list"], "'list' belongs to the TAO launcher"),
        (["--volume"], "expected one argument"),
        (["--gpus", "one"], "'one' is not a GPU"),
        (["--gpus", "0,,1"], "'' is not a GPU"),
        (["--volume", "/tmp"], "no container path"),
        (["--volume", "/tmp:data"], "the container path 'data' is not absolute"),
        (["--volume", "/tmp:/"], "root folder"),
        (["--volume", ":/data"], "empty"),
        (["--volume", "/no/such/folder:/data"], "no such file or folder on this host: /no/such/folder"),
        (["--volume", "no/such:/data"], "home/no/such"),
        (["--volume", "/tmp:/data:readonly"], "unknown mode 'readonly'"),
        (["--volume", "~nosuchuser/x:/data"], "no such user"),
        (["--env", "=x"], "'' is not a variable's name"),
        (["--env", "TAO_DEPLOY_NOT_SET"], "--env TAO_DEPLOY_NOT_SET: the variable is not set on this host"),
        (["--shm_size", "lots"], "'lots' is not a size"),
        (["--ulimit", "nofile"], "'nofile' is not a limit"),
        (["--ulimit", "nofile=many"], "'nofile=many' is not a limit"),
        (["--port", "8889"], "for example 8889:8889"),
        (["--port", "99999:80"], "port 99999 is not between 1 and 65535"),
        (["--port", "80:80/icmp"], "unknown protocol 'icmp'"),
        (["--mounts_file", "nowhere.json"], "mounts file not found"),
    ],
)
def test_wrong_flags(no_engine: Launcher, arguments: list[str], expected: str) -> None:
    message = no_engine.error(*arguments, gpus=None)
    assert expected in message
    assert message.startswith(("tao_deploy: ", "usage: "))


def test_flags_in_either_spelling(no_engine: Launcher) -> None:
    (no_engine.tree / "docker" / "manifest.json").write_text(
        json.dumps({"registry": "r", "repository": "i", "digests": {"x86": DIGEST, "arm": DIGEST}})
    )
    flags = ("--shm-size=1g", "--run-as-user", "--dry_run", "--no_tty")
    done = no_engine.run(*flags, "--", "--dry_run")
    assert done.returncode == 0, done.stderr
    assert "--shm-size 1g" in done.stdout and "--user" in done.stdout and done.stdout.endswith("--dry_run\n")


def test_no_docker_command(bare_launcher: Launcher, tmp_path: Path) -> None:
    message = bare_launcher.error("--", "true", PATH=str(tmp_path))
    assert "'docker' was not found" in message and "docs.docker.com/engine/install" in message


def a_docker_command(folder: Path) -> str:
    """A PATH with something named docker on it: these tests do not get so far as to run it."""
    (folder / "docker").write_text("#!/bin/sh\nexit 99\n")
    (folder / "docker").chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def test_no_docker_package(bare_launcher: Launcher, tmp_path: Path) -> None:
    (tmp_path / "docker.py").write_text("raise ImportError('hidden by the test')")
    path = a_docker_command(tmp_path)
    message = bare_launcher.error("--", "true", PYTHONPATH=str(tmp_path), PATH=path)
    assert "package 'docker' is missing" in message and "pip install" in message


def test_daemon_not_running(no_engine: Launcher, tmp_path: Path) -> None:
    message = no_engine.error("--", "true", PATH=a_docker_command(tmp_path))
    assert "the Docker daemon is not running: /nonexistent/docker.sock: No such file" in message
    assert "systemctl start docker" in message


def test_daemon_died(bare_launcher: Launcher, tmp_path: Path) -> None:
    address = tmp_path / "stale.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(address))
    path = a_docker_command(tmp_path)
    message = bare_launcher.error("--", "true", PATH=path, DOCKER_HOST=f"unix://{address}")
    assert "the Docker daemon is not running" in message and "Connection refused" in message


def test_remote_engine_does_not_answer(bare_launcher: Launcher, tmp_path: Path) -> None:
    path = a_docker_command(tmp_path)
    message = bare_launcher.error("--", "true", PATH=path, DOCKER_HOST="tcp://127.0.0.1:9")
    assert "127.0.0.1:9" in message and "does not answer" in message


def test_no_such_context(bare_launcher: Launcher, tmp_path: Path) -> None:
    environment = {"PATH": a_docker_command(tmp_path), "DOCKER_CONTEXT": "elsewhere", "DOCKER_HOST": ""}
    message = bare_launcher.error("--", "true", **environment)
    assert "no Docker context named 'elsewhere'" in message and "docker context ls" in message


def test_no_permission(bare_launcher: Launcher, tmp_path: Path) -> None:
    address = tmp_path / "docker.sock"
    prefix = as_other_user()
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.getuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o011)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(address))
        server.listen()
        address.chmod(0o660)
        message = bare_launcher.error(
            "--", "true", prefix=prefix, PATH=a_docker_command(tmp_path), DOCKER_HOST=f"unix://{address}"
        )
    assert f"no permission to use Docker's socket {address}" in message
    assert "usermod -aG docker" in message


def test_dry_run_without_docker(no_engine: Launcher, tmp_path: Path) -> None:
    write_tree(tmp_path / "with-digest", "r.example", "tao/base", digest=DIGEST)
    tree = str(tmp_path / "with-digest")
    done = no_engine.run("--dry-run", "--gpus", "0,1", "--", "true", gpus=None, NV_TAO_DEPLOY_TOP=tree)
    assert done.returncode == 0
    assert "--gpus '\"device=0,1\"'" in done.stdout
    assert done.stdout.endswith(f"r.example/tao/base@{DIGEST} true\n")
    assert re.search("note: .*not running", done.stderr)


def test_current_folder_is_gone(no_engine: Launcher, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    message = no_engine.error("--", "true", prefix=["sh", "-c", 'rmdir "$PWD"; exec "$0" "$@"'], cwd=gone)
    assert "the current folder does not exist any more" in message


def test_no_home_folder(no_engine: Launcher) -> None:
    prefix = ["setpriv", "--reuid=54321", "--clear-groups", *as_other_user()[4:], "env", "--unset=HOME"]
    message = no_engine.error("--run_as_user", "--", "true", prefix=prefix)
    assert "docker" in message.lower()


def test_no_tree(no_engine: Launcher, tmp_path: Path) -> None:
    message = no_engine.error("--", "true", NV_TAO_DEPLOY_TOP=str(tmp_path))
    assert "NV_TAO_DEPLOY_TOP" in message and "manifest.json" in message and "envsetup.sh" in message


def test_tree_is_found_from_a_folder_in_it(no_engine: Launcher) -> None:
    write = {"registry": "r", "repository": "i", "digest": DIGEST}
    (no_engine.tree / "docker" / "manifest.json").write_text(json.dumps(write))
    inside = no_engine.tree / "some" / "folder"
    inside.mkdir(parents=True)
    line = no_engine.output("--dry-run", cwd=inside, NV_TAO_DEPLOY_TOP="")
    assert f"{no_engine.tree}:/workspace/tao-deploy" in line


def test_no_image_yet(bare_launcher: Launcher, tmp_path: Path) -> None:
    message = bare_launcher.run("--dry-run", "--", "true", DOCKER_HOST="unix:///nonexistent/docker.sock").stderr
    assert "has no image digest" in message and "docker/build.sh --build" in message and "--tag" in message
