#!/usr/bin/env bash
# Run the commands of standard input, one a line, through a launcher; logs are <log>.<line>.log.
set -euo pipefail
cmd=run.pl                 # launcher
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
# shellcheck disable=SC2086  # cmd is a launcher with its options
${cmd} --max-jobs-run "${max_jobs}" JOB=1:"$n" "$1.JOB.log" bash -c "sed -n JOBp '$1.commands' | bash -euo pipefail"
for i in $(seq "$n"); do
    # What the job said last; the launcher's own lines begin with #.
    grep -v '^#' "$1.$i.log" | grep . | tail -n 1 >&2
done
