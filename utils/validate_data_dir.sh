#!/usr/bin/env bash
# Report all faults of a data directory; --help lists Kaldi's options and ours.
set -euo pipefail

# shellcheck source=utils/lib/module.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib/module.sh"

run_module validate_data_dir "$@"
