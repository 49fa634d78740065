#!/usr/bin/env bash
# This project, editable: the environment runs the code of this checkout.
set -euo pipefail

cd "$VENV/../.."
"$VENV/bin/python" -m pip install -q --no-deps --no-build-isolation --editable .
