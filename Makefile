# All that is installed goes into .venv; nothing outside this folder is written.

# The first Python of 3.11 or later; another by: make PYTHON=/path/to/python3 …
PYTHON ?= $(shell for python in python3 python3.11 python3.12 python3.13 python3.14; do \
	if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then echo $$python; break; fi; done)
ARGS ?=
BIN = .venv/bin
PIP = $(BIN)/python -m pip
INSTALL = install --quiet --no-cache-dir --disable-pip-version-check --require-virtualenv
# pip of the machine serves a .venv that has none (Debian's python3 without python3-venv).
PIP_RUN = $$(if $(PIP) --version >/dev/null 2>&1; then echo $(PIP); else echo $(PYTHON) -m pip --python $(BIN)/python; fi)
COMPILE = $(BIN)/uv pip compile --quiet --generate-hashes --universal --python-version 3.11 \
	--no-header --no-annotate --no-emit-index-url --no-emit-find-links
POSTGRES15 = /usr/lib/postgresql/15/bin/postgres
# More workers than cores bring no speed, and make waits of the real processes long.
PYTEST = $(BIN)/python -m pytest -n auto --maxprocesses 4

# What they prove is no matter of the server's version, and they are long.
SAME = breaker every_setting fairness ladder order suppression turn

.PHONY: help install demo docs bench test simulate mutants e2e soak week lint format lock image clean
.DEFAULT_GOAL := help

help:  ## what there is
	@sed -n 's/^\([a-z0-9]*\):.*## /  make \1\t/p' Makefile | expand -t 18

install: .venv/.installed  ## the dialer into .venv, from the locked versions

demo: .venv/.installed  ## a sample campaign on a simulated Calldock; ARGS="--contacts 300 --until-done"
	@$(BIN)/dialer demo $(ARGS)

test: .venv/.developing lint  ## lint, types, floors, and all tests on the embedded Postgres and on 15
	$(PYTEST)
	@if [ -x $(POSTGRES15) ]; then set -x; \
	    $(PYTEST) --postgres 15 tests/database tests/engine tests/intake tests/notices tests/web/test_api.py \
	        tests/web/test_hooks.py --ignore=tests/database/embedded $(addprefix --ignore=tests/engine/test_,$(addsuffix .py,$(SAME))); \
	else echo "Postgres 15 is not installed here: its run is left out (Debian: apt-get install postgresql-15)"; fi

simulate: .venv/.developing  ## schedules of faults against the real engine; SEEDS=10000
	$(BIN)/python tests/simulation/run.py --seeds $(or $(SEEDS),1000)

mutants: .venv/.developing  ## known bugs, planted one at a time: each must be caught
	$(BIN)/python bench/mutants.py

lint: .venv/.developing  ## style, format, types, floors
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/.developing  ## put the format right
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: .venv/.installed  ## write the locks anew from pyproject.toml (delete one first to move all its versions up)
	$(PIP_RUN) $(INSTALL) uv
	$(COMPILE) pyproject.toml -o requirements.lock
	printf 'hatchling>=1.33\neditables>=0.6\n' | $(COMPILE) - -c requirements.lock -o requirements-build.lock
	$(COMPILE) --extra dev pyproject.toml -c requirements.lock -c requirements-build.lock -o requirements-dev.lock
	$(COMPILE) --extra dev --extra bench pyproject.toml -c requirements-dev.lock -o requirements-bench.lock

e2e: .venv/.installed  ## 10,000 people from file to ledger, judged from outside; ARGS="--rows 1000"
	$(BIN)/python bench/e2e.py $(ARGS)

soak: .venv/.installed  ## 1,100 kills over 100,000 contacts, some hours; ARGS="--contacts 800 --kills 8 --postgres-kills 2"
	$(BIN)/python bench/soak.py $(ARGS)

bench: .venv/.benching  ## what a call costs, and how fast, side by side; ARGS="life --rounds 3"
	$(BIN)/python bench/speed $(ARGS)

week: .venv/.installed  ## a week of 20,000 contacts in four countries, in minutes; ARGS="--contacts 500"
	$(BIN)/python bench/week $(ARGS)

docs: .venv/.developing  ## the pages as a site in site/, with pictures of the console taken anew
	@mkdir -p docs/shots
	DIALER_SHOTS=docs/shots $(BIN)/python -m pytest tests/browser/test_pictures.py
	$(BIN)/mkdocs build --strict

image:  ## the container image, dialer:latest
	docker build -t dialer .

clean:  ## remove .venv and the caches
	rm -rf .venv .mypy_cache .ruff_cache .import_linter_cache .hypothesis

.venv/bin/python:
	@if [ -z "$(PYTHON)" ]; then echo "Python 3.11 or later is needed; name it: make PYTHON=/path/to/python3"; exit 2; fi
	@$(PYTHON) -m venv .venv >/dev/null 2>&1 || $(PYTHON) -m venv --clear --without-pip .venv

.venv/.installed: .venv/bin/python requirements.lock requirements-build.lock pyproject.toml
	@echo "installing into .venv …"
	@$(PIP_RUN) $(INSTALL) --require-hashes -r requirements.lock -r requirements-build.lock
	@$(PIP_RUN) $(INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

.venv/.developing: .venv/.installed requirements-dev.lock
	@echo "installing the tools for tests into .venv …"
	@$(PIP_RUN) $(INSTALL) --require-hashes -r requirements-dev.lock
	@touch $@

.venv/.benching: .venv/.developing requirements-bench.lock
	@echo "installing what the bench compares with into .venv …"
	@$(PIP_RUN) $(INSTALL) --require-hashes -r requirements-bench.lock
	@touch $@
