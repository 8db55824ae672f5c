# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""What `--help` shows of a network command and of its subtasks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from nvidia_tao_deploy.cli_arguments import CONVERT_SPECS, DEFAULT_SPECS, SUBTASK_HELP, subtasks_of

if TYPE_CHECKING:
    from nvidia_tao_deploy.network import Network

CODES_AND_ENVIRONMENT = """\
exit codes: 0 done, 2 command line or spec, 3 data, 4 engine build, 5 engine load or run, 1 other,
            130 Ctrl-C, 143 SIGTERM, 129 SIGHUP
environment: TAO_DEPLOY_BACKEND (tensorrt, tensorrt_rtx, onnxruntime), TAO_DEPLOY_WORKERS (reading threads),
             TAO_DEPLOY_THREADS (ONNX Runtime threads), TAO_LOGGING_LEVEL, CUDA_VISIBLE_DEVICES"""


SPEC, SPEC_HELP = "-e, --experiment_spec_file SPEC", "YAML file, relative to the current folder"
WITH_FLAGS, WITH_FLAGS_HELP = (
    "-e, --experiment_spec FILE",
    "spec: protobuf text, or YAML (.yaml, .yml) with the same keys",
)


def usage(network: Network, subtask: str) -> str:
    """The help text of the command (subtask "") or of one subtask with the keys that it reads."""
    from nvidia_tao_deploy.spec.describe import key_table

    lines = [
        f"usage: {network.name} {subtask or '<subtask>'} {_arguments(network, subtask)}",
        "",
        network.summary[:1].upper() + network.summary[1:] + ".",
        "",
    ]
    if subtask:
        lines.append(f"{subtask}: {SUBTASK_HELP[subtask]}")
    else:
        lines += ["subtasks:", *aligned({name: SUBTASK_HELP[name] for name in subtasks_of(network)})]
        lines += ["", f"'{network.name} <subtask> --help' lists the spec keys of a subtask."]
    lines += ["", "options:", *aligned(_options(network, subtask)), "", CODES_AND_ENVIRONMENT]
    if subtask in network.subtasks:
        lines += ["", "spec keys:", key_table(network.schema, subtask)]
    return "\n".join(lines)


def aligned(rows: Mapping[str, str]) -> list[str]:
    """Two columns, indented by two."""
    width = max(map(len, rows))
    return [f"  {left.ljust(width)}  {right}" for left, right in rows.items()]


def _arguments(network: Network, subtask: str) -> str:
    if subtask == CONVERT_SPECS:
        return "OLD.txt NEW.yaml"
    if subtask == DEFAULT_SPECS:
        return "results_dir=FOLDER"
    return f"{'[options]' if network.flags else '-e SPEC'} [key=value ...]"


def _options(network: Network, subtask: str) -> dict[str, str]:
    """Option -> meaning; those of all subtasks for ""."""
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
