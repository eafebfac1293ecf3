# Everything a person or CI runs. Each target does its own set-up on a fresh machine: Python 3.11+, Node 20+ and make.

SHELL := /bin/bash
.DEFAULT_GOAL := help
PORT ?= 8000
BIN := .venv/bin

NODE_TOOLS := $(addsuffix /node_modules/.installed,tools/contract tools/rest_types web)
WEB_SOURCES = $(shell find web/client/src web/app/src web/app/public -type f 2>/dev/null) web/app/index.html web/app/vite.config.ts
WEB_APP := src/hubbub_messenger/static/index.html
EXPORT := HUBBUB_ENVIRONMENT=development $(BIN)/hubbub contract export
MESSENGER := hubbub_messenger.app:app
OPENAPI := HUBBUB_ENVIRONMENT=development $(BIN)/python -c 'import json; from hubbub_messenger.app import app; print(json.dumps(app.openapi()))'
REST_TYPES := set -o pipefail; $(OPENAPI) | tools/rest_types/node_modules/.bin/openapi-typescript --output web/app/src/api/restTypes.ts
UV := $(or $(shell command -v uv 2>/dev/null),.uv/bin/uv)

.PHONY: help run test soak check docs build bench conformance contract release-contract format clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 24

run: $(BIN)/.installed $(WEB_APP) ## Serve the messenger on http://127.0.0.1:8000 (PORT=…), with demo users alice, bob, carol, dave
	@HUBBUB_ENVIRONMENT=$${HUBBUB_ENVIRONMENT:-development} exec $(BIN)/hubbub run $(MESSENGER) --port $(PORT)

test: $(BIN)/.installed $(NODE_TOOLS) $(WEB_APP) ## Pass the tests: Python, TypeScript, and real Chromium
	$(BIN)/pytest
	cd web && npm test
	$(BIN)/pytest tests/browser

soak: $(BIN)/.installed ## Pass the long tests, under load and for minutes: about an hour
	$(BIN)/pytest -m soak tests

check: $(BIN)/.installed $(NODE_TOOLS) ## Lint, types, imports in one direction, contract and documentation in step
	$(UV) lock --check
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(EXPORT) $(MESSENGER) --format typescript --guards --output web/client/src/contracts.ts --check
	$(REST_TYPES) --check
	cd web && npm run check
	HUBBUB_ENVIRONMENT=development $(BIN)/hubbub contract check contracts/released.json $(MESSENGER)
	$(BIN)/python -m tools.docs

docs: $(BIN)/.installed ## Build the documentation site into build/site, strictly (SERVE=1: and serve it on port 8001)
	$(BIN)/python -m tools.docs $(if $(SERVE),--serve)

conformance: $(BIN)/.installed ## Let the Autobahn suite judge the transport (RFC 6455; needs a Python 2.7 besides)
	$(BIN)/python tools/conformance/fuzz.py

bench: $(BIN)/.installed ## Measure Hubbub and its peers side by side into benchmarks/report/, in 20 minutes (QUICK=1: in 2)
	$(BIN)/python -m benchmarks $(if $(QUICK),--quick) $(BENCH)

build: $(BIN)/.installed $(WEB_APP) ## Build wheel and sdist into dist/, with the web app in them
	rm -rf dist
	$(UV) build

contract: $(BIN)/.installed tools/rest_types/node_modules/.installed ## Regenerate the TypeScript of the contract and of REST
	$(EXPORT) $(MESSENGER) --format typescript --guards --output web/client/src/contracts.ts
	$(REST_TYPES)

release-contract: $(BIN)/.installed ## Keep today's contract as the one that `check` compares with: at a release
	$(EXPORT) $(MESSENGER) --format json-schema --output contracts/released.json

format: $(BIN)/.installed ## Format the code
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean: ## Remove what the other targets have made
	rm -rf .venv .uv benchmarks/peers/.venv {benchmarks/peers,web,web/*,tools/contract,tools/rest_types}/node_modules web/client/dist src/hubbub_messenger/static .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .cache build dist {benchmarks,tools/conformance}/build

$(BIN)/.installed: pyproject.toml uv.lock | $(UV)
	$(UV) sync --locked --all-extras
	@touch $@

$(WEB_APP): web/node_modules/.installed $(WEB_SOURCES)
	cd web && npm run build
	@touch $@

# Without scripts: nothing that is installed here has a build step.
%/node_modules/.installed: %/package.json %/package-lock.json
	cd $* && npm ci --ignore-scripts --no-audit --no-fund
	@touch $@

# Where uv is missing, pip brings it into a folder of this project.
.uv/bin/uv:
	python3 -m venv .uv
	.uv/bin/pip install --quiet uv
