#!/usr/bin/env bash
# Split a data directory into <data>/split<n>/1 .. <n>, with all utterances of a speaker in one part.
set -euo pipefail

per_utt=false
if [[ ${1:-} == --per-utt || ${1:-} == --per_utt ]]; then
  per_utt=true
  shift
fi
help_message="Usage: $0 [--per-utt] <data_dir> <num_parts>
Writes <data_dir>/split<n>/<part>, or split<n>utt/<part> with --per-utt, which may part speakers."

# shellcheck source=utils/parse_options.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/parse_options.sh"
utils=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")

die() {
  echo "$0: error: $*" >&2
  exit 1
}

if [[ $# -ne 2 ]]; then
  printf '%b\n' "$help_message" >&2
  exit 1
fi
data=$1
parts=$2
[[ $parts =~ ^[1-9][0-9]*$ ]] || die "'$parts' parts, expected a number from 1 on"
[[ -s $data/utt2spk ]] || die "$data/utt2spk: missing or empty, expected a data directory"

split=$data/split$parts
by_speaker=("--utt2spk=$data/utt2spk")
if $per_utt; then
  split+=utt
  by_speaker=()
fi

# Two calls at once must not write into the same place: the second one waits and finds it done.
if command -v flock >/dev/null; then
  exec 9>"$data/.split.lock"
  flock 9
fi

# A split that is newer than all of its sources is used again.
if [[ -f $split/.done && -z $(find "$data" -maxdepth 1 -type f ! -name ".*" -newer "$split/.done") ]]; then
  exit 0
fi
rm -rf "$split.tmp" "$split"

for ((part = 1; part <= parts; part++)); do
  out=$split.tmp/$part
  mkdir -p "$out"
  "$utils/split_scp.pl" -j "$parts" "$part" --one-based "${by_speaker[@]}" \
    "$data/utt2spk" "$out/utt2spk"
  "$utils/utt2spk_to_spk2utt.pl" "$out/utt2spk" >"$out/spk2utt"
  if [[ -f $data/segments ]]; then
    "$utils/filter_scp.pl" "$out/utt2spk" "$data/segments" >"$out/segments"
    awk '{print $2}' "$out/segments" | LC_ALL=C sort -u >"$out/recordings.tmp"
  fi
  for path in "$data"/*; do
    name=${path##*/}
    ids=$out/utt2spk
    case $name in
      utt2spk | spk2utt | segments) continue ;;
      frame_shift | feats_type | num_channels)
        cp "$path" "$out/$name"
        continue
        ;;
      spk2* | cmvn.scp) ids=$out/spk2utt ;;
      wav.scp | reco2*) [[ ! -f $data/segments ]] || ids=$out/recordings.tmp ;;
      utt2* | text | text.* | feats.scp | vad.scp) ;;
      *) continue ;;
    esac
    "$utils/filter_scp.pl" "$ids" "$path" >"$out/$name"
  done
  rm -f "$out/recordings.tmp"
done
touch "$split.tmp/.done"
mv "$split.tmp" "$split"
