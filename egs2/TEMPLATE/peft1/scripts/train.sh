#!/usr/bin/env bash
# Stage 4: one adapter, for one language, with one configuration.
set -euo pipefail
train_config=conf/tuning/lora_r16.yaml    # training configuration
seed=1                     # seed
ngpu=0                     # GPUs
train_args=                # further options of espnet_peft.bin.train
help_message="Usage: $0 [options] <lang> <train-feats-dir> <valid-feats-dir> <base-dir> <out-dir>"
. ./path.sh
. utils/parse_options.sh
. scripts/lib.sh
[ $# -eq 5 ] || die "expected 5 arguments, found $#. ${help_message}"
lang=$1
train=$2
valid=$3
base=$4
out=$5

need 2 "${train}/text" "${valid}/text"
need 3 "${base}/config.json" "${base}/model.safetensors"
mapfile -t inputs < <(data_files "${train}"; data_files "${valid}")
want=$(settings "seed=${seed}" "train_args=${train_args}" "@${train_config}" "@${base}/config.json" \
    "@${base}/model.safetensors" "${inputs[@]}")
if finished "${out}" "${want}"; then
    log "${out} is up to date"
    exit 0
fi
resume_or_refuse "${out}" "${want}"
# shellcheck disable=SC2086  # train_args is a list of words
python3 -m espnet_peft.bin.train --config "${train_config}" --base_model "${base}" --language "${lang}" \
    --train_dir "${train}" --valid_dir "${valid}" --seed "${seed}" --ngpu "${ngpu}" \
    --output_dir "${out}" ${train_args} 2>&1 | tee -a "${out}/train.log"
mark_done "${out}" "${want}"
log "${out}: best WER on ${valid##*/} $(printf %.1f "$(sed -n 's/^ *"best_wer": \([0-9.]*\).*/\1/p' "${out}/train_stats.json")") %"
