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

scripts=()
bats=()
while IFS= read -r file; do
    # Links point to files that are in the list themselves.
    if [ ! -f "$file" ] || [ -L "$file" ] || ! is_shell "$file"; then
        continue
    fi
    case $file in
        *.bats) bats+=("$file") ;;
        *) scripts+=("$file") ;;
    esac
done < <(candidates)

# SC1090, SC1091, SC2154: sourced files (path.sh, cmd.sh), whose place is known at run time only,
# and the variables that they set. SC2209: in `test_sets=test` no $( ) is missing.
sourced=SC1090,SC1091,SC2154,SC2209
shellcheck --severity=warning --exclude=$sourced "${scripts[@]}"
if [ ${#bats[@]} -gt 0 ]; then
    # SC2164: a cd that fails stops a bats test. SC2030, SC2031: each test is a subshell.
    shellcheck --severity=warning --exclude=$sourced,SC2164,SC2030,SC2031 "${bats[@]}"
fi
echo "shellcheck: $((${#scripts[@]} + ${#bats[@]})) files, no warnings"
