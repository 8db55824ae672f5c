# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""The command line of commands with options of their own (-m, -r, -k, --data_type ...), whose specs are protobuf text.

Options may stand before or after the subtask; overrides (key=value) work as well as with all other commands.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from nvidia_tao_deploy.errors import SpecError, did_you_mean
from nvidia_tao_deploy.spec.flags import GPU, GPU_HABITS, RESULTS, Assignment, Flag

if TYPE_CHECKING:
    from nvidia_tao_deploy.network import Network

SPEC_NAMES = ("-e", "--experiment_spec", "--experiment_spec_file")


class _Parser(argparse.ArgumentParser):
    """argparse without its own way to end: abbreviated, attached (-mFILE) and '=' forms are its work."""

    def error(self, message: str) -> NoReturn:
        raise SpecError(message.removeprefix("argument "))


def parser(flags: Sequence[Flag]) -> argparse.ArgumentParser:
    """Recognises every option of every subtask, -e, --log_file and -h; the other words are `words`."""
    made = _Parser(add_help=False, argument_default=argparse.SUPPRESS)
    made.add_argument("-h", "--help", action="store_true", default=False)
    made.add_argument(*SPEC_NAMES, dest="spec", action="append", default=[])
    made.add_argument("--log_file", default=None)
    names: dict[str, Flag] = {}
    for flag in flags:
        names.setdefault(flag.name, flag)
    for name, flag in names.items():
        action = "store" if flag.metavar else "store_true"
        made.add_argument(*flag.names, dest=f"flag:{name}", action=action)
    made.add_argument("words", nargs="*", default=[])
    return made


def read(flags: Sequence[Flag], argv: Sequence[str]) -> argparse.Namespace:
    """The command line as argparse sees it. Raises SpecError for an unknown option or a missing value."""
    found, rest = parser(flags).parse_known_intermixed_args(list(argv))
    unknown = [word for word in rest if word.startswith("-")]
    if unknown:
        known = [name for flag in flags for name in flag.names] + [*SPEC_NAMES, "--help", "--log_file"]
        name = unknown[0].partition("=")[0]
        hint = f"Did you mean '{GPU[0].names[0]}'?" if name in GPU_HABITS else did_you_mean(name, known)
        raise SpecError(f"unknown option {unknown[0]}", hint)
    found.words = [*found.words, *rest]
    return found


def results(flags: Sequence[Flag], argv: Sequence[str], subtask: str) -> tuple[Assignment, ...]:
    """Where the results would go by the option, in a command line that is wrong in another place."""
    try:
        found, _ = parser([flag for flag in flags if flag is RESULTS]).parse_known_intermixed_args(list(argv))
        return tuple(assignments(flags, found, subtask))
    except SpecError:
        return ()


def assignments(flags: Sequence[Flag], found: argparse.Namespace, subtask: str) -> list[Assignment]:
    """What the options say in a subtask; an empty value counts as none, as in TAO Deploy.

    Raises:
        SpecError: an option that the subtask does not have, or a value that cannot be used.
    """
    given = {name.removeprefix("flag:"): value for name, value in vars(found).items() if name.startswith("flag:")}
    result = []
    for name, value in given.items():
        if value == "":
            continue
        named = [flag for flag in flags if flag.name == name]
        flag = next((flag for flag in named if subtask in flag.keys), None)
        if flag is None:
            where = ", ".join(dict.fromkeys(task for flag in named for task in flag.keys))
            raise SpecError(f"{named[0].names[-1]} is no option of {subtask}; it belongs to {where}")
        result.append(flag.assignment(subtask, value))
    return result


def option_help(network: Network, subtask: str) -> dict[str, str]:
    """The options of a subtask ("" for those of every one) beside -e, and what they mean, for `--help`."""
    rows: dict[str, str] = {}
    for flag in network.flags:
        if subtask in flag.keys or (not subtask and set(network.subtasks) <= set(flag.keys)):
            left = ", ".join(flag.names) + (f" {flag.metavar}" if flag.metavar else "")
            rows.setdefault(left, flag.help)
    rows["--log_file FILE"] = "append the output to a file instead of showing it (errors are shown too)"
    return rows
