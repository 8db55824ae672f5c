# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Entry point of the console script `tao_deploy`."""

from __future__ import annotations

import sys

from tao_deploy.cli import parse_arguments
from tao_deploy.errors import EXIT_CODE, LauncherError


def main(arguments: list[str] | None = None) -> int:
    """Start the container. On success this process is replaced by `docker run` and never returns.

    Args:
        arguments: the command line without the program's name; None takes it from `sys.argv`.

    Returns:
        0 after `--dry-run`, 125 after an error of the launcher, 130 after Ctrl-C during a pull.
    """
    try:
        options = parse_arguments(sys.argv[1:] if arguments is None else arguments)
        # Imported late: `--help` and usage errors need neither Docker nor the docker package.
        from tao_deploy.launch import launch

        return launch(options)
    except LauncherError as error:
        print(f"tao_deploy: {error}", file=sys.stderr)
        return EXIT_CODE
    except OSError as error:
        print(f"tao_deploy: {error}", file=sys.stderr)
        return EXIT_CODE
    except KeyboardInterrupt:
        print("tao_deploy: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
