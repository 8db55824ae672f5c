# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""The front end of all network commands: <network> <subtask> -e spec.yaml [key=value ...].

Nothing heavy is imported before it is needed: `--help` must answer at once.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nvidia_tao_deploy import registry, signals, streams
from nvidia_tao_deploy.cli_arguments import CONVERT_SPECS, DEFAULT_SPECS, Arguments, parse
from nvidia_tao_deploy.errors import (
    EXIT_HUNG_UP,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_OTHER,
    EXIT_TERMINATED,
    HungUp,
    SpecError,
    TaoDeployError,
    Terminated,
    did_you_mean,
)
from nvidia_tao_deploy.files import visible

if TYPE_CHECKING:
    from nvidia_tao_deploy.network import Network
    from nvidia_tao_deploy.spec.flags import Assignment

logger = logging.getLogger("nvidia_tao_deploy")


_BY_SIGNAL = (EXIT_INTERRUPTED, EXIT_TERMINATED, EXIT_HUNG_UP)


def program(command: str, argv: Sequence[str]) -> int:
    """`main` as the whole of a process: signals are an orderly end, output that nobody reads any more is no error, a
    build that cannot be stopped is left behind."""
    streams.install()
    signals.install()
    try:
        code = main(command, argv)
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
    except HungUp:
        code = EXIT_HUNG_UP
    except Terminated:
        code = EXIT_TERMINATED
    signals.ignore()
    if code in _BY_SIGNAL or any(thread.daemon and thread.is_alive() for thread in threading.enumerate()):
        # Ending Python under a thread that is inside a builder can crash, and so it can while a builder's own threads
        # run, which nobody sees: those of TensorRT RTX go on for a while after a build that was stopped.
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


def main(command: str, argv: Sequence[str]) -> int:
    """Run one network command; returns its exit code.

    0 done; 2 command line or spec; 3 data; 4 engine build; 5 engine load or run; 130 Ctrl-C; 143 SIGTERM; 129 SIGHUP;
    1 the rest.
    """
    if command == registry.AGNOSTIC:
        return _agnostic(argv)
    network = registry.load(command)
    try:
        arguments = parse(network, argv)
        if arguments.help:
            from nvidia_tao_deploy.cli_help import usage

            print(usage(network, arguments.subtask))
            return EXIT_OK
    except SpecError as error:
        _note_wrong_line(network, argv, error)
        return _usage_error(command, error)
    return _guarded(network, arguments)


def _agnostic(argv: Sequence[str]) -> int:
    """Run the network that the spec names."""
    from nvidia_tao_deploy import cli_agnostic

    try:
        resolved = cli_agnostic.resolve(argv)
    except cli_agnostic.NoNetworkError as error:
        _note_early_failure(registry.AGNOSTIC, *cli_agnostic.parts(error.words), error)
        return _usage_error(registry.AGNOSTIC, error)
    except SpecError as error:
        return _usage_error(registry.AGNOSTIC, error)
    if not resolved.network:
        print(cli_agnostic.usage())
        return EXIT_OK
    return main(resolved.network, resolved.words)


def _guarded(network: Network, arguments: Arguments) -> int:
    from nvidia_tao_deploy import logs

    try:
        with logs.output_to(arguments.log_file):
            return _logged(network, arguments)
    except TaoDeployError as error:  # the log file itself
        return _usage_error(network.name, SpecError(error.message, error.hint))


def _logged(network: Network, arguments: Arguments) -> int:
    """The exit code; the last line is the one that TAO Deploy's users look for in logs."""
    from nvidia_tao_deploy import logs

    logs.setup(to_file=arguments.log_file is not None)
    code = _outcome(network, arguments)
    logger.info("Execution status: %s", "PASS" if code == EXIT_OK else "FAIL")
    return code


def _outcome(network: Network, arguments: Arguments) -> int:
    try:
        _run(network, arguments)
    except TaoDeployError as error:
        return _fail(error.message, error.exit_code, _hint(network, error))
    except KeyboardInterrupt:
        return _fail("Interrupted.", EXIT_INTERRUPTED)
    except HungUp:
        return _fail("Hung up: the terminal or the connection is gone.", EXIT_HUNG_UP)
    except Terminated:
        return _fail("Terminated.", EXIT_TERMINATED)
    except Exception as error:
        from nvidia_tao_deploy.status import describe

        return _fail(describe(error), EXIT_OTHER, "TAO_LOGGING_LEVEL=DEBUG shows where.")
    return EXIT_OK


def _run(network: Network, arguments: Arguments) -> None:
    from nvidia_tao_deploy.spec.compose import compose
    from nvidia_tao_deploy.tasks import context as contexts
    from nvidia_tao_deploy.tasks import earlier

    if arguments.subtask == CONVERT_SPECS:
        _convert_specs(network, *map(Path, arguments.files))
        return
    path = Path(arguments.spec) if arguments.spec else None
    try:
        with signals.honoured():
            composed = compose(network.schema, path, arguments.overrides, network.migrations, bool(network.flags))
            if arguments.subtask == DEFAULT_SPECS:
                _default_specs(network, composed.spec)
                return
            folder = contexts.results_folder(composed.spec, arguments.subtask)
            if remark := contexts.overruled(composed.spec, arguments.subtask, arguments.overrides):
                logger.warning("%s", remark)
            contexts.make_folder(folder)
    except BaseException as error:
        _note_early_failure(network.name, arguments.subtask, arguments.spec, arguments.overrides, error)
        raise
    from nvidia_tao_deploy.status import Status

    with Status(folder, network.name, contexts.FOLDERS[arguments.subtask]) as status, signals.honoured():
        logger.info("Results: %s", folder)
        network.adjust(composed.spec)
        contexts.save_experiment(composed, folder)
        with earlier.set_aside(folder, arguments.subtask):
            task = _task(arguments.subtask)
            task(contexts.Context(network, composed.spec, arguments.subtask, folder, status))


def _task(subtask: str) -> Callable[[Any], None]:
    import importlib

    return importlib.import_module(f"nvidia_tao_deploy.tasks.{subtask}").run


def _default_specs(network: Network, spec: Any) -> None:
    from nvidia_tao_deploy.spec.compose import require
    from nvidia_tao_deploy.tasks import default_specs

    default_specs.run(network, Path(require(spec, "results_dir")))


def _convert_specs(network: Network, source: Path, target: Path) -> None:
    from nvidia_tao_deploy.spec import proto_spec

    proto_spec.convert(source, target, network.schema)
    logger.info("Written: %s", target)


def _hint(network: Network, error: TaoDeployError) -> str | None:
    """The way out; a key that is missing is named by its option where the command has one."""
    from nvidia_tao_deploy.spec.compose import NotSetError
    from nvidia_tao_deploy.spec.flags import flag_for

    flag = flag_for(network.flags, error.key) if isinstance(error, NotSetError) else None
    return f"Give {' or '.join(flag.names)} {flag.metavar}, or the key in the spec." if flag else error.hint


def _note_wrong_line(network: Network, argv: Sequence[str], error: SpecError) -> None:
    from nvidia_tao_deploy.cli_agnostic import parts

    subtask, spec, overrides = parts(argv)
    options: Sequence[Assignment] = ()
    if network.flags:
        from nvidia_tao_deploy import cli_flags

        options = cli_flags.results(network.flags, argv, subtask)
    _note_early_failure(network.name, subtask, spec, (*options, *overrides), error)


def _note_early_failure(
    command: str, subtask: str, spec: str | None, overrides: Sequence[str | Assignment], error: BaseException
) -> None:
    """A FAILURE line for a spec that does not load: its results folder is read off as well as can be."""
    signals.done()
    from nvidia_tao_deploy.status import Status
    from nvidia_tao_deploy.tasks.context import FOLDERS
    from nvidia_tao_deploy.tasks.early import likely_folder

    folder = likely_folder(subtask, spec, overrides)
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return
    with Status(folder, command, FOLDERS[subtask]) as status:
        status.failed(error)


def _usage_error(command: str, error: SpecError) -> int:
    print(visible(f"{command}: {error.message}"), file=sys.stderr)
    print(visible(error.hint or f"'{command} --help' shows how it is used."), file=sys.stderr)
    return error.exit_code


def _fail(message: str, code: int, hint: str | None = None) -> int:
    logger.error("%s", message)
    if hint:
        logger.error("%s", hint)
    logger.debug("Where it happened:", exc_info=True)
    return code


def run_module(argv: Sequence[str]) -> int:
    """`python -m nvidia_tao_deploy <network> <subtask> ...`; without a network it lists them."""
    if not argv or argv[0] in ("-h", "--help"):
        from nvidia_tao_deploy.cli_help import aligned

        networks = {name: summary for name, (_, summary) in registry.NETWORKS.items()}
        networks[registry.AGNOSTIC] = "the network that the spec's model_name names"
        print("usage: python -m nvidia_tao_deploy <network> <subtask> -e SPEC [key=value ...]\n\nnetworks:")
        print("\n".join(aligned(networks)))
        return EXIT_OK
    if argv[0] not in registry.COMMANDS:
        hint = did_you_mean(argv[0], registry.COMMANDS) or f"Networks: {', '.join(registry.NETWORKS)}"
        return _usage_error("nvidia_tao_deploy", SpecError(f"unknown network '{argv[0]}'", hint))
    return program(argv[0], argv[1:])
