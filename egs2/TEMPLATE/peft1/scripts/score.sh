#!/usr/bin/env bash
# Stage 7: WER and CER of one decoded set, with sclite-style reports.
set -euo pipefail
normalise=basic            # basic, whisper_basic or none
bootstrap=1000             # bootstrap samples of the confidence intervals
help_message="Usage: $0 [options] <feats-dir> <decode-dir>"
. ./path.sh
. utils/parse_options.sh
. scripts/lib.sh
[ $# -eq 2 ] || die "expected 2 arguments, found $#. ${help_message}"
need 2 "$1/text" "$1/utt2spk"
need 6 "$2/text"
inputs=("@$1/text" "@$1/utt2spk" "@$1/utt2lang" "@$2/text")
for f in "$1/timeline" "$2/timeline"; do [ ! -f "$f" ] || inputs+=("@$f"); done
want=$(settings "normalise=${normalise}" "bootstrap=${bootstrap}" "${inputs[@]}")
if finished "$2/score_wer" "${want}"; then
    log "$2: $(head -n 1 "$2/wer")"
    exit 0
fi
rm -f "$2/score_wer/.done"
python3 -m espnet_peft.bin.score --ref "$1/text" --hyp "$2/text" --utt2spk "$1/utt2spk" --utt2lang "$1/utt2lang" \
    --normalise "${normalise}" --bootstrap "${bootstrap}" --out_dir "$2"
if [ -f "$1/timeline" ] && [ -f "$2/timeline" ]; then
    python3 -m espnet_peft.bin.score_timeline --ref "$1/timeline" --hyp "$2/timeline" --out_dir "$2"
fi
mark_done "$2/score_wer" "${want}"
log "$2: $(head -n 1 "$2/wer")"
