#!/usr/bin/env bash
# Stage 8: one archive with what is needed to use an adapter elsewhere.
set -euo pipefail
help_message="Usage: $0 <experiment-dir>"
. ./path.sh
. utils/parse_options.sh
. scripts/lib.sh
[ $# -eq 1 ] || die "expected 1 argument, found $#. ${help_message}"
need 4 "$1/adapter/adapter_config.json"
out=$1/$(basename "$1").zip
# Only files of the adapter go in; the archive is written whole or not at all.
if [ -f "${out}" ] && [ -z "$(find "$1/adapter" -newer "${out}")" ]; then
    log "${out} is up to date"
    exit 0
fi
python3 -m espnet_peft.bin.pack --adapter_dir "$1/adapter" --out "${out}"
