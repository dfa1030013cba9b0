# Every target sets itself up (.venv, pinned and hashed); the second time that costs milliseconds.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
PYTEST_WORKERS ?= 2
BIN := .venv/bin
PATHS := src tests scripts $(wildcard bench)

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 10

.PHONY: demo
demo: ## Start the Northgate day: a distributor's day of orders, with faults (ARGS="--speed 120")
	@scripts/setup.sh runtime
	@exec $(BIN)/crossdock demo $(ARGS)

.PHONY: test
test: setup-tests setup-peers lint ## What CI runs: every check and every test
	@$(BIN)/python -m pytest -n $(PYTEST_WORKERS) $(ARGS)

.PHONY: check
check: setup-tests lint ## What you run before a commit: every check, and the tests that are not slow
	@$(BIN)/python -m pytest -n $(PYTEST_WORKERS) -m "not slow" $(ARGS)

.PHONY: bench
bench: setup-tests ## Measure the hub, its parts and its peers; write the reference page (ARGS="--quick")
	@scripts/ensure_redis.sh
	@$(BIN)/python -m bench $(ARGS)

.PHONY: nightly
nightly: setup-tests setup-peers setup-nightly-peers lint ## The long runs: more examples, more crashes, fresh seeds
	@CROSSDOCK_TEST_PROFILE=nightly $(BIN)/python -m pytest -n $(PYTEST_WORKERS) $(ARGS)

.PHONY: docs
docs: ## Write the generated reference pages again
	@scripts/setup.sh dev
	@$(BIN)/python scripts/generate_docs.py

.PHONY: setup-tests
setup-tests:
	@scripts/setup.sh dev
	@scripts/ensure_postgres.sh
	@scripts/ensure_openssh.sh
	@scripts/ensure_chromium.sh

# Real systems that the tests run end to end with; each has an environment of its own below var/peers.
.PHONY: setup-peers
setup-peers:
	@scripts/ensure_tryton.sh
	@scripts/ensure_helpdesk.sh

.PHONY: setup-nightly-peers
setup-nightly-peers:
	@scripts/ensure_request_tracker.sh
	@scripts/ensure_vendure.sh

.PHONY: lint
lint: setup-tests
	@$(BIN)/ruff format --check --quiet --output-format concise $(PATHS)
	@$(BIN)/ruff check --quiet --output-format concise $(PATHS)
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports > .lint-imports.log || { cat .lint-imports.log; rm -f .lint-imports.log; exit 1; }
	@rm -f .lint-imports.log
