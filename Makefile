# Everything a person or CI runs. Each target does its own set-up on a fresh machine: Python 3.11+, Node 20+ and make.

SHELL := /bin/bash
.DEFAULT_GOAL := help
PORT ?= 8000

UV := $(or $(shell command -v uv 2>/dev/null),.uv/bin/uv)
BIN := .venv/bin

.PHONY: help run test check format clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 18

run: $(BIN)/.installed ## Serve the messenger on http://127.0.0.1:8000 (PORT=…), with demo users alice, bob, carol, dave
	@HUBBUB_ENVIRONMENT=$${HUBBUB_ENVIRONMENT:-development} exec $(BIN)/hubbub run hubbub_messenger.app:app --port $(PORT)

test: $(BIN)/.installed ## Pass the tests
	$(BIN)/pytest

check: $(BIN)/.installed ## Lint, types, imports in one direction
	$(UV) lock --check
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(BIN)/.installed ## Format the code
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean: ## Remove what the other targets have made
	rm -rf .venv .uv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist benchmarks/build

$(BIN)/.installed: pyproject.toml uv.lock | $(UV)
	$(UV) sync --locked --all-extras
	@touch $@

# Where uv is missing, pip brings it into a folder of this project.
.uv/bin/uv:
	python3 -m venv .uv
	.uv/bin/pip install --quiet uv
