#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Pipelines as Argo Workflows, in a real API server with real pods, walked by argo_controller.py: files between stages, endings and
# attempts, cancel, and engines that are killed at many points: one Workflow, never two.
#
#   argo_run_test.sh PROGRAM     with ARGO_CRDS naming a folder of Argo's resource definitions
#
# Exit status: 0 passed, 1 failed, 77 something of the machine is missing.
set -eu

here=$(cd "$(dirname "$0")" && pwd -P)
program=$(cd "$(dirname "$1")" && pwd -P)/$(basename "$1")
# shellcheck source=tests/kubernetes/argo_fixture.sh
. "$here/argo_fixture.sh"

seen_volume="{host-path: \"$folder/run\"}"
volume=$seen_volume
runtime=docker
working=
files=
head_of_file() { # STAGES NAME [OPTIONS]: each pipeline has a working folder of its own
    cat << END
pipeline: {name: k, stages: [$1]}
runtime: {working: ${working:-./work-$2}, output: ./out-$2${files:+, $files}}
backends:
  default:
    scheduler: {use: argo, volume: $volume, helper-image: "$image", image-patience: 5s${3:-}}
    runtime: $runtime
    registry: {use: oci, plain-http: true}
END
}
workflows_of() { # FILE: how many its latest run has
    run=$("$program" status "$1" --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["run"])')
    kube GET "/apis/argoproj.io/v1alpha1/namespaces/default/workflows?labelSelector=descpipe.org%2Frun%3D$run" |
        python3 -c 'import json, sys; print(len(json.load(sys.stdin)["items"]))'
}
kill_tree() { # PID: it and what it has started
    for child in $(pgrep -P "$1"); do
        kill_tree "$child"
    done
    kill -9 "$1" 2> /dev/null || true
}

echo "== three stages with files"
echo 'start: 1000' > settings.yml
echo 5 > first.txt
files='inputs: {first: first.txt}, config: {sum: {settings: settings.yml}}'
{
    head_of_file 'make_it, double, sum' three
    three_stages
} > three.yaml
"$program" run three.yaml > "$folder/three.log" 2>&1 || failed "three stages ended with status $?"
[ "$(cat out-three/total.txt)" = 1240 ] || failed "the total is '$(cat out-three/total.txt)', not 1240"
"$program" logs three.yaml make_it | grep -q "on /tmp as $(id -u) with 1" || failed "the log of make_it: $("$program" logs three.yaml make_it)"
"$program" logs three.yaml double/b | grep -q 'half b' || failed "the log of double"
[ "$(workflows_of three.yaml)" = 1 ] || failed "three stages are not one Workflow"

echo "== a claim that this machine does not see"
mkdir -p "$folder/far/here/inputs"
echo 5 > "$folder/far/here/inputs/first.txt"
claim_volume far "$folder/far"
volume='{claim: far, path: here}'
working=./far
files='inputs: {first: far/inputs/first.txt}, config: {sum: {settings: settings.yml}}'
{
    head_of_file 'make_it, double, sum' apart
    three_stages
} > apart.yaml
"$program" run apart.yaml > "$folder/apart.log" 2>&1 || failed "three stages apart ended with status $?"
total=$folder/far/here/data/total.txt
[ "$(cat "$total")" = 1240 ] || failed "the total apart is '$(cat "$total")', not 1240"
grep -q "results in 'data' on the volume" "$folder/apart.log" || failed "where the results are was not said"
[ ! -e far/data ] || failed "something was published on this machine"
"$program" logs apart.yaml make_it | grep -q "on /tmp as $(id -u) with 1" || failed "the log of make_it apart"
"$program" logs apart.yaml double/b | grep -q 'half b' || failed "the log of double apart"
[ "$(workflows_of apart.yaml)" = 1 ] || failed "three stages apart are not one Workflow"
workflows_of apart.yaml > "$folder/count.log" # and says which run
kube GET "/api/v1/namespaces/default/configmaps?labelSelector=descpipe.org%2Frun%3D$run" > "$folder/maps.json"
python3 - "$folder/maps.json" << 'END' || failed "the ConfigMaps of the run: $(cat "$folder/maps.json")"
import json, sys
one, = json.load(open(sys.argv[1]))["items"]
owner, = one["metadata"]["ownerReferences"]
assert owner["kind"] == "Workflow" and one["metadata"]["name"].startswith(owner["name"])
END
files='inputs: {nothing: far/inputs/nothing.txt}'
{
    head_of_file 'gone, liar' liar
    cat << END
gone: {image: $image, inputs: {nothing: txt}, command: ['true']}
liar: {image: $image, outputs: {some: txt}, command: [sh, -c, 'echo wrote nothing']}
END
} > liar.yaml
status=0
"$program" run liar.yaml --keep-going > "$folder/liar.log" 2>&1 || status=$?
[ "$status" = 5 ] || failed "missing files ended with status $status"
check_verdicts liar.yaml gone:STAGE_IN liar:OUTPUT_MISSING
grep -q "did not write its output 'some.txt'" "$folder/liar.log" || failed "the missing output is not named"
files=
volume=$seen_volume
working=

echo "== a runtime that is a command, in pods of an image that holds it"
runtime=host
{
    head_of_file 'write, read' command ", launcher-image: \"$image\""
    cat << END
write: {outputs: {x: txt}, retries: {limit: 1, backoff: 1s}, command: [sh, -c, 'echo begun; echo it > \$DESC_OUTPUT/x.txt; [ -e $folder/run/once ] || { touch $folder/run/once; exit 3; }']}
read: {inputs: {x: txt}, outputs: {y: txt}, command: [sh, -c, 'cat \$DESC_INPUT/x.txt > \$DESC_OUTPUT/y.txt']}
END
} > command.yaml
"$program" run command.yaml > "$folder/command.log" 2>&1 || failed "a runtime that is a command ended with status $?"
[ "$(cat out-command/y.txt)" = it ] || failed "the result of a runtime that is a command"
"$program" logs command.yaml write | grep -q begun || failed "the log of write: $("$program" logs command.yaml write)"
runtime=docker

echo "== endings and attempts, of nodes that are packed"
stop_controller
start_controller --pack
{
    head_of_file 'three, large, missing, dollars, late, flaky, silent, after' endings
    cat << END
three: {image: $image, command: [sh, -c, 'exit 3']}
large: {image: $image, memory: 32MiB, command: [sh, -c, 'tail /dev/zero']}
missing: {image: $image, command: [nothing-here]}
dollars: {image: $image, command: [echo, '\$(A) \$\$\$\$x']}
late: {image: $image, minutes: 1, command: [sleep, '600']}
flaky: {image: $image, retries: {limit: 2, backoff: 1s}, mounts: ["$folder/run:/opt/mark"], command: [sh, -c, 'echo try; [ -e /opt/mark/m ] || { touch /opt/mark/m; exit 4; }']}
silent: {image: $image, outputs: {never: txt}, command: ['true']}
after: {image: $image, depends-on: [three], command: ['true']}
END
} > endings.yaml
status=0
"$program" run endings.yaml --keep-going > "$folder/endings.log" 2>&1 || status=$?
[ "$status" = 5 ] || failed "endings ended with status $status"
check_verdicts endings.yaml three:EXIT large:OOM missing:EXIT dollars:OK late:TIMEOUT flaky:OK silent:OUTPUT_MISSING
grep -q "after: skipped: because 'three' failed" "$folder/endings.log" || failed "what happened to 'after'"
grep -q 'flaky: EXIT 4.*will be tried again' "$folder/endings.log" || failed "the attempt that Argo made is not shown"
# shellcheck disable=SC2016 # the text itself
"$program" logs endings.yaml dollars | grep -qF '$(A) $$x' || failed "dollars: $("$program" logs endings.yaml dollars)"
stop_controller
start_controller

echo "== cancel"
{
    head_of_file 'slow, after' cancel
    cat << END
slow: {image: $image, command: [sh, -c, 'echo begun; exec sleep 600']}
after: {image: $image, depends-on: [slow], command: [echo, after]}
END
} > cancel.yaml
"$program" run cancel.yaml > "$folder/cancel.log" 2>&1 &
run=$!
deadline=$(($(date +%s) + 240))
until "$program" logs cancel.yaml slow 2> /dev/null | grep -q begun; do
    [ "$(date +%s)" -lt "$deadline" ] || failed "slow did not begin"
    sleep 1
done
"$program" cancel cancel.yaml 2> "$folder/cancelling.log" || failed "it cannot be cancelled"
status=0
wait "$run" || status=$?
[ "$status" = 7 ] || failed "the cancelled run ended with status $status"
[ "$(verdict cancel.yaml slow)" = CANCELLED ] || failed "slow is $(verdict cancel.yaml slow)"

echo "== engines that are killed"
number=0
for delay in 0.05 0.1 0.2 0.4 1 3 6; do
    number=$((number + 1))
    {
        head_of_file 'a, b' "kill$number"
        cat << END
a: {image: $image, outputs: {x: txt}, command: [sh, -c, 'echo a >> \$DESC_OUTPUT/x.txt; sleep 1']}
b: {image: $image, inputs: {x: txt}, outputs: {y: txt}, command: [sh, -c, 'cat \$DESC_INPUT/x.txt > \$DESC_OUTPUT/y.txt']}
END
    } > "kill$number.yaml"
    "$program" run "kill$number.yaml" > "$folder/kill$number.log" 2>&1 &
    run=$!
    sleep "$delay" # whatever it is doing by then
    kill_tree "$run"
    wait "$run" 2> /dev/null || true
    [ -d "work-kill$number/.descpipe/runs" ] || continue # killed before there was a run
    "$program" resume "kill$number.yaml" >> "$folder/kill$number.log" 2>&1 || failed "after $delay s: resume ended with status $?"
    [ "$(cat "out-kill$number/y.txt")" = a ] || failed "after $delay s: the result is '$(cat "out-kill$number/y.txt")'"
    [ "$(workflows_of "kill$number.yaml")" = 1 ] || failed "after $delay s: $(workflows_of "kill$number.yaml") Workflows"
done

echo "== handed over"
{
    head_of_file 'a, b' detached
    sed -n '/^a:/,$p' kill1.yaml
} > detached.yaml
"$program" run --detach detached.yaml > "$folder/detached.log" 2>&1 || failed "handing over ended with status $?"
"$program" resume detached.yaml >> "$folder/detached.log" 2>&1 || failed "coming back ended with status $?"
[ "$(cat out-detached/y.txt)" = a ] || failed "the result of the run that was handed over"
[ "$(workflows_of detached.yaml)" = 1 ] || failed "the run that was handed over has $(workflows_of detached.yaml) Workflows"

echo "== a site that lacks something"
{
    head_of_file 's' site
    echo "s: {image: $image, command: [echo, x]}"
} > site.yaml
check_sites site.yaml workflows
kube DELETE /apis/apiextensions.k8s.io/v1/customresourcedefinitions/workflows.argoproj.io > "$folder/crds.log" || failed "Argo's resource definition stays"
workflows_are_gone() { ! kube GET /apis/argoproj.io/v1alpha1/namespaces/default/workflows; }
until_true 120 "Argo's resource definition stays" workflows_are_gone
lacks 'Argo is not installed there' "$program" check --site site.yaml
