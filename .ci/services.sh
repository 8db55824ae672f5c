#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
#
# Installs and starts what the tests talk to: a Docker engine and an image registry on localhost.
# For Debian, as root. Safe to run again: what is installed or answers already is left alone.
#
# TAO_DEPLOY_TEST_REGISTRY  host:port of a registry to use instead of starting one (default: localhost:5000)
set -euo pipefail

readonly PACKAGES=(
    busybox-static ca-certificates curl debootstrap docker.io docker-registry git iptables
    libopenmpi-dev openmpi-bin shellcheck zsh
)
readonly REGISTRY="${TAO_DEPLOY_TEST_REGISTRY:-localhost:5000}"
readonly STATE=/var/lib/tao-deploy-services
readonly WAIT_SECONDS=60

fail() {
    printf 'services: %s\n' "$1" >&2
    shift
    printf '  %s\n' "$@" >&2
    exit 1
}

# wait_for WHAT LOG COMMAND...: repeat the command until it succeeds; show the end of the log if it never does.
wait_for() {
    local what=$1 log=$2
    shift 2
    local deadline=$((SECONDS + WAIT_SECONDS))
    until "$@" >/dev/null 2>&1; do
        if ((SECONDS >= deadline)); then
            tail -n 20 "$log" >&2 || true
            fail "$what cannot be started: no answer within $WAIT_SECONDS s" "Its log: $log"
        fi
        sleep 0.2
    done
}

is_installed() {
    [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

install_missing() {
    local missing=() package
    for package in "${PACKAGES[@]}"; do
        is_installed "$package" || missing+=("$package")
    done
    if ((${#missing[@]} > 0)); then
        local log=$STATE/apt.log
        if ! {
            apt-get -q update &&
                DEBIAN_FRONTEND=noninteractive apt-get -q install --yes --no-install-recommends "${missing[@]}"
        } >"$log" 2>&1; then
            tail -n 20 "$log" >&2
            fail "apt-get could not install: ${missing[*]}" "Its log: $log"
        fi
    fi
    printf 'services: packages: %d installed now, %d were there\n' \
        "${#missing[@]}" "$((${#PACKAGES[@]} - ${#missing[@]}))"
}

engine_answers() {
    docker version --format '{{.Server.Version}}'
}

start_engine() {
    if ! engine_answers >/dev/null 2>&1; then
        # After an unclean stop the number in the file may belong to another process by now, and dockerd would refuse.
        local pid_file=/var/run/docker.pid
        if [ -f "$pid_file" ] && ! grep -qs dockerd "/proc/$(<"$pid_file")/comm"; then
            rm -f "$pid_file"
        fi
        setsid dockerd >"$STATE/dockerd.log" 2>&1 </dev/null &
        wait_for "the Docker engine" "$STATE/dockerd.log" engine_answers
    fi
    printf 'services: Docker engine %s answers\n' "$(engine_answers)"
}

registry_answers() {
    curl --fail --silent --max-time 5 "http://$REGISTRY/v2/"
}

start_registry() {
    if ! registry_answers >/dev/null 2>&1; then
        if [ -n "${TAO_DEPLOY_TEST_REGISTRY:-}" ]; then
            fail "no registry answers at $REGISTRY" "TAO_DEPLOY_TEST_REGISTRY names it: start it, or unset the variable."
        fi
        # Debian's own configuration demands passwords; this one serves the loopback interface only.
        cat >"$STATE/registry.yml" <<EOF
version: 0.1
log: {level: warn}
storage:
  filesystem: {rootdirectory: $STATE/registry}
  delete: {enabled: true}
http: {addr: "localhost:5000"}
EOF
        setsid docker-registry serve "$STATE/registry.yml" >"$STATE/registry.log" 2>&1 </dev/null &
        wait_for "the registry" "$STATE/registry.log" registry_answers
    fi
    printf 'services: registry answers at %s\n' "$REGISTRY"
}

[ "$(id -u)" = 0 ] || fail "must run as root" "It installs packages and starts dockerd: sudo $0"
command -v apt-get >/dev/null || fail "needs Debian's apt-get" \
    "Elsewhere: start Docker and a registry by hand and set TAO_DEPLOY_TEST_REGISTRY."
mkdir -p "$STATE"
install_missing
start_engine
start_registry
