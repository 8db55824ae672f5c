#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
#
# Builds the wheel inside the base container, and the release container from it.
set -euo pipefail

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
readonly TOP

usage() {
    cat <<'EOF'
usage: release/docker/deploy.sh ACTION... [flags] [-- command ...]

Build and try the release container: the base container with the wheel of this tree installed.

actions, done in this order:
  -w, --wheel       build the wheel in the base container, into dist/
  -b, --build       build the release container with the wheel in dist/
  -p, --push        push it
  -r, --run         start it with ~/tao-experiments at /workspace/tao-experiments; the command after -- or a shell
      --default     the same as --run
  -h, --help        this text

flags:
  -f, --force       build the container without the layer cache
      --tag TAG     use the local base container with this tag, not the one in docker/manifest.json
      --image I     name the release container I (default: registry and repository_release of
                    docker/manifest.json, with the version as its tag)
      --gpus G      GPUs for --run: all (default), none, or a list like 0,1
      --l4t         for Jetson: release/docker/Dockerfile.l4t
EOF
}

usage_error() {
    usage >&2
    printf '\ndeploy.sh: %s\n' "$1" >&2
    exit 2
}

fail() {
    printf 'deploy.sh: %s\n' "$1" >&2
    shift
    if (($# > 0)); then printf '  %s\n' "$@" >&2; fi
    exit 1
}

log() { printf 'deploy.sh: %s\n' "$*" >&2; }

export NV_TAO_DEPLOY_TOP=$TOP
manifest() { PYTHONPATH="$TOP/runner" python3 -m tao_deploy.manifest "$@"; }

# The installed launcher, or else the one of this tree, which needs only the Python package `docker`.
launcher() {
    if command -v tao_deploy >/dev/null; then
        tao_deploy "$@"
    else
        PYTHONPATH="$TOP/runner" python3 -m tao_deploy "$@"
    fi
}

wheel=false build=false push=false run=false force=false l4t=false
base_tag='' image='' gpus=all
command=()

parse() {
    while (($# > 0)); do
        case "$1" in
            -w | --wheel) wheel=true ;;
            -b | --build) build=true ;;
            -p | --push) push=true ;;
            -r | --run | --default) run=true ;;
            -f | --force) force=true ;;
            --l4t) l4t=true ;;
            --tag | --image | --gpus)
                (($# > 1)) || usage_error "$1 needs a value"
                case "$1" in
                    --tag) base_tag=$2 ;;
                    --image) image=$2 ;;
                    --gpus) gpus=$2 ;;
                esac
                shift
                ;;
            -h | --help)
                usage
                exit 0
                ;;
            --)
                shift
                command=("$@")
                return
                ;;
            *) usage_error "unknown option '$1'" ;;
        esac
        shift
    done
}

version() {
    python3 -c 'import runpy, sys; print(runpy.run_path(sys.argv[1])["__version__"])' "$TOP/release/python/version.py"
}

the_wheel() {
    local found=("$TOP"/dist/nvidia_tao_deploy-"$(version)"-*.whl)
    [ -e "${found[0]}" ] || fail "there is no wheel of version $(version) in dist/" "Build it: release/docker/deploy.sh --wheel"
    ((${#found[@]} == 1)) || fail "several wheels of version $(version) in dist/: ${found[*]##*/}" "Remove all but one."
    printf '%s\n' "${found[0]}"
}

build_wheel() {
    local flags=(--gpus none --run_as_user --no-tty)
    if [ -n "$base_tag" ]; then flags+=(--tag "$base_tag"); fi
    log "building the wheel in the base container"
    launcher "${flags[@]}" -- release/python/build_wheel.sh </dev/null
    log "built dist/$(basename "$(the_wheel)")"
}

# The base container that the wheel was built in; the launcher fetches it if it is absent.
base_image() {
    local arguments=(--gpus none --no-tty)
    if [ -n "$base_tag" ]; then arguments+=(--tag "$base_tag"); fi
    launcher "${arguments[@]}" -- true </dev/null
    local key=x86
    case "$(uname -m)" in aarch64 | arm64) key=arm ;; esac
    if $l4t; then key=l4t; fi
    if [ -n "$base_tag" ]; then
        printf '%s:%s\n' "$(manifest image "$key")" "$base_tag"
    else
        manifest pinned "$key"
    fi
}

build_image() {
    local dockerfile=Dockerfile base
    if $l4t; then dockerfile=Dockerfile.l4t; fi
    the_wheel >/dev/null
    base=$(base_image)
    local arguments=(--file "$TOP/release/docker/$dockerfile" --build-arg "BASE_IMAGE=$base" --tag "$image")
    if $force; then arguments+=(--no-cache); fi
    log "building $image from $base"
    docker build "${arguments[@]}" "$TOP"
    log "built $image"
}

push_image() {
    docker image inspect "$image" >/dev/null 2>&1 || fail "there is no image $image to push" "Build it: --build"
    docker push "$image" || fail "the push of $image failed" "Not allowed? Log in: docker login ${image%%/*}"
}

run_image() {
    docker image inspect "$image" >/dev/null 2>&1 ||
        fail "there is no image $image on this host" "Build it: release/docker/deploy.sh --wheel --build"
    local arguments=(--rm --init --shm-size 30g --ulimit stack=67108864)
    if [ -t 0 ] && [ -t 1 ]; then arguments+=(--interactive --tty); fi
    if [ ! -t 0 ]; then arguments+=(--interactive); fi
    if [ "$gpus" = all ]; then
        arguments+=(--gpus all)
    elif [ "$gpus" != none ]; then
        arguments+=(--gpus "\"device=$gpus\"")
    fi
    mkdir -p "$HOME/tao-experiments"
    arguments+=(--volume "$HOME/tao-experiments:/workspace/tao-experiments")
    exec docker run "${arguments[@]}" "$image" "${command[@]}"
}

main() {
    (($# > 0)) || {
        usage
        exit 0
    }
    parse "$@"
    $wheel || $build || $push || $run || usage_error "nothing to do: give --wheel, --build, --push or --run"
    command -v docker >/dev/null || fail "docker was not found" "Install it: https://docs.docker.com/engine/install/"
    image=${image:-$(manifest release):$(version)}
    if $wheel; then build_wheel; fi
    if $build; then build_image; fi
    if $push; then push_image; fi
    if $run; then run_image; fi
}

main "$@"
