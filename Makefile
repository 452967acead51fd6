# The one door. `make` lists what it can do; a fresh machine needs python3 and make, nothing else.

.DEFAULT_GOAL := help
.PHONY: help start test check unit lint format bench chaos docs aggregate clean
SHELL := /bin/sh
ARGS ?=
# So many processes share the tests, file by file.
WORKERS ?= 2

UV := $(or $(shell command -v uv),.tools/bin/uv)
BIN := .venv/bin
PROJECTS := pyproject.toml uv.lock $(wildcard libs/*/pyproject.toml services/*/pyproject.toml tools/*/pyproject.toml)
# Without a home that can be written to, what is fetched is kept here.
ifeq ($(XDG_CACHE_HOME)$(shell test -w "$$HOME" && echo home),)
export UV_CACHE_DIR ?= $(CURDIR)/.tools/cache
export PIP_NO_CACHE_DIR ?= 1
endif
SYNC = UV_PYTHON_DOWNLOADS=never $(UV) sync --locked --all-packages --inexact --quiet

help: ## List the targets
	@echo "usage: make TARGET [ARGS=...]"; echo
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  \1\t\2/' | expand -t 12

start: .venv/.runtime ## Run everything on this machine, in the foreground (Ctrl-C stops it)
	@$(BIN)/mpd start $(ARGS)

test: check ## Run the checks, then all tests against real servers (ARGS="-k word" picks, WORKERS=0 in one process)
	@$(BIN)/pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder --durations 10 $(ARGS)

unit: .venv/.dev ## Run the tests that need no server: core, views, schemas, 20 simulated storms
	@$(BIN)/pytest --numprocesses $(WORKERS) libs/mpcore libs/mpviews libs/mpschema
	@$(BIN)/python -m tests.simulation --seeds 20

check: .venv/.dev ## Check style, types and import contracts
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check --quiet || { echo "run: make format"; exit 1; }
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

lint: check

format: .venv/.dev ## Format the code and fix what can be fixed
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

bench: .venv/.dev ## Measure against baselines (ARGS="--seconds 5 NAME" runs one row)
	@$(BIN)/python -m bench $(ARGS)

chaos: .venv/.dev ## Kill servers and services under load and check that nothing is lost or doubled
	@$(BIN)/python -m tests.simulation --seeds 10000
	@$(BIN)/python -m tests.chaos $(ARGS)

docs: .venv/.dev ## Write the generated documents anew from the code (lock of shapes, SDK, reference)
	@$(BIN)/python -m mpschema $(ARGS)
	@$(BIN)/python -m mpclient.generate
	@$(BIN)/python -m mpcore.diagrams
	@$(BIN)/python -m mpd.tables
	@$(BIN)/python -m mpd.deployments

aggregate: .venv/.dev ## Make the skeleton of a new aggregate (NAME=blueprint)
	@$(BIN)/python -m tests.architecture.scaffold $(NAME)

clean: ## Remove everything generated here: environment, tools, caches (never your data)
	@rm -rf .venv .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .schemathesis
	@find libs services tools tests bench -name __pycache__ -type d -prune -exec rm -rf {} +

# Two stages of one environment: what runs, and on top of it what develops. Unchanged projects cost nothing.
.venv/.runtime: $(PROJECTS) | uv
	@echo "Setting up .venv ..."
	@$(SYNC) --no-dev
	@touch $@

.venv/.dev: $(PROJECTS) | uv
	@echo "Setting up .venv with the development tools ..."
	@$(SYNC)
	@touch .venv/.runtime $@

.PHONY: uv
uv:
	@command -v $(UV) >/dev/null || $(MAKE) --no-print-directory .tools/bin/uv

.tools/bin/uv:
	@command -v python3 >/dev/null || { echo "ModuPrompt needs python3 (3.11 or newer) on the PATH." >&2; exit 1; }
	@echo "Fetching uv into .tools ..."
	@python3 -m venv .tools || { rm -rf .tools; echo "python3 cannot make a virtual environment: install its venv module (Debian: apt-get install python3-venv) or uv." >&2; exit 1; }
	@.tools/bin/python -m pip install --quiet --disable-pip-version-check uv
