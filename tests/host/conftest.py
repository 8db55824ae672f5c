# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the host side's tests: a real Docker engine, real registries, images made from Debian's files."""

from __future__ import annotations

import io
import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tarfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import pytest

REPOSITORY_TOP = Path(__file__).resolve().parents[2]
REGISTRY = os.environ.get("TAO_DEPLOY_TEST_REGISTRY", "localhost:5000")
TINY = "tao-deploy-test/tiny"
OTHER_USER = "www-data"
"""A user of every Debian host that the images of these tests do not know, or know by the same ids."""


def required() -> bool:
    """Whether a missing engine is a failure and not a reason to skip."""
    return os.environ.get("CI") == "true" or os.environ.get("TAO_DEPLOY_REQUIRE_DOCKER") == "1"


def unavailable(reason: str) -> NoReturn:
    """Fail in CI, skip elsewhere."""
    if required():
        pytest.fail(reason, pytrace=False)
    pytest.skip(f"{reason} (fails where CI=true or TAO_DEPLOY_REQUIRE_DOCKER=1)")


def need_root() -> None:
    """For tests that change the user or make a Debian root."""
    if os.getuid() != 0:
        unavailable("needs root")


def need_tool(name: str) -> str:
    """Path of a program."""
    path = shutil.which(name)
    if path is None:
        unavailable(f"needs the program '{name}'")
    return path


def docker(*arguments: str, stdin: bytes | None = None, check: bool = True) -> str:
    """Run the docker command; returns its output without the last line end."""
    done = subprocess.run(["docker", *arguments], input=stdin, capture_output=True, timeout=120)
    if check and done.returncode != 0:
        raise AssertionError(f"docker {' '.join(arguments)}: {done.stderr.decode()}")
    return done.stdout.decode().rstrip("\n")


def http_status(url: str) -> int | None:
    """Status of a GET, None without an answer."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


def free_port() -> int:
    """A port of the loopback interface that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(condition: Callable[[], Any], seconds: float = 20.0) -> None:
    """Wait for a condition to hold; fails after some seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.05)


@pytest.fixture(scope="session")
def engine() -> None:
    """A Docker engine that answers."""
    if shutil.which("docker") is None:
        unavailable("the command 'docker' is missing")
    done = subprocess.run(["docker", "version"], capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        unavailable(f"no Docker engine answers: {done.stderr.strip().splitlines()[-1]}")


@pytest.fixture(scope="session")
def registry(engine: None) -> str:
    """host:port of a registry without passwords."""
    if http_status(f"http://{REGISTRY}/v2/") != 200:
        unavailable(f"no registry answers at {REGISTRY} (.ci/services.sh starts one)")
    return REGISTRY


def import_image(name: str, files: dict[str, bytes | str], *changes: str) -> None:
    """Make an image with Debian's static busybox and a few files; a text value is a symbolic link's target."""
    busybox = Path(need_tool("busybox"))
    applets = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split()
    entries: dict[str, bytes | str] = {"bin/busybox": busybox.read_bytes()}
    entries |= {f"bin/{applet}": "busybox" for applet in applets if applet != "busybox"} | files
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for folder in ("bin", "etc", "tmp", "home"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            tar.addfile(entry)
        for path, content in entries.items():
            entry = tarfile.TarInfo(path)
            entry.mode = 0o755
            if isinstance(content, str):
                entry.type, entry.linkname = tarfile.SYMTYPE, content
                tar.addfile(entry)
            else:
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
    options = [part for change in ("ENV PATH=/bin", 'CMD ["/bin/sh"]', *changes) for part in ("--change", change)]
    docker("import", *options, "-", name, stdin=archive.getvalue())


def push(name: str) -> str:
    """Push an image; returns the digest that the registry gave it."""
    docker("push", name)
    repository = name.rpartition(":")[0]
    digests = json.loads(docker("image", "inspect", "--format", "{{json .RepoDigests}}", name))
    return next(text.partition("@")[2] for text in digests if text.startswith(f"{repository}@"))


def write_tree(top: Path, registry: str, repository: str, **more: object) -> Path:
    """A source tree as far as the launcher knows it: docker/manifest.json."""
    (top / "docker").mkdir(parents=True)
    manifest = {"registry": registry, "repository": repository, **more}
    (top / "docker" / "manifest.json").write_text(json.dumps(manifest))
    return top


@dataclass(frozen=True)
class Launcher:
    """The installed console script, run in an environment of its own."""

    script: Path
    home: Path
    tree: Path
    env: dict[str, str] = field(default_factory=dict)

    def environment(self, **more: str) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "DOCKER_HOST", "LANG") if name in os.environ}
        return {**kept, "HOME": str(self.home), "NV_TAO_DEPLOY_TOP": str(self.tree), **self.env, **more}

    def run(
        self,
        *arguments: str | Path,
        gpus: str | None = "none",
        stdin: bytes | None = None,
        cwd: Path | None = None,
        prefix: Sequence[str] = (),
        timeout: float = 60,
        **env: str,
    ) -> subprocess.CompletedProcess[str]:
        """Run it to its end. `gpus=None` leaves the flag out."""
        flags = [] if gpus is None else ["--gpus", gpus]
        done = subprocess.run(
            [*prefix, self.script, *flags, *map(str, arguments)],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            cwd=cwd or self.home,
            env=self.environment(**env),
            timeout=timeout,
        )
        return subprocess.CompletedProcess(
            done.args, done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        )

    def output(self, *arguments: str | Path, **options: Any) -> str:
        """Run it, expect success, return standard output without the last line end."""
        done = self.run(*arguments, **options)
        assert done.returncode == 0, done.stderr
        return done.stdout.rstrip("\n")

    def error(self, *arguments: str | Path, **options: Any) -> str:
        """Run it, expect the launcher's own failure without a traceback, return standard error."""
        done = self.run(*arguments, **options)
        assert done.returncode == 125, (done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr, done.stderr
        assert done.stdout == ""
        return done.stderr


def console_script() -> Path:
    """The installed `tao_deploy` of the interpreter that runs the tests."""
    script = Path(sys.executable).with_name("tao_deploy")
    if not script.exists():
        pytest.fail(f"{script} does not exist: install the package first (pip install -e '.[dev]')", pytrace=False)
    return script


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty home folder."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def bare_launcher(tmp_path: Path, home: Path) -> Launcher:
    """The launcher with a tree whose manifest names no image; needs no engine by itself."""
    tree = write_tree(tmp_path / "tree", "localhost:1", "no/image")
    return Launcher(console_script(), home, tree)


@pytest.fixture(scope="session")
def tiny_digest(registry: str) -> str:
    """Digest of a small image with busybox, without any passwd file, in the registry and on this host."""
    name = f"{registry}/{TINY}:latest"
    import_image(name, {})
    return push(name)


@pytest.fixture
def launcher(tmp_path: Path, home: Path, registry: str, tiny_digest: str) -> Launcher:
    """The launcher with a tree that names the small image by digest."""
    tree = write_tree(tmp_path / "tree", registry, TINY, digests={"x86": tiny_digest, "arm": tiny_digest})
    return Launcher(console_script(), home, tree)


@contextmanager
def own_registry(folder: Path, auth: bool = False) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A registry process of the test's own, so that it can be stopped; with `auth` it refuses everybody."""
    folder.mkdir()
    port = free_port()
    config = f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {folder}}}}}\nhttp: {{addr: 'localhost:{port}'}}\n"
    if auth:
        (folder / "nobody").write_text("")
        config += f"auth: {{htpasswd: {{realm: test, path: {folder / 'nobody'}}}}}\n"
    (folder / "config.yml").write_text(config)
    process = subprocess.Popen(
        [need_tool("docker-registry"), "serve", str(folder / "config.yml")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: http_status(f"http://localhost:{port}/v2/") is not None)
        yield f"localhost:{port}", process
    finally:
        process.terminate()
        process.wait(timeout=20)


def as_other_user(*groups: int) -> list[str]:
    """A command prefix that becomes OTHER_USER with these supplementary groups.

    The right to read every file stays, because the interpreter under test may lie in root's home folder.
    """
    need_root()
    user = pwd.getpwnam(OTHER_USER)
    supplementary = f"--groups={','.join(map(str, groups))}" if groups else "--clear-groups"
    capability = "+dac_read_search"
    return [
        need_tool("setpriv"),
        f"--reuid={user.pw_uid}",
        f"--regid={user.pw_gid}",
        supplementary,
        f"--inh-caps={capability}",
        f"--ambient-caps={capability}",
    ]


def docker_group() -> int:
    """The group that may use the engine's socket."""
    return Path("/var/run/docker.sock").stat().st_gid


def remove_images(*names: str) -> None:
    """Remove images, whether or not they are there."""
    with suppress(AssertionError):
        docker("image", "rm", "--force", *names)
