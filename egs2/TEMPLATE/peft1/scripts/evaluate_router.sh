#!/usr/bin/env bash
# Stage 5: how well a router knows the languages of one set: accuracy, confusion, calibration.
set -euo pipefail
languages=                 # classes of the router "token"; a trained one has its own
pairs=                     # languages whose confusion is reported by itself, for example "hi-pa"
unknown_languages=         # languages of the set that the router should call "other"
ngpu=0                     # > 0: on a GPU
help_message="Usage: $0 [options] <router-dir>|token <base-dir> <feats-dir> <out-dir>"
. ./path.sh
. utils/parse_options.sh
. scripts/lib.sh
[ $# -eq 4 ] || die "expected 4 arguments, found $#. ${help_message}"
router=$1
base=$2
data=$3
out=$4

need 2 "${data}/text" "${data}/utt2lang"
need 3 "${base}/config.json" "${base}/model.safetensors"
mapfile -t inputs < <(data_files "${data}")
if [ "${router}" != token ]; then
    need 5 "${router}/config.json" "${router}/model.safetensors"
    inputs+=("@${router}/config.json" "@${router}/model.safetensors")
fi
want=$(settings "languages=${languages}" "pairs=${pairs}" "unknown_languages=${unknown_languages}" "@${base}/model.safetensors" "${inputs[@]}")
if finished "${out}" "${want}"; then
    log "${out} is up to date"
    exit 0
fi
rm -rf "${out}"
opts=(--pairs "${pairs}" --unknown_languages "${unknown_languages}")
[ "${router}" != token ] || opts+=(--languages "${languages}")
[ "${ngpu}" -eq 0 ] || opts+=(--device cuda)
mkdir -p "$(dirname "${out}")"
python3 -m espnet_peft.bin.evaluate_router --router "${router}" --base_model "${base}" --data_dir "${data}" \
    --out_dir "${out}" "${opts[@]}"
mark_done "${out}" "${want}"
log "${out}: language right in $(sed -n 's/^accuracy *//p' "${out}/result.txt"), \"other\" for $(sed -n 's/^other *//p' "${out}/result.txt"); see confusion.png and length.png"
