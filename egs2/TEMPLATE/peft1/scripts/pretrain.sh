#!/usr/bin/env bash
# Stage 3 without a pretrained recogniser: tokenizer and model from scratch.
set -euo pipefail
train_config=conf/pretrain.yaml    # training configuration
token_type=char            # char, unigram or bpe
n_tokens=256               # vocabulary size for unigram and bpe
byte_fallback=             # true: spell characters that the vocabulary lacks as bytes; default: true but for char
token_langs=               # languages that get a tag
token_text=                # files whose text the vocabulary covers; default: the training text
seed=1                     # seed
ngpu=0                     # GPUs
help_message="Usage: $0 [options] <train-feats-dir> <valid-feats-dir> <out-dir>
Writes <out-dir>/tokenizer, <out-dir>/pretrain and <out-dir>/base_model."
. ./path.sh
. utils/parse_options.sh
. scripts/lib.sh
[ $# -eq 3 ] || die "expected 3 arguments, found $#. ${help_message}"
train=$1
valid=$2
out=$3

need 2 "${train}/text" "${valid}/text"
mapfile -t inputs < <(data_files "${train}"; data_files "${valid}")
texts=()
for f in ${token_text:-"${train}/text"}; do
    need 2 "$f"
    texts+=("@$f")
done
want=$(settings "token_type=${token_type}" "n_tokens=${n_tokens}" "byte_fallback=${byte_fallback}" "token_langs=${token_langs}" "seed=${seed}" \
    "@${train_config}" "${texts[@]}" "${inputs[@]}")
if finished "${out}/base_model" "${want}"; then
    log "${out}/base_model is up to date"
    exit 0
fi
resume_or_refuse "${out}/pretrain" "${want}"
rm -rf "${out}/base_model" "${out}/tokenizer"
python3 -m espnet_peft.bin.train_tokenizer --text "${texts[@]#@}" --languages "${token_langs}" \
    --model_type "${token_type}" --vocab_size "${n_tokens}" ${byte_fallback:+--byte_fallback "${byte_fallback}"} --out "${out}/tokenizer"
python3 -m espnet_peft.bin.train --config "${train_config}" --tokenizer "${out}/tokenizer" \
    --train_dir "${train}" --valid_dir "${valid}" --seed "${seed}" --ngpu "${ngpu}" --output_dir "${out}/pretrain" 2>&1 |
    tee -a "${out}/pretrain/train.log"
mv "${out}/pretrain/base" "${out}/base_model"
mark_done "${out}/base_model" "${want}"
