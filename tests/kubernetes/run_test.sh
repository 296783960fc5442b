#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Pipelines on a real Kubernetes: three stages with files between them, on a volume that is seen from here and on one that is not,
# endings that only a real one has, a cancel, a restart of the API server in the middle of a run.
#
#   run_test.sh PROGRAM     PROGRAM is the descpipe to test, with its plugins beside it
#
# Exit status: 0 passed, 1 failed, 77 something of the machine is missing (a failure when CI is set).
set -eu

here=$(cd "$(dirname "$0")" && pwd -P)
program=$(cd "$(dirname "$1")" && pwd -P)/$(basename "$1")

command -v htpasswd > /dev/null || { # before anything is started
    echo "run_test: there is no htpasswd on this machine (packaging/packages.sh cluster)" >&2
    [ -z "${CI:-}" ] || exit 1
    exit 77
}
# shellcheck source=tests/kubernetes/fixture.sh
. "$here/fixture.sh"
# A private one beside it.
htpasswd -Bbn nodes node-secret > "$folder/users"
port_private=$(free_port)
start_registry private "$port_private" "auth: {htpasswd: {realm: tests, path: $folder/users}}"
private=127.0.0.1:$port_private/secret/busybox:1
skopeo copy --quiet --dest-tls-verify=false --dest-creds nodes:node-secret "docker-archive:$folder/busybox.tar" "docker://$private"

head_of_file() { # STAGES
    cat << END
pipeline: {name: k, stages: [$1]}
runtime: {working: ./work, output: ./out${files:+, $files}}
backends:
  default:
    scheduler: {use: kubernetes, volume: $volume, image-patience: 5s$options}
    runtime: docker
    registry: {use: oci, plain-http: true}
END
}

volume="{host-path: \"$folder/run\"}"
options=
files=
echo 'start: 1000' > settings.yml

echo "== three stages"
files='inputs: {first: first.txt}, config: {sum: {settings: settings.yml}}'
echo 5 > first.txt
{
    head_of_file 'make_it, double, sum'
    three_stages
} > three.yaml
"$program" run three.yaml > "$folder/three.log" 2>&1 || failed "three stages ended with status $?"
[ "$(cat out/total.txt)" = 1240 ] || failed "the total is '$(cat out/total.txt)', not 1240"
"$program" logs three.yaml make_it | grep -q "on /tmp as $(id -u) with 1" || failed "the log of make_it: $("$program" logs three.yaml make_it)"
"$program" logs three.yaml double/b | grep -q 'half b' || failed "the log of double"

echo "== a volume that this machine does not see"
mkdir -p "$folder/far/here/inputs"
echo 5 > "$folder/far/here/inputs/first.txt"
claim_volume far "$folder/far"
volume='{claim: far, path: here}'
options=", helper-image: \"$image\""
files='inputs: {first: far/inputs/first.txt}, config: {sum: {settings: settings.yml}}'
{
    head_of_file 'make_it, double, sum' | sed 's,working: ./work,working: ./far,'
    three_stages
} > apart.yaml
"$program" run apart.yaml > "$folder/apart.log" 2>&1 || failed "three stages apart ended with status $?"
total=$folder/far/here/data/total.txt
[ "$(cat "$total")" = 1240 ] || failed "the total apart is '$(cat "$total")', not 1240"
grep -q "results in 'data' on the volume" "$folder/apart.log" || failed "where the results are was not said"
[ ! -e far/data ] || failed "something was published on this machine"
"$program" logs apart.yaml make_it | grep -q "on /tmp as $(id -u) with 1" || failed "the log of make_it apart"
files='inputs: {nothing: far/inputs/nothing.txt}'
{
    head_of_file 'gone, liar' | sed 's,working: ./work,working: ./far,'
    cat << END
gone: {image: $image, inputs: {nothing: txt}, command: ['true']}
liar: {image: $image, outputs: {some: txt}, command: [sh, -c, 'echo wrote nothing']}
END
} > liar.yaml
status=0
"$program" run liar.yaml --keep-going > "$folder/liar.log" 2>&1 || status=$?
[ "$status" = 5 ] || failed "missing files ended with status $status"
[ "$(verdict liar.yaml gone)" = STAGE_IN ] || failed "gone is '$(verdict liar.yaml gone)'"
[ "$(verdict liar.yaml liar)" = OUTPUT_MISSING ] || failed "liar is '$(verdict liar.yaml liar)'"
grep -q "did not write its output 'some.txt'" "$folder/liar.log" || failed "the missing output is not named"
volume="{host-path: \"$folder/run\"}"
options=
files=

echo "== endings"
{
    head_of_file 'three, large, missing, dollars, late'
    cat << END
three: {image: $image, command: [sh, -c, 'exit 3']}
large: {image: $image, memory: 32MiB, command: [sh, -c, 'tail /dev/zero']}
missing: {image: "127.0.0.1:$port/descpipe/busybox:1", command: [nothing-here]}
dollars: {image: $image, command: [echo, '\$(A) \$\$\$\$x']}
late: {image: $image, minutes: 1, command: [sleep, '600']}
END
} > endings.yaml
status=0
"$program" run endings.yaml --keep-going > "$folder/endings.log" 2>&1 || status=$?
[ "$status" = 5 ] || failed "endings ended with status $status"
check_verdicts endings.yaml three:EXIT large:OOM missing:EXIT dollars:OK late:TIMEOUT

# shellcheck disable=SC2016 # the text itself
"$program" logs endings.yaml dollars | grep -qF '$(A) $$x' || failed "dollars: $("$program" logs endings.yaml dollars)"

echo "== a private registry: the nodes pull with the login of whoever runs it"
{
    head_of_file 'hidden'
    echo "hidden: {image: \"$private\", command: [echo, seen], foreach: {n: [1, 2]}}"
} > private.yaml
status=0
"$program" run private.yaml > "$folder/stranger.log" 2>&1 || status=$?
[ "$status" = 4 ] || failed "a stranger's run ended with status $status"
printf node-secret | "$program" login "127.0.0.1:$port_private" -u nodes --password-stdin -o registry.plain-http=true \
    > "$folder/login.log" 2>&1 || failed "login ended with status $?"
status=0
sed -e 's/image-patience: 5s/image-patience: 5s, pull-secrets: []/' -e 's/, foreach.*/}/' private.yaml > none.yaml
"$program" run none.yaml > "$folder/none.log" 2>&1 || status=$?
[ "$status" = 5 ] || failed "a run that hands no login over ended with status $status"
told=$(verdict none.yaml hidden)
[ "${told%% *}" = IMAGE ] || failed "hidden is '$told', not IMAGE"
"$program" run private.yaml > "$folder/private-run.log" 2>&1 || failed "a private image: status $?"
"$program" logs private.yaml hidden/2 | grep -q seen || failed "the log of hidden"
! grep -rqF -e node-secret -e "$(printf nodes:node-secret | base64)" "$folder/run" "$folder/state" "$folder/cache" "$folder"/*.log ||
    failed "the password is in $(grep -rlF -e node-secret -e "$(printf nodes:node-secret | base64)" "$folder/run" "$folder/state" "$folder/cache" "$folder"/*.log)"
deadline=$(($(date +%s) + 120)) # whatever its run has not removed belongs to a Job that is gone
while kube GET '/api/v1/namespaces/default/secrets?labelSelector=descpipe.org%2Fpart%3Dpull' | grep -q '"name": ".*-pull"'; do
    [ "$(date +%s)" -lt "$deadline" ] || failed "a registry login stays in the cluster"
    sleep 1
done

echo "== an API server that goes away in the middle"
{
    head_of_file 'slow, after'
    cat << END
slow: {image: $image, command: [sh, -c, 'echo begun; while ! [ -e /opt/signal/go ]; do sleep 1; done; echo over'], mounts: ["$folder/run/signal:/opt/signal:ro"]}
after: {image: $image, depends-on: [slow], command: [echo, after]}
END
} > restart.yaml
mkdir signal
"$program" run restart.yaml > "$folder/restart.log" 2>&1 &
run=$!
deadline=$(($(date +%s) + 240))
until "$program" logs restart.yaml slow 2> /dev/null | grep -q begun; do
    [ "$(date +%s)" -lt "$deadline" ] || failed "slow did not begin"
    sleep 1
done
sh "$here/testbed.sh" kill "$folder/bed" apiserver
touch signal/go
sh "$here/testbed.sh" again "$folder/bed" apiserver
wait "$run" || failed "the run over a restart ended with status $?"
"$program" logs restart.yaml slow | grep -q over || failed "the log of slow lacks its end"

echo "== engines that are killed"
mkdir -p count
{
    head_of_file 'first, second'
    cat << END
first: {image: $image, foreach: {n: [1, 2]}, mounts: ["$folder/run/count:/opt/count"], command: [sh, -c, 'echo begun >> /opt/count/first.\$DESC_EACH_N; while ! [ -e /opt/count/go ]; do sleep 1; done']}
second: {image: $image, depends-on: [first], mounts: ["$folder/run/count:/opt/count"], command: [sh, -c, 'echo begun >> /opt/count/second']}
END
} > killed.yaml
kill_engine() { # ends the engine and its keeper hard; both have their numbers in the journal
    # shellcheck disable=SC2012 # names of our own making
    python3 - "$(ls -td work/.descpipe/runs/* | head -n 1)/journal.jsonl" << 'END'
import json, os, signal, sys
last = {}
for line in open(sys.argv[1], encoding="utf-8"):
    try:
        record = json.loads(line)
    except ValueError:
        continue
    if record.get("kind") in ("writer", "keeper"):
        last[record["kind"]] = record["pid"]
for process in (last.get("keeper"), last.get("writer")):
    try:
        os.kill(process, signal.SIGKILL)
    except (ProcessLookupError, TypeError):
        pass
END
}
"$program" run killed.yaml > "$folder/killed.log" 2>&1 &
run=$!
deadline=$(($(date +%s) + 240))
until "$program" status killed.yaml 2> /dev/null | grep -q first; do
    [ "$(date +%s)" -lt "$deadline" ] || failed "first was not submitted"
done
kill_engine # about when its Jobs are made
wait "$run" || true
"$program" resume killed.yaml > "$folder/resumed.log" 2>&1 &
run=$!
until [ -e count/first.1 ] && [ -e count/first.2 ]; do # the node has two processors
    [ "$(date +%s)" -lt "$deadline" ] || failed "first did not begin"
    sleep 1
done
kill_engine # while its pods run
wait "$run" || true
touch count/go
"$program" resume killed.yaml > "$folder/resumed.log" 2>&1 || failed "resume ended with status $?"
for each in first.1 first.2 second; do
    [ "$(cat "count/$each")" = begun ] || failed "$each was begun more than once"
done

echo "== a site that lacks something"
{
    head_of_file 's'
    echo "s: {image: $image, command: [echo, x]}"
} > site.yaml
check_sites site.yaml jobs

echo "== cancel"
{
    head_of_file 'long'
    echo "long: {image: $image, command: [sh, -c, 'trap \"exit 0\" TERM; echo begun; while :; do sleep 1; done']}"
} > cancel.yaml
"$program" run cancel.yaml > "$folder/cancel.log" 2>&1 &
run=$!
deadline=$(($(date +%s) + 240))
until "$program" logs cancel.yaml long 2> /dev/null | grep -q begun; do
    [ "$(date +%s)" -lt "$deadline" ] || failed "long did not begin"
    sleep 1
done
"$program" cancel cancel.yaml >> "$folder/cancel.log" 2>&1 || failed "cancel ended with status $?"
status=0
wait "$run" || status=$?
[ "$status" = 7 ] || failed "the cancelled run ended with status $status"

left=$(kube GET /apis/batch/v1/namespaces/default/jobs | grep -c '"name": "2' || true)
[ "$left" = 0 ] || failed "$left Jobs were left behind"
echo "run_test: passed"
