# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""`model_agnostic <subtask> -e spec.yaml`: the network is the one that the spec's `model_name` names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nvidia_tao_deploy import registry
from nvidia_tao_deploy.cli_arguments import DEFAULT_SPECS, SPEC_OPTION, SUBTASK_HELP
from nvidia_tao_deploy.errors import SpecError, did_you_mean
from nvidia_tao_deploy.network import SUBTASKS

NAME_OPTIONS = ("-m", "--model_name")
KEY = "model_name"


@dataclass(frozen=True, slots=True)
class Resolved:
    """The command that a command line means.

    Attributes:
        network: name of the network; "" where only help was asked for.
        words: its command line.
    """

    network: str
    words: tuple[str, ...]


class NoNetworkError(SpecError):
    """The network cannot be told.

    Attributes:
        words: the command line, to find the results folder by.
    """

    def __init__(self, message: str, hint: str, words: Sequence[str]) -> None:
        super().__init__(message, hint)
        self.words = tuple(words)


def resolve(argv: Sequence[str]) -> Resolved:
    """Find the network: --model_name, else the override model_name=..., else the key at the top of the spec.

    `-m` stands for --model_name with default_specs or without a spec; elsewhere it is the network's own option.

    Raises:
        NoNetworkError: none is named, or none has this name; lists them all.
        SpecError: the spec file cannot be read.
    """
    words, name = _take_name(list(argv))
    if name is None:
        name = next((word.split("=", 1)[1] for word in reversed(words) if word.lstrip("+").startswith(f"{KEY}=")), None)
    if name is None and words and not any(word in ("-h", "--help") for word in words):
        name = _from_spec(words)
    if name is None:
        return Resolved("", tuple(words))
    if name not in registry.NETWORKS:
        close = did_you_mean(name, registry.NETWORKS)
        hint = f"{close + ' ' if close else ''}Models: {', '.join(registry.NETWORKS)}"
        raise NoNetworkError(f"{KEY}: '{name}' is not a supported model", hint, words)
    return Resolved(name, tuple(words))


def _take_name(words: list[str]) -> tuple[list[str], str | None]:
    """The words without the option that names the model, and the name."""
    short = DEFAULT_SPECS in words or _spec(words) is None
    options = NAME_OPTIONS if short else NAME_OPTIONS[1:]
    for index, word in enumerate(words):
        option, equals, value = word.partition("=")
        if option not in options:
            continue
        if equals:
            return words[:index] + words[index + 1 :], value
        if index + 1 == len(words):
            raise SpecError(f"{word} needs the name of a model", f"Models: {', '.join(registry.NETWORKS)}")
        return words[:index] + words[index + 2 :], words[index + 1]
    return words, None


def _spec(words: Sequence[str]) -> str | None:
    for index, word in enumerate(words):
        option, equals, value = word.partition("=")
        if option == "-e" or (len(option) > len("--e") and SPEC_OPTION.startswith(option)):
            return value if equals else next(iter(words[index + 1 :]), None)
        if word.startswith("-e"):
            return word.removeprefix("-e").removeprefix("=")
    return None


def _from_spec(words: Sequence[str]) -> str:
    models = f"Models: {', '.join(registry.NETWORKS)}"
    path = _spec(words)
    if path is None:
        if DEFAULT_SPECS in words:
            raise NoNetworkError(f"{DEFAULT_SPECS} needs the name of a model: -m MODEL", models, words)
        raise SpecError("no spec file is given: -e SPEC", "'model_agnostic --help' shows how it is used.")
    name = _read_name(Path(path))
    if not isinstance(name, str) or not name or name == "???":
        found = "is not set" if name in (None, "", "???") else f"is '{name}'"
        raise NoNetworkError(f"{path}: {KEY} {found}; expected the name of a model", models, words)
    return name


def _read_name(path: Path) -> object:
    """What the spec has under the key: YAML, whatever the file is called, or protobuf text."""
    from nvidia_tao_deploy.spec import proto_spec, textproto, yaml_file

    try:
        return yaml_file.read(path).tree.get(KEY)
    except SpecError:
        if not (proto_spec.is_text_format(path) and proto_spec.looks_like(path, True)):
            raise
    return next((field.value for field in reversed(textproto.read(path).fields) if field.name == KEY), None)


def parts(words: Sequence[str]) -> tuple[str, str | None, tuple[str, ...]]:
    """(subtask, spec file, overrides) of a command line, as well as can be told without a network."""
    subtask = next((word for word in words if word in SUBTASKS), "")
    return subtask, _spec(words), tuple(word for word in words if "=" in word and not word.startswith("-"))


def usage() -> str:
    """The help text."""
    from nvidia_tao_deploy.cli_help import SPEC, SPEC_HELP, aligned
    from nvidia_tao_deploy.spec.describe import folded

    options = {
        SPEC: SPEC_HELP,
        "-m, --model_name MODEL": f"the model, with {DEFAULT_SPECS} and --help",
        "key=value": "replaces a key of the spec",
        "-h, --help": "this text; with -m MODEL that network's",
    }
    return "\n".join(
        [
            "usage: model_agnostic <subtask> -e SPEC [key=value ...]",
            f"       model_agnostic {DEFAULT_SPECS} -m MODEL results_dir=FOLDER",
            "",
            folded(f"Runs the network that the key {KEY} at the top of the spec names, as its own command does."),
            "",
            "subtasks (where the network has them):",
            *aligned({name: SUBTASK_HELP[name] for name in (*SUBTASKS, DEFAULT_SPECS)}),
            "",
            "options:",
            *aligned(options),
            "",
            "models:",
            *aligned({name: summary for name, (_, summary) in registry.NETWORKS.items()}),
        ]
    )
