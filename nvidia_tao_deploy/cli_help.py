# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""What `--help` shows of a network command and of its subtasks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from nvidia_tao_deploy.cli_arguments import CONVERT_SPECS, DEFAULT_SPECS, SUBTASK_HELP, subtasks_of
from nvidia_tao_deploy.spec.flags import BUILD, INFERENCE

if TYPE_CHECKING:
    from nvidia_tao_deploy.network import Network

CODES_AND_ENVIRONMENT = {
    "exit codes": "0 done, 2 command line or spec, 3 data, 4 engine build, 5 engine load or run, 1 other, "
    "130 Ctrl-C, 143 SIGTERM, 129 SIGHUP",
    "environment": "TAO_DEPLOY_BACKEND (tensorrt, tensorrt_rtx, onnxruntime), TAO_DEPLOY_WORKERS (reading threads), "
    "TAO_DEPLOY_THREADS (ONNX Runtime threads), TAO_DEPLOY_FONT (font file for names on pictures), TAO_LOGGING_LEVEL, "
    "CUDA_VISIBLE_DEVICES",
}
LEAST_RIGHT = 30
"""Where a terminal leaves fewer characters than this to the second of two columns, it goes below the first."""
EXAMPLE_WIDTH = 70
"""Examples are broken here in any terminal: a backslash at the end of a line is part of what is typed."""

SPEC, SPEC_HELP = "-e, --experiment_spec_file SPEC", "YAML file, relative to the current folder"
WITH_FLAGS, WITH_FLAGS_HELP = (
    "-e, --experiment_spec FILE",
    "spec: protobuf text, or YAML (.yaml, .yml) with the same keys",
)


def usage(network: Network, subtask: str) -> str:
    """The help text of the command (subtask "") or of one subtask with the keys that it reads."""
    from nvidia_tao_deploy.spec.describe import folded, key_table

    lines = [
        f"usage: {network.name} {subtask or '<subtask>'} {_arguments(network, subtask)}",
        "",
        folded(network.summary[:1].upper() + network.summary[1:] + "."),
        "",
    ]
    if subtask:
        lines.append(folded(f"{subtask}: {SUBTASK_HELP[subtask]}"))
    else:
        lines += ["subtasks:", *aligned({name: SUBTASK_HELP[name] for name in subtasks_of(network)})]
        what = "options and spec keys" if network.flags else "spec keys"
        lines += ["", folded(f"'{network.name} <subtask> --help' lists the {what} of a subtask.")]
    if examples := [line for task in network.subtasks if subtask in ("", task) for line in _example(network, task)]:
        lines += ["", "example:", *examples]
    lines += ["", "options:", *aligned(_options(network, subtask)), ""]
    lines += [folded(f"{name}: {text}", len(name) + 2) for name, text in CODES_AND_ENVIRONMENT.items()]
    if subtask in network.subtasks:
        lines += ["", "spec keys:", key_table(network.schema, subtask)]
    return "\n".join(lines)


def aligned(rows: Mapping[str, str]) -> list[str]:
    """Two columns, indented by two; the second one in lines of its own where the terminal is too narrow for both."""
    from nvidia_tao_deploy.spec.describe import folded, terminal_width

    width = max(map(len, rows))
    if terminal_width() - width - 4 >= LEAST_RIGHT:
        return [folded(f"  {left.ljust(width)}  {right}", width + 4) for left, right in rows.items()]
    return [line for left, right in rows.items() for line in (f"  {left}", folded(f"      {right}", 6))]


def _example(network: Network, subtask: str) -> list[str]:
    """A command line as it is typed, an option and its value on one line."""
    if not network.flags:
        return [f"  {network.name} {subtask} -e spec.yaml"]
    parts = ["-m model.onnx" if subtask == BUILD else "-m model.engine"]
    parts += [] if subtask in network.without_spec else ["-e spec.txt"]
    parts += ["-r results"]
    parts += ["--engine_file model.engine"] if subtask == BUILD else []
    parts += ["-i pictures"] if subtask == INFERENCE else []
    lines = [f"  {network.name} {subtask}"]
    for part in parts:
        if len(f"{lines[-1]} {part} \\") <= EXAMPLE_WIDTH:
            lines[-1] += f" {part}"
        else:
            lines[-1] += " \\"
            lines.append(f"      {part}")
    return lines


def _arguments(network: Network, subtask: str) -> str:
    if subtask == CONVERT_SPECS:
        return "OLD.txt NEW.yaml"
    if subtask == DEFAULT_SPECS:
        return "results_dir=FOLDER"
    return f"{'[options]' if network.flags else '-e SPEC'} [key=value ...]"


def _options(network: Network, subtask: str) -> dict[str, str]:
    """Option -> meaning; for "" those that every subtask has."""
    rows = {}
    if subtask not in (DEFAULT_SPECS, CONVERT_SPECS):
        rows = {WITH_FLAGS: WITH_FLAGS_HELP} if network.flags else {SPEC: SPEC_HELP}
    if network.flags:
        from nvidia_tao_deploy.cli_flags import option_help

        rows |= option_help(network, subtask)
    if subtask == DEFAULT_SPECS:
        rows["results_dir=FOLDER"] = "folder of the file, experiment.yaml"
    elif subtask != CONVERT_SPECS:
        rows["key=value"] = "replaces a key of the spec; lists as key=[a,b], null as key=null"
    return {**rows, "-h, --help": "this text"}
