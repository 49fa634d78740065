# make demo | test | lint | bench | clean | help
# Each target makes what it lacks in tools/venv; a second call costs seconds.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

ACTIVATE := . tools/activate_python.sh
# One thread a process: the tests' tensors are small, and xdist runs several processes.
PYTEST_WORKERS ?= 2
PYTEST_ARGS ?=
BENCH ?= demo

.NOTPARALLEL:
.PHONY: help setup demo test lint pytest bats bench clean distclean

help: ## this list
	@echo "make <target>"
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/  \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'
	@echo "variables: PYTHON=<3.11 or newer>  TORCH_VERSION=  TORCH_INDEX=<index URL, for a GPU>"
	@echo "           PYTEST_WORKERS=$(PYTEST_WORKERS)  PYTEST_ARGS=  BENCH=$(BENCH)"

setup: ## tools/venv with all that is needed (the other targets call it)
	@$(MAKE) --no-print-directory -C tools

demo: setup ## the whole job in miniature: egs2/mini_lingua/peft1
	@cd egs2/mini_lingua/peft1 && ./run.sh

test: setup lint pytest bats ## lint, then the tests of test/

lint: setup ## ruff and shellcheck
	@$(ACTIVATE) && ruff check . && ./tools/lint_shell.sh

pytest: setup
	@$(ACTIVATE) && OMP_NUM_THREADS=1 python -m pytest -q -n $(PYTEST_WORKERS) --dist loadgroup $(PYTEST_ARGS)

# After pytest, since make without -j runs from left to right.
bats: setup
	@$(ACTIVATE); if ! compgen -G 'test/shell/*.bats' >/dev/null; then \
	    echo "bats: no test/shell/*.bats"; \
	elif command -v bats >/dev/null; then \
	    OMP_NUM_THREADS=1 bats test/shell; \
	else \
	    echo "bats: not installed, test/shell is skipped (apt-get install bats)"; \
	fi

bench: setup ## times the demo stage by stage and writes .bench/<case>.json
	@$(ACTIVATE) && python test/bench/run.py --case $(BENCH)

clean: ## remove what recipes, tests and benchmarks made; tools/venv stays
	rm -rf egs2/*/*/{data,dump,exp} .bench .pytest_cache .ruff_cache build dist
	find . -name __pycache__ -type d -not -path './tools/venv/*' -prune -exec rm -rf {} +

distclean: clean ## clean, and remove tools/venv
	$(MAKE) --no-print-directory -C tools clean
	rm -rf espnet_peft.egg-info
