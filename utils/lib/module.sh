# shellcheck shell=bash
# Source this file for `run_module <name> <arguments>`: it runs espnet_peft.bin.<name>.
# The package is found from this file's place, so that no environment needs to be active.

# espnet_peft/kaldi needs the standard library alone: any Python 3 of the system will do.
run_module() {
  local name=$1 root python status=0
  shift
  root=$(dirname "$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")")
  python="$root/tools/venv/bin/python3"
  [[ -x $python ]] || python=python3
  PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}" \
    "$python" -m "espnet_peft.bin.$name" "$@" || status=$?
  # Kaldi's scripts exit with 1 where argparse exits with 2.
  [[ $status -ne 2 ]] || status=1
  return "$status"
}
