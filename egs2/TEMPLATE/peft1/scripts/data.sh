#!/usr/bin/env bash
# Stage 1: the corpus' own local/data.sh makes Kaldi data directories; here they are checked
# and the test sets of all languages are joined.
set -euo pipefail
lang=                      # languages to adapt to
base_langs=                # further languages of the test sets
db_root=                   # where the corpus lies
sets=                      # directories that must exist afterwards
test_sets=test             # joined from <test_set>_<lang>
nj=2                       # parallel jobs
allow_pipes=false          # accept shell pipes in wav.scp
local_data_opts=           # further options of local/data.sh
help_message="Usage: $0 [options] <data-dir>"
. ./path.sh
. utils/parse_options.sh
. scripts/lib.sh
[ $# -eq 1 ] || die "expected 1 argument, found $#. ${help_message}"
data=$1

[ -x local/data.sh ] || die "local/data.sh is missing: it makes ${data}/<set> from the corpus"
mapfile -t inputs < <(find local -type f -not -path '*/__pycache__/*' | LC_ALL=C sort | sed 's/^/@/')
want=$(settings "lang=${lang}" "base_langs=${base_langs}" "db_root=${db_root}" "sets=${sets}" \
    "test_sets=${test_sets}" "local_data_opts=${local_data_opts}" "${inputs[@]}")
if finished "${data}" "${want}"; then
    log "${data} is up to date; where the corpus itself has changed, remove ${data}/.done"
    exit 0
fi
rm -f "${data}/.done"
# shellcheck disable=SC2086  # local_data_opts is a list of words
local/data.sh ${db_root:+--db_root "${db_root}"} --lang "${base_langs:+${base_langs} }${lang}" --nj "${nj}" --data "${data}" ${local_data_opts}

for x in ${test_sets}; do
    parts=()
    for l in ${base_langs} ${lang}; do parts+=("${data}/${x}_$l"); done
    utils/combine_data.sh "${data}/$x" "${parts[@]}"
done
pipes=()
[ "${allow_pipes}" = false ] || pipes=(--allow_pipes)
for x in ${sets} ${test_sets}; do
    utils/validate_data_dir.sh --no-feats --lang "${pipes[@]}" "${data}/$x"
done
mark_done "${data}" "${want}"
