#!/usr/bin/env bash
# Stage 5: choose an adapter for every utterance of a set.
set -euo pipefail
strategy=oracle            # oracle: by utt2lang
adapters=                  # names of the adapters that exist: the languages
help_message="Usage: $0 [options] <feats-dir> <out-dir>"
. ./path.sh
. utils/parse_options.sh
. scripts/lib.sh
[ $# -eq 2 ] || die "expected 2 arguments, found $#. ${help_message}"
need 2 "$1/utt2lang"
mkdir -p "$2"
python3 -m espnet_peft.bin.route --strategy "${strategy}" --data_dir "$1" --adapters "${adapters}" --out "$2/utt2adapter"
