#!/usr/bin/env bash
# Write one data directory from several: combine_data.sh <dest> <src1> <src2> ...
set -euo pipefail

# shellcheck source=utils/lib/module.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib/module.sh"

run_module combine_data_dir "$@"
