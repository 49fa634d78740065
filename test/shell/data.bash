# shellcheck shell=bash
# Load this file for `utils` and `make_data <dir>`: three utterances of two speakers, by hand.

# shellcheck disable=SC2034 # The tests use it.
utils=$(cd "$BATS_TEST_DIRNAME/../../utils" && pwd)

make_data() {
  mkdir -p "$1"
  local utt
  for utt in s1-a s1-b s2-a; do
    echo RIFF >"$BATS_TEST_TMPDIR/$utt.wav"
    echo "$utt $BATS_TEST_TMPDIR/$utt.wav" >>"$1/wav.scp"
    echo "$utt word of $utt" >>"$1/text"
    echo "$utt ${utt%-*}" >>"$1/utt2spk"
    echo "$utt hi" >>"$1/utt2lang"
  done
  printf 's1 s1-a s1-b\ns2 s2-a\n' >"$1/spk2utt"
}

# Column 1 of a file, in one line.
ids() {
  cut -d ' ' -f 1 "$1" | paste -s -d ' '
}
