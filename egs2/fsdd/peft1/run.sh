#!/usr/bin/env bash
# Free Spoken Digit Dataset: human speech at 8 kHz for a base that has heard only synthetic voices.
# Four methods are compared; train on jackson, nicolas, theo, stop on yweweler, test on george.
# Settings only; ./run.sh --help lists all of them. Needs --db_root <free-spoken-digit-dataset>.
set -euo pipefail
cd "$(dirname "$0")"
./peft.sh \
    --lang en \
    --expected_rate 8000 \
    --base_recipe ../../mini_lingua/peft1 \
    --base_recipe_opts "--base_tag mini_bytes --byte_fallback true" \
    --base_model ../../mini_lingua/peft1/exp/mini_bytes/base_model \
    --base_tag mini_bytes \
    --adapter_configs "conf/tuning/lora.yaml conf/tuning/adapter.yaml conf/tuning/prompt.yaml conf/tuning/full.yaml" \
    "$@"
