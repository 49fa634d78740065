#!/usr/bin/env bash
# Mozilla Common Voice, official directory layout.
#   ./run.sh --db_root <cv-corpus-...> --lang it --base_model small
# Without --base_model the miniature base of mini_lingua is adapted: it shows the flow, not the accuracy.
# Settings only; ./run.sh --help lists all of them.
set -euo pipefail
cd "$(dirname "$0")"
./peft.sh \
    --lang it \
    --base_recipe ../../mini_lingua/peft1 \
    --base_model ../../mini_lingua/peft1/exp/mini_s1/base_model \
    --adapter_configs "conf/tuning/lora.yaml" \
    "$@"
