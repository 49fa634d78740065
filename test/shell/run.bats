#!/usr/bin/env bats

setup() {
  load data
  cd "$BATS_TEST_TMPDIR"
}

# The process ends soon; a zombie that nobody has waited for yet counts as ended.
gone() {
  local _
  for _ in $(seq 100); do
    case $(ps -o stat= -p "$1") in "" | Z*) return 0 ;; esac
    sleep 0.02
  done
  return 1
}

@test "an array: each job has its number, its log, its header and its end" {
  "$utils/run.pl" --mem 4G --max-jobs-run 2 JOB=1:3 log/x.JOB.log echo job JOB '>' out.JOB
  [ "$(cat out.1 out.2 out.3)" = $'job 1\njob 2\njob 3' ]
  [ "$(head -n 1 log/x.2.log)" = "# echo job 2 > out.2" ]
  grep -q '^# Started at ' log/x.2.log
  grep -q '^# Accounting: time=[0-9]* threads=1$' log/x.2.log
  grep -q '^# Ended (code 0)' log/x.2.log
}

@test "words: escaped pipes work, spaces and quotes stay together" {
  "$utils/run.pl" x.log printf '%s,' "a b" 'c "d"' "it's \"e\"" \| tr a-z A-Z
  grep -qF 'A B,C "D",IT'"'"'S "E",' x.log
}

@test "one failed job: its log, its status and its last lines are named" {
  run "$utils/run.pl" log/x.log bash -c 'echo some reason; exit 3'
  [ "$status" -eq 1 ]
  [[ "${lines[0]}" == "run.pl: job failed (exit status 3), log is in log/x.log" ]]
  [[ "$output" == *"| some reason"* ]]
  grep -q '^# Ended (code 3)' log/x.log
}

@test "failed jobs of an array are numbered, the others run to their end" {
  run "$utils/run.pl" JOB=1:4 x.JOB.log bash -c 'test $((JOB % 2)) = 0 && touch done.JOB'
  [ "$status" -eq 1 ]
  [[ "${lines[0]}" == "run.pl: 2 / 4 failed, jobs 1 3, log is in x.JOB.log" ]]
  [ -e done.2 ] && [ -e done.4 ]
}

@test "the first part of a pipe may not fail unseen" {
  run "$utils/run.pl" x.log false \| cat
  [ "$status" -eq 1 ]
}

@test "no more than --max-jobs-run at once" {
  "$utils/run.pl" --max-jobs-run 2 JOB=1:6 x.JOB.log \
    bash -c 'touch on.JOB; ls on.* | wc -l >seen.JOB; sleep 0.05; rm on.JOB'
  [ "$(cat seen.* | sort -n | tail -n 1)" -le 2 ]
}

@test "TERM and Ctrl-C end the jobs and what they started" {
  for signal in INT TERM; do
    rm -f pid
    "$utils/run.pl" x.log bash -c 'sleep 60 & echo $! >pid; wait' 3>&- &
    runner=$!
    for _ in $(seq 100); do [ -s pid ] && break; sleep 0.02; done
    kill -s "$signal" "$runner"
    code=0
    wait "$runner" || code=$?
    [ "$code" -eq "$([ "$signal" = INT ] && echo 130 || echo 143)" ]
    gone "$(cat pid)"
    grep -q '^# Ended (code 0; signal 15)' x.log
  done
}

@test "nohup is respected" {
  nohup "$utils/run.pl" x.log bash -c 'echo $$ >pid; sleep 0.3; touch ended' 3>&- &
  runner=$!
  for _ in $(seq 100); do [ -s pid ] && break; sleep 0.02; done
  kill -s HUP "$runner"
  kill -s HUP "$(cat pid)"
  wait "$runner"
  [ -e ended ]
}

@test "a launcher under a launcher ends its jobs too" {
  printf 'sleep 60 &\necho $! >pid\nwait\n' >job.sh
  "$utils/run.pl" x.log "$utils/run.pl" y.log bash job.sh 3>&- &
  runner=$!
  for _ in $(seq 200); do [ -s pid ] && break; sleep 0.02; done
  kill -s TERM "$runner"
  wait "$runner" || true
  gone "$(cat pid)"
}

@test "bad command lines exit with 1" {
  for arguments in "" "x.log" "--foo 1 x.log true" "JOB=0:2 x.JOB true" "JOB=3:1 x.JOB true" \
    "JOB=1:2 x.log true" "--num-threads x x.log true" "--mem"; do
    # shellcheck disable=SC2086 # Words are meant to be split.
    run "$utils/run.pl" $arguments
    [ "$status" -eq 1 ]
    [ -n "$output" ]
  done
  "$utils/run.pl" --config conf/any.conf --foo 1 --gpu 1 --num-threads 2 -l mem=2G x.log true
}
