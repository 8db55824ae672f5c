# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""What a container started by the installed `tao_deploy` looks like from inside and outside. Needs Docker."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import signal
import subprocess
import urllib.request
from pathlib import Path

import pexpect
import pytest

from .conftest import (
    OTHER_USER,
    TINY,
    Launcher,
    as_other_user,
    docker,
    docker_group,
    free_port,
    import_image,
    push,
    remove_images,
    wait_until,
    write_tree,
)

pytestmark = pytest.mark.docker


def spawn(launcher: Launcher, *arguments: str) -> pexpect.spawn:
    """The launcher in a pseudo-terminal."""
    return pexpect.spawn(
        str(launcher.script),
        ["--gpus", "none", *arguments],
        env={**launcher.environment(), "TERM": "dumb"},
        cwd=str(launcher.home),
        timeout=30,
        encoding="utf-8",
    )


def exit_of(child: pexpect.spawn) -> int | None:
    child.expect(pexpect.EOF)
    child.close()
    return child.exitstatus


@pytest.mark.parametrize("code", [0, 1, 7, 125, 255])
def test_exit_code_is_the_commands(launcher: Launcher, code: int) -> None:
    assert launcher.run("--", "sh", "-c", f"exit {code}").returncode == code


def test_command_that_does_not_exist_is_127(launcher: Launcher) -> None:
    done = launcher.run("--", "no-such-command")
    assert done.returncode == 127
    assert "no-such-command" in done.stderr


def test_workspace_is_the_tree(launcher: Launcher) -> None:
    (launcher.tree / "marker").write_text("from the host")
    output = launcher.output("--", "sh", "-c", "pwd; echo $PYTHONPATH; cat marker; echo written > from_container")
    assert output == "/workspace/tao-deploy\n/workspace/tao-deploy\nfrom the host"
    assert (launcher.tree / "from_container").read_text() == "written\n"


def test_container_is_removed(launcher: Launcher) -> None:
    name = launcher.output("--", "hostname")
    assert re.fullmatch("[0-9a-f]{12}", name)
    wait_until(lambda: name not in docker("ps", "--all", "--format", "{{.ID}}"))


def test_streams_stay_apart(launcher: Launcher) -> None:
    done = launcher.run("--", "sh", "-c", "echo out; echo err >&2")
    assert (done.stdout, done.stderr) == ("out\n", "err\n")


def test_stdin_is_piped_in(launcher: Launcher) -> None:
    data = bytes(range(256)) * 4096
    assert launcher.output("--", "md5sum", stdin=data).split()[0] == hashlib.md5(data).hexdigest()


def test_terminal_only_where_there_is_one(launcher: Launcher) -> None:
    question = ("--", "sh", "-c", "test -t 0 && test -t 1 && echo tty || echo none")
    assert launcher.output(*question) == "none"
    child = spawn(launcher, *question)
    child.expect("tty|none")
    assert child.after == "tty"
    assert exit_of(child) == 0
    child = spawn(launcher, "--no-tty", *question)
    child.expect("tty|none")
    assert child.after == "none"


def test_shell_without_a_command(launcher: Launcher) -> None:
    child = spawn(launcher)
    child.sendline("echo answer: $((6 * 7))")
    child.expect("answer: 42")
    child.sendline("exit 9")
    assert exit_of(child) == 9


def test_ctrl_c_reaches_the_command(launcher: Launcher) -> None:
    script = 'trap "echo caught; exit 42" INT; echo ready; while true; do sleep 0.1; done'
    child = spawn(launcher, "--", "sh", "-c", script)
    child.expect("ready")
    child.sendintr()
    child.expect("caught")
    assert exit_of(child) == 42


def test_ctrl_c_ends_a_command_that_does_not_care(launcher: Launcher) -> None:
    child = spawn(launcher, "--", "sh", "-c", "echo ready; exec sleep 60")
    child.expect("ready")
    child.sendintr()
    assert exit_of(child) == 130


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signals_reach_the_command(launcher: Launcher, number: signal.Signals, code: int) -> None:
    process = subprocess.Popen(
        [launcher.script, "--gpus", "none", "--", "sh", "-c", "hostname; exec sleep 60"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env=launcher.environment(),
        text=True,
    )
    assert process.stdout is not None
    with process:
        container = process.stdout.readline().strip()
        process.send_signal(number)
        assert process.wait(timeout=20) == code
    wait_until(lambda: container not in docker("ps", "--all", "--format", "{{.ID}}"))


def test_volumes(launcher: Launcher, tmp_path: Path) -> None:
    data, results = tmp_path / "data", tmp_path / "results"
    for folder in (data, results):
        folder.mkdir()
    (data / "in").write_text("text")
    script = "cat /data/in; echo new > /results/out; echo no > /data/in"
    done = launcher.run("--volume", f"{data}:/data:ro", "--volume", f"{results}:/results", "--", "sh", "-c", script)
    assert done.returncode != 0
    assert done.stdout == "text"
    assert "Read-only file system" in done.stderr
    assert (data / "in").read_text() == "text"
    assert (results / "out").read_text() == "new\n"


def test_relative_volume(launcher: Launcher) -> None:
    (launcher.home / "relative").mkdir()
    (launcher.home / "relative" / "file").write_text("here")
    assert launcher.output("--volume", "relative:/data", "--", "cat", "/data/file") == "here"


@pytest.mark.parametrize("name", ["with space", "quo'te", 'dou"ble', "$(touch pwned)", "a,b", "co:lon", "ünï", "`id`"])
def test_odd_paths(launcher: Launcher, tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    (folder / name).write_text("found")
    assert launcher.output("--volume", f"{folder}:/data", "--", "cat", f"/data/{name}") == "found"
    assert not list(tmp_path.rglob("pwned"))


def test_odd_tree(launcher: Launcher, tmp_path: Path, registry: str, tiny_digest: str) -> None:
    tree = write_tree(tmp_path / 'a: $(id), "tree"', registry, TINY, digest=tiny_digest)
    (tree / "marker").write_text("found")
    assert launcher.output("--", "cat", "marker", NV_TAO_DEPLOY_TOP=str(tree)) == "found"


def test_arguments_arrive_as_they_are(launcher: Launcher) -> None:
    words = [
        "$(touch pwned)",
        "`touch pwned`",
        "a b",
        "it's",
        '"',
        "*",
        "--",
        "-e",
        "; touch pwned",
        "",
        "${HOME}",
        "\n",
    ]
    assert launcher.output("--", "printf", "[%s]", *words) == "".join(f"[{word}]" for word in words)
    assert not list(launcher.tree.rglob("pwned")) and not list(launcher.home.rglob("pwned"))


def test_environment(launcher: Launcher) -> None:
    output = launcher.output(
        *("--env", "GIVEN=a b=c $HOME", "--env", "FROM_HOST", "--env", "EMPTY="),
        *("--", "sh", "-c", 'echo "$GIVEN|$FROM_HOST|${EMPTY-unset}"'),
        FROM_HOST="of the host",
    )
    assert output == "a b=c $HOME|of the host|"


def test_shared_memory(launcher: Launcher) -> None:
    question = ("--", "sh", "-c", "df -k /dev/shm | awk 'END {print $2}'")
    assert launcher.output("--shm_size", "48m", *question) == str(48 * 1024)
    assert launcher.output(*question) == str(16 * 1024 * 1024)


def test_ulimit(launcher: Launcher) -> None:
    question = ("--", "sh", "-c", "ulimit -Sn; ulimit -Hn")
    assert launcher.output("--ulimit", "nofile=1234:4321", *question) == "1234\n4321"


def test_port(launcher: Launcher) -> None:
    port = free_port()
    server = "echo served > /tmp/page; exec httpd -f -p 8889 -h /tmp"
    process = subprocess.Popen(
        [launcher.script, "--gpus", "none", "--port", f"{port}:8889", "--", "sh", "-c", server],
        stdin=subprocess.DEVNULL,
        env=launcher.environment(),
    )

    def page() -> bytes | None:
        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{port}/page", timeout=5).read()
        except OSError:
            return None

    try:
        wait_until(lambda: page() == b"served\n")
    finally:
        process.terminate()
        assert process.wait(timeout=20) == 143


def test_no_gpu_variable_for_none(launcher: Launcher) -> None:
    assert launcher.output("--", "sh", "-c", "echo $NVIDIA_VISIBLE_DEVICES") == "void"


def test_run_as_user(launcher: Launcher, tmp_path: Path) -> None:
    prefix = as_other_user(docker_group(), 20)
    volume = tmp_path / "volume"
    for folder in (volume, launcher.home):
        folder.mkdir(exist_ok=True)
        folder.chmod(0o777)
    script = (
        'whoami; id -u; id -G; echo "$HOME"; cd && touch file && stat -c %a . && '
        'printf "#!/bin/sh\\necho runs" > run && chmod +x run && ./run; touch /volume/new; id -gn'
    )
    lines = launcher.output(
        "--run_as_user", "--volume", f"{volume}:/volume", "--", "sh", "-c", script, prefix=prefix
    ).splitlines()
    name, uid, groups, home, mode, ran, group = lines
    assert (name, uid, home, mode, ran) == (OTHER_USER, "33", f"/home/{OTHER_USER}", "700", "runs")
    assert set(groups.split()) == {"33", "20", str(docker_group())}
    assert group == OTHER_USER
    assert ((volume / "new").stat().st_uid, (volume / "new").stat().st_gid) == (33, 33)


def test_run_as_user_in_an_image_with_users(launcher: Launcher, registry: str, tmp_path: Path) -> None:
    """The caller's name wins over the image's name for the same id; other entries of the image stay."""
    prefix = as_other_user(docker_group())
    name = f"{registry}/tao-deploy-test/with-users:latest"
    passwd = b"root:x:0:0:root:/root:/bin/sh\nubuntu:x:33:33::/home/ubuntu:/bin/sh\nservice:x:77:77::/:/bin/sh\n"
    import_image(name, {"etc/passwd": passwd, "etc/group": b"root:x:0:\nteam:x:77:\n"})
    tree = write_tree(tmp_path / "with-users", registry, "tao-deploy-test/with-users", digest=push(name))
    launcher.home.chmod(0o777)
    output = launcher.output(
        *("--run_as_user", "--", "sh", "-c", "whoami; echo $HOME; id -u service; grep team /etc/group"),
        prefix=prefix,
        NV_TAO_DEPLOY_TOP=str(tree),
    )
    assert output == f"{OTHER_USER}\n/home/{OTHER_USER}\n77\nteam:x:77:"
    leftover = docker("ps", "--all", "--filter", f"ancestor={name}", "--format", "{{.ID}}")
    assert leftover == ""


def test_run_as_user_with_own_home_mounted(launcher: Launcher, tmp_path: Path) -> None:
    prefix = as_other_user(docker_group())
    launcher.home.chmod(0o777)
    flags = ("--run_as_user", "--volume", f"{launcher.home}:/home/{OTHER_USER}")
    launcher.output(*flags, "--", "sh", "-c", "touch ~/kept", prefix=prefix)
    assert (launcher.home / "kept").stat().st_uid == 33


def test_run_as_user_as_root(launcher: Launcher) -> None:
    if os.getuid() != 0:
        pytest.skip("needs root as the caller")
    assert launcher.output("--run_as_user", "--", "sh", "-c", "id -u; echo $HOME; touch new") == "0\n/root"
    assert (launcher.tree / "new").stat().st_uid == 0


def test_user_of_a_mounts_file_has_a_name_and_a_home(launcher: Launcher) -> None:
    (launcher.home / ".tao_mounts.json").write_text(json.dumps({"DockerOptions": {"user": "4242:4343"}}))
    output = launcher.output("--", "sh", "-c", "whoami; id -u; id -g; cd && touch x && pwd")
    assert output == "user\n4242\n4343\n/home/user"


def test_existing_mounts_file(launcher: Launcher, tmp_path: Path) -> None:
    """The keys of the TAO launcher, as its documentation shows them, and the precedence of the three sources."""
    folders = {name: tmp_path / name for name in ("home_file", "given_file", "flag")}
    for name, folder in folders.items():
        folder.mkdir()
        (folder / "name").write_text(name)
    (launcher.home / ".tao_mounts.json").write_text(
        json.dumps(
            {
                "Mounts": [
                    {"source": str(folders["home_file"]), "destination": path} for path in ("/one", "/two", "/three")
                ],
                "Envs": [{"variable": name, "value": "home"} for name in ("A", "B", "C")]
                + [{"variable": "NUMBER", "value": 1}],
                "DockerOptions": {
                    "shm_size": "16m",
                    "ulimits": {"nofile": 1111, "stack": 67108864},
                    "user": "1000:1000",
                    "ports": {"8888": free_port()},
                },
            }
        )
    )
    given = tmp_path / "given.json"
    given.write_text(
        json.dumps(
            {
                "Mounts": [{"source": "given_file", "destination": path} for path in ("/two", "/three/")],
                "Envs": [{"variable": name, "value": "given"} for name in ("B", "C")],
                "DockerOptions": {"shm_size": "32m", "network": "none"},
            }
        )
    )
    script = "cat /one/name /two/name /three/name; echo; echo $A $B $C $NUMBER; df -k /dev/shm | awk 'END {print $2}'"
    script += "; ulimit -n; ulimit -s; id -u; ls /sys/class/net"
    output = launcher.output(
        *("--mounts_file", given, "--volume", f"{folders['flag']}:/three", "--env", "C=flag"),
        *("--ulimit", "nofile=2222", "--", "sh", "-c", script),
    )
    assert output.splitlines() == [
        "home_filegiven_fileflag",
        "home given flag 1",
        str(32 * 1024),
        "2222",
        "65536",
        "1000",
        "lo",
    ]


def test_dry_run_can_be_pasted(launcher: Launcher, tmp_path: Path) -> None:
    folder = tmp_path / "it's a $(touch pwned) folder"
    folder.mkdir()
    (folder / "file").write_text("content")
    line = launcher.output(
        *("--dry-run", "--volume", f"{folder}:/data:ro", "--env", "X=a 'b' $(c)"),
        *("--", "sh", "-c", 'cat /data/file; echo "$X"; exit 3'),
    )
    assert line.startswith("docker run --rm")
    assert len(line.splitlines()) == 1
    pasted = subprocess.run(["bash", "-c", line], capture_output=True, text=True, env=launcher.environment())
    assert (pasted.returncode, pasted.stdout) == (3, "contenta 'b' $(c)\n")
    assert not list(tmp_path.rglob("pwned"))


def test_dry_run_starts_nothing(launcher: Launcher) -> None:
    line = launcher.output("--dry-run", "--", "touch", "started")
    assert not (launcher.tree / "started").exists()
    assert shlex.split(line)[-2:] == ["touch", "started"]


def test_local_tag(launcher: Launcher, registry: str) -> None:
    name = f"{registry}/{TINY}:local-tag"
    import_image(name, {"etc/which": b"the tagged one"})
    try:
        assert launcher.output("--tag", "local-tag", "--", "cat", "/etc/which") == "the tagged one"
    finally:
        remove_images(name)
    message = launcher.error("--tag", "local-tag", "--", "true")
    assert name in message and "latest" in message and "docker/build.sh --build" in message


def test_malformed_tag(launcher: Launcher) -> None:
    message = launcher.error("--tag", "not a tag", "--", "true")
    assert "not a tag" in message or "invalid reference format" in message


def test_no_nvidia_runtime(launcher: Launcher, registry: str) -> None:
    if "nvidia" in docker("info", "--format", "{{json .Runtimes}}"):
        pytest.skip("this host has the NVIDIA runtime")
    name = f"{registry}/{TINY}:for-gpu"
    import_image(name, {"etc/which": b"the one for GPUs"})
    message = launcher.error("--tag", "for-gpu", "--", "touch", "started", gpus=None)
    assert "NVIDIA" in message and "nvidia-container-toolkit" in message and "--gpus none" in message
    assert docker("ps", "--all", "--quiet", "--filter", f"ancestor={name}") == ""
    assert not (launcher.tree / "started").exists()
