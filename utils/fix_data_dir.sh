#!/usr/bin/env bash
# Sort a data directory and keep the utterances that all of its files agree on.
set -euo pipefail

# shellcheck source=utils/lib/module.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib/module.sh"

run_module fix_data_dir "$@"
