#!/usr/bin/env bats

setup() {
  load data
  cd "$BATS_TEST_TMPDIR"
  make_data a
}

@test "first, last and per-spk" {
  "$utils/subset_data_dir.sh" --first a 1 b
  [ "$(ids b/text)" = "s1-a" ]
  "$utils/subset_data_dir.sh" --last a 1 c
  [ "$(ids c/text)" = "s2-a" ]
  "$utils/subset_data_dir.sh" --per-spk a 1 d
  [ "$(ids d/text)" = "s1-a s2-a" ]
  "$utils/validate_data_dir.sh" --no-feats --lang d
}

@test "shortest" {
  printf 's1-a 3\ns1-b 2\ns2-a 1\n' >a/utt2dur
  "$utils/subset_data_dir.sh" --shortest a 2 b
  [ "$(ids b/text)" = "s1-b s2-a" ]
}

@test "lists of utterances and speakers" {
  echo s2-a >utts
  "$utils/subset_data_dir.sh" --utt-list utts a b
  [ "$(ids b/wav.scp)" = "s2-a" ]
  echo s1 >spks
  "$utils/subset_data_dir.sh" --spk-list spks a c
  [ "$(ids c/wav.scp)" = "s1-a s1-b" ]
}

@test "more than there is, two modes, unknown options: exit 1 and nothing written" {
  run "$utils/subset_data_dir.sh" a 4 b
  [ "$status" -eq 1 ]
  [[ "$output" == *"expected 1 to 3"* ]]
  run "$utils/subset_data_dir.sh" --first --last a 1 b
  [ "$status" -eq 1 ]
  run "$utils/subset_data_dir.sh" --frist a 1 b
  [ "$status" -eq 1 ]
  [ ! -e b ]
}
