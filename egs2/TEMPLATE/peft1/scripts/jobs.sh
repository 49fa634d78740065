#!/usr/bin/env bash
# Run the commands of standard input, one a line, through a launcher; logs are <log>.<line>.log.
# Progress lines of the logs are shown while the commands run, and the last line of each at the end.
set -euo pipefail
cmd=run.pl                 # launcher
gpu=0                      # GPUs of each command
max_jobs=2                 # that many side by side
help_message="Usage: $0 [options] <log> < commands"
. ./path.sh
. utils/parse_options.sh
. scripts/lib.sh
[ $# -eq 1 ] || die "expected 1 argument, found $#. ${help_message}"
mkdir -p "$(dirname "$1")"
cat > "$1.commands"
n=$(wc -l < "$1.commands")
[ "$n" -gt 0 ] || die "no command on standard input"
log "$n job(s), ${max_jobs} side by side; logs: $1.*.log"

logs=()
for i in $(seq "$n"); do
    : > "$1.$i.log"
    logs+=("$1.$i.log")
done
# A job is called by the last word of its command: the directory that it makes.
tail --pid=$$ -v -n 0 -F "${logs[@]}" 2>/dev/null | awk '
    NR == FNR { sub(".*/", "", $NF); name[NR] = $NF; next }
    /^==> / { n = split($2, part, "."); job = part[n - 1]; next }
    sub(/.* progress: /, "") { print "    " name[job] ": " $0; fflush() }' "$1.commands" - >&2 &

# shellcheck disable=SC2086  # cmd is a launcher with its options
${cmd} --gpu "${gpu}" --max-jobs-run "${max_jobs}" JOB=1:"$n" "$1.JOB.log" \
    bash -c "sed -n JOBp '$1.commands' | bash -euo pipefail" || {
    status=$?
    # The reason once more, where it is seen: below what the launcher says.
    grep -h '^[^#|]*: error: ' "${logs[@]}" | LC_ALL=C sort -u >&2 || true
    exit "${status}"
}
for i in $(seq "$n"); do
    # What the job said last; the launcher's own lines begin with #.
    grep -v '^#' "$1.$i.log" | grep . | tail -n 1 >&2
done
