#!/usr/bin/env bats

setup() {
  load data
  cd "$BATS_TEST_TMPDIR"
  make_data a
}

@test "sorts every file in byte order and drops what is not in all" {
  tac a/text | grep -v s1-b >x && mv x a/text
  tac a/wav.scp >x && mv x a/wav.scp
  rm a/spk2utt
  run "$utils/fix_data_dir.sh" a
  [ "$status" -eq 0 ]
  [[ "$output" == *"kept 2 utterances out of 3 (1 not in text)"* ]]
  for f in a/*; do LC_ALL=C sort -c "$f"; done
  [ "$(cat a/spk2utt)" = $'s1 s1-a\ns2 s2-a' ]
  [ "$(ids a/wav.scp)" = "s1-a s2-a" ]
  "$utils/validate_data_dir.sh" --no-feats a
}

@test "says so where nothing has to go" {
  run "$utils/fix_data_dir.sh" a
  [ "$output" = "fix_data_dir: kept all 3 utterances." ]
}

@test "refuses a missing directory and an unknown option" {
  run "$utils/fix_data_dir.sh" none
  [ "$status" -eq 1 ]
  [[ "$output" == *"none: no such directory"* ]]
  run "$utils/fix_data_dir.sh" --what a
  [ "$status" -eq 1 ]
}
