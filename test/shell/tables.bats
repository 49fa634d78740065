#!/usr/bin/env bats
# split_scp.pl, split_data.sh, filter_scp.pl and the two speaker maps.

setup() {
  load data
  cd "$BATS_TEST_TMPDIR"
}

@test "split_scp: parts in order, the first ones larger, together the whole" {
  seq 11 >in
  "$utils/split_scp.pl" in o1 o2 o3 o4
  [ "$(wc -l <o1) $(wc -l <o2) $(wc -l <o3) $(wc -l <o4)" = "3 3 3 2" ]
  cat o1 o2 o3 o4 | cmp - in
}

@test "split_scp -j: the same parts, from 0 or from 1, to stdout or a file" {
  seq 11 >in
  "$utils/split_scp.pl" in o1 o2 o3
  "$utils/split_scp.pl" -j 3 0 in | cmp - o1
  "$utils/split_scp.pl" -j 3 2 - <in | cmp - o3
  "$utils/split_scp.pl" -j 3 2 --one-based in out
  cmp out o2
}

@test "split_scp --utt2spk: whole speakers, no part empty, also with one large speaker" {
  for n in 1 2 3 4 5 6 7 8 9; do echo "a-$n a"; done >utt2spk
  printf 'b-1 b\nc-1 c\nd-1 d\n' >>utt2spk
  "$utils/split_scp.pl" --utt2spk=utt2spk utt2spk o1 o2 o3
  cat o1 o2 o3 | cmp - utt2spk
  # Speaker a alone has three quarters of the lines.
  [ "$(wc -l <o1)" -eq 9 ]
  [ "$(ids o2) $(ids o3)" = "b-1 c-1 d-1" ]
  [ -s o2 ] && [ -s o3 ]
  "$utils/split_scp.pl" -j 3 1 --utt2spk=utt2spk utt2spk | cmp - o2
}

@test "split_scp: too few lines or speakers, bad jobs, unknown options" {
  seq 3 >in
  run "$utils/split_scp.pl" in 1 2 3 4
  [ "$status" -eq 1 ]
  [[ "$output" == *"3 lines, expected at least one for each of 4 parts"* ]]
  printf 'u1 s\nu2 s\n' >utt2spk
  run "$utils/split_scp.pl" --utt2spk=utt2spk utt2spk o1 o2
  [ "$status" -eq 1 ]
  run "$utils/split_scp.pl" -j 3 3 in
  [ "$status" -eq 1 ]
  run "$utils/split_scp.pl" -j 3 0 --one-based in
  [ "$status" -eq 1 ]
  run "$utils/split_scp.pl" --foo in o1 o2
  [ "$status" -eq 1 ]
  run "$utils/split_scp.pl" none o1 o2
  [ "$status" -eq 1 ]
  [ ! -e o1 ]
}

@test "filter_scp: keep, exclude, another field, stdin" {
  printf 'a 1\nb 2\nc 1\n' >in
  printf 'c x y\na\n' >list
  [ "$("$utils/filter_scp.pl" list in)" = $'a 1\nc 1' ]
  [ "$("$utils/filter_scp.pl" --exclude list <in)" = "b 2" ]
  echo 1 >list
  [ "$("$utils/filter_scp.pl" -f 2 list in)" = $'a 1\nc 1' ]
  [ "$("$utils/filter_scp.pl" --exclude -f 2 list in)" = "b 2" ]
  run "$utils/filter_scp.pl" -f 3 list in
  [ "$status" -eq 1 ]
  run "$utils/filter_scp.pl" --foo list in
  [ "$status" -eq 1 ]
  run "$utils/filter_scp.pl" none in
  [ "$status" -eq 1 ]
}

@test "speaker maps are inverse, keep UTF-8, and name bad lines" {
  printf 'म-1 म\nम-2 म\nz-1 z\n' >utt2spk
  [ "$("$utils/utt2spk_to_spk2utt.pl" utt2spk)" = $'म म-1 म-2\nz z-1' ]
  "$utils/utt2spk_to_spk2utt.pl" <utt2spk | "$utils/spk2utt_to_utt2spk.pl" | cmp - utt2spk
  printf 'a b\nc\n' >bad
  run "$utils/utt2spk_to_spk2utt.pl" bad
  [ "$status" -eq 1 ]
  [[ "$output" == *"bad:2: 1 fields"* ]]
  run "$utils/spk2utt_to_utt2spk.pl" bad
  [ "$status" -eq 1 ]
  [[ "$output" == *"bad:2: "* ]]
}

@test "split_data: by speaker and by utterance, all files, again after a change" {
  make_data a
  "$utils/split_data.sh" a 2
  [ "$(ids a/split2/1/text)" = "s1-a s1-b" ]
  [ "$(ids a/split2/2/wav.scp)" = "s2-a" ]
  "$utils/validate_data_dir.sh" --no-feats --lang a/split2/1
  "$utils/split_data.sh" --per-utt a 3
  [ "$(ids a/split3utt/2/spk2utt)" = "s1" ]
  sleep 0.05
  sed -i 's/word/changed/' a/text
  "$utils/split_data.sh" a 2
  grep -q changed a/split2/1/text
  before=$(stat -c %Y.%i a/split2/.done)
  "$utils/split_data.sh" a 2
  [ "$(stat -c %Y.%i a/split2/.done)" = "$before" ]
  run "$utils/split_data.sh" a 3
  [ "$status" -eq 1 ]
  [ ! -e a/split3 ]
  run "$utils/split_data.sh" --foo a 3
  [ "$status" -eq 1 ]
}
