# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Fixtures for all tests; the functions behind them are in `tests/makers.py`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests import makers

settings.register_profile("ours", deadline=None)  # tests share the machine: how long one takes says nothing
settings.load_profile("ours")

GPU_TESTS = Path(__file__).parent / "gpu"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """The tests for a GPU run when they are named (the folder, or something in it), never as a part of `tests`."""
    if collection_path != GPU_TESTS:
        return None
    named = [(config.invocation_params.dir / arg.split("::")[0]).resolve() for arg in config.args]
    return None if any(path.is_relative_to(GPU_TESTS) for path in named) else True


@pytest.fixture
def run_command() -> Callable[..., makers.Ran]:
    """`run_command(network, subtask, *args)` in a process of its own; the result has `code`, `out`, `err`."""
    return makers.run_command


@pytest.fixture
def run_here() -> Callable[..., makers.Ran]:
    """As `run_command`, in this process."""
    return makers.run_here


@pytest.fixture
def logging_as_before() -> Iterator[None]:
    """Undo what a command does to logging."""
    with makers.logging_as_before():
        yield


def shared_folder() -> Path:
    """Sample specs and data that are not in the repository: TAO_DEPLOY_SHARED, else `../shared` beside it."""
    return Path(os.environ.get("TAO_DEPLOY_SHARED") or makers.ROOT.parent / "shared")


@pytest.fixture
def sample_specs() -> Callable[[str, str], Path]:
    """`sample_specs(release, network)`: the folder with users' sample specs; skips the test when there is none."""

    def find(release: str, network: str) -> Path:
        folder = shared_folder() / "data" / "specs" / release / network
        if not folder.is_dir():
            pytest.skip(f"no sample specs: {folder} is not there (TAO_DEPLOY_SHARED names the folder)")
        return folder

    return find


class ColourJob:
    """A classification_pyt job on the tiny model: three colours, three pictures each, a spec file."""

    def __init__(self, root: Path, **model: object) -> None:
        self.root = root
        self.model = makers.tiny_model(root / "model.onnx", **model)  # type: ignore[arg-type]
        self.images = makers.colour_folders(root / "images")
        self.engine = root / "tiny.engine"
        self.results = root / "results"
        self.spec = makers.write_yaml(root / "spec.yaml", self.tree())

    def tree(self) -> dict[str, object]:
        return {
            "results_dir": str(self.results),
            "dataset": {"test_dataset": {"images_dir": str(self.images)}, "batch_size": 4},
            "gen_trt_engine": {
                "onnx_file": str(self.model),
                "trt_engine": str(self.engine),
                "tensorrt": {"max_batch_size": 4},
            },
            "evaluate": {"trt_engine": str(self.model)},
            "inference": {"trt_engine": str(self.model)},
        }

    def run(self, subtask: str, *overrides: object) -> makers.Ran:
        """In this process."""
        return makers.run_here("classification_pyt", subtask, "-e", self.spec, *overrides)

    def status(self, subtask: str) -> list[dict[str, object]]:
        folder = {"evaluate": "trt_evaluate", "inference": "trt_inference"}.get(subtask, subtask)
        return makers.status_lines(self.results / folder)


@pytest.fixture
def colours(tmp_path: Path) -> ColourJob:
    return ColourJob(tmp_path)
