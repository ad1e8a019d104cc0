# Everything a fresh machine needs, by itself: `make run` and `make test` set up first.
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
PORT ?= 4566
export PYTHON

.PHONY: help setup run test check soak bench lock clean

help: ## Show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

.venv/.complete: requirements.lock tools/setup.sh
	@sh tools/setup.sh

setup: .venv/.complete ## Fill .venv: the product, all extras, test tools; goiardi through apt

run: setup ## The main job: start OpenTrail, make a Chef server, show its CloudTrail record, stay up
	@$(BIN)/opentrail demo --port $(PORT)

check: setup ## Lint, types, import directions
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

# Two at a time, since most tests wait for servers; the seed makes both workers collect the same tests in one order.
test: setup check ## All checks and tests
	@PYTHONHASHSEED=0 $(BIN)/pytest -m "not soak" -n 2 --dist loadfile --durations 15

soak: setup ## The long versions of the tests: hundreds of kills, gigabytes, strangers' auditors
	@sh tools/get_auditors.sh
	@sh tools/get_opsworks_clients.sh
	@$(BIN)/pytest -m soak --timeout 3600 -s

bench: setup ## Benchmarks: ratios measured side by side in one run
	@sh tools/get_nginx.sh
	@$(BIN)/python -m bench.run

lock: setup ## Lock the dependencies anew, by version and hash
	@$(BIN)/uv pip compile --upgrade --universal --generate-hashes --python-version 3.11 --all-extras \
		--no-emit-index-url --no-header pyproject.toml -o requirements.lock

clean: ## Remove what setup and tests made (never a HOME)
	rm -rf .venv .venv-tools .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache bench/results
