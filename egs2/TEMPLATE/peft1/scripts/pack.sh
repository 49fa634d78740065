#!/usr/bin/env bash
# Stage 8: one archive with what is needed to use an adapter elsewhere.
set -euo pipefail
help_message="Usage: $0 <experiment-dir>"
. ./path.sh
. utils/parse_options.sh
. scripts/lib.sh
[ $# -eq 1 ] || die "expected 1 argument, found $#. ${help_message}"
need 4 "$1/adapter/adapter_config.json"
python3 -m espnet_peft.bin.pack --adapter_dir "$1/adapter" --out "$1/$(basename "$1").zip"
