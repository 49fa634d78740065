#!/usr/bin/env bats

setup() {
  load data
  cd "$BATS_TEST_TMPDIR"
  make_data a
}

@test "a right directory passes, from anywhere and through a link, without PYTHONPATH" {
  unset PYTHONPATH
  ln -s "$utils" linked
  run linked/validate_data_dir.sh --no-feats --lang a
  [ "$status" -eq 0 ]
  [[ "$output" == *"Successfully validated data-directory a (3 utterances, 2 speakers)"* ]]
}

@test "feats, text and wav are required as in Kaldi" {
  run "$utils/validate_data_dir.sh" a
  [ "$status" -eq 1 ]
  [[ "$output" == *"a/feats.scp: no such file"* ]]
  rm a/text a/wav.scp
  run "$utils/validate_data_dir.sh" --no-feats a
  [ "$status" -eq 1 ]
  [[ "$output" == *"a/text: no such file"*  && "$output" == *"a/wav.scp: no such file"* ]]
  "$utils/validate_data_dir.sh" --no-feats --no-text --no-wav a
}

@test "all faults are named at once, with path and line" {
  sed -i 's/^s1-b .*/s1-b/' a/text
  sed -i 's/^s2-a .*/s2-a gone.wav/' a/wav.scp
  rm a/spk2utt
  run "$utils/validate_data_dir.sh" --no-feats a
  [ "$status" -eq 1 ]
  [[ "${lines[0]}" == "validate_data_dir: error: a: 3 faults" ]]
  [[ "$output" == *"a/text:2: "* && "$output" == *"a/wav.scp:3: "* && "$output" == *"a/spk2utt: "* ]]
}

@test "an unknown option, no directory and too many directories exit with 1" {
  run "$utils/validate_data_dir.sh" --no-feast a
  [ "$status" -eq 1 ]
  [[ "$output" == *"--no-feast"* ]]
  run "$utils/validate_data_dir.sh"
  [ "$status" -eq 1 ]
  run "$utils/validate_data_dir.sh" a a
  [ "$status" -eq 1 ]
}
