# shellcheck shell=bash
# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
#
# Sets up a shell for work on this tree: source it in bash or zsh.
#
#   source scripts/envsetup.sh          sets NV_TAO_DEPLOY_TOP and the command tao_deploy, and checks the host
#   NV_TAO_DEPLOY_QUIET=1               without the checks
#
# It can be sourced any number of times, also under `set -eu`; nothing else of the shell is changed.

# The path of this file, in the two shells' own ways; empty in others.
_tao_deploy_self=
if [ -n "${ZSH_VERSION:-}" ]; then
    eval '_tao_deploy_self=${(%):-%x}'
    case ":${ZSH_EVAL_CONTEXT:-}:" in *:file:*) _tao_deploy_sourced=1 ;; *) _tao_deploy_sourced= ;; esac
elif [ -n "${BASH_VERSION:-}" ]; then
    _tao_deploy_self=${BASH_SOURCE[0]}
    if [ "$_tao_deploy_self" != "$0" ]; then _tao_deploy_sourced=1; else _tao_deploy_sourced=; fi
else
    _tao_deploy_sourced=
fi

if [ -z "$_tao_deploy_sourced" ]; then
    echo "envsetup.sh sets up the shell it runs in: source it, in bash or zsh:" >&2
    echo "  source ${_tao_deploy_self:-scripts/envsetup.sh}" >&2
    unset _tao_deploy_self _tao_deploy_sourced
    # shellcheck disable=SC2317  # `return` fails where nothing was sourced, as in sh
    return 1 2>/dev/null || exit 1
fi

NV_TAO_DEPLOY_TOP=$(CDPATH='' cd -- "$(dirname -- "$_tao_deploy_self")/.." && pwd)
export NV_TAO_DEPLOY_TOP
unset _tao_deploy_self _tao_deploy_sourced

# The launcher of this tree, whichever one is installed.
tao_deploy() {
    PYTHONPATH="$NV_TAO_DEPLOY_TOP/runner${PYTHONPATH:+:$PYTHONPATH}" python3 -m tao_deploy "$@"
}

if [ -z "${NV_TAO_DEPLOY_QUIET:-}" ]; then
    echo "TAO Deploy at $NV_TAO_DEPLOY_TOP" >&2
    if ! command -v python3 >/dev/null 2>&1; then
        echo "  --  Python    python3 was not found. Fix: install Python 3.10 or newer" >&2
    elif ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))'; then
        echo "  --  Python    $(python3 --version) is too old. Fix: install Python 3.10 or newer" >&2
    else
        PYTHONPATH="$NV_TAO_DEPLOY_TOP/runner${PYTHONPATH:+:$PYTHONPATH}" python3 -m tao_deploy.host_checks >&2 || true
        echo "Start with: tao_deploy --help" >&2
    fi
fi
