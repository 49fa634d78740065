#!/usr/bin/env bash
# Stage 6: decode one set with the base, or with the adapters that a strategy chooses for each utterance.
set -euo pipefail
cmd=run.pl                 # launcher
nj=1                       # parallel jobs
decode_config=conf/decode.yaml    # search options
ngpu=0                     # > 0: decode on a GPU
adapters=                  # "<name>=<adapter dir> ..."; empty: the base alone
strategy=oracle            # oracle (utt2lang), base, hard, threshold, soft, soft_decoders, hierarchical, frame or spans
utt2adapter=               # instead of a strategy: a file with the adapter of each utterance
router=                    # directory of the router, or token
routing_config=conf/routing.yaml    # settings of the strategies
base_languages=            # languages that the base serves without an adapter
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
    if [ -n "${utt2adapter}" ]; then
        [ -s "${utt2adapter}" ] || die "--utt2adapter ${utt2adapter}: missing or empty, expected \"<utt_id> <adapter>\" lines"
        opts+=(--utt2adapter "${utt2adapter}")
        inputs+=("@${utt2adapter}")
    else
        opts+=(--strategy "${strategy}" --base_languages "${base_languages}")
        inputs+=("strategy=${strategy}" "base_languages=${base_languages}")
    fi
    if [ -z "${utt2adapter}" ] && [ "${strategy}" != oracle ]; then
        [ -n "${router}" ] || die "--strategy ${strategy} needs --router <dir>, or --router token"
        opts+=(--router "${router}" --routing_config "${routing_config}")
        inputs+=("router=${router}" "@${routing_config}")
        if [ "${router}" != token ]; then
            need 5 "${router}/config.json" "${router}/model.safetensors"
            inputs+=("@${router}/config.json" "@${router}/model.safetensors")
        fi
    fi
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
