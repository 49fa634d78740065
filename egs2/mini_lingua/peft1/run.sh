#!/usr/bin/env bash
# A miniature of the whole job, from nothing: synthetic speech of six languages, a miniature
# Whisper trained on two of them, one adapter for each of the other four.
# Settings only; ./run.sh --help lists all of them.
set -euo pipefail
cd "$(dirname "$0")"
./peft.sh \
    --base_langs "en es" \
    --lang "it hi pa te" \
    --base_model pretrain \
    --base_tag mini_s1 \
    --pretrain_sets "train_base dev_base" \
    --token_langs "en es it hi pa te el" \
    --adapter_configs "conf/tuning/lora_r16.yaml conf/tuning/full.yaml" \
    --routes "hard threshold soft soft_decoders hierarchical frame spans" \
    --router_pairs "hi-pa" \
    --codeswitch_opts "--same_voice _(.+)" \
    --unknown_langs "el" \
    --unknown_data_opts "--base_langs el --n_train_rich 1 --n_train_target 1 --n_dev 1" \
    "$@"
