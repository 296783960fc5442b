#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Runs that move into one allocation of a real SLURM: on one node, on two, ended from outside and resumed, short of time, cancelled.
#
#   testbed_test.sh sh pilot_test.sh PROGRAM
#
# Exit status: 0 passed, 1 failed.
set -eu
program=${1:?usage: pilot_test.sh PROGRAM}
folder=$DESCPIPE_TEST_FOLDER/pilot
unset DESCPIPE_TEST_FOLDER DESCPIPE_TEST_TESTBED
mkdir -p "$folder/with, blanks"
cd "$folder/with, blanks"
export XDG_STATE_HOME="$folder/state" XDG_CONFIG_HOME="$folder/config"
# What the shell that begins a run knows, the allocation knows as well.
export PILOT_WORD='two words'

failed() {
    echo "pilot_test: $*" >&2
    for log in log ./*/.descpipe/runs/*/submissions/*/job.0.out; do
        [ ! -f "$log" ] || sed "s|^|$log: |" "$log" >&2
    done
    squeue --states=all --format='%i %j %T %r' >&2
    exit 1
}
until_true() {
    deadline=$(($(date +%s) + 120))
    until "$@"; do
        [ "$(date +%s)" -lt "$deadline" ] || failed "not within two minutes: $*"
        sleep 0.2
    done
}
wrote() { # NAME WORD
    grep -q -s "$2" "$folder/$1.done"
}
run_of() {
    basename "$(ls -d "$1"/.descpipe/runs/* | tail -n 1)"
}
jobs_of() {
    squeue --noheader --array --states=all --format='%j|%F' | grep "^$1-" | sort -u | wc -l
}
no_job_of() {
    ! squeue --noheader --format=%j | grep -q "^$1-"
}
verdicts_of() {
    "$program" status --json "$1" | python3 -c '
import json, sys
print(*sorted("%s=%s" % (stage["name"], stage["verdict"] or stage["state"]) for stage in json.load(sys.stdin)["stages"]))'
}
pipeline() { # NAME NODES
    cat >"$1.yaml" <<END
pipeline: {name: $1, stages: [make, many, sum]}
runtime: {working: $1, output: $1-out}
backends: {default: {scheduler: {use: slurm, mode: pilot, nodes: $2, minutes: 10}, runtime: host}}
make: {outputs: {numbers: txt}, script: 'echo "$PILOT_WORD"; seq 10 >"\$DESC_OUTPUT/numbers.txt"'}
many:
  foreach: {n: [$(seq -s ', ' 24)]}
  inputs: {numbers: txt}
  outputs: {part: txt}
  script: 'wc -l <"\$DESC_INPUT/numbers.txt" >"\$DESC_OUTPUT/part.txt"; echo \$DESC_EACH_N >>"$folder/$1.done"'
sum: {inputs: {part: txt}, outputs: {total: txt}, script: 'cat "\$DESC_INPUT"/part/* | wc -l >"\$DESC_OUTPUT/total.txt"'}
END
}

# One job, whatever the number of stages; on one node they are processes of the engine, on two they are steps.
for nodes in 1 2; do
    pipeline on$nodes $nodes
    timeout 240 "$program" run on$nodes.yaml >log 2>&1 || failed "the run on $nodes ended with $?"
    [ "$(tr -d ' ' <on$nodes-out/total.txt)" = 24 ] || failed "the sum is '$(cat on$nodes-out/total.txt)'"
    [ "$(sort -n "$folder/on$nodes.done")" = "$(seq 24)" ] || failed "not each of 24 members ran once"
    run=$(run_of on$nodes)
    [ "$(jobs_of "$run")" = 1 ] || failed "$(jobs_of "$run") jobs for a run in one allocation"
    [ "$("$program" logs "$run" make 2>/dev/null)" = "$PILOT_WORD" ] || failed "what 'make' wrote is not there"
    [ -z "$(ls on$nodes/.descpipe/runs/*/submissions/1/secrets.* 2>/dev/null)" ] || failed "the environment was left lying about"
    grep -q "run succeeded" log || failed "its end was not shown"
done
# Its jobs' numbers: on two nodes steps of the one allocation, on one none at all.
"$program" status --json "$(run_of on1)" | grep -q '"native":null' || failed "processes have a name of SLURM's"

# Ended from outside in the middle: resume asks for another allocation; what was done stays done.
cat >ended.yaml <<END
pipeline: {name: ended, stages: [first, second]}
runtime: {working: ended}
backends: {default: {scheduler: {use: slurm, mode: pilot}, runtime: host}}
first: {outputs: {done: txt}, script: 'echo first >>"$folder/ended.done"; echo done >"\$DESC_OUTPUT/done.txt"'}
second: {inputs: {done: txt}, script: 'echo second >>"$folder/ended.done"; until [ -e "$folder/go" ]; do sleep 0.1; done'}
END
"$program" run ended.yaml >log 2>&1 &
front=$!
until_true wrote ended second
run=$(run_of ended)
status=0
"$program" resume "$run" >resume 2>&1 || status=$?
[ "$status" = 2 ] || failed "a run that goes on was resumed: $status"
grep -q "goes on by itself: its scheduler has 1 job of it" resume || failed "nothing says who has it: $(cat resume)"
scancel --name="$run-1"
status=0
wait "$front" || status=$?
[ "$status" = 7 ] || failed "who watched it was told $status"
until_true no_job_of "$run"
touch "$folder/go"
timeout 240 "$program" resume "$run" >log 2>&1 || failed "it was not gone on with: $?"
[ "$(sort "$folder/ended.done" | tr '\n' ' ')" = "first second second " ] || failed "ran: $(cat "$folder/ended.done")"
[ "$(jobs_of "$run")" = 2 ] || failed "$(jobs_of "$run") allocations"

# What cannot be over in time does not begin.
cat >late.yaml <<END
pipeline: {name: late, stages: [quick, long]}
runtime: {working: late}
backends: {default: {scheduler: {use: slurm, mode: pilot, minutes: 3}, runtime: host}}
quick: {minutes: 1, script: 'true'}
long: {minutes: 5, script: 'echo long >>"$folder/late.done"'}
END
status=0
timeout 240 "$program" run late.yaml >log 2>&1 || status=$?
[ "$status" = 7 ] || failed "a run without time for all of it ended with $status"
grep -q "its allocation has no time for what is left: 'descpipe resume " log || failed "nothing says why, and what to do"
[ "$(verdicts_of "$(run_of late)")" = "long=planned quick=OK" ] || failed "verdicts: $(verdicts_of "$(run_of late)")"
[ ! -e "$folder/late.done" ] || failed "it began all the same"

# While it waits it can be looked at and cancelled; and while it runs.
sbatch --quiet --nodes=3 --exclusive --output=/dev/null --job-name=wall --wrap='exec sleep 600'
pipeline waits 1
"$program" run --detach waits.yaml >log 2>&1 || failed "the run was not handed over: $?"
run=$(run_of waits)
"$program" cancel "$run" >log 2>&1 || failed "it was not cancelled: $?"
until_true no_job_of "$run"
[ "$(verdicts_of "$run")" = "make=cancelled many=cancelled sum=cancelled" ] || failed "verdicts: $(verdicts_of "$run")"
[ ! -e waits/.descpipe/lease ] || failed "the working folder is still held"
scancel --name=wall
rm -f "$folder/go"
sed 's/ended/runs/' ended.yaml >runs.yaml
"$program" run --detach runs.yaml >log 2>&1 || failed "the run was not handed over: $?"
run=$(run_of runs)
until_true wrote runs second
"$program" cancel "$run" >log 2>&1 || failed "it was not asked to stop: $?"
until_true no_job_of "$run"
[ "$(verdicts_of "$run")" = "first=OK second=CANCELLED" ] || failed "verdicts: $(verdicts_of "$run")"
echo "pilot_test: passed"
