#!/usr/bin/env bash
# Copy a data directory, with prefixes or suffixes at its ids.
set -euo pipefail

# shellcheck source=utils/lib/module.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib/module.sh"

run_module copy_data_dir "$@"
