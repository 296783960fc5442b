#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The disk fills up: nothing new is started, what runs goes on, nothing of the journal is lost; and the run goes on
# when there is room again.
#   full_disk_test.sh DESCPIPE PLUGINS
set -eu
descpipe=$1
plugins=$2
folder=$(mktemp -d "${TMPDIR:-/tmp}/descpipe-full-XXXXXX")
disk=$folder/disk
mkdir "$disk"
finish() {
    cd /
    : > "$folder/filled"
    wait
    umount "$disk" || true
    rm -rf "$folder"
}
if ! mount -t tmpfs -o size=6m descpipe-full "$disk" 2>"$folder/messages"; then
    echo "full_disk_test: no file system of our own can be mounted: $(cat "$folder/messages")" >&2
    rm -rf "$folder"
    [ -z "${CI:-}" ] || exit 1
    exit 77
fi
trap finish EXIT
trap 'exit 1' HUP INT TERM
fail() {
    echo "full_disk_test: $1" >&2
    cat "$folder/log" >&2
    exit 1
}
# Until the words are in the log of the run.
wait_for() {
    tries=0
    until grep -q "$1" "$folder/log"; do
        tries=$((tries + 1))
        [ "$tries" -lt 600 ] || fail "it does not say '$1'"
        sleep 0.1
    done
}

cd "$disk"
export XDG_STATE_HOME="$folder/state" XDG_CONFIG_HOME="$folder/config"
cat > pipeline.yaml <<END
pipeline: {name: full, stages: [many, last]}
runtime: {backend: here, working: ./work, output: ./out}
backends: {here: {scheduler: local, runtime: host}}
many:
  size: 300
  command: [/bin/sh, -c, 'until [ -e $folder/filled ]; do sleep 0.1; done']
last:
  depends-on: [many]
  command: [/bin/true]
END
"$descpipe" --plugin-dir "$plugins" run -o scheduler.cpus=4 pipeline.yaml > "$folder/log" 2>&1 &
run=$!
wait_for "many/.*: started"
dd if=/dev/zero of=ballast bs=64k 2>"$folder/messages" || true # until it is full
: > "$folder/filled"
wait_for "there is no room left on the disk"
journal=$(echo work/.descpipe/runs/*/journal.jsonl)
[ "$(grep -c '"kind":"end"' "$journal")" = 0 ] || fail "the run has ended"
rm ballast
wait_for "there is room again on the disk"
status=0
wait "$run" || status=$?
[ "$status" = 0 ] || fail "exit status $status"
[ "$(grep -c '"verdict":"OK"' "$journal")" = 301 ] || fail "there are not 301 verdicts"
[ "$(grep -o '"seq":[0-9]*' "$journal" | cut -d: -f2 | awk '$1 != NR' | wc -l)" = 0 ] || fail "a record is missing"
[ ! -e "$(dirname "$journal")/reserve" ] || fail "the reserve is left"

# A file system that became read-only: nothing is begun, in words, and what happened can still be looked at.
mount -o remount,ro "$disk" 2>"$folder/messages" || fail "it cannot be made read-only: $(cat "$folder/messages")"
status=0
"$descpipe" --plugin-dir "$plugins" run --no-cache pipeline.yaml > "$folder/log" 2>&1 || status=$?
[ "$status" = 2 ] && grep -q "'work.*Read-only file system" "$folder/log" || fail "read-only: exit status $status"
for question in "status work" "verify work" "logs last" runs; do
    # shellcheck disable=SC2086
    "$descpipe" --plugin-dir "$plugins" $question > "$folder/log" 2>&1 || fail "read-only: '$question' fails"
done
