#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The containers of a run whose engine was killed: a new run does not start beside them, `cancel` ends them with evidence.
#   engine_test.sh cancel_test.sh DESCPIPE
set -eu
descpipe=$1
folder=$DESCPIPE_TEST_FOLDER/cancel
mkdir "$folder"
cd "$folder"
export XDG_STATE_HOME="$folder/state" XDG_CONFIG_HOME="$folder/config"
cat > pipeline.yaml <<END
pipeline: {name: left, owner: nobody, basename: left, version: 1, stages: [polite, deaf]}
runtime: {working: ./work, output: ./out}
backends: {default: {scheduler: local, runtime: {use: docker, host: "$DESCPIPE_TEST_DOCKER"}}}
polite: {image: 'descpipe/busybox:1', pull: never, command: [sh, -c, 'sleep 1000']}
deaf: {image: 'descpipe/busybox:1', pull: never, command: [sh, -c, 'trap "" TERM; while :; do sleep 1000; done']}
END

fail() {
    echo "cancel_test: $1" >&2
    cat messages >&2 || true
    exit 1
}
containers() {
    curl --silent --fail --globoff --unix-socket "${DESCPIPE_TEST_DOCKER#unix://}" \
        'http://localhost/containers/json?all=1&filters={"label":["descpipe.run"]}'
}

mkfifo events
"$descpipe" run pipeline.yaml --json > events 2> messages &
front=$!
started=0
exec 3< events
while [ "$started" -lt 2 ] && read -r line <&3; do
    case $line in *'"event":"task-started"'*) started=$((started + 1)) ;; esac
done
[ "$started" = 2 ] || fail "the stages did not start"
journal=$(echo work/.descpipe/runs/*/journal.jsonl)
engine=$(sed -n '1s/.*"pid":\([0-9]*\).*/\1/p' "$journal")
kill -9 "$engine"
status=0
wait "$front" || status=$?
exec 3<&-
[ "$status" = 70 ] || fail "exit status $status of a killed engine"

status=0
"$descpipe" run pipeline.yaml > messages 2>&1 || status=$?
[ "$status" = 6 ] || fail "a second run: exit status $status"
grep -q "is in use by what run .* left running: .*(container " messages || fail "a second run does not say what goes on"
"$descpipe" cancel pipeline.yaml > messages 2>&1 || fail "cancel failed"
grep -q "what it had left running was ended: " messages || fail "cancel does not say what it ended"
[ "$(containers)" = "[]" ] || fail "containers are left: $(containers)"
[ "$(grep -c '"witness":"docker inspect"' "$journal")" = 2 ] || fail "there is no evidence of both ends"
[ "$(grep -c '"verdict":"CANCELLED"' "$journal")" = 2 ] || fail "there are not two verdicts"
"$descpipe" status pipeline.yaml > messages 2>&1
grep -q "2 cancelled" messages || fail "status does not show two cancelled stages"
status=0
"$descpipe" cancel pipeline.yaml > messages 2>&1 || status=$?
[ "$status" = 2 ] || fail "a second cancel: exit status $status"
