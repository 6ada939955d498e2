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
.PHONY: help screenshots demo test lint bench chaos fuzz eval clean lock setup mcpb mcp-conformance

help:
	@echo "make demo    set up, load the sample, open the chat (without a terminal: play the tour)"
	@echo "make test    everything that must hold: lint, types, imports, tests"
	@echo "make lint    the quick part of it: ruff, mypy, import contracts"
	@echo "make bench   the measurements (make bench ONLY=agent_turn for one)"
	@echo "make chaos   only the tests that kill things"
	@echo "make fuzz    made-up requests to every route of the API, for some minutes"
	@echo "make eval    the planner, the search, the agent, its safety (MODEL=.. BASE_URL=.. for a model)"
	@echo "make mcpb    the bundle for Claude Desktop, in dist/"
	@echo "make mcp-conformance    the official MCP tools against our server (needs npm)"
	@echo "make screenshots  the pictures in docs/images (needs chromium)"
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

fuzz: $(STAMP)
	FUZZ=long $(RUN)pytest tests/interfaces/api/test_schema.py

# Floors: what must be reached, so that a change which costs something is seen.
eval: $(STAMP)
ifdef MODEL
	$(RUN)python -m evals.agent --model "$(MODEL)" --base-url "$(BASE_URL)" --mode "$(or $(MODE),native)" \
		--repeat $(or $(REPEAT),1) --price-read $(or $(PRICE_READ),0) --price-written $(or $(PRICE_WRITTEN),0)
else
	$(RUN)python -m evals.planner
	$(RUN)python -m evals.search
	$(RUN)python -m evals.grounding
	$(RUN)python -m evals.agent --scripted --floor 1
	$(RUN)python -m evals.agent --floor 0.85
	$(RUN)python -m evals.safety
endif

screenshots: $(STAMP)
	$(RUN)python -m tests.interfaces.pages.screenshots

lock:
	@command -v uv >/dev/null || { echo "uv is needed to choose versions: https://docs.astral.sh/uv/" >&2; exit 1; }
	$(COMPILE) --group dev --upgrade --output-file requirements.lock
	$(COMPILE) --group build --constraint requirements.lock --output-file requirements-run.lock

clean:
	rm -rf $(VENV) $(PEERS) .mcp-tools .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .grimp_cache dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
