#!/usr/bin/env bash
# eSpeak NG's library and voices in a wheel: mini_lingua speaks with it.
set -euo pipefail

"$VENV/bin/python" -m pip install -q -c constraints.txt espeakng-loader
