# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""The launcher's command line. Imports nothing but argparse, so that `--help` answers at once."""

from __future__ import annotations

import argparse
import sys
from typing import NoReturn

from tao_deploy.errors import EXIT_CODE

DESCRIPTION = """\
Start the TAO Deploy base container: an interactive shell, or the command after "--".
The source tree is mounted at /workspace/tao-deploy, which is the working directory and on PYTHONPATH."""

EPILOG = """\
examples:
  tao_deploy                                         a shell in the container, with all GPUs
  tao_deploy --gpus 0,1 --volume ~/data:/data -- dino evaluate -e /data/spec.yaml
  tao_deploy --gpus none --run_as_user -- classification_pyt --help
  tao_deploy --tag $USER --dry-run                   print the docker command for a locally built image

files:
  ~/.tao_mounts.json       used when it exists: Mounts, Envs, DockerOptions (shm_size, ulimits, user, ports, network)
  docker/manifest.json     registry, repository and digest of the image, in the tree that NV_TAO_DEPLOY_TOP names
  Precedence: ~/.tao_mounts.json, then --mounts_file, then the flags.

exit codes: the command's own; 125 for errors of the launcher or of Docker; 126 or 127 if the command cannot be started
in the container."""


_DOCKERS_FLAGS = {
    "-v": "write --volume HOST:CONTAINER",
    "--mount": "write --volume HOST:CONTAINER",
    "-e": "write --env NAME=VALUE",
    "-p": "write --port HOST:CONTAINER",
    "--publish": "write --port HOST:CONTAINER",
    "-u": "write --run_as_user, or DockerOptions.user in a mounts file",
    "--user": "write --run_as_user, or DockerOptions.user in a mounts file",
    "--network": "set DockerOptions.network in a mounts file",
    "--net": "set DockerOptions.network in a mounts file",
    "--privileged": "set DockerOptions.privileged in a mounts file",
    "--runtime": "it is chosen for the engine; --gpus says which GPUs",
    "--rm": "the container is always removed",
    "-it": "there is a terminal where input and output are one",
    "-i": "there is a terminal where input and output are one",
    "-t": "there is a terminal where input and output are one",
    "--docker_tag": "write --tag TAG",
}
"""Flags of docker run (and of older launchers) that users try, and what does the same here."""

_TAO_LAUNCHER_ONLY = ("list", "stop", "info")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(EXIT_CODE, f"tao_deploy: {message}\n  See: tao_deploy --help\n")


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    """Read the command line.

    Args:
        arguments: everything after the program's name; what follows the first `--` is the container's command.

    Returns:
        One attribute per flag, named like it, and `command`: a list of strings, empty for an interactive shell.

    Raises:
        SystemExit: 0 after `--help`, 125 for wrong usage, after the message was printed.
    """
    if "--" in arguments:
        cut = arguments.index("--")
        flags, command = arguments[:cut], arguments[cut + 1 :]
    else:
        flags, command = arguments, []
    parser = _make_parser()
    options, stray = parser.parse_known_args([_flag_spelling(word, parser) for word in flags])
    if stray:
        parser.error(_describe_stray(stray, list(parser._option_string_actions)))
    options.command = command
    return options


def _make_parser() -> _Parser:
    parser = _Parser(
        prog="tao_deploy",
        usage="tao_deploy [flags] [-- command args ...]",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--gpus", default="all", metavar="GPUS", help="all, none, or a comma list of indices or UUIDs (default: all)")
    add(
        "--volume",
        action="append",
        default=[],
        metavar="HOST:CONTAINER[:ro]",
        help="make a folder or file of this host visible in the container; repeats",
    )
    add(
        "--env",
        action="append",
        default=[],
        metavar="NAME[=VALUE]",
        help="set a variable in the container; without a value it is the host's; repeats",
    )
    add("--mounts_file", metavar="FILE", help="a second mounts file, read after ~/.tao_mounts.json")
    add("--shm_size", metavar="SIZE", help="size of /dev/shm, like 512m or 16G (default: 16G)")
    add(
        "--run_as_user",
        action="store_true",
        help="run as the calling user and groups, so that files written to volumes belong to them",
    )
    add("--ulimit", action="append", default=[], metavar="NAME=SOFT[:HARD]", help="resource limit; repeats")
    add(
        "--port",
        action="append",
        default=[],
        metavar="HOST:CONTAINER",
        help="publish a port of the container, like 8889:8889; repeats",
    )
    add("--tag", metavar="TAG", help="use a local image by this tag instead of the digest in docker/manifest.json")
    add("--no-tty", action="store_true", help="no terminal in the container, even if there is one here")
    add("--dry-run", action="store_true", help="print the docker command and start nothing")
    return parser


def _flag_spelling(word: str, parser: argparse.ArgumentParser) -> str:
    """Accept `--run-as-user` for `--run_as_user` and the like: the established names mix both styles."""
    if not word.startswith("--"):
        return word
    name, equals, value = word.partition("=")
    known = {option.replace("_", "-"): option for option in parser._option_string_actions}
    return known.get(name.replace("_", "-"), name) + equals + value


def _describe_stray(stray: list[str], known: list[str]) -> str:
    word = stray[0]
    if word in _TAO_LAUNCHER_ONLY:
        return f"'{word}' belongs to the TAO launcher; here docker ps lists containers and docker stop ends one"
    if not word.startswith("-"):
        command = stray[1:] if word == "deploy" and len(stray) > 1 else stray
        return f"unexpected '{word}': the container's command comes after --, as in: tao_deploy -- {' '.join(command)}"
    if instead := _DOCKERS_FLAGS.get(word.partition("=")[0]):
        return f"unknown flag '{word}': {instead}; flags of the container's command come after --"
    import difflib

    close = difflib.get_close_matches(word.partition("=")[0], known, n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    return f"unknown flag '{word}'{hint}; flags of the container's command come after --"
