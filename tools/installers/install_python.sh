#!/usr/bin/env bash
# A virtual environment in $VENV from $PYTHON, or from the first Python found that will do.
# install_python.sh check   only says, in one line, whether the one that is there can be used.
set -euo pipefail

MIN=3.11   # the pinned transformers, numpy and scipy ask for it

die() { echo "tools: error: $*" >&2; exit 1; }

# Prints "3.11" for a usable Python; fails when it does not run, is too old or lacks venv.
version_of() {
    "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null
}
is_usable() {
    "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

why_not() {
    local version
    version=$(version_of "$1") || { echo "$1: cannot be run as Python"; return; }
    if "$1" -c 'import sys; sys.exit(sys.version_info >= (3, 11))'; then
        echo "$1: Python $version, expected $MIN or newer"
    else
        echo "$1: Python $version has no venv module (Debian, Ubuntu: apt-get install python3-venv)"
    fi
}

find_python() {
    local candidate found=""
    if [ -n "${PYTHON:-}" ]; then
        is_usable "$PYTHON" || die "$(why_not "$PYTHON"); give another by: make PYTHON=/path/to/python"
        echo "$PYTHON"
        return
    fi
    # 3.11 first, because the pinned versions were tested with it.
    for candidate in python3.11 python3 python3.12 python3.13 python3.14; do
        if is_usable "$candidate"; then
            echo "$candidate"
            return
        fi
        if [ -z "$found" ] && version_of "$candidate" >/dev/null; then
            found=$(why_not "$candidate")
        fi
    done
    die "${found:-no python3 in PATH}; give one by: make PYTHON=/path/to/python$MIN"
}

check() {
    local wanted have
    if [ ! -x "$VENV/bin/python" ]; then
        find_python >/dev/null
        return
    fi
    have=$(version_of "$VENV/bin/python") ||
        die "tools/venv: its Python cannot be run any more; remove it by: make -C tools clean"
    [ -z "${PYTHON:-}" ] && return
    wanted=$(version_of "$PYTHON") || die "$(why_not "$PYTHON")"
    [ "$wanted" = "$have" ] ||
        die "tools/venv: made with Python $have, but PYTHON=$PYTHON is $wanted;" \
            "remove it first: make -C tools clean"
}

if [ "${1:-}" = check ]; then
    check
    exit
fi

if [ ! -x "$VENV/bin/python" ]; then
    python=$(find_python)
    "$python" -m venv "$VENV"
fi
"$VENV/bin/python" -m pip install -q --upgrade "pip>=24"
