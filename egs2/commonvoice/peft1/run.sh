#!/usr/bin/env bash
# Mozilla Common Voice in its official directory layout:
#   ./run.sh --db_root <cv-corpus-...> --lang it --base_model small
# Settings only; ./run.sh --help lists all of them.
set -euo pipefail
cd "$(dirname "$0")"
./peft.sh \
    --lang it \
    --base_model small \
    --base_recipe ../../mini_lingua/peft1 \
    --base_recipe_opts "--base_tag mini_bytes --byte_fallback true" \
    --adapter_configs "conf/tuning/lora_r16.yaml" \
    "$@"
