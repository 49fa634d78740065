#!/usr/bin/env bash
# Make <data>/{train,dev,test}_<language> from Mozilla Common Voice in its official layout:
# <db_root>/<locale>/{train,dev,test,validated}.tsv and <db_root>/<locale>/clips/*.mp3.
set -euo pipefail
db_root=                   # the corpus' directory (cv-corpus-...), which holds a folder a locale
lang=                      # languages by the model's codes (pa) or Common Voice's (pa-IN)
text_case=lower            # lower or keep
remove_punct=true          # false keeps punctuation, as a base with a large vocabulary wants it
check_audio=true           # false does not decode the clips: no warnings of near-silent ones
max_seconds=30             # longer utterances are left out
nj=2                       # parallel processes that read clips
data=data                  # output directory
help_message="Usage: $0 --db_root <cv-corpus-...> --lang \"it hi\" [options]"
. ./path.sh
. utils/parse_options.sh
. scripts/lib.sh
[ $# -eq 0 ] || die "unexpected argument '$1'. ${help_message}"
[ -n "${db_root}" ] || die "--db_root is empty, expected the corpus' directory. ${help_message}"
[ -n "${lang}" ] || die "--lang is empty, expected one language or more. ${help_message}"

python3 local/commonvoice.py --db_root "${db_root}" --lang "${lang}" --text_case "${text_case}" \
    --remove_punct "${remove_punct}" --check_audio "${check_audio}" \
    --max_seconds "${max_seconds}" --nj "${nj}" --data "${data}"
