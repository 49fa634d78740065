#!/usr/bin/env bash
# Stage 5: what the frozen base encoder makes of data directories, cached for the training of the router.
set -euo pipefail
router_config=conf/router.yaml    # layers, crops and number of utterances
seed=1                     # seed of the crops
ngpu=0                     # > 0: on a GPU
help_message="Usage: $0 [options] <base-dir> <out-dir> <feats-dir>...
Writes <out-dir>/<name of feats-dir>; one process serves all that are not there yet."
. ./path.sh
. utils/parse_options.sh
. scripts/lib.sh
[ $# -ge 3 ] || die "expected 3 arguments or more, found $#. ${help_message}"
base=$1
out=$2
shift 2

for data in "$@"; do need 2 "${data}/text" "${data}/utt2lang"; done
need 3 "${base}/config.json" "${base}/model.safetensors"
[ -f "${router_config}" ] || die "--router_config ${router_config}: no such file"
# What the states depend on; another classifier on the same states needs no new ones.
layers=$(awk '/^[a-z_]+:/ { keep = /^(layers|crop_seconds|n_crops|max_per_language):/ }
    keep && !/^ *(#|$)/' "${router_config}")
base_digest=$(settings "@${base}/config.json" "@${base}/model.safetensors")
sources=()
todo=()
wants=()
for data in "$@"; do
    mapfile -t inputs < <(data_files "${data}")
    want=$(settings "${layers}" "seed=${seed}" "${inputs[@]}")$'\n'${base_digest}
    dir=${out}/$(basename "${data}")
    if finished "${dir}" "${want}"; then
        log "${dir} is up to date"
        continue
    fi
    rm -rf "${dir}"
    sources+=("${data}")
    todo+=("${dir}")
    wants+=("${want}")
done
[ ${#todo[@]} -gt 0 ] || exit 0
opts=()
[ "${ngpu}" -eq 0 ] || opts+=(--device cuda)
python3 -m espnet_peft.bin.extract_states --config "${router_config}" --base_model "${base}" --seed "${seed}" \
    --data_dir "${sources[@]}" --out_dir "${todo[@]}" "${opts[@]}"
for i in "${!todo[@]}"; do mark_done "${todo[$i]}" "${wants[$i]}"; done
