# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""scripts/lowest_versions.py, which makes the environment of `make test-lowest`, on a package index of files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import REPOSITORY_TOP

SCRIPT = REPOSITORY_TOP / "scripts" / "lowest_versions.py"
HERE = f"cp{sys.version_info.major}{sys.version_info.minor}"
PYTHON = f"CPython {sys.version_info.major}.{sys.version_info.minor}"
INDEX = {
    "plain": ["plain-1.9-py3-none-any.whl", "plain-2.0-py3-none-any.whl", "plain-2.10-py3-none-any.whl"],
    "Odd.Name": ["odd_name-1.2.3-py3-none-any.whl", "odd_name-1.2.4-py3-none-any.whl"],
    "yanked": ["yanked-4.7.0.68-py3-none-any.whl yanked", "yanked-4.7.0.72-py3-none-any.whl"],
    "source": ["source-1.3.0.tar.gz", "source-1.3.0.post4-py3-none-any.whl", "source-1.4-py3-none-any.whl"],
    "python": ["python-1.24.0-cp27-cp27m-any.whl", f"python-1.26.0-{HERE}-none-any.whl"],
    "preview": ["preview-1.0rc1-py3-none-any.whl", "preview-1.0-py3-none-any.whl"],
}


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package index as pip reads it; pip needs only the names of the files to list the versions."""
    top = tmp_path_factory.mktemp("index")
    for name, files in INDEX.items():
        page = top / name.lower().replace(".", "-") / "index.html"
        page.parent.mkdir()
        links = [(file.split()[0], "data-yanked='broken'" if "yanked" in file.split()[1:] else "") for file in files]
        page.write_text("<!DOCTYPE html>" + "".join(f"<a href='{file}' {mark}>{file}</a>\n" for file, mark in links))
    return top


def run(*arguments: str | Path, index: Path | None = None) -> subprocess.CompletedProcess[str]:
    source = {"PIP_INDEX_URL": index.as_uri()} if index else {"PIP_NO_INDEX": "1"}
    return subprocess.run(
        [sys.executable, SCRIPT, *arguments],
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "PIP_CONFIG_FILE": os.devnull, **source},
        capture_output=True,
        text=True,
        timeout=60,
    )


def setup_file(folder: Path, install_requires: object) -> Path:
    path = folder / "setup.py"
    path.write_text(f"from setuptools import setup\nsetup(name='x', install_requires={install_requires!r})\n")
    return path


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("plain>=2", "plain==2.0"),
        ("plain>=1.9,<3", "plain==1.9"),
        ("plain~=2.1", f"plain==2.10  # setup.py allows 2.1, which is yanked or has no wheel for {PYTHON}"),
        ("plain==2.*", "plain==2.0"),
        ("plain>=1.9,>=2", "plain==2.0"),
        ("plain>=2,!=2.0", f"plain==2.10  # setup.py allows 2, which is yanked or has no wheel for {PYTHON}"),
        ("Odd.Name[extra]>=1.2.3", "Odd.Name==1.2.3"),
        ("yanked>=4.7", f"yanked==4.7.0.72  # setup.py allows 4.7, which is yanked or has no wheel for {PYTHON}"),
        ("source>=1.3", f"source==1.3.0.post4  # setup.py allows 1.3, which is yanked or has no wheel for {PYTHON}"),
        ("source>=1.3.0.post4", "source==1.3.0.post4"),
        ("python>=1.24", f"python==1.26.0  # setup.py allows 1.24, which is yanked or has no wheel for {PYTHON}"),
        ("preview>=1.0", "preview==1.0"),
        ("plain>=2; python_version >= '3'", "plain==2.0"),
    ],
)
def test_lowest_version(tmp_path: Path, index: Path, entry: str, expected: str) -> None:
    done = run(setup_file(tmp_path, [entry]), index=index)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{expected}\n", "")


def test_entries_for_other_pythons_are_left_out(tmp_path: Path, index: Path) -> None:
    done = run(setup_file(tmp_path, ["absent>=1; python_version < '3'", "plain>=2"]), index=index)
    assert (done.returncode, done.stdout, done.stderr) == (0, "plain==2.0\n", "")


@pytest.mark.parametrize(
    ("install_requires", "message"),
    [
        (["plain"], "expected a lower bound (>=), found 'plain'"),
        (["plain>=2", "setuptools<81"], "expected a lower bound (>=), found 'setuptools<81'"),
        (["plain>2"], "expected a lower bound (>=), found 'plain>2'"),
        (["plain @ file:///plain-2.0-py3-none-any.whl"], "expected a lower bound (>=), found 'plain @ file:///plain"),
        (["plain >= two"], "expected a requirement such as 'numpy>=1.24', found 'plain >= two'"),
        ([""], "expected a requirement such as 'numpy>=1.24', found ''"),
        ([None], "expected a requirement such as 'numpy>=1.24', found None"),
        ([24], "expected a requirement such as 'numpy>=1.24', found 24"),
        (["plain===2.0"], "expected a lower bound (>=), found 'plain===2.0'"),
        ([], "expected a list of requirements, found []"),
        ("plain>=2", "expected a list of requirements, found 'plain>=2'"),
    ],
)
def test_wrong_requirements(tmp_path: Path, install_requires: object, message: str) -> None:
    path = setup_file(tmp_path, install_requires)
    done = run(path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"lowest_versions: {path}: install_requires: {message}")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import setuptools\nsetuptools.setup(name='x')\n", "install_requires: expected a list of requirements, found"),
        ("version = 1\n", "expected a call of setuptools.setup, found none"),
        ("def broken(:\n", "cannot be run: SyntaxError"),
        ("raise SystemExit('no')\n", "cannot be run: SystemExit: no"),
        (None, "cannot be run: FileNotFoundError"),
    ],
)
def test_wrong_setup_file(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "setup.py"
    if text is not None:
        path.write_text(text)
    done = run(path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"lowest_versions: {path}: {message}")
    assert "Traceback" not in done.stderr


def test_nothing_in_the_range(tmp_path: Path, index: Path) -> None:
    done = run(setup_file(tmp_path, ["plain>=1.9", "plain>=3"]), index=index)
    assert (done.returncode, done.stdout) == (1, "")  # no half of a constraints file
    assert done.stderr == f"lowest_versions: plain>=3: no wheel for {PYTHON} in this range; there are 2.10, 2.0, 1.9\n"


def test_pip_finds_no_package(tmp_path: Path) -> None:
    done = run(setup_file(tmp_path, ["plain>=2"]))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"lowest_versions: plain: pip finds no wheel for {PYTHON}: ")
    assert "No matching distribution found for plain" in done.stderr


@pytest.mark.parametrize("arguments", [[], ["setup.py", "more"]])
def test_wrong_arguments(arguments: list[str]) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"lowest_versions: expected one argument, found {len(arguments)}; see --help\n"


def test_help() -> None:
    done = run("--help")
    assert (done.returncode, done.stderr) == (0, "") and "usage: lowest_versions.py SETUP_PY" in done.stdout
