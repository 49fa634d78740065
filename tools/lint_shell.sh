#!/usr/bin/env bash
# Runs shellcheck over the shell and bats files of the checkout, found by name or first line.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v shellcheck >/dev/null; then
    echo "lint: no shellcheck, shell scripts are not checked (make -C tools dev)"
    exit 0
fi

is_shell() {
    case $1 in
        *.sh | *.bats) return 0 ;;
        *.*) return 1 ;;
    esac
    head -n 1 "$1" | grep -qE '^#!.*\b(ba)?sh\b'
}

# Untracked files too, so that a new script is checked before it is committed; without git (a
# released archive) all files are candidates.
candidates() {
    if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
        git ls-files --cached --others --exclude-standard -- .ci tools utils egs2 test
    else
        find .ci tools utils egs2 test -path tools/venv -prune -o -type f -print
    fi
}

files=()
while IFS= read -r file; do
    # Links point to files that are in the list themselves.
    if [ -f "$file" ] && [ ! -L "$file" ] && is_shell "$file"; then
        files+=("$file")
    fi
done < <(candidates)
# SC1090, SC1091, SC2154: sourced files (path.sh, cmd.sh), whose place is known at run time only,
# and the variables that they set. SC2209: in `test_sets=test` no $( ) is missing.
shellcheck --severity=warning --exclude=SC1090,SC1091,SC2154,SC2209 "${files[@]}"
echo "shellcheck: ${#files[@]} scripts, no warnings"
