#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Runs that are handed over to a real SLURM and go on without descpipe.
#
#   testbed_test.sh sh detach_test.sh PROGRAM
#
# Exit status: 0 passed, 1 failed.
set -eu
program=${1:?usage: detach_test.sh PROGRAM}
folder=$DESCPIPE_TEST_FOLDER/detach
unset DESCPIPE_TEST_FOLDER DESCPIPE_TEST_TESTBED
mkdir -p "$folder/with, blanks"
cd "$folder/with, blanks"
export XDG_STATE_HOME="$folder/state" XDG_CONFIG_HOME="$folder/config"

failed() {
    echo "detach_test: $*" >&2
    for log in log status; do
        [ ! -f "$log" ] || sed "s/^/$log: /" "$log" >&2
    done
    squeue --states=all --format='%i %j %T %r' >&2
    exit 1
}
# What `status --json` says: of the run, or of one stage.
ask() {
    "$program" status --json "$run" >status && python3 -c '
import json, sys
run = json.load(open("status"))
stages = {stage["name"]: stage for stage in run["stages"]}
print(eval(sys.argv[1]))' "$1"
}
# wait_for EXPRESSION VALUE: a generous deadline, for the machine may be busy.
wait_for() {
    deadline=$(($(date +%s) + 240))
    while [ "$(ask "$1")" != "$2" ]; do
        [ "$(date +%s)" -lt "$deadline" ] || failed "$1 is '$(ask "$1")', not '$2'"
        sleep 0.2
    done
}
# SLURM shows a cancelled job until its node has cleared it away.
no_job_goes_on() {
    deadline=$(($(date +%s) + 60))
    while squeue --noheader --format=%j | grep -q "^$run-"; do
        [ "$(date +%s)" -lt "$deadline" ] || failed "$1"
        sleep 0.2
    done
}
# hand_over FILE WORKING ARGUMENT...: `run` names it then
hand_over() {
    file=$1
    working=$2
    shift 2
    "$program" run --detach "$@" "$file" >log 2>&1 || failed "$file was not handed over"
    run=$(basename "$(ls -d "$working"/.descpipe/runs/* | tail -n 1)")
}
secret=s3cret-of-the-test
mkdir -p "$XDG_CONFIG_HOME/descpipe"
printf '%s' "$secret" >"$folder/token"
chmod 600 "$folder/token"
echo 'http://127.0.0.1:1/n0body' >"$folder/hook"
echo "secrets: {the-token: {file: \"$folder/token\"}, the-hook: {file: \"$folder/hook\"}}" >"$XDG_CONFIG_HOME/descpipe/config.yaml"

# A diamond, with members that wait for their own, and a stage that waits for all.
cat >diamond.yaml <<'END'
pipeline: {name: diamond, stages: [make, double, check, sum, count, join]}
runtime:
  working: work
  output: out
  on-exit:
    command: [/bin/sh, -c, 'cat >"$$DESCPIPE_RUN_FOLDER/told"; echo "$$DESCPIPE_RUN_STATE" >"$$DESCPIPE_RUN_FOLDER/told.state"']
    webhook: {secret: the-hook}
    timeout: 20s
backends: {default: {scheduler: {use: slurm, poll: 500ms}, runtime: host}}
make:
  outputs: {numbers: txt}
  memory: 100MiB
  minutes: 5
  env: {TOKEN: {secret: the-token}}
  script: '[ "$TOKEN" = s3cret-of-the-test ] && seq 10 >"$DESC_OUTPUT/numbers.txt"'
double:
  foreach: {part: [a, b, c]}
  inputs: {numbers: txt}
  outputs: {doubled: txt}
  memory: 100MiB
  script: 'echo $DESC_EACH_PART; while read n; do echo $((n * 2)); done <"$DESC_INPUT/numbers.txt" >"$DESC_OUTPUT/doubled.txt"'
check:
  foreach: {part: [a, b, c]}
  inputs: {doubled: txt}
  outputs: {checked: "zarr/"}
  memory: 100MiB
  script: 'mkdir "$DESC_OUTPUT/checked.zarr"; wc -l <"$DESC_INPUT/doubled.txt" >"$DESC_OUTPUT/checked.zarr/lines"'
sum:
  inputs: {doubled: txt}
  outputs: {total: txt}
  memory: 100MiB
  script: 'cat "$DESC_INPUT"/doubled/* | wc -l >"$DESC_OUTPUT/total.txt"'
count:
  inputs: {numbers: txt}
  outputs: {count: txt}
  memory: 100MiB
  script: 'wc -l <"$DESC_INPUT/numbers.txt" >"$DESC_OUTPUT/count.txt"'
join:
  inputs: {total: txt, count: txt, checked: "zarr/"}
  outputs: {all: txt}
  memory: 100MiB
  script: 'cat "$DESC_INPUT"/*.txt "$DESC_INPUT"/checked/*/lines >"$DESC_OUTPUT/all.txt"'
END
hand_over diamond.yaml work
cat work/.descpipe/runs/*/submissions/*/scripts work/.descpipe/runs/*/submissions/*/*.sh >scripts || failed "there are no scripts"
! grep -q "$secret" scripts || failed "a script holds a secret"
[ -z "$(find work -name 'secrets.*' ! -perm 600)" ] || failed "the file of secrets can be read by others"
! pgrep -f "^$program run --detach" >/dev/null || failed "something of descpipe goes on"
# In as few arrays as there are different things to wait for, members waiting for their own.
squeue --noheader --states=all --format='%i|%E' --name="$(squeue --noheader --states=all --format=%j | grep "^$run-" | sort -u | paste -sd,)" >queue
[ "$(cut -d'|' -f1 queue | cut -d_ -f1 | sort -u | wc -l)" -le 7 ] || failed "many arrays: $(cat queue)"
grep -q aftercorr queue || failed "members do not wait for their own: $(cat queue)"
status=0
"$program" run diamond.yaml >log 2>&1 || status=$?
[ "$status" = 6 ] && grep -q "in use by run $run" log || failed "another run began in the same folder ($status)"
wait_for 'run["state"]' succeeded
[ "$(tr -d ' ' <out/all.txt | paste -sd' ')" = '10 30 10 10 10' ] || failed "the sum is $(cat out/all.txt)"
[ "$(cat out/checked/b.zarr/lines)" -eq 10 ] || failed "a folder was not published"
[ "$("$program" logs "$run" double/b)" = b ] || failed "what double/b wrote is not there"
deadline=$(($(date +%s) + 60))
while [ ! -e "work/.descpipe/runs/$run/told.state" ] || [ -n "$(find work -name 'webhook.*')" ]; do
    [ "$(date +%s)" -lt "$deadline" ] || failed "nobody was told of the end, or how is still there"
    sleep 0.2
done
[ "$(cat "work/.descpipe/runs/$run/told.state")" = succeeded ] && python3 -c '
import json, sys
told = json.load(open(sys.argv[1]))
assert told["run"] == sys.argv[2] and told["state"] == "succeeded", told' "work/.descpipe/runs/$run/told" "$run" || failed "told wrongly"
! grep -rq n0body work || failed "the address of the webhook was left"
[ -z "$(find work -name 'secrets.*')" ] || failed "a secret was left"
[ -z "$(find work out -name '.descpipe-*')" ] || failed "a temporary name was left"
"$program" runs >log && grep -q "$run  *succeeded" log || failed "'runs' does not know its end"
# The folder is free again, and another run's members do not stay among the results.
sed 's/\[a, b, c\]/[a, b]/' diamond.yaml >fewer.yaml
hand_over fewer.yaml work
wait_for 'run["state"]' succeeded
[ "$(ls out/doubled | paste -sd' ')" = 'a.txt b.txt' ] || failed "members of another run: $(ls out/doubled)"

# What earlier runs have made is not made again; when that is all, nothing is handed over.
cat >known.yaml <<'END'
pipeline: {name: known, stages: [make, part, sum]}
runtime: {working: known, output: knownout}
backends: {default: {scheduler: {use: slurm, poll: 500ms}, runtime: host}}
make: {memory: 100MiB, outputs: {numbers: txt}, script: 'seq 3 >"$DESC_OUTPUT/numbers.txt"'}
part: {memory: 100MiB, foreach: {n: [1, 2]}, inputs: {numbers: txt}, outputs: {p: txt}, script: 'wc -l <"$DESC_INPUT/numbers.txt" >"$DESC_OUTPUT/p.txt"'}
sum: {memory: 100MiB, inputs: {p: txt}, outputs: {s: txt}, script: 'cat "$DESC_INPUT"/p/* >"$DESC_OUTPUT/s.txt"'}
END
"$program" run known.yaml >log 2>&1 || failed "an ordinary run ended with $?"
hand_over known.yaml known
grep -q 'run succeeded: 4 cached' log || failed "what is known was handed over"
[ -z "$(squeue --noheader --states=all --format=%j | grep "^$run-")" ] || failed "what is known was submitted"
[ ! -e known/.descpipe/lease ] || failed "the folder is not free"
sed -i 's/n: \[1, 2\]/n: [1, 2, 3]/' known.yaml
hand_over known.yaml known
grep -q '2 tasks of run .* handed over, 3 made before are cached' log || failed "it is not told what was handed over"
wait_for 'run["state"]' succeeded
[ "$(paste -sd' ' knownout/s.txt | tr -s ' ')" = '3 3 3' ] || failed "the sum is '$(cat knownout/s.txt)'"
[ "$("$program" status --json "$run" | python3 -c 'import json, sys; print(*(s["state"] for s in json.load(sys.stdin)["stages"]))')" = 'cached succeeded succeeded' ] ||
    failed "states: $(cat status)"
"$program" why "$run" part/3 >log && grep -q '^part/3 ran: no earlier run' log || failed "why: $(cat log)"
"$program" why "$run" sum >log && grep -q '^sum ran: it waited for others' log || failed "why: $(cat log)"

# A branch that fails takes what waits for it with it, and with --keep-going nothing else.
cat >fails.yaml <<'END'
pipeline: {name: fails, stages: [good, bad, missing, after, slow, late]}
runtime: {working: fails, output: failsout}
backends: {default: {scheduler: {use: slurm, poll: 500ms}, runtime: host}}
good: {memory: 100MiB, outputs: {g: fits}, script: 'printf "SIMPLE  =                    T" >"$DESC_OUTPUT/g.fits"'}
bad: {memory: 100MiB, retries: {limit: 2, on: [fail, node-fail]}, outputs: {b: txt}, script: 'echo broken >&2; exit 7'}
missing: {memory: 100MiB, outputs: {m: fits}, script: 'echo no >"$DESC_OUTPUT/m.fits"'}
after: {memory: 100MiB, inputs: {b: txt}, script: 'echo never'}
slow: {memory: 100MiB, outputs: {s: txt}, script: 'sleep 2; echo s >"$DESC_OUTPUT/s.txt"'}
late: {memory: 100MiB, inputs: {s: txt}, script: 'echo late'}
END
verdicts='" ".join("%s=%s" % (s["name"], s["verdict"] or s["state"]) for s in run["stages"])'
hand_over fails.yaml fails --keep-going
grep -q "stage 'bad' is not tried again by itself" log || failed "it is not said what waits for resume"
wait_for 'run["state"]' failed
[ "$(ask "$verdicts")" = 'good=OK bad=EXIT missing=OUTPUT_MISSING slow=OK after=skipped late=OK' ] ||
    failed "$(ask "$verdicts")"
[ ! -e failsout/g.fits ] || failed "results of a run that failed"
"$program" logs "$run" bad >log 2>&1 && grep -q broken log || failed "what bad said is not there"
# Resumed, what failed is tried again, and what was done is not.
status=0
"$program" resume --keep-going "$run" >log 2>&1 || status=$?
[ "$status" = 5 ] && [ "$(ask 'stages["bad"]["attempt"]')" -ge 2 ] || failed "resume ended with $status"
[ "$(ask 'stages["good"]["attempt"]')" = 1 ] || failed "what was done was done again"
# Without it, nothing begins after a failure.
hand_over fails.yaml fails
wait_for 'run["state"]' failed
[ "$(ask 'stages["after"]["state"]')" = skipped ] || failed "$(ask "$verdicts")"

# Resumed while its jobs still run: they are followed to their end, and only what they left undone is tried again.
cat >meanwhile.yaml <<END
pipeline: {name: meanwhile, stages: [slow, bad, last]}
runtime: {working: meanwhile, output: meanwhileout}
backends: {default: {scheduler: {use: slurm, poll: 500ms}, runtime: host}}
slow: {memory: 100MiB, outputs: {s: txt}, script: 'echo slow >>"$folder/meanwhile.done"; until [ -e "$folder/go" ]; do sleep 0.1; done; echo s >"\$DESC_OUTPUT/s.txt"'}
bad: {memory: 100MiB, outputs: {b: txt}, script: 'echo bad >>"$folder/meanwhile.done"; [ -e "$folder/go" ] || exit 7; echo b >"\$DESC_OUTPUT/b.txt"'}
last: {memory: 100MiB, inputs: {s: txt, b: txt}, outputs: {l: txt}, script: 'echo last >>"$folder/meanwhile.done"; cat "\$DESC_INPUT"/*.txt >"\$DESC_OUTPUT/l.txt"'}
END
hand_over meanwhile.yaml meanwhile --keep-going
wait_for 'stages["bad"]["state"]' failed
wait_for 'stages["slow"]["state"]' running
"$program" resume --keep-going "$run" >log 2>&1 &
front=$!
deadline=$(($(date +%s) + 120))
until grep -q 'goes on by itself' log; do
    [ "$(date +%s)" -lt "$deadline" ] || failed "nothing says that its jobs are followed"
    sleep 0.2
done
touch "$folder/go"
status=0
wait "$front" || status=$?
[ "$status" = 0 ] || failed "resume while jobs ran ended with $status"
[ "$(sort "$folder/meanwhile.done" | paste -sd' ')" = 'bad bad last slow' ] || failed "ran: $(cat "$folder/meanwhile.done")"
[ "$(paste -sd' ' <meanwhileout/l.txt)" = 'b s' ] || failed "the result is $(cat meanwhileout/l.txt)"
[ -z "$(find meanwhile meanwhileout -name '.descpipe-*')" ] || failed "a temporary name was left"

# Cancelled from outside: by the run's own command, and by SLURM's.
cat >cancels.yaml <<'END'
pipeline: {name: cancels, stages: [quick, slow, late]}
runtime: {working: cancels, output: cancelsout}
backends: {default: {scheduler: {use: slurm, poll: 500ms}, runtime: host}}
quick: {memory: 100MiB, outputs: {q: txt}, script: 'echo q >"$DESC_OUTPUT/q.txt"'}
slow: {memory: 100MiB, inputs: {q: txt}, outputs: {s: txt}, script: 'exec sleep 600'}
late: {memory: 100MiB, inputs: {s: txt}, script: 'echo late'}
END
hand_over cancels.yaml cancels
wait_for 'stages["slow"]["state"]' running
"$program" cancel "$run" >log 2>&1 || failed "it could not be cancelled"
[ "$(ask "$verdicts")" = 'quick=OK slow=CANCELLED late=CANCELLED' ] || failed "$(ask "$verdicts")"
[ "$(ask 'run["state"]')" = cancelled ] || failed "the run is $(ask 'run["state"]')"
no_job_goes_on "jobs go on"
[ ! -e cancels/.descpipe/lease ] || failed "the folder is not free"
hand_over cancels.yaml cancels
wait_for 'stages["slow"]["state"]' running
scancel "$(ask 'stages["slow"]["native"]')"
wait_for 'run["state"]' failed
[ "$(ask "$verdicts")" = 'quick=OK slow=CANCELLED late=skipped' ] || failed "$(ask "$verdicts")"

# A node goes down with a stage on it: SLURM starts it again, and that is its second attempt, from the beginning.
cat >again.yaml <<'END'
pipeline: {name: again, stages: [job]}
runtime: {working: again, output: againout}
backends: {default: {scheduler: {use: slurm, poll: 500ms}, runtime: host}}
job:
  memory: 100MiB
  outputs: {result: txt}
  env: {MARK: MARK_FILE}
  script: '[ ! -e "$DESC_OUTPUT/result.txt" ] || exit 9; echo half >"$DESC_OUTPUT/result.txt"; [ -e "$MARK" ] || { : >"$MARK"; echo first; exec sleep 600; }; echo whole >"$DESC_OUTPUT/result.txt"; echo second'
END
sed -i "s,MARK_FILE,\"$folder/mark\"," again.yaml
hand_over again.yaml again
wait_for 'stages["job"]["state"]' running
for i in $(seq 600); do
    [ ! -e "$folder/mark" ] || break
    sleep 0.1
done
job=$(ask 'stages["job"]["native"]')
node=$(squeue --noheader --format=%N --jobs="$job")
scontrol update "nodename=$node" state=down reason=test
scontrol update "nodename=$node" state=drain reason=test # it comes back by itself, and would refuse the job for a while
deadline=$(($(date +%s) + 120))
is_pending() {
    [ "$(squeue --noheader --format=%T --jobs="$job")" = PENDING ]
}
while ! is_pending; do
    [ "$(date +%s)" -lt "$deadline" ] || failed "the job was not put back into the queue"
    sleep 0.2
done
scontrol update "jobid=$job" starttime=now # a requeued job waits two minutes, for safety
wait_for 'run["state"]' succeeded
scontrol update "nodename=$node" state=resume
[ "$(ask 'stages["job"]["attempt"]')" = 2 ] || failed "attempt $(ask 'stages["job"]["attempt"]')"
[ "$(cat againout/result.txt)" = whole ] || failed "the result is '$(cat againout/result.txt)'"
[ "$("$program" logs "$run" job --out)" = second ] || failed "what the second attempt wrote is not told"
[ "$("$program" logs "$run" job --attempt 1 --out)" = first ] || failed "what the first attempt wrote is lost"

# What cannot be detached is told with its line, and nothing is submitted.
cat >limits.yaml <<'END'
pipeline: {name: limits, stages: [one]}
runtime: {working: limits, output: limitsout}
limits: {database: 1}
backends: {default: {scheduler: slurm, runtime: host}, here: {scheduler: local, runtime: host}}
one:
  limit: database
  memory: 100MiB
  script: 'echo one'
END
status=0
"$program" run --detach limits.yaml >log 2>&1 || status=$?
[ "$status" = 2 ] && grep -q "limits.yaml:6:.*under the limit 'database'" log || failed "a limit was not refused ($status)"
status=0
"$program" run --detach --backend here limits.yaml >log 2>&1 || status=$?
[ "$status" = 2 ] && grep -q "scheduler 'local' ends with descpipe" log || failed "a local run was not refused ($status)"
[ ! -e limits/.descpipe ] || failed "a run was begun"
# When a site refuses a job, what it has of the run already is taken back.
cat >refused.yaml <<'END'
pipeline: {name: refused, stages: [fine, large]}
runtime: {working: refused, output: refusedout}
backends: {default: {scheduler: {use: slurm, poll: 500ms}, runtime: host}}
fine: {memory: 100MiB, foreach: {part: [a, b]}, outputs: {f: txt}, script: 'sleep 100; echo f >"$DESC_OUTPUT/f.txt"'}
large: {memory: 100MiB, foreach: {part: [a, b]}, inputs: {f: txt}, on: {slurm: {licenses: "nobody-has-it:1"}}, script: 'echo large'}
END
status=0
"$program" run --detach refused.yaml >log 2>&1 || status=$?
run=$(basename "$(ls -d refused/.descpipe/runs/* | tail -n 1)")
[ "$status" = 5 ] && grep -q 'was not handed over' log || failed "a job that is refused ended with $status"
no_job_goes_on "jobs of a run that was not handed over go on"
[ ! -e refused/.descpipe/lease ] || failed "the folder is not free"
echo "detach_test: passed"
