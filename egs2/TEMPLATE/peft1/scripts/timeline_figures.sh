#!/usr/bin/env bash
# Stage 9: pictures of some utterances whose language changes, with the language that was found at each time.
set -euo pipefail
n=4                        # pictures
help_message="Usage: $0 [options] <router-dir> <base-dir> <data-dir> <decode-dir>
Writes <decode-dir>/figures/<utt_id>.png and .txt."
. ./path.sh
. utils/parse_options.sh
. scripts/lib.sh
[ $# -eq 4 ] || die "expected 4 arguments, found $#. ${help_message}"
router=$1
base=$2
data=$3
decoded=$4

need 5 "${router}/config.json" "${router}/model.safetensors"
need 9 "${data}/wav.scp" "${data}/timeline" "${decoded}/timeline" "${decoded}/text"
want=$(settings "n=$n" "audio=$(audio_state "${data}/wav.scp")" "@${router}/model.safetensors" "@${base}/model.safetensors" \
    "@${data}/timeline" "@${data}/text" "@${decoded}/timeline" "@${decoded}/text")
out=${decoded}/figures
if finished "${out}" "${want}"; then
    log "${out} is up to date"
    exit 0
fi
rm -rf "${out}"
python3 -m espnet_peft.bin.plot_codeswitch --base_model "${base}" --router "${router}" --data_dir "${data}" \
    --decode_dir "${decoded}" --n "$n" --out_dir "${out}" > /dev/null
mark_done "${out}" "${want}"
log "${out}: at most $n pictures"
