#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Whole runs against the simulator of SLURM: what a site's limits do to a run, and what its user sees of them.
#
#   simulated_run_test.sh PROGRAM
#
# Exit status: 0 passed, 1 failed, 77 there is no python3 (a failure when CI is set).
set -eu
program=${1:?usage: simulated_run_test.sh PROGRAM}
command -v python3 >/dev/null || {
    echo "simulated_run_test: there is no python3 on this machine" >&2
    [ -z "${CI:-}" ] || exit 1
    exit 77
}
python=$(python3 -c 'import sys; print(sys.executable)') # itself, not a launcher that looks for it each time
simulator=$(cd "$(dirname "$0")/../fakes/slurm" && pwd -P)/simulator.py
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM
cd "$folder"
export XDG_STATE_HOME="$folder/state" XDG_CONFIG_HOME="$folder/config" XDG_CACHE_HOME="$folder/cache"

failed() {
    echo "simulated_run_test: $*" >&2
    [ ! -f log ] || cat log >&2
    exit 1
}
# simulate NAME KEY=VALUE...: a new SLURM for the next run
simulate() {
    sim=$folder/$1
    shift
    "$python" "$simulator" make "$sim" "$@"
}
count_of() {
    "$python" "$simulator" counts "$sim" | sed -n "s/^$1=//p"
}
# pipeline NAME MEMBERS [KEY: VALUE]...: a stage of so many members, whose side effect is one line in NAME.done
pipeline() {
    name=$1
    members=$(seq -s ', ' "$2")
    shift 2
    {
        echo "pipeline: {name: $name, stages: [many]}"
        echo "runtime: {working: $name-work, output: $name-out}"
        echo "backends: {default: {scheduler: {use: slurm, commands: $sim/bin, poll: 100ms, poll-limit: 300ms}, runtime: host}}"
        echo "many:"
        echo "  foreach: {n: [$members]}"
        echo "  script: 'echo \"\$DESC_EACH_N\" >>\"$folder/$name.done\"'"
        for line; do
            echo "  $line"
        done
    } >"$name.yaml"
}
each_once() {
    [ "$(sort -n "$1.done")" = "$(seq "$2")" ] || failed "$1: not each of $2 members ran once: $(wc -l <"$1.done") lines"
}

# A limit that a refusal teaches: far below what is ready. It is split, never waits for ever, and nothing runs twice.
simulate learned submit-limit=7 run-ms=50
pipeline learned 30
timeout 120 "$program" run learned.yaml >log 2>&1 || failed "learned: the run ended with $?"
each_once learned 30

# The same limit where accounting tells it: not one submission is refused.
simulate told allowed-jobs=8 run-ms=50
pipeline told 30
timeout 120 "$program" run told.yaml >log 2>&1 || failed "told: the run ended with $?"
each_once told 30
[ "$(count_of sbatch)" = "$(count_of accepted)" ] || failed "told: $(count_of sbatch) submissions, $(count_of accepted) accepted"

# MaxArraySize below what is ready at once: arrays of that size, not one job after another.
simulate arrays array-size=10
pipeline arrays 40
timeout 120 "$program" run arrays.yaml >log 2>&1 || failed "arrays: the run ended with $?"
each_once arrays 40
[ "$(count_of accepted)" -le 8 ] || failed "arrays: $(count_of accepted) submissions for 40 jobs, 10 in an array"

# A job's own word that it went well is enough: what waits for it begins, whatever the queue still shows.
simulate word shown-ms=600000
pipeline word 3
sed -i 's/stages: \[many\]/stages: [many, last]/' word.yaml
echo "last: {depends-on: [many], script: 'wc -l <\"$folder/word.done\" >>\"$folder/word.last\"'}" >>word.yaml
timeout 120 "$program" run word.yaml >log 2>&1 || failed "word: the run ended with $?"
each_once word 3
[ "$(tr -d ' ' <word.last)" = 3 ] || failed "word: the last stage saw $(cat word.last)"

# What a stage waits for, and its place in the queue.
simulate waits queue-ms=3000
pipeline waits 2
timeout 120 "$program" run waits.yaml >log 2>&1 || failed "waits: the run ended with $?"
grep -q "many/1: queued: .*1 of 1 in partition 'debug'" log || failed "waits: its place in the queue is not told"

# What the site never gives is refused with the number, and nothing is submitted.
simulate never allowed-minutes=30
pipeline never 2 "minutes: 45"
status=0
timeout 120 "$program" run never.yaml >log 2>&1 || status=$?
[ "$status" = 5 ] || failed "never: a run that nothing of could be submitted ended with $status"
grep -q "asks for 45 minutes; account 'sim' gives at most 30" log || failed "never: the number is not told"
[ -z "$(count_of accepted)" ] || failed "never: something was submitted"

# An unknown word is an error with a hint before anything happens.
simulate unknown
pipeline unknown 1
sed 's/use: slurm,/use: slurm, partiton: long,/' unknown.yaml >wrong.yaml
status=0
"$program" run wrong.yaml >log 2>&1 || status=$?
[ "$status" = 2 ] || failed "unknown: an unknown option ended with $status"
grep -q "'partition'" log || failed "unknown: nothing hints at 'partition'"
[ -z "$(count_of sbatch)" ] || failed "unknown: something was submitted"
# check --site asks the test mode and one node, and leaves nothing behind.
simulate site
pipeline site 2
"$program" check --site site.yaml >log 2>&1 || failed "site: a site that takes the pipeline ended with $?"
grep -q "^ok .*sees the working folder" log || failed "site: no node was asked"
[ ! -e site-work ] || failed "site: something was left behind"

# A node that is not free is not known, which is no difference; the job is taken back.
simulate busy queue-ms=600000
pipeline busy 2
"$program" check --site --node-wait 1 busy.yaml >log 2>&1 || failed "busy: a site whose nodes are busy ended with $?"
grep -q "^not known .*no node was free" log || failed "busy: nothing says that no node was free"
[ "$(count_of scancel)" = 1 ] || failed "busy: the job was not taken back"

# What differs is exit status 1, and no job asks further.
simulate differs allowed-minutes=30
pipeline differs 2 "minutes: 45"
status=0
"$program" check --site --json differs.yaml >log 2>&1 || status=$?
[ "$status" = 1 ] || failed "differs: a site that differs ended with $status"
python3 -c 'import json
found = [one for one in json.load(open("log"))["site"] if one["state"] == "differs"]
assert len(found) == 1 and "gives at most 30" in found[0]["message"], found' || failed "differs: the number is not told"
[ -z "$(count_of accepted)" ] || failed "differs: a job was submitted"
# Handed over, and resumed while its jobs still run: they are followed to their end, and only what they left undone is
# tried again.
# let_time_pass: the simulator's passes when somebody asks
let_time_pass() {
    while [ -d "$sim" ]; do
        "$sim/bin/squeue" >/dev/null 2>&1 || return 0
        sleep 0.2
    done &
    clock=$!
}
# in_order NAME FAILURES: a stage that goes well, what takes it, one that fails so often, and what takes both
in_order() {
    cat >"$1.yaml" <<END
pipeline: {name: $1, stages: [good, next, bad, last]}
runtime: {working: $1-work, output: $1-out}
backends: {default: {scheduler: {use: slurm, commands: $sim/bin, poll: 100ms, poll-limit: 300ms}, runtime: host}}
good: {outputs: {g: txt}, script: 'echo good >>"$folder/$1.done"; echo g >"\$DESC_OUTPUT/g.txt"'}
next: {inputs: {g: txt}, outputs: {n: txt}, script: 'echo next >>"$folder/$1.done"; echo n >"\$DESC_OUTPUT/n.txt"'}
bad: {outputs: {b: txt}, script: 'echo bad >>"$folder/$1.done"; [ "\$(grep -c bad "$folder/$1.done")" -gt $2 ] || exit 7; echo b >"\$DESC_OUTPUT/b.txt"'}
last: {inputs: {n: txt, b: txt}, outputs: {l: txt}, script: 'echo last >>"$folder/$1.done"; cat "\$DESC_INPUT"/*.txt >"\$DESC_OUTPUT/l.txt"'}
END
}
ran() {
    sort "$1.done" | paste -sd' '
}
# until_said NAME WORDS: in its log
until_said() {
    deadline=$(($(date +%s) + 60))
    until grep -q "$2" "$1"; do
        [ "$(date +%s)" -lt "$deadline" ] || failed "'$2' is not said in $1"
        sleep 0.1
    done
}
# The second, `bad`, is begun again by its scheduler once, which is an attempt of its own; resumed it is the third.
simulate followed queue-ms=2000 run-ms=200 fate.1=requeue
in_order followed 2
"$program" run --detach --keep-going followed.yaml >log 2>&1 || failed "followed: handing over ended with $?"
let_time_pass
timeout 120 "$program" resume --keep-going followed.yaml >log 2>&1 || failed "followed: resume ended with $?"
kill "$clock"
grep -q 'goes on by itself: its scheduler has 5 jobs of it' log || failed "followed: nothing says what is followed"
[ "$(ran followed)" = 'bad bad bad good last next' ] || failed "followed: ran: $(ran followed)"
"$program" status --json followed.yaml | python3 -c '
import json, sys
attempts = {stage["name"]: stage["attempt"] for stage in json.load(sys.stdin)["stages"]}
assert attempts["good"] == 1 and attempts["bad"] == 3, attempts' || failed "followed: attempts are counted wrongly"
[ "$(paste -sd' ' <followed-out/l.txt)" = 'b n' ] || failed "followed: the result is $(cat followed-out/l.txt)"
[ "$(grep -c 'run succeeded' log)" = 1 ] && ! grep -q 'run failed' log || failed "followed: its end is not told once"

# Nothing is left to do when all went well, and one who leaves before that leaves the jobs alone.
simulate well queue-ms=600000
in_order well 0
"$program" run --detach well.yaml >log 2>&1 || failed "well: handing over ended with $?"
"$program" resume well.yaml >log 2>&1 &
front=$!
until_said log 'goes on by itself'
sleep 0.3
kill -TERM "$front"
status=0
wait "$front" || status=$?
[ "$status" = 7 ] || failed "well: who left was told $status"
[ -z "$(count_of scancel)" ] && [ ! -e well.done ] || failed "well: something was done"
simulate well2 queue-ms=500 run-ms=100
in_order well2 0
"$program" run --detach well2.yaml >log 2>&1 || failed "well2: handing over ended with $?"
let_time_pass
timeout 120 "$program" resume --json well2.yaml >log 2>/dev/null || failed "well2: resume ended with $?"
kill "$clock"
[ "$(ran well2)" = 'bad good last next' ] || failed "well2: ran: $(ran well2)"
[ "$(count_of accepted-jobs)" = 5 ] || failed "well2: $(count_of accepted-jobs) jobs for 4 stages and the end"
[ "$(grep -c run-ended log)" = 1 ] && ! grep -q run-resumed log || failed "well2: its end is not told once"

# Jobs that somebody else ended write nothing: the scheduler says that none is left, and all is done then.
simulate taken queue-ms=600000
in_order taken 0
"$program" run --detach taken.yaml >log 2>&1 || failed "taken: handing over ended with $?"
timeout 120 "$program" resume taken.yaml >log 2>&1 &
front=$!
until_said log 'goes on by itself'
"$python" "$simulator" set "$sim" queue-ms=0
"$sim/bin/squeue" --noheader --format=%F | sort -u | xargs "$sim/bin/scancel"
status=0
wait "$front" || status=$?
[ "$status" = 0 ] || failed "taken: resume ended with $status"
[ "$(ran taken)" = 'bad good last next' ] || failed "taken: ran: $(ran taken)"
# An output that is seen only after its job has ended, as through a shared file system, is waited for; not for ever.
# late NAME PATIENCE: a stage that only says where its output would be
late() {
    cat >"$1.yaml" <<END
pipeline: {name: $1, stages: [slow]}
runtime: {working: $1-work, output: $1-out, late-outputs: $2}
backends: {default: {scheduler: {use: slurm, commands: $sim/bin, poll: 100ms, poll-limit: 300ms}, runtime: host}}
slow: {outputs: {s: txt}, script: 'echo "\$DESC_OUTPUT" >"$folder/$1.where"'}
END
}
simulate late
late late 10m
timeout 120 "$program" run late.yaml >log 2>&1 &
front=$!
deadline=$(($(date +%s) + 60))
until cat late-work/.descpipe/runs/*/journal.jsonl 2>/dev/null | grep -q '"kind":"ended"'; do
    [ "$(date +%s)" -lt "$deadline" ] || failed "late: its job does not end"
    sleep 0.1
done
echo late >"$(cat late.where)/s.txt"
status=0
wait "$front" || status=$?
[ "$status" = 0 ] && [ "$(cat late-out/s.txt)" = late ] || failed "late: the run ended with $status"
simulate later
late later 700ms
status=0
timeout 120 "$program" run later.yaml >log 2>&1 || status=$?
[ "$status" = 5 ] && grep -q "did not write its output 's.txt' (looked for it for " log || failed "later: the run ended with $status"
simulate once
late once 0s
status=0
timeout 120 "$program" run once.yaml >log 2>&1 || status=$?
[ "$status" = 5 ] && grep -q "did not write its output 's.txt'" log && ! grep -q "looked for" log || failed "once: the run ended with $status"
# An option that is ours to say is refused before anything is sent.
cat >extra.yaml <<END
pipeline: {name: extra, stages: [s]}
runtime: {working: extra-work, output: extra-out}
backends: {default: {scheduler: {use: slurm, extra: [--array=1-3]}, runtime: host}}
s: {command: ["true"]}
END
status=0
"$program" run extra.yaml >log 2>&1 || status=$?
[ "$status" = 3 ] && grep -q "option 'extra' of slurm holds '--array=1-3'; say it by" log || { cat log >&2; failed "extra: it ended with $status"; }
echo "simulated_run_test: passed"
