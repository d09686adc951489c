# Every target makes its own .venv from requirements.lock first; all it needs is make and Python 3.11, 3.12 or 3.13.
#   make PYTHON=/path/to/python3.12 test      chooses the Python
#   make MQLML_DATA=/path/to/data test        also runs the tests on the public data sets
#   make LEADS=5000 demo                      shows a smaller history

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help venv demo test test-fast test-slow engines lint format bench notebooks docs dist lock clean distclean
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
ENGINES := $(VENV)/.engines
WORKERS ?= 2
PYTEST = $(BIN)/python -m pytest -q
# One file stays on one worker, so that what a file prepares is prepared once; files with long tests come first.
PARALLEL = -n $(WORKERS) --dist loadfile --no-loadscope-reorder
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export MLFLOW_DISABLE_TELEMETRY := true
ifdef MQLML_DATA
export MQLML_DATA
endif

help: ## Say what each target does
	@echo "Targets (each makes .venv from requirements.lock first):"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{printf "%-17s %s\n", $$1, $$2}'

venv: $(READY) ## Only make .venv

demo: $(READY) ## From a lead history to scores, reasons, thresholds and a report
	@$(BIN)/mqlml demo $(if $(LEADS),--leads $(LEADS))

test: $(READY) ## All tests but the slow ones
	@$(PYTEST) $(PARALLEL) -m "not slow"

test-fast: $(READY) ## The tests to run while working: no long ones, whole trainings, public data, browser or engines
	@$(PYTEST) $(PARALLEL) -m "not slow and not long and not training and not real_data and not browser and not engine"

test-slow: $(READY) ## The slow tests alone
	@$(PYTEST) -m slow || { code=$$?; [ $$code -eq 5 ] && echo "There is no slow test." || exit $$code; }

engines: $(ENGINES) ## Install PySpark and the PostgreSQL drivers, so that their tests run too (Java 17, initdb)

lint: $(READY) ## Style, format, types and import rules
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

format: $(READY) ## Put the code into its format
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

bench: $(READY) ## Measure what must be fast, each against its peer
	@for file in $$(grep -l __main__ benchmarks/*.py); do \
	  echo "== $$file"; $(BIN)/python "$$file" || exit 1; \
	done

notebooks: $(READY) ## Run notebooks/*.py and write the .ipynb beside them
	@$(BIN)/python scripts/notebooks.py

docs: $(READY) ## Write the reference from the code and build the documentation into site/
	@$(BIN)/python scripts/reference.py
	@$(BIN)/mkdocs build --strict --quiet && echo "site/index.html"

dist: $(READY) ## Wheel, sdist and software bill of materials in dist/, tried in a clean environment
	@$(BIN)/python scripts/dist.py

lock: $(READY) ## Write requirements.lock anew (UPGRADE=--upgrade for newer versions)
	@$(BIN)/python -m venv .cache/lock && .cache/lock/bin/pip install --quiet --quiet uv
	@PATH="$(CURDIR)/.cache/lock/bin:$$PATH" $(BIN)/python scripts/lock.py $(UPGRADE)

clean: ## Remove what the other targets made, except .venv, data and models
	@rm -rf .cache .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis build dist site
	@find src tests scripts notebooks benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## Remove .venv too
	@rm -rf $(VENV)

# The stamp is written last: a set-up that was interrupted is made again from the start.
$(READY): requirements.lock pyproject.toml
	@sh scripts/setup.sh $(VENV) $(PYTHON)
	@touch $@

$(ENGINES): $(READY) requirements-extras.lock
	@$(BIN)/python -m pip install --quiet --quiet --require-hashes --no-deps --requirement requirements-extras.lock
	@touch $@
