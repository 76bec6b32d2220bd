# `make` or `make help` says what there is.  Every target makes its own .venv when it has to.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip -qq --disable-pip-version-check
JOBS   ?= 2
PYTEST := $(BIN)/python -m pytest -n $(JOBS) --dist worksteal
LINTED := mpc dsl runtime network examples tests benchmarks

.PHONY: help demo check lint test bench soak clean

help: ## what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-6s %s\n", $$1, $$2}' Makefile

demo: $(VENV)/.run ## three hospitals train one model on their patients: what it costs, what is disclosed, the result
	@$(BIN)/parley check examples/cancer/study.parley --data examples/cancer/data --brief
	@$(BIN)/parley run examples/cancer/study.parley --data examples/cancer/data

check: lint ## lint, format, types and the quick tests (under 2 minutes)
	@$(PYTEST) -m "not slow"

test: lint ## everything: lint, format, types and all tests (under 10 minutes on 2 cores)
	@$(PYTEST)

lint: $(VENV)/.dev
	@$(BIN)/ruff check --quiet $(LINTED)
	@$(BIN)/ruff format --quiet --check $(LINTED)
	@$(BIN)/mypy --no-error-summary

soak: $(VENV)/.dev ## property tests with examples of chance, 10^9 truncations and comparisons against their definitions
	@$(PYTEST) -m hypothesis --hypothesis-profile=search
	@$(BIN)/python tests/soak.py --protocol rep3
	@$(BIN)/python tests/soak.py --protocol additive

bench: $(VENV)/.dev ## measure speed here, each benchmark in turn (some minutes)
	@for file in $$(grep -l __main__ benchmarks/*.py); do \
		name=$$(basename "$$file" .py); echo "== $$name"; $(BIN)/python -m "benchmarks.$$name" || exit 1; \
	done

clean: ## remove what was made here, the .venv with it
	@rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# What running studies needs, and what working on Parley needs beside it.  Re-made when pyproject.toml changes.
$(VENV)/.run: pyproject.toml | $(BIN)/python
	@echo "installing what running studies needs into $(VENV)"
	@$(PIP) install -e .
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	@echo "installing what working on Parley needs into $(VENV)"
	@$(PIP) install -e '.[dev,fast,mqtt]'
	@touch $@ $(VENV)/.run

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Parley needs Python 3.11 or newer: say which with make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
		{ rm -rf $(VENV); echo "python3 -m venv failed: on Debian, apt-get install python3-venv" >&2; exit 1; }
