#!/usr/bin/env bash
# Stage 3: fetch or convert a pretrained recogniser into a base directory.
set -euo pipefail
base_recipe=               # recipe whose stage 3 makes <base-model> where it is missing
base_recipe_opts=          # options of that recipe
pad_to=                    # 30 pads every utterance to 30 s
help_message="Usage: $0 [options] <base-model> <out-dir>"
. ./path.sh
. utils/parse_options.sh
. scripts/lib.sh
[ $# -eq 2 ] || die "expected 2 arguments, found $#. ${help_message}"
base_model=$1
out=$2

# A name without a slash is an official one, not the path of what another recipe makes.
if [ -n "${base_recipe}" ] && [[ ${base_model} == */* ]] && [ ! -e "${base_model}" ]; then
    log "${base_model} is missing: making it with ${base_recipe}/run.sh --stop_stage 3 ${base_recipe_opts}"
    # shellcheck disable=SC2086  # a list of words
    (cd "${base_recipe}" && ./run.sh --stop_stage 3 ${base_recipe_opts})
fi
inputs=()
for f in "${base_model}" "${base_model}/config.json" "${base_model}/model.safetensors"; do
    [ ! -f "$f" ] || inputs+=("@$f")
done
want=$(settings "base_model=${base_model}" "pad_to=${pad_to}" "${inputs[@]}")
if finished "${out}" "${want}"; then
    log "${out} is up to date"
    exit 0
fi
rm -rf "${out}"
python3 -m espnet_peft.bin.prepare_base --base_model "${base_model}" --out "${out}" ${pad_to:+--pad_to "${pad_to}"}
mark_done "${out}" "${want}"
