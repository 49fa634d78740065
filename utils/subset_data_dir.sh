#!/usr/bin/env bash
# Write a data directory with some of the utterances of another one.
set -euo pipefail

# shellcheck source=utils/lib/module.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib/module.sh"

run_module subset_data_dir "$@"
