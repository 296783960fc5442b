#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# What `resume` does with runs that ended, go on, or whose pipeline was changed; and with results that somebody removed.
#   resume_test.sh DESCPIPE PLUGINS
set -eu
descpipe=$1
plugins=$2
folder=$(mktemp -d "${TMPDIR:-/tmp}/descpipe-resume-XXXXXX")
finish() {
    : > "$folder/good"
    wait
    rm -rf "$folder"
}
trap finish EXIT
trap 'exit 1' HUP INT TERM
fail() {
    echo "resume_test: $1" >&2
    cat messages >&2
    exit 1
}
# expect STATUS WORDS COMMAND...
expect() {
    expected=$1
    words=$2
    shift 2
    status=0
    "$descpipe" --plugin-dir "$plugins" "$@" > messages 2>&1 || status=$?
    [ "$status" = "$expected" ] || fail "'$*' exits with $status, not $expected"
    grep -q "$words" messages || fail "'$*' does not say '$words'"
}
pipeline() {
    cat > pipeline.yaml <<END
pipeline: {name: again, stages: [a, b]}
runtime: {backend: here, working: ./work, output: ./out, cache: off}
backends: {here: {scheduler: local, runtime: host}}
a: {outputs: {x: txt}, command: [/bin/sh, -c, 'echo a >> $folder/begun; echo $1 > "\$\$DESC_OUTPUT/x.txt"']}
b: {inputs: {x: txt}, command: [/bin/sh, -c, '$2']$3}
END
}
begun() {
    [ "$(tr -d '\n' < "$folder/begun")" = "$1" ] || fail "stages were begun: $(cat "$folder/begun")"
}

cd "$folder"
export XDG_STATE_HOME="$folder/state" XDG_CONFIG_HOME="$folder/config"
fails="echo b >> $folder/begun; [ -e $folder/good ] || exit 3"
pipeline hi "$fails" ""
expect 5 "1 succeeded, 1 failed" run pipeline.yaml
pipeline ho "$fails" ""
expect 2 "is not as this run began with it: 'command' of stage 'a' differs" resume pipeline.yaml
expect 2 '"event":"problem"' resume --json pipeline.yaml
begun ab

# What failed runs again, with more memory if its file says so now; what is done does not.
pipeline hi "$fails" ", memory: 100MiB"
expect 5 "1 succeeded, 1 failed" resume pipeline.yaml
: > good
expect 0 "b: started on .* (attempt 3)" resume pipeline.yaml
begun abbb
expect 0 "there is nothing to go on with" resume pipeline.yaml
begun abbb

# A result that is not there any more is made again.
rm good
expect 5 "1 succeeded, 1 failed" run pipeline.yaml
rm work/data/x.txt
: > good
expect 0 "x.txt' is not as it was published; the stage that makes it runs again" resume pipeline.yaml
begun abbbabab

# One run at a time, and the newest one.
rm good
expect 5 "1 succeeded, 1 failed" run pipeline.yaml
for older in work/.descpipe/runs/*; do :; done
older=${older##*/}
pipeline hi "until [ -e $folder/good ]; do sleep 0.1; done" ""
"$descpipe" --plugin-dir "$plugins" run pipeline.yaml > log 2>&1 &
tries=0
until grep -q "b: started" log; do
    tries=$((tries + 1))
    [ "$tries" -lt 600 ] || fail "stage b does not start"
    sleep 0.1
done
expect 2 "goes on: descpipe process [0-9]* on .* has it" resume pipeline.yaml
: > good
wait
pipeline hi "$fails" ""
expect 2 "began in this working folder after run $older" resume "$older"
