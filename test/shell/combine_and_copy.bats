#!/usr/bin/env bats

setup() {
  load data
  cd "$BATS_TEST_TMPDIR"
  make_data a
}

@test "copy with prefixes, then combine: byte order, all utterances, inverse spk2utt" {
  "$utils/copy_data_dir.sh" --utt-prefix x_ --spk-prefix x_ a b
  [ "$(ids b/utt2spk)" = "x_s1-a x_s1-b x_s2-a" ]
  "$utils/combine_data.sh" c a b
  [ "$(wc -l <c/text)" -eq 6 ]
  for f in c/*; do LC_ALL=C sort -c "$f"; done
  "$utils/utt2spk_to_spk2utt.pl" c/utt2spk | diff - c/spk2utt
  [ "$(cut -d ' ' -f 2 c/wav.scp | sort -u | wc -l)" -eq 3 ]
}

@test "a plain copy is equal" {
  "$utils/copy_data_dir.sh" a b
  diff -r a b
}

@test "suffixes; a copy whose orders differ is named as such" {
  "$utils/copy_data_dir.sh" --spk-suffix=-v a b
  [ "$(cat b/spk2utt)" = $'s1-v s1-a s1-b\ns2-v s2-a' ]
  printf 's1-a z\ns1-b z\ns2-a y\n' >a/utt2spk
  run "$utils/copy_data_dir.sh" a c
  [ "$status" -eq 1 ]
  [[ "$output" == *"pass --no-spk-sort"* ]]
  "$utils/copy_data_dir.sh" --validate-opts=--no-spk-sort a d
}

@test "the same utterances twice, the same place twice, unknown options" {
  make_data b
  run "$utils/combine_data.sh" c a b
  [ "$status" -eq 1 ]
  [[ "$output" == *"'s1-a' is in both"* ]]
  [ ! -e c ]
  run "$utils/combine_data.sh" a a b
  [ "$status" -eq 1 ]
  run "$utils/combine_data.sh" --foo c a
  [ "$status" -eq 1 ]
  run "$utils/copy_data_dir.sh" --foo c a
  [ "$status" -eq 1 ]
}
