#!/usr/bin/env bash
# Make <out-prefix>_<kind> and <out-prefix>_<kind>_segments: utterances that switch language, with a
# reference timeline, and the same audio cut at the switches. Recipes have it as local/make_codeswitch.sh.
set -euo pipefail
kinds="inter intra rapid"  # inter: utterances joined; intra: words replaced; rapid: short phrases in turn
n=60                       # utterances of each kind
seed=0                     # of all choices
same_voice=                # pattern in speaker ids that names a voice, for example "_(.+)"; default: mix any speakers
allow_pipes=false          # run the shell pipes of wav.scp
help_message="Usage: $0 [options] <out-prefix> <data-dir>..., for example $0 data/cs data/test_it data/test_hi"
. ./path.sh
. utils/parse_options.sh
. scripts/lib.sh
[ $# -ge 2 ] || die "expected 2 arguments or more, found $#. ${help_message}"
prefix=$1
shift
some_of kinds inter intra rapid

inputs=()
for x in "$@"; do
    need 1 "$x/wav.scp" "$x/text" "$x/utt2lang"
    mapfile -t -O "${#inputs[@]}" inputs < <(data_files "$x")
    [ ! -f "$x/ctm" ] || inputs+=("@$x/ctm")
    inputs+=("audio of $x=$(audio_state "$x/wav.scp")")
done
opts=(--n "${n}" --seed "${seed}" --same_voice "${same_voice}")
[ "${allow_pipes}" = false ] || opts+=(--allow_pipes)
for kind in ${kinds}; do
    out=${prefix}_${kind}
    want=$(settings "kind=${kind}" "n=${n}" "seed=${seed}" "same_voice=${same_voice}" "data=$*" "${inputs[@]}")
    if finished "${out}" "${want}" && [ -d "${out}_segments" ]; then
        log "${out} is up to date"
        continue
    fi
    rm -rf "${out}" "${out}_segments"
    python3 -m espnet_peft.bin.make_codeswitch --kind "${kind}" --data_dirs "$*" --out_dir "${out}" "${opts[@]}"
    for x in "${out}" "${out}_segments"; do utils/validate_data_dir.sh --no-feats --lang "$x"; done
    mark_done "${out}" "${want}"
done
