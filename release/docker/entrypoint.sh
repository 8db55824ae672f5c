#!/bin/bash
# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
#
# Entry point of the release container: a banner for interactive sessions, then the command.
set -euo pipefail

banner() {
    local version gpus
    version=$(python3 -c 'import runpy; print(runpy.run_path("/opt/tao_deploy/version.py")["__version__"])')
    gpus=$(nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null | paste -sd , -) || gpus=''
    cat <<EOF

TAO Deploy $version
Backend: $TAO_DEPLOY_BACKEND    GPUs: ${gpus:-none visible (docker run --gpus all ...)}
Start with: <network> --help, for example: classification_pyt --help

EOF
}

# On standard error, and only for a shell: the output of a command stays what the command wrote.
if [ "$#" -eq 1 ] && [ "$(basename "$1")" = bash ]; then
    banner >&2
fi

# NVIDIA's own entry point sets up the driver's compatibility libraries.
if [ -x /opt/nvidia/nvidia_entrypoint.sh ]; then
    exec /opt/nvidia/nvidia_entrypoint.sh "$@"
fi
exec "$@"
