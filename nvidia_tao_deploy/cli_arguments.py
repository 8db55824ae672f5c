# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""The command line of a network command, and its help texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nvidia_tao_deploy.errors import SpecError, did_you_mean

if TYPE_CHECKING:
    from nvidia_tao_deploy.network import Network

DEFAULT_SPECS = "default_specs"
SPEC_OPTION = "--experiment_spec_file"
SUBTASK_HELP = {
    "gen_trt_engine": "build an engine from an ONNX model",
    "evaluate": "measure an engine's accuracy on labelled data",
    "inference": "write an engine's predictions on pictures",
    DEFAULT_SPECS: "write a spec file with every key and its default (needs results_dir=FOLDER)",
}


@dataclass(frozen=True, slots=True)
class Arguments:
    """A parsed command line.

    Attributes:
        subtask: "" only with `help`.
        spec: path of the spec file, or None.
        overrides: in Hydra's grammar.
        help: whether help was asked for.
    """

    subtask: str
    spec: str | None
    overrides: tuple[str, ...]
    help: bool


def parse(network: Network, argv: Sequence[str]) -> Arguments:
    """Read a command line; the subtask may stand anywhere before the overrides.

    Raises:
        SpecError: unknown subtask or option, two specs, no spec.
    """
    subtasks = (*network.subtasks, DEFAULT_SPECS)
    subtask, spec, overrides, wants_help = "", None, [], False
    words = iter(argv)
    for word in words:
        name, equals, value = _option(word)
        if word in ("-h", "--help"):
            wants_help = True
        elif name == "-e" or (len(name) > len("--e") and SPEC_OPTION.startswith(name)):  # as argparse: abbreviated
            path = value if equals else next(words, None)
            if not path:
                raise SpecError(f"{name} needs the path of a spec file")
            if spec is not None:
                raise SpecError(f"two spec files are given: {spec} and {path}")
            spec = path
        elif word.startswith("-"):
            raise SpecError(f"unknown option {word}", did_you_mean(word, ("-e", SPEC_OPTION, "--help")))
        elif equals or word.startswith("~"):
            overrides.append(word)
        elif not subtask:
            if word not in subtasks:
                hint = did_you_mean(word, subtasks) or f"Subtasks: {', '.join(subtasks)}"
                raise SpecError(f"unknown subtask '{word}'", hint)
            subtask = word
        else:
            raise SpecError(f"'{word}' is neither an option nor an override; overrides are written key=value")
    if wants_help or not argv:
        return Arguments(subtask, spec, tuple(overrides), True)
    if not subtask:
        raise SpecError("no subtask is given", f"Subtasks: {', '.join(subtasks)}")
    if spec is None and subtask != DEFAULT_SPECS:
        raise SpecError(f"{subtask} needs a spec file: -e SPEC", f"'{network.name} {subtask} --help' lists its keys.")
    return Arguments(subtask, spec, tuple(overrides), False)


def _option(word: str) -> tuple[str, bool, str]:
    """(name, whether a value is attached, the value) of '--name=value', '-e=value' and '-evalue'."""
    if word.startswith("-e") and len(word) > len("-e"):
        return "-e", True, word[len("-e") :].removeprefix("=")
    name, equals, value = word.partition("=")
    return name, bool(equals), value


def usage(network: Network, subtask: str) -> str:
    """The help text of the command (subtask "") or of one subtask with the keys that it reads."""
    from nvidia_tao_deploy.spec.describe import key_table

    shown = subtask or "<subtask>"
    lines = [
        f"usage: {network.name} {shown} -e SPEC [key=value ...]",
        "",
        network.summary[:1].upper() + network.summary[1:] + ".",
        "",
    ]
    if not subtask:
        lines.append("subtasks:")
        lines += [f"  {name:15} {SUBTASK_HELP[name]}" for name in (*network.subtasks, DEFAULT_SPECS)]
        lines += ["", f"'{network.name} <subtask> --help' lists the spec keys of a subtask.", ""]
    else:
        lines += [f"{subtask}: {SUBTASK_HELP[subtask]}", ""]
    lines += [
        "options:",
        "  -e, --experiment_spec_file SPEC   YAML file, relative to the current folder",
        "  key=value                         replaces a key of the spec; lists as key=[a,b], null as key=null",
        "  -h, --help                        this text",
        "",
        "exit codes: 0 done, 2 command line or spec, 3 data, 4 engine build, 5 engine load or run, 130 Ctrl-C, 1 other",
        "environment: TAO_DEPLOY_BACKEND (tensorrt, tensorrt_rtx, onnxruntime), TAO_DEPLOY_WORKERS (reading threads),",
        "             TAO_DEPLOY_THREADS (ONNX Runtime threads), TAO_LOGGING_LEVEL, CUDA_VISIBLE_DEVICES",
    ]
    if subtask and subtask != DEFAULT_SPECS:
        lines += ["", "spec keys:", key_table(network.schema, subtask)]
    return "\n".join(lines)
