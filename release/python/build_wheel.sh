#!/bin/sh
# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
#
# Builds the wheel of the tree in the working directory into its dist/, replacing older ones. Runs in the base container.
set -eu

# Intermediate files stay out of the tree: nothing stale gets into the wheel, and nothing is left behind.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 setup.py --quiet egg_info --egg-base "$work" \
    build --build-base "$work/build" bdist_wheel --bdist-dir "$work/bdist" --dist-dir "$work/dist"
mkdir -p dist
rm -f dist/nvidia_tao_deploy-*.whl
cp "$work"/dist/*.whl dist/
