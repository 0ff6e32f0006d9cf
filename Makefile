# The vocabulary of this repository. `make` alone says what there is.
# Everything is installed into .venv, in the versions of constraints.txt, with torch
# first. torch-scatter and torch-sparse are never compiled here (see CONTRIBUTING.md).

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help install demo test lint format docs bench clean
.DELETE_ON_ERROR:

help:  ## Say what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# A stamp stands for a set of installed packages. It lies inside the environment, so
# that both come and go together, and is older than whatever makes it stale.
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
	@echo "installing the tools of the tests"
	$(PIP) -e '.[dev]'
	@touch $@

$(STAMP)-docs: $(STAMP)-package
	@echo "installing the tools of the documentation"
	$(PIP) -e '.[docs]'
	@touch $@

install: $(STAMP)-package  ## Install the package into .venv

demo: $(STAMP)-package  ## See the main job work: log, graphs, three models, one table
	$(BIN)/graphseq demo

test: $(STAMP)-dev  ## Run the tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -rs -n auto --dist worksteal -m "not slow and not accel and not spark"

lint: $(STAMP)-dev  ## Check style (ruff) and types (mypy strict)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP)-dev  ## Put the code into the one format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(STAMP)-docs  ## Build the documentation; its tutorials are executed
	$(BIN)/sphinx-build -W --keep-going -b html docs docs/_build/html

bench: $(STAMP)-package  ## Measure speed and memory, each against its peer
	$(BIN)/python -m benchmarks

clean:  ## Remove what was made: .venv, caches, outputs of the demo and of the docs
	rm -rf $(VENV) demo build dist docs/_build *.egg-info
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
