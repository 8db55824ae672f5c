#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Print a pip constraints file with the lowest version of each run-time dependency that setup.py allows.

usage: lowest_versions.py SETUP_PY

A version counts where pip would take it as a wheel for the Python that runs this: not yanked, not a pre-release, not a
source archive. Where that excludes the bound itself, a comment behind the version says so.

Exit status: 1 if the package index has no such version, 2 for wrong input.
"""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path
from unittest import mock

import setuptools
from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import Version

PYTHON = f"CPython {sys.version_info.major}.{sys.version_info.minor}"


class WrongInput(Exception):
    """setup.py, or what it declares, is not what this program can read."""


class NothingFound(Exception):
    """The package index has no version in the range."""


def declared(setup_py: Path) -> dict[str, object]:
    """The keyword arguments with which a setup.py calls `setuptools.setup`.

    Raises:
        WrongInput: it cannot be run, or does not call `setup`.
    """
    with mock.patch.object(setuptools, "setup") as setup:
        try:
            runpy.run_path(str(setup_py))
        except (Exception, SystemExit) as error:
            raise WrongInput(f"{setup_py}: cannot be run: {type(error).__name__}: {error}") from error
    if setup.call_args is None:
        raise WrongInput(f"{setup_py}: expected a call of setuptools.setup, found none")
    return dict(setup.call_args.kwargs)


def parse(entry: object) -> tuple[Requirement, Version]:
    """An entry of install_requires and its lower bound.

    Raises:
        WrongInput: it is no requirement with a lower bound.
    """
    if not isinstance(entry, str):
        raise WrongInput(f"expected a requirement such as 'numpy>=1.24', found {entry!r}")
    try:
        requirement = Requirement(entry)
    except InvalidRequirement as error:
        raise WrongInput(f"expected a requirement such as 'numpy>=1.24', found {entry!r}: {error}") from error
    bounds = [part.version.removesuffix(".*") for part in requirement.specifier if part.operator in (">=", "~=", "==")]
    if not bounds:
        raise WrongInput(f"expected a lower bound (>=), found {entry!r}: add the lowest version that works")
    return requirement, max(map(Version, bounds))


def run_time_requirements(setup_py: Path) -> list[tuple[Requirement, Version]]:
    """The entries of install_requires that hold for this Python, each with its lower bound.

    Raises:
        WrongInput: the file or an entry cannot be read; the message names the file and the key.
    """
    entries = declared(setup_py).get("install_requires")
    where = f"{setup_py}: install_requires"
    if not isinstance(entries, list) or not entries:
        raise WrongInput(f"{where}: expected a list of requirements, found {entries!r}")
    try:
        parsed = [parse(entry) for entry in entries]
    except WrongInput as error:
        raise WrongInput(f"{where}: {error}") from error
    return [(needed, bound) for needed, bound in parsed if needed.marker is None or needed.marker.evaluate()]


def wheels(name: str) -> list[str]:
    """The versions of a package that pip would install as a wheel on this Python.

    Raises:
        NothingFound: pip knows none, or does not reach its index; the message is pip's.
    """
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "index", "versions"]
    done = subprocess.run(
        [*command, "--only-binary", ":all:", name], capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    line = re.search(r"^Available versions: (.+)$", done.stdout, re.MULTILINE)
    if done.returncode or line is None:
        raise NothingFound(f"{name}: pip finds no wheel for {PYTHON}: {(done.stderr or done.stdout).strip()}")
    return [version.strip() for version in line[1].split(",")]


def constraint(requirement: Requirement, bound: Version) -> str:
    """The line of the constraints file for one requirement.

    Raises:
        NothingFound: no wheel is in the range.
    """
    versions = wheels(requirement.name)
    allowed = sorted(requirement.specifier.filter(versions), key=Version)
    if not allowed:
        raise NothingFound(f"{requirement}: no wheel for {PYTHON} in this range; there are {', '.join(versions)}")
    line = f"{requirement.name}=={allowed[0]}"
    if Version(allowed[0]) == bound:
        return line
    return f"{line}  # setup.py allows {bound}, which is yanked or has no wheel for {PYTHON}"


def main(arguments: list[str]) -> int:
    """Print the constraints; 0, or 1 or 2 after a message on what is wrong."""
    if arguments in (["-h"], ["--help"]):
        print(__doc__)
        return 0
    if len(arguments) != 1:
        print(f"lowest_versions: expected one argument, found {len(arguments)}; see --help", file=sys.stderr)
        return 2
    try:
        lines = [constraint(*entry) for entry in run_time_requirements(Path(arguments[0]))]
    except (WrongInput, NothingFound) as error:
        print(f"lowest_versions: {error}", file=sys.stderr)
        return 2 if isinstance(error, WrongInput) else 1
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
