#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Run at the end of an image's build: fails if a required package is missing, too old or cannot be imported.

usage: check_image.py BACKEND REQUIREMENTS_FILE...

BACKEND is `tensorrt` (TensorRT's and CUDA's Python bindings must import) or `onnxruntime`.
"""

from __future__ import annotations

import importlib
import sys
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

TOOLS = {"pytest", "pytest-timeout", "pytest-xdist", "hypothesis", "wheel", "setuptools", "mpi4py"}
"""Not imported here: tools are not part of the product, and mpi4py wants an MPI that may come from elsewhere."""


def read_requirements(path: Path) -> list[Requirement]:
    """The requirements of a file, without its comments."""
    lines = (line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [Requirement(line) for line in lines if line]


def unmet(requirements: list[Requirement]) -> list[str]:
    """One line for each requirement, direct or indirect, that the installed packages do not meet."""
    problems, queue, seen = [], [(requirement, "requirements") for requirement in requirements], set()
    while queue:
        requirement, wanted_by = queue.pop()
        if str(requirement) in seen or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        seen.add(str(requirement))
        try:
            found = distribution(requirement.name)
        except PackageNotFoundError:
            problems.append(f"{requirement} is not installed (wanted by {wanted_by})")
            continue
        if not requirement.specifier.contains(found.version, prereleases=True):
            problems.append(f"{requirement} wanted by {wanted_by}, but {found.version} is installed")
        queue += [(Requirement(text), requirement.name) for text in found.requires or []]
    return problems


def import_failures(modules: list[str]) -> list[str]:
    """One line for each module that cannot be imported."""
    problems = []
    for module in modules:
        try:
            importlib.import_module(module)
        except Exception as error:
            problems.append(f"import {module}: {type(error).__name__}: {error}")
    return problems


def modules_of(requirements: list[Requirement]) -> list[str]:
    """The importable top-level modules of the required packages."""
    wanted = {canonicalize_name(requirement.name) for requirement in requirements} - TOOLS
    return sorted(
        module
        for module, owners in packages_distributions().items()
        if not module.startswith("_") and wanted & {canonicalize_name(owner) for owner in owners}
    )


def gpu_modules() -> list[str]:
    """TensorRT's and CUDA's bindings; `cuda.bindings` is the name since cuda-python 12.6."""
    try:
        importlib.import_module("cuda.bindings")
    except ImportError:
        return ["tensorrt", "cuda.cuda", "cuda.cudart"]
    return ["tensorrt", "cuda.bindings.driver", "cuda.bindings.runtime"]


def main(backend: str, files: list[str]) -> int:
    """Check the image; 0 if it is sound, 1 after the problems were printed."""
    if backend not in ("tensorrt", "onnxruntime"):
        print(f"check_image: unknown backend '{backend}': expected tensorrt or onnxruntime", file=sys.stderr)
        return 2
    requirements = [requirement for file in files for requirement in read_requirements(Path(file))]
    modules = modules_of(requirements) + (gpu_modules() if backend == "tensorrt" else [])
    problems = unmet(requirements) + import_failures(modules)
    for problem in problems:
        print(f"check_image: {problem}", file=sys.stderr)
    if not problems:
        print(f"check_image: {len(requirements)} requirements are met; {len(modules)} modules import")
    return 1 if problems else 0


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2:]))
