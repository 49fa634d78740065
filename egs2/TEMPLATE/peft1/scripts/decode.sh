#!/usr/bin/env bash
# Stage 6: decode one set with the base, or with the adapter that utt2adapter names for each utterance.
set -euo pipefail
cmd=run.pl                 # launcher
nj=1                       # parallel jobs
decode_config=conf/decode.yaml    # search options
ngpu=0                     # > 0: decode on a GPU
adapters=                  # "<name>=<adapter dir> ..."; empty: the base alone
utt2adapter=               # the router's choice
help_message="Usage: $0 [options] <base-dir> <feats-dir> <out-dir>"
. ./path.sh
. utils/parse_options.sh
. scripts/lib.sh
[ $# -eq 3 ] || die "expected 3 arguments, found $#. ${help_message}"
base=$1
data=$2
out=$3

need 2 "${data}/utt2lang" "${data}/text"
need 3 "${base}/config.json" "${base}/model.safetensors"
mapfile -t inputs < <(data_files "${data}")
opts=()
if [ -n "${adapters}" ]; then
    need 5 "${utt2adapter}"
    opts+=(--utt2adapter "${utt2adapter}")
    inputs+=("@${utt2adapter}")
    for a in ${adapters}; do
        need 4 "${a#*=}/adapter_config.json" "${a#*=}/adapter_model.safetensors"
        opts+=(--adapter "$a")
        inputs+=("@${a#*=}/adapter_model.safetensors" "@${a#*=}/adapter_config.json")
    done
fi
[ "${ngpu}" -eq 0 ] || opts+=(--device cuda)
want=$(settings "adapters=${adapters}" "@${decode_config}" "@${base}/config.json" "@${base}/model.safetensors" "${inputs[@]}")
if finished "${out}" "${want}"; then
    log "${out} is up to date"
    exit 0
fi
rm -rf "${out}"
mkdir -p "${out}/logdir"

n=$(wc -l < "${data}/text")
[ "${nj}" -le "${n}" ] || nj=${n}
keys=()
outputs=()
for i in $(seq "${nj}"); do
    keys+=("${out}/logdir/keys.$i")
    outputs+=("${out}/logdir/output.$i")
done
utils/split_scp.pl "${data}/utt2lang" "${keys[@]}"
gpu=0
[ "${ngpu}" -eq 0 ] || gpu=1
# shellcheck disable=SC2086  # cmd is a launcher with its options
${cmd} --gpu "${gpu}" JOB=1:"${nj}" "${out}/logdir/decode.JOB.log" \
    python3 -m espnet_peft.bin.decode --config "${decode_config}" --base_model "${base}" --data_dir "${data}" \
    --key_file "${out}/logdir/keys.JOB" "${opts[@]}" --out_dir "${out}/logdir/output.JOB"
python3 -m espnet_peft.bin.merge_decode --out_dir "${out}" "${outputs[@]}"
mark_done "${out}" "${want}"
