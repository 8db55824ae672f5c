# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Who may import whom, read from the source; and what a start of the program imports.

    cli -> tasks -> (pipeline, engine) -> (graph, data, transforms, decode, metrics, render, spec) -> vocabulary

The vocabulary is what all parts speak: declarations and value types without logic of a layer. Networks use the parts
below `tasks` that a declaration is made of, and only the registry names them.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nvidia_tao_deploy import registry
from tests.makers import ROOT, environment

PACKAGE = "nvidia_tao_deploy"
VOCABULARY = {
    "errors", "predictions", "network", "signature", "engine.contract", "files", "environment", "version",
}  # fmt: skip
PARTS = {"graph", "data", "transforms", "decode", "metrics", "render", "spec"}
LAYERS: dict[str, set[str]] = {
    # layer -> the layers that it may import besides itself
    "vocabulary": set(),
    "parts": {"vocabulary"},
    "output": {"vocabulary"},
    "running": {"vocabulary", "parts", "output"},
    "networks": {"vocabulary", "parts"},
    "registry": set(),
    "tasks": {"vocabulary", "parts", "output", "running"},
    "front": {"vocabulary", "parts", "output", "registry", "tasks"},
}


def layer(module: str) -> str:
    head = module.split(".")[0]
    if module in VOCABULARY or module == "":
        return "vocabulary"
    if head in PARTS:
        return "parts"
    table = {
        "logs": "output", "signals": "output", "streams": "output", "status": "output", "status_callback": "output",
        "engine": "running", "pipeline": "running",
        "networks": "networks", "registry": "registry", "tasks": "tasks",
        "cli": "front", "cli_arguments": "front", "cli_flags": "front", "cli_help": "front",
        "cli_agnostic": "front", "entry": "front", "__main__": "front",
    }  # fmt: skip
    return table[head]


def modules() -> dict[str, Path]:
    """Name below the package -> file."""
    root = ROOT / PACKAGE
    found = {}
    for path in root.rglob("*.py"):
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(tree: ast.AST, known: dict[str, Path]) -> Iterator[str]:
    """Modules of ours that a file imports at run time, inside functions too; `if TYPE_CHECKING` does not count."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from (name.name.removeprefix(f"{PACKAGE}.") for name in node.names if name.name.startswith(PACKAGE))
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import in line {node.lineno}"
            if node.module and node.module.split(".")[0] == PACKAGE:
                base = node.module.removeprefix(PACKAGE).lstrip(".")
                for name in node.names:
                    deeper = f"{base}.{name.name}".lstrip(".")
                    yield deeper if deeper in known else base
        else:
            yield from imports(node, known)


@pytest.mark.parametrize("module", sorted(modules()))
def test_direction(module: str) -> None:
    known = modules()
    own = layer(module)
    allowed = LAYERS[own] | {own}
    for target in imports(ast.parse(known[module].read_text(encoding="utf-8")), known):
        assert layer(target) in allowed, f"{module} ({own}) imports {target} ({layer(target)})"


def test_the_check_sees_imports() -> None:
    known = modules()
    found = set(imports(ast.parse(known["cli"].read_text(encoding="utf-8")), known))
    assert {"registry", "errors", "spec.compose", "tasks.context", "logs"} <= found


def test_networks_do_not_know_the_backends() -> None:
    """They say what they want of `engine.backends`; only the search for layers makes models for ONNX Runtime."""
    known = modules()
    named = {
        name: {".".join(target.split(".")[:2]) for target in imports(ast.parse(path.read_text("utf-8")), known)}
        & {"engine.tensorrt", "engine.onnxruntime"}
        for name, path in known.items()
        if name.split(".")[0] in ("networks", "tasks", "pipeline")
    }
    assert {name: found for name, found in named.items() if found} == {"tasks.layer_variants": {"engine.onnxruntime"}}
    for name in named:
        text = known[name].read_text(encoding="utf-8")
        assert "import tensorrt" not in text and "import onnxruntime" not in text, name


HEAVY = {"numpy", "onnx", "onnxruntime", "tensorrt", "cuda", "cv2", "PIL", "hydra", "omegaconf", "rich", "torch"}


def imported(*arguments: str) -> set[str]:
    """Top-level packages that are in sys.modules after a command line that ends by itself."""
    code = (
        "import sys\nfrom nvidia_tao_deploy.cli import run_module\n"
        f"code = run_module({list(arguments)!r})\n"
        "print('IMPORTED', code, *sorted({name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    words = done.stdout.splitlines()[-1].split()
    assert words[:2] == ["IMPORTED", "0"]
    return set(words[2:])


@pytest.mark.parametrize("command", list(registry.NETWORKS))
@pytest.mark.parametrize("subtask", ["", "gen_trt_engine"])
def test_help_imports_nothing_heavy(command: str, subtask: str) -> None:
    assert not imported(command, *([subtask] if subtask else []), "--help") & HEAVY


def test_a_list_of_networks_imports_no_network() -> None:
    assert not imported() & HEAVY


def test_a_wrong_key_needs_no_engine(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text("evaluate: {zzz: 1}")
    code = (
        "import sys\nfrom nvidia_tao_deploy.cli import main\n"
        f"assert main('classification_pyt', ['evaluate', '-e', {str(tmp_path / 'spec.yaml')!r}]) == 2\n"
        "print(*sorted({name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & {"numpy", "onnx", "onnxruntime", "cv2", "tensorrt", "cuda"}
