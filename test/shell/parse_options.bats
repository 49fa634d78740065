#!/usr/bin/env bats

setup() {
  load data
  cd "$BATS_TEST_TMPDIR"
  cat >script.sh <<END
#!/usr/bin/env bash
set -euo pipefail
nj=4
train_set=train
empty=
speed=true
help_message="Usage: script.sh [--nj <n>]\nSecond line"
. "$utils/parse_options.sh"
echo "nj=\$nj train_set=\$train_set empty=\$empty speed=\$speed rest=\$*"
END
  chmod +x script.sh
}

@test "options with dashes and underscores; the rest stays" {
  run ./script.sh --nj 8 --train-set a --speed false x --nj 9
  [ "$status" -eq 0 ]
  [ "$output" = "nj=8 train_set=a empty= speed=false rest=x --nj 9" ]
  run ./script.sh --train_set "" -- --nj
  [ "$output" = "nj=4 train_set= empty= speed=true rest=--nj" ]
}

@test "values are never evaluated" {
  run ./script.sh --empty '$(touch hacked) `touch hacked`; touch hacked' --train_set '"; touch hacked; "'
  [ "$status" -eq 0 ]
  [[ "$output" == *'empty=$(touch hacked) `touch hacked`; touch hacked speed'* ]]
  [ ! -e hacked ]
}

@test "values may hold options of other programs" {
  run ./script.sh --empty "--lr 1 --nj 3"
  [ "$status" -eq 0 ]
  [[ "$output" == "nj=4 "*"empty=--lr 1 --nj 3 "* ]]
}

@test "unknown options, missing values, bad booleans and --name=value exit with 1" {
  for arguments in "--foo 1" "-nj 3" "--nj" "--nj --train_set" "--speed yes" "--nj=3" "--PATH x"; do
    # shellcheck disable=SC2086 # Words are meant to be split.
    run ./script.sh $arguments
    [ "$status" -eq 1 ]
    [[ "$output" == "./script.sh: error: "* ]]
    [ "${#lines[@]}" -eq 1 ]
  done
}

@test "help" {
  run ./script.sh --nj 3 --help
  [ "$status" -eq 0 ]
  [ "${lines[0]}" = "Usage: script.sh [--nj <n>]" ]
  [ "${lines[1]}" = "Second line" ]
}

@test "a config gives values that later options override" {
  cat >conf <<'END'
# comment
nj=7   # comment

train_set="a b"
  empty='$x'
END
  run ./script.sh --config conf --train_set c
  [ "$status" -eq 0 ]
  [ "$output" = 'nj=7 train_set=c empty=$x speed=true rest=' ]
}

@test "a config runs no commands and may set known options only" {
  for line in 'nj=$(touch hacked)' 'touch hacked' 'foo=3' 'nj=3; touch hacked' 'speed=1' 'nj="`x`"'; do
    echo "$line" >conf
    run ./script.sh --config conf
    [ "$status" -eq 1 ]
    [[ "$output" == *"conf:1: "* ]]
  done
  [ ! -e hacked ]
  run ./script.sh --config none
  [ "$status" -eq 1 ]
}
