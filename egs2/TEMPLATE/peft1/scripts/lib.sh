# shellcheck shell=bash
# Sourced by peft.sh and the stage scripts: messages, and stamps of what a stage was run with.

log() { printf '%s %s\n' "$(date '+%H:%M:%S')" "$*" >&2; }

die() { printf '%s: error: %s\n' "$(basename "$0")" "$*" >&2; exit 1; }

# need <stage that makes it> <path>...: every path exists and is not empty, or the stage to run is named.
need() {
    local maker=$1 path
    shift
    for path in "$@"; do
        [ -s "${path}" ] || die "${path} is missing or empty: stage ${maker} makes it (--stage ${maker})"
    done
}

# one_of <option> <value>...: the option, a variable of the script, has one of these values.
one_of() {
    local option=$1
    shift
    [[ " $* " == *" ${!option} "* ]] || die "--${option} ${!option}: expected one of: $*"
}

# some_of <option> <value>...: each word of the option, a variable of the script, is one of these.
some_of() {
    local option=$1 word
    shift
    for word in ${!option}; do
        [[ " $* " == *" ${word} "* ]] || die "--${option} '${!option}': found ${word}, expected some of: $*"
    done
}

# settings <key=value | @file>...: one line each; a file is represented by a digest of its content.
settings() {
    local item
    for item in "$@"; do
        case ${item} in
        @*)
            [ -f "${item#@}" ] || die "${item#@}: no such file"
            printf '%s sha256:%.16s\n' "${item#@}" "$(sha256sum < "${item#@}")"
            ;;
        *) printf '%s\n' "${item}" ;;
        esac
    done
}

# finished <dir> <settings>: the directory was completed with just these settings.
finished() { [ -f "$1/.done" ] && [ "$(cat "$1/.done")" = "$2" ]; }

# changed <dir> <settings>: what differs from the settings that the directory was made with.
changed() {
    diff <(cat "$1/.done" 2>/dev/null || cat "$1/.settings") <(printf '%s\n' "$2") |
        sed -n 's/^\([<>]\) \(.*\) sha256:.*/\1 \2/; s/^< /then /p; s/^> /now /p' |
        awk '{ what = $0; sub(/^(then|now) /, "", what) }
            what ~ /=/ { list = list "; " $0; next }
            !seen[what]++ { list = list "; content of " what }
            END { print substr(list, 3) }'
}

# mark_done <dir> <settings>: written last, so that a directory without it is unfinished.
mark_done() {
    printf '%s\n' "$2" > "$1/.done.tmp"
    mv "$1/.done.tmp" "$1/.done"
}

# data_files <dir>: the files of a data or feature directory that its users depend on.
data_files() {
    local name
    for name in text utt2spk utt2lang segments wav.scp feats.scp content.sha256 timeline; do
        [ ! -f "$1/${name}" ] || printf '@%s\n' "$1/${name}"
    done
}

# audio_state <wav.scp>: one line that changes when a file that it names is replaced.
audio_state() {
    # shellcheck disable=SC2312  # a pipe or a missing file has no state here; reading it will tell
    cut -d ' ' -f 2- "$1" | sed 's/:[0-9]*$//' | LC_ALL=C sort -u |
        { xargs -d '\n' stat -L -c '%n %s %Y' 2>/dev/null || true; } | sha256sum | cut -c 1-16
}

# resume_or_refuse <exp dir> <settings>: resume a training that was begun with these settings; refuse
# a directory that was begun with others, since hours of work may lie in it.
resume_or_refuse() {
    # A run that was refused before its first checkpoint has nothing to lose.
    if [ -f "$1/.settings" ] && [ "$(cat "$1/.settings")" != "$2" ] &&
        { [ -f "$1/.done" ] || compgen -G "$1/checkpoint*.pth" > /dev/null; }; then
        die "$1 was trained with other settings ($(changed "$1" "$2")): remove it, or choose another --expdir"
    fi
    mkdir -p "$1"
    printf '%s\n' "$2" > "$1/.settings"
}
