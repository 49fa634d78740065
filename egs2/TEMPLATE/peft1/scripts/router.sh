#!/usr/bin/env bash
# Stage 5: the language classifier, trained on what the frozen base encoder makes of the training sets.
set -euo pipefail
router_config=conf/router.yaml    # its settings
languages=                 # classes
seed=1                     # seed
help_message="Usage: $0 [options] <train-states-dirs> <valid-states-dirs> <base-dir> <out-dir>
The first two are lists of words, directories that scripts/states.sh made."
. ./path.sh
. utils/parse_options.sh
. scripts/lib.sh
[ $# -eq 4 ] || die "expected 4 arguments, found $#. ${help_message}"
train=$1
valid=$2
base=$3
out=$4

inputs=()
for d in ${train} ${valid}; do
    need 5 "$d/feats.scp" "$d/utt2lang" "$d/.done"
    inputs+=("@$d/.done")
done
want=$(settings "languages=${languages}" "seed=${seed}" "@${router_config}" "@${base}/model.safetensors" "${inputs[@]}")
if finished "${out}" "${want}"; then
    log "${out} is up to date"
    exit 0
fi
# Its evaluations go too: they are of another router.
rm -rf "${out}"
mkdir -p "$(dirname "${out}")"
python3 -m espnet_peft.bin.train_router --config "${router_config}" --train_dirs "${train}" --valid_dirs "${valid}" \
    --base_model "${base}" --languages "${languages}" --seed "${seed}" --out_dir "${out}"
mark_done "${out}" "${want}"
