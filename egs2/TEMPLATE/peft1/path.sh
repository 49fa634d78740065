# shellcheck shell=bash
# Where things are; sourced by peft.sh and every script, in the recipe's directory.
MAIN_ROOT=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../../.." && pwd)
export MAIN_ROOT
. "${MAIN_ROOT}/tools/activate_python.sh"
export PATH=${PWD}/utils:${PATH}
export PYTHONPATH=${MAIN_ROOT}${PYTHONPATH:+:${PYTHONPATH}}
export LC_ALL=C.UTF-8 PYTHONIOENCODING=UTF-8
