# Needs Python 3.11 or newer, git and make; everything else goes into .venv. `make` lists the targets.
# Every target sets up what it needs: a stamp is newer than its lock when that was done.

PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3 python; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$python && break; done)
VENV := .venv
RUN := $(VENV)/bin/
# To run the program, and to work on it as well (tests, types, lint).
PROGRAM_STAMP := $(VENV)/.installed-program
STAMP := $(VENV)/.installed
# What the benchmarks compare us with: its dependencies conflict with ours, so it has an environment of its own.
PEERS := .venv-peers
PEERS_STAMP := $(PEERS)/.installed

.DEFAULT_GOAL := help
.PHONY: help demo test lint bench chaos eval clean lock setup

help:
	@echo "make demo    set up, load the sample, open the chat (without a terminal: play the tour)"
	@echo "make test    everything that must hold: lint, types, imports, tests"
	@echo "make lint    the quick part of it: ruff, mypy, import contracts"
	@echo "make bench   the measurements (make bench ONLY=agent_turn for one)"
	@echo "make chaos   only the tests that kill things"
	@echo "make eval    the planner and the search on labelled requests"
	@echo "make lock    choose the dependencies' versions anew (needs uv)"
	@echo "make clean   remove .venv and caches; your data stays"

setup: $(STAMP)

$(PROGRAM_STAMP): requirements-run.lock
	$(call install,$<,a minute)
	@touch $@

$(STAMP): requirements.lock
	$(call install,$<,two minutes)
	@touch $(PROGRAM_STAMP) $@

# $(call install,the lock,how long the first time)
define install
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed. Install it, or say where it is: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "Setting up $(VENV) (about $(2) the first time) .."
	@$(PYTHON) -m venv $(VENV) || { echo "Python's venv module is missing; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@$(RUN)python -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r $(1)
	@$(RUN)python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
endef

demo: $(PROGRAM_STAMP)
	@$(RUN)smartcampaign demo

lint: $(STAMP)
	$(RUN)ruff check
	$(RUN)ruff format --check
	$(RUN)mypy
	$(RUN)lint-imports

# pytest last: its summary is the end of the output.
test: lint
	$(RUN)pytest -n 2 --dist loadfile

$(PEERS_STAMP): bench/peers.lock
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed." >&2; exit 1; }
	@echo "Setting up $(PEERS) .."
	@$(PYTHON) -m venv $(PEERS)
	@$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes \
		-r bench/peers.lock
	@touch $(PEERS_STAMP)

bench: $(STAMP) $(PEERS_STAMP)
	@for script in $(if $(ONLY),$(ONLY),$$(grep -l '__main__' bench/*.py | xargs -n1 basename | sed 's/\.py$$//')); do \
		echo "== bench/$$script.py"; $(RUN)python -m bench.$$script || exit 1; done

chaos: $(STAMP)
	CHAOS=full $(RUN)pytest tests/chaos tests/db/test_embedded.py tests/agent/test_failures.py tests/interfaces/cli/test_crashes.py

eval: $(STAMP)
	$(RUN)python -m evals.planner
	$(RUN)python -m evals.search

COMPILE := uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-annotate --no-header

lock:
	@command -v uv >/dev/null || { echo "uv is needed to choose versions: https://docs.astral.sh/uv/" >&2; exit 1; }
	$(COMPILE) --group dev --upgrade --output-file requirements.lock
	$(COMPILE) --group build --constraint requirements.lock --output-file requirements-run.lock

clean:
	rm -rf $(VENV) $(PEERS) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .grimp_cache dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
