#!/usr/bin/env bash
# install.sh <component>...   runs install_<component>.sh for each that is not up to date.
#
# A component's stamp, venv/.stamps/<component>, holds a checksum of its installer, the pinned
# versions and the settings that it read. Contents rather than times decide, so that a fresh
# checkout over a kept venv, or a touched file, installs nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

export LC_ALL=C
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_ROOT_USER_ACTION=ignore
export VENV="$PWD/venv" LOG_DIR="$PWD/venv/log"

die() { echo "tools: error: $*" >&2; exit 1; }

# What, beside its own text, changes a component's installation.
settings() {
    case $1 in
        python) ;;
        torch) echo "$TORCH_VERSION $TORCH_INDEX"; grep '^torchaudio==' constraints.txt ;;
        package) cat ../setup.py ../espnet_peft/version.py; pwd ;;
        *) cat constraints.txt ;;
    esac
}

is_current() { [ -f "$1" ] && [ "$(<"$1")" = "$2" ]; }

# Two installations at once would write into each other's packages.
lock() {
    command -v flock >/dev/null || return 0
    exec 9>.lock
    flock -n 9 || { echo "tools: waiting for another installation here"; flock 9; }
}

remember_settings() {
    local name
    for name in ${GIVEN:-}; do
        touch venv/settings.mk
        grep -v "^$name " venv/settings.mk >venv/settings.mk.tmp || true
        echo "$name ?= ${!name}" >>venv/settings.mk.tmp
        mv venv/settings.mk.tmp venv/settings.mk
    done
}

installed=0
locked=false
for component in "$@"; do
    installer=installers/install_$component.sh
    [ -f "$installer" ] || die "$component: no such component, expected one of" \
        "$(printf '%s\n' installers/install_*.sh | sed 's/.*install_\(.*\)\.sh/\1/' | xargs)"
    sum=$( { cat "$installer"; settings "$component"; } | cksum)
    stamp=venv/.stamps/$component
    # Python is asked each time: it also notices a wrong PYTHON= and a system Python that is gone.
    [ "$component" = python ] && { ./"$installer" check || exit 1; }
    is_current "$stamp" "$sum" && continue
    if ! $locked; then
        lock
        locked=true
        is_current "$stamp" "$sum" && continue
    fi

    rm -f "$stamp"
    mkdir -p venv/.stamps
    log=$LOG_DIR/$component.log
    mkdir -p "$LOG_DIR"
    printf 'tools: installing %-8s (log: tools/venv/log/%s.log) ...' "$component" "$component"
    start=$SECONDS
    if ! ./"$installer" >"$log" 2>&1 </dev/null; then
        echo " failed"
        tail -n 15 "$log" >&2
        die "$component: installation failed; the whole log is tools/venv/log/$component.log"
    fi
    echo " $((SECONDS - start)) s"
    grep '^note: ' "$log" || true
    echo "$sum" >"$stamp"
    [ "$component" = torch ] && remember_settings
    installed=$((installed + 1))
done

# The table once, after a full installation; `make check` shows it at any time.
if [ "$installed" -gt 1 ]; then
    # shellcheck source=/dev/null
    . ./activate_python.sh
    python check_install.py
fi
