# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""The network of docs/adding-a-network.md, as it is printed there."""

from __future__ import annotations

import ast
import json
import re
import sys
import types
from collections.abc import Iterator

import pytest

from nvidia_tao_deploy import registry
from tests import makers
from tests.conftest import ColourJob

PAGE = makers.ROOT / "docs" / "adding-a-network.md"
MODULE = "nvidia_tao_deploy.networks.toy"


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The page's module and its line in the registry."""
    source, line = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    module = types.ModuleType(MODULE)
    monkeypatch.setitem(sys.modules, MODULE, module)  # dataclasses look their module up
    exec(compile(source, str(PAGE), "exec"), module.__dict__)
    for name, entry in ast.literal_eval("{" + line.strip() + "}").items():
        monkeypatch.setitem(registry.NETWORKS, name, entry)
    yield


@pytest.mark.usefixtures("toy")
def test_the_printed_network_runs(colours: ColourJob) -> None:
    tree = {**colours.tree(), "dataset": {"images_dir": str(colours.images), "workers": 8}}
    spec = makers.write_yaml(colours.root / "toy.yaml", tree)
    for subtask in ("gen_trt_engine", "evaluate", "inference"):
        override = () if subtask == "gen_trt_engine" else (f"{subtask}.trt_engine={colours.engine}",)
        ran = makers.run_here("toy", subtask, "-e", spec, *override)
        assert ran.code == 0, ran.text
    results = json.loads((colours.results / "trt_evaluate" / "results.json").read_text())
    assert results["top_k_accuracy"] == 1.0 and results["num_samples"] == 9
    rows = (colours.results / "trt_inference" / "result.csv").read_text().splitlines()
    assert len(rows) == 9 and all(row.split(",")[1] in row.split(",")[0] for row in rows)


@pytest.mark.usefixtures("toy")
def test_it_has_help_and_default_specs(colours: ColourJob) -> None:
    ran = makers.run_here("toy", "evaluate", "--help")
    assert ran.code == 0 and "dataset.img_size" in ran.out and "Image classification, an example." in ran.out
    ran = makers.run_here("toy", "default_specs", f"results_dir={colours.root}")
    assert ran.code == 0 and "img_size: 224" in (colours.root / "experiment.yaml").read_text()
