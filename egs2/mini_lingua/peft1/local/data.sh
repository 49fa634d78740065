#!/usr/bin/env bash
# Make <data>/{train,dev,test}_<language> and <data>/{train,dev}_base: synthetic speech, see
# local/synthesise.py. Needs no corpus and no network.
set -euo pipefail
lang="it hi pa te"         # languages to adapt to
base_langs="en es"         # languages of the base model
n_train_rich=2000          # training utterances of each base language
n_train_target=800         # training utterances of each other language
n_dev=40                   # utterances of each dev set
n_test=100                 # utterances of each test set
seed=0                     # of sentences and recording channels
nj=2                       # parallel processes
data=data                  # output directory
help_message="Usage: $0 [options]"
. ./path.sh
. utils/parse_options.sh
. scripts/lib.sh
[ $# -eq 0 ] || die "unexpected argument '$1'. ${help_message}"

OMP_NUM_THREADS=1 python3 local/synthesise.py \
    --lang "${lang}" --base_langs "${base_langs}" --n_train_rich "${n_train_rich}" \
    --n_train_target "${n_train_target}" --n_dev "${n_dev}" --n_test "${n_test}" \
    --seed "${seed}" --nj "${nj}" --data "${data}"
log "local/data.sh: made ${data}/{train,dev,test}_<language>"
