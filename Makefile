# Everything one does in this repository. `make demo` and `make test` each work as the only command in a fresh clone.

.DEFAULT_GOAL := help
.PHONY: help install demo test test-all check bench lock clean

VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip --disable-pip-version-check --no-input -qq install -c constraints.txt

# The first of these that is Python 3.11 or newer; `make PYTHON=/path/to/python ...` names another.
PYTHON ?= $(shell for python in python3.11 python3 python3.12 python3.13; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)

# The demo needs neither torch nor Opacus. The tests run rounds with both, so they install them.
RUN_EXTRAS := cli,flower,lab,server
DEV_EXTRAS := $(RUN_EXTRAS),audit,dev,train

DEMO_ARGS ?=
EXTRAS ?=
PYTEST_ARGS ?=
SUITE ?=
WORKERS ?= 2

# Flower neither reports its use nor looks for updates; one BLAS thread per process, since the tests run side by side.
export FLWR_TELEMETRY_ENABLED := 0
export FLWR_DISABLE_UPDATE_CHECK := 1
test test-all: export OPENBLAS_NUM_THREADS := 1

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

install: $(VENV)/.dev  ## set up .venv for working on the code; EXTRAS=bench adds the benchmarks' peers
	@test -z "$(EXTRAS)" || $(PIP_INSTALL) -e '.[$(DEV_EXTRAS),$(EXTRAS)]'

demo: $(VENV)/.run  ## the whole idea on real households; DEMO_ARGS='--epsilon 2' and so on
	@$(BIN)/tactful demo $(DEMO_ARGS)

test: $(VENV)/.dev  ## all tests but the slow ones; PYTEST_ARGS='tests/wire -k signing' and so on
	$(BIN)/python -m pytest -n $(WORKERS) $(PYTEST_ARGS)

test-all: $(VENV)/.dev  ## all tests, the slow ones too
	$(BIN)/python -m pytest -n $(WORKERS) -m 'slow or not slow' $(PYTEST_ARGS)

check: $(VENV)/.dev  ## lint, format, types, and which room may import what
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_import_boundaries.py

bench: $(VENV)/.run  ## write benchmarks/results; SUITE=slots runs that one alone
	$(BIN)/python -m benchmarks.run $(SUITE)

lock: | $(VENV)/.created  ## resolve all extras anew into constraints.txt
	@PYTHON=$(BIN)/python scripts/lock

clean:  ## remove .venv, caches and whatever was built or written to out
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist out
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.created:
	@test -n "$(PYTHON)" || { echo 'Tactful needs Python 3.11 or newer, and found none: install it, or say make PYTHON=/path/to/python3.11' >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV) && touch $@

$(VENV)/.run: pyproject.toml constraints.txt | $(VENV)/.created
	@echo 'Installing into $(VENV), once: about a minute, without torch.'
	@$(PIP_INSTALL) -e '.[$(RUN_EXTRAS)]' && touch $@

# What the tests need holds all that the demo needs.
$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/.created
	@echo 'Installing into $(VENV), once: with torch, whose CPU build is enough (200 MB; the default one takes gigabytes).'
	@$(PIP_INSTALL) -e '.[$(DEV_EXTRAS)]' && touch $(VENV)/.run $@
