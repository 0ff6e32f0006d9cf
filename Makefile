# The targets of this repository; `make` alone lists them. Everything is installed into
# .venv, in the versions of constraints.txt, torch first. torch-scatter and torch-sparse
# are never compiled here (see CONTRIBUTING.md).

PYTHON ?= python3
VENV   ?= .venv
LOWEST ?= .venv-lowest
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
PYTEST := -m pytest -q -n auto --dist worksteal --durations 15 -m "not slow and not accel and not spark"

# What test-lowest runs: the parts that call the dependencies most, and little training.
FAST := $(addprefix tests/, data graphs nn objectives sequences evaluation recommend config) \
	tests/test_schema.py tests/test_specs.py tests/test_runtime.py

# What test-slow runs: trainings, exports and statistics that take minutes, and ten times as
# many damaged files as the fast tests draw. The other slow tests kill commands for half an hour.
SLOW := $(addprefix tests/, models training evaluation export data) $(wildcard tests/test_fuzz_*.py)

# Compiled files are kept, whatever the environment says: the tests start many processes.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help install demo test test-lowest test-slow lint format docs bench clean
.DELETE_ON_ERROR:

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# A stamp file marks a set of packages as installed. It lies inside the environment, so
# that both are deleted together.
STAMP := $(VENV)/.graphseq

$(STAMP)-torch: constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing torch into $(VENV)"
	$(PIP) torch
	@touch $@

$(STAMP)-package: $(STAMP)-torch pyproject.toml
	@echo "installing graphseq into $(VENV)"
	$(PIP) -e .
	@touch $@

$(STAMP)-dev: $(STAMP)-package
	@echo "installing the development tools, and what export and serving need"
	$(PIP) -e '.[dev,onnx,serve]'
	@touch $@

$(STAMP)-docs: $(STAMP)-package
	@echo "installing the documentation tools"
	$(PIP) -e '.[docs,onnx,serve]'
	@touch $@

# Shapes are not checked at run time: the lowest jaxtyping loads too late for that.
$(LOWEST)/.graphseq: constraints-lowest.txt pyproject.toml
	test -x $(LOWEST)/bin/python || $(PYTHON) -m venv $(LOWEST)
	@echo "installing the lowest versions into $(LOWEST)"
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check \
		-c constraints-lowest.txt -e . beartype hypothesis pytest pytest-xdist
	@touch $@

install: $(STAMP)-package  ## Install the package into .venv

demo: $(STAMP)-package  ## Run the demo: log, graphs, three models, one table
	$(BIN)/graphseq demo

test: $(STAMP)-dev  ## Run the tests
	OMP_NUM_THREADS=1 $(BIN)/python $(PYTEST) -rs

test-lowest: $(LOWEST)/.graphseq  ## Run fast tests with the lowest versions
	OMP_NUM_THREADS=1 $(LOWEST)/bin/python $(PYTEST) -p no:cacheprovider \
		-W default -o addopts="--strict-markers --import-mode=importlib" $(FAST)

test-slow: $(STAMP)-dev  ## Run the slow tests of models, statistics and damaged files
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --dist worksteal -m slow -rs $(SLOW)

lint: $(STAMP)-dev  ## Check style (ruff) and types (mypy strict)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP)-dev  ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(STAMP)-docs  ## Build the documentation and execute its tutorials
	$(BIN)/sphinx-build -j auto -W --keep-going --show-traceback -b html \
		docs docs/_build/html

bench: $(STAMP)-package  ## Measure speed and memory, compared with peers
	$(BIN)/python -m benchmarks

clean:  ## Remove environments, caches, outputs of the demo and of the docs
	rm -rf $(VENV) $(LOWEST) demo build dist docs/_build *.egg-info
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
