#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
#
# Builds the base development container, pushes it, and writes its digest to docker/manifest.json.
set -euo pipefail

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly TOP
readonly BUILDER=tao-multiplatform-builder

usage() {
    cat <<'EOF'
usage: docker/build.sh --build [--push] [flags]

Build the base development container from docker/Dockerfile.

actions:
  -b, --build           build the image; it gets the tag $USER
  -p, --push            push the image with the tag $USER-<date>, then write its digest to docker/<platform>.digest
                        and to docker/manifest.json
      --default         the same as --build
  -h, --help            this text

flags:
  -f, --force           build without the layer cache
      --x86             for x86-64 (linux/amd64)
      --arm             for ARM servers (linux/arm64)
      --multiplatform   for both, in one image index; needs docker buildx and --push
      --l4t             for Jetson (docker/Dockerfile.l4t, linux/arm64)
      --platform P      any of linux/amd64, linux/arm64, or both with a comma; default: this host's
      --base-image I    start from image I instead of NVIDIA's TensorRT container
      --backend B       tensorrt (default), or onnxruntime for an image without TensorRT, for hosts without a GPU

variables:
  PIP_INDEX_URL, PIP_EXTRA_INDEX_URL, PIP_TRUSTED_HOST   passed to pip in the build, if set
  NV_TAO_DEPLOY_TOP is not needed: the tree is the one that this script lies in.

The registry and the repository are those in docker/manifest.json.
EOF
}

usage_error() {
    usage >&2
    printf '\nbuild.sh: %s\n' "$1" >&2
    exit 2
}

fail() {
    printf 'build.sh: %s\n' "$1" >&2
    shift
    if (($# > 0)); then printf '  %s\n' "$@" >&2; fi
    exit 1
}

log() { printf 'build.sh: %s\n' "$*" >&2; }

manifest() { NV_TAO_DEPLOY_TOP="$TOP" PYTHONPATH="$TOP/runner" python3 -m tao_deploy.manifest "$@"; }

host_platform() {
    case "$(uname -m)" in
        aarch64 | arm64) echo linux/arm64 ;;
        *) echo linux/amd64 ;;
    esac
}

build=false push=false force=false l4t=false
platform='' base_image='' backend=''

parse() {
    while (($# > 0)); do
        case "$1" in
            -b | --build | --default) build=true ;;
            -p | --push) push=true ;;
            -f | --force) force=true ;;
            --x86) choose_platform linux/amd64 ;;
            --arm) choose_platform linux/arm64 ;;
            --multiplatform) choose_platform linux/amd64,linux/arm64 ;;
            --l4t) l4t=true ;;
            --platform | --base-image | --backend)
                (($# > 1)) || usage_error "$1 needs a value"
                case "$1" in
                    --platform) choose_platform "$2" ;;
                    --base-image) base_image=$2 ;;
                    --backend) backend=$2 ;;
                esac
                shift
                ;;
            -h | --help)
                usage
                exit 0
                ;;
            *) usage_error "unknown option '$1'" ;;
        esac
        shift
    done
}

choose_platform() {
    [ -z "$platform" ] || [ "$platform" = "$1" ] || usage_error "two platforms: $platform and $1"
    platform=$1
}

check() {
    case "$backend" in
        '' | tensorrt | onnxruntime) ;;
        *) usage_error "unknown backend '$backend': expected tensorrt or onnxruntime" ;;
    esac
    if $l4t; then
        [ -z "$platform" ] || [ "$platform" = linux/arm64 ] || usage_error "--l4t is for linux/arm64, not $platform"
        platform=linux/arm64
    fi
    platform=${platform:-$(host_platform)}
    case "$platform" in
        linux/amd64 | linux/arm64) ;;
        linux/amd64,linux/arm64 | linux/arm64,linux/amd64) check_multiplatform ;;
        *) usage_error "unknown platform '$platform': expected linux/amd64, linux/arm64, or both with a comma" ;;
    esac
    command -v python3 >/dev/null || fail "python3 was not found" "It reads and writes docker/manifest.json."
    command -v docker >/dev/null || fail "docker was not found" "Install it: https://docs.docker.com/engine/install/"
    docker version >/dev/null 2>&1 || fail "the Docker engine does not answer: $(docker version 2>&1 | tail -n 1)"
    if $build; then check_emulation; fi
}

check_multiplatform() {
    docker buildx version >/dev/null 2>&1 || fail "building for several platforms needs docker buildx" \
        "Install the package docker-buildx-plugin (Docker's repository) or docker-buildx (distributions)," \
        "or build one platform at a time: --x86, --arm."
    { $build && $push; } || usage_error "--multiplatform needs --build and --push: a local engine cannot hold such an image"
}

# Images of the other architecture are built by emulation, which the kernel must know of.
check_emulation() {
    local part
    for part in ${platform//,/ }; do
        [ "$part" != "$(host_platform)" ] || continue
        if ! grep -qsx enabled "/proc/sys/fs/binfmt_misc/qemu-$([ "$part" = linux/arm64 ] && echo aarch64 || echo x86_64)"; then
            fail "this host ($(host_platform)) cannot run $part" \
                "Set up emulation once per boot: docker run --privileged --rm tonistiigi/binfmt --install ${part#linux/}" \
                "or build on a machine of that architecture."
        fi
    done
}

# The manifest's words for the chosen platform.
platform_keys() {
    if $l4t; then
        echo l4t
        return
    fi
    case "$platform" in
        linux/amd64) echo x86 ;;
        linux/arm64) echo arm ;;
        *) echo x86 arm ;;
    esac
}

build_arguments() {
    local dockerfile=Dockerfile name
    if $l4t; then dockerfile=Dockerfile.l4t; fi
    arguments=(--file "$TOP/docker/$dockerfile" --network=host)
    if [ -n "$base_image" ]; then arguments+=(--build-arg "BASE_IMAGE=$base_image"); fi
    if [ -n "$backend" ]; then arguments+=(--build-arg "TAO_DEPLOY_BACKEND=$backend"); fi
    for name in PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_TRUSTED_HOST; do
        # Without a value Docker takes the variable's own: nothing secret is on the command line.
        if [ -n "${!name:-}" ]; then arguments+=(--build-arg "$name"); fi
    done
    if $force; then arguments+=(--no-cache); fi
}

build_single() {
    # Stated only when it differs: the older builder compares the word with what the base image says of itself.
    if [ "$platform" != "$(host_platform)" ]; then arguments+=(--platform "$platform"); fi
    log "building $image:$tag"
    docker build "${arguments[@]}" --tag "$image:$tag" "$TOP"
    log "built $image:$tag; start it by: tao_deploy --tag $tag"
}

push_single() {
    docker image inspect "$image:$tag" >/dev/null 2>&1 ||
        fail "there is no image $image:$tag to push" "Build it first: docker/build.sh --build --push"
    docker tag "$image:$tag" "$image:$dated"
    log "pushing $image:$dated"
    docker push "$image:$dated" || push_failed
    digest=$(docker image inspect --format '{{range .RepoDigests}}{{println .}}{{end}}' "$image:$dated" |
        sed -n "s|^$image@||p" | head -n 1)
}

build_and_push_index() {
    docker buildx inspect "$BUILDER" >/dev/null 2>&1 ||
        docker buildx create --name "$BUILDER" --driver docker-container --driver-opt network=host \
            --buildkitd-flags '--allow-insecure-entitlement network.host' >/dev/null
    local metadata
    metadata=$(mktemp)
    log "building and pushing $image:$dated for $platform"
    docker buildx build --builder "$BUILDER" --allow network.host "${arguments[@]}" --platform "$platform" \
        --tag "$image:$dated" --push --metadata-file "$metadata" "$TOP" || push_failed
    digest=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["containerimage.digest"])' "$metadata")
    rm -f "$metadata"
}

push_failed() {
    local registry
    registry=$(manifest registry)
    fail "the push to $image failed; docker/manifest.json is unchanged" \
        "Not allowed? Log in: docker login $registry" \
        "Another registry? Change registry and repository in docker/manifest.json."
}

pin() {
    [ -n "$digest" ] || fail "the registry gave no digest for $image:$dated; docker/manifest.json is unchanged"
    local key
    for key in "$@"; do
        printf '%s\n' "$image@$digest" >"$TOP/docker/$key.digest"
    done
    log "digest $digest"
    manifest pin "$digest" "$@"
    log "docker/manifest.json is up to date; commit it so that others get this image"
}

main() {
    (($# > 0)) || {
        usage
        exit 0
    }
    parse "$@"
    $build || $push || usage_error "nothing to do: give --build, --push or both"
    check
    local arguments keys digest='' image tag dated
    read -ra keys <<<"$(platform_keys)"
    image=$(manifest image "${keys[0]}")
    tag=$(tr -c 'A-Za-z0-9_.-' _ <<<"${USER:-$(id -un)}" | sed 's/_$//')
    dated=$tag-$(date +%Y%m%d%H%M)
    build_arguments
    if ((${#keys[@]} > 1)); then
        build_and_push_index
    else
        if $build; then build_single; fi
        if $push; then push_single; fi
    fi
    if $push; then pin "${keys[@]}"; fi
}

main "$@"
