#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
#
# Links the hooks of this folder into the repository. Hooks of your own are never overwritten.
set -euo pipefail

usage() {
    cat <<'EOF'
usage: scripts/git-hooks/install_hooks.sh [--uninstall]

Install the hooks commit-msg (form of the message) and pre-commit (ruff and shellcheck on what is committed).
EOF
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here
readonly hooks=(commit-msg pre-commit)

case "${1:-}" in
    '') uninstall=false ;;
    --uninstall) uninstall=true ;;
    -h | --help)
        usage
        exit 0
        ;;
    *)
        usage >&2
        printf '\ninstall_hooks.sh: unknown option: %s\n' "$1" >&2
        exit 2
        ;;
esac

# Git's own word for the folder: right in worktrees, in submodules, and with core.hooksPath.
if ! folder=$(cd "$here" && git rev-parse --path-format=absolute --git-path hooks 2>/dev/null); then
    printf 'install_hooks.sh: %s is not in a git repository\n' "$here" >&2
    exit 1
fi
mkdir -p "$folder"
status=0
for hook in "${hooks[@]}"; do
    target=$folder/$hook
    if [ "$(readlink "$target" || true)" = "$here/$hook" ]; then
        if $uninstall; then
            rm "$target"
            echo "removed $target"
        else
            echo "already there: $target"
        fi
    elif $uninstall; then
        echo "not ours, left alone: $target"
    elif [ -e "$target" ] || [ -L "$target" ]; then
        printf 'install_hooks.sh: %s exists and is not ours: move it away, then run this again\n' "$target" >&2
        status=1
    else
        ln -s "$here/$hook" "$target"
        echo "installed $target"
    fi
done
exit "$status"
