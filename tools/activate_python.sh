# shellcheck shell=bash
# Source this: it puts tools/venv first in PATH and sets what its packages read.
#   . tools/activate_python.sh

_tools=$(cd "$(dirname "${BASH_SOURCE[0]:-$0}")" && pwd)
if [ ! -f "$_tools/venv/bin/activate" ]; then
    echo "$_tools/venv: not there; make it by: make -C $_tools" >&2
    unset _tools
    return 1
fi
# shellcheck source=/dev/null
. "$_tools/venv/bin/activate"

# Keeps g2p_en, which ESPnet imports, from calling the network.
export NLTK_DATA="$_tools/venv/nltk_data"
# Transcripts are UTF-8 whatever the locale is; packages in ~/.local stay out.
export PYTHONUTF8=1 PYTHONNOUSERSITE=1
unset _tools
