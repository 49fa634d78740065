#!/usr/bin/env bash
# Make <data-dir>_short and <data-dir>_noise: a few words of each utterance, and each utterance in noise.
set -euo pipefail
kinds="short noise"        # short: whole words that last 0.4 to 1.5 s; noise: new audio with noise
snr=0                      # of speech to noise (dB)
noise="white babble"       # kinds of noise that take turns: white speech_shaped babble
seed=0                     # of crops and noise
allow_pipes=false          # run the shell pipes of wav.scp
help_message="Usage: $0 [options] <data-dir> [<out-prefix>]"
. ./path.sh
. utils/parse_options.sh
. scripts/lib.sh
[ $# -eq 1 ] || [ $# -eq 2 ] || die "expected 1 or 2 arguments, found $#. ${help_message}"
data=$1
prefix=${2:-$1}
some_of kinds short noise

need 1 "${data}/wav.scp" "${data}/text" "${data}/utt2lang"
mapfile -t inputs < <(data_files "${data}")
[ ! -f "${data}/ctm" ] || inputs+=("@${data}/ctm")
inputs+=("audio=$(audio_state "${data}/wav.scp")")
opts=(--seed "${seed}")
validate=(--no-feats --lang)
[ "${allow_pipes}" = false ] || { opts+=(--allow_pipes); validate+=(--allow_pipes); }
for kind in ${kinds}; do
    out=${prefix}_${kind}
    own=()
    [ "${kind}" = short ] || own=(--snr "${snr}" --noise "${noise}")
    want=$(settings "kind=${kind}" "seed=${seed}" "options=${own[*]}" "data=${data}" "${inputs[@]}")
    if finished "${out}" "${want}"; then
        log "${out} is up to date"
        continue
    fi
    rm -rf "${out}"
    python3 -m espnet_peft.bin.make_hard_sets --kind "${kind}" --data_dir "${data}" --out_dir "${out}" "${opts[@]}" "${own[@]}"
    utils/validate_data_dir.sh "${validate[@]}" "${out}"
    mark_done "${out}" "${want}"
done
