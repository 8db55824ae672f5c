# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
# make demo   set up and show everything on small real models (no GPU needed)
# make test   set up and run all tests that need no GPU
# make test-lowest   run the tests of what calls other libraries, with the lowest versions that setup.py allows

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOWEST := $(VENV)/lowest
# Two cores are enough; more are used where there are more.
JOBS ?= $(shell nproc)
# The parts that call other libraries; the launcher, the examples and the command line do not.
LOWEST_TESTS := calibration data decode engine graph metrics networks pipeline render spec tasks transforms

.PHONY: demo test test-lowest lint install build clean help

help:
	@sed -n 's/^# make/  make/p' $(MAKEFILE_LIST)

$(VENV)/.installed: setup.py pyproject.toml nvidia_tao_deploy/registry.py release/python/version.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	$(BIN)/python -m pip install --quiet --no-deps 'tensorrt-rtx-cu13-libs' 'tensorrt-rtx-cu13-bindings' \
	  || echo "TensorRT RTX is not available for this platform: the tests that build with it are skipped"
	@touch $@

install: $(VENV)/.installed

demo: $(VENV)/.installed
	$(BIN)/python examples/prepare.py demo --small
	$(BIN)/python examples/demo.py demo

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/mypy

test: lint
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile -q

# Made anew when a range changes, so that nothing of the former one remains.
$(LOWEST)/.installed: setup.py pyproject.toml scripts/lowest_versions.py
	$(PYTHON) -m venv --clear $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet --upgrade pip packaging setuptools
	$(LOWEST)/bin/python scripts/lowest_versions.py setup.py > $(LOWEST)/constraints.txt
	@# Not --quiet: that would hide which packages conflict with one another, and what was taken.
	$(LOWEST)/bin/python -m pip install --progress-bar off --constraint $(LOWEST)/constraints.txt --editable '.[dev]'
	@touch $@

test-lowest: $(LOWEST)/.installed
	@cat $(LOWEST)/constraints.txt
	$(LOWEST)/bin/python -m pytest -n $(JOBS) --dist loadfile -q -m 'not slow and not docker and not rtx' \
	  $(addprefix tests/,$(LOWEST_TESTS))

build: $(VENV)/.installed-dev
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

clean:
	rm -rf build dist demo *.egg-info .mypy_cache .ruff_cache .pytest_cache
