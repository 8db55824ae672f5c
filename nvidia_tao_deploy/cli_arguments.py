# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""The command line of a network command; its help texts are in `cli_help`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nvidia_tao_deploy.errors import SpecError, did_you_mean

if TYPE_CHECKING:
    from nvidia_tao_deploy.network import Network
    from nvidia_tao_deploy.spec.flags import Assignment

DEFAULT_SPECS = "default_specs"
CONVERT_SPECS = "convert_specs"
SPEC_OPTION = "--experiment_spec_file"
HYDRAS_OPTIONS = (
    "--cfg", "--resolve", "--package", "--run", "--multirun", "--shell-completion", "--config-path", "--config-name",
    "--config-dir", "--experimental-rerun", "--info", "--hydra-help",
)  # fmt: skip
SUBTASK_HELP = {
    "gen_trt_engine": "build an engine from an ONNX model",
    "evaluate": "measure an engine's accuracy on labelled data",
    "inference": "write an engine's predictions on pictures",
    DEFAULT_SPECS: "write a spec file with every key and its default (needs results_dir=FOLDER)",
    CONVERT_SPECS: "write a protobuf-text spec as YAML: convert_specs OLD.txt NEW.yaml",
}
OF_TRAINING = ("train", "export", "prune", "distill", "quantize", "dataset_convert")


@dataclass(frozen=True, slots=True)
class Arguments:
    """A parsed command line.

    Attributes:
        subtask: "" only with `help`.
        spec: path of the spec file, or None.
        overrides: in Hydra's grammar, or what an option says.
        help: whether help was asked for.
        files: the two files of convert_specs.
        log_file: file that takes what is shown otherwise.
    """

    subtask: str
    spec: str | None
    overrides: tuple[str | Assignment, ...]
    help: bool
    files: tuple[str, ...] = ()
    log_file: str | None = None


def parse(network: Network, argv: Sequence[str]) -> Arguments:
    """Read a command line; the subtask may stand anywhere before the overrides.

    Raises:
        SpecError: unknown subtask or option, two specs, no spec.
    """
    if network.flags:
        return _parse_flags(network, argv)
    subtasks = subtasks_of(network)
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
            raise _unknown_option(name, subtask)
        elif equals or word.startswith("~"):
            overrides.append(word)
        elif not subtask:
            subtask = _known_subtask(word, subtasks)
        else:
            raise _stray(word)
    if wants_help or not argv:
        return Arguments(subtask, spec, tuple(overrides), True)
    _check(network, subtask, spec)
    return Arguments(subtask, spec, tuple(overrides), False)


def subtasks_of(network: Network) -> tuple[str, ...]:
    """Every first word that the command takes."""
    return (*network.subtasks, DEFAULT_SPECS, *((CONVERT_SPECS,) if network.flags else ()))


def _parse_flags(network: Network, argv: Sequence[str]) -> Arguments:
    """As `parse`, for a command with options of its own."""
    from nvidia_tao_deploy import cli_flags

    found = cli_flags.read(network.flags, argv)
    words = [word for word in found.words if "=" not in word and not word.startswith("~")]
    overrides = [word for word in found.words if word not in words]
    subtask = _known_subtask(words.pop(0), subtasks_of(network)) if words else ""
    if len(found.spec) > 1:
        raise SpecError(f"two spec files are given: {found.spec[0]} and {found.spec[1]}")
    spec = found.spec[0] if found.spec else None
    if found.help or not argv:
        return Arguments(subtask, spec, (), True)
    if subtask == CONVERT_SPECS:
        if len(words) != 2:
            raise SpecError(f"{CONVERT_SPECS} needs two files: OLD.txt NEW.yaml; found {len(words)}")
        return Arguments(subtask, None, (), False, tuple(words))
    if words:
        raise _stray(words[0])
    _check(network, subtask, spec)
    given = cli_flags.assignments(network.flags, found, subtask)
    return Arguments(subtask, spec, (*given, *overrides), False, log_file=found.log_file)


def _known_subtask(word: str, subtasks: Sequence[str]) -> str:
    if word in subtasks:
        return word
    hint = did_you_mean(word, subtasks) or f"Subtasks: {', '.join(subtasks)}"
    if word in OF_TRAINING:
        hint = f"'{word}' belongs to TAO's training commands. {hint}"
    raise SpecError(f"unknown subtask '{word}'", hint)


def _unknown_option(name: str, subtask: str) -> SpecError:
    """For commands with YAML specs: the way out, and for an option that other commands have, its key."""
    from nvidia_tao_deploy.spec.flags import instead

    key = instead(name, subtask)
    if key:
        hint = f"This command takes spec keys instead of options: {key}=..."
    elif name in HYDRAS_OPTIONS:
        hint = "Hydra's own options do nothing here; the spec as it is run goes into experiment.yaml in results_dir."
    else:
        hint = did_you_mean(name, ("-e", SPEC_OPTION, "--help")) or ""
    return SpecError(f"unknown option {name}", hint or None)


def _stray(word: str) -> SpecError:
    return SpecError(f"'{word}' is neither an option nor an override; overrides are written key=value")


def _check(network: Network, subtask: str, spec: str | None) -> None:
    """Raises SpecError when the subtask or a spec that it needs is missing."""
    if not subtask:
        raise SpecError("no subtask is given", f"Subtasks: {', '.join(subtasks_of(network))}")
    if spec is None and subtask not in (DEFAULT_SPECS, *network.without_spec):
        raise SpecError(f"{subtask} needs a spec file: -e SPEC", f"'{network.name} {subtask} --help' lists its keys.")


def _option(word: str) -> tuple[str, bool, str]:
    """(name, whether a value is attached, the value) of '--name=value', '-e=value' and '-evalue'."""
    if word.startswith("-e") and len(word) > len("-e"):
        return "-e", True, word[len("-e") :].removeprefix("=")
    name, equals, value = word.partition("=")
    return name, bool(equals), value
