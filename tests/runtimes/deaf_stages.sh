# SPDX-License-Identifier: BSD-3-Clause
# Stages that do not mind SIGTERM, in containers that a service keeps when its client is killed: none may be left.
#   deaf_stages.sh PROGRAM BACKEND IMAGE LISTING...
# in a folder of its own, with XDG_* set (and OWN_ENGINE=yes: the runtime finds its containers without a client); BACKEND is YAML, and the command LISTING prints a line for each container that is there.
# shellcheck shell=sh
set -eu
program=$1 backend=$2 image=$3
shift 3

failed() {
    echo "deaf_stages: $*" >&2
    cat run.log cancel.log >&2 2>/dev/null || true
    exit 1
}
cat >pipeline.yaml <<END
pipeline: {name: deaf, stages: [deaf]}
backends: {default: $backend}
runtime: {working: work, output: out}
deaf:
  image: "$image"
  pull: never
  mounts: ["$PWD/pipes:/mnt"]
  command: [sh, -c, "trap '' TERM INT HUP; echo ready >/mnt/pipe; while :; do read line </mnt/never; done"]
END
mkdir -m 777 pipes
mkfifo -m 666 pipes/pipe pipes/never

# Starts a run and waits for its stage → $running, $journal
start() {
    [ -n "${same_folder-}" ] || rm -rf work
    "$program" run pipeline.yaml >run.log 2>&1 &
    running=$!
    ready=$(timeout 120 cat pipes/pipe) || failed "the stage did not start"
    [ "$ready" = ready ]
    [ "$("$@" | wc -l)" = 1 ] || failed "there is not one container while the stage runs: $("$@")"
    journal=$(find work/.descpipe/runs -name journal.jsonl | sort | tail -n 1) # ids sort by time
    # What is known of it is in the journal before anybody could need it.
    deadline=$(($(date +%s) + 60))
    until grep -q '"kind":"started".*"removal":\[' "$journal"; do
        [ "$(date +%s)" -lt "$deadline" ] || failed "the journal does not say how the container is removed"
    done
}
none_left() { # an Engine's own --rm goes on after its client
    deadline=$(($(date +%s) + 30))
    until [ -z "$("$@")" ]; do
        [ "$(date +%s)" -lt "$deadline" ] || failed "a container is left: $("$@")"
    done
}
client() { sed -n 's/.*"kind":"started".*"pid":\([0-9]*\).*/\1/p' "$journal"; }

# Told twice: at once.
start "$@"
kill -INT "$running"
deadline=$(($(date +%s) + 60))
until grep -q '"cancel"' "$journal"; do
    [ "$(date +%s)" -lt "$deadline" ] || failed "the first wish did not arrive"
done
kill -INT "$running"
status=0
wait "$running" || status=$?
[ "$status" = 130 ] || failed "exit status $status of a run that was told twice"
grep -q '"verdict":"CANCELLED"' "$journal" || failed "the verdict is not CANCELLED: $(grep verdict "$journal")"
none_left "$@"

# Somebody else kills the client.
start "$@"
kill -9 "$(client)"
status=0
wait "$running" || status=$?
[ "$status" = 5 ] || failed "exit status $status of a run whose client was killed"
none_left "$@"

# The engine is killed, its run cancelled later: but what others can have written is no command of ours.
start "$@"
kill -9 "$(sed -n '1s/.*"pid":\([0-9]*\).*/\1/p' "$journal")"
wait "$running" || true
[ "$("$@" | wc -l)" = 1 ] || failed "the container ended with the engine"
if [ "${OWN_ENGINE-}" = yes ]; then
    "$program" cancel pipeline.yaml >cancel.log 2>&1 || failed "cancel failed" # by the runtime itself
    none_left "$@"
    exit
fi
chmod 666 "$journal"
! "$program" cancel pipeline.yaml >cancel.log 2>&1 || failed "what a file says that anybody may write was done"
grep -q "somebody else's" cancel.log || failed "cancel does not say why it left the container"
[ "$("$@" | wc -l)" = 1 ] || failed "the container was removed"
chmod 600 "$journal"
# Neither engine nor client lives, so no process tells that the working folder is in use; a new run does not begin over it.
kill -9 "$(client)" 2>/dev/null || true
! "$program" run pipeline.yaml >run.log 2>&1 || failed "a second run began over a container of the first"
grep -q "is in use by what run .* left running: deaf (its container may go on)" run.log || failed "a second run does not say what goes on"
"$program" cancel pipeline.yaml >cancel.log 2>&1 || failed "cancel failed"
grep -q "was ended: deaf" cancel.log || failed "cancel does not say what it ended"
none_left "$@"
! "$program" cancel pipeline.yaml >cancel.log 2>&1 || failed "there was something left to cancel"
same_folder=yes
start "$@"
"$program" cancel pipeline.yaml >cancel.log 2>&1
wait "$running" || true
none_left "$@"
