# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""docker/build.sh and release/docker/deploy.sh for real: a base container on a Debian root, pushed, used, released.

One story in the order of the tests: they share the images. Needs Docker, a registry and root.
"""

from __future__ import annotations

import csv
import functools
import http.server
import json
import os
import platform
import pwd
import shutil
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from .conftest import (
    OTHER_USER,
    REPOSITORY_TOP,
    Launcher,
    as_other_user,
    console_script,
    docker,
    docker_group,
    need_root,
    need_tool,
    remove_images,
)

pytestmark = [pytest.mark.docker, pytest.mark.slow]

BASE = "tao-deploy-test/base"
RELEASE = "tao-deploy-test/release"
KEY = "arm" if platform.machine() in ("aarch64", "arm64") else "x86"
PARTS = (".dockerignore", "LICENSE", "README.md", "docker", "nvidia_tao_deploy", "pyproject.toml", "release", "runner")
USER_ID = pwd.getpwnam(OTHER_USER).pw_uid


@dataclass(frozen=True)
class Tree:
    """A copy of the source tree with a manifest for the test registry, owned by OTHER_USER."""

    top: Path
    home: Path
    registry: str
    index: str
    base_image: str

    def script(
        self, script: str, *arguments: str, prefix: list[str] | None = None, **env: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a script of the tree; both outputs are in `stdout`."""
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        environment = {"PATH": path, "HOME": str(self.home), "USER": "tester", "PIP_INDEX_URL": self.index, **env}
        return subprocess.run(
            [*(prefix or []), self.top / script, *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=420,
        )

    @property
    def manifest(self) -> dict[str, object]:
        return json.loads((self.top / "docker" / "manifest.json").read_text())

    def files(self) -> set[str]:
        return {str(path.relative_to(self.top)) for path in self.top.rglob("*")}


@pytest.fixture(scope="module")
def standin(registry: str) -> dict[str, str]:
    """The stand-in for NVIDIA's container, and the folder of wheels."""
    need_root()
    for tool in ("debootstrap", "apt-get"):
        need_tool(tool)
    made = subprocess.run(
        [sys.executable, Path(__file__).with_name("standin.py"), REPOSITORY_TOP / "docker" / "requirements-pip.txt"],
        capture_output=True,
        text=True,
        timeout=580,
    )
    assert made.returncode == 0, made.stderr
    return json.loads(made.stdout)


@pytest.fixture(scope="module")
def index(standin: dict[str, str]) -> Iterator[str]:
    """A package index on the loopback interface; always the same port if it is free, for the engine's layer cache."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *arguments: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=standin["index"])
    try:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 38417), handler)
    except OSError:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    with server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/simple/"
        server.shutdown()


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory, registry: str, standin: dict[str, str], index: str) -> Tree:
    top = tmp_path_factory.mktemp("containers") / "tree with a space"
    for part in (*PARTS, "setup.py"):
        source, target = REPOSITORY_TOP / part, top / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.digest"))
        else:
            shutil.copy2(source, target)
    content = {"registry": registry, "repository": BASE, "repository_release": RELEASE, "digests": {}}
    (top / "docker" / "manifest.json").write_text(json.dumps(content, indent=2) + "\n")
    home = top.parent / "home"
    home.mkdir()
    for path in (top, home, *top.rglob("*")):
        os.chown(path, USER_ID, USER_ID)
    return Tree(top, home, registry, index, standin["image"])


@pytest.fixture(scope="module")
def built(tree: Tree) -> str:
    """Build and push the base container; returns what build.sh printed."""
    flags = ("--build", "--push", "--base-image", tree.base_image, "--backend", "onnxruntime")
    done = tree.script("docker/build.sh", *flags)
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout


def test_the_manifest_names_what_the_registry_has(tree: Tree, built: str) -> None:
    assert set(tree.manifest["digests"]) == {KEY}  # type: ignore[call-overload]
    digest = tree.manifest["digests"][KEY]  # type: ignore[index]
    request = urllib.request.Request(
        f"http://{tree.registry}/v2/{BASE}/manifests/{digest}",
        headers={"Accept": "application/vnd.docker.distribution.manifest.v2+json"},
    )
    with urllib.request.urlopen(request) as answer:
        assert answer.headers["Docker-Content-Digest"] == digest
    assert f'+    "{KEY}": "{digest}"' in built
    assert (tree.top / "docker" / f"{KEY}.digest").read_text() == f"{tree.registry}/{BASE}@{digest}\n"
    with urllib.request.urlopen(f"http://{tree.registry}/v2/{BASE}/tags/list") as answer:
        tags = json.load(answer)["tags"]
    assert any(tag.startswith("tester-20") and len(tag) == len("tester-202611230000") for tag in tags)


def test_build_checks_what_it_built(tree: Tree, built: str) -> None:
    # The stand-in has no TensorRT: as a container for GPUs it must be refused.
    before = docker("image", "inspect", "--format", "{{.Id}}", f"{tree.registry}/{BASE}:tester")
    done = tree.script("docker/build.sh", "--build", "--base-image", tree.base_image, "--backend", "tensorrt")
    assert done.returncode != 0
    assert "check_image: import tensorrt: ModuleNotFoundError" in done.stdout
    assert "import cuda" not in done.stdout
    assert docker("image", "inspect", "--format", "{{.Id}}", f"{tree.registry}/{BASE}:tester") == before


def test_failed_push_changes_nothing(tree: Tree, built: str) -> None:
    path = tree.top / "docker" / "manifest.json"
    before = path.read_text()
    name = f"localhost:1/{BASE}:tester"
    docker("tag", f"{tree.registry}/{BASE}:tester", name)
    try:
        path.write_text(before.replace(tree.registry, "localhost:1"))
        done = tree.script("docker/build.sh", "--push")
        assert done.returncode == 1
        assert "docker login localhost:1" in done.stdout and "manifest.json is unchanged" in done.stdout
        assert path.read_text() == before.replace(tree.registry, "localhost:1")
    finally:
        path.write_text(before)
        dated = docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", f"localhost:1/{BASE}")
        remove_images(*dated.split())


def test_push_without_a_build(tree: Tree) -> None:
    done = tree.script("docker/build.sh", "--push", USER="somebody-else")
    assert done.returncode == 1
    assert "there is no image" in done.stdout and "--build" in done.stdout


def test_base_container(tree: Tree, built: str) -> None:
    image = f"{tree.registry}/{BASE}:tester"
    script = 'echo "$TAO_DEPLOY_BACKEND"; command -v sudo || echo no sudo; mpirun --allow-run-as-root -n 2 echo rank'
    assert docker("run", "--rm", image, "sh", "-c", script).split("\n") == ["onnxruntime", "no sudo", "rank", "rank"]


@pytest.fixture(scope="module")
def pictures(tree: Tree) -> Path:
    """A model and labelled pictures on a volume that OTHER_USER may write to."""
    sys.path.insert(0, str(REPOSITORY_TOP / "examples"))
    try:
        from fashion_mnist import data
    finally:
        sys.path.pop(0)
    volume = tree.top.parent / "volume"
    data.unpack(volume / "images", 20)
    shutil.copy(data.MODEL, volume / "model.onnx")
    (volume / "spec.yaml").write_text(
        """\
results_dir: /volume/results
dataset:
  root_dir: /volume
  num_classes: 10
  batch_size: 16
  img_size: 112
  augmentation: {mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}
  test_dataset: {images_dir: /volume/images}
gen_trt_engine:
  onnx_file: /volume/model.onnx
  trt_engine: /volume/results/model.engine
  input_width: 112
  input_height: 112
  tensorrt: {data_type: FP32, min_batch_size: 1, opt_batch_size: 16, max_batch_size: 16}
evaluate: {trt_engine: /volume/results/model.engine}
inference: {trt_engine: /volume/results/model.engine}
"""
    )
    for path in (volume, *volume.rglob("*")):
        os.chown(path, USER_ID, USER_ID)
    return volume


def test_the_real_thing(tree: Tree, built: str, pictures: Path) -> None:
    """An engine, its accuracy and predictions, made in the container by the launcher, owned by the caller."""
    launcher = Launcher(console_script(), tree.home, tree.top)
    flags = ("--run_as_user", "--volume", f"{pictures}:/volume", "--", "classification_pyt")
    user = as_other_user(docker_group())
    before = tree.files()
    for task in ("gen_trt_engine", "evaluate", "inference"):
        done = launcher.run(*flags, task, "-e", "/volume/spec.yaml", prefix=user, timeout=240)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    results = pictures / "results"
    assert {path.stat().st_uid for path in (results, *results.rglob("*"))} == {USER_ID}
    figures = json.loads((results / "trt_evaluate" / "results.json").read_text())
    assert figures["num_samples"] == 200
    assert figures["top_k_accuracy"] > 0.85
    with (results / "trt_inference" / "result.csv").open() as file:
        rows = list(csv.reader(file))
    assert len(rows) == 200
    right = sum(Path(row[0]).parent.name == row[1] for row in rows)
    assert right / len(rows) > 0.85
    assert {(tree.top / name).stat().st_uid for name in tree.files() - before} <= {USER_ID}


def test_a_failing_command_fails_the_launcher(tree: Tree, built: str, pictures: Path) -> None:
    launcher = Launcher(console_script(), tree.home, tree.top)
    done = launcher.run("--", "classification_pyt", "evaluate", "-e", "/nowhere.yaml")
    assert done.returncode == 2
    assert "/nowhere.yaml" in done.stderr + done.stdout
    # This container ran as root: its compiled files would be in the way of everybody else who uses the tree.
    compiled = [path for path in (tree.top / "nvidia_tao_deploy").rglob("*.pyc") if path.stat().st_uid == 0]
    assert not compiled


def test_release(tree: Tree, built: str) -> None:
    """The wheel comes from the base container, belongs to the caller, and is all that is new in the tree."""
    prefix = as_other_user(docker_group())
    (tree.top / "build" / "lib" / "nvidia_tao_deploy").mkdir(parents=True)
    (tree.top / "build" / "lib" / "nvidia_tao_deploy" / "stale.py").write_text("")
    before = tree.files()
    done = tree.script("release/docker/deploy.sh", "--wheel", "--build", prefix=prefix)
    assert done.returncode == 0, done.stdout[-3000:]
    version = subprocess.run(
        [sys.executable, "-c", "import runpy; print(runpy.run_path('version.py')['__version__'])"],
        cwd=tree.top / "release" / "python",
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    new = {name for name in tree.files() - before if "__pycache__" not in name}
    assert new == {"dist", f"dist/nvidia_tao_deploy-{version}-py3-none-any.whl"}
    wheel = tree.top / "dist" / f"nvidia_tao_deploy-{version}-py3-none-any.whl"
    assert wheel.stat().st_uid == USER_ID
    listing = subprocess.run([sys.executable, "-m", "zipfile", "-l", wheel], capture_output=True, text=True).stdout
    assert "nvidia_tao_deploy/cli.py" in listing and "tao_deploy/__main__.py" in listing and "stale" not in listing
    image = f"{tree.registry}/{RELEASE}:{version}"
    assert docker("run", "--rm", image, "classification_pyt", "--help").startswith("usage: classification_pyt")
    where = docker("run", "--rm", image, "python3", "-c", "import nvidia_tao_deploy as n; print(n.__file__)")
    assert "dist-packages" in where or "site-packages" in where
    shell = subprocess.run(["docker", "run", "--rm", image], capture_output=True, text=True, check=True)
    assert shell.stdout == "" and f"TAO Deploy {version}" in shell.stderr and "onnxruntime" in shell.stderr
    ran = tree.script("release/docker/deploy.sh", "--run", "--gpus", "none", "--", "sh", "-c", "exit 6", prefix=prefix)
    assert ran.returncode == 6, ran.stdout
    assert (tree.home / "tao-experiments").is_dir()


def test_release_without_a_wheel(tree: Tree, built: str, tmp_path: Path) -> None:
    shutil.copytree(tree.top, tmp_path / "copy", ignore=shutil.ignore_patterns("dist", "build"))
    copy = Tree(tmp_path / "copy", tree.home, tree.registry, tree.index, tree.base_image)
    done = copy.script("release/docker/deploy.sh", "--build")
    assert done.returncode == 1
    assert "there is no wheel" in done.stdout and "deploy.sh --wheel" in done.stdout
